#include "actors/spawn.hpp"
#include "actors/volume_actor.hpp"

namespace tidemark::actors {

Volume spawn_volume(caf::actor_system& system, VolumeSeed seed) {
  return spawn_volume_with(system, std::move(seed), spawn_sender);
}

}  // namespace tidemark::actors
