// What a copy under way still has to ask for, and the order in which its locks are taken.
#include <algorithm>
#include <utility>

#include "storage/replica_store.hpp"

namespace tidemark::storage {

using engine::BlockIndex;
using engine::BlockRange;

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

/// The guard first, as a base write has it while it waits for its turn to write the list.
Task<ReplicaStore::WritesOver> ReplicaStore::writes_over() {
  const BlockRange whole{BlockIndex(), engine::volume_blocks_max};
  auto extents = co_await extents_->guard().acquire(whole, RangeGuard::Use::write);
  auto list = co_await missing_turn_.acquire(only_turn, RangeGuard::Use::write);
  co_return WritesOver{std::move(extents), std::move(list)};
}

}  // namespace tidemark::storage
