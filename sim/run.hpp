// One seed, from boot to the last comparison.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/planted.hpp"
#include "sim/cluster.hpp"

namespace tidemark::sim {

struct RunOptions {
  std::uint64_t seed = 1;
  engine::Bug bug = engine::Bug::none;
  bool verbose = false;
};

struct Outcome {
  std::uint64_t seed = 0;
  std::uint64_t trace = 0;
  std::optional<Failure> failure;
  std::uint64_t steps = 0;
  std::uint64_t frames = 0;
  std::uint64_t records = 0;
  std::uint64_t virtual_milliseconds = 0;
  std::uint64_t operations = 0;  ///< Answered.
  std::uint64_t crashes_and_cuts = 0;
  std::map<std::string, std::uint64_t> asked;
  std::map<std::string, std::uint64_t> faults;
  Counts counts;
  std::string configuration;             ///< The drawn options, on one line.
  std::vector<std::string> last_events;  ///< Of a failure.
};

/// Operations that every seed answers at least.
inline constexpr std::uint64_t operations_min = 320;
inline constexpr std::uint64_t crashes_min = 3;

/// Switches the bug on and off again around the run.
Outcome run_seed(const RunOptions& options);

/// The same, and once more in silence unless it failed: another trace then is a failure.
Outcome run_seed_twice(const RunOptions& options);

/// The one command that repeats a run.
std::string command(const RunOptions& options);

/// Of the run that is under way; for the report of a CHECK that failed in it.
std::vector<std::string> last_events_of_run();
std::string command_of_run();

}  // namespace tidemark::sim
