// What the control plane tells a node about one volume. An assignment is whole: a stale one
// (lower epoch, or same epoch and lower version) is refused before any side effect, the same one
// twice changes nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/configuration.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// What a volume is. Its size, mode and min_copies may change, by records of its log (engine/configuration.hpp);
/// all else is fixed at creation in this build, `copies` too: members may come and go.
struct VolumeSpec {
  VolumeId id;
  std::string name;              ///< 1 to 64 of [A-Za-z0-9._-], starting with a letter or digit.
  std::uint64_t size_bytes = 0;  ///< A multiple of block_bytes.
  Mode mode = Mode::sync_all;
  AckPolicy ack = AckPolicy::received;
  std::uint32_t copies = 3;
  std::uint32_t min_copies =
      2;  ///< Below it writes and flushes block, or fail; never silently local-only.
  /// Which of it. No rule of the log: the primary alone goes by it, as soon as it hears of it.
  BelowMin below_min = BelowMin::block;
  auto operator<=>(const VolumeSpec&) const = default;

  std::uint64_t blocks() const { return size_bytes / block_bytes; }
  Configuration configuration() const { return {size_bytes, mode, min_copies}; }
  void configure(const Configuration& c) {
    size_bytes = c.size_bytes;
    mode = c.mode;
    min_copies = c.min_copies;
  }
};

struct Member {
  ReplicaId replica;
  NodeId node;
  Endpoint endpoint;  ///< Where its node takes replication connections. May change.
  Endpoint nbd;  ///< Where its node takes NBD clients; told to those who knock at a non-primary.
  auto operator<=>(const Member&) const = default;
};

/// A (replica, incarnation) whose durability the commit rule counts. The incarnation says
/// where it last was exact: a later one counts for durability, not for `received` answers,
/// until re-recorded (C4).
struct SetMember {
  ReplicaId replica;
  Incarnation incarnation;
  auto operator<=>(const SetMember&) const = default;
};

/// How a reign began.
struct Reign {
  Epoch epoch;
  Version version;      ///< Its first: behind every one that anybody was told of before (C18).
  bool forced = false;  ///< An operator chose its primary though that may lack committed records.
  auto operator<=>(const Reign&) const = default;
};
/// So many of a volume's last reigns are named in its assignments.
inline constexpr std::size_t reigns_max = 16;

struct Assignment {
  VolumeSpec spec;
  Epoch epoch;
  std::uint64_t nonce = 0;
  Version version;
  ReplicaId self;  ///< The receiving node's replica.
  Role role = Role::replica;
  ReplicaId primary;
  Incarnation primary_incarnation;  ///< The reign is void for any later incarnation (C1).
  std::uint8_t marks = 0;           ///< EpochBody::Mark bits for the epoch record.
  std::vector<Member> members;      ///< Ordered by ReplicaId.
  std::vector<SetMember> in_sync;   ///< Ordered by ReplicaId.
  /// What an operator wants instead of the spec's; the primary makes it a record of the log, and
  /// says when that is committed.
  std::optional<Configuration> wanted;
  std::vector<Reign> reigns;  ///< The last reigns_max, this one included; epochs rising.
  auto operator<=>(const Assignment&) const = default;

  /// What the log is to say in the end.
  Configuration configuration() const { return wanted.value_or(spec.configuration()); }

  const Member* member(ReplicaId id) const;
  const SetMember* in_set(ReplicaId id) const;
};

enum class AssignmentOrder : std::uint8_t { newer, same, stale };
/// Compares an arriving assignment with the one in force (none: newer).
AssignmentOrder order(const std::optional<Assignment>& in_force, const Assignment& arriving);

}  // namespace tidemark::engine
