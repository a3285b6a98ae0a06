// How many voters it takes (mode sync_quorum): one place, for the commit rule, promotions and status.
//
//   voters n   required r = max(majority, min_copies)   votes that choose a primary = n - r + 1
//   3          2                                        2
//   4          3                                        2
//   5          3                                        3
//
// A record that r voters hold and the promises of n - r + 1 voters have a voter in common: whoever
// is chosen by these promises, by the greatest log, holds all that was ever committed (C2, C13).
// A voter that is away, slow or has no vote stays in n.
#pragma once

#include <algorithm>
#include <cstddef>

namespace tidemark::engine {

/// Most voters of one volume: the most copies, and those that have left and still count.
inline constexpr std::size_t voters_max = 16;

constexpr std::size_t majority_of(std::size_t voters) { return voters / 2 + 1; }

/// So many voters must hold a record. More than there are: nothing can be committed.
constexpr std::size_t required_voters(std::size_t voters, std::size_t min_copies) {
  return std::max(majority_of(voters), min_copies);
}

/// So many promises with a vote make a choice; at least one.
constexpr std::size_t votes_needed(std::size_t voters, std::size_t required) {
  return voters > required ? voters - required + 1 : 1;
}

}  // namespace tidemark::engine
