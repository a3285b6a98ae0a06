// How the receiver answers questions, begins sessions and closes a rebuild; the base lane between: receiver_base.cpp.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/cursor.hpp"
#include "engine/outcome.hpp"
#include "engine/planted.hpp"
#include "engine/receiver.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::inflow {

ReceiverEffects Receiver::on(PeerSaid event) {
  ReceiverEffects out;
  const bool ours = event.link != 0 && (event.link == records_link_ || event.link == bulk_link_);
  if (sometimes(!ours, Mark::said_on_fenced_link)) return out;  // Said on a link that was fenced.
  std::visit([&](auto& message) { said(event.link, message, out); }, event.message);
  return out;
}

/// Refuses what is not of the current reign and session; a link serves exactly one of each.
bool Receiver::authorised(LinkNumber link, VolumeId volume, Epoch epoch, SessionId session,
                          ReceiverEffects& out) {
  if (volume != assignment_.spec.id) {
    refuse(link, RefusalCode::wrong_volume, "a message of another volume", out);
  } else if (epoch != assignment_.epoch) {
    refuse(link, RefusalCode::stale_epoch, fmt::format("a message of epoch {}", epoch), out);
  } else if (sometimes(!in_session() || session != session_, Mark::message_of_stale_session)) {
    refuse(link, RefusalCode::stale_session, fmt::format("a message of session {}", session), out);
  } else {
    return true;
  }
  return false;
}

template <class Other>
void Receiver::said(LinkNumber link, Other& other, ReceiverEffects& out) {
  refuse(link, RefusalCode::protocol,
         fmt::format("a {}, which no primary sends", name(Message(other))), out);
}

void Receiver::said(LinkNumber link, Probe& probe, ReceiverEffects& out) {
  if (link != records_link_ || probe.volume != assignment_.spec.id ||
      probe.epoch != assignment_.epoch || state_ != ReceiverState::ready) {
    return refuse(link, RefusalCode::protocol, "a probe out of place", out);
  }
  if (store_busy()) {
    deferred_ = probe;  // Facts of a log that is being cut would be wrong before they arrive.
    return;
  }
  out.push_back(Answer{link, facts(probe)});
}

Facts Receiver::facts(const Probe& probe) const {
  Facts f;
  f.volume = probe.volume;
  f.epoch = probe.epoch;
  f.session = probe.session;
  f.history = numbers_.history;
  f.received = numbers_.received;
  f.durable = numbers_.durable;
  f.checkpoint = numbers_.checkpoint;
  f.retained = numbers_.retained;
  f.committed = numbers_.committed;
  f.promised = promised_;
  f.forgotten = forgotten_;
  f.incarnation = incarnation_;
  f.base = numbers_.base;
  f.rebuild = numbers_.rebuild;
  f.clean = numbers_.clean;
  f.damage = numbers_.damage;
  return f;
}

void Receiver::said(LinkNumber link, AskDigest& ask, ReceiverEffects& out) {
  if (link != records_link_ || ask.volume != assignment_.spec.id ||
      ask.epoch != assignment_.epoch || state_ != ReceiverState::ready) {
    return refuse(link, RefusalCode::protocol, "a question for a digest out of place", out);
  }
  proved_lsn_ = ask.lsn;
  proved_digest_.reset();
  out.push_back(ReadDigest{link, ask.session, ask.lsn});
}

ReceiverEffects Receiver::on(const DigestRead& event) {
  ReceiverEffects out;
  if (event.link != records_link_ || event.link == 0 || event.lsn != proved_lsn_) return out;
  proved_digest_ = event.digest;
  out.push_back(Answer{event.link, DigestIs{assignment_.spec.id, assignment_.epoch, event.session,
                                            event.lsn, event.digest}});
  return out;
}

void Receiver::said(LinkNumber link, AskDigests& ask, ReceiverEffects& out) {
  if (link != records_link_ || ask.volume != assignment_.spec.id ||
      ask.epoch != assignment_.epoch || state_ != ReceiverState::ready) {
    return refuse(link, RefusalCode::protocol, "a question for digests out of place", out);
  }
  out.push_back(ReadDigests{link, ask.session, std::move(ask.lsns)});
}

ReceiverEffects Receiver::on(const DigestsRead& event) {
  ReceiverEffects out;
  if (event.link != records_link_ || event.link == 0 || state_ != ReceiverState::ready) return out;
  // Of all rounds of the search: as many as it may have.
  if (proved_points_.size() >= proved_points_max) proved_points_.clear();
  proved_points_.insert(proved_points_.end(), event.points.begin(), event.points.end());
  out.push_back(Answer{event.link, Digests{assignment_.spec.id, assignment_.epoch, event.session,
                                           event.touched_from, event.points}});
  return out;
}

bool Receiver::proved(Lsn lsn, const Digest& digest) const {
  if (lsn == proved_lsn_ && proved_digest_) return *proved_digest_ == digest;
  return std::find(proved_points_.begin(), proved_points_.end(), DigestAt{lsn, digest}) !=
         proved_points_.end();
}

/// What speaks against a session; the primary decided on facts,
/// and facts can be checked here once more.
std::optional<std::string> Receiver::objection(const StartSession& start) const {
  const auto& n = numbers_;
  if (start.target < start.common_point) return "its target lies before its beginning";
  if (n.base == BaseState::damaged) return "what it proved durable is gone";
  const bool rebuild = start.kind == SessionKind::rebuild;
  if (rebuild && start.scope == BaseScope::all) return std::nullopt;
  if (rebuild && start.scope == BaseScope::touched) return objection_to_delta(start);
  if (rebuild && !n.rebuild) return "no rebuild that could go on was broken off here";
  if (!rebuild && n.base != BaseState::complete) {
    return fmt::format("the base is {}", to_string(n.base));
  }
  if (start.common_point > n.received) {
    return fmt::format("it begins behind {}, the log ends at {}", start.common_point, n.received);
  }
  const bool obeys = planted(Bug::truncates_below_committed);
  if (start.common_point < n.committed && !obeys) {
    return fmt::format("it would cut to {} what is committed up to {}", start.common_point,
                       n.committed);
  }
  if (cuts_forgotten(n.history, start.common_point, n.received, forgotten_) && !obeys) {
    return fmt::format("it would cut to {} what a set that epoch {} forgot may have committed",
                       start.common_point, forgotten_);
  }
  if (start.common_point < n.checkpoint) {
    return fmt::format("it would cut to {} what the extents hold up to {}", start.common_point,
                       n.checkpoint);
  }
  if (start.common_point != proved_lsn_ || !proved(start.common_point, start.digest))
    return fmt::format("the digest at {} was not found equal", start.common_point);
  return std::nullopt;
}

/// What is kept of the extents must be of the log that the touched blocks are named of.
std::optional<std::string> Receiver::objection_to_delta(const StartSession& start) const {
  if (!start.parts_at && start.common_point < numbers_.committed) {
    return fmt::format("its base at {} lacks what is committed up to {}", start.common_point,
                       numbers_.committed);
  }
  if (start.touched_from > numbers_.received || !proved(start.touched_from, start.touched_digest)) {
    return fmt::format("the digest at {} was not found equal", start.touched_from);
  }
  if (start.parts_at && *start.parts_at < start.touched_from) {
    return fmt::format("the logs are equal at {} and part at {}", start.touched_from,
                       *start.parts_at);
  }
  if (numbers_.base == BaseState::incomplete && !numbers_.rebuild) {
    return "what is missing here is not known";
  }
  return std::nullopt;
}

void Receiver::said(LinkNumber link, StartSession& start, ReceiverEffects& out) {
  if (link != records_link_ || start.volume != assignment_.spec.id ||
      start.epoch != assignment_.epoch || state_ != ReceiverState::ready || !start.session) {
    return refuse(link, RefusalCode::protocol, "a session out of place", out);
  }
  if (store_busy()) {
    deferred_ = start;
    return;
  }
  const auto why = objection(start);
  if (sometimes(why.has_value(), Mark::session_objected_to))
    return refuse(link, RefusalCode::bad_data, *why, out);
  if (sometimes(numbers_.wal_free_bytes < room_for_session_bytes, Mark::no_room_for_session)) {
    return refuse(link, RefusalCode::no_space,
                  fmt::format("{} bytes are free for the log", numbers_.wal_free_bytes), out);
  }
  // Each session may bring as much, and what none of them got onto the disk is all in memory.
  if (undurable_cost_ >= unacknowledged_bytes_max) {
    return refuse(link, RefusalCode::not_yet,
                  fmt::format("{} bytes of earlier sessions are not on the disk", undurable_cost_),
                  out);
  }
  session_ = start.session;
  started_ = start;
  reason_ = start.reason;
  become(ReceiverState::preparing, out);
  const bool keeps_log = start.kind == SessionKind::catch_up || start.scope == BaseScope::rest;
  if (keeps_log) return truncate_or_go_on(out);
  if (start.scope == BaseScope::all) return begin_base(out);
  touched_upto_ = BlockIndex();
}

void Receiver::truncate_or_go_on(ReceiverEffects& out) {
  const auto& start = *started_;
  if (start.common_point == numbers_.received) {
    return start.kind == SessionKind::rebuild ? begin_base(out) : session_ready(out);
  }
  sometimes(Mark::replica_log_truncated);
  step_ = Step::truncating;
  step_lsn_ = start.common_point;
  step_digest_ = start.digest;
  out.push_back(Log{Event(Level::warning, "log_truncated")
                        .with("replica", assignment_.self)
                        .with("from", numbers_.received)
                        .with("to", step_lsn_)
                        .with("reason", start.reason)});
  out.push_back(TruncateTo{step_lsn_});
}

void Receiver::said(LinkNumber link, Touched& touched, ReceiverEffects& out) {
  const bool awaited = link == records_link_ && touched.volume == assignment_.spec.id &&
                       touched.epoch == assignment_.epoch && touched.session == session_ &&
                       state_ == ReceiverState::preparing && touched_upto_;
  if (!awaited) return refuse(link, RefusalCode::protocol, "touched blocks out of place", out);
  const bool first = *touched_upto_ == BlockIndex();
  for (const auto& range : touched.ranges) {
    // The log may have been longer in blocks where they were touched.
    const auto blocks = volume_blocks_max;
    const bool fits = !range.empty() && range.first >= *touched_upto_ &&
                      range.first.value < blocks && range.count <= blocks - range.first.value;
    if (!fits) {
      return refuse(link, RefusalCode::bad_data,
                    fmt::format("touched blocks {} behind {}", range, *touched_upto_), out);
    }
    touched_upto_ = range.end();
  }
  out.push_back(NoteTouched{first, std::move(touched.ranges)});
  if (!touched.last) {
    const auto& a = assignment_;
    out.push_back(Answer{link, TouchedNoted{a.spec.id, a.epoch, session_}});
    return;
  }
  touched_upto_.reset();
  begin_base(out);
}

void Receiver::begin_base(ReceiverEffects& out) {
  const auto& start = *started_;
  step_ = Step::beginning;
  step_scope_ = start.scope;
  step_lsn_ = start.common_point;
  step_digest_ = start.digest;
  step_time_ = start.time;
  step_history_ = start.history;
  const bool said = start.configuration.size_bytes != 0;
  step_configurations_ = ConfigurationHistory(
      said ? start.configuration : assignment_.spec.configuration(), start.common_point);
  base_before_ = numbers_.base;
  // Until the step has ended nobody may take what is left for a copy (C6).
  numbers_.base = BaseState::incomplete;
  NewLog log{step_lsn_,   step_digest_, start.time, start.history, step_configurations_.current(),
             std::nullopt};
  if (start.parts_at) log.own_past = OwnPast{*start.parts_at, start.touched_from};
  out.push_back(BeginBase{start.scope, assignment_.epoch, std::move(log)});
}

ReceiverEffects Receiver::on(const StoreStepEnded& event) {
  ReceiverEffects out;
  CHECK(step_ != Step::none);
  const auto ended = std::exchange(step_, Step::none);
  if (sometimes(!event.status, Mark::store_step_failed)) {
    reason_ = event.status.error().text;
    if (records_link_ != 0) refuse(records_link_, RefusalCode::store_failed, reason_, out);
    after_store_work(out);
    return out;
  }
  if (ended == Step::finishing) {
    numbers_.base = BaseState::complete;
    numbers_.committed =
        std::max(numbers_.committed, std::min(numbers_.rebuild->flush_lsn, numbers_.received));
    numbers_.rebuild.reset();
    numbers_.clean = true;
    if (state_ == ReceiverState::rebuilding) {
      become(ReceiverState::following, out);
      if (barrier_) {
        send_ack(out);  // First the proof, then the claim.
        out.push_back(Answer{records_link_, BarrierReached{assignment_.spec.id, assignment_.epoch,
                                                           session_, barrier_->lsn}});
      }
      barrier_.reset();
      intake_.reset();
      seek_repair(out);
    }
    after_store_work(out);
    return out;
  }
  reached(step_lsn_, step_digest_);
  numbers_.history.truncate(step_lsn_);
  numbers_.configurations.truncate(step_lsn_);
  if (state_ == ReceiverState::preparing && started_->kind == SessionKind::rebuild) {
    begin_base(out);
  } else if (state_ == ReceiverState::preparing) {
    session_ready(out);
  }
  after_store_work(out);
  return out;
}

/// The log ends at `lsn`, durably: what was behind it is forgotten.
void Receiver::reached(Lsn lsn, Digest digest) {
  numbers_.received = lsn;
  numbers_.digest = digest;
  if (!planted(Bug::ack_of_other_session)) {
    numbers_.durable = lsn;
    numbers_.durable_digest = digest;
  }
  undurable_.clear();
  undurable_cost_ = 0;
  recent_.clear();
}

ReceiverEffects Receiver::on(const BaseBegun& event) {
  ReceiverEffects out;
  CHECK(step_ == Step::beginning);
  step_ = Step::none;
  if (sometimes(!event.progress, Mark::base_not_begun)) {
    // Where the store goes on, nothing was changed.
    numbers_.base = base_before_;
    const bool full = event.progress.error().code == Errc::no_space;
    reason_ = event.progress.error().text;
    if (records_link_ != 0) {
      refuse(records_link_, full ? RefusalCode::no_space : RefusalCode::store_failed, reason_, out);
    }
    after_store_work(out);
    return out;
  }
  numbers_.rebuild = *event.progress;
  if (step_scope_ != BaseScope::rest) {
    reached(step_lsn_, step_digest_);
    numbers_.durable = step_lsn_;
    numbers_.durable_digest = step_digest_;
    numbers_.mono_time = step_time_;
    numbers_.history = std::move(step_history_);
    numbers_.configurations = std::move(step_configurations_);
    numbers_.checkpoint = step_lsn_;
    numbers_.retained = step_lsn_.next();
    // A base is the source's checkpoint, which nothing uncommitted is in.
    numbers_.committed = step_lsn_;
  }
  if (state_ == ReceiverState::preparing) session_ready(out);
  after_store_work(out);
  return out;
}

void Receiver::session_ready(ReceiverEffects& out) {
  const bool rebuild = started_->kind == SessionKind::rebuild;
  if (rebuild) intake_.emplace(numbers_.rebuild->flush_lsn);
  // From here on the log is the primary's up to its end, so committed bounds what is flushed.
  if (!rebuild) numbers_.clean = true;
  become(rebuild ? ReceiverState::rebuilding : ReceiverState::following, out);
  const auto missing = rebuild ? numbers_.rebuild->missing_blocks : 0;
  out.push_back(Log{Event(Level::info, "session_joined")
                        .with("replica", assignment_.self)
                        .with("session", session_)
                        .with("kind", to_string(started_->kind))
                        .with("from", started_->common_point)
                        .with("target", started_->target)
                        .with("missing_blocks", missing)
                        .with("reason", started_->reason)});
  out.push_back(Answer{records_link_, SessionReady{assignment_.spec.id, assignment_.epoch, session_,
                                                   numbers_.received.next(), missing}});
  ack_due_ = true;
  seek_repair(out);
}

void Receiver::said(LinkNumber link, Barrier& barrier, ReceiverEffects& out) {
  if (!authorised(link, barrier.volume, barrier.epoch, barrier.session, out)) return;
  if (link != records_link_)
    return refuse(link, RefusalCode::protocol, "a barrier out of place", out);
  if (numbers_.rebuild && barrier.lsn < numbers_.rebuild->flush_lsn) {
    return refuse(link, RefusalCode::bad_data,
                  fmt::format("a barrier at {}, the base holds what was flushed up to {}",
                              barrier.lsn, numbers_.rebuild->flush_lsn),
                  out);
  }
  barrier_ = barrier;
  check_barrier(out);
}

void Receiver::check_barrier(ReceiverEffects& out) {
  if (!in_session() || step_ != Step::none) return;
  if (planted(Bug::in_sync_before_tail) && intake_ && intake_->whole() && base_writes_ == 0) {
    step_ = Step::finishing;
    step_lsn_ = numbers_.durable;
    out.push_back(FinishBase{numbers_.durable});
    return;
  }
  if (!barrier_) return;
  if (sometimes(numbers_.durable < barrier_->lsn, Mark::barrier_before_disk)) return;
  if (state_ == ReceiverState::following) {
    send_ack(out);
    out.push_back(Answer{records_link_, BarrierReached{assignment_.spec.id, assignment_.epoch,
                                                       session_, barrier_->lsn}});
    barrier_.reset();
    return;
  }
  if (!intake_ || !intake_->whole()) return;
  step_ = Step::finishing;
  step_lsn_ = barrier_->lsn;
  out.push_back(FinishBase{step_lsn_});
}

}  // namespace tidemark::engine::inflow
