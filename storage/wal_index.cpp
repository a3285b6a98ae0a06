#include "storage/wal_index.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tidemark::storage {

BatchPlace place_of(const BatchHeader& h) {
  const auto blocks = [](std::uint64_t bytes) {
    return static_cast<std::uint32_t>(bytes / engine::block_bytes);
  };
  return {h.first, h.count, blocks(h.offset), blocks(h.head_area()), blocks(h.payload_bytes)};
}

std::string segment_name(std::uint32_t slot) { return fmt::format("{:08x}.seg", slot); }

WalIndex::Place WalIndex::find(engine::Lsn lsn) const {
  auto behind = std::upper_bound(log_.begin(), log_.end(), lsn,
                                 [](engine::Lsn l, const SegmentPtr& s) { return l < s->first(); });
  if (behind == log_.begin()) return {};
  const auto& segment = *std::prev(behind);
  const auto& batches = segment->batches;
  auto next = std::upper_bound(batches.begin(), batches.end(), lsn,
                               [](engine::Lsn l, const BatchPlace& b) { return l < b.first; });
  if (next == batches.begin() || std::prev(next)->last() < lsn) return {};
  return {segment, static_cast<std::size_t>(std::prev(next) - batches.begin())};
}

}  // namespace tidemark::storage
