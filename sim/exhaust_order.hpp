// All orders of two writes and a flush that depart from the base order (see Walk) at most so often: something waits,
// a node crashes (once at most), or the connections between the two nodes break or are blocked (once at most). Breadth
// first; a state that was seen is not walked on from.
// What two departures or more came to is judged without a second restart.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/cluster.hpp"
#include "sim/exhaust.hpp"

namespace tidemark::sim {

PartResult every_order(const ExhaustOptions& options);
std::optional<CaseFailure> play_order_case(const std::string& id, bool verbose);

/// Walks in the order of a case from a cluster at rest on. The states behind its last departure, one for each step;
/// nothing where the walk never comes to a departure.
std::vector<std::uint64_t> walk_order(Cluster& quiet, const std::string& id);

}  // namespace tidemark::sim
