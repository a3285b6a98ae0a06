// A volume as its status shows it.
#include <algorithm>

#include "sim/cluster.hpp"

namespace tidemark::sim {

bool VolumeView::whole(std::size_t copies_wanted) const {
  if (!serving || pending || phase != "settled" || copies.size() != copies_wanted) return false;
  return std::all_of(copies.begin(), copies.end(), [&](const CopyView& c) {
    return c.in_set && (c.node == primary || (c.state == "streaming" && c.durable >= committed));
  });
}

bool VolumeView::alone() const { return mode == to_string(engine::Mode::best_effort); }

}  // namespace tidemark::sim
