// A set of a volume's blocks: a compressed bitmap (Lemire et al., "Roaring bitmaps: implementation of
// an optimized software library", 2018), in pieces of 65536 blocks.
//
//   piece:  few blocks: a list | many: a bit each | long runs: first and length of each
//
// Adding a range costs by pieces, not by blocks: a trim of a whole volume is one range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <roaring/roaring.hh>

#include "engine/configuration.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::storage {

/// Blocks of the largest volume, 16 TiB.
inline constexpr std::uint64_t block_set_blocks_max = engine::volume_blocks_max;
static_assert(block_set_blocks_max <= std::uint64_t{1} << 32);

class BlockSet {
 public:
  /// An empty set of a volume of `blocks`, at most block_set_blocks_max.
  explicit BlockSet(std::uint64_t blocks);

  /// What lies beyond the volume is left out.
  void add(engine::BlockRange range);
  void remove(engine::BlockRange range);
  /// All blocks of the volume.
  void fill() { add({engine::BlockIndex(), blocks_}); }
  /// `other` is of the same volume.
  void merge(const BlockSet& other);

  bool has(engine::BlockIndex block) const;
  bool empty() const { return set_.isEmpty(); }
  std::uint64_t count() const { return set_.cardinality(); }
  /// The first run of member blocks at or behind `from`, cut after `blocks_max`, at least one.
  std::optional<engine::BlockRange> next_run(engine::BlockIndex from,
                                             std::uint64_t blocks_max = block_set_blocks_max) const;

  /// crc (4) | length (4) | the portable format of Roaring bitmaps (docs/DATA_FORMAT.md).
  std::vector<std::byte> serialise() const;
  /// How many of `bytes` the set takes that stands at their begin; nothing: they are too few.
  static std::optional<std::size_t> serialised_bytes(std::span<const std::byte> bytes);
  /// Errc::corrupt: these are not exactly the bytes of a set of a volume of `blocks`.
  static engine::Result<BlockSet> deserialise(std::uint64_t blocks,
                                              std::span<const std::byte> bytes);

 private:
  engine::BlockRange within(engine::BlockRange range) const;

  std::uint64_t blocks_;
  Roaring set_;
};

}  // namespace tidemark::storage
