// All that a run decides before it begins, written out: the volume, the knobs, what each client asks, what goes wrong and
// when. A seed expands into a plan; a plan can be printed, edited, shrunk and run again.
//
//   seed 42 ──expand──► plan ──run_plan──► outcome
//                        │ ▲
//                   print│ │parse        shrink: leaves items out while the same class of failure remains
//
// Each item draws from a source of its own (Random::at), so leaving one out leaves all the others as they were. What is
// not in the plan, the order of messages, delays, what a crash leaves of a disk, is drawn from `schedule`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/result.hpp"
#include "sim/client.hpp"
#include "sim/cluster.hpp"
#include "sim/faults.hpp"

namespace tidemark::sim {

/// Of the text form; another one is refused.
inline constexpr std::uint64_t plan_version = 2;

struct PlannedClient {
  std::uint64_t id = 0;
  std::uint64_t depth = 1;      ///< Requests kept in flight.
  std::uint64_t think_max = 0;  ///< Longest pause between turns, nanoseconds.
  std::vector<Ask> asks;        ///< In this order, once each.
};

struct PlannedFault {
  std::uint64_t id = 0;
  Fault fault{};
  std::uint64_t draws = 0;  ///< Where its own choices come from.
  std::uint64_t after = 0;  ///< So many more answers are waited for, 4 s at most.
  bool resizes = false;     ///< An operator asks for another size just before.
  bool reconfigures = false;
};

struct Plan {
  std::uint64_t seed = 0;  ///< That it was expanded from.
  std::uint64_t schedule = 0;
  std::uint64_t nodes = 3;
  std::uint64_t copies = 3;
  std::uint64_t min_copies = 2;
  engine::Mode mode = engine::Mode::sync_all;
  engine::AckPolicy ack = engine::AckPolicy::received;
  engine::BelowMin below_min = engine::BelowMin::block;
  std::vector<std::uint32_t> hosts;  ///< As in ClusterOptions.
  std::uint64_t blocks = 256;
  std::uint64_t share = 0;     ///< Requests that clients send at full speed while one fault lasts.
  bool rules_at_rest = false;  ///< At the end the volume gets other rules once more.
  bool cold_restart = false;   ///< At the end all lose power, and everything is compared again.
  std::map<std::string, std::uint64_t, std::less<>>
      knobs;  ///< Named in sim/knobs.hpp; what is not here keeps its default.
  std::vector<PlannedClient> clients;
  std::vector<PlannedFault> faults;

  std::uint64_t asks() const;
};

/// How far a run of a plan had come.
struct Begun {
  std::uint64_t faults = 0;
  std::vector<std::uint64_t> asks;  ///< Of each client.
};

/// Faults of the kinds that is_crash_or_cut names, in every plan of a seed.
inline constexpr std::uint64_t crashes_min = 3;
/// Requests in every plan of a seed.
inline constexpr std::uint64_t asks_min = 700;
inline constexpr std::uint64_t asks_max = 1300;

Plan expand(std::uint64_t seed);

/// What the cluster of this plan is built from.
ClusterOptions cluster_options(const Plan& plan);
/// The options on one line.
std::string describe(const Plan& plan);

/// JSON, some items a line.
std::string to_text(const Plan& plan);
/// Refuses what it does not know, with the reason: another version, an unknown key, fault or knob, a number that would
/// make no cluster.
engine::Result<Plan> parse_plan(std::string_view text);

}  // namespace tidemark::sim
