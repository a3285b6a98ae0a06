// Does the simulator find what it claims to? Each planted bug is looked for in seeds, with all kinds of faults, until one
// of them fails.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/planted.hpp"
#include "sim/batch.hpp"

namespace tidemark::sim {

/// The rule of docs/RULES.md that the bug breaks.
std::string_view rule_of(engine::Bug bug);

struct HuntOptions {
  engine::Bug bug = engine::Bug::none;
  std::uint64_t first = 1;  ///< Seed.
  std::uint64_t seeds_max = 10'000;
  std::uint32_t jobs = 1;
  /// Asked after each seed; true ends the hunt without a find.
  std::function<bool()> over;
  /// A seed that fails without the bug as well is of no use here and told.
  std::function<void(const SeedFailure&)> on_false_find;
};

struct Hunted {
  bool found = false;
  bool interrupted = false;
  std::uint64_t seeds = 0;  ///< Looked at, the one that failed among them.
  SeedFailure failure;      ///< If found: the seed that repeats it, and how it fails.
};

/// Of several processes the first that finds it ends the hunt; the seed is not always the same then.
Hunted hunt(const HuntOptions& options);

}  // namespace tidemark::sim
