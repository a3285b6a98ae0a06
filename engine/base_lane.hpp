// Rebuild's base lane: the blocks of the source's extents, in order, beside the records that arrive
// meanwhile. Which of them the WAL lane has beaten is known where the blocks are written (the store
// skips those); here it is decided what is read and sent next, what the other side has, and when
// all of it is there.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "engine/messages.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// Bytes on their way through the base lane: 8 reads of 1 MiB,
/// one round trip at 10 Gbit/s and 6 ms.
inline constexpr std::uint64_t base_window_bytes_max = 8u << 20;
/// Runs on their way, for volumes of many small holes.
inline constexpr std::size_t base_window_runs_max = 1024;

/// A run of the source's extents.
struct BasePiece {
  BlockRange range;
  std::vector<BlockSum> sums;  ///< One per block; empty: zeros.
  Slice data;
  Lsn flush_lsn;  ///< The highest LSN whose content it may hold.
};

/// The source's side: one read at a time, within the window.
class BaseFeed {
 public:
  explicit BaseFeed(std::uint64_t blocks) : blocks_(blocks) {}

  /// The block to read from, when a read may begin; call begun() when it does.
  std::optional<BlockIndex> readable() const;
  void begun();
  /// A read came back. An error where it is not what was asked for; the feed is then unusable.
  Status read(const BasePiece& piece);
  /// True exactly once, when everything was read.
  bool take_end();
  /// False where the other side claims more than it was sent.
  bool acked(BlockIndex upto);

  std::uint64_t blocks() const { return blocks_; }
  Lsn flush_lsn() const { return flush_lsn_; }
  std::uint64_t window_bytes() const { return window_bytes_; }

 private:
  struct Sent {
    BlockIndex end;
    std::uint64_t bytes = 0;
  };
  std::uint64_t blocks_;
  BlockIndex next_;  ///< First block that was not read.
  bool reading_ = false;
  bool ended_ = false;
  Lsn flush_lsn_;
  std::uint64_t window_bytes_ = 0;
  std::deque<Sent> sent_;
};

/// The replica's side: takes runs in order, knows when the last one is written.
class BaseIntake {
 public:
  explicit BaseIntake(std::uint64_t blocks) : blocks_(blocks) {}

  /// A run arrived; an error where it is not the next one or overruns window or volume.
  Status accept(BlockRange range, std::uint64_t bytes);
  /// The oldest accepted run is in the extents, or was skipped for newer blocks.
  void written();
  /// The source says that it sent everything; an error where it did not.
  Status finish();

  /// Everything below is in the extents.
  BlockIndex upto() const { return upto_; }
  bool complete() const { return finished_ && accepted_.empty(); }

 private:
  struct Run {
    BlockIndex end;
    std::uint64_t bytes = 0;
  };
  std::uint64_t blocks_;
  BlockIndex next_;
  BlockIndex upto_;
  std::uint64_t window_bytes_ = 0;
  bool finished_ = false;
  std::deque<Run> accepted_;
};

}  // namespace tidemark::engine
