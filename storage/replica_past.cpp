// What becomes of a replica's own past when a copy is begun on top of it: what of it is missing now, and
// what was committed and is lost to the volume (C6, C18).
#include <algorithm>

#include "engine/planted.hpp"
#include "storage/replica_store.hpp"

namespace tidemark::storage {

using engine::BlockIndex;
using engine::BlockRange;
using engine::Done;
using engine::Lsn;
using engine::Result;
using engine::Status;

/// What a copy begun now lacks. Nothing is in flight.
Result<MissingBlocks> ReplicaStore::missing_for(engine::BaseScope scope, engine::Epoch epoch,
                                                const engine::NewLog& from) {
  const auto blocks = from.configuration.value_or(configurations_.current()).blocks();
  MissingBlocks missing{epoch, Lsn(), BlockSet(engine::volume_blocks_max)};
  if (scope == engine::BaseScope::all) {
    missing.blocks.add({BlockIndex(), blocks});
    return missing;
  }
  if (missing_) missing = *missing_;
  missing.epoch = epoch;
  // What is kept of the extents may be of any record up to there, as what is copied: should the volume
  // lose one of these before the copy is whole, the copy is of an abandoned past (C9).
  const auto kept = flusher_->ceiling();
  const auto shared = from.own_past ? std::min(kept, from.own_past->touched_from) : kept;
  missing.flush_lsn = std::max(missing.flush_lsn, shared);
  if (noted_) missing.blocks.merge(*noted_);
  // What the extents hold of records that are abandoned.
  if (from.own_past && !engine::planted(engine::Bug::delta_forgets_own_past)) {
    auto touched = touched_.since(from.own_past->touched_from);
    if (!touched) return touched.error();
    missing.blocks.merge(*touched);
  }
  // Beyond the base's end there was nothing; what came there later is in its log.
  const BlockRange beyond{BlockIndex(blocks), engine::volume_blocks_max - blocks};
  missing.blocks.remove(beyond);
  if (engine::planted(engine::Bug::delta_without_own_blocks)) return missing;
  // Its own records that are not in the extents go with the log.
  dirty_.visit({BlockIndex(), blocks}, [&](BlockRange part, const DirtyBlock* dirty) {
    if (dirty != nullptr) missing.blocks.add(part);
  });
  return missing;
}

/// Before committed records of an abandoned past go.
Task<Status> ReplicaStore::seal_fork(Lsn parts_at) {
  const auto end = wal_->end().lsn;
  if (parts_at >= end) co_return Done{};
  ForkHead head;
  head.volume = config_.spec.id;
  head.replica = config_.replica;
  if (const auto reign = history_.last()) head.epoch = reign->epoch;
  head.parts_at = parts_at;
  head.end = end;
  head.first = std::max(parts_at.next(), wal_->retained());
  auto sealed = co_await forks_.seal(*wal_, head);
  co_return sealed;
}

}  // namespace tidemark::storage
