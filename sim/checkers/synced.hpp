// Watches what FUA and FLUSH are answered for: by then the primary has heard that all they speak of is on its own disk; or,
// where a quorum may do without that one, some disk has it (C4). Where all copies of the set count, every one of them that
// the primary's node has heard of has it (C11), there or not. FLUSH speaks of every write that was answered before it was
// asked, on whatever connection of the same reign.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/record/record.hpp"
#include "engine/types.hpp"
#include "sim/checkers/history.hpp"
#include "sim/scheduler.hpp"
#include "sim/stamp.hpp"

namespace tidemark::sim {

class Synced {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  /// A place in the log, and the reign that wrote there.
  struct At {
    engine::Lsn lsn;
    engine::Epoch epoch;
    auto operator<=>(const At&) const = default;
  };

  Synced(std::uint64_t volume_tag, OnFailure fail) : tag_(volume_tag), fail_(std::move(fail)) {}

  /// One message about to be handled by an actor.
  void observe(const Step& step);
  /// From now on enough others may count without the primary's own disk.
  void quorum_may_count() { quorum_ = true; }
  /// All copies of the set count, until this is taken back; at first it is not known whether they do.
  void all_count(bool all) { all_ = all; }
  /// A node is told which set stands; what is older than what it knows changes nothing.
  void set_heard(std::uint32_t node, engine::Epoch epoch, engine::Version version,
                 const std::vector<engine::SetMember>& in_sync);
  /// A client of a node hears that its write of data is done. How far it was told with that of the disks that count.
  At answered(OpId op, std::uint32_t node, Reign reign, engine::MonoTime at, bool fua);
  /// A client of a node hears that what it asked for at `began` is done. How far it was told that, as above.
  At flushed(std::uint32_t node, Reign reign, engine::MonoTime began);
  /// The most that a copy ever said to be on its disk.
  engine::Lsn held(engine::ReplicaId replica) const;

 private:
  using Answered = std::pair<engine::MonoTime, At>;

  /// Whether it names an op of this volume.
  bool numbered(const engine::Record& record);
  struct Set {
    engine::Epoch epoch;
    engine::Version version;
    std::vector<engine::SetMember> members;
  };

  /// How far anybody who counts is known to have it, as a primary's node could know it.
  engine::Lsn synced(std::uint32_t node) const;
  /// One that has to have it and never said so, whatever it may have lost since.
  std::optional<engine::ReplicaId> lacks(std::uint32_t node, engine::Lsn lsn) const;
  void holds(caf::actor_id store, engine::Lsn durable);

  std::uint64_t tag_;
  OnFailure fail_;
  bool quorum_ = false;
  bool all_ = false;
  std::map<std::uint32_t, Set> sets_;                    ///< By node that heard of it.
  std::map<caf::actor_id, caf::actor_id> stores_;        ///< By who writes to it or listens to it.
  std::map<caf::actor_id, engine::ReplicaId> replicas_;  ///< By store.
  std::map<engine::ReplicaId, engine::Lsn> held_;        ///< The most that each ever said.
  std::unordered_map<OpId, At> last_;                    ///< Of the op's own records.
  std::map<std::uint32_t, caf::actor_id> writers_;   ///< By node: whose records its store takes.
  std::map<caf::actor_id, engine::Lsn> durable_;     ///< By writer: what its store has told it.
  std::map<Reign, std::vector<Answered>> answered_;  ///< Both rise.
};

}  // namespace tidemark::sim
