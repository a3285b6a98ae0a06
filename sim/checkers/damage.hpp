// Disks of a run damage nothing by themselves: what a copy finds damaged is the simulator's work, or was never written as
// it was said to be.
#pragma once

#include <string>

#include "engine/event.hpp"

namespace tidemark::sim {

/// Whether the event tells of damage that nobody did. `rotten`: bytes on disks were damaged on purpose. What cannot be
/// read for the moment is not damaged.
inline bool damaged_by_itself(const engine::Event& event, bool rotten) {
  if (rotten || (event.name != "block_damaged" && event.name != "log_damaged")) return false;
  return engine::render(event).find("input/output error") == std::string::npos;
}

}  // namespace tidemark::sim
