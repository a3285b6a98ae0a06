// Executes a rebuild plan: two lanes, then a barrier.
//
//   starting ──ready at B+1──► copying ──base complete──► closing ──barrier witnessed──► done
//                 base lane:  extents of the source, block 0 .. end        (bulk link)
//                 WAL lane:   records from B+1 on, by the sender's cursor  (records link)
//
// A copied block may hold anything the source flushed while it was copied, so the copy is an
// image only from the highest such LSN on: the barrier stands at or beyond it, the target,
// and the head (C7).
#pragma once

#include <optional>

#include "engine/base_lane.hpp"
#include "engine/messages.hpp"
#include "engine/plan.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

class Rebuild {
 public:
  enum class Step : std::uint8_t { starting, copying, closing, done };
  enum class Verdict : std::uint8_t { taken, complete, refused };

  Rebuild(const Plan& plan, std::uint64_t blocks);

  /// False where the replica is ready for other records than the plan's.
  bool ready(Lsn next);
  /// The base lane's read to do now, if any; it counts as begun.
  std::optional<BlockIndex> begin_read();
  Status read(const BasePiece& piece);
  /// True exactly once, when the whole base was read: BaseDone is due.
  bool take_base_end() { return feed_.take_end(); }
  /// `complete` exactly once, when the replica has the whole base.
  Verdict base_acked(BlockIndex upto, bool complete);
  /// Closes: where the barrier stands, at least. `head` is the log's end now.
  Lsn close(Lsn head);
  /// True exactly once: when the replica answered this barrier, and is durable there.
  bool barrier_reached(Lsn lsn, Lsn durable);

  Step step() const { return step_; }
  const BaseFeed& feed() const { return feed_; }

 private:
  Step step_ = Step::starting;
  Lsn base_;
  Lsn target_;
  Lsn barrier_;
  BaseFeed feed_;
};

}  // namespace tidemark::engine
