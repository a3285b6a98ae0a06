// For tests: a volume whose senders are not the real ones. Everybody else uses spawn.hpp.
#pragma once

#include <functional>

#include "actors/spawn.hpp"

namespace tidemark::actors {

using SpawnSender = std::function<Sender(caf::actor_system&, SenderSeed)>;

Volume spawn_volume_with(caf::actor_system& system, VolumeSeed seed, SpawnSender spawn);

}  // namespace tidemark::actors
