#include "engine/receiver.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "engine/walked.hpp"

namespace tidemark::engine::inflow {
namespace {

Refused refusal(RefusalCode code, std::string text, Epoch promised = {}) {
  return Refused{code, std::move(text), promised};
}

}  // namespace

std::string_view to_string(ReceiverState state) {
  switch (state) {
    case ReceiverState::waiting:
      return "waiting";
    case ReceiverState::ready:
      return "ready";
    case ReceiverState::preparing:
      return "preparing";
    case ReceiverState::following:
      return "following";
    case ReceiverState::rebuilding:
      return "rebuilding";
    case ReceiverState::refusing:
      return "refusing";
    case ReceiverState::stopping:
      return "stopping";
    case ReceiverState::stopped:
      return "stopped";
  }
  return "unknown";
}

Receiver::Receiver(ReceiverConfig config)
    : assignment_(std::move(config.assignment)),
      incarnation_(config.incarnation),
      promised_(std::max(config.promised, assignment_.epoch)),
      forgotten_(config.forgotten),
      numbers_(std::move(config.numbers)),
      reason_("no primary has connected yet") {
  CHECK(assignment_.epoch);
  if (numbers_.configurations.empty()) {
    numbers_.configurations = ConfigurationHistory(assignment_.spec.configuration());
  }
  // Nothing an opened store holds is in doubt beyond its end.
  numbers_.committed = std::min(numbers_.committed, numbers_.received);
}

// --- links ---------------------------------------------------------------------------------------

std::optional<Refused> Receiver::objection(const Hello& hello) const {
  using C = RefusalCode;
  if (sometimes(broken_.has_value(), Mark::hello_to_failed_store))
    return refusal(C::store_failed, fmt::format("the store failed: {}", broken_->text));
  if (state_ == ReceiverState::stopping || state_ == ReceiverState::stopped) {
    return refusal(C::shutting_down, "this replica's role is ending");
  }
  if (hello.volume != assignment_.spec.id) return refusal(C::wrong_volume, "another volume");
  if (hello.to != assignment_.self && !planted(Bug::other_replica_is_served)) {
    return refusal(C::wrong_replica, fmt::format("asked for replica {}, this is replica {}",
                                                 hello.to, assignment_.self));
  }
  if (sometimes(hello.epoch < promised_, Mark::hello_of_stale_epoch)) {
    return refusal(C::stale_epoch, fmt::format("epoch {} is over", hello.epoch), promised_);
  }
  if (sometimes(hello.epoch > assignment_.epoch, Mark::hello_before_assignment)) {
    return refusal(C::not_a_replica,
                   fmt::format("the assignment of epoch {} has not arrived, epoch {} is in force",
                               hello.epoch, assignment_.epoch));
  }
  if (hello.epoch < assignment_.epoch) {
    return refusal(C::stale_epoch, fmt::format("epoch {} is over", hello.epoch), assignment_.epoch);
  }
  if (hello.from != assignment_.primary) {
    return refusal(C::wrong_replica,
                   fmt::format("replica {} is not the primary of epoch {}, replica {} is",
                               hello.from, hello.epoch, assignment_.primary));
  }
  if (hello.incarnation != assignment_.primary_incarnation) {
    return refusal(C::stale_incarnation,
                   fmt::format("epoch {} belongs to incarnation {} of the primary, not {}",
                               hello.epoch, assignment_.primary_incarnation, hello.incarnation));
  }
  if (hello.purpose == Purpose::bulk) {
    if (state_ == ReceiverState::rebuilding && hello.session == session_) return std::nullopt;
    sometimes(Mark::bulk_link_of_stale_session);
    return refusal(C::stale_session,
                   fmt::format("session {} is not rebuilding here", hello.session));
  }
  if (hello.purpose != Purpose::records) return refusal(C::protocol, "not a replication link");
  return std::nullopt;
}

ReceiverEffects Receiver::on(const PeerArrived& event) {
  ReceiverEffects out;
  if (auto why = objection(event.hello)) {
    out.push_back(Log{Event(Level::info, "link_refused")
                          .with("from", event.hello.from)
                          .with("epoch", event.hello.epoch)
                          .with("code", to_string(why->code))
                          .with("text", why->text)});
    out.push_back(RefuseLink{event.link, std::move(*why)});
    return out;
  }
  const auto newer = refusal(RefusalCode::stale_session, "a newer connection took over");
  if (event.hello.purpose == Purpose::bulk) {
    if (bulk_link_ != 0) out.push_back(RefuseLink{bulk_link_, newer});
    bulk_link_ = event.link;
    out.push_back(AcceptLink{event.link});
    pump_base(out);
    return out;
  }
  // The older link is fenced before the newer one is answered: nothing of it is heard any more.
  if (sometimes(records_link_ != 0, Mark::newer_link_took_over)) drop_links(newer, out);
  become(ReceiverState::waiting, out);
  records_link_ = event.link;
  reason_ = fmt::format("the primary of epoch {} is connected", event.hello.epoch);
  become(ReceiverState::ready, out);
  out.push_back(AcceptLink{event.link});
  return out;
}

ReceiverEffects Receiver::on(const PeerGone& event) {
  ReceiverEffects out;
  if (event.link == bulk_link_ && event.link != 0) bulk_link_ = 0;
  if (event.link != records_link_ || event.link == 0) return out;
  records_link_ = 0;
  reason_ = fmt::format("the primary's link closed: {}", event.reason);
  drop_links(refusal(RefusalCode::stale_session, "the records link is gone"), out);
  become(ReceiverState::waiting, out);
  return out;
}

void Receiver::drop_links(const Refused& refused, ReceiverEffects& out) {
  if (bulk_link_ != 0) out.push_back(RefuseLink{std::exchange(bulk_link_, 0), refused});
  if (records_link_ != 0) out.push_back(RefuseLink{std::exchange(records_link_, 0), refused});
  if (question_) out.push_back(ReleaseComparison{});
  leave_session();
}

void Receiver::leave_session() {
  session_ = SessionId{};
  started_.reset();
  deferred_.reset();
  barrier_.reset();
  intake_.reset();
  question_.reset();
  unequal_ = 0;
  touched_upto_.reset();
  proved_digest_.reset();
  proved_points_.clear();
  asked_blocks_.clear();
  ack_due_ = false;
}

/// Ends the session with a reason the other side hears;
/// the sender comes back with a new link and new facts.
void Receiver::refuse(LinkNumber link, RefusalCode code, std::string text, ReceiverEffects& out) {
  out.push_back(Log{Event(Level::warning, "session_refused")
                        .with("session", session_)
                        .with("code", to_string(code))
                        .with("text", text)});
  reason_ = fmt::format("{}: {}", to_string(code), text);
  const auto refused = refusal(code, std::move(text), promised_);
  if (link != records_link_ && link != bulk_link_) out.push_back(RefuseLink{link, refused});
  drop_links(refused, out);
  become(ReceiverState::waiting, out);
}

// --- the control plane and the store -------------------------------------------------------------

ReceiverEffects Receiver::on(const AssignmentChanged& event) {
  ReceiverEffects out;
  const auto& arriving = event.assignment;
  if (order(assignment_, arriving) != AssignmentOrder::newer) return out;
  const bool new_reign = arriving.epoch != assignment_.epoch;
  assignment_ = arriving;
  promised_ = std::max(promised_, arriving.epoch);
  if (!new_reign || records_link_ == 0) return out;
  sometimes(Mark::reign_changed_under_link);
  reason_ = fmt::format("epoch {} began", arriving.epoch);
  drop_links(refusal(RefusalCode::stale_epoch, reason_, promised_), out);
  become(ReceiverState::waiting, out);
  return out;
}

ReceiverEffects Receiver::on(const FenceAsked& event) {
  ReceiverEffects out;
  promised_ = std::max(promised_, event.epoch);
  const bool older = records_link_ != 0 && assignment_.epoch < promised_;
  if (older && !planted(Bug::promise_fences_nobody)) {
    sometimes(Mark::promise_fenced_primary);
    reason_ = fmt::format("fenced by a promise of epoch {}", promised_);
    drop_links(refusal(RefusalCode::stale_epoch, reason_, promised_), out);
    become(ReceiverState::waiting, out);
  }
  fence_pending_ = true;
  after_store_work(out);
  sometimes(fence_pending_, Mark::promise_waits_for_disk);
  return out;
}

ReceiverEffects Receiver::on(const StopAsked& event) {
  ReceiverEffects out;
  if (state_ == ReceiverState::stopped) {
    out.push_back(AnswerStop{numbers_.committed});
    return out;
  }
  reason_ = event.reason;
  drop_links(refusal(RefusalCode::shutting_down, event.reason, promised_), out);
  become(ReceiverState::stopping, out);
  stop_pending_ = true;
  after_store_work(out);
  return out;
}

ReceiverEffects Receiver::on(const StoreBroke& event) {
  ReceiverEffects out;
  if (broken_) return out;
  broken_ = event.error;
  reason_ = fmt::format("the store failed: {}", event.error.text);
  // The links go at once, so that what was received and is not durable counts for nothing (C23).
  drop_links(refusal(RefusalCode::store_failed, reason_, promised_), out);
  if (state_ != ReceiverState::stopping) become(ReceiverState::refusing, out);
  out.push_back(EndRole{reason_});
  after_store_work(out);
  return out;
}

ReceiverEffects Receiver::on(const StoreMoved& event) {
  ReceiverEffects out;
  numbers_.wal_free_bytes = event.wal_free_bytes;
  numbers_.retained = event.retained;
  damaged_ = event.damaged;
  // While the log is cut or reset these numbers speak of the one before; the step's end sets them.
  const bool begins_log = step_ == Step::beginning && step_scope_ != BaseScope::rest;
  if (step_ == Step::truncating || begins_log) return out;
  if (sometimes(event.durable > numbers_.received, Mark::store_spoke_of_cut_log)) {
    out.push_back(Log{Event(Level::warning, "store_progress_ignored")
                          .with("durable", event.durable)
                          .with("received", numbers_.received)});
    return out;
  }
  numbers_.checkpoint = event.checkpoint;
  if (event.durable >= numbers_.durable) {
    ack_due_ = ack_due_ || (in_session() && event.durable > numbers_.durable);
    numbers_.durable = event.durable;
    numbers_.durable_digest = event.digest;
  }
  while (!undurable_.empty() && undurable_.front().lsn <= numbers_.durable) {
    undurable_cost_ -= undurable_.front().cost;
    undurable_.pop_front();
  }
  seek_repair(out);
  after_store_work(out);
  return out;
}

ReceiverEffects Receiver::on(const TurnEnded&) {
  ReceiverEffects out;
  if (std::exchange(committed_due_, false)) out.push_back(TellCommitted{numbers_.committed});
  if (std::exchange(ack_due_, false) && in_session()) send_ack(out);
  check_barrier(out);
  return out;
}

void Receiver::send_ack(ReceiverEffects& out) {
  out.push_back(Answer{records_link_,
                       Ack{assignment_.spec.id, assignment_.epoch, session_, numbers_.received,
                           numbers_.durable, numbers_.durable_digest, numbers_.wal_free_bytes}});
}

/// Something on the disk came to its end: who waited for that goes on.
void Receiver::after_store_work(ReceiverEffects& out) {
  if (fence_pending_ && broken_) {
    fence_pending_ = false;
    out.push_back(AnswerFence{*broken_});
  }
  if (stop_pending_ && (broken_ || !store_busy())) {
    stop_pending_ = false;
    become(ReceiverState::stopped, out);
    out.push_back(AnswerStop{numbers_.committed});
  }
  if (store_busy() || broken_) return;
  if (fence_pending_ && numbers_.durable == numbers_.received) {
    fence_pending_ = false;
    out.push_back(AnswerFence{Done{}});
  }
  if (deferred_) {
    sometimes(Mark::question_waits_for_store);
    auto message = std::move(*deferred_);
    deferred_.reset();
    auto more = on(PeerSaid{records_link_, std::move(message)});
    std::move(more.begin(), more.end(), std::back_inserter(out));
  }
}

void Receiver::become(ReceiverState to, ReceiverEffects& out) {
  if (state_ == to) return;
  CHECK(allowed(state_, to));
  walked(state_, to);
  out.push_back(Log{Event(Level::info, "receiver_state_changed")
                        .with("replica", assignment_.self)
                        .with("from", to_string(state_))
                        .with("to", to_string(to))
                        .with("at", numbers_.received)
                        .with("reason", reason_)});
  state_ = to;
}

}  // namespace tidemark::engine::inflow
