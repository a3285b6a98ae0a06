// Finding the last valid prefix of a log, and telling a torn tail from corruption (C14).
//
//   checkpoint K ......... records, chained by digest ......... x?      [batch][batch] behind x
//
// Damage at x is a torn tail iff nothing here proves that x was durable: no later batch or segment
// header whose durable-at-issue reaches x, no checkpoint, no clean stop, no hint in the superblock.
// A torn tail is cut, and what stands behind it is erased before anything is appended. Otherwise it
// is corruption, and the log is not touched. What lies at or below K is only history: rot there
// shortens what is retained and never stops the opening.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/task.hpp"
#include "storage/wal_index.hpp"
#include "storage/wal_writer.hpp"

namespace tidemark::storage {

/// A batch that a truncation cut in two: only records up to `to` count
/// (they can't be rewritten in place safely).
struct CutMark {
  SegmentSequence sequence;
  std::uint64_t offset = 0;
  engine::Lsn to;
};

/// A batch, by where it stands in the log's files.
struct BatchAddress {
  SegmentSequence sequence;
  std::uint64_t offset = 0;
};

/// What the superblock knows before the log is read.
struct RecoveryInput {
  engine::Lsn checkpoint;
  engine::Digest checkpoint_digest;
  engine::WallTime checkpoint_time;
  /// Where the checkpoint's record was written: the reading begins there. Nothing, or not that batch any more: where its
  /// segment begins.
  std::optional<BatchAddress> checkpoint_batch;
  engine::Lsn proved_durable;  ///< The highest LSN that anything outside the log proves durable.
  SegmentSequence start;       ///< Segments below are pruned or of an abandoned log.
  std::vector<CutMark> cuts;
  std::optional<engine::Lsn> truncate_to;  ///< An unfinished truncation: nothing behind it counts.
  bool clean = false;                      ///< Stopped cleanly at proved_durable.
};

/// What stands in the log behind the checkpoint, for the dirty map and the epoch history.
struct ReplayedRecord {
  engine::RecordHeader header;
  std::optional<engine::EpochBody> epoch;
  std::optional<engine::Configuration> configuration;  ///< What it says to be in force.
};

/// Where a log was begun to be read: what stands before it in its segment is not known yet.
struct UnreadHead {
  engine::Lsn first;      ///< Of the first batch that was read.
  engine::Digest before;  ///< Of the log up to the record before.
};

/// What leads to the log that was read, by segments' headers: the batches are not known yet.
struct UnreadHistory {
  std::vector<SegmentPtr> segments;  ///< By sequence.
  std::optional<UnreadHead> head;    ///< Of the segment behind these.
  bool empty() const { return segments.empty() && !head; }
  engine::Lsn checkpoint;
  std::vector<CutMark> cuts;
};

struct RecoveredLog {
  std::deque<SegmentPtr> log;
  UnreadHistory history;
  std::vector<SegmentPtr> spares;
  std::uint32_t slots_used = 0;  ///< One past the highest file name.
  SegmentSequence next_sequence;
  LogEnd end;
  engine::Lsn committed;  ///< The highest that any batch's header names, at most `end`.
  std::vector<ReplayedRecord> replay;
  std::string damage;  ///< Corruption: what and where. Empty: healthy.
  bool cut_torn_tail = false;
  /// Rot at or below the checkpoint, in what was read, cost history: what and where. Empty: none.
  std::string history_lost;
};

/// Reads the log from the batch with the checkpoint on. Errors only where the disk itself fails.
Task<engine::Result<RecoveredLog>> recover_log(const WalContext& context, RecoveryInput input);

/// Overwrites [from, to) with zeros, from the end backwards, durably.
Task<engine::Status> erase_region(Disk& disk, FilePtr file, std::uint64_t from, std::uint64_t to);
/// Erases what a segment holds behind `from`, up to where anything of its life can stand. `from` 0:
/// header too, last.
Task<engine::Status> erase_segment_from(Disk& disk, SegmentPtr segment, std::uint64_t from,
                                        std::uint64_t to);

}  // namespace tidemark::storage
