// What runs reached of what there is to reach: rare branches, transitions of the engine's state
// machines, points between durable steps at which a process ended.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "sim/crash_points.hpp"

namespace tidemark::sim {

/// By name, how often; what was never reached stands there with 0.
struct Coverage {
  using Times = std::map<std::string, std::uint64_t>;
  Times marks;
  Times edges;
  Times crash_points;

  /// As if all of `other` had happened here too.
  void add(const Coverage& other);
  /// One of the words of words(); false: it is none.
  bool take(std::string_view word);
};

/// Everything that there is, never reached.
Coverage nothing_reached();
/// What this process reached since forget_reached(), with the points that ended one of a cluster's
/// processes.
Coverage reached(const CrashPoints& points);
void forget_reached();

/// What was reached, as words for a line between processes: "mark:NAME=TIMES" and the like.
std::string words(const Coverage& coverage);
/// "marks=H/T edges=H/T crash_points=H/T".
std::string summary(const Coverage& coverage);
/// The same as JSON, with the times of each name when `names`.
boost::json::object json_of(const Coverage& coverage, bool names);
/// A line for each name: what was never reached first, then the rest with its times.
std::string listing(const Coverage& coverage);

}  // namespace tidemark::sim
