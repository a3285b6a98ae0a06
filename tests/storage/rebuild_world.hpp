// A source and a replica that is filled from it, with both lanes worked by hand.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/storage/store_world.hpp"

namespace tidemark::tests {

/// The source: a store with history, flushed up to `base`.
struct Rebuild {
  StoreWorld source;
  StoreWorld target;
  Lsn base;

  explicit Rebuild(std::uint64_t blocks = StoreWorld::small_volume)
      : source(blocks), target(blocks) {
    source.open(true);
    source.append_durably(
        {source.begin_epoch(1), source.write(0, 8), source.write(20, 10), source.trim(24, 2)});
    source.flush();
    base = source.store->checkpoint();
    target.open(true);
    target.append_durably({target.begin_epoch(1), target.write(40, 9)});  // an abandoned past
    target.flush();
  }

  engine::Result<engine::BaseProgress> begin(engine::BaseScope scope = engine::BaseScope::all) {
    auto done = target.finish(target.store->begin_base(
        scope, engine::Epoch(1),
        {base, source.digest_at[base.value], {}, source.store->facts().history, {}, {}}));
    target.builder.reset();
    return done;
  }
  /// Records of the source's log that the target takes as its own.
  void wal_lane(std::vector<engine::RecordPtr> records) {
    target.append(std::move(records), Lsn());
    target.disk->settle();
  }
  Lsn base_lane(std::uint64_t from = 0, std::uint64_t to = StoreWorld::small_volume) {
    Lsn reached;
    for (auto at = BlockIndex(from); at < BlockIndex(to);) {
      const auto most = std::min<std::uint64_t>(5, to - at.value);
      auto run = source.finish(source.store->read_base(at, static_cast<std::uint32_t>(most)));
      BOOST_REQUIRE(run.has_value());
      auto& piece = run->piece;
      piece.range.count = std::min(piece.range.count, to - at.value);
      reached = std::max(reached, run->flush_lsn);
      auto written = target.finish(
          target.store->write_base(piece.range, piece.sums, piece.data, run->flush_lsn));
      if (!written) BOOST_FAIL(written.error().text);
      at = piece.range.end();
    }
    return reached;
  }
  /// What the target asks for, and no more than `blocks_max`; how much it was.
  std::uint64_t pull(std::uint64_t blocks_max = ~std::uint64_t{0}) {
    std::uint64_t copied = 0;
    for (auto next = std::optional(BlockIndex()); next;) {
      const auto found = target.store->missing_runs(*next, 8);
      for (const auto& range : found.ranges) {
        if (copied >= blocks_max) return copied;
        base_lane(range.first.value, range.end().value);
        copied += range.count;
      }
      next = found.next;
    }
    return copied;
  }
  std::string difference(Lsn lsn) {
    target.blocks_at = source.blocks_at;
    return target.difference_at(lsn);
  }
};

}  // namespace tidemark::tests
