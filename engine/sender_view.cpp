// The sender seen from outside: what it knows of its replica, how its sessions fared, their pace.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/sender.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::outflow {
namespace {

bool is_supersession(EndCause cause) {
  return cause == EndCause::reassigned_epoch || cause == EndCause::reassigned_endpoint ||
         cause == EndCause::removed || cause == EndCause::stopped;
}

}  // namespace

PeerView Sender::view() const {
  PeerView v;
  v.replica = config_.peer;
  if (const auto* member = config_.assignment.member(config_.peer)) v.node = member->node;
  v.state = state_;
  v.reason = reason_;
  v.epoch = config_.assignment.epoch;
  v.history = config_.history;
  v.head = head_;
  v.committed = committed_;
  v.witnessed = witnessed_;
  v.known = known_;
  v.budget = config_.budget;
  if (!session_ || !session_->active()) return v;
  v.session = session_->id();
  v.phase = session_->phase();
  v.plan = session_->plan();
  if (v.plan) v.outcome = decided_;
  v.work = session_->work();
  v.durable = flowing() ? cursor_.durable() : Lsn{};
  if (session_->holds_pin()) v.pins.push_back(fmt::format("log from {}", pinned_from_));
  return v;
}

/// The facts of a handshake grow old while records flow: what acknowledgements proved since then
/// is what the replica will have, if it loses nothing.
void Sender::keep_what_acks_proved() {
  if (!flowing() || !known_ || !cursor_.durable()) return;
  const auto& plan = *session_->plan();
  auto& facts = known_->facts;
  const bool unfinished = plan.kind == SessionKind::rebuild && !session_->done();
  facts.base = unfinished ? BaseState::incomplete : BaseState::complete;
  facts.rebuild.reset();
  if (unfinished) {
    const auto& n = session_->numbers;
    const auto missing = n.base_blocks_all - std::min(n.base_blocks_all, n.base_blocks);
    facts.rebuild = BaseProgress{session_->epoch(), head_, missing};
    facts.checkpoint = std::min(plan.common_point, cursor_.durable());
  } else {
    facts.checkpoint = std::min(facts.checkpoint, cursor_.durable());
    if (plan.kind == SessionKind::rebuild)
      facts.checkpoint = std::max(facts.checkpoint, plan.common_point);
  }
  facts.received = facts.durable = cursor_.durable();
  facts.history = config_.history;
  facts.history.truncate(cursor_.durable());
  facts.committed = std::min(std::max(facts.committed, committed_), cursor_.durable());
  facts.clean = false;
  known_->at = acked_;
  known_->from_acks = true;
  known_->asked = false;
  known_->compared = cursor_.durable();
  known_->equal = true;
}

void Sender::count_work(RecoveryCounts::Result result) {
  const auto& numbers = session_->numbers;
  auto kind = RecoveryCounts::handshake;
  if (const auto& plan = session_->plan())
    kind = plan->kind == SessionKind::rebuild ? RecoveryCounts::rebuild : RecoveryCounts::catch_up;
  ++counts_.sessions[kind][result];
  counts_.bytes += numbers.bytes;
  counts_.base_blocks += numbers.base_blocks;
  counts_.milliseconds += (numbers.over - numbers.began) / millisecond;
}

/// The session that just ended was not done.
void Sender::count_end(EndCause cause, SenderEffects& out) {
  count_work(is_supersession(cause) ? RecoveryCounts::superseded : RecoveryCounts::failed);
  if (!session_->plan() || !counts_as_failure(cause)) return;
  const auto kind = session_->plan()->kind;
  if (!escalation_.failed(kind)) return;
  sometimes(Mark::recovery_escalated);
  ++counts_.escalations;
  out.push_back(Log{Event(Level::error, "recovery_escalated")
                        .with("replica", config_.peer)
                        .with("kind", to_string(kind))
                        .with("sessions", escalation_.failed_in_a_row())
                        .with("cause", to_string(cause))
                        .with("pause_milliseconds", config_.escalated_retry / millisecond)});
}

void Sender::tell_pace(PeerStatus& s, MonoTime now) const {
  const auto& plan = session_->plan();
  if (!plan || !session_->flowing()) return;
  if (session_->done()) {
    s.session_permille = 1000;
    return;
  }
  const auto& numbers = session_->numbers;
  const bool rebuild = plan->kind == SessionKind::rebuild;
  const auto all = rebuild ? numbers.base_blocks_all : plan->target - plan->common_point;
  const auto reached = std::max(cursor_.durable(), plan->common_point) - plan->common_point;
  const auto gone = std::min(all, rebuild ? numbers.base_blocks : reached);
  s.session_permille = all == 0 ? 1000 : gone * 1000 / all;
  s.session_rate = sent_bytes_.per_second(now);
  if (const auto pace = moved_.per_second(now); pace != 0)
    s.session_eta_milliseconds = (all - gone) * 1000 / pace;
}

}  // namespace tidemark::engine::outflow
