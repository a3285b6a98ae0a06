// Executes a rebuild plan: two lanes, then a barrier.
//
//   starting ──ready at B+1──► copying ──base whole──► closing ──barrier witnessed──► done
//                 base lane:  extents of the source, what the replica asks for  (bulk link)
//                 WAL lane:   records from B+1 on, by the sender's cursor       (records link)
//
// A copied block may hold anything the source flushed while it was copied, so the copy is an
// image only from the highest such LSN on: the barrier stands at or beyond it, the target,
// and the head (C7).
#pragma once

#include <optional>
#include <span>

#include "engine/base_lane.hpp"
#include "engine/messages.hpp"
#include "engine/plan.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

class Rebuild {
 public:
  enum class Step : std::uint8_t { starting, copying, closing, done };

  Rebuild(const Plan& plan, std::uint64_t blocks);

  /// False where the replica is ready for other records than the plan's.
  bool ready(Lsn next);
  /// The replica asks for blocks. Errc::invalid: not now, or not these.
  Status asked(std::span<const BlockRange> ranges);
  /// What the base lane's next read would bring at most; 0: there is none to do now.
  std::uint64_t next_read_bytes() const;
  /// The base lane's read to do now, if any; it counts as begun.
  std::optional<BlockRange> begin_read();
  /// What the read of `range` brought, cut to what is to be sent.
  Status read(BlockRange range, BasePiece& piece);
  /// The replica may ask for sums: all that it asked for was sent.
  bool comparable() const { return step_ == Step::copying && source_.idle(); }
  /// The replica has the whole base, with content up to `flush_lsn`; closes. Where the barrier
  /// stands: `head` is the log's end now. Errc::invalid: it cannot be.
  Result<Lsn> whole(Lsn flush_lsn, Lsn head);
  /// True exactly once: when the replica answered this barrier, and is durable there.
  bool barrier_reached(Lsn lsn, Lsn durable);

  Step step() const { return step_; }

 private:
  Step step_ = Step::starting;
  Lsn base_;
  Lsn target_;
  Lsn barrier_;
  BaseSource source_;
};

}  // namespace tidemark::engine
