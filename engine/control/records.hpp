// What the control plane remembers, one catalog value each. Whoever has these has all of
// its state: what else it holds in memory (links, promises, acknowledgements) is asked for
// again after a restart.
//
//   control/node/<name>     who may call itself so, where it is, its last incarnation
//   control/volume/<uuid>   spec, members, reign (epoch, nonce, primary), set, version,
//                           what is under way
//   control/counters        the next ReplicaId
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/types.hpp"

namespace tidemark::engine::control {

inline constexpr std::string_view key_prefix = "control/";
inline constexpr std::string_view counters_key = "control/counters";
inline constexpr std::string_view node_prefix = "control/node/";
inline constexpr std::string_view volume_prefix = "control/volume/";

struct NodeRecord {
  NodeId id;
  Endpoint replication;
  Endpoint nbd;
  Incarnation incarnation;  ///< The highest that registered.
  bool readmit = false;     ///< An operator lets the name go to another UUID, once.
  Uuid readmit_uuid;        ///< Only to this one; zero: to whoever comes.
  auto operator<=>(const NodeRecord&) const = default;
};
std::string key_of(const NodeRecord& node);
std::string encode(const NodeRecord& node);
std::optional<NodeRecord> decode_node(std::string_view bytes);

/// A replica and where it lives.
struct Placement {
  ReplicaId replica;
  NodeId node;
  ReplicaId replaced_by;  ///< Leaves as soon as that one is in the set; 0: it stays.
  auto operator<=>(const Placement&) const = default;
};

struct VolumeRecord {
  VolumeSpec spec;
  Epoch epoch;
  std::uint64_t nonce = 0;
  Version version;
  ReplicaId primary;
  Incarnation primary_incarnation;
  std::uint8_t marks = 0;
  std::vector<Placement> members;  ///< Ordered by ReplicaId.
  /// Ordered by ReplicaId. A subset of members; in sync_quorum the voters: one that was removed stays
  /// until the primary has asked for the set without it.
  std::vector<SetMember> in_sync;
  std::vector<Placement>
      gone;       ///< Replicas whose node has not yet said that their directory is deleted.
  Epoch fencing;  ///< Reserved for the next reign while promises are taken; 0: settled.
  std::string fencing_reason;
  ReplicaId wanted;  ///< Whom an operator wants to be primary; 0: nobody in particular.
  bool deleting = false;
  /// What an operator wants instead of the spec's configuration; one change at a time.
  std::optional<Configuration> wish;
  std::vector<Reign> reigns;  ///< The last reigns_max, the one in force included; epochs rising.
  auto operator<=>(const VolumeRecord&) const = default;

  const Placement* member(ReplicaId replica) const;
  const Placement* on_node(const NodeId& node) const;
  /// One that stays before one that is being replaced: after a node came back under another UUID both have its name.
  const Placement* on_node(const std::string& name) const;
  const SetMember* in_set(ReplicaId replica) const;
  bool settled() const { return !fencing; }
  /// In sync_quorum: a voter that is no member any more, if there is one. It has no data and no vote,
  /// and is still counted among the voters.
  const SetMember* left_voter() const;
  /// The reign of `epoch` begins with `version`: members are told of it from here on.
  void begin_reign(bool forced);
};
std::string key_of(const VolumeRecord& volume);
std::string encode(const VolumeRecord& volume);
std::optional<VolumeRecord> decode_volume(std::string_view bytes);

std::string encode_counters(std::uint64_t next_replica);
std::optional<std::uint64_t> decode_counters(std::string_view bytes);

using Nodes = std::map<std::string, NodeRecord>;

/// What the member is to be told. A member whose node is gone for good has no endpoint.
Assignment assignment_for(const VolumeRecord& volume, const Placement& self, const Nodes& nodes);

}  // namespace tidemark::engine::control
