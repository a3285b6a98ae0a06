// Rebuild's base lane: blocks of the source's extents, beside the records that arrive meanwhile.
// The replica pulls: it alone knows what is missing (its store says so: neither copied, nor newer in
// its own log), so a lane that was broken off goes on where it was, and what is left of a long
// absence is as cheap as it is small.
//
//   BaseIntake  ──AskBase──►  BaseSource        ranges, within a window
//               ◄──BaseBlocks, BaseZeroes──     each range whole, in any order
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/messages.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// Reads of one source that are under way at once: scattered blocks cost a seek each.
inline constexpr std::uint32_t base_reads_max = 8;
/// What a replica asks for at once; a source allows base_window_blocks_max. 8 MiB: what a node or link
/// that dies costs at most, beside what is not on record as copied, and 15 ms of 550 MiB/s.
inline constexpr std::uint32_t base_intake_blocks_max = 2048;
static_assert(base_intake_blocks_max <= base_window_blocks_max);
/// Comparisons with the source in one session that may find other blocks. A copy that is still not
/// the source's then is not told apart by copying it again.
inline constexpr std::uint32_t base_unequal_max = 3;

/// A run of the source's extents.
struct BasePiece {
  BlockRange range;
  std::vector<BlockSum> sums;  ///< One per block; empty: zeros.
  Slice data;
  Lsn flush_lsn;  ///< The highest LSN whose content it may hold.
};

/// The source's side: reads what was asked for, a few ranges at a time.
class BaseSource {
 public:
  explicit BaseSource(std::uint64_t blocks) : blocks_(blocks) {}

  /// Errc::invalid: beyond the volume or the window; nothing is taken then.
  Status asked(std::span<const BlockRange> ranges);
  /// What the next read would bring at most; 0: there is none to do now.
  std::uint64_t next_read_bytes() const;
  /// The next read to do, if any; it counts as begun.
  std::optional<BlockRange> begin_read();
  /// What the read of `range` brought; a run of zeros is cut to what was asked. An error where it
  /// is not what was asked for; the source is then unusable.
  Status read(BlockRange range, BasePiece& piece);

  /// Nothing that was asked for is unanswered.
  bool idle() const { return unanswered_blocks_ == 0; }
  Lsn flush_lsn() const { return flush_lsn_; }

 private:
  std::uint64_t blocks_;
  std::deque<BlockRange> waiting_;
  std::uint32_t reading_ = 0;
  std::uint64_t unanswered_blocks_ = 0;
  Lsn flush_lsn_;
};

/// The replica's side: asks for what is missing until a whole pass over the volume finds nothing, then
/// for a comparison of what was copied.
class BaseIntake {
 public:
  struct Search {
    BlockIndex from;
    std::uint64_t blocks_max = 0;
  };

  /// `flush_lsn`: of what earlier sessions copied.
  explicit BaseIntake(Lsn flush_lsn) : flush_lsn_(flush_lsn) {}

  /// Where to look for missing blocks, when there is room to ask for some; counts as begun.
  std::optional<Search> begin_search();
  /// What the search found, ascending: to be asked for. It goes on from `next`, if anywhere.
  void found(std::span<const BlockRange> ranges, std::optional<BlockIndex> next);
  /// A piece arrived; an error where it was not asked for.
  Status accept(BlockRange range, Lsn flush_lsn);
  /// The oldest accepted piece is in the extents, or was skipped for newer blocks. Its blocks.
  std::uint64_t written();
  /// True once for each time that nothing is missing: what was copied is to be compared with the
  /// source's.
  bool take_comparison();
  /// It was not equal, and some blocks are missing again; or it has to be done again.
  void ask_again();
  /// It was equal, or could not be made.
  void compared();
  /// True exactly once: when nothing is missing and it was compared.
  bool take_whole();

  bool whole() const { return whole_ && comparison_ == Comparison::done; }
  Lsn flush_lsn() const { return flush_lsn_; }

 private:
  enum class Comparison : std::uint8_t { due, under_way, done };
  bool pass_ended() const { return past_end_ && asked_.empty() && writing_.empty(); }

  Comparison comparison_ = Comparison::due;
  BlockIndex next_;  ///< Where this pass goes on.
  bool searching_ = false;
  bool past_end_ = false;       ///< This pass found nothing more.
  bool asked_in_pass_ = false;  ///< It found something before.
  bool whole_ = false;
  bool told_ = false;
  std::map<BlockIndex, BlockIndex> asked_;  ///< First to end, of what is unanswered.
  std::deque<std::uint64_t> writing_;       ///< Blocks of each accepted piece.
  std::uint64_t under_way_blocks_ = 0;      ///< Asked for and not in the extents.
  Lsn flush_lsn_;
};

}  // namespace tidemark::engine
