// Which blocks a replica's log touched, kept after the log itself was pruned: so that a copy that was
// away for long gets those blocks, not all.
//
//   begin        run        run   run  run   checkpoint
//     |----------------|---------|----|----|
//       level 2: 4 pieces    1     0    0        the blocks that the records in between touched
//
// A round of the flusher brings a run for each piece of its log. An exponential histogram (Datar et
// al., "Maintaining stream statistics over sliding windows", 2002): when a level has too many runs
// its two oldest become one of the next level. So a boundary is found near any LSN, the nearer the
// younger it is, and their number grows with the logarithm of what was written.
//
// It may be lost at any time: then a copy that needs it is made in full.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/event.hpp"
#include "engine/record/record.hpp"
#include "storage/block_set.hpp"
#include "storage/kv.hpp"
#include "storage/task.hpp"

namespace tidemark::storage {

/// Payload of one run of a round. A copy that is back gets at most so much more than it lacks, however
/// short it was away.
inline constexpr std::uint64_t touched_piece_bytes = 4u << 20;
/// Runs of one level: what is named in excess is at most about 1/64 of what is asked for.
inline constexpr std::size_t touched_runs_per_level = 64;
/// Two neighbours with less payload become one, so that rounds of a few records make few runs: the
/// boundary between them would have saved less than this.
inline constexpr std::uint64_t touched_small_bytes = 1u << 20;
struct TouchedLimits {
  /// Values of two runs above which they are not merged: some 10 ms of the loop.
  std::uint64_t merge_bytes = 4u << 20;
  /// Values of one replica; beyond it the oldest are dropped. The catalog holds them in memory. One
  /// bit per block of 1 TiB, or 2 to 10 bytes for each block written at random.
  std::uint64_t all_bytes = 32u << 20;
};
inline constexpr std::uint8_t touched_level_max = 63;

/// A place in the log from which on all touched blocks can be named.
struct TouchedBoundary {
  engine::Lsn lsn;
  engine::Digest digest;  ///< Of the log up to `lsn`.

  bool operator==(const TouchedBoundary&) const = default;
};

/// What is known of one run without its blocks.
struct TouchedRun {
  TouchedBoundary before;  ///< The run begins behind it.
  TouchedBoundary last;
  std::uint8_t level = 0;
  std::uint64_t payload_bytes = 0;  ///< Of its records.
  std::uint64_t value_bytes = 0;    ///< In the catalog.

  bool operator==(const TouchedRun&) const = default;
};

std::string encode_touched(const TouchedRun& run, const BlockSet& blocks);
struct DecodedTouched {
  TouchedRun run;
  BlockSet blocks;
};
/// Errc::corrupt: not the value of a run of a volume of so many blocks.
engine::Result<DecodedTouched> decode_touched(std::uint64_t volume_blocks,
                                              const std::string& value);

class TouchedIndex {
 public:
  TouchedIndex(Kv& kv, engine::EventSink& events, const engine::VolumeSpec& spec,
               engine::ReplicaId replica, TouchedLimits limits = {});

  /// Takes up what the catalog has, as far as it leads without a gap to `checkpoint`, the recorded
  /// one. First of all, and when the checkpoint became another.
  void open(TouchedBoundary checkpoint);
  /// Makes durable what the records from the checkpoint up to `to` touched. It counts from
  /// recorded() on; until then, another call replaces it.
  Task<engine::Done> add(TouchedBoundary to, const std::vector<engine::RecordPtr>& records);
  /// Instead of add(), where the catalog is to be spared: forgets all, and begins anew at `to`.
  Task<engine::Done> skip(TouchedBoundary to);
  /// The superblock names the end of what was added or skipped last.
  void recorded();
  /// Forgets all, durably; it goes on at the checkpoint.
  Task<engine::Done> clear();

  /// What was touched in (covered_from, checkpoint] can be named.
  engine::Lsn covered_from() const { return begin_.lsn; }
  /// The greatest boundary at or below `at`; none when all are above it.
  std::optional<TouchedBoundary> boundary(engine::Lsn at) const;
  /// All that was touched in (after, checkpoint], and, where `after` is no boundary, what was touched
  /// since the one before. Errc::out_of_window: not covered.
  engine::Result<BlockSet> since(engine::Lsn after);

  /// From the oldest on.
  const std::vector<TouchedRun>& runs() const { return runs_; }

 private:
  /// A change of what is kept: in the catalog, and here once it is durable.
  struct Change {
    KvBatch batch;
    std::vector<TouchedRun> runs;
    TouchedBoundary begin;
    std::map<std::string, DecodedTouched> merged = {};  ///< What the batch puts, by key.
  };

  std::string key(const TouchedRun& run) const;
  TouchedBoundary checkpoint() const { return runs_.empty() ? begin_ : runs_.back().last; }
  engine::Error not_covered(engine::Lsn after) const;
  engine::Result<DecodedTouched> load(const TouchedRun& run) const;
  engine::Result<DecodedTouched> load(const Change& change, const TouchedRun& run) const;
  std::vector<DecodedTouched> pieces(TouchedBoundary to,
                                     const std::vector<engine::RecordPtr>& records) const;
  void merge_small(Change& change) const;
  void merge_levels(Change& change) const;
  bool merge(Change& change, std::size_t older, std::uint8_t level) const;
  void keep_within_bounds(Change& change, std::uint64_t new_bytes) const;
  void drop_oldest(Change& change, std::size_t count) const;
  Task<engine::Status> commit(KvBatch batch);
  void give_up(const engine::Error& error);
  void shortened(const std::string& problem) const;

  Kv& kv_;
  engine::EventSink& events_;
  std::string volume_;
  std::uint64_t volume_blocks_;
  std::string prefix_;
  TouchedLimits limits_;
  TouchedBoundary begin_;
  std::vector<TouchedRun> runs_;      ///< Each begins where the one before ends.
  std::vector<TouchedRun> ahead_;     ///< Durable, not yet up to the checkpoint.
  std::vector<std::string> useless_;  ///< Keys that the next change removes.
  bool skipped_ = false;              ///< The round under way is not kept.
  bool lost_ = false;                 ///< The catalog failed: no more is kept.
};

}  // namespace tidemark::storage
