// One effort to bring one replica in line, and who may still act for it.
//
//   probing ──plan──► pinning ──pinned──► preparing ──ready──► running ──target reached──► done
//   any ──► ended (final)
//
// Pins are owed from the moment they are asked for and given back exactly once, on whatever way the
// session leaves pinning..running. `done` is streaming: the session's id stays in force for what
// follows, its pins do not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/plan.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

enum class SessionPhase : std::uint8_t { probing, pinning, preparing, running, done, ended };
std::string_view to_string(SessionPhase phase);
constexpr bool allowed(SessionPhase from, SessionPhase to) {
  using P = SessionPhase;
  switch (from) {
    case P::probing:
      return to == P::pinning || to == P::ended;
    case P::pinning:
      return to == P::preparing || to == P::ended;
    case P::preparing:
      return to == P::running || to == P::ended;
    case P::running:
      return to == P::done || to == P::ended;
    case P::done:
      return to == P::ended;
    case P::ended:
      return false;
  }
  return false;
}

/// Why a session ended. Typed: what follows never depends on a text.
enum class EndCause : std::uint8_t {
  link_down,
  link_silent,  ///< Nothing heard although something was owed.
  refused_by_peer,
  promised_higher,  ///< The replica promised a newer epoch.
  bad_answer,       ///< The replica broke the protocol.
  digest_mismatch,  ///< An incident: it holds other records than ours.
  log_gone,         ///< Our log no longer has what the cursor needs.
  source_failed,    ///< Our own disk could not read log or base.
  pin_failed,
  outcome_refused,
  outcome_not_yet,
  reassigned_epoch,
  reassigned_endpoint,
  removed,  ///< No longer a member.
  stopped,
  budget_duration,
  budget_records,
  budget_stalled,
};
std::string_view to_string(EndCause cause);

/// What stands between a call and its execution; checked in this order.
enum class Authority : std::uint8_t {
  granted,
  sender_stopped,
  no_session,
  other_session,
  session_ended,
  other_epoch
};
std::string_view to_string(Authority authority);

/// What a session used and how far it came; kept after its end.
struct SessionNumbers {
  std::uint64_t bytes = 0;  ///< Sent, frames included.
  std::uint64_t payload_bytes = 0;
  std::uint64_t records = 0;
  std::uint64_t base_blocks = 0;
  std::uint64_t base_blocks_all = 0;
  MonoTime began;
  MonoTime over;  ///< When it was done or ended; zero while it runs.
};

class Session {
 public:
  Session(SessionId id, Epoch epoch, MonoTime now);

  /// What the session took: its numbers so far, or what they were when it was done. The streaming
  /// that follows is not its work.
  const SessionNumbers& work() const { return work_ ? *work_ : numbers; }
  SessionId id() const { return id_; }
  Epoch epoch() const { return epoch_; }
  SessionPhase phase() const { return phase_; }
  bool active() const { return phase_ != SessionPhase::ended; }
  bool done() const { return phase_ == SessionPhase::done; }
  /// Records may be sent: the replica is ready for them.
  bool flowing() const { return phase_ == SessionPhase::running || phase_ == SessionPhase::done; }
  const std::optional<Plan>& plan() const { return plan_; }

  /// Whether a call that names `id` and `epoch` may be executed. `stopped` is the sender's.
  Authority authority(bool stopped, SessionId id, Epoch epoch) const;

  void bind(Plan plan, MonoTime now);  ///< probing -> pinning; the pin is owed from here on.
  void pinned(MonoTime now);           ///< -> preparing
  void ready(MonoTime now);            ///< -> running
  void complete(MonoTime now);         ///< -> done
  void end(MonoTime now);
  /// True exactly once, when a pin was asked for and the session is done or ended.
  bool take_pin_release();
  bool holds_pin() const { return pin_owed_; }

  /// Something moved: the stall budget starts anew.
  void progressed(MonoTime now) { last_progress_ = now; }
  /// The budget that is used up, if one is. Only a session that is not yet done has one.
  std::optional<EndCause> over_budget(MonoTime now) const;
  /// When to ask again, if nothing happens.
  std::optional<MonoTime> budget_due() const;

  SessionNumbers numbers;

 private:
  std::optional<SessionNumbers> work_;  ///< `numbers` at the end of the session.
  void become(SessionPhase to, MonoTime now);

  SessionId id_;
  Epoch epoch_;
  SessionPhase phase_ = SessionPhase::probing;
  std::optional<Plan> plan_;  ///< Set once, when probing ends.
  bool pin_owed_ = false;
  MonoTime last_progress_;
};

/// Checks all of it, also that there is a session.
Authority authority(bool stopped, const std::optional<Session>& session, SessionId id, Epoch epoch);

}  // namespace tidemark::engine
