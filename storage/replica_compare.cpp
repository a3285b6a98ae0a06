// Holding the flusher so that all copies stand at one LSN,
// and hashing what a copy holds there (C27).
#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "storage/replica_store.hpp"

namespace tidemark::storage {
namespace {

using engine::BlockIndex;
using engine::BlockRange;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::Result;
using engine::Status;

// Whoever asked for the hold may be gone.
constexpr std::uint64_t hold_silence_max = 60 * engine::second;
constexpr std::uint32_t hash_read_blocks = 256;

/// XXH3 over a run of block sums, whatever its length.
class SumHash {
 public:
  SumHash() : state_(XXH3_createState(), &XXH3_freeState) {
    CHECK(state_ != nullptr);
    XXH3_64bits_reset(state_.get());
  }
  void add(std::span<const engine::BlockSum> sums) {
    XXH3_64bits_update(state_.get(), sums.data(), sums.size_bytes());
  }
  /// Blocks that are not there.
  void add_none(std::uint64_t count) {
    static constexpr std::array<engine::BlockSum, 512> none{};
    static_assert(engine::no_block == engine::BlockSum{});
    while (count > 0) {
      const auto part = std::min<std::uint64_t>(count, none.size());
      add(std::span(none).first(part));
      count -= part;
    }
  }
  std::uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

}  // namespace

void ReplicaStore::arm_hold_timer() {
  if (hold_timer_ != 0) config_.timers.cancel(hold_timer_);
  hold_timer_ =
      config_.timers.after(hold_silence_max, lifetime_.guard([this] { release_flush(); }));
}

Task<Result<Lsn>> ReplicaStore::hold_flush() {
  // What is still missing would be compared as if it was there.
  auto whole = readable();
  if (!whole) co_return whole.error();
  auto held = co_await hold_for_comparison();
  co_return held;
}

Task<Result<Lsn>> ReplicaStore::hold_for_comparison() {
  ++holds_;
  arm_hold_timer();
  auto held = co_await flusher_->hold();
  if (!held) co_return held.error();
  // What was being given up when it began is gone before the answer, not behind it.
  const auto turn = co_await superblock_turn_.acquire(only_turn, RangeGuard::Use::write);
  if (failure_) co_return *failure_;
  // What may be flushed as well: compared at the extents' own LSN,
  // a copy that never flushed would prove nothing.
  co_return std::max(flusher_->ceiling(), std::min(committed_, wal_->durable()));
}

void ReplicaStore::release_flush() {
  ++holds_;
  if (hold_timer_ != 0) config_.timers.cancel(hold_timer_);
  hold_timer_ = 0;
  if (opened() && !changing_) flusher_->release();  // else the change releases it, at its end
  for (auto& wake : std::exchange(after_hold_, {})) wake(Done{});
}

/// Whoever asks may be of another version, or wrong.
Status ReplicaStore::can_hash(Lsn at, std::uint64_t group_blocks, BlockRange range) const {
  const auto blocks = engine::volume_blocks_max;
  const auto refuse = [&](std::string_view why) {
    return Error{Errc::refused,
                 fmt::format("hash of {} blocks from {} in groups of {} at lsn {}: {}", range.count,
                             range.first, group_blocks, at, why)};
  };
  if (range.first.value > blocks || range.count > blocks - range.first.value) {
    return refuse(fmt::format("no volume has more than {} blocks", blocks));
  }
  if (at > wal_->end().lsn) return refuse(fmt::format("the log ends at {}", wal_->end().lsn));
  if (group_blocks == 0) return refuse("there are no groups of nothing");
  if (range.count / group_blocks > hash_groups_max ||
      (range.count / group_blocks == hash_groups_max && range.count % group_blocks != 0)) {
    return refuse(fmt::format("more than {} groups", hash_groups_max));
  }
  return Done{};
}

/// Called between steps: as long as work goes on, the hold is not silent.
Status ReplicaStore::still_held(std::uint64_t hold) {
  if (holds_ != hold) return Error{Errc::refused, "hash of a copy: its hold is over"};
  arm_hold_timer();
  return Done{};
}

Task<CopyHashes> ReplicaStore::hash_copy(Lsn at, std::uint64_t group_blocks, BlockRange range) {
  CopyHashes hashes;
  const auto refuse = [&hashes](Error error) { hashes.log = std::move(error); };
  const auto hold = holds_;
  auto ready = readable();
  if (ready) ready = can_hash(at, group_blocks, range);
  if (ready) arm_hold_timer();
  if (ready) ready = co_await flusher_->hold();
  if (ready) ready = co_await flusher_->flush_to(at);
  // That the store has failed is not damage of a place.
  if (!ready && is_block_damage(ready.error()))
    ready = Error{Errc::unavailable, ready.error().text};
  if (ready) ready = still_held(hold);
  if (ready && flusher_->ceiling() > at) {
    ready =
        Error{Errc::refused, fmt::format("hash of a copy at lsn {}: the extents may hold up to {}",
                                         at, flusher_->ceiling())};
  }
  if (ready && range.empty()) ready = co_await verify_log(at, hold);
  if (!ready) refuse(ready.error());
  if (!ready) co_return hashes;
  auto digest = co_await wal_->digest_at(at);
  if (digest) hashes.log = *digest;
  if (!digest) {
    refuse({Errc::out_of_window, fmt::format("digest of the log at lsn {}: not known", at)});
    auto rotten = co_await wal_->verify(at, at);
    if (!rotten && is_block_damage(rotten.error())) refuse(rotten.error());
  }
  auto hashed = co_await hash_groups(group_blocks, range, hold, hashes);
  if (!hashed) refuse(hashed.error());
  co_return hashes;
}

Task<Status> ReplicaStore::verify_log(Lsn to, std::uint64_t hold) {
  for (auto from = wal_->retained(); from <= to;) {
    auto next = co_await wal_->verify(from, to);
    if (!next) co_return next.error();
    from = *next;
    auto held = still_held(hold);
    if (!held) co_return held.error();
  }
  co_return Done{};
}

Task<Status> ReplicaStore::hash_groups(std::uint64_t group_blocks, BlockRange range,
                                       std::uint64_t hold, CopyHashes& hashes) {
  while (!range.empty()) {
    const BlockRange group{range.first, std::min(group_blocks, range.count)};
    auto hash = co_await hash_group(group, hashes.damaged);
    if (!hash) co_return hash.error();
    auto held = still_held(hold);
    if (!held) co_return held.error();
    hashes.groups.push_back(*hash);
    range = {group.end(), range.count - group.count};
  }
  co_return Done{};
}

Task<Result<std::uint64_t>> ReplicaStore::hash_group(BlockRange group,
                                                     std::vector<engine::BlockDamage>& damaged) {
  SumHash hash;
  for (auto at = group.first; at < group.end();) {
    const auto most =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(hash_read_blocks, group.end() - at));
    auto run = co_await extents_->read_run(at, most, group.end() - at);
    if (!run && is_block_damage(run.error()) && most > 1) run = co_await extents_->read_run(at, 1);
    if (!run && is_block_damage(run.error())) {
      if (damaged.size() < damaged_blocks_max) damaged.push_back({at, run.error().text});
      if (!dirty_.find(at)) note_damage(at, run.error());
      hash.add_none(1);
      at = at.next();
      continue;
    }
    if (!run) co_return run.error();
    // A hole may go on behind the group.
    const auto count = std::min(run->range.count, group.end() - at);
    // Of one block the checksum itself: it is held against what a record says.
    if (group.count == 1) co_return run->sums.empty() ? engine::no_block : run->sums.front();
    hash.add(run->sums);
    hash.add_none(count - run->sums.size());
    at = at + count;
  }
  co_return hash.value();
}

}  // namespace tidemark::storage
