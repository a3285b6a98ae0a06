// How each actor comes to life: the only entry points of this folder beside interfaces.hpp.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "actors/environment.hpp"
#include "actors/interfaces.hpp"
#include "actors/pace.hpp"

namespace tidemark::actors {

/// Where the volumes that this node serves are found; shared by the node actor (which adds and
/// removes) and the front end (which opens). Lives on the loop.
class FrontDesk;

struct StoreSeed {
  EnvironmentPtr env;
  std::string directory;  ///< The replica's own directory.
  engine::VolumeSpec spec;
  engine::ReplicaId replica;
  bool create = false;           ///< A new replica's directory; otherwise it must exist and match.
  bool base_incomplete = false;  ///< With create: it needs a rebuild before it counts.
  caf::typed_actor<caf::reacts_to<StoreLost>> parent;
};
/// Sends nothing before OpenStore.
Store spawn_store(caf::actor_system& system, StoreSeed seed);

struct VolumeSeed {
  EnvironmentPtr env;
  engine::Assignment assignment;  ///< role == primary, for this node's incarnation.
  Store store;                    ///< Opened.
  StoreFacts facts;
  Node node;
  std::optional<Pace> pace = {};  ///< The node's; without one rebuilds are not held back.
};
/// Begins the reign: appends the epoch record and serves once it is committed (C3).
Volume spawn_volume(caf::actor_system& system, VolumeSeed seed);

struct SenderSeed {
  EnvironmentPtr env;
  engine::Assignment assignment;
  engine::ReplicaId peer;
  Store store;  ///< The primary's own.
  Volume volume;
  engine::Lsn head;  ///< What was numbered before the first RecordsNumbered it will get.
  engine::Lsn committed;
  engine::EpochHistory history;  ///< Of the primary's log, the current epoch included.
  engine::ConfigurationHistory configurations;
  std::optional<Pace> pace = {};
};
Sender spawn_sender(caf::actor_system& system, SenderSeed seed);

struct ReceiverSeed {
  EnvironmentPtr env;
  engine::Assignment assignment;  ///< role == replica.
  Store store;                    ///< Opened.
  StoreFacts facts;
  engine::Epoch promised;
  engine::Epoch forgotten;  ///< engine::LocalVolume::forgotten.
  Node node;
};
Receiver spawn_receiver(caf::actor_system& system, ReceiverSeed seed);

struct NodeSeed {
  EnvironmentPtr env;
  std::shared_ptr<FrontDesk> desk;
  std::optional<Control> control;  ///< On the node that hosts it.
};
Node spawn_node(caf::actor_system& system, NodeSeed seed);
/// Asks a node to stop in order: its roles, then its stores, which note that they were. `over` runs in an actor
/// of `system` once it has stopped, or was gone already.
void stop_node(caf::actor_system& system, const Node& node, std::function<void()> over);

/// How fast this node gives base blocks away: one per node.
Pace spawn_pace(caf::actor_system& system, EnvironmentPtr env);

/// The embedded control plane over the node's catalog.
Control spawn_control(caf::actor_system& system, EnvironmentPtr env);

}  // namespace tidemark::actors
