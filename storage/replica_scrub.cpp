// Scrub of one copy, in the background: superblock, catalog, retained log, extents with their checksum
// files. What rotted is repaired from where it can be: a slot, catalog and checksums from memory,
// blocks from another copy; damaged history of the log is given up.
#include <fmt/format.h>

#include <algorithm>

#include "engine/sometimes.hpp"
#include "storage/disk_tasks.hpp"
#include "storage/replica_store.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::BlockIndex;
using engine::BlockRange;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::Result;
using engine::ScrubState;
using engine::Status;

/// 1 MiB: a long sequential read, and a guard that is not held long.
constexpr std::uint64_t scrub_read_blocks = 256;
/// 64 MiB: what a restart reads once more.
constexpr std::uint64_t scrub_save_blocks = 16384;
constexpr std::uint64_t scrub_log_bytes = 1u << 20;
/// Places in the log that are remembered until they are given up.
constexpr std::size_t rotten_log_max = 256;
/// While it may not read: a rebuild, a comparison.
constexpr std::uint64_t scrub_look_again = engine::second;
/// Others may be away; what they could not help with is counted, and asked for again later.
constexpr int scrub_repair_looks = 60;

std::string scrub_key(const engine::VolumeSpec& spec, engine::ReplicaId replica) {
  return fmt::format("scrub/{}/{}", engine::to_string(spec.id), replica.value);
}

}  // namespace

Status ReplicaStore::start_scrub(std::uint64_t rate, std::uint64_t round) {
  if (rate < engine::scrub_rate_min) {
    return Error{Errc::invalid,
                 fmt::format("scrub at {} bytes/s: at least {}", rate, engine::scrub_rate_min)};
  }
  const bool same = scrub_.round == round;
  if (same && scrub_.state == ScrubState::finished) return Done{};  // Told twice.
  if (same && scrubbing()) {
    scrub_.rate = rate;
    return Done{};
  }
  begin_scrub({rate, BlockIndex(), 0, round});
  return Done{};
}

void ReplicaStore::stop_scrub() {
  if (!scrubbing()) return;
  ++scrub_run_;
  scrub_.state = ScrubState::stopped;
  scrub_.problem = "stopped by an operator";
  forget_scrub();
}

bool ReplicaStore::scrubbing() const {
  return scrub_.state == ScrubState::log || scrub_.state == ScrubState::blocks ||
         scrub_.state == ScrubState::repairing;
}

/// After opening: one that a restart broke off.
void ReplicaStore::resume_scrub() {
  const auto value = config_.kv.get(scrub_key(config_.spec, config_.replica));
  const auto place = value ? engine::decode_scrub(*value) : std::nullopt;
  if (engine::sometimes(place.has_value(), engine::Mark::scrub_resumed)) begin_scrub(*place);
}

void ReplicaStore::begin_scrub(engine::ScrubPlace place) {
  const auto read = scrub_.read_bytes;
  scrub_ = {};
  scrub_.read_bytes = read;
  scrub_.round = place.round;
  scrub_.rate = place.rate;
  scrub_.next = place.next;
  scrub_.damaged = place.damaged;
  scrub_.blocks = blocks();
  scrub_.state = ScrubState::log;
  save_scrub();
  const auto number = ++scrub_run_;
  run(scrub(number), [this, number](const Status& status) {
    if (status || scrub_run_ != number) return;
    scrub_.state = ScrubState::stopped;
    scrub_.problem = status.error().text;
  });
}

void ReplicaStore::save_scrub() {
  KvBatch batch;
  batch.put(scrub_key(config_.spec, config_.replica),
            engine::encode_scrub({scrub_.rate, scrub_.next, scrub_.damaged, scrub_.round}));
  // Not durable, it costs reading once more: nothing hangs on it.
  config_.kv.commit(std::move(batch), [](const Status&) {});
}

void ReplicaStore::forget_scrub() {
  KvBatch batch;
  batch.remove(scrub_key(config_.spec, config_.replica));
  config_.kv.commit(std::move(batch), [](const Status&) {});
}

/// Asked after each wait: the task of a scrub that was stopped writes nothing into the next one's place.
bool ReplicaStore::scrub_over(std::uint64_t number) const {
  return scrub_run_ != number || stopped_ || failure_;
}

Task<Done> ReplicaStore::sleep(std::uint64_t nanoseconds) {
  auto later = callback<Done>([this, nanoseconds](auto done) {
    config_.timers.after(nanoseconds,
                         lifetime_.guard([done = std::move(done)]() mutable { done(Done{}); }));
  });
  co_await later;
  co_return Done{};
}

Task<Status> ReplicaStore::scrub(std::uint64_t number) {
  while (!scrub_over(number) && !readable()) (void)co_await sleep(scrub_look_again);
  auto slots = co_await scrub_superblock(number);
  if (!slots) co_return slots;
  if (scrub_over(number)) co_return Done{};
  (void)co_await scrub_catalog(number);
  if (scrub_over(number)) co_return Done{};
  auto headers = co_await scrub_log_headers(number);
  if (!headers) co_return headers;
  if (scrub_over(number)) co_return Done{};
  auto log = co_await scrub_log(number);
  if (!log) co_return log;
  // Blocks may take hours: until then no restart shall need a record that cannot be read.
  for (int look = 0; look < scrub_repair_looks && !scrub_over(number); ++look) {
    if (rotten_log_.empty() || *rotten_log_.rbegin() <= previous_checkpoint_) break;
    (void)co_await give_up_history(*rotten_log_.rbegin());
    (void)co_await sleep(scrub_look_again);
  }
  if (scrub_over(number)) co_return Done{};
  scrub_.state = ScrubState::blocks;
  auto blocks = co_await scrub_blocks(number);
  if (!blocks) co_return blocks;
  if (scrub_over(number)) co_return Done{};
  scrub_.state = ScrubState::repairing;
  auto sums = co_await extents_->rewrite_rotten_sums();
  if (!sums) co_return sums.error();
  if (scrub_over(number)) co_return Done{};
  scrub_.sums_rewritten = *sums;
  for (int look = 0; look < scrub_repair_looks; ++look) {
    // All before the last one goes with it.
    if (!rotten_log_.empty()) (void)co_await give_up_history(*rotten_log_.rbegin());
    if (scrub_over(number)) co_return Done{};
    rotten_log_.erase(rotten_log_.begin(), rotten_log_.lower_bound(wal_->retained()));
    if (rotten_log_.empty() && extents_->damaged().size() == 0) break;
    (void)co_await sleep(scrub_look_again);
    if (scrub_over(number)) co_return Done{};
  }
  finish_scrub();
  co_return Done{};
}

void ReplicaStore::finish_scrub() {
  scrub_.state = ScrubState::finished;
  forget_scrub();
  const auto left = extents_->damaged().size();
  const bool clean = left == 0 && scrub_.log_damage == 0;
  config_.events.event(
      engine::Event(clean ? engine::Level::info : engine::Level::warning, "scrub_finished")
          .with("volume", config_.spec.name)
          .with("replica", config_.replica)
          .with("damaged_blocks", scrub_.damaged)
          .with("left_damaged", left)
          .with("checksum_pages", scrub_.sums_rewritten)
          .with("log_damage", scrub_.log_damage)
          .with("superblock_slots", scrub_.slots_rewritten)
          .with("catalogs", scrub_.catalogs_rewritten));
}

/// A slot that is not whole is written again from what is in force.
Task<Status> ReplicaStore::scrub_superblock(std::uint64_t number) {
  const auto turn = co_await superblock_turn_.acquire(only_turn, RangeGuard::Use::write);
  if (scrub_over(number)) co_return Done{};
  auto bad = co_await superblock_file_.rotten_slots();
  if (!bad) co_return bad.error();
  if (scrub_over(number)) co_return Done{};
  scrub_.slots_rewritten = *bad;
  scrub_.read_bytes += superblock_slots * superblock_slot_bytes;
  if (!engine::sometimes(*bad != 0, engine::Mark::superblock_slot_rewritten)) co_return Done{};
  config_.events.event(engine::Event(engine::Level::warning, "superblock_slot_rewritten")
                           .with("volume", config_.spec.name)
                           .with("slots", *bad));
  auto written = co_await record_held([](Superblock&) {}, true);
  co_return written;
}

/// The node's; every copy on it looks, so that no scrub is without.
Task<Done> ReplicaStore::scrub_catalog(std::uint64_t number) {
  auto checked =
      co_await callback<Result<KvCheck>>([this](auto done) { config_.kv.check(std::move(done)); });
  if (!checked) {
    config_.events.event(engine::Event(engine::Level::error, "catalog_not_checked")
                             .with("volume", config_.spec.name)
                             .with("reason", checked.error().text));
    co_return Done{};
  }
  const bool over = scrub_over(number);
  if (!over) scrub_.read_bytes += checked->bytes;
  if (!engine::sometimes(!checked->damage.empty(), engine::Mark::catalog_rewritten))
    co_return Done{};
  if (!over) scrub_.catalogs_rewritten = 1;
  config_.events.event(engine::Event(engine::Level::warning, "catalog_rewritten")
                           .with("volume", config_.spec.name)
                           .with("problem", checked->damage));
  co_return Done{};
}

// --- the log -------------------------------------------------------------------------------------

/// What a segment's header says is known while it is in use: it is written again.
Task<Status> ReplicaStore::scrub_log_headers(std::uint64_t number) {
  const auto turn = co_await change_turn_.acquire(only_turn, RangeGuard::Use::write);
  if (scrub_over(number)) co_return Done{};
  const auto mended = co_await wal_->mend_headers();
  if (!mended) co_return mended.error();
  if (*mended == 0 || scrub_over(number)) co_return Done{};
  scrub_.log_damage += *mended;
  config_.events.event(engine::Event(engine::Level::warning, "log_header_rewritten")
                           .with("volume", config_.spec.name)
                           .with("headers", *mended));
  co_return Done{};
}

Task<Status> ReplicaStore::scrub_log(std::uint64_t number) {
  const auto to = wal_->durable();
  for (auto from = wal_->retained(); from <= to && !scrub_over(number);) {
    const auto cuts = log_cuts_;
    auto next = co_await wal_->verify(from, to, Haste::background);
    if (scrub_over(number)) break;
    if (next) {
      from = *next;
      scrub_.read_bytes += scrub_log_bytes;
      (void)co_await sleep(engine::scrub_pause(scrub_log_bytes, scrub_.rate));
      continue;
    }
    if (!is_block_damage(next.error())) {
      // Pruned or cut meanwhile.
      if (next.error().code != Errc::out_of_window || wal_->retained() <= from) co_return Done{};
      from = wal_->retained();
      continue;
    }
    auto one = co_await wal_->verify(from, from);
    if (scrub_over(number)) break;
    if (one) {  // it lies further behind
      from = *one;
      continue;
    }
    if (!is_block_damage(one.error())) continue;  // Cut, or pruned: not rot.
    if (changing_ || cuts != log_cuts_) {         // It was being erased, or has been.
      (void)co_await sleep(scrub_look_again);
      continue;
    }
    note_rot(from, one.error());
    (void)co_await give_up_history(from);
    from = std::max(from.next(), wal_->retained());
  }
  co_return Done{};
}

void ReplicaStore::note_rot(Lsn lsn, const Error& error) {
  ++scrub_.log_damage;
  config_.events.event(engine::Event(engine::Level::warning, "log_rot_found")
                           .with("volume", config_.spec.name)
                           .with("lsn", lsn)
                           .with("problem", error.text));
  // The first ones go: a later one stands for them, but where the log is cut between.
  if (rotten_log_.size() == rotten_log_max) rotten_log_.erase(rotten_log_.begin());
  rotten_log_.insert(lsn);
}

/// What comes behind `to` is written anew: that something rotted there says nothing of it.
void ReplicaStore::log_was_cut(Lsn to) {
  ++log_cuts_;
  rotten_log_.erase(rotten_log_.upper_bound(to), rotten_log_.end());
}

/// What is retained up to the segment with `lsn` goes, once the extents have all of it and the segment
/// is not written to any more. Until then it stays, unreadable: nobody is given a wrong record.
Task<Status> ReplicaStore::give_up_history(Lsn lsn) {
  if (hold_timer_ != 0 || changing_ || lsn < wal_->retained()) co_return Done{};
  const auto segment = wal_->segment_of(lsn);
  if (!segment) wal_->roll_soon();
  // A restart shall not need it in the meantime.
  const auto needless = std::min(segment ? segment->end : lsn, flusher_->limit());
  if (checkpoint() < needless) {
    auto flushed = co_await flusher_->flush_to(needless);
    if (!flushed) co_return flushed;
  }
  if (checkpoint() < lsn) co_return Done{};
  {
    const auto turn = co_await superblock_turn_.acquire(only_turn, RangeGuard::Use::write);
    // Neither slot may need what goes.
    auto settled = co_await record_held([](Superblock&) {}, true);
    if (!settled) co_return settled;
    previous_checkpoint_ = superblock_.checkpoint;
  }
  if (!segment || hold_timer_ != 0 || changing_ || previous_checkpoint_ < segment->end)
    co_return Done{};
  auto pruned = co_await prune(segment->next);
  if (!pruned) co_return pruned;
  config_.events.event(engine::Event(engine::Level::warning, "log_rot_given_up")
                           .with("volume", config_.spec.name)
                           .with("from", wal_->retained()));
  progressed();
  co_return Done{};
}

// --- the extents ---------------------------------------------------------------------------------

Task<Status> ReplicaStore::scrub_blocks(std::uint64_t number) {
  auto saved = scrub_.next;
  while (scrub_.next.value < blocks() && !scrub_over(number)) {
    if (!readable()) {
      (void)co_await sleep(scrub_look_again);
      continue;
    }
    scrub_.blocks = blocks();  // It may grow meanwhile.
    auto run = co_await extents_->read_run(scrub_.next, scrub_read_blocks);
    if (scrub_over(number)) break;
    std::uint64_t bytes = 0;
    if (run) {
      bytes = run->data.size();
      scrub_.next = run->range.end();
    } else if (is_block_damage(run.error())) {
      bytes = scrub_read_blocks * block_bytes;
      (void)co_await scrub_singly(number);
      if (scrub_over(number)) break;
    } else {
      co_return run.error();
    }
    scrub_.read_bytes += bytes;
    if (scrub_.next - saved >= scrub_save_blocks) {
      saved = scrub_.next;
      save_scrub();
    }
    (void)co_await sleep(engine::scrub_pause(bytes, scrub_.rate));
  }
  co_return Done{};
}

/// A run with damage in it, block by block.
Task<Done> ReplicaStore::scrub_singly(std::uint64_t number) {
  const auto count = std::min(scrub_read_blocks, BlockIndex(blocks()) - scrub_.next);
  const auto end = scrub_.next + count;
  for (auto block = scrub_.next; block < end; block = block.next()) {
    auto whole = co_await extents_->read({block, 1});
    if (scrub_over(number)) co_return Done{};
    if (whole || !is_block_damage(whole.error())) continue;
    if (dirty_.find(block)) continue;  // Half written by a crash: the flusher writes it again.
    ++scrub_.damaged;
    note_damage(block, whole.error());
  }
  scrub_.next = end;
  co_return Done{};
}

}  // namespace tidemark::storage
