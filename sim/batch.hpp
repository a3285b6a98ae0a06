// Many seeds in several processes: a seed that aborts, or trips a sanitizer,
// ends its process and nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/planted.hpp"
#include "sim/run.hpp"

namespace tidemark::sim {

struct BatchOptions {
  std::uint64_t first = 1;
  std::uint64_t count = 1;
  std::uint32_t jobs = 1;
  engine::Bug bug = engine::Bug::none;
  bool twice = false;  ///< Each seed runs twice and must leave the same trace.
  bool stop_at_failure = false;
  bool quiet = false;  ///< No reports of failing seeds.
  /// After each finished seed: how many are done and how many of them failed.
  std::function<void(std::uint64_t done, std::uint64_t failed)> progress;
};

struct SeedFailure {
  std::uint64_t seed = 0;
  std::string cls;
  std::string text;
};

struct BatchResult {
  std::uint64_t done = 0;
  std::uint64_t operations = 0;
  std::uint64_t crashes_and_cuts = 0;
  std::uint64_t steps = 0;
  std::uint64_t frames = 0;
  std::uint64_t traces = 0;  ///< Sum over the seeds' hashes: equal for equal runs of equal seeds.
  std::map<std::string, std::uint64_t> faults;
  std::map<std::string, std::uint64_t> asked;
  std::vector<SeedFailure> failures;  ///< By seed.
};

/// Runs seeds [first, first + count) in forked processes.
/// Reports of failing seeds go to standard error.
BatchResult run_batch(const BatchOptions& options);

/// What a failing seed prints: what broke, the last events, the command that repeats it.
std::string report(const RunOptions& options, const Outcome& outcome);

/// From here on a failed CHECK in a run prints the same report before the process ends with
/// status 1.
void report_aborts();

}  // namespace tidemark::sim
