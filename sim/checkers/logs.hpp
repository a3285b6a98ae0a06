// Watches the messages to and from the stores, and holds every log against every other.
//
// Digests are chained, so all logs of a volume form one tree: a digest names a whole prefix. Then
//   - one (epoch, LSN) has one digest for ever (C1);
//   - appends are dense, and the time of their records never goes back, whatever clocks do (C25);
//   - what a volume of a sync mode called committed is on the path of every later committed LSN (a
//     forced reign begins that path anew, with its own log; logs of earlier reigns are judged no more);
//   - what a primary calls committed moves only to where its own reign's record is included (C3);
//   - what a store has checkpointed is on that path too, and no further than it is committed (C10);
//   - what a store said is durable is there when it is opened again (C13, C14).
#pragma once

#include <caf/all.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "actors/interfaces.hpp"
#include "sim/scheduler.hpp"

namespace tidemark::sim {

class Logs {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  /// `ordered`: committed records never fork (sync_all, sync_quorum). In best_effort they may.
  Logs(bool ordered, OnFailure fail) : ordered_(ordered), fail_(std::move(fail)) {}

  /// An operator made a copy the primary of this reign that may lack committed records. What was committed is not
  /// held against its log; what logs of earlier reigns hold is held against nothing any more.
  void forced(engine::Epoch reign);
  /// Bytes on disks were damaged on purpose: the last records that nothing on the disk proves
  /// durable may then pass for a torn tail (C14).
  void rot_was_injected() { unproved_max_ = unproved_after_rot; }
  /// Something was damaged on a node's disk at or below `lsn`, and what stands behind it proves that it was durable: a
  /// copy that is opened next with less is no whole one.
  void log_proves(std::uint32_t node, engine::Lsn lsn) { proved_[node] = lsn; }

  /// A node's disks are what they were at an earlier time: what its store said to be durable since does not have to be
  /// there when it is opened next.
  void rolled_back(std::uint32_t node) { rolled_back_.insert(node); }

  /// A record that no primary wrote is put into a copy's log: the cluster is to find out, and the copy is damaged until then.
  void forged(const engine::Digest& record) { forged_.insert(record); }

  /// One message about to be handled.
  void observe(const Step& step);

  engine::Lsn committed() const { return committed_; }
  /// Of the record before this one, where it was seen.
  std::optional<engine::Epoch> epoch_before(const engine::Digest& record) const;
  std::uint64_t records() const { return tree_.size(); }

 private:
  /// More than clients can have in flight: 4 clients with 12 requests of up to 2 records, twice.
  static constexpr std::uint64_t unproved_after_rot = 192;

  struct Node {
    engine::Lsn lsn;
    engine::Epoch epoch;
    engine::Digest parent;
  };
  /// A log as its store has it, by the store's actor.
  struct Tail {
    engine::Lsn lsn;
    engine::Digest digest;
    bool known = false;
    engine::ReplicaId replica;
    engine::WallTime time{};  ///< Made monotone, of the last record; 0: not known.
  };
  /// What a primary tells of its reign, by its volume's actor.
  struct Reign {
    engine::Lsn record;     ///< Of the reign itself.
    engine::Lsn committed;  ///< Told last.
  };
  struct ByLow {
    std::size_t operator()(const engine::Digest& d) const {
      return static_cast<std::size_t>(d.low);
    }
  };

  void appended(caf::actor_id store, const actors::AppendRecords& append);
  void told(caf::actor_id store, engine::Lsn committed);
  void numbered(caf::actor_id volume, const actors::RecordsNumbered& numbered);
  void opened(caf::actor_id store, const actors::StoreFacts& facts);
  void shows_damage(std::uint32_t node, const actors::StoreFacts& facts);
  void cut(caf::actor_id store, engine::Lsn to);
  void begins(caf::actor_id store, const actors::BeginBase& reset);
  void progressed(caf::actor_id listener, const actors::StoreProgressed& progress);
  void became_durable(caf::actor_id store, const actors::StoreProgressed& progress);
  void advance(engine::Lsn lsn, engine::Lsn head, const engine::Digest& at_head, const char* whose);
  /// Whether the log that ends in this digest is of the last forced reign, or a later one's.
  bool after_forced(const engine::Digest& head) const;
  /// The digest at `lsn` on the path that ends in (head, at_head); nothing below what was seen, the head's beyond it.
  std::optional<engine::Digest> on_path(engine::Lsn lsn, engine::Lsn head,
                                        engine::Digest at_head) const;

  bool ordered_;
  OnFailure fail_;
  std::unordered_map<engine::Digest, Node, ByLow> tree_;  ///< Looked up only.
  std::map<std::pair<engine::Epoch, engine::Lsn>, engine::Digest> named_;
  std::set<engine::Digest> forged_;
  std::map<caf::actor_id, Tail> tails_;
  std::map<caf::actor_id, Reign> reigns_;
  std::map<caf::actor_id, caf::actor_id> store_of_;   ///< By its listener.
  std::map<engine::ReplicaId, engine::Lsn> durable_;  ///< What each store last said is on its disk.
  std::uint64_t unproved_max_ = 0;
  std::set<std::uint32_t> rolled_back_;
  std::map<std::uint32_t, engine::Lsn> proved_;  ///< By node.
  engine::Lsn committed_;
  engine::Digest at_committed_;
  engine::Epoch forced_;    ///< The last forced reign.
  bool begun_anew_ = true;  ///< Something was said to be committed in its log, or a later one's.
};

}  // namespace tidemark::sim
