// How the receiver answers questions, begins sessions, takes the base lane and closes a rebuild.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/receiver.hpp"

namespace tidemark::engine::inflow {

ReceiverEffects Receiver::on(PeerSaid event) {
  ReceiverEffects out;
  const bool ours = event.link != 0 && (event.link == records_link_ || event.link == bulk_link_);
  if (!ours) return out;  // Said on a link that was fenced.
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
  } else if (!in_session() || session != session_) {
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
  f.incarnation = incarnation_;
  f.base = numbers_.base;
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

/// What speaks against a session; the primary decided on facts,
/// and facts can be checked here once more.
std::optional<std::string> Receiver::objection(const StartSession& start) const {
  const auto& n = numbers_;
  if (start.target < start.common_point) return "its target lies before its beginning";
  if (n.base == BaseState::damaged) return "what it proved durable is gone";
  if (start.kind == SessionKind::rebuild) return std::nullopt;
  if (n.base != BaseState::complete) return fmt::format("the base is {}", to_string(n.base));
  if (start.common_point > n.received) {
    return fmt::format("it begins behind {}, the log ends at {}", start.common_point, n.received);
  }
  if (start.common_point < n.committed) {
    return fmt::format("it would cut to {} what is committed up to {}", start.common_point,
                       n.committed);
  }
  if (start.common_point < n.checkpoint) {
    return fmt::format("it would cut to {} what the extents hold up to {}", start.common_point,
                       n.checkpoint);
  }
  const bool proved =
      start.common_point == proved_lsn_ && proved_digest_ && *proved_digest_ == start.digest;
  if (!proved) return fmt::format("the digest at {} was not found equal", start.common_point);
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
  if (const auto why = objection(start)) return refuse(link, RefusalCode::bad_data, *why, out);
  if (numbers_.wal_free_bytes < room_for_session_bytes) {
    return refuse(link, RefusalCode::no_space,
                  fmt::format("{} bytes are free for the log", numbers_.wal_free_bytes), out);
  }
  session_ = start.session;
  started_ = start;
  reason_ = start.reason;
  become(ReceiverState::preparing, out);
  if (start.kind == SessionKind::rebuild) return start_rebuild(start, out);
  start_catch_up(start, out);
}

void Receiver::start_catch_up(const StartSession& start, ReceiverEffects& out) {
  if (start.common_point == numbers_.received) return session_ready(out);
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

void Receiver::start_rebuild(const StartSession& start, ReceiverEffects& out) {
  step_ = Step::resetting;
  step_lsn_ = start.common_point;
  step_digest_ = start.digest;
  step_history_ = start.history;
  // Until the step has ended nobody may take what is left for a copy (C6).
  numbers_.base = BaseState::incomplete;
  out.push_back(ResetTo{step_lsn_, step_digest_, step_history_});
}

ReceiverEffects Receiver::on(const StoreStepEnded& event) {
  ReceiverEffects out;
  CHECK(step_ != Step::none);
  const auto ended = std::exchange(step_, Step::none);
  if (!event.status) {
    reason_ = event.status.error().text;
    if (records_link_ != 0) refuse(records_link_, RefusalCode::store_failed, reason_, out);
    after_store_work(out);
    return out;
  }
  if (ended == Step::finishing) {
    numbers_.base = BaseState::complete;
    numbers_.committed = std::max(numbers_.committed, std::min(step_flush_lsn_, numbers_.received));
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
    }
    after_store_work(out);
    return out;
  }
  numbers_.received = step_lsn_;
  numbers_.digest = step_digest_;
  if (!planted(Bug::ack_of_other_session) || ended == Step::resetting) {
    numbers_.durable = step_lsn_;
    numbers_.durable_digest = step_digest_;
  }
  undurable_.clear();
  undurable_cost_ = 0;
  recent_.clear();
  if (ended == Step::truncating) {
    numbers_.history.truncate(step_lsn_);
  } else {
    numbers_.history = std::move(step_history_);
    numbers_.checkpoint = step_lsn_;
    numbers_.retained = step_lsn_.next();
    numbers_.committed =
        step_lsn_;  // A base is the source's checkpoint, which nothing uncommitted is in.
  }
  if (state_ == ReceiverState::preparing) session_ready(out);
  after_store_work(out);
  return out;
}

void Receiver::session_ready(ReceiverEffects& out) {
  const bool rebuild = started_->kind == SessionKind::rebuild;
  if (rebuild) intake_.emplace(assignment_.spec.blocks());
  // From here on the log is the primary's up to its end, so committed bounds what is flushed.
  if (!rebuild) numbers_.clean = true;
  become(rebuild ? ReceiverState::rebuilding : ReceiverState::following, out);
  out.push_back(Log{Event(Level::info, "session_joined")
                        .with("replica", assignment_.self)
                        .with("session", session_)
                        .with("kind", to_string(started_->kind))
                        .with("from", started_->common_point)
                        .with("target", started_->target)
                        .with("reason", started_->reason)});
  out.push_back(Answer{records_link_, SessionReady{assignment_.spec.id, assignment_.epoch, session_,
                                                   numbers_.received.next()}});
  ack_due_ = true;
}

// --- base lane -----------------------------------------------------------------------------------

void Receiver::said(LinkNumber link, BaseBlocks& blocks, ReceiverEffects& out) {
  if (!authorised(link, blocks.volume, blocks.epoch, blocks.session, out)) return;
  if (blocks.sums.size() != blocks.range.count ||
      blocks.data.size() != blocks.range.count * block_bytes) {
    return refuse(link, RefusalCode::bad_data,
                  fmt::format("base blocks {} of another size", blocks.range), out);
  }
  take_base(link, blocks.range, std::move(blocks.sums), std::move(blocks.data), out);
}

void Receiver::said(LinkNumber link, BaseZeroes& zeroes, ReceiverEffects& out) {
  if (!authorised(link, zeroes.volume, zeroes.epoch, zeroes.session, out)) return;
  take_base(link, zeroes.range, {}, {}, out);
}

void Receiver::take_base(LinkNumber link, BlockRange range, std::vector<BlockSum> sums, Slice data,
                         ReceiverEffects& out) {
  if (link != bulk_link_ || !intake_) {
    return refuse(link, RefusalCode::protocol, "base blocks out of place", out);
  }
  if (const auto taken = intake_->accept(range, data.size()); !taken) {
    return refuse(link, RefusalCode::bad_data, taken.error().text, out);
  }
  ++base_writes_;
  base_writes_session_ = session_;
  out.push_back(WriteBaseRun{range, std::move(sums), std::move(data)});
}

ReceiverEffects Receiver::on(const BaseRunWritten& event) {
  ReceiverEffects out;
  CHECK(base_writes_ > 0);
  --base_writes_;
  const bool current = intake_ && base_writes_session_ == session_;
  if (!event.status) {
    reason_ = event.status.error().text;
    const bool full = event.status.error().code == Errc::no_space;
    if (current)
      refuse(records_link_, full ? RefusalCode::no_space : RefusalCode::store_failed, reason_, out);
  } else if (current) {
    intake_->written();
    base_ack_due_ = true;
  }
  after_store_work(out);
  return out;
}

void Receiver::said(LinkNumber link, BaseDone& done, ReceiverEffects& out) {
  if (!authorised(link, done.volume, done.epoch, done.session, out)) return;
  if (link != bulk_link_ || !intake_)
    return refuse(link, RefusalCode::protocol, "an end out of place", out);
  if (const auto whole = intake_->finish(); !whole) {
    return refuse(link, RefusalCode::bad_data, whole.error().text, out);
  }
  base_flush_lsn_ = done.flush_lsn;
  base_ack_due_ = true;
}

void Receiver::said(LinkNumber link, Barrier& barrier, ReceiverEffects& out) {
  if (!authorised(link, barrier.volume, barrier.epoch, barrier.session, out)) return;
  if (link != records_link_)
    return refuse(link, RefusalCode::protocol, "a barrier out of place", out);
  if (barrier.lsn < base_flush_lsn_) {
    return refuse(link, RefusalCode::bad_data,
                  fmt::format("a barrier at {}, the base holds what was flushed up to {}",
                              barrier.lsn, base_flush_lsn_),
                  out);
  }
  barrier_ = barrier;
  check_barrier(out);
}

void Receiver::check_barrier(ReceiverEffects& out) {
  if (!in_session() || step_ != Step::none) return;
  if (planted(Bug::in_sync_before_tail) && intake_ && intake_->complete() && base_writes_ == 0) {
    step_ = Step::finishing;
    step_lsn_ = numbers_.durable;
    step_flush_lsn_ = base_flush_lsn_;
    out.push_back(FinishBase{numbers_.durable});
    return;
  }
  if (!barrier_ || numbers_.durable < barrier_->lsn) return;
  if (state_ == ReceiverState::following) {
    send_ack(out);
    out.push_back(Answer{records_link_, BarrierReached{assignment_.spec.id, assignment_.epoch,
                                                       session_, barrier_->lsn}});
    barrier_.reset();
    return;
  }
  if (!intake_ || !intake_->complete()) return;
  step_ = Step::finishing;
  step_lsn_ = barrier_->lsn;
  step_flush_lsn_ = base_flush_lsn_;
  out.push_back(FinishBase{step_lsn_});
}

}  // namespace tidemark::engine::inflow
