// How fast a number grows: over the last seconds, from a few marks.
//
//   marks   o----o----o----o----o . now        rate = (newest - oldest) / (now - oldest's time)
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "engine/types.hpp"

namespace tidemark::engine {

class Rate {
 public:
  /// What is older tells nothing of now.
  static constexpr std::uint64_t window = 5 * second;
  /// Marks closer to each other become one: at most 21 are kept.
  static constexpr std::uint64_t spacing = 250 * millisecond;

  /// `total` grows, and was this at `now`.
  void note(std::uint64_t total, MonoTime now) {
    forget(now);
    if (marks_.size() > 1 && now - marks_[marks_.size() - 2].at < spacing) {
      marks_.back() = {total, now};
      return;
    }
    marks_.push_back({total, now});
  }
  void reset() { marks_.clear(); }
  /// Per second; 0 where nothing moved within the window.
  std::uint64_t per_second(MonoTime now) const {
    const Mark* first = nullptr;
    for (const auto& mark : marks_) {
      if (now - mark.at > window) continue;
      first = &mark;
      break;
    }
    if (first == nullptr || now - first->at < millisecond) return 0;
    return static_cast<std::uint64_t>(static_cast<double>(marks_.back().total - first->total) *
                                      static_cast<double>(second) /
                                      static_cast<double>(now - first->at));
  }

 private:
  struct Mark {
    std::uint64_t total = 0;
    MonoTime at;
  };
  void forget(MonoTime now) {
    while (marks_.size() > 1 && now - marks_.front().at > window) marks_.pop_front();
  }

  std::deque<Mark> marks_;  ///< Ordered by time.
};

}  // namespace tidemark::engine
