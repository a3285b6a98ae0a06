// Opening and creating a replica's directory; and its superblock from then on.
//
//   superblock -> identity -> touched index -> unfinished reset -> extents
//              -> log (unfinished truncation included) -> dirty map
#include <fmt/format.h>

#include <algorithm>

#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "storage/disk_tasks.hpp"
#include "storage/replica_store.hpp"

namespace tidemark::storage {
namespace {

using engine::BaseState;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::Result;
using engine::Status;

WalContext wal_context(const StoreConfig& config, engine::VolumeKey key,
                       std::uint64_t segment_bytes) {
  return {config.disk,    config.timers,  key,
          config.spec.id, config.replica, config.directory + "/wal",
          segment_bytes};
}

WalLimits wal_limits(const StoreLimits& l) {
  return {l.wal_retention_bytes, l.reserve_bytes, l.memory_tail_bytes};
}

}  // namespace

Task<Result<OpenedStore>> ReplicaStore::open() {
  if (config_.create || engine::planted(engine::Bug::lost_copy_is_made_anew)) {
    auto created = co_await create();
    if (!created) co_return created.error();
  }
  auto found = co_await superblock_file_.open();
  if (!found) co_return found.error();
  auto ours =
      check_identity(*found, config_.cluster, config_.spec, config_.replica, config_.directory);
  if (!ours) co_return ours.error();
  superblock_ = std::move(*found);
  const bool half = superblock_.base == BaseState::incomplete && !config_.create;
  if (half && engine::planted(engine::Bug::rebuild_forgotten_by_restart)) {
    superblock_.base = BaseState::complete;
  }
  previous_checkpoint_ = superblock_.checkpoint;
  touched_.open({superblock_.checkpoint, superblock_.checkpoint_digest});
  extents_ = std::make_unique<Extents>(config_.disk, config_.timers, config_.directory + "/extents",
                                       key_, engine::volume_blocks_max,
                                       superblock_.extent_file_bytes, config_.limits.reserve_bytes);
  wal_ = std::make_unique<Wal>(wal_context(config_, key_, superblock_.segment_bytes),
                               wal_limits(config_.limits));
  if (engine::sometimes(superblock_.resetting, engine::Mark::reset_finished_by_start)) {
    auto cleared = co_await extents_->clear();
    if (!cleared) co_return cleared.error();
  }
  auto opened = co_await extents_->open(superblock_.extent_files);
  if (!opened) co_return opened.error();
  auto missing = co_await find_missing_file();
  if (!missing) co_return missing.error();
  auto cut = co_await cut_incomplete();
  if (!cut) co_return cut.error();
  auto log = co_await recover_log_of_superblock();
  if (!log) co_return log.error();
  clean_ = superblock_.clean && log->damage.empty() && log->end.lsn == superblock_.durable;
  engine::sometimes(clean_, engine::Mark::opened_cleanly_stopped);
  auto settled = co_await settle_superblock(*log);
  if (!settled) co_return settled.error();
  start(std::move(*log));
  resume_scrub();
  co_return facts();
}

Task<Status> ReplicaStore::create() {
  auto& disk = config_.disk;
  for (const auto* part : {"", "/wal", "/extents"}) {
    auto made = co_await make_directory(disk, config_.directory + part);
    if (!made && made.error().code != Errc::already_exists) co_return made.error();
  }
  auto names = co_await list_directory(disk, config_.directory);
  if (!names) co_return names.error();
  const auto parent = config_.directory.substr(0, config_.directory.rfind('/'));
  if (std::find(names->begin(), names->end(), "superblock") != names->end()) {
    // Of a try that ended before its names were durable, perhaps.
    engine::sometimes(engine::Mark::creation_begun_again);
    auto named = co_await sync_directory(disk, config_.directory);
    if (named) named = co_await sync_directory(disk, parent);
    co_return named;
  }
  // Without a superblock nothing here was ever acknowledged: what a crash left of an earlier try
  // goes.
  for (const auto* part : {"/wal", "/extents"}) {
    auto removed = co_await remove_all(config_.directory + part);
    if (!removed) co_return removed.error();
  }
  auto forgotten = co_await missing_file_.remove();
  if (!forgotten) co_return forgotten;
  {
    Wal fresh(wal_context(config_, key_, config_.limits.segment_bytes), wal_limits(config_.limits));
    auto segments = co_await fresh.create_first_segments();
    if (!segments) co_return segments.error();
  }
  Superblock first;
  first.cluster = config_.cluster;
  first.spec = config_.spec;
  first.configurations = engine::ConfigurationHistory(config_.spec.configuration());
  first.replica = config_.replica;
  first.segment_bytes = config_.limits.segment_bytes;
  first.extent_file_bytes = config_.limits.extent_file_bytes;
  first.wal_start = SegmentSequence(1);
  first.base = config_.base_incomplete ? BaseState::incomplete : BaseState::complete;
  auto synced = co_await sync_directory(disk, config_.directory);
  if (!synced) co_return synced.error();
  auto written = co_await superblock_file_.create(std::move(first));
  if (!written) co_return written.error();
  superblock_file_.close();
  auto named = co_await sync_directory(disk, parent);
  co_return named;
}

Task<Status> ReplicaStore::remove_all(std::string directory) {
  auto names = co_await list_directory(config_.disk, directory);
  if (!names) co_return names.error();
  for (const auto& name : *names) {
    auto removed = co_await remove_file(config_.disk, directory + "/" + name);
    if (!removed) co_return removed.error();
  }
  co_return Done{};
}

Task<Result<RecoveredLog>> ReplicaStore::recover_log_of_superblock() {
  auto log = co_await wal_->recover(recovery_input(superblock_));
  co_return log;
}

Task<Status> ReplicaStore::find_missing_file() {
  if (superblock_.base != BaseState::incomplete) {
    auto removed = co_await missing_file_.remove();  // of a rebuild that ended just so
    co_return removed;
  }
  auto missing = co_await missing_file_.load(engine::volume_blocks_max);
  if (!missing) co_return missing.error();
  engine::sometimes(missing->has_value(), engine::Mark::half_copy_opened);
  missing_ = std::move(*missing);
  co_return Done{};
}

/// A copy that was begun may not have come to it, and blocks beyond the end are not asked for.
Task<Status> ReplicaStore::cut_incomplete() {
  if (superblock_.base != BaseState::incomplete || superblock_.configurations.empty()) {
    co_return Done{};
  }
  auto cut = co_await extents_->cut(superblock_.configurations.current().blocks());
  co_return cut;
}

/// What was found becomes the state from which work goes on:
/// no clean mark, no intent, damage on record.
Task<Status> ReplicaStore::settle_superblock(const RecoveredLog& log) {
  const bool damaged = !log.damage.empty();
  const bool unsettled =
      superblock_.clean || superblock_.truncate_to || superblock_.resetting || damaged;
  if (!unsettled) co_return Done{};
  const auto& damage = log.damage;
  auto recorded = co_await record(
      [&damage, damaged](Superblock& s) {
        s.clean = false;
        s.resetting = false;
        s.truncate_to.reset();
        if (!damaged) return;
        s.base = BaseState::damaged;
        s.damage = damage;
      },
      true);
  co_return recorded;
}

void ReplicaStore::start(RecoveredLog log) {
  history_ = superblock_.history;
  history_.truncate(superblock_.checkpoint);
  configurations_ = superblock_.configurations;
  replay(log.replay);
  committed_ = std::min(log.end.lsn,
                        std::max({superblock_.checkpoint, superblock_.committed, log.committed}));
  if (log.cut_torn_tail) {
    config_.events.event(engine::Event(engine::Level::info, "torn_tail_cut")
                             .with("volume", config_.spec.name)
                             .with("end", log.end.lsn));
  }
  wal_->on_history_lost = [this](const std::string& problem) {
    config_.events.event(engine::Event(engine::Level::warning, "log_history_shortened")
                             .with("volume", config_.spec.name)
                             .with("problem", problem));
  };
  if (!log.history_lost.empty()) wal_->on_history_lost(log.history_lost);
  const bool damaged = !log.damage.empty();
  if (damaged) {
    config_.events.event(engine::Event(engine::Level::error, "log_damaged")
                             .with("volume", config_.spec.name)
                             .with("problem", log.damage));
  }
  wal_->on_durable = [this] {
    flusher_->poke();
    progressed();
  };
  wal_->on_failed = [this](Error error) { fail(std::move(error)); };
  wal_->on_space = [this] {
    flusher_->poke();
    if (opened()) prune_ahead();
    progressed();
  };
  // Waiting for the flusher is right as long as the flusher can bring space. It can once a comparison lets it go: whoever
  // compares, or is gone without a word, may not fill the disk with a log.
  wal_->may_grow = [this] {
    if (engine::sometimes(hold_timer_ != 0 && wal_->has_grown_enough(),
                          engine::Mark::hold_ended_by_log))
      release_flush();
    return !flusher_->running() && !flusher_->can_progress();
  };
  const auto ceiling = clean_ ? superblock_.checkpoint : log.end.lsn;
  wal_->start(log, committed_);
  make_flusher(ceiling);
  if (damaged) {
    flusher_->stop();
    return;
  }
  flusher_->set_committed(committed_);
  wal_->top_up();
}

void ReplicaStore::make_flusher(Lsn ceiling) {
  const CheckpointState at{superblock_.checkpoint, superblock_.checkpoint_digest,
                           superblock_.checkpoint_time};
  flusher_ = std::make_unique<Flusher>(
      *wal_, *extents_, dirty_, key_, config_.timers,
      FlushLimits{config_.limits.flush_bytes, config_.limits.flush_after}, at, ceiling,
      [this](CheckpointState next, const std::vector<engine::RecordPtr>& records) {
        return checkpointed(next, records);
      });
  flusher_->before_writing = [this](const std::vector<engine::RecordPtr>& records) {
    if (!missing_) return;
    for (const auto& record : records) missing_->blocks.remove(record->header().range);
  };
  flusher_->on_progress = [this] {
    wal_->set_thrifty(!flusher_->problem().empty());
    wal_->top_up();
    if (!repair_waiting_.empty()) wake_readers();
    progressed();
  };
  flusher_->on_failed = [this](Error error) { fail(std::move(error)); };
}

void ReplicaStore::replay(const std::vector<ReplayedRecord>& records) {
  for (const auto& record : records) {
    dirty_.add(record.header);
    if (record.configuration)
      put_in_force(record.header, *record.configuration, configurations_, history_);
    if (!record.epoch) continue;
    const auto& body = *record.epoch;
    history_.begin({record.header.epoch, body.nonce, record.header.lsn, body.marks, body.mode});
  }
  if (!engine::planted(engine::Bug::trims_replayed_last)) return;
  for (const auto& record : records) {
    if (record.header.kind == engine::RecordKind::trim) dirty_.add(record.header);
  }
}

Task<Status> ReplicaStore::record(std::function<void(Superblock&)> change, bool both) {
  const auto turn = co_await superblock_turn_.acquire(only_turn, RangeGuard::Use::write);
  auto recorded = co_await record_held(std::move(change), both);
  co_return recorded;
}

Task<Status> ReplicaStore::record_held(std::function<void(Superblock&)> change, bool both) {
  if (failure_) co_return *failure_;
  auto next = superblock_;
  change(next);
  auto written = co_await superblock_file_.write(next);
  // A full disk wrote nothing. Anything else leaves open what the next start will read.
  bool unknown = !written && written.error().code != Errc::no_space;
  if (written && both) {
    written = co_await superblock_file_.write(next);
    unknown = !written;
  }
  engine::sometimes(!written && !unknown, engine::Mark::superblock_not_written_for_space);
  if (unknown && opened()) fail(written.error());
  if (written) superblock_ = std::move(next);
  co_return written;
}

Task<Status> ReplicaStore::checkpointed(CheckpointState at,
                                        const std::vector<engine::RecordPtr>& records) {
  // The last of the space is the catalog's; the index is what it can do without. Lost, it says so,
  // and costs a copy.
  const auto space = config_.disk.space(config_.directory);
  const bool room = !space || space->free_bytes >= config_.limits.reserve_bytes;
  const TouchedBoundary next{at.lsn, at.digest};
  if (room) {
    (void)co_await touched_.add(next, records);
  } else {
    engine::sometimes(engine::Mark::index_skipped_for_space);
    (void)co_await touched_.skip(next);
  }
  // Before the log may be pruned: what was flushed is not asked for again, nor written over.
  if (missing_) {
    auto saved = co_await save_missing();
    if (!saved) co_return saved;
  }
  // Falling back to the older slot must find the log from its checkpoint on.
  const auto start = wal_->prunable_start(previous_checkpoint_);
  auto history = history_;
  history.truncate(at.lsn);
  configurations_.forget_before(at.lsn);
  auto configurations = configurations_;
  configurations.truncate(at.lsn);
  const auto durable = wal_->durable();
  const auto committed = committed_;
  const auto batch = wal_->batch_of(at.lsn);
  auto recorded = co_await record(
      [&](Superblock& s) {
        s.checkpoint = at.lsn;
        s.checkpoint_digest = at.digest;
        s.checkpoint_time = at.time;
        s.checkpoint_batch = batch;
        s.history = history;
        s.configurations = configurations;
        s.spec.configure(configurations.current());
        s.durable = durable;
        s.committed = committed;
        s.wal_start = std::max(s.wal_start, start);
        s.extent_files = extents_->durable_files();
        std::erase_if(s.cuts, [start](const CutMark& cut) { return cut.sequence < start; });
        note_sessions(s.sessions, records);
      },
      false);
  if (!recorded) co_return recorded.error();
  previous_checkpoint_ = at.lsn;
  touched_.recorded();
  wal_->prune(start);
  co_return Done{};
}

/// Gives up what need not be retained before the writer runs out of segments: without a flush, as
/// long as the extents are far enough.
void ReplicaStore::prune_ahead() {
  const bool compared = hold_timer_ != 0;  // It reads what is retained.
  if (pruning_ || changing_ || compared || !wal_->wants_pruning()) return;
  const auto start = wal_->prunable_start(previous_checkpoint_);
  if (start == wal_->start_sequence()) return;
  pruning_ = true;
  run(prune(start), [this](const Status& status) {
    pruning_ = false;
    if (status) progressed();
  });
}

Task<Status> ReplicaStore::prune(SegmentSequence start) {
  const auto turn = co_await superblock_turn_.acquire(only_turn, RangeGuard::Use::write);
  auto recorded = co_await record_held(
      [start](Superblock& s) { s.wal_start = std::max(s.wal_start, start); }, false);
  // Also when a comparison has begun meanwhile (it waits for this turn): what the superblock no
  // longer names must not stay in the log.
  if (recorded) wal_->prune(start);
  co_return recorded;
}

void ReplicaStore::note_sessions(std::vector<SessionLine>& table,
                                 const std::vector<engine::RecordPtr>& records) {
  for (const auto& record : records) {
    const auto& h = record->header();
    if (h.session == engine::FrontSession()) continue;
    auto line = std::find_if(table.begin(), table.end(),
                             [&](const SessionLine& l) { return l.session == h.session; });
    if (line == table.end()) {
      if (table.size() == session_table_max) table.erase(table.begin());
      line = table.insert(table.end(), {h.session, 0});
    }
    line->sequence = std::max(line->sequence, h.sequence);
  }
}

}  // namespace tidemark::storage
