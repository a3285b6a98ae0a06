#include "actors/runtime/loop.hpp"

#include <utility>

namespace tidemark::actors {
namespace {

// How many posted handlers settle() runs before actors that are still ready are ended instead of
// run. One handler may be a whole drain (8,192 messages, about 1 ms), so an actor that sends to
// itself costs a daemon's end a tenth of a second.
constexpr std::size_t settle_handlers_with_actors_max = 100;
// And without actors, for completions that wait in line: more than sockets and ring can hold.
constexpr std::size_t settle_handlers_max = 100'000;

}  // namespace

Loop::Loop(OnPrint print) : work_(io_.get_executor()), timers_(io_, clock_) {
  LoopScheduler::install(config_, io_, std::move(print));
  actors_ = std::make_unique<caf::actor_system>(config_);
  // ~actor_system would wait for all actors on the only thread that could run them.
  actors_->await_actors_before_shutdown(false);
}

Loop::~Loop() {
  settle();
  scheduler().expect_stop();
  actors_.reset();
}

void Loop::run() {
  if (io_.stopped()) io_.restart();
  while (!io_.stopped()) {
    io_.poll();
    if (!io_.stopped()) wait_for_work(busy_poll_, clock_, io_);
  }
}

void Loop::stop() { io_.stop(); }

LoopScheduler& Loop::scheduler() { return static_cast<LoopScheduler&>(actors_->scheduler()); }

void Loop::settle() {
  timers_.clear();
  for (std::size_t n = 0; n < settle_handlers_max; ++n) {
    // A handler may have called stop() again.
    if (io_.stopped()) io_.restart();
    if (io_.poll_one() == 0) break;
    if (n == settle_handlers_with_actors_max) scheduler().end_the_ready();
  }
  timers_.clear();
}

}  // namespace tidemark::actors
