// Watches what FUA and FLUSH are answered for: by then the primary has heard that all they speak of is on its own disk; or,
// where a quorum may do without that one, some disk has it (C4). FLUSH speaks of every write that was answered before it was asked, on whatever connection of the same reign.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/record/record.hpp"
#include "engine/types.hpp"
#include "sim/checkers/history.hpp"
#include "sim/scheduler.hpp"
#include "sim/stamp.hpp"

namespace tidemark::sim {

class Synced {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  Synced(std::uint64_t volume_tag, OnFailure fail) : tag_(volume_tag), fail_(std::move(fail)) {}

  /// One message about to be handled by an actor.
  void observe(const Step& step);
  /// From now on enough others may count without the primary's own disk.
  void quorum_may_count() { quorum_ = true; }
  /// A client of a node hears that its write of data is done.
  void answered(OpId op, std::uint32_t node, Reign reign, engine::MonoTime at, bool fua);
  /// A client of a node hears that what it asked for at `began` is done.
  void flushed(std::uint32_t node, Reign reign, engine::MonoTime began);

 private:
  using Answered = std::pair<engine::MonoTime, engine::Lsn>;

  /// Whether it names an op of this volume.
  bool numbered(const engine::Record& record);
  /// How far anybody who counts is known to have it, as a primary's node could know it.
  engine::Lsn synced(std::uint32_t node) const;

  std::uint64_t tag_;
  OnFailure fail_;
  bool quorum_ = false;
  std::unordered_map<OpId, engine::Lsn> last_;       ///< Of the op's own records.
  std::map<std::uint32_t, caf::actor_id> writers_;   ///< By node: whose records its store takes.
  std::map<caf::actor_id, engine::Lsn> durable_;     ///< By writer: what its store has told it.
  std::map<Reign, std::vector<Answered>> answered_;  ///< Both rise.
};

}  // namespace tidemark::sim
