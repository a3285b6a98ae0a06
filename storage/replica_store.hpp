// One replica's bytes: log, extents and superblock as one thing with one life.
//
//   append -> Wal -> (durable) -> Flusher -> Extents -> Superblock(K) -> Wal.prune
//   read   <- memory tail <- Wal <- Extents           whichever holds the newest version
//
// Everything runs on the loop. Operations are tasks: run(store.truncate(to), done). Destroying the
// store at any moment is a crash: nothing it had under way has an effect any more but on the disk.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/event.hpp"
#include "engine/front.hpp"
#include "engine/messages.hpp"
#include "engine/preview.hpp"
#include "engine/repair.hpp"
#include "engine/scrub.hpp"
#include "engine/status.hpp"
#include "engine/timer.hpp"
#include "storage/dirty_map.hpp"
#include "storage/extents.hpp"
#include "storage/fan.hpp"
#include "storage/flusher.hpp"
#include "storage/fork_files.hpp"
#include "storage/missing_blocks.hpp"
#include "storage/superblock.hpp"
#include "storage/touched_index.hpp"
#include "storage/wal.hpp"

namespace tidemark::storage {

/// Parts of one read that are under way at once, where its blocks stand in different places.
inline constexpr std::size_t read_parts_max = 32;

struct StoreLimits {
  std::uint64_t segment_bytes = 64ull << 20;
  std::uint64_t wal_retention_bytes = 1024ull << 20;
  std::uint64_t reserve_bytes = 64ull << 20;
  std::uint64_t extent_file_bytes = 1ull << 30;
  std::uint64_t memory_tail_bytes = 64ull << 20;
  std::uint64_t flush_bytes = 16ull << 20;
  std::uint64_t flush_after = engine::second;
};

struct StoreConfig {
  Disk& disk;
  engine::Timers& timers;
  engine::EventSink& events;
  Kv& kv;                 ///< Where the touched index is kept.
  std::string directory;  ///< The replica's own.
  engine::ClusterId cluster;
  engine::VolumeSpec spec;
  engine::ReplicaId replica;
  StoreLimits limits;   ///< Geometry counts at creation only; later the superblock's holds.
  bool create = false;  ///< A new replica. Harmless when it was created before and matches.
  bool base_incomplete = false;  ///< With create: it needs a rebuild before it counts.
};

/// What an opened store holds.
struct OpenedStore {
  engine::VolumeSpec spec;
  LogEnd end;
  CheckpointState checkpoint;
  engine::Lsn retained;
  engine::Lsn committed;
  engine::EpochHistory history;
  engine::ConfigurationHistory configurations;  ///< Up to the end of the log.
  engine::BaseState base = engine::BaseState::complete;
  std::optional<engine::BaseProgress> rebuild;  ///< base == incomplete, and it can go on.
  bool clean = false;
  std::string damage;
  std::uint64_t chunk_bytes_max = 0;
  std::uint64_t wal_free_bytes = 0;
};

/// A run of the base lane.
struct BasePiece {
  ExtentPiece piece;
  engine::Lsn flush_lsn;  ///< The highest LSN whose content it may hold.
};

/// One copy's content at one LSN.
struct CopyHashes {
  engine::Result<engine::Digest> log = engine::Digest();
  std::vector<std::uint64_t> groups;
  std::vector<engine::BlockDamage> damaged;  ///< At most damaged_blocks_max.
};
inline constexpr std::size_t damaged_blocks_max = 64;
/// Groups of one question, so that neither the answer nor the time for it has no bound.
inline constexpr std::uint64_t hash_groups_max = 4096;

/// What one answer about allocation names at most: what a client is told at once.
inline constexpr std::size_t allocation_runs_max = 4096;

/// Blocks that are copied between two lists of what is missing. 8 MiB, some 15 ms of copying: as long
/// as it takes to sync and to write one.
inline constexpr std::uint64_t base_step_blocks_min = 2048;

/// What a search for missing blocks found.
struct MissingRuns {
  /// Ascending, of at most base_ask_blocks_max blocks each, and as many in all as were wanted.
  std::vector<engine::BlockRange> ranges;
  std::optional<engine::BlockIndex> next;  ///< Where to look on; nothing: there is no more.
};

/// What of a log can still be compared with another's.
struct KnownDigests {
  engine::Lsn touched_from;  ///< What it touched behind it can be named.
  std::vector<engine::DigestAt> points;
};

/// What another copy can help with: the bytes are not those that were written, or cannot be read.
bool is_block_damage(const engine::Error& error);

class ReplicaStore {
 public:
  using Pieces = std::vector<engine::FrontReply::Piece>;

  explicit ReplicaStore(StoreConfig config);
  ~ReplicaStore();

  /// First of all; once.
  Task<engine::Result<OpenedStore>> open();
  OpenedStore facts() const;

  /// Dense behind the end; admitted against free_bytes().
  void append(const std::vector<engine::RecordPtr>& records, engine::Lsn committed);
  void set_committed(engine::Lsn committed);

  /// The newest content of blocks when all of it is in memory (or a hole); nothing otherwise.
  std::optional<Pieces> read_from_memory(engine::BlockRange range) const;
  Task<engine::Result<Pieces>> read_blocks(engine::BlockRange range);
  /// At most allocation_runs_max runs, from the begin of `range`.
  Task<engine::Result<std::vector<engine::Allocation>>> allocation(engine::BlockRange range);
  /// Records [from, ...] up to `to` and about `bytes_max`, at least one. Errc::out_of_window: below
  /// what is retained. Errc::invalid: beyond the end. Errc::corrupt names the place.
  Task<engine::Result<std::vector<engine::RecordPtr>>> read_log(engine::Lsn from, engine::Lsn to,
                                                                std::uint64_t bytes_max);
  Task<std::optional<engine::Digest>> log_digest(engine::Lsn lsn);
  /// For each of these rising places the greatest one at or below it whose digest is known, from the
  /// log or from the touched index.
  Task<KnownDigests> log_digests(std::vector<engine::Lsn> lsns);

  /// Cuts the log behind `to`: drains, records the intent, erases from the end, syncs (C15).
  /// Nothing happens when the log ends there or before. Errc::refused: below the checkpoint.
  Task<engine::Status> truncate(engine::Lsn to);
  /// Blocks that the next begin_base(touched) counts as missing beside its own. The first of
  /// several calls forgets former ones.
  void note_touched(bool first, const std::vector<engine::BlockRange>& ranges);
  /// Begins a copy, or goes on with one; answers what is missing. Of scopes all and touched:
  /// durably base_incomplete with what is missing, then an empty log that begins behind the base;
  /// `all` empties the extents too (C6). Of `touched` the own blocks that were not flushed, and
  /// those missing already, are missing beside the noted ones. Blocks beyond the end that is in
  /// force at the base are not missing, and forgotten here (C24).
  /// With an own past, the own log's records behind its `parts_at` are abandoned though committed:
  /// they are sealed as a fork first; what the own log touched behind its `touched_from` is missing too.
  /// Errc::refused: it can't go on, what is missing is not known. no_space is not fatal.
  Task<engine::Result<engine::BaseProgress>> begin_base(engine::BaseScope scope,
                                                        engine::Epoch epoch, engine::NewLog from);
  /// Missing blocks at or behind `from`: neither in the extents nor newer in what is committed of
  /// the log. A record that could still be cut does not stand for its block.
  MissingRuns missing_runs(engine::BlockIndex from, std::uint64_t blocks_max) const;
  /// Writes the blocks of a base that are missing (C9); they may hold content up to `flush_lsn`.
  /// `sums` empty: zeros. Errc::refused: no rebuild is under way. That, Errc::invalid (it does not
  /// fit), corrupt (content against its sum) and no_space are not fatal; any other error ends the
  /// store.
  Task<engine::Status> write_base(engine::BlockRange range, std::vector<engine::BlockSum> sums,
                                  engine::Slice data, engine::Lsn flush_lsn);
  /// The base is whole and the log durable up to `at`: syncs, then clears base_incomplete durably
  /// (C7). Done already is no error. Errc::refused: damaged, blocks are missing, or the log is not
  /// durable there.
  Task<engine::Status> finish_rebuild(engine::Lsn at);
  /// When nothing is missing: flushes nothing from here on, until compare_base() or release_flush(),
  /// and says what was copied at all. Errc::refused: no rebuild is under way.
  Task<engine::Result<engine::BaseQuestion>> prepare_comparison();
  /// The source's side: flushes to `question.at`, where it does not stand behind it, and says what its
  /// tables of checksums come to. Errc::unavailable: the base is not complete, or less is committed.
  Task<engine::Result<engine::GroupSums>> sum_groups(engine::BaseQuestion question);
  /// The replica's: flushes to exactly `lsn` and answers the groups that do not come to `sums`; their
  /// blocks are missing again, durably. Errc::refused: the hold was over before. It is over now.
  Task<engine::Result<std::vector<engine::BlockRange>>> compare_base(
      engine::Lsn lsn, engine::BaseQuestion question, std::vector<std::uint64_t> sums);
  /// Extents, never memory, under the flusher's guard (C8): from `first`, at most `blocks_max`
  /// data blocks or one zero run. A block that is half written, with its content in the log above
  /// the checkpoint, is given as zeros. Errc::unavailable: the base is not complete.
  /// Errc::invalid: beyond the end.
  Task<engine::Result<BasePiece>> read_base(engine::BlockIndex first, std::uint32_t blocks_max);

  /// Blocks whose content is lost here, that another copy is to be asked for: at most
  /// repairs_at_once_max, those that a reader waits for first. They change, and on_progress says so, when
  /// that was tried, and when it is worth trying again.
  std::vector<engine::DamagedBlock> damaged_blocks() const;
  /// For another copy: the block as the extents have it, when they hold all up to `at`; not_yet
  /// when they cannot be brought there. Errc::unavailable: the base is not complete.
  Task<engine::Result<engine::BlockCopy>> copy_of(engine::BlockIndex block, engine::Lsn at);
  /// Writes what another copy answered for a damaged block, asked for with `at`, and reads it back.
  /// Done also where it was written over meanwhile. Errc::refused: it may be older than what is lost,
  /// or newer than the own log. Errc::corrupt, invalid, unavailable: nothing was changed.
  Task<engine::Status> repair_block(engine::BlockCopy copy, engine::Lsn at);
  /// For blocks that differ between copies: the newest record up to `at` in the retained log that says
  /// what each holds. Those that no retained record touched are left out.
  Task<engine::Result<std::vector<engine::LastWritten>>> last_written(
      std::vector<engine::BlockIndex> blocks, engine::Lsn at);
  /// A record says that the block, at `at`, holds something else than it does, checksum included: it is
  /// read no more, and repaired like a damaged one. Only while held at `at` (Errc::refused).
  Task<engine::Status> disproved(engine::LastWritten proof, engine::Lsn at);
  /// Nobody can help with it, for now.
  void repair_failed(engine::BlockIndex block);

  /// Reads everything in the background, `rate` bytes/s; what is damaged is noted and repaired like
  /// what a reader found. Goes on after a restart. One of the same `round` that runs goes on at the new
  /// rate, one that is finished stays so; one of another round ends, and its place with it.
  engine::Status start_scrub(std::uint64_t rate, std::uint64_t round);
  void stop_scrub();

  /// The greatest place at or below `at` from which on touched blocks can be named; none when all are
  /// above it.
  std::optional<TouchedBoundary> touched_boundary(engine::Lsn at) const;
  /// Blocks that the log touched in (boundary, checkpoint]: ascending disjoint runs at or behind
  /// `from`, at most `ranges_max`; fewer are the last. `from` 0 begins a walk: what is touched while
  /// it lasts may be missing. Errc::out_of_window: not covered.
  engine::Result<std::vector<engine::BlockRange>> touched_since(engine::Lsn boundary,
                                                                engine::BlockIndex from,
                                                                std::size_t ranges_max);

  /// What a recovery would move. Counts only; nothing is begun, and a walk with touched_since() is
  /// not disturbed. Errc::out_of_window: the touched index does not reach back.
  engine::Result<engine::MoveCost> cost_of(const engine::MoveQuestion& question);

  void pin(std::uint64_t id, engine::Lsn from);
  void unpin(std::uint64_t id);

  /// Begins a comparison: until release_flush() nothing is flushed but what it asks for, and no
  /// log given up ahead. Answers the highest LSN that the extents hold or that could be flushed to.
  /// Errc::unavailable: the base is not complete, there is nothing to be compared yet.
  Task<engine::Result<engine::Lsn>> hold_flush();
  /// Without blocks it re-reads the retained log and answers its digest; with blocks it hashes
  /// them in groups. Refused when the hold is over before it is done; unavailable as hold_flush().
  Task<CopyHashes> hash_copy(engine::Lsn at, std::uint64_t group_blocks, engine::BlockRange range);
  void release_flush();

  /// Drains, but for records that no segment can be had for; when `clean`, flushes and marks a
  /// clean stop if all is durable. Nothing may be asked afterwards.
  Task<engine::Status> stop(bool clean);
  /// Waits for what is in flight, then deletes the directory. For a store that was opened or not.
  Task<engine::Status> destroy();

  engine::Lsn durable() const { return wal_->durable(); }
  engine::Digest durable_digest() const { return wal_->durable_digest(); }
  engine::Lsn checkpoint() const { return flusher_->checkpoint().lsn; }
  engine::Lsn retained() const { return wal_->retained(); }
  std::uint64_t free_bytes() const;
  engine::StoreStatus status() const;
  /// Fail-stop on the owner's word, as after a failed write: what is under way may still land.
  void give_up(engine::Error error) {
    if (opened()) fail(std::move(error));
  }
  bool opened() const { return flusher_ != nullptr; }

  /// Any of durable, checkpoint, retained, free_bytes may have moved. Called often; coalesce.
  std::function<void()> on_progress;
  /// Fail-stop, once (C23).
  std::function<void(engine::Error)> on_failed;

  /// Runs one of the tasks above within the store's life. `done` must not destroy the store.
  template <class T, class Done>
  void run(Task<T> task, Done done) {
    scope_.run(std::move(task), std::move(done));
  }

 private:
  struct Source;
  std::vector<Source> sources_of(engine::BlockRange range) const;
  static std::optional<engine::FrontReply::Piece> piece_at_hand(const Source& source);
  /// Of what piece_at_hand() has not.
  Task<engine::Status> read_source(Source source, Pieces& into);
  engine::Status readable() const;

  /// The volume's size as the extents know it.
  std::uint64_t blocks() const { return superblock_.configurations.current().blocks(); }
  void note_damage(engine::BlockIndex block, const engine::Error& error);
  void arm_repair_timer();
  void wake_readers();
  Task<engine::Status> mended(engine::BlockIndex block);
  Task<engine::Result<std::vector<ExtentPiece>>> read_repaired(engine::BlockRange range);
  Task<bool> limit_reaches(engine::Lsn lsn);
  Task<engine::Status> repair_noted(const engine::BlockCopy& copy, std::uint64_t id,
                                    engine::Lsn at);
  Task<engine::Status> write_repaired(const engine::BlockCopy& copy);

  bool scrubbing() const;
  bool scrub_over(std::uint64_t number) const;
  void resume_scrub();
  void begin_scrub(engine::ScrubPlace place);
  void save_scrub();
  void forget_scrub();
  void finish_scrub();
  Task<engine::Done> sleep(std::uint64_t nanoseconds);
  Task<engine::Status> scrub(std::uint64_t number);
  Task<engine::Status> scrub_superblock(std::uint64_t number);
  Task<engine::Done> scrub_catalog(std::uint64_t number);
  Task<engine::Status> scrub_log_headers(std::uint64_t number);
  Task<engine::Status> scrub_log(std::uint64_t number);
  Task<engine::Status> give_up_history(engine::Lsn lsn);
  void note_rot(engine::Lsn lsn, const engine::Error& error);
  void log_was_cut(engine::Lsn to);
  Task<engine::Status> scrub_blocks(std::uint64_t number);
  Task<engine::Done> scrub_singly(std::uint64_t number);
  std::optional<engine::Error> failure() const;

  Task<engine::Status> create();
  Task<engine::Status> remove_all(std::string directory);
  Task<engine::Result<RecoveredLog>> recover_log_of_superblock();
  Task<engine::Status> find_missing_file();
  Task<engine::Status> settle_superblock(const RecoveredLog& log);
  void start(RecoveredLog log);
  void make_flusher(engine::Lsn ceiling);
  void replay(const std::vector<ReplayedRecord>& records);
  void note_epoch(const engine::Record& record);
  /// Nothing that lies beyond the end as of the checkpoint, but what the log will write again.
  Task<engine::Status> cut_incomplete();
  void fail(engine::Error error);
  engine::Error failed(engine::Error error);
  void progressed();

  /// Changes the superblock, durably; `both` slots where falling back
  /// to the older state would be wrong.
  Task<engine::Status> record(std::function<void(Superblock&)> change, bool both);
  /// With superblock_turn_ held.
  Task<engine::Status> record_held(std::function<void(Superblock&)> change, bool both);
  Task<engine::Status> checkpointed(CheckpointState at,
                                    const std::vector<engine::RecordPtr>& records);
  void prune_ahead();
  Task<engine::Status> prune(SegmentSequence start);
  static void note_sessions(std::vector<SessionLine>& table,
                            const std::vector<engine::RecordPtr>& records);

  Task<engine::Status> truncate_held(engine::Lsn to);
  Task<engine::Status> truncate_on_disk(engine::Lsn to, engine::Digest digest,
                                        engine::WallTime time, bool ends_chunk);
  Task<engine::Status> reset(engine::BaseScope scope, engine::Epoch epoch, engine::NewLog from);
  Task<engine::Status> reset_held(engine::BaseScope scope, engine::Epoch epoch,
                                  engine::NewLog from);
  /// Held: nobody writes blocks or the list of missing ones. Whoever needs both takes them here, or has
  /// the guard already: never the guard behind missing_turn_.
  struct WritesOver {
    RangeGuard::Hold extents;
    RangeGuard::Hold list;
  };
  Task<WritesOver> writes_over();
  engine::Result<MissingBlocks> missing_for(engine::BaseScope scope, engine::Epoch epoch,
                                            const engine::NewLog& from);
  Task<engine::Status> seal_fork(engine::Lsn parts_at);
  bool base_whole() const;
  std::optional<engine::BaseProgress> progress() const;
  Task<engine::Status> save_missing();
  Task<engine::Status> save_missing_held();
  Task<engine::Status> settle_copied();
  Task<engine::Status> bound_unsaved();
  Task<engine::Result<std::vector<std::uint64_t>>> sums_of(const engine::BaseQuestion& question);
  std::vector<engine::BlockRange> note_unequal(const engine::BaseQuestion& question,
                                               const std::vector<std::uint64_t>& own,
                                               const std::vector<std::uint64_t>& theirs);
  Task<engine::Status> rebuild_dirty_map();
  enum class Ending : std::uint8_t { clean, drained, destroyed };
  Task<engine::Status> end(Ending how);
  Task<engine::Status> mark_clean();
  engine::Status can_hash(engine::Lsn at, std::uint64_t group_blocks,
                          engine::BlockRange range) const;
  engine::Status still_held(std::uint64_t hold);
  Task<engine::Status> verify_log(engine::Lsn to, std::uint64_t hold);
  Task<engine::Status> hash_groups(std::uint64_t group_blocks, engine::BlockRange range,
                                   std::uint64_t hold, CopyHashes& hashes);
  Task<engine::Result<std::uint64_t>> hash_group(engine::BlockRange group,
                                                 std::vector<engine::BlockDamage>& damaged);
  void arm_hold_timer();
  Task<engine::Result<engine::Lsn>> hold_for_comparison();

  StoreConfig config_;
  engine::VolumeKey key_;
  /// What a guard is asked for where only one may pass at a time.
  static constexpr engine::BlockRange only_turn{engine::BlockIndex(), 1};
  RangeGuard superblock_turn_;  ///< One superblock write at a time.
  RangeGuard change_turn_;      ///< One of truncate, reset, finish, stop at a time.
  RangeGuard
      missing_turn_;  ///< One write of the list of missing blocks at a time; see writes_over().
  SuperblockFile superblock_file_;
  MissingFile missing_file_;
  ForkFiles forks_;
  Superblock superblock_;            ///< As last written.
  engine::Lsn previous_checkpoint_;  ///< Of the older slot: what falling back to it would need.
  /// While the base is incomplete and what is missing is known. Blocks leave it when they are
  /// written, or as a round of the flusher is about to write them.
  std::optional<MissingBlocks> missing_;
  std::uint64_t copied_ = 0;        ///< Blocks, since it began here.
  std::uint64_t copied_saved_ = 0;  ///< Of them those that the file knows of.
  bool saving_ = false;             ///< The file is being written.
  bool dropped_ = false;            ///< A planted bug's: it loses one block of a copy.
  std::optional<BlockSet> noted_;   ///< Touched by the other side.
  TouchedIndex touched_;
  /// What a walk with touched_since() goes over.
  struct TouchedWalk {
    engine::Lsn boundary;
    BlockSet blocks;
  };
  std::optional<TouchedWalk> touched_walk_;
  std::unique_ptr<Wal> wal_;
  std::unique_ptr<Extents> extents_;
  DirtyMap dirty_;
  std::unique_ptr<Flusher> flusher_;
  engine::EpochHistory history_;                 ///< Up to the end of the log.
  engine::ConfigurationHistory configurations_;  ///< The same.
  engine::Lsn committed_;
  std::optional<engine::Error> failure_;
  bool clean_ = false;
  bool stopped_ = false;
  bool changing_ = false;  ///< A truncation or reset holds the flusher, whatever a comparison says.
  bool pruning_ = false;
  engine::TimerId repair_timer_ = 0;
  std::uint64_t repaired_ = 0;  ///< Blocks, since the store was opened.
  std::vector<std::function<void(engine::Done)>> repair_waiting_;
  engine::ScrubStatus scrub_;
  std::set<engine::Lsn> rotten_log_;  ///< Such records that are still there; some of them.
  std::uint64_t log_cuts_ =
      0;  ///< What was read of the log before the last one may not be there any more.
  std::uint64_t scrub_run_ = 0;  ///< Counts scrubs begun and stopped: a task of another one ends.
  engine::TimerId hold_timer_ = 0;
  std::vector<std::function<void(engine::Done)>> after_hold_;  ///< Wait for its end.
  std::uint64_t holds_ =
      0;  ///< Counts holds begun and ended: what was asked under one ends with it.
  Lifetime lifetime_;
  Fan read_fan_{read_parts_max};
  Scope scope_;
};

}  // namespace tidemark::storage
