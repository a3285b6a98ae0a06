// One node of a run: a disk and a catalog that last, and a process that boots, is killed and boots
// again with the shipped actors inside.
#pragma once

#include <caf/all.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "actors/environment.hpp"
#include "actors/front_desk.hpp"
#include "actors/spawn.hpp"
#include "sim/disk.hpp"
#include "sim/events.hpp"
#include "sim/kv.hpp"
#include "sim/network.hpp"
#include "sim/scheduler.hpp"
#include "sim/time.hpp"
#include "sim/trace.hpp"

namespace tidemark::sim {

/// What all nodes of a run share.
struct World {
  std::uint64_t seed;
  Random random;
  Trace trace;
  Events events{random, trace};
  SimNet net{events, trace, random.fork()};
  actors::Settings settings;
  engine::ClusterId cluster;
  std::uint32_t last_life = 0;
  /// Every event of every node, as it happens. For checkers.
  std::function<void(const Life& by, const engine::Event&)> on_event;

  explicit World(std::uint64_t s) : seed(s), random(s) {}
};

enum class Kill {
  process,  ///< SIGKILL: what was written stays, what was in flight lands late or never.
  power,  ///< The machine: unsynced changes are kept, lost or torn, and nobody closes connections.
};

class SimNode {
 public:
  /// The first node hosts the control plane.
  SimNode(World& world, std::uint32_t index);
  ~SimNode();
  SimNode(const SimNode&) = delete;
  SimNode& operator=(const SimNode&) = delete;

  /// Starts the process under the next incarnation.
  void boot(caf::actor_system& system);
  void kill(caf::actor_system& system, Kill how);
  /// Alive only: until it goes on, it handles nothing. Its files stay locked, its connections open.
  void pause(caf::actor_system& system);
  void go_on(caf::actor_system& system);
  bool paused() const { return life_ && life_->alive && life_->paused; }
  /// Dead only: a new disk, catalog and identity under the old name.
  void wipe();

  /// All that a node has on its disks, at one moment.
  struct Image {
    engine::NodeId id;
    engine::Incarnation incarnation;  ///< Stands in the catalog.
    DiskImage disk;
    KvImage kv;
  };
  /// As a snapshot of its disks finds it: what no power loss takes, and some of the rest.
  Image image() const;
  /// Dead only: its disks are what they were. The machine stays the same.
  void put_image(const Image& image);
  /// Where others reach it: 10.0.`net`.`host`.
  struct Place {
    std::uint32_t net = 0;
    std::uint32_t host = 0;
  };
  const Place& place() const { return place_; }
  engine::Endpoint address() const;
  /// Dead only: it boots under another address.
  void move(const Place& to);
  WallClock& wall_clock() { return wall_; }
  /// Dead only: a machine of its own with what another node's disks held, by which nothing is judged.
  void become_twin() { twin_ = true; }

  bool alive() const { return process_ != nullptr; }
  std::uint32_t index() const { return index_; }
  const engine::NodeId& id() const { return id_; }
  const std::string& name() const { return id_.name; }
  const LifePtr& life() const { return life_; }
  engine::Incarnation incarnation() const { return incarnation_; }
  DiskImage& disk() { return disk_; }
  KvImage& kv() { return kv_; }
  /// What its front ends open. Alive only.
  engine::Exports& exports();
  const actors::Node& actor() const;
  std::string directory() const { return "/" + id_.name; }

  /// Every event of the node, as it happens.
  std::function<void(const SimNode&, const engine::Event&)> on_event;

 private:
  struct Process;

  World& world_;
  std::uint32_t index_;
  engine::NodeId id_;
  engine::Incarnation incarnation_;
  Random random_;
  WallClock wall_;
  Place place_;
  bool twin_ = false;
  DiskImage disk_;
  KvImage kv_;
  LifePtr life_;
  std::unique_ptr<Process> process_;
};

}  // namespace tidemark::sim
