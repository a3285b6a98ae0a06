// A node's clock and timers in virtual time.
#pragma once

#include <functional>
#include <utility>

#include "engine/timer.hpp"
#include "sim/events.hpp"

namespace tidemark::sim {

class SimClock final : public engine::Clock {
 public:
  /// `skew` is how far the node's wall clock is ahead of the world's start, in nanoseconds.
  SimClock(const Events& events, std::uint64_t boot_offset, std::uint64_t skew)
      : events_(events), boot_offset_(boot_offset), skew_(skew) {}

  engine::MonoTime now() const override { return events_.now() + boot_offset_; }
  engine::WallTime wall() const override { return engine::WallTime(events_.now().value + skew_); }

 private:
  const Events& events_;
  std::uint64_t boot_offset_;
  std::uint64_t skew_;
};

class SimTimers final : public engine::Timers {
 public:
  SimTimers(Events& events, LifePtr life) : events_(events), life_(std::move(life)) {}

  engine::TimerId after(std::uint64_t delay, std::function<void()> due) override {
    if (!life_->alive) return 0;
    return events_.after(delay, life_, "timer", std::move(due));
  }
  void cancel(engine::TimerId id) override { events_.cancel(id); }

 private:
  Events& events_;
  LifePtr life_;
};

}  // namespace tidemark::sim
