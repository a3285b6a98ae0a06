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

struct SeedFailure {
  std::uint64_t seed = 0;
  std::string cls;
  std::string text;
  std::optional<Begun> begun;  ///< Nothing of a run that ended its process.
};

struct BatchResult {
  std::uint64_t done = 0;
  std::uint64_t traces = 0;  ///< Sum over the seeds' hashes: equal for equal runs of equal seeds.
  /// By kind and name, over all seeds that did not fail: "sum" has operations, steps, frames, virtual_ms and
  /// crashes_and_cuts, "fault" how often each struck, "ask" what clients asked for.
  std::map<std::string, std::map<std::string, std::uint64_t>> tallies;
  Coverage coverage = nothing_reached();  ///< Of the seeds that did not fail.
  std::vector<SeedFailure> failures;      ///< By seed.
  bool interrupted = false;  ///< By SIGINT or SIGTERM; the rest is what was done until then.

  std::uint64_t sum(const std::string& name) const;
};

struct BatchOptions {
  std::uint64_t first = 1;
  std::uint64_t count = 1;
  std::uint32_t jobs = 1;
  engine::Bug bug = engine::Bug::none;
  bool twice = false;  ///< Each seed runs twice and must leave the same trace.
  bool stop_at_failure = false;
  bool quiet = false;  ///< No reports of failing seeds.
  /// What each seed stands for; null: what it expands into.
  std::function<Plan(std::uint64_t seed)> plan;
  /// Not empty: only failures of this class are failures.
  std::string only_class;
  /// Asked after each finished seed: true ends the batch, as an interrupt does.
  std::function<bool()> over;
  /// After each finished seed.
  std::function<void(const BatchResult&)> progress;
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
