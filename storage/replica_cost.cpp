// What a recovery would have to move, counted without moving, pinning or loading anything.
#include <algorithm>

#include "engine/record/record.hpp"
#include "storage/replica_store.hpp"

namespace tidemark::storage {
namespace {

/// Files whose blocks are counted one by one: 64 GiB, some 10 ms of the loop. The rest counts whole.
constexpr std::size_t counted_files_max = 64;
/// Ranges of touched blocks that are counted one by one; more than these is told as so many.
constexpr std::uint64_t counted_ranges_max = 1u << 18;
/// What a record's head takes beside its payload, about.
constexpr std::uint64_t record_head_bytes = 96;

}  // namespace

std::uint64_t Wal::bytes_between(engine::Lsn after, engine::Lsn to) const {
  std::uint64_t bytes = 0;
  auto upto = after;  // Counted.
  for (const auto& segment : index_.segments()) {
    if (segment->end() <= after || segment->first() > to) continue;
    for (const auto& batch : segment->batches) {
      if (batch.last() <= after || batch.first > to) continue;
      const auto first = std::max(batch.first, after.next());
      const auto last = std::min(batch.last(), to);
      const auto count = last - first + 1;
      const auto payload = std::uint64_t{batch.payload_blocks} * engine::block_bytes;
      bytes += payload * count / batch.count + count * record_head_bytes;
      upto = std::max(upto, last);
    }
  }
  // What is not read yet of a segment counts by its share of the records, a segment of which nothing is read counts whole.
  if (const auto& head = history_.head; head && head->first > after.next()) {
    const auto& segment = *index_.segments().front();
    const auto first = std::max(segment.header.first, after.next());
    const auto last = std::min(head->first.previous(), to);
    const auto records = head->first - segment.header.first;
    if (first <= last) bytes += segment.batches.front().offset() / records * (last - first + 1);
  }
  const auto& unread = history_.segments;
  for (std::size_t i = 0; i < unread.size(); ++i) {
    const auto& next = i + 1 < unread.size() ? unread[i + 1] : index_.segments().front();
    const bool asked = unread[i]->header.first <= to && next->header.first > after.next();
    if (asked) bytes += context_.segment_bytes;
  }
  // What is numbered and not on the disk yet.
  for (auto lsn = std::max(upto, durable()).next(); lsn <= std::min(to, end().lsn);
       lsn = lsn.next()) {
    const auto record = tail_->find(lsn);
    if (record) bytes += record->bytes();
  }
  return bytes;
}

Extents::Allocated Extents::allocated() const {
  Allocated sum;
  std::size_t counted = 0;
  for (const auto& [number, file] : files_) {
    if (!file.has_data) continue;
    const auto blocks = layout_.blocks_in(number);
    if (!file.loaded || counted == counted_files_max) {
      sum.blocks += blocks;
      sum.at_most = true;
      continue;
    }
    ++counted;
    sum.blocks +=
        blocks - static_cast<std::uint64_t>(std::count(
                     file.table.begin(), file.table.begin() + static_cast<std::ptrdiff_t>(blocks),
                     engine::no_block));
  }
  return sum;
}

engine::Result<engine::MoveCost> ReplicaStore::cost_of(const engine::MoveQuestion& question) {
  engine::MoveCost cost;
  cost.log_bytes = wal_->bytes_between(question.log_after, question.log_to);
  if (question.touched_behind) {
    const auto blocks = touched_.since(*question.touched_behind);
    if (!blocks) return blocks.error();
    cost.touched_blocks = blocks->count();
    auto run = blocks->next_run(engine::BlockIndex());
    while (run && cost.touched_ranges < counted_ranges_max) {
      ++cost.touched_ranges;
      run = blocks->next_run(run->end());
    }
  }
  if (question.extents) {
    const auto found = extents_->allocated();
    cost.extent_blocks = found.blocks;
    cost.extents_at_most = found.at_most;
  }
  return cost;
}

}  // namespace tidemark::storage
