// The exhaustive tier: everything of a small scope, in place of much of a large one (small scope hypothesis; ACE of
// Mohan et al., "Finding crash-consistency bugs with bounded black-box crash testing", OSDI 2018; delay-bounded
// schedules of Emmi, Qadeer, Rakamaric, POPL 2011). Two parts:
//
//   crash   all workloads of so many requests x every step of a disk x what a crash leaves x how it goes on
//   order   two writes and a flush in all orders with so many departures from one: a delay, a crash, a cut
//
// What a bound leaves out is not claimed: a part says within which bound it is complete.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/planted.hpp"

namespace tidemark::sim {

struct ExhaustOptions {
  std::uint64_t requests = 2;    ///< Of the longest workload of `crash`.
  std::string workload;          ///< Of `crash` this one alone; empty: all.
  std::uint64_t departures = 2;  ///< Of any order of `order`.
  std::uint32_t jobs = 1;
  engine::Bug bug = engine::Bug::none;
  std::string part;  ///< Of "crash" and "order" this one alone; empty: both.
  bool stop_at_failure =
      false;  ///< A part ends with its first failing case, in place of failures_max.
  /// Of a part: units of work done and known, and failing cases.
  std::function<void(std::string_view part, std::uint64_t done, std::uint64_t known,
                     std::uint64_t failed)>
      progress;
};

struct CaseFailure {
  std::string id;  ///< For --case.
  std::string cls;
  std::string text;
};

/// One part, as far as it came.
struct PartResult {
  /// Failing cases that end a part: the rest would tell the same.
  static constexpr std::size_t failures_max = 10;

  std::string name;
  std::string bound;      ///< In words.
  bool complete = false;  ///< Every case within the bound was played.
  std::string why_not;    ///< Else.
  std::vector<std::pair<std::string, std::uint64_t>> counts;
  std::vector<CaseFailure> failures;  ///< In the order of the cases.
};

struct ExhaustResult {
  std::vector<PartResult> parts;
  bool failed() const;
  bool complete() const;
};

/// Equal options give equal results, whatever `jobs` is.
ExhaustResult run_exhaust(const ExhaustOptions& options);

/// Plays one case in this process. Nothing: there is no such case. An empty `cls`: it holds.
std::optional<CaseFailure> play_case(const std::string& id, engine::Bug bug, bool verbose);

/// The one command that repeats a case.
std::string command_of_case(const std::string& id, engine::Bug bug);

/// The command `tidemark-sim exhaust WORDS`; its exit status.
int exhaust_main(const std::vector<std::string_view>& words);

}  // namespace tidemark::sim
