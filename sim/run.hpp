// One plan, from boot to the last comparison:
//
//   boot ─► load and faults ─► heal, load to its end ─► rest: rules, size, all copies shown ─► cold restart, shown again
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/planted.hpp"
#include "sim/cluster.hpp"
#include "sim/coverage.hpp"
#include "sim/plan.hpp"

namespace tidemark::sim {

struct RunOptions {
  std::uint64_t seed = 1;
  engine::Bug bug = engine::Bug::none;
  bool verbose = false;
  std::string file;  ///< Where the plan was read; empty: it came from `seed`.
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
  Begun begun;                   ///< When it ended or failed.
  std::uint64_t crashes_and_cuts = 0;
  std::map<std::string, std::uint64_t> asked;
  std::map<std::string, std::uint64_t> faults;
  Coverage coverage;
  Counts counts;
  std::string configuration;             ///< The drawn options, on one line.
  std::vector<std::string> last_events;  ///< Of a failure.
};

/// Switches the bug on and off again around the run. Of `options` the seed counts for nothing here.
Outcome run_plan(const Plan& plan, const RunOptions& options);
/// The same, and once more in silence unless it failed: another trace then is a failure.
Outcome run_plan_twice(const Plan& plan, const RunOptions& options);

/// Of the plan that a seed expands into.
Outcome run_seed(const RunOptions& options);
Outcome run_seed_twice(const RunOptions& options);

/// The one command that repeats a run.
std::string command(const RunOptions& options);

/// Of the run that is under way; for the report of a CHECK that failed in it.
std::vector<std::string> last_events_of_run();
std::string command_of_run();

}  // namespace tidemark::sim
