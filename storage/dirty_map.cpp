#include "storage/dirty_map.hpp"

#include <algorithm>

namespace tidemark::storage {
namespace {

// What a walk passes in the time of a lookup, which misses the cache. A shard counts as a lookup.
constexpr std::uint64_t entries_per_lookup = 8;

std::optional<DirtyKind> dirty_kind_of(const engine::RecordHeader& h) {
  if (h.range.empty()) return std::nullopt;
  switch (h.kind) {
    case engine::RecordKind::write:
      return DirtyKind::data;
    case engine::RecordKind::trim:
    case engine::RecordKind::configure:  // What a shrink cuts.
      return DirtyKind::hole;
    case engine::RecordKind::write_zeroes:
      return (h.flags & engine::flag_no_hole) != 0 ? DirtyKind::zeros : DirtyKind::hole;
    default:
      return std::nullopt;
  }
}

}  // namespace

DirtySingles::Packed DirtySingles::pack(DirtyBlock dirty) {
  CHECK(dirty.lsn <= dirty_lsn_max);
  return dirty.lsn.value << 2 | static_cast<std::uint64_t>(dirty.kind);
}

DirtyBlock DirtySingles::unpack(Packed packed) {
  return {engine::Lsn(packed >> 2), static_cast<DirtyKind>(packed & 3)};
}

/// By bits that the shard itself does not use: it takes the lowest 8, and its size in bits from the
/// top.
std::size_t DirtySingles::shard_of(engine::BlockIndex block) {
  return (Mix{}(block) >> 8) % shard_count;
}

void DirtySingles::set(engine::BlockIndex block, DirtyBlock dirty) {
  const bool is_new = shards_[shard_of(block)].insert_or_assign(block, pack(dirty)).second;
  if (is_new) ++size_;
}

std::optional<DirtyBlock> DirtySingles::find(engine::BlockIndex block) const {
  const auto& shard = shards_[shard_of(block)];
  const auto at = shard.find(block);
  if (at == shard.end()) return std::nullopt;
  return unpack(at->second);
}

/// A shard keeps what it ever needed: an empty one gives that back, and costs a walk nothing.
template <class Function>
void DirtySingles::erase_in(Shard& shard, Function fn) {
  const std::size_t erased = fn(shard);
  size_ -= erased;
  if (erased != 0 && shard.empty()) shard = Shard();
}

void DirtySingles::erase(engine::BlockRange range, engine::Lsn upto) {
  if (size_ == 0) return;
  const auto goes = [range, limit = pack({upto, DirtyKind::hole})](const Shard::value_type& entry) {
    return entry.second <= limit && range.contains(entry.first);
  };
  if (walk_is_cheaper(range)) {
    for (auto& s : shards_) erase_in(s, [&](Shard& shard) { return erase_if(shard, goes); });
    return;
  }
  for (auto block = range.first; block < range.end(); block = block.next()) {
    erase_in(shards_[shard_of(block)], [&](Shard& shard) -> std::size_t {
      const auto at = shard.find(block);
      if (at == shard.end() || !goes(*at)) return 0;
      shard.erase(at);
      return 1;
    });
  }
}

bool DirtySingles::walk_is_cheaper(engine::BlockRange range) const {
  return range.count > shard_count + size_ / entries_per_lookup;
}

std::optional<DirtySingles::Single> DirtySingles::first(engine::BlockRange range) const {
  for (auto block = range.first; block < range.end(); block = block.next()) {
    if (const auto dirty = find(block)) return Single{block, *dirty};
  }
  return std::nullopt;
}

std::vector<DirtySingles::Single> DirtySingles::sorted(engine::BlockRange range) const {
  std::vector<Single> found;
  for (const auto& shard : shards_) {
    for (const auto& [block, packed] : shard) {
      if (range.contains(block)) found.push_back({block, unpack(packed)});
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Single& a, const Single& b) { return a.block < b.block; });
  return found;
}

void DirtyMap::add(const engine::RecordHeader& h) {
  const auto kind = dirty_kind_of(h);
  if (!kind) return;
  const DirtyBlock dirty{h.lsn, *kind};
  if (h.range.count == 1) {
    ranges_.erase(h.range);
    singles_.set(h.range.first, dirty);
  } else {
    singles_.erase(h.range);
    ranges_.assign(h.range, dirty);
  }
}

void DirtyMap::flushed(const engine::RecordHeader& h) {
  // What the other part has of these blocks is newer: add() cut out what was older.
  if (h.range.count == 1) return singles_.erase(h.range, h.lsn);
  ranges_.erase_if(h.range, [&](const DirtyBlock& dirty) { return dirty.lsn <= h.lsn; });
}

std::optional<DirtyBlock> DirtyMap::find(engine::BlockIndex block) const {
  if (const auto single = singles_.find(block)) return single;
  const auto* dirty = ranges_.find(block);
  return dirty != nullptr ? std::optional(*dirty) : std::nullopt;
}

void DirtyMap::clear() {
  singles_.clear();
  ranges_.clear();
}

}  // namespace tidemark::storage
