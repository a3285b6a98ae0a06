// Time as a seam: the one clock and the one way to be woken. Daemons run it on the loop, the
// simulator on virtual time; nothing else in the core knows what time it is.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/types.hpp"

namespace tidemark::engine {

class Clock {
 public:
  virtual ~Clock() = default;
  /// CLOCK_BOOTTIME: goes on during suspend, never back.
  virtual MonoTime now() const = 0;
  /// Wall time; may step either way.
  virtual WallTime wall() const = 0;
};

/// Names an armed timer; 0 is none.
using TimerId = std::uint64_t;

class Timers {
 public:
  virtual ~Timers() = default;
  /// Calls `due` once on the loop, `delay` nanoseconds from now or later.
  virtual TimerId after(std::uint64_t delay, std::function<void()> due) = 0;
  /// Safe for a timer that fired or was cancelled.
  virtual void cancel(TimerId id) = 0;
};

/// Random numbers for ids, nonces and jitter.
class Rng {
 public:
  virtual ~Rng() = default;
  virtual std::uint64_t next() = 0;
};

}  // namespace tidemark::engine
