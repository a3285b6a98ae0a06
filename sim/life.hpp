// One run of one node's process, from boot to its end. Whatever belongs to a process names its
// life; when the life is over, its timers, completions and actors are gone, and what its
// destructors still try has no effect.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace tidemark::sim {

struct Life {
  std::uint32_t id = 0;    ///< Unique in a run.
  std::uint32_t node = 0;  ///< Index of the node.
  std::string name;        ///< "node2/3": node and incarnation.
  bool alive = true;
  bool twin =
      false;  ///< Of a copied directory, beside the node that has its name: nobody's witness.
  bool paused =
      false;  ///< Stands still: what is for it waits. Set by Events and SimScheduler alone.
};
using LifePtr = std::shared_ptr<Life>;

}  // namespace tidemark::sim
