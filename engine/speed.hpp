// How fast something goes lately: sums over slices of a second, smoothed over some four of them.
#pragma once

#include <cstdint>

#include "engine/types.hpp"

namespace tidemark::engine {

class Speed {
 public:
  void begin(MonoTime now) { *this = Speed(now); }
  void note(MonoTime now, std::uint64_t amount) {
    sum_ += amount;
    const auto length = now - slice_began_;
    if (length < slice) return;
    const auto fresh = per_second(length);
    smooth_ = known_ ? (3 * smooth_ + fresh) / 4 : fresh;
    known_ = true;
    slice_began_ = now;
    sum_ = 0;
  }
  /// Per second. What has come to a stop is slower by the moment.
  std::uint64_t at(MonoTime now) const {
    const auto length = now - slice_began_;
    if (known_ && length < 4 * slice) return smooth_;
    return length == 0 ? 0 : per_second(length);
  }

  Speed() = default;

 private:
  static constexpr std::uint64_t slice = second;

  explicit Speed(MonoTime now) : slice_began_(now) {}
  std::uint64_t per_second(std::uint64_t nanoseconds) const {
    return sum_ * 1'000 / (nanoseconds / millisecond + 1);
  }

  MonoTime slice_began_;
  std::uint64_t sum_ = 0;
  std::uint64_t smooth_ = 0;
  bool known_ = false;
};

}  // namespace tidemark::engine
