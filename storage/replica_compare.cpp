// Holding the flusher so that all copies stand at one LSN,
// and hashing what a copy holds there (C27).
#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

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

}  // namespace

void ReplicaStore::arm_hold_timer() {
  if (hold_timer_ != 0) config_.timers.cancel(hold_timer_);
  hold_timer_ = config_.timers.after(hold_silence_max, lifetime_.guard([this] {
    hold_timer_ = 0;
    flusher_->release();
  }));
}

Task<Result<Lsn>> ReplicaStore::hold_flush() {
  arm_hold_timer();
  auto held = co_await flusher_->hold();
  if (!held) co_return held.error();
  // What may be flushed as well: compared at the extents' own LSN,
  // a copy that never flushed would prove nothing.
  co_return std::max(flusher_->ceiling(), std::min(committed_, wal_->durable()));
}

void ReplicaStore::release_flush() {
  if (hold_timer_ != 0) config_.timers.cancel(hold_timer_);
  hold_timer_ = 0;
  if (opened()) flusher_->release();
}

Task<CopyHashes> ReplicaStore::hash_copy(Lsn at, std::uint64_t group_blocks, BlockRange range) {
  arm_hold_timer();
  CopyHashes hashes;
  const auto refuse = [&hashes](Error error) { hashes.log = std::move(error); };
  auto held = co_await flusher_->hold();
  if (held) held = co_await flusher_->flush_to(at);
  if (!held) refuse(held.error());
  if (!held) co_return hashes;
  if (flusher_->ceiling() > at || range.end().value > config_.spec.blocks() || group_blocks == 0) {
    refuse({Errc::refused, fmt::format("hash of blocks {} at lsn {}: the extents may hold up to {}",
                                       range, at, flusher_->ceiling())});
    co_return hashes;
  }
  auto verified = co_await wal_->verify(wal_->retained(), std::min(at, wal_->end().lsn));
  if (!verified) {
    refuse(verified.error());
  } else {
    auto digest = co_await wal_->digest_at(at);
    if (digest) hashes.log = *digest;
    if (!digest)
      refuse({Errc::out_of_window, fmt::format("digest of the log at lsn {}: not known", at)});
  }
  while (!range.empty()) {
    const BlockRange group{range.first, std::min(group_blocks, range.count)};
    auto hashed = co_await hash_group(group, hashes);
    if (!hashed) {
      refuse(hashed.error());
      co_return hashes;
    }
    range = {group.end(), range.count - group.count};
  }
  arm_hold_timer();
  co_return hashes;
}

Task<Status> ReplicaStore::hash_group(BlockRange group, CopyHashes& hashes) {
  std::vector<engine::BlockSum> sums(group.count, engine::no_block);
  for (auto at = group.first; at < group.end();) {
    const auto most =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(hash_read_blocks, group.end() - at));
    auto run = co_await extents_->read_run(at, most);
    if (!run && run.error().code == Errc::corrupt && most > 1)
      run = co_await extents_->read_run(at, 1);
    if (!run && run.error().code == Errc::corrupt) {
      if (hashes.damaged.size() < damaged_blocks_max) hashes.damaged.push_back(at);
      at = at.next();
      continue;
    }
    if (!run) co_return run.error();
    for (std::size_t i = 0; i < run->sums.size(); ++i) sums[(at - group.first) + i] = run->sums[i];
    at = run->range.end();
  }
  hashes.groups.push_back(XXH3_64bits(sums.data(), sums.size() * sizeof(engine::BlockSum)));
  co_return Done{};
}

}  // namespace tidemark::storage
