// The index as a store keeps it: in step with its checkpoint over crashes, full disks and resets.
#include <vector>

#include "storage/touched_index.hpp"
#include "tests/storage/touched_support.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

/// A store's own index, against what its log touched.
void check_store(StoreWorld& w, const std::vector<BlockRange>& touched) {
  const auto at = w.store->touched_boundary(w.store->checkpoint());
  BOOST_REQUIRE(at.has_value());
  BOOST_REQUIRE_EQUAL(at->lsn.value, w.store->checkpoint().value);
  BOOST_REQUIRE_EQUAL(w.store->status().touched_from.value, 0u);
  std::vector<bool> model(w.volume_blocks);
  for (std::uint64_t i = 0; i < w.store->checkpoint().value; ++i) mark(model, touched[i]);
  std::vector<bool> found(w.volume_blocks);
  auto from = BlockIndex();
  for (bool more = true; more;) {
    auto ranges = w.store->touched_since(Lsn(), from, 3);
    BOOST_REQUIRE(ranges.has_value());
    for (const auto& range : *ranges) {
      BOOST_REQUIRE(range.first >= from);
      mark(found, range);
      from = range.end();
    }
    more = ranges->size() == 3;
  }
  BOOST_REQUIRE(found == model);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(touched_store)

BOOST_AUTO_TEST_CASE(a_crash_at_any_moment_leaves_all_up_to_the_checkpoint_named) {
  for (std::uint64_t at = 1; at < 160; ++at) {
    for (const auto loss : {MemoryDisk::Loss::power, MemoryDisk::Loss::process}) {
      BOOST_TEST_CONTEXT("crash after " << at << " operations") {
        StoreWorld w;
        Dice dice(at);
        std::vector<BlockRange> touched;
        w.open(true);
        const auto live = [&](std::uint64_t operations) {
          for (std::uint64_t i = 0; i < operations; ++i) {
            if (i % 9 == 0) {
              const auto record = w.write(dice.below(60), 1 + dice.below(4));
              touched.push_back(record->header().range);
              w.append({record}, w.store->durable());
            }
            if (i % 18 == 9) w.timers.advance(2 * engine::second);
            w.store->set_committed(w.store->durable());
            w.disk->step();
          }
        };
        for (int life = 0; life < 3; ++life) {
          live(at);
          w.crash(loss, at);
          const auto found = w.open();
          w.forget_behind(found.end.lsn);
          touched.resize(found.end.lsn.value);
          check_store(w, touched);
        }
        BOOST_REQUIRE(!w.events.told("touched_index_shortened"));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_was_pruned_is_still_named) {
  StoreWorld w;
  w.fill_log();
  BOOST_REQUIRE_GT(w.store->retained().value, 1u);
  std::vector<BlockRange> touched(w.builder->end().value);
  touched[1] = {BlockIndex(), 16};
  check_store(w, touched);
}

BOOST_AUTO_TEST_CASE(a_reset_begins_a_new_index_at_its_base) {
  for (std::uint64_t at = 0; at < 60; ++at) {
    BOOST_TEST_CONTEXT("crash after " << at << " operations") {
      StoreWorld w;
      w.open(true);
      w.append_durably({w.begin_epoch(1), w.write(40, 9)});
      w.flush();
      BOOST_REQUIRE_EQUAL(w.store->touched_since(Lsn(), BlockIndex(), 9)->size(), 1u);
      const engine::Digest other{7, 8};
      w.store->run(w.store->begin_base(engine::BaseScope::all, engine::Epoch(1),
                                       {Lsn(2), other, {}, {}, {}, {}}),
                   [](const auto&) {});
      for (std::uint64_t i = 0; i < at; ++i) w.disk->step();
      w.crash(MemoryDisk::Loss::power, at);
      const auto found = w.open();
      const auto first = w.store->touched_boundary(Lsn(99));
      BOOST_REQUIRE(first.has_value());
      BOOST_CHECK_EQUAL(first->lsn.value, 2u);
      BOOST_CHECK(first->digest == found.checkpoint.digest);
      const bool reset = found.checkpoint.digest == other;
      if (reset) BOOST_CHECK(!w.store->touched_boundary(Lsn(1)));
      if (reset) BOOST_CHECK(w.kv.pairs.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_destroyed_replica_leaves_no_keys) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(40, 9)});
  w.flush();
  w.kv.pairs["touched/other"] = "stays";
  BOOST_REQUIRE_EQUAL(w.kv.pairs.size(), 2u);
  BOOST_REQUIRE(w.finish(w.store->destroy()).has_value());
  BOOST_CHECK_EQUAL(w.kv.pairs.size(), 1u);
}

// C23: what is left of a full disk is for promises and superblocks.
BOOST_AUTO_TEST_CASE(a_full_disk_costs_the_index_and_it_begins_anew) {
  StoreWorld w;
  w.limits.reserve_bytes = 1u << 20;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(40, 9)});
  w.flush();
  BOOST_REQUIRE_EQUAL(w.kv.pairs.size(), 1u);
  w.disk->capacity_bytes = w.disk->used_bytes() + (1u << 19);
  w.append_durably({w.write(40, 9)});  // Over itself: it takes no space.
  w.flush();
  BOOST_REQUIRE_EQUAL(w.store->checkpoint().value, 3u);
  BOOST_CHECK(w.kv.pairs.empty());
  BOOST_CHECK_EQUAL(w.store->status().touched_from.value, 3u);
  w.disk->capacity_bytes = ~std::uint64_t{0};
  w.append_durably({w.write(8, 1)});
  w.flush();
  BOOST_CHECK_EQUAL(w.store->status().touched_from.value, 3u);
  BOOST_CHECK_EQUAL(w.store->touched_since(Lsn(3), BlockIndex(), 9)->size(), 1u);
  w.store.reset();
  w.open();
  BOOST_CHECK_EQUAL(w.store->status().touched_from.value, 3u);
}

BOOST_AUTO_TEST_CASE(a_failed_catalog_does_not_stop_the_flusher) {
  StoreWorld w;
  w.open(true);
  w.kv.failing = true;
  w.append_durably({w.begin_epoch(1), w.write(40, 9)});
  w.flush();
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 2u);
  BOOST_CHECK_EQUAL(w.store->status().touched_from.value, 2u);
  BOOST_CHECK(!w.failure);
  const auto refused = w.store->touched_since(Lsn(1), BlockIndex(), 9);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_CHECK(refused.error().code == engine::Errc::out_of_window);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(2)), "");
}

BOOST_AUTO_TEST_SUITE_END()
