// Runs CAF's actors on a Boost.Asio io_context, between its I/O handlers: one loop, one thread, one
// actor_system. A message that is sent on the loop costs no lock, no thread hop and no wake-up.
//
//   socket readable -> session -> Submit -> [volume] -> [store] -> io_uring submit     one turn
//
// This is a scheduler module of CAF 0.17 (an actor_system module whose id is `scheduler` replaces
// CAF's own). Exactly one thread may run the io_context; any thread may send.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <caf/all.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <deque>
#include <thread>

#include "actors/runtime/caf_parts.hpp"

namespace tidemark::actors {

class LoopScheduler final : public caf::scheduler::abstract_coordinator {
 public:
  /// Messages one actor may handle before the next ready actor runs.
  static constexpr std::size_t messages_per_turn_max = 64;
  /// Actor turns before the io_context polls its descriptors again.
  static constexpr std::size_t turns_per_drain_max = 128;

  LoopScheduler(caf::actor_system& system, boost::asio::io_context& io, OnPrint print);

  /// Makes actor systems of `config` run on `io`, which must outlive them.
  static void install(caf::actor_system_config& config, boost::asio::io_context& io, OnPrint print);

  /// From now on an actor that becomes ready is ended instead of run: the loop is about to go.
  void end_the_ready() { ending_ = true; }

  /// The loop will not run again: what ~actor_system still sends (exits, to CAF's own actors) waits
  /// for stop(), which this thread calls next.
  void expect_stop() { stopping_ = std::this_thread::get_id(); }

  caf::actor_clock& clock() noexcept override { return clock_; }
  bool detaches_utility_actors() const override { return false; }

 protected:
  void start() override;
  /// Called by ~actor_system once the loop no longer runs:
  /// ends what is still ready instead of running it.
  void stop() override;
  /// Any thread.
  void enqueue(caf::resumable* job) override { push(job); }

 private:
  struct Unit final : caf::execution_unit {
    Unit(caf::actor_system& system, LoopScheduler& parent)
        : caf::execution_unit(&system), parent_(parent) {}
    void exec_later(caf::resumable* job) override { parent_.push(job); }
    LoopScheduler& parent_;
  };

  void push(caf::resumable* job);
  void take(caf::resumable* job);
  void schedule_drain();
  void drain();
  void run(caf::resumable* job);
  void end(caf::resumable* job);

  boost::asio::io_context& io_;
  OnPrint print_;
  NoTimersClock clock_;
  Unit unit_;
  std::deque<caf::resumable*> ready_;  ///< Each holds a reference.
  bool draining_ = false;
  bool drain_posted_ = false;
  bool ending_ = false;
  std::atomic<std::thread::id> stopping_{};  ///< The thread that runs stop().
};

}  // namespace tidemark::actors
