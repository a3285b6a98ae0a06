#include "engine/latency_window.hpp"

#include <algorithm>
#include <bit>

namespace tidemark::engine {
namespace {

constexpr std::uint64_t unit = 1'000;  // 1 us: nothing that crosses a disk or a network is faster.

}  // namespace

// Octave by the highest bit, cell within it by the three bits behind.
std::size_t LatencyWindow::cell_of(std::uint64_t nanoseconds) {
  const auto units = std::max<std::uint64_t>(nanoseconds / (unit / cells_per_doubling), 8);
  const auto octave = static_cast<std::size_t>(std::bit_width(units)) - 4;
  const auto within = static_cast<std::size_t>(units >> octave) - cells_per_doubling;
  return std::min(octave * cells_per_doubling + within, cells - 1);
}

std::uint64_t LatencyWindow::middle_of(std::size_t cell) {
  const auto octave = cell / cells_per_doubling;
  const auto sixteenths = 2 * (cells_per_doubling + cell % cells_per_doubling) + 1;
  return ((sixteenths * (unit / cells_per_doubling)) << octave) / 2;
}

void LatencyWindow::note(std::uint64_t nanoseconds) {
  ++counts_[cell_of(nanoseconds)];
  ++count_;
}

std::uint64_t LatencyWindow::quantile(std::uint64_t of_hundred) const {
  const auto rank = (count_ * of_hundred + 99) / 100;
  std::uint64_t seen = 0;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    seen += counts_[cell];
    if (seen >= rank) return middle_of(cell);
  }
  return middle_of(cells - 1);
}

std::optional<LatencySample> LatencyWindow::take(MonoTime now, std::uint64_t waiting) {
  if (!began_) began_ = now;
  const auto length = now - *began_;
  if (length < latency_window) return std::nullopt;
  if (count_ < latency_count_min && length < latency_window_max) return std::nullopt;
  LatencySample sample{*began_, now, count_, 0, 0};
  began_ = now;
  if (count_ == 0) {
    if (waiting < latency_window) return std::nullopt;
    sample.count = 1;
    sample.median = sample.p99 = waiting;
    return sample;
  }
  sample.median = quantile(50);
  sample.p99 = quantile(99);
  counts_.fill(0);
  count_ = 0;
  return sample;
}

}  // namespace tidemark::engine
