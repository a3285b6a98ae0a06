// Messages of the bulk link: the blocks of a base, and the sums that say it came whole.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/buffer.hpp"
#include "engine/record/checksum.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// The replica wants these blocks; each range is answered whole, in one or more pieces, in any
/// order. What was asked for and is not answered yet is bounded by base_window_blocks_max.
struct AskBase {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  std::vector<BlockRange> ranges;  ///< At least one; at most base_ask_blocks_max each.
};
/// 2 MiB: a hole costs a message for each.
inline constexpr std::uint32_t base_ask_blocks_max = 512;
inline constexpr std::uint32_t base_ask_ranges_max = 256;
/// 16 MiB: what 10 Gbit/s carries in 12 ms.
inline constexpr std::uint32_t base_window_blocks_max = 4096;

/// Base blocks as they stand in the source's extents, never from memory (C8).
struct BaseBlocks {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  BlockRange range;            ///< At most base_blocks_max.
  Lsn flush_lsn;               ///< The highest LSN whose content they may hold.
  std::vector<BlockSum> sums;  ///< One per block.
  Slice data;
};
inline constexpr std::uint32_t base_blocks_max = 256;
/// A run of blocks that read as zeros; sent as a range, not as bytes.
struct BaseZeroes {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  BlockRange range;
  Lsn flush_lsn;
};
/// Nothing is missing any more: every block is in the replica's extents, or newer in its log.
struct BaseWhole {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn flush_lsn;  ///< The highest of all copied blocks, those of earlier sessions included.
};

/// Nothing seems to be missing any more: what do the source's tables of checksums come to, for these
/// groups of blocks, at `at` or behind it? Asked before BaseWhole, about all that was ever copied.
struct AskBaseSums {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn at;  ///< The replica's extents may hold content up to it.
  std::uint64_t group_blocks = 0;
  std::vector<std::uint32_t> groups;  ///< Numbers, rising.
};
/// 8 KiB of sums for a volume of any size: a group is what is copied again where one is unequal.
inline constexpr std::uint32_t base_sums_max = 1024;
/// 4 MiB: no group is smaller.
inline constexpr std::uint64_t base_group_blocks_min = 1024;
/// The extents hold exactly what the log says up to `lsn`, and this is what they come to.
struct BaseSums {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn lsn;
  std::vector<std::uint64_t> sums;  ///< One per group; none: they could not be made.
  std::string problem;              ///< Why not.
};

}  // namespace tidemark::engine
