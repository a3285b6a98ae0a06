// What a node finds where a copy of the volume was: nothing, or somebody else's.
#pragma once

#include <cstdint>

#include "sim/cluster.hpp"
#include "sim/random.hpp"

namespace tidemark::sim {

/// The files of the node's copies are gone, their directories are there: an empty disk is mounted where theirs was. The
/// node must be down, and nothing of it in flight.
void lose_files(Cluster& cluster, std::uint32_t node);

/// The node's copies are another cluster's, another volume's or another replica's from now on, as their superblocks tell.
/// The node must be down, and nothing of it in flight. False: there is no superblock to change.
bool make_foreign(Cluster& cluster, std::uint32_t node, Random& random);

/// Whether the node's copy follows the primary, as the cluster's status tells it.
bool follows(Cluster& cluster, std::uint32_t node);

}  // namespace tidemark::sim
