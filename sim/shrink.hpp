// A failing plan is made as small as it gets: items are left out as long as the same class of failure remains (delta
// debugging: Zeller, Hildebrandt, TSE 2002).
//
//   what the run had not come to  at once: the rest goes as it went
//   faults, clients, requests     in halves, then quarters, ... then one by one
//   knobs, sizes, nodes, pauses   back to their defaults
//
// What a plan does not say, the order of messages and delays, moves when it changes, and a failure that needs one order
// may hide: so each smaller plan is tried under several schedules, and keeps the one that failed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/planted.hpp"
#include "engine/result.hpp"
#include "sim/plan.hpp"

namespace tidemark::sim {

struct ShrinkOptions {
  engine::Bug bug = engine::Bug::none;
  std::uint32_t jobs = 1;
  /// Asked after each run; true ends it with the smallest plan so far.
  std::function<bool()> over;
  /// After each plan that still failed.
  std::function<void(const Plan& smallest, std::uint64_t runs)> progress;
};

struct Shrunk {
  Plan plan;
  std::string cls;  ///< How both fail.
  std::uint64_t runs = 0;
  bool minimal = false;  ///< Nothing more can be left out by itself; else it was ended before.
};

/// Errors: invalid, the plan does not fail.
engine::Result<Shrunk> shrink(const Plan& plan, const ShrinkOptions& options);

}  // namespace tidemark::sim
