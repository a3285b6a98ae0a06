// What a node was told of a volume's in-sync sets, and whether a reign began without knowing of it (C18).
//
//   told: epoch 5, version 9                     reigns:  e4 at 2, e5 at 6, e7 at 8
//                                                                           ^ forgets: 8 is not behind 9
//
// A version is durable at the control plane before anybody is told of it, and none is given twice through all reigns
// of a volume. So each reign begins behind every version that anybody was told of before, but one that was decided
// out of a backup: that may be the reign of a copy which a forgotten set had left out, and which lacks what was
// committed since.
#pragma once

#include <optional>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// The last in-sync set that a node was told is in force. Zero: none.
struct ToldSet {
  Epoch epoch;
  Version version;
  auto operator<=>(const ToldSet&) const = default;
};

/// The first of `reigns` (the last ones of the volume, as an assignment names them) behind that of `told`, if its control
/// plane had forgotten `told`, or if so many reigns were missed that nothing shows that it had not. Nothing where an
/// operator has forced it or a later one: then it is known what may be lost.
std::optional<Epoch> forgets(const ToldSet& told, const std::vector<Reign>& reigns);

}  // namespace tidemark::engine
