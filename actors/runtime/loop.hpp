// A daemon's one thread: io_context, actor system, clock, timers and random numbers in one object.
//
//   Loop loop(print);                     // before everything that uses it
//   LogEvents events(logger, loop.clock());
//   UringDisk disk(loop.io()); ...        // seams that live on the loop
//   ... spawn actors on loop.actors() ...
//   loop.run();                           // until stop(), e.g. after NodeStopped
//   loop.settle();                        // before the seams are destroyed
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <caf/all.hpp>
#include <memory>

#include "actors/runtime/busy_poll.hpp"
#include "actors/runtime/loop_random.hpp"
#include "actors/runtime/loop_scheduler.hpp"
#include "actors/runtime/loop_time.hpp"

namespace tidemark::actors {

class Loop {
 public:
  /// `print` gets what CAF itself has to say (an exception that left an actor): log it as an error.
  explicit Loop(OnPrint print);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  boost::asio::io_context& io() { return io_; }
  caf::actor_system& actors() { return *actors_; }
  engine::Clock& clock() { return clock_; }
  engine::Timers& timers() { return timers_; }
  engine::Rng& rng() { return rng_; }

  /// How long run() looks for more work at most before it sleeps, in nanoseconds (busy_poll.hpp);
  /// 0, as constructed: not at all.
  void busy_poll_for(std::uint64_t nanoseconds) { busy_poll_ = BusyPoll(nanoseconds); }
  /// Runs handlers, timers and actors on this thread until stop(). May be called again.
  void run();
  /// Ends run() after the handler that is running.
  /// Any thread; not a signal handler (use signal_set on io()).
  void stop();
  /// After run(): drops timers and runs what is already posted, because it may hold actors, so that
  /// sockets, disk and actors can be destroyed in any order. Nothing new is waited for; actors that
  /// do not come to rest are ended.
  void settle();

 private:
  LoopScheduler& scheduler();

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  BusyPoll busy_poll_;
  LoopClock clock_;
  LoopTimers timers_;
  LoopRandom rng_;
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> actors_;
};

}  // namespace tidemark::actors
