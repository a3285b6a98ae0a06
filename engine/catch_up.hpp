// Executes a catch-up plan: start, replay, done.
// It can refuse to go on, but never choose another way.
//
//   starting ──ready at cp+1──► replaying ──durable >= target──► done
#pragma once

#include "engine/messages.hpp"
#include "engine/plan.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

class CatchUp {
 public:
  enum class Step : std::uint8_t { starting, replaying, done };

  explicit CatchUp(const Plan& plan);

  /// False where the replica is ready for other records than the plan's.
  bool ready(Lsn next);
  /// True exactly once: when the frozen target is witnessed durable. The head may have moved on
  /// since: what lies beyond the target is streaming's.
  bool durable(Lsn lsn);

 private:
  Step step_ = Step::starting;
  Lsn common_point_;
  Lsn target_;
};

/// The frame that begins `plan` at the replica.
StartSession start_of(const Plan& plan, VolumeId volume, Epoch epoch, SessionId session);

}  // namespace tidemark::engine
