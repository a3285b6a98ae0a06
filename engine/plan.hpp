// The planner binds everything that an executor needs: target, source, pins, reason. Executors
// run a plan and can't derive another one; if the world moved on, the session ends and new
// facts make a new plan.
#pragma once

#include <cstdint>
#include <string>

#include "engine/messages.hpp"
#include "engine/outcome.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// How much a session may take before it is given up and new facts are read. 0 = unlimited.
struct Budget {
  std::uint64_t duration = 0;         ///< Nanoseconds from its start to its end.
  std::uint64_t records = 0;          ///< Records sent in it.
  std::uint64_t stall = 30 * second;  ///< Nanoseconds without any progress.
};

struct Plan {
  SessionKind kind = SessionKind::catch_up;
  BaseScope scope = BaseScope::all;  ///< Of a rebuild.
  Lsn touched_from;       ///< Scope touched: the blocks of records with a greater LSN are named.
  Digest touched_digest;  ///< Of both logs there.
  std::optional<Lsn> parts_at;  ///< Rebuild: the replica's records behind it were committed and go.
  /// Records from the next one on are sent. For a rebuild of all or of what was touched: the base LSN.
  Lsn common_point;
  Digest digest;  ///< Of our log at common_point.
  WallTime time;  ///< Of a base: monotone time of our record there.
  bool truncates = false;
  Lsn target;                   ///< Frozen: our head when planned. Never below common_point.
  Lsn pin_from;                 ///< The log from here on is pinned while the session lasts.
  EpochHistory history;         ///< Our reigns up to common_point.
  Configuration configuration;  ///< In force at common_point.
  std::string reason;           ///< The outcome's proof.
  Budget budget;
};

/// What the planner takes from the primary's own side, as read in the same handshake as the facts.
struct PlanSource {
  EpochHistory history;
  Lsn head;
  Lsn checkpoint;
  WallTime checkpoint_time;  ///< Monotone time of the record there.
  std::optional<Digest> digest_at_checkpoint;
  Lsn compared;  ///< Where the digests were found equal: the common point, or below it.
  std::optional<Digest> digest_at_compared;
  ConfigurationHistory configurations;
};

/// A plan for what can be executed. Errc::not_yet for the rows that this build can't, Errc::refused
/// where an operator must act, Errc::stale where the reign is over, Errc::unavailable where our own
/// side lacks a number.
Result<Plan> make_plan(const Outcome& outcome, const PlanSource& source, const Budget& budget = {});

}  // namespace tidemark::engine
