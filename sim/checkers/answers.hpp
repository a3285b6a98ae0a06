// Watches what becomes of each write of data before its client is answered: whatever the mode, its record has reached
// two nodes by then, or one has it on its disk (C4). What a node has got counts though it died since, or refused it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/messages.hpp"
#include "sim/life.hpp"
#include "sim/scheduler.hpp"
#include "sim/stamp.hpp"

namespace tidemark::sim {

class Answers {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  Answers(std::uint64_t volume_tag, OnFailure fail) : tag_(volume_tag), fail_(std::move(fail)) {}

  /// One message about to be handled by an actor.
  void observe(const Step& step);
  /// One message that has reached a node.
  void delivered(std::uint32_t node, const engine::Message& message);
  /// A client hears from a node that its write is done.
  void answered(OpId op, std::uint32_t node);

  /// Where the record of a write is in the log; nothing: none was seen.
  struct Place {
    engine::Epoch epoch;
    engine::Lsn lsn;
  };
  std::optional<Place> place(OpId op) const;

  /// These records are in a node's memory.
  void got(std::uint32_t node, const std::vector<engine::RecordPtr>& records);
  /// A node's log is on its disk up to here.
  void durable(std::uint32_t node, engine::Lsn lsn);

 private:
  /// What a node's log has behind this is gone from it.
  void cut(std::uint32_t node, engine::Lsn end);
  /// A node's log is another one, or another process has it.
  void begins_at(std::uint32_t node, engine::Lsn end);

  struct Held {
    engine::Lsn lsn;  ///< Of the op's own record: the first one that its stamp was seen in.
    engine::Epoch epoch;
    std::set<std::uint32_t> nodes;
  };

  std::uint64_t tag_;
  OnFailure fail_;
  std::unordered_map<OpId, Held> held_;
  std::map<std::uint32_t, engine::Lsn> durable_;
  std::map<std::uint32_t, engine::Lsn> ends_;  ///< Of the nodes' logs.
};

}  // namespace tidemark::sim
