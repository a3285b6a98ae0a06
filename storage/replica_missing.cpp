// What a copy under way still has to ask for, how that is remembered, and the order in which its locks are taken.
#include <algorithm>
#include <utility>

#include "engine/sometimes.hpp"
#include "storage/replica_store.hpp"

namespace tidemark::storage {

using engine::BlockIndex;
using engine::BlockRange;
using engine::Done;
using engine::Errc;
using engine::Status;

MissingRuns ReplicaStore::missing_runs(BlockIndex from, std::uint64_t blocks_max) const {
  // So that a turn ends soon also where committed records stand for all there is.
  constexpr int steps_max = 2048;
  MissingRuns found;
  if (!missing_) return found;
  for (int step = 0; blocks_max > 0 && step < steps_max; ++step) {
    const auto run = missing_->blocks.next_run(
        from, std::min<std::uint64_t>(blocks_max, engine::base_ask_blocks_max));
    if (!run) return found;
    from = run->end();
    dirty_.visit(*run, [&](BlockRange part, const DirtyBlock* dirty) {
      if (dirty != nullptr && dirty->lsn <= committed_) return;
      auto& ranges = found.ranges;
      const bool joins = !ranges.empty() && ranges.back().end() == part.first &&
                         ranges.back().count + part.count <= engine::base_ask_blocks_max;
      if (joins) {
        ranges.back().count += part.count;
      } else {
        ranges.push_back(part);
      }
      blocks_max -= part.count;
    });
  }
  found.next = from;
  return found;
}

/// Every block that is not in the extents is in the log. Called when a pass over the volume found
/// that committed records stand for what is missing: newer ones on top of them change nothing.
bool ReplicaStore::base_whole() const {
  if (!missing_) return false;
  constexpr std::uint64_t blocks_at_once = 32768;
  bool whole = true;
  for (auto run = missing_->blocks.next_run(BlockIndex(), blocks_at_once); run && whole;
       run = missing_->blocks.next_run(run->end(), blocks_at_once)) {
    dirty_.visit(*run,
                 [&](BlockRange, const DirtyBlock* dirty) { whole = whole && dirty != nullptr; });
  }
  return whole;
}

/// What a crash loses is bounded: beyond one step the list is written, beyond two the copy waits for it.
Task<Status> ReplicaStore::bound_unsaved() {
  // A long list costs more to write than some blocks to copy again.
  const auto step = std::max(base_step_blocks_min, missing_file_.bytes() / 512);
  if (copied_ - copied_saved_ < (saving_ ? 2 * step : step)) co_return Done{};
  const auto turn = co_await missing_turn_.acquire(only_turn, RangeGuard::Use::write);
  if (!missing_ || copied_ - copied_saved_ < step) co_return Done{};  // Another one wrote it.
  auto saved = co_await save_missing_held();
  if (saved) co_return Done{};
  if (saved.error().code != Errc::no_space) co_return failed(saved.error());
  engine::sometimes(engine::Mark::missing_list_not_saved);
  copied_saved_ = copied_;  // The file names too much; it is not tried again for every block.
  co_return Done{};
}

/// What is missing, at a moment whose writes are synced.
Task<Status> ReplicaStore::save_missing() {
  const auto turn = co_await missing_turn_.acquire(only_turn, RangeGuard::Use::write);
  auto saved = co_await save_missing_held();
  co_return saved;
}

Task<Status> ReplicaStore::save_missing_held() {
  if (!missing_) co_return Done{};
  saving_ = true;
  const auto missing = *missing_;
  const auto copied = copied_;
  auto synced = co_await settle_copied();
  if (synced) synced = co_await missing_file_.save(missing);
  saving_ = false;
  if (synced) copied_saved_ = copied;
  co_return synced;
}

/// What was copied is durable, and the files that hold it are on record: it may be forgotten that it was missing.
Task<Status> ReplicaStore::settle_copied() {
  auto synced = co_await extents_->sync();
  if (!synced || superblock_.extent_files == extents_->durable_files()) co_return synced;
  auto recorded =
      co_await record([this](Superblock& s) { s.extent_files = extents_->durable_files(); }, false);
  co_return recorded;
}

/// The guard first, as a base write has it while it waits for its turn to write the list.
Task<ReplicaStore::WritesOver> ReplicaStore::writes_over() {
  const BlockRange whole{BlockIndex(), engine::volume_blocks_max};
  auto extents = co_await extents_->guard().acquire(whole, RangeGuard::Use::write);
  auto list = co_await missing_turn_.acquire(only_turn, RangeGuard::Use::write);
  co_return WritesOver{std::move(extents), std::move(list)};
}

}  // namespace tidemark::storage
