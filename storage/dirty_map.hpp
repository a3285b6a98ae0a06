// Which record holds the newest version of a block that the extents do not have yet.
//
//   singles   7: lsn 12   90: lsn 15   3021: lsn 9  ...      a hash: records of one block
//   ranges    [16,24): lsn 11   [64,4096): lsn 14, hole      a tree: records of several blocks
//
// No block is in both: what comes later is cut out of the other part. Random writes of one block
// make hundreds of thousands of entries; in a hash each costs one cache miss, in a tree several.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "engine/check.hpp"
#include "engine/range_map.hpp"
#include "engine/record/record.hpp"

namespace tidemark::storage {

enum class DirtyKind : std::uint8_t { data, zeros, hole };

struct DirtyBlock {
  engine::Lsn lsn;  ///< At most dirty_lsn_max.
  DirtyKind kind = DirtyKind::data;

  constexpr bool operator==(const DirtyBlock&) const = default;
};

/// LSN and kind share 64 bits. At a million records per second: 146,000 years.
inline constexpr engine::Lsn dirty_lsn_max{(std::uint64_t{1} << 62) - 1};

/// Dirty blocks one by one, entries of 16 bytes in a hash (with its free places 18 to 37).
///
/// It lies in shards, so that none of them stops the loop for long when it grows: with 2^18 blocks
/// a shard moves 4096 entries, some tens of microseconds.
class DirtySingles {
 public:
  struct Single {
    engine::BlockIndex block;
    DirtyBlock dirty;

    constexpr bool operator==(const Single&) const = default;
  };

  void set(engine::BlockIndex block, DirtyBlock dirty);
  std::optional<DirtyBlock> find(engine::BlockIndex block) const;
  /// Forgets the blocks of `range` whose LSN is at most `upto`. Costs a lookup per block or a walk,
  /// whichever is cheaper.
  void erase(engine::BlockRange range, engine::Lsn upto = dirty_lsn_max);
  void clear() { *this = {}; }

  /// Whether a walk over all that is here costs less than to look every block of `range` up.
  bool walk_is_cheaper(engine::BlockRange range) const;
  /// The first of `range`. A lookup per block up to it.
  std::optional<Single> first(engine::BlockRange range) const;
  /// All of `range`, ascending. A walk, and sorting what it finds.
  std::vector<Single> sorted(engine::BlockRange range) const;
  std::uint64_t size() const { return size_; }

 private:
  /// The finalizer of splitmix64 (Steele, Lea, Flood 2014): neighbours end up far apart.
  struct Mix {
    using is_avalanching = void;  ///< Tells Boost not to mix once more.
    std::size_t operator()(engine::BlockIndex block) const noexcept {
      auto x = block.value;
      x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
      x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
      return x ^ (x >> 31);
    }
  };
  using Packed = std::uint64_t;  ///< lsn << 2 | kind: in the order of LSNs.
  using Shard = boost::unordered_flat_map<engine::BlockIndex, Packed, Mix>;
  static_assert(sizeof(Shard::value_type) == 16);
  static constexpr std::size_t shard_count = 64;

  static Packed pack(DirtyBlock dirty);
  static DirtyBlock unpack(Packed packed);
  static std::size_t shard_of(engine::BlockIndex block);
  /// `fn(shard)` erases from it and says how many.
  template <class Function>
  void erase_in(Shard& shard, Function fn);

  std::array<Shard, shard_count> shards_;
  std::uint64_t size_ = 0;  ///< Of all shards.
};

class DirtyMap {
 public:
  /// The record is the newest of its blocks. One block costs a lookup in either part; more cost one
  /// for each block, or a walk over all singles if that is cheaper.
  void add(const engine::RecordHeader& h);
  /// The record is in the extents.
  void flushed(const engine::RecordHeader& h);
  /// Calls `fn(BlockRange, const DirtyBlock*)` for the parts of `range` in ascending order, without
  /// gap or overlap; nullptr where blocks are clean, and these in one part as far as they go. `fn`
  /// must not change the map; what it is given is valid during the call. Costs at most a lookup per
  /// block, and for large ranges a walk over all singles.
  template <class Function>
  void visit(engine::BlockRange range, Function fn) const;
  std::optional<DirtyBlock> find(engine::BlockIndex block) const;
  void clear();
  /// How many blocks are dirty. O(1).
  std::uint64_t blocks() const { return singles_.size() + ranges_.blocks(); }

 private:
  /// `next(gap)` is the first single within a gap between ranges; it is asked in ascending order.
  template <class Function, class Next>
  void visit_with(engine::BlockRange range, Function& fn, Next next) const;

  DirtySingles singles_;
  engine::RangeMap<DirtyBlock> ranges_;  ///< Of one block only where more was cut off.
};

template <class Function>
void DirtyMap::visit(engine::BlockRange range, Function fn) const {
  if (singles_.size() == 0) return ranges_.visit(range, fn);
  if (!singles_.walk_is_cheaper(range)) {
    return visit_with(range, fn, [this](engine::BlockRange gap) { return singles_.first(gap); });
  }
  const auto found = singles_.sorted(range);
  visit_with(range, fn,
             [at = found.begin(), end = found.end()](
                 engine::BlockRange gap) mutable -> std::optional<DirtySingles::Single> {
               if (at == end || at->block >= gap.end()) return std::nullopt;
               CHECK(at->block >= gap.first);  // else a range holds it too
               return *at++;
             });
}

template <class Function, class Next>
void DirtyMap::visit_with(engine::BlockRange range, Function& fn, Next next) const {
  constexpr const DirtyBlock* clean = nullptr;
  ranges_.visit(range, [&](engine::BlockRange part, const DirtyBlock* dirty) {
    if (dirty != nullptr) return fn(part, dirty);
    while (const auto single = next(part)) {
      const auto behind = single->block.next();
      if (part.first < single->block) fn({part.first, single->block - part.first}, clean);
      fn({single->block, 1}, &single->dirty);
      part = {behind, part.end() - behind};
    }
    if (!part.empty()) fn(part, clean);
  });
}

}  // namespace tidemark::storage
