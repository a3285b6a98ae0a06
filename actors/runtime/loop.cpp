#include "actors/runtime/loop.hpp"

#include <utility>

namespace tidemark::actors {
namespace {

// How many posted handlers settle() runs at most. Handlers that post each other for ever (an actor
// that sends to itself) must not keep a daemon from ending.
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
  actors_.reset();
}

void Loop::run() {
  if (io_.stopped()) io_.restart();
  io_.run();
}

void Loop::stop() { io_.stop(); }

void Loop::settle() {
  timers_.clear();
  for (std::size_t n = 0; n < settle_handlers_max; ++n) {
    // A handler may have called stop() again.
    if (io_.stopped()) io_.restart();
    if (io_.poll_one() == 0) break;
  }
  timers_.clear();
}

}  // namespace tidemark::actors
