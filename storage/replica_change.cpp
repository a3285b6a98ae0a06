// What takes something away or replaces it: truncation (C15), reset and rebuild (C6, C9), stop,
// destruction. One at a time; each first records what it is about to do.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "storage/disk_tasks.hpp"
#include "storage/replica_store.hpp"

namespace tidemark::storage {
namespace {

using engine::BaseState;
using engine::block_bytes;
using engine::BlockIndex;
using engine::BlockRange;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::Result;
using engine::Status;

void intend_truncation(Superblock& s, Lsn to, const std::optional<CutMark>& mark) {
  s.truncate_to = to;
  s.durable = std::min(s.durable, to);
  s.committed = std::min(s.committed, to);
  std::erase_if(s.cuts, [to](const CutMark& cut) { return cut.to > to; });
  if (!mark) return;
  std::erase_if(s.cuts, [&](const CutMark& cut) {
    return cut.sequence == mark->sequence && cut.offset == mark->offset;
  });
  if (s.cuts.size() == cut_marks_max) s.cuts.erase(s.cuts.begin());
  s.cuts.push_back(*mark);
}

}  // namespace

Task<Status> ReplicaStore::truncate(Lsn to) {
  const auto turn = co_await change_turn_.acquire(only_turn, RangeGuard::Use::write);
  changing_ = true;  // Before the hold: nobody is to ask for a round that would begin behind it.
  Status cut = co_await flusher_->hold();
  const bool held = cut.has_value();
  if (held) cut = co_await truncate_held(to);
  changing_ = false;
  if (!held) co_return cut;
  wal_->resume();
  if (hold_timer_ == 0) flusher_->release();
  progressed();
  co_return cut;
}

Task<Status> ReplicaStore::truncate_held(Lsn to) {
  if (failure_) co_return *failure_;
  if (to < checkpoint()) {
    co_return Error{
        Errc::refused,
        fmt::format("truncation to lsn {}: the extents already hold up to {}", to, checkpoint())};
  }
  auto settled_log = co_await wal_->settle();
  if (!settled_log) co_return settled_log.error();
  if (to >= wal_->end().lsn) co_return Done{};

  auto time = flusher_->checkpoint().time;
  auto digest = flusher_->checkpoint().digest;
  bool ends_chunk = false;
  if (to >= wal_->retained()) {
    auto last = co_await wal_->read(to, to, 1);
    if (!last) co_return last.error();
    const auto& header = last->front()->header();
    time = header.mono_time;
    digest = header.digest;
    ends_chunk = header.kind == engine::RecordKind::chunk_end;
  }
  if (to >= wal_->issued()) {
    wal_->cut_unissued(to, time);
  } else {
    auto cut = co_await truncate_on_disk(to, digest, time, ends_chunk);
    if (!cut) co_return cut.error();
  }
  log_was_cut(to);
  history_.truncate(to);
  configurations_.truncate(to);
  committed_ = std::min(committed_, to);
  flusher_->truncated(to);
  wal_->set_committed(committed_);
  auto rebuilt = co_await rebuild_dirty_map();
  if (!rebuilt) co_return failed(rebuilt.error());
  co_return Done{};
}

Task<Status> ReplicaStore::truncate_on_disk(Lsn to, engine::Digest digest, engine::WallTime time,
                                            bool ends_chunk) {
  const auto mark = wal_->cut_for(to);
  auto intended =
      co_await record([to, mark](Superblock& s) { intend_truncation(s, to, mark); }, false);
  if (!intended) co_return intended.error();
  // From here on the store goes on whole or not at all: the next start finishes what was intended.
  auto erased = co_await wal_->truncate(to, digest, time, ends_chunk);
  if (!erased) co_return failed(erased.error());
  // Both slots: an intent that came back would cut what is appended from here on.
  auto settled = co_await record([](Superblock& s) { s.truncate_to.reset(); }, true);
  if (!settled) co_return failed(settled.error());
  co_return Done{};
}

/// After a truncation older versions of blocks are the newest again.
Task<Status> ReplicaStore::rebuild_dirty_map() {
  dirty_.clear();
  constexpr std::uint64_t bytes_at_once = 4u << 20;
  for (auto from = checkpoint().next(); from <= wal_->end().lsn;) {
    auto records = co_await wal_->read(from, wal_->end().lsn, bytes_at_once);
    if (!records) co_return records.error();
    for (const auto& record : *records) dirty_.add(record->header());
    from = records->back()->lsn().next();
  }
  co_return Done{};
}

void ReplicaStore::note_touched(bool first, const std::vector<BlockRange>& ranges) {
  if (first || !noted_) noted_.emplace(engine::volume_blocks_max);
  for (const auto& range : ranges) noted_->add(range);
}

Task<Result<engine::BaseProgress>> ReplicaStore::begin_base(engine::BaseScope scope,
                                                            engine::Epoch epoch,
                                                            engine::NewLog from) {
  using engine::BaseScope;
  const bool known = superblock_.base == BaseState::complete || missing_;
  if (scope != BaseScope::all && !known) {
    co_return Error{Errc::refused, "begin of a rebuild: what is missing is not known"};
  }
  if (scope == BaseScope::rest) {
    if (!missing_) co_return Error{Errc::refused, "begin of a rebuild: none was broken off"};
    missing_->epoch = epoch;
  } else {
    auto done = co_await reset(scope, epoch, std::move(from));
    if (!done) co_return done.error();
  }
  noted_.reset();
  co_return *progress();
}

Task<Status> ReplicaStore::reset(engine::BaseScope scope, engine::Epoch epoch,
                                 engine::NewLog from) {
  const auto turn = co_await change_turn_.acquire(only_turn, RangeGuard::Use::write);
  changing_ = true;
  Status done = co_await flusher_->hold();
  const bool held = done.has_value();
  if (held) done = co_await reset_held(scope, epoch, std::move(from));
  changing_ = false;
  if (!held) co_return done;
  wal_->resume();
  release_flush();  // a comparison of what was there is over
  progressed();
  co_return done;
}

Task<Status> ReplicaStore::reset_held(engine::BaseScope scope, engine::Epoch epoch,
                                      engine::NewLog from) {
  const auto base = from.base;
  const auto& digest = from.digest;
  const auto configuration = from.configuration.value_or(configurations_.current());
  const engine::ConfigurationHistory configurations(configuration, base);
  auto settled_log = co_await wal_->settle();
  if (!settled_log) co_return settled_log.error();
  const auto alone = co_await writes_over();
  const auto start = wal_->next_sequence();
  const bool all = scope == engine::BaseScope::all;
  auto found = missing_for(scope, epoch, from);
  if (!found) co_return found.error();
  auto& missing = *found;
  // Of a copy that is taken up again without knowing what it lacked, all is compared.
  if (all || !missing_ || missing_->lacked) missing.note_lacked();
  if (from.own_past) {
    auto sealed = co_await seal_fork(from.own_past->parts_at);
    if (!sealed) co_return failed(sealed.error());
  }
  // A list that leaves out what was copied is true once that is in its place. With it, a crash between this and the
  // superblock loses nothing, whichever state it leaves.
  Status saved = Done{};
  if (missing_ && !all) saved = co_await settle_copied();
  if (saved) saved = co_await missing_file_.save(missing);
  const bool full = !saved && saved.error().code == Errc::no_space;
  // Without the file all is missing, which is so; the reset itself gives space back.
  if (engine::sometimes(all && full, engine::Mark::reset_on_full_disk))
    saved = co_await missing_file_.remove();
  if (!saved && !full) co_return failed(saved.error());
  if (!saved) co_return saved;
  touched_walk_.reset();
  (void)co_await touched_.clear();
  // The vote is withdrawn before anything is discarded, in both slots (C13).
  auto withdrawn = co_await record(
      [&](Superblock& s) {
        s.base = BaseState::incomplete;
        s.damage.clear();
        s.resetting = all;
        s.checkpoint = base;
        s.checkpoint_digest = digest;
        s.checkpoint_batch.reset();
        s.checkpoint_time = from.time;
        s.durable = base;
        s.committed = base;
        s.wal_start = start;
        s.history = from.history;
        s.configurations = configurations;
        s.spec.configure(configuration);
        s.sessions.clear();
        if (all) s.extent_files = {};
        s.truncate_to.reset();
        s.cuts.clear();
      },
      true);
  if (!withdrawn) co_return withdrawn.error();
  touched_.open({base, digest});
  if (all) {
    auto cleared = co_await extents_->clear();
    if (!cleared) co_return failed(cleared.error());
    auto settled = co_await record([](Superblock& s) { s.resetting = false; }, true);
    if (!settled) co_return failed(settled.error());
  }
  if (!all) {
    auto cut = co_await extents_->cut_held(configuration.blocks());
    if (!cut) co_return failed(cut.error());
  }
  wal_->restart(base, digest, from.time);
  log_was_cut(Lsn());
  dirty_.clear();
  missing_ = std::move(missing);
  copied_ = copied_saved_ = 0;
  history_ = std::move(from.history);
  configurations_ = configurations;
  committed_ = base;
  previous_checkpoint_ = base;
  clean_ = false;
  flusher_->restart({base, digest, from.time});
  wal_->set_committed(base);
  co_return Done{};
}

/// Half of a change is done: the store ends with `error`.
Error ReplicaStore::failed(Error error) {
  fail(error);
  return error;
}

std::optional<engine::BaseProgress> ReplicaStore::progress() const {
  if (!missing_) return std::nullopt;
  return engine::BaseProgress{missing_->epoch, missing_->flush_lsn, missing_->blocks.count()};
}

Task<Status> ReplicaStore::write_base(BlockRange range, std::vector<engine::BlockSum> sums,
                                      engine::Slice data, Lsn flush_lsn) {
  const bool zeros = sums.empty();
  const bool sized =
      zeros ? data.empty() : sums.size() == range.count && data.size() == range.count * block_bytes;
  if (!sized || range.end().value > engine::volume_blocks_max) {
    co_return Error{Errc::invalid,
                    fmt::format("base write of blocks {}: {} bytes and {} checksums do not fit it",
                                range, data.size(), sums.size())};
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto block = range.first + i;
    if (engine::block_sum(key_, block, data.bytes().subspan(i * block_bytes, block_bytes)) ==
        sums[i])
      continue;
    co_return Error{
        Errc::corrupt,
        fmt::format("base write of block {}: its content does not match its checksum", block)};
  }
  // Held from before it is decided which blocks are still the base's until they are written: a
  // record that comes later is flushed behind the base, not under it (C9).
  const auto held = co_await extents_->guard().acquire(range, RangeGuard::Use::write);
  if (superblock_.base != BaseState::incomplete || !missing_ || stopped_) {
    co_return Error{Errc::refused,
                    fmt::format("base write of blocks {}: no rebuild is under way", range)};
  }
  missing_->flush_lsn = std::max(missing_->flush_lsn, flush_lsn);
  const bool overwrites = engine::planted(engine::Bug::base_overwrites_newer_block);
  std::vector<ExtentRun> runs;
  for (std::uint64_t i = 0; i < range.count; ++i) {
    const auto block = range.first + i;
    if (engine::sometimes(!missing_->blocks.has(block),
                          engine::Mark::base_block_written_meanwhile) &&
        !overwrites)
      continue;
    const bool joins = !runs.empty() && runs.back().range.end() == block;
    if (!joins) runs.push_back({{block, 0}, {}, {}});
    auto& run = runs.back();
    ++run.range.count;
    if (zeros) continue;
    run.data.push_back(data.part(i * block_bytes, block_bytes));
    run.sums.push_back(sums[i]);
  }
  std::vector<BlockRange> copied;
  const bool skips_holes = zeros && engine::planted(engine::Bug::base_skips_holes);
  const bool drops = engine::planted(engine::Bug::base_drops_block) ||
                     engine::planted(engine::Bug::base_never_compared);
  for (const auto& run : runs) {
    copied.push_back(run.range);
    copied_ += zeros ? 1 : run.range.count;  // A hole costs a message when it comes again.
  }
  if (skips_holes) runs.clear();
  if (drops && !zeros && !runs.empty() && !std::exchange(dropped_, true)) runs.clear();
  auto written = co_await extents_->write_held(std::move(runs));
  if (!written && written.error().code != Errc::no_space) fail(written.error());
  if (!written) co_return written;
  if (!missing_) co_return Done{};
  for (const auto& run : copied) missing_->blocks.remove(run);
  auto bounded = co_await bound_unsaved();
  co_return bounded;
}

Task<Status> ReplicaStore::finish_rebuild(Lsn at) {
  const auto turn = co_await change_turn_.acquire(only_turn, RangeGuard::Use::write);
  if (superblock_.base == BaseState::complete) co_return Done{};
  const bool whole = base_whole();
  if (superblock_.base == BaseState::damaged || !whole || wal_->durable() < at) {
    co_return Error{
        Errc::refused,
        fmt::format("end of a rebuild at lsn {}: the log is durable up to {}, the base is {}{}", at,
                    wal_->durable(), engine::to_string(superblock_.base),
                    whole ? "" : ", and blocks are missing")};
  }
  auto synced = co_await extents_->sync();
  if (!synced && synced.error().code != Errc::no_space) co_return failed(synced.error());
  if (!synced) co_return synced.error();
  const auto saving = co_await missing_turn_.acquire(only_turn, RangeGuard::Use::write);
  auto recorded = co_await record(
      [this](Superblock& s) {
        s.base = BaseState::complete;
        s.extent_files = extents_->durable_files();
      },
      true);
  if (!recorded) co_return recorded.error();
  missing_.reset();
  auto removed = co_await missing_file_.remove();
  if (!removed) co_return failed(removed.error());
  co_return Done{};
}

Task<Result<BasePiece>> ReplicaStore::read_base(BlockIndex first, std::uint32_t blocks_max) {
  auto allowed = readable();
  if (!allowed) co_return allowed.error();
  if (first.value >= engine::volume_blocks_max || blocks_max == 0) {
    co_return Error{Errc::invalid, fmt::format("base read at block {}: no volume has it", first)};
  }
  if (engine::planted(engine::Bug::base_serves_memory)) {
    const auto dirty = dirty_.find(first);
    const auto record = dirty ? wal_->in_memory(dirty->lsn) : engine::RecordPtr();
    if (record && record->header().kind == engine::RecordKind::write) {
      const auto at = first - record->header().range.first;
      auto data = record->payload().part(at * block_bytes, block_bytes);
      co_return BasePiece{{{first, 1}, std::move(data), {record->sum(at)}}, flusher_->ceiling()};
    }
  }
  auto run = co_await extents_->read_run(first, blocks_max, engine::base_ask_blocks_max);
  if (!run && is_block_damage(run.error()) && blocks_max > 1) {
    run = co_await extents_->read_run(first, 1);
  }
  if (!run && is_block_damage(run.error()) && !dirty_.find(first)) {
    const auto first_of_all = extents_->damaged().wait_for({first, 1});
    note_damage(first, run.error());
    (void)co_await mended(first);
    run = co_await extents_->read_run(first, 1);
  }
  if (!run) {
    // A crash or a full disk left it half written: then the log has it, above the checkpoint,
    // and the WAL lane sends it. What is said here does not matter, but for the LSN that the
    // rebuild has to reach.
    const auto dirty = dirty_.find(first);
    if (run.error().code != Errc::corrupt || !dirty) co_return run.error();
    engine::sometimes(engine::Mark::base_read_half_written);
    co_return BasePiece{{{first, 1}, {}, {}}, std::max(flusher_->ceiling(), dirty->lsn)};
  }
  co_return BasePiece{std::move(*run), flusher_->ceiling()};
}

Task<Status> ReplicaStore::stop(bool clean) {
  auto stopped = co_await end(clean ? Ending::clean : Ending::drained);
  co_return stopped;
}

Task<Status> ReplicaStore::end(Ending how) {
  const auto turn = co_await change_turn_.acquire(only_turn, RangeGuard::Use::write);
  if (stopped_) co_return Done{};
  stopped_ = true;
  wake_readers();
  Status result = Done{};
  if (how == Ending::destroyed && scrubbing()) forget_scrub();
  if (opened() && !failure_ && how == Ending::destroyed) {
    result = co_await wal_->halt();
  } else if (opened() && !failure_ && superblock_.base != BaseState::damaged) {
    auto drained = co_await wal_->drain();
    if (!drained) result = drained.error();
    if (drained && *drained && how == Ending::clean) result = co_await mark_clean();
  }
  if (opened()) {
    auto quiet = co_await flusher_->hold();
    if (result) result = std::move(quiet);
    flusher_->stop();
  }
  std::optional<WritesOver> alone;
  if (extents_) {
    auto over = co_await writes_over();
    alone.emplace(std::move(over));
    extents_->close();
  }
  if (wal_) {
    auto closed = co_await wal_->close();
    if (result) result = std::move(closed);
  }
  const auto last = co_await superblock_turn_.acquire(only_turn, RangeGuard::Use::write);
  superblock_file_.close();
  co_return result;
}

Task<Status> ReplicaStore::mark_clean() {
  flusher_->release();
  // A full disk keeps it from the extents, not from being cleanly in the log.
  auto flushed = co_await flusher_->flush_to(flusher_->limit());
  if (!flushed && flushed.error().code != Errc::no_space) co_return flushed.error();
  const auto durable = wal_->durable();
  const auto committed = committed_;
  auto marked = co_await record(
      [durable, committed](Superblock& s) {
        s.clean = true;
        s.durable = durable;
        s.committed = committed;
      },
      true);
  co_return marked;
}

Task<Status> ReplicaStore::destroy() {
  auto stopped = co_await end(Ending::destroyed);  // whatever it says, the bytes go
  (void)stopped;
  (void)co_await touched_.clear();
  // The superblock first: without it, what a crash leaves is nobody's.
  auto gone = co_await remove_file(config_.disk, config_.directory + "/superblock");
  if (!gone && gone.error().code != Errc::not_found) co_return gone.error();
  // Durably: with the power its name would come back, and its log would not.
  auto nobodys = co_await sync_directory(config_.disk, config_.directory);
  if (!nobodys && nobodys.error().code != Errc::not_found) co_return nobodys.error();
  for (const auto* part : {"/wal", "/extents", "/forks", ""}) {
    const auto directory = config_.directory + part;
    auto emptied = co_await remove_all(directory);
    if (!emptied && emptied.error().code != Errc::not_found) co_return emptied.error();
    auto removed = co_await remove_file(config_.disk, directory);
    if (!removed && removed.error().code != Errc::not_found) co_return removed.error();
  }
  const auto parent = config_.directory.substr(0, config_.directory.rfind('/'));
  auto synced = co_await sync_directory(config_.disk, parent);
  co_return synced;
}

}  // namespace tidemark::storage
