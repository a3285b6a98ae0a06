// A node's clock and timers in virtual time.
#pragma once

#include <functional>
#include <utility>

#include "engine/timer.hpp"
#include "sim/events.hpp"

namespace tidemark::sim {

/// The wall clock of a machine, which outlives its processes: it runs too fast or too slow, and somebody
/// sets it, forwards or back.
struct WallClock {
  std::uint64_t ahead = 0;             ///< Of virtual time, nanoseconds.
  std::int64_t parts_per_million = 0;  ///< Too fast, since `since`.
  engine::MonoTime since{};

  std::uint64_t at(engine::MonoTime now) const {
    constexpr std::int64_t million = 1'000'000;
    const auto elapsed = static_cast<std::int64_t>(now.value - since.value);
    const auto drifted = elapsed / million * parts_per_million;
    return now.value + ahead + static_cast<std::uint64_t>(drifted);
  }
  /// From now on it is `by` nanoseconds from where it was, and drifts so.
  void set(engine::MonoTime now, std::int64_t by, std::int64_t drift) {
    ahead = at(now) - now.value + static_cast<std::uint64_t>(by);
    parts_per_million = drift;
    since = now;
  }
};

class SimClock final : public engine::Clock {
 public:
  SimClock(const Events& events, std::uint64_t boot_offset, const WallClock& wall)
      : events_(events), boot_offset_(boot_offset), wall_(wall) {}

  engine::MonoTime now() const override { return events_.now() + boot_offset_; }
  engine::WallTime wall() const override { return engine::WallTime(wall_.at(events_.now())); }

 private:
  const Events& events_;
  std::uint64_t boot_offset_;
  const WallClock& wall_;
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
