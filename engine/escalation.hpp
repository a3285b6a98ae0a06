// When the same way of recovery fails again and again and gets nowhere, somebody should know, and
// the next try can wait. What is tried then is decided by new facts as ever: the count picks a
// pause and never a way.
//
//   failed catch_up, failed catch_up, ... (sessions_max in a row, nothing gained)  ──► escalated
//   any progress, another kind, success, a new assignment                          ──► forgotten
#pragma once

#include <cstdint>
#include <optional>

#include "engine/messages.hpp"
#include "engine/session.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// Whether an end for this cause says something of the way that was tried. A link that goes down,
/// and an order from above, say nothing.
constexpr bool counts_as_failure(EndCause cause) {
  switch (cause) {
    case EndCause::link_silent:
    case EndCause::refused_by_peer:
    case EndCause::bad_answer:
    case EndCause::digest_mismatch:
    case EndCause::log_gone:
    case EndCause::source_failed:
    case EndCause::pin_failed:
    case EndCause::budget_duration:
    case EndCause::budget_records:
    case EndCause::budget_stalled:
      return true;
    case EndCause::link_down:
    case EndCause::promised_higher:
    case EndCause::outcome_refused:
    case EndCause::outcome_not_yet:
    case EndCause::reassigned_epoch:
    case EndCause::reassigned_endpoint:
    case EndCause::removed:
    case EndCause::stopped:
      return false;
  }
  return false;
}

class Escalation {
 public:
  /// With a back-off of 50 ms to 1 s these take some 5 s: past what a restart of the peer explains.
  static constexpr std::uint32_t sessions_max = 8;

  /// A session of `kind` that had a plan failed. True when this one escalates.
  bool failed(SessionKind kind) {
    if (kind_ != kind) count_ = 0;
    kind_ = kind;
    ++count_;
    return count_ == sessions_max;
  }
  /// The replica is durable up to here: in a catch-up that is progress.
  void durable(Lsn lsn) {
    if (lsn <= best_durable_) return;
    best_durable_ = lsn;
    if (kind_ == SessionKind::catch_up) count_ = 0;
  }
  /// The replica says that it misses so many blocks: in a rebuild, fewer than ever is progress.
  void missing(std::uint64_t blocks) {
    if (least_missing_ && blocks >= *least_missing_) return;
    least_missing_ = blocks;
    if (kind_ == SessionKind::rebuild) count_ = 0;
  }
  void clear() { *this = Escalation(); }

  std::uint32_t failed_in_a_row() const { return count_; }
  bool escalated() const { return count_ >= sessions_max; }

 private:
  std::optional<SessionKind> kind_;  ///< Of the sessions counted.
  std::uint32_t count_ = 0;
  Lsn best_durable_;
  std::optional<std::uint64_t> least_missing_;
};

}  // namespace tidemark::engine
