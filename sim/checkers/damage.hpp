// Disks of a run damage nothing by themselves: what a copy finds damaged is the simulator's work, or was never written as
// it was said to be.
#pragma once

#include "engine/event.hpp"

namespace tidemark::sim {

/// Whether the event tells of damage that nobody did. `rotten`: bytes on disks were damaged on purpose.
inline bool damaged_by_itself(const engine::Event& event, bool rotten) {
  return !rotten && (event.name == "block_damaged" || event.name == "log_damaged");
}

}  // namespace tidemark::sim
