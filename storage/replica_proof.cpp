// Copies that differ although each fits its own checksum: the log says what a block holds, and a copy
// that holds something else, a write of which was lost or meant for another place, is told so (C27).
#include <fmt/format.h>

#include <map>

#include "engine/sometimes.hpp"
#include "storage/replica_store.hpp"

namespace tidemark::storage {
namespace {

using engine::BlockIndex;
using engine::BlockSum;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::LastWritten;
using engine::Lsn;
using engine::RecordKind;
using engine::Result;
using engine::Status;

/// The log is read in pieces of this size.
constexpr std::uint64_t proof_read_bytes = 4u << 20;

/// What `record` leaves in a block of its range.
BlockSum left_by(const engine::Record& record, engine::VolumeKey key, BlockIndex block) {
  const auto& h = record.header();
  if (h.kind == RecordKind::write) return record.sum(block - h.range.first);
  const bool keeps_space =
      h.kind == RecordKind::write_zeroes && (h.flags & engine::flag_no_hole) != 0;
  return keeps_space ? engine::zero_block_sum(key, block) : engine::no_block;
}

}  // namespace

Task<Result<std::vector<LastWritten>>> ReplicaStore::last_written(std::vector<BlockIndex> blocks,
                                                                  Lsn at) {
  if (blocks.size() > damaged_blocks_max)
    co_return Error{Errc::refused, "last records of blocks: too many are asked for"};
  std::map<BlockIndex, LastWritten> found;
  for (auto from = wal_->retained(); from <= at && from <= wal_->end().lsn;) {
    auto records = co_await read_log(from, at, proof_read_bytes);
    if (!records && records.error().code == Errc::out_of_window && from < wal_->retained()) {
      from = wal_->retained();  // Shorter than its headers had said.
      continue;
    }
    if (!records) co_return records.error();
    for (const auto& record : *records) {
      for (const auto block : blocks) {
        if (record->header().range.contains(block))
          found[block] = {block, record->lsn(), left_by(*record, key_, block)};
      }
      from = record->lsn().next();
    }
    if (hold_timer_ != 0) arm_hold_timer();
  }
  std::vector<LastWritten> all;
  for (const auto& [block, last] : found) all.push_back(last);
  co_return all;
}

Task<Status> ReplicaStore::disproved(LastWritten proof, Lsn at) {
  const auto block = proof.block;
  const auto refuse = [block](std::string_view why) {
    return Error{Errc::refused, fmt::format("disproof of block {}: {}", block, why)};
  };
  auto allowed = readable();
  if (!allowed) co_return allowed.error();
  if (block.value >= blocks()) co_return refuse("the volume is not that large");
  const auto held = co_await extents_->guard().acquire({block, 1}, RangeGuard::Use::write);
  // Behind that LSN the block may have become another, and the proof says nothing of it.
  if (hold_timer_ == 0 || changing_ || stopped_ || failure_ || flusher_->ceiling() > at)
    co_return refuse("the copy is not held at that lsn any more");
  auto own = co_await extents_->sum_held(block);
  if (!own) co_return own.error();
  if (!engine::sometimes(*own != proof.sum, engine::Mark::block_disproved)) co_return Done{};
  config_.events.event(engine::Event(engine::Level::error, "block_disproved")
                           .with("volume", config_.spec.name)
                           .with("replica", config_.replica)
                           .with("block", block)
                           .with("record", proof.lsn));
  if (proof.sum == engine::no_block) {
    engine::BlockCopy hole;
    hole.block = block;
    hole.state = engine::CopyState::hole;
    hole.checkpoint = checkpoint();
    auto written = co_await write_repaired(hole);
    co_return written;
  }
  auto corrected = co_await extents_->correct_sum_held(block, proof.sum);
  if (!corrected) co_return corrected;
  auto synced = co_await extents_->sync();
  if (!synced && synced.error().code == Errc::no_space) co_return synced;
  if (!synced) co_return failed(synced.error());
  note_damage(block, {Errc::corrupt,
                      fmt::format("the record at lsn {} left something else there", proof.lsn)});
  co_return Done{};
}

}  // namespace tidemark::storage
