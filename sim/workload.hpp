// What clients ask for: reads and writes of every shape, with flags and sizes drawn per seed, close
// enough to each other that requests overlap.
#pragma once

#include <cstdint>
#include <optional>

#include "sim/client.hpp"
#include "sim/random.hpp"

namespace tidemark::sim {

/// Which shapes a seed uses; a feature that is off leaves more room for the others (swarm testing:
/// Groce et al., ISSTA 2012).
struct WorkloadShape {
  std::uint64_t blocks = 256;
  std::uint64_t hot_blocks = 8;  ///< Half of all requests go here.
  std::uint64_t blocks_max = 8;  ///< Of an ordinary request.
  std::uint64_t big_one_in = 0;  ///< 1 of so many writes is up to 1 MiB. 0: none.
  bool unaligned = true;
  bool fua = true;
  bool flush = true;
  bool trim = true;
  bool zeroes = true;
  std::uint64_t read_percent = 25;
};
WorkloadShape draw_shape(Random& random);

/// A write that fills the log and no more of the volume than the first third of the smallest.
Ask flood_ask();
/// The next request.
Ask draw_ask(const WorkloadShape& shape, Random& random);

}  // namespace tidemark::sim
