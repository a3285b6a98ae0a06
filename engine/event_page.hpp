// The recovery log of one volume at one place, and how it is read on: events have a number, and
// whoever names the last one he saw gets what follows, and is told what he missed.
//
//   dropped 1..12 | kept 13 ......... 268       since 4: a gap (4,12], then 13 ... 268
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/status.hpp"

namespace tidemark::engine {

/// Events that are gone.
struct EventGap {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  friend bool operator==(const EventGap&, const EventGap&) = default;
};

class RecoveryLog {
 public:
  explicit RecoveryLog(std::size_t max = recovery_log_max) : max_(max) {}

  void add(WallTime at, Event event) {
    kept_.push_back({at, std::move(event), ++last_});
    if (kept_.size() > max_) kept_.pop_front();
  }
  const std::deque<LoggedEvent>& kept() const { return kept_; }
  std::uint64_t last() const { return last_; }

  struct Page {
    std::optional<EventGap> gap;  ///< What lies behind `since` and is not kept any more.
    std::vector<LoggedEvent> events;
    std::uint64_t last = 0;  ///< To be asked from next.
  };
  /// What follows `since`; 0: all there is. A `since` beyond the last is of another log, which is
  /// over: then this one is told whole.
  Page since(std::uint64_t since) const {
    Page page;
    page.last = last_;
    if (since > last_) since = 0;
    const auto dropped = last_ - kept_.size();
    if (since < dropped) page.gap = EventGap{since + 1, dropped};
    const auto skip = since > dropped ? since - dropped : 0;
    page.events.assign(kept_.begin() + static_cast<std::ptrdiff_t>(skip), kept_.end());
    return page;
  }

 private:
  std::size_t max_;
  std::deque<LoggedEvent> kept_;  ///< The last max_, dense.
  std::uint64_t last_ = 0;
};

}  // namespace tidemark::engine
