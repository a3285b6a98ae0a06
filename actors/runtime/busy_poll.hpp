// How long an idle loop looks for work before its thread sleeps. A processor that went idle takes
// longer to wake than most answers of a disk or a peer take to come; looking for them costs processor
// time. So it looks as long as that has lately paid:
//
//   idle for 90 us    -> looks for `max` the next time: the answer comes while it looks
//   idle for 20 ms    -> looks half as long the next time, then a quarter, ... then not at all
#pragma once

#include <cstdint>

namespace tidemark::actors {

class BusyPoll {
 public:
  /// `max` in nanoseconds; 0: never looks.
  explicit BusyPoll(std::uint64_t max = 0) : max_(max), window_(max) {}

  /// How long to look now, in nanoseconds.
  std::uint64_t window() const { return window_; }
  /// From running out of work to the next work, looking and asleep together.
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

}  // namespace tidemark::actors
