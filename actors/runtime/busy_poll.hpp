// How long an idle loop looks for work before its thread sleeps. A processor that went idle takes
// longer to wake than most answers of a disk or a peer take to come; looking for them costs processor
// time. So it looks as long as that has lately paid:
//
//   idle for 90 us    -> looks for `max` the next time: the answer comes while it looks
//   idle for 20 ms    -> looks half as long the next time, then a quarter, ... then not at all
#pragma once

#include <cstdint>
#include <thread>

#include "engine/timer.hpp"

namespace tidemark::actors {

class BusyPoll {
 public:
  /// `max` in nanoseconds; 0: never looks.
  explicit BusyPoll(std::uint64_t max = 0) : max_(max), window_(max) {}

  /// How long to look now, in nanoseconds.
  std::uint64_t window() const { return window_; }
  /// From running out of work to the next work, looking and asleep together, without what that
  /// work took.
  void was_idle(std::uint64_t nanoseconds) {
    if (nanoseconds <= max_) {
      window_ = max_;
    } else {
      window_ = window_ / 2 < max_ / 16 ? 0 : window_ / 2;
    }
  }

 private:
  std::uint64_t max_;
  std::uint64_t window_;
};

/// Until `io` (an io_context, or a test's) had work and has run the first of it. Yields while it
/// looks, so whoever else is ready runs.
template <class Io>
void wait_for_work(BusyPoll& busy_poll, const engine::Clock& clock, Io& io) {
  const auto began = clock.now();
  const auto until = began + busy_poll.window();
  for (auto looked = began; looked < until && !io.stopped();) {
    std::this_thread::yield();
    looked = clock.now();
    if (io.poll_one() != 0) return busy_poll.was_idle(looked - began);
  }
  io.run_one();
  // Asio does not tell when the sleep ended, so the first handler counts too. The idleness was
  // longer than the window anyway: this matters only where the window is below `max`, and a long
  // handler behind a short sleep keeps it there.
  busy_poll.was_idle(clock.now() - began);
}

}  // namespace tidemark::actors
