#include "engine/session.hpp"

#include <algorithm>
#include <utility>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/walked.hpp"

namespace tidemark::engine {

std::string_view to_string(SessionPhase phase) {
  switch (phase) {
    case SessionPhase::probing:
      return "probing";
    case SessionPhase::pinning:
      return "pinning";
    case SessionPhase::preparing:
      return "preparing";
    case SessionPhase::running:
      return "running";
    case SessionPhase::done:
      return "done";
    case SessionPhase::ended:
      return "ended";
  }
  return "unknown";
}

std::string_view to_string(EndCause cause) {
  switch (cause) {
    case EndCause::link_down:
      return "link_down";
    case EndCause::link_silent:
      return "link_silent";
    case EndCause::refused_by_peer:
      return "refused_by_peer";
    case EndCause::promised_higher:
      return "promised_higher";
    case EndCause::bad_answer:
      return "bad_answer";
    case EndCause::digest_mismatch:
      return "digest_mismatch";
    case EndCause::log_gone:
      return "log_gone";
    case EndCause::source_failed:
      return "source_failed";
    case EndCause::pin_failed:
      return "pin_failed";
    case EndCause::outcome_refused:
      return "outcome_refused";
    case EndCause::outcome_not_yet:
      return "outcome_not_yet";
    case EndCause::reassigned_epoch:
      return "reassigned_epoch";
    case EndCause::reassigned_endpoint:
      return "reassigned_endpoint";
    case EndCause::removed:
      return "removed";
    case EndCause::stopped:
      return "stopped";
    case EndCause::budget_duration:
      return "budget_duration";
    case EndCause::budget_records:
      return "budget_records";
    case EndCause::budget_stalled:
      return "budget_stalled";
  }
  return "unknown";
}

std::string_view to_string(Authority authority) {
  switch (authority) {
    case Authority::granted:
      return "granted";
    case Authority::sender_stopped:
      return "sender_stopped";
    case Authority::no_session:
      return "no_session";
    case Authority::other_session:
      return "other_session";
    case Authority::session_ended:
      return "session_ended";
    case Authority::other_epoch:
      return "other_epoch";
  }
  return "unknown";
}

Session::Session(SessionId id, Epoch epoch, MonoTime now)
    : id_(id), epoch_(epoch), last_progress_(now) {
  CHECK(id);
  CHECK(epoch);
  numbers.began = now;
}

Authority Session::authority(bool stopped, SessionId id, Epoch epoch) const {
  if (stopped) return Authority::sender_stopped;
  if (id != id_) return Authority::other_session;
  if (!active()) return Authority::session_ended;
  if (epoch != epoch_) return Authority::other_epoch;
  return Authority::granted;
}

void Session::bind(Plan plan, MonoTime now) {
  CHECK(!plan_);
  plan_ = std::move(plan);
  pin_owed_ = true;
  become(SessionPhase::pinning, now);
}

void Session::pinned(MonoTime now) { become(SessionPhase::preparing, now); }

void Session::ready(MonoTime now) { become(SessionPhase::running, now); }

void Session::complete(MonoTime now) {
  become(SessionPhase::done, now);
  numbers.over = now;
  work_ = numbers;
}

void Session::end(MonoTime now) {
  const bool was_done = done();
  become(SessionPhase::ended, now);
  if (!was_done) numbers.over = now;
}

bool Session::take_pin_release() {
  if (planted(Bug::pins_outlive_sessions)) return false;
  const bool over = phase_ == SessionPhase::done || phase_ == SessionPhase::ended;
  return over && std::exchange(pin_owed_, false);
}

std::optional<EndCause> Session::over_budget(MonoTime now) const {
  if (!active() || done()) return std::nullopt;
  // While there is no plan its defaults hold: a handshake that stalls is given up as well.
  const Budget budget = plan_ ? plan_->budget : Budget{};
  if (budget.duration != 0 && now - numbers.began > budget.duration)
    return EndCause::budget_duration;
  if (budget.records != 0 && numbers.records > budget.records) return EndCause::budget_records;
  if (budget.stall != 0 && now - last_progress_ > budget.stall) return EndCause::budget_stalled;
  return std::nullopt;
}

std::optional<MonoTime> Session::budget_due() const {
  if (!active() || done()) return std::nullopt;
  const Budget budget = plan_ ? plan_->budget : Budget{};
  std::optional<MonoTime> due;
  // One past the limit: budgets are exceeded strictly.
  if (budget.stall != 0) due = last_progress_ + (budget.stall + 1);
  if (budget.duration != 0) {
    const auto end = numbers.began + (budget.duration + 1);
    due = due ? std::min(*due, end) : end;
  }
  return due;
}

void Session::become(SessionPhase to, MonoTime now) {
  CHECK(allowed(phase_, to));
  walked(phase_, to);
  phase_ = to;
  last_progress_ = now;
}

Authority authority(bool stopped, const std::optional<Session>& session, SessionId id,
                    Epoch epoch) {
  if (stopped) return Authority::sender_stopped;
  if (!session) return Authority::no_session;
  return session->authority(stopped, id, epoch);
}

}  // namespace tidemark::engine
