// Whoever the rules on record let reign next has all that a client was told is on disks (C2, C4, C12, C13): of a set of
// which all count every member, of a quorum so many that any votes that make a choice meet one of them. Judged at
// every record that a node is told of, and at every answer to FUA and FLUSH, whether or not anybody fails then.
//
// What a copy has is the most that it ever said, by number: one that lost it, or whose log is longer and another one, passes
// here. Judges of what is answered and committed see those.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/assignment.hpp"
#include "engine/messages.hpp"

namespace tidemark::sim {

class Elections {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;
  /// The most that a copy ever said to be on its disk; 0: it never said anything.
  using Held = std::function<engine::Lsn(engine::ReplicaId)>;

  Elections(Held held, OnFailure fail) : held_(std::move(held)), fail_(std::move(fail)) {}

  /// A node is told what is on record of the volume; what is older than what any was told changes nothing.
  void told(const engine::Assignment& assignment);
  /// A primary is told which set is on record.
  void told(const engine::SetDecided& decided);
  /// A client is told that everything up to there is on the disks that count; the reign that wrote what is there.
  void flushed(engine::Lsn lsn, engine::Epoch epoch);
  /// The record is an older one again: what was flushed under the later ones nobody has to have any more (C18).
  void forgotten() {
    flushed_ = {};
    rules_.reset();
  }
  /// Somebody speaks for a copy whose disk is not looked at.
  void no_witness() { judged_ = false; }

 private:
  void judge();
  /// So many members have to have it. Reckoned here and not taken from the engine; where the rules want more than there are,
  /// what was flushed before they did is with all.
  std::size_t required() const;

  Held held_;
  OnFailure fail_;
  bool judged_ = true;
  std::optional<engine::Assignment> rules_;  ///< The latest that any node was told of.
  bool whole_ = false;  ///< No version between that one's rules and its set's is unknown.
  engine::Lsn flushed_;
  engine::Epoch
      anew_;  ///< The last reign that was free to go on without what was flushed before it.
};

}  // namespace tidemark::sim
