// How long clients waited for what was answered in a short while: a histogram of a few hundred cells,
// told and forgotten again and again.
//
//   cells:  1 us ▏▏▏▏▏▏▏▏ 2 us ▏▏▏▏▏▏▏▏ 4 us ... 9 hours        8 per doubling: right within 9 %
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/types.hpp"

namespace tidemark::engine {

/// What clients of one volume saw in one window.
struct LatencySample {
  MonoTime began;
  MonoTime ended;
  std::uint64_t count = 0;
  std::uint64_t median = 0;  ///< Nanoseconds.
  std::uint64_t p99 = 0;
};

/// Long enough for a hundred writes of a busy volume, short enough to slow a rebuild down at once.
inline constexpr std::uint64_t latency_window = 250 * millisecond;
/// A window with fewer answers goes on, up to latency_window_max: one answer has no median.
inline constexpr std::uint64_t latency_count_min = 8;
inline constexpr std::uint64_t latency_window_max = 1 * second;

class LatencyWindow {
 public:
  void note(std::uint64_t nanoseconds);
  /// The window's sample once it is over, and the next begins. `waiting`: how long the oldest waits
  /// that has no answer; a volume that answers nothing at all is not at rest.
  std::optional<LatencySample> take(MonoTime now, std::uint64_t waiting);

 private:
  static constexpr std::size_t cells_per_doubling = 8;
  static constexpr std::size_t cells = 45 * cells_per_doubling;

  static std::size_t cell_of(std::uint64_t nanoseconds);
  static std::uint64_t middle_of(std::size_t cell);
  std::uint64_t quantile(std::uint64_t of_hundred) const;

  std::array<std::uint32_t, cells> counts_{};
  std::uint64_t count_ = 0;
  std::optional<MonoTime> began_;
};

}  // namespace tidemark::engine
