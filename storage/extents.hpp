// The volume's blocks in place: sparse files of bounded size, each with a file of 8-byte block
// checksums beside it.
//
//   extents/00000000.dat   blocks, a hole where nothing was ever written or it was trimmed
//   extents/00000000.sum   one checksum per block; 0 = hole
//
// A block counts as written when its checksum is in memory; both are durable after sync(). What a
// crash leaves half-written lies above the checkpoint and is written again from the log.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/front.hpp"
#include "engine/timer.hpp"
#include "storage/damaged_blocks.hpp"
#include "storage/disk.hpp"
#include "storage/extent_files.hpp"
#include "storage/extent_layout.hpp"
#include "storage/fan.hpp"
#include "storage/range_guard.hpp"

namespace tidemark::storage {

/// A run of blocks to be written, or to become a hole.
struct ExtentRun {
  engine::BlockRange range;
  std::vector<engine::Slice> data;     ///< Together exactly the range; empty for a hole.
  std::vector<engine::BlockSum> sums;  ///< One per block; empty for a hole.
  bool hole() const { return data.empty(); }
};
/// A run is written with one disk write: 1 MiB is past the point where more costs less.
inline constexpr std::uint64_t extent_run_blocks_max = 256;
/// Writes in flight during a flush.
inline constexpr std::size_t extent_writes_max = 32;

/// A run as it was read: data with its checksums, or a hole.
struct ExtentPiece {
  engine::BlockRange range;
  engine::Slice data;
  std::vector<engine::BlockSum> sums;
};

class Extents {
 public:
  Extents(Disk& disk, engine::Timers& timers, std::string directory, engine::VolumeKey key,
          std::uint64_t volume_blocks, std::uint64_t file_bytes, std::uint64_t reserve_bytes);

  /// Finds the files there are; Errc::corrupt when one of `expected` is not. Their checksums are
  /// loaded when first needed.
  Task<engine::Status> open(ExtentFileSet expected);
  /// Those that the last sync made durable.
  const ExtentFileSet& durable_files() const { return durable_files_; }
  /// Writes runs that do not overlap, many at a time. Errors of the disk pass through; no_space
  /// also where the reserve would not stay free, which others need (C23).
  Task<engine::Status> write(std::vector<ExtentRun> runs);
  /// The same for runs within a range that the caller holds in guard() for writing.
  Task<engine::Status> write_held(std::vector<ExtentRun> runs);
  /// Makes all completed writes durable; one at a time, so that whoever gets an answer has what
  /// was written before the question on the disk.
  Task<engine::Status> sync();
  /// The blocks of `range`, verified. Errc::corrupt names the first block
  /// that does not match its checksum.
  Task<engine::Result<std::vector<ExtentPiece>>> read(engine::BlockRange range);
  /// From `first`: one hole of about `hole_max` blocks at most, or data of at most `blocks_max`. A hole
  /// is looked for no farther than that: a file has holes up to its end, however small the volume.
  Task<engine::Result<ExtentPiece>> read_run(engine::BlockIndex first, std::uint64_t blocks_max,
                                             std::uint64_t hole_max = ~std::uint64_t{0});
  /// One block, or its checksum, for whoever holds it in guard() for writing.
  Task<engine::Result<ExtentPiece>> read_held(engine::BlockIndex block);
  Task<engine::Result<engine::BlockSum>> sum_held(engine::BlockIndex block);
  /// What is there is proved to be something else than what `sum` belongs to: it is damage from now
  /// on, durably with the next sync(). With its guard held.
  Task<engine::Status> correct_sum_held(engine::BlockIndex block, engine::BlockSum sum);
  /// Compares the checksum files with what is in memory, writes again what differs, durably; how many
  /// of their blocks that were.
  Task<engine::Result<std::uint64_t>> rewrite_rotten_sums();
  /// Runs that are holes or not: at most `runs_max` of them, from the begin of `range`.
  Task<engine::Result<std::vector<engine::Allocation>>> allocation(engine::BlockRange range,
                                                                   std::size_t runs_max);
  /// Everything from block `end` on becomes a hole, durably.
  Task<engine::Status> cut(std::uint64_t end);
  /// The same with all blocks held in guard() for writing.
  Task<engine::Status> cut_held(std::uint64_t end);
  /// Blocks that are no holes. Checksums that are not loaded are not loaded for it: then their files
  /// count whole.
  struct Allocated {
    std::uint64_t blocks = 0;
    bool at_most = false;
  };
  Allocated allocated() const;
  /// What the checksums of `range` come to, whatever their order: each with its place. 0: all holes.
  Task<engine::Result<std::uint64_t>> sum_of(engine::BlockRange range);
  /// Deletes everything, durably.
  Task<engine::Status> clear();
  void close() { files_.clear(); }

  RangeGuard& guard() { return guard_; }
  /// What readers noted; a block leaves it when it is written.
  DamagedBlocks& damaged() { return damaged_; }
  const DamagedBlocks& damaged() const { return damaged_; }
  /// Nobody's turn comes any more: for the owner's destructor.
  void abandon() {
    guard_.close();
    sync_turn_.close();
  }
  std::uint64_t bytes_written() const { return bytes_written_; }

 private:
  struct ExtentFile {
    FilePtr data;
    FilePtr sums;
    std::vector<engine::BlockSum> table;
    std::set<std::uint64_t> dirty_pages;  ///< Of the checksum file.
    /// Those that could not be read, nor were written since: what they say is asked for again.
    std::set<std::uint64_t> unread_pages;
    bool unsynced = false;  ///< Something was written since the last whole sync.
    bool has_sums = false;  ///< Its checksum file exists.
    bool has_data = false;
    bool on_record = false;               ///< It was durable when it was opened.
    std::optional<engine::Error> damage;  ///< It is not whole: said again to whoever asks.
    bool loaded = false;
    bool loading = false;
    std::vector<std::function<void(engine::Done)>> waiting;
  };
  using FileNumber = std::uint64_t;

  FileNumber number_of(engine::BlockIndex block) const { return layout_.number_of(block); }
  std::size_t index_of(engine::BlockIndex block) const {
    return static_cast<std::size_t>(block.value % layout_.file_blocks);
  }
  engine::BlockRange within_file(engine::BlockRange range) const;
  bool hole_at(const ExtentFile& file, engine::BlockIndex block) const {
    return file.table[index_of(block)] == engine::no_block;
  }
  std::vector<ExtentRun> split(std::vector<ExtentRun> runs) const;
  Task<engine::Result<ExtentFile*>> file_at(FileNumber number, bool create);
  Task<engine::Status> create_file(FileNumber number, ExtentFile& file);
  Task<engine::Status> finish_creation(FileNumber number, ExtentFile& file);
  Task<engine::Status> load_file(FileNumber number, ExtentFile& file);
  Task<engine::Status> load_sums(FileNumber number, ExtentFile& file);
  engine::Error not_whole(FileNumber number, std::string_view why) const;
  engine::Status check_files() const;
  Task<engine::Status> room_for(std::span<const ExtentRun> runs);
  Task<engine::Status> write_run(ExtentRun run);
  Task<engine::Status> write_run_held(ExtentRun run);
  using WriteRun = Task<engine::Status> (Extents::*)(ExtentRun);
  Task<engine::Status> write_each(std::vector<ExtentRun> runs, WriteRun write_one);
  Task<engine::Status> write_sums(ExtentFile& file);
  Task<engine::Done> read_unread(ExtentFile& file, engine::BlockRange range);
  Task<engine::Done> read_unread_page(ExtentFile& file, std::uint64_t page);
  Task<engine::Status> sync_all(std::vector<ExtentFile*> files);
  Task<engine::Result<std::uint64_t>> note_rotten_sums(FileNumber number);
  Task<engine::Result<ExtentPiece>> read_piece(engine::BlockRange range, std::uint64_t blocks_max);
  engine::Status verify(const ExtentPiece& piece) const;

  Disk& disk_;
  engine::Timers& timers_;
  ExtentLayout layout_;
  engine::VolumeKey key_;
  std::uint64_t reserve_bytes_;  ///< Left free on the disk: superblock and catalog stay writable.
  std::map<FileNumber, ExtentFile> files_;
  ExtentFileSet present_;  ///< Pairs that exist.
  ExtentFileSet durable_files_;
  bool created_files_ = false;  ///< Names that may not be durable.
  std::uint64_t bytes_written_ = 0;
  DamagedBlocks damaged_;
  RangeGuard guard_;
  RangeGuard sync_turn_;  ///< One sync at a time.
  Fan fan_{extent_writes_max};
};

}  // namespace tidemark::storage
