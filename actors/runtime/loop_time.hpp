// Time in a daemon: the kernel's clocks, and timers on the loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include "engine/timer.hpp"

namespace tidemark::actors {

/// CLOCK_BOOTTIME (goes on during suspend) and CLOCK_REALTIME.
class LoopClock final : public engine::Clock {
 public:
  engine::MonoTime now() const override;
  engine::WallTime wall() const override;
};

/// All timers of a loop behind one Asio timer. On the loop's thread only.
class LoopTimers final : public engine::Timers {
 public:
  LoopTimers(boost::asio::io_context& io, const engine::Clock& clock);
  engine::TimerId after(std::uint64_t delay, std::function<void()> due) override;
  void cancel(engine::TimerId id) override;
  /// Drops every timer unfired.
  void clear();

 private:
  // Equal times fire in the order in which they were armed.
  using Key = std::pair<engine::MonoTime, engine::TimerId>;

  void arm();
  void fire();

  const engine::Clock& clock_;
  boost::asio::steady_timer timer_;
  std::map<Key, std::function<void()>> pending_;
  std::unordered_map<engine::TimerId, engine::MonoTime> due_;
  engine::TimerId last_id_ = 0;
  engine::MonoTime armed_for_{};  ///< Zero: the Asio timer is idle.
};

}  // namespace tidemark::actors
