// The end of a copy: what it comes to is compared with its source, and what a crash before that costs.
#include "engine/base_lane.hpp"
#include "engine/planted.hpp"
#include "tests/storage/rebuild_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

/// All three steps: unequal groups.
engine::Result<std::vector<BlockRange>> compare(Rebuild& r) {
  auto question = r.target.finish(r.target.store->prepare_comparison());
  if (!question) return question.error();
  auto sums = r.source.finish(r.source.store->sum_groups(*question));
  if (!sums) return sums.error();
  r.target.store->set_committed(sums->lsn);
  return r.target.finish(r.target.store->compare_base(sums->lsn, *question, sums->sums));
}

/// A new store, all of whose blocks are missing.
void begin_whole_copy(StoreWorld& target) {
  target.limits.extent_file_bytes = target.volume_blocks * block_bytes;
  target.open(true);
  target.append_durably({target.begin_epoch(1)});
  BOOST_REQUIRE(target
                    .finish(target.store->begin_base(
                        engine::BaseScope::all, engine::Epoch(1),
                        {Lsn(1), target.digest_at[1], {}, target.store->facts().history, {}, {}}))
                    .has_value());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(base_comparison)

// What is copied again after a crash is bounded: by two steps, and by what a replica has
// under way at once.
BOOST_AUTO_TEST_CASE(a_crash_anywhere_in_a_copy_forgets_no_more_than_two_steps_and_a_window) {
  constexpr std::uint64_t blocks = 16 * 1024;
  std::uint64_t worst = 0;
  for (std::uint64_t at = 0; at < 12; ++at) {
    StoreWorld target(blocks);
    begin_whole_copy(target);
    // As a receiver does: as much as is asked for at once is being written, and more when it was.
    const auto key = engine::VolumeKey(target.spec.id);
    std::uint64_t next = 0, done = 0;
    const std::uint64_t enough = 2000 + at * 1100;
    while (done < enough) {
      while (next < blocks && next - done + 256 <= engine::base_intake_blocks_max) {
        std::vector<engine::BlockSum> sums;
        auto data = StoreWorld::content({BlockIndex(next), 256}, 1);
        for (std::uint64_t i = 0; i < 256; ++i) {
          const auto content = data.bytes().subspan(i * block_bytes, block_bytes);
          sums.push_back(engine::block_sum(key, BlockIndex(next + i), content));
        }
        target.store->run(
            target.store->write_base({BlockIndex(next), 256}, std::move(sums), data, Lsn(1)),
            [&done](engine::Status status) { done += status ? 256u : 0u; });
        next += 256;
      }
      target.disk->step();
    }
    target.crash(MemoryDisk::Loss::process, at);
    const auto found = target.open();
    BOOST_REQUIRE(found.rebuild.has_value());
    const auto known = blocks - found.rebuild->missing_blocks;
    BOOST_CHECK_LE(known, next);
    worst = std::max(worst, next - known);
  }
  BOOST_CHECK_GT(worst, 0u);
  BOOST_CHECK_LE(worst, 2 * storage::base_step_blocks_min + engine::base_intake_blocks_max);
}

// A base write that waits for the list to be written has the guard of its blocks; whoever ends the store
// wants all blocks and the list.
BOOST_AUTO_TEST_CASE(a_store_that_ends_amid_a_copy_waits_for_it_whatever_is_being_written) {
  constexpr std::uint64_t blocks = 16 * 1024, run = 256, runs = 20;
  const auto key = engine::VolumeKey(StoreWorld().spec.id);
  std::vector<engine::Slice> data;
  std::vector<std::vector<engine::BlockSum>> sums(runs);
  for (std::uint64_t n = 0; n < runs; ++n) {
    data.push_back(StoreWorld::content({BlockIndex(n * run), run}, 1));
    for (std::uint64_t i = 0; i < run; ++i)
      sums[n].push_back(engine::block_sum(key, BlockIndex(n * run + i),
                                          data[n].bytes().subspan(i * block_bytes, block_bytes)));
  }
  for (std::uint64_t steps = 0; steps < 60; steps += 3) {
    StoreWorld target(blocks);
    begin_whole_copy(target);
    std::uint64_t answered = 0;
    for (std::uint64_t n = 0; n < runs; ++n) {
      target.store->run(
          target.store->write_base({BlockIndex(n * run), run}, sums[n], data[n], Lsn(1)),
          [&answered](const engine::Status&) { ++answered; });
    }
    for (std::uint64_t i = 0; i < steps; ++i) target.disk->step();
    bool ended = false;
    target.store->run(target.store->stop(false), [&ended](const engine::Status&) { ended = true; });
    target.disk->settle();
    BOOST_CHECK_MESSAGE(ended, "after " << steps << " steps");
    BOOST_CHECK_EQUAL(answered, runs);
    BOOST_CHECK(!target.failure);
    target.store.reset();
    BOOST_CHECK(target.open().rebuild.has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_copy_under_way_is_not_held_and_not_compared_with_others) {
  Rebuild r;
  BOOST_REQUIRE(r.begin().has_value());
  r.base_lane(0, 22);
  const auto held = r.target.finish(r.target.store->hold_flush());
  BOOST_REQUIRE(!held);
  BOOST_CHECK(held.error().code == engine::Errc::unavailable);
  const auto hashed = r.target.finish(r.target.store->hash_copy(r.base, 16, {BlockIndex(0), 64}));
  BOOST_REQUIRE(!hashed.log);
  BOOST_CHECK(hashed.log.error().code == engine::Errc::unavailable);
  BOOST_CHECK(hashed.groups.empty());
  const auto reached = r.base_lane(22, 64);
  BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(reached)).has_value());
  BOOST_REQUIRE(r.target.finish(r.target.store->hold_flush()).has_value());
  BOOST_CHECK(
      r.target.finish(r.target.store->hash_copy(r.base, 16, {BlockIndex(0), 64})).log.has_value());
}

BOOST_AUTO_TEST_CASE(a_whole_copy_comes_to_what_its_source_comes_to) {
  Rebuild r;
  BOOST_REQUIRE(r.begin().has_value());
  r.base_lane(0, 22);
  auto one = r.source.write(21, 2);  // In the log of one, flushed by the other.
  r.source.append_durably({one});
  r.wal_lane({one});
  r.source.flush();
  r.base_lane(22, 64);
  const auto unequal = compare(r);
  BOOST_REQUIRE(unequal.has_value());
  BOOST_CHECK(unequal->empty());
  BOOST_CHECK_EQUAL(r.target.store->checkpoint().value, one->lsn().value);
  BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(one->lsn())).has_value());
  BOOST_CHECK_EQUAL(r.difference(one->lsn()), "");
}

// It arrived, its checksum was right, and it is not where it belongs.
BOOST_AUTO_TEST_CASE(a_block_that_was_lost_behind_its_arrival_is_noticed_and_copied_again) {
  engine::plant(engine::Bug::base_drops_block);
  Rebuild r;
  BOOST_REQUIRE(r.begin().has_value());
  r.pull();
  const auto unequal = compare(r);
  BOOST_REQUIRE(unequal.has_value());
  BOOST_REQUIRE_EQUAL(unequal->size(), 1u);
  BOOST_CHECK_EQUAL(unequal->front().count, StoreWorld::small_volume);
  BOOST_CHECK(!r.target.finish(r.target.store->finish_rebuild(r.base)).has_value());
  // Neither does a restart take it for whole.
  r.target.store.reset();
  BOOST_CHECK_EQUAL(r.target.open().rebuild->missing_blocks, StoreWorld::small_volume);
  BOOST_REQUIRE(r.begin(engine::BaseScope::rest).has_value());
  engine::plant(engine::Bug::none);
  r.pull();
  BOOST_CHECK(compare(r)->empty());
  BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(r.base)).has_value());
  BOOST_CHECK_EQUAL(r.difference(r.base), "");
}

BOOST_AUTO_TEST_CASE(a_delta_compares_the_groups_it_copied_and_no_others) {
  constexpr std::uint64_t group = engine::base_group_blocks_min;
  Rebuild r(4 * group);
  BOOST_REQUIRE(r.begin().has_value());
  r.pull();
  BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(r.base)).has_value());
  r.target.store->note_touched(true, {{BlockIndex(3 * group + 7), 2}});
  BOOST_REQUIRE(r.begin(engine::BaseScope::touched).has_value());
  r.pull();
  const auto question = r.target.finish(r.target.store->prepare_comparison());
  BOOST_REQUIRE(question.has_value());
  BOOST_CHECK(question->groups == std::vector<std::uint32_t>{3});
  // What it had lacked is known after a restart, too.
  r.target.store.reset();
  r.target.open();
  BOOST_REQUIRE(r.begin(engine::BaseScope::rest).has_value());
  BOOST_CHECK(r.target.finish(r.target.store->prepare_comparison())->groups == question->groups);
}

BOOST_AUTO_TEST_CASE(sums_are_not_made_of_what_is_not_committed_nor_of_groups_that_no_volume_has) {
  Rebuild r;
  const auto ask = [&](std::uint64_t at, std::uint64_t size, std::uint32_t group) {
    auto sums = r.source.finish(r.source.store->sum_groups({Lsn(at), size, {group}}));
    return sums ? std::nullopt : std::optional(sums.error().code);
  };
  BOOST_CHECK(ask(r.base.value + 1, 1024, 0) == engine::Errc::unavailable);
  BOOST_CHECK(ask(r.base.value, 512, 0) == engine::Errc::invalid);
  BOOST_CHECK(ask(r.base.value, 1024, 0xffff'ffff) == engine::Errc::invalid);
  BOOST_CHECK(!ask(r.base.value, 1024, 0).has_value());
  BOOST_CHECK(!r.target.finish(r.target.store->prepare_comparison()).has_value());  // No rebuild.
}

// Else it would wait for a commit that may need the very copy that waits for it.
BOOST_AUTO_TEST_CASE(a_source_that_crashed_before_its_last_records_were_committed_gives_no_sums) {
  Rebuild r;
  const auto unsure = r.source.write(50, 2);
  r.source.append({unsure}, Lsn());
  r.source.disk->settle();
  r.source.crash(MemoryDisk::Loss::process, 1);
  r.source.open();
  r.source.store->set_committed(r.base);
  auto sums = r.source.finish(r.source.store->sum_groups({r.base, 1024, {0}}));
  BOOST_REQUIRE(!sums);
  BOOST_CHECK(sums.error().code == engine::Errc::unavailable);
  r.source.store->set_committed(unsure->lsn());
  sums = r.source.finish(r.source.store->sum_groups({r.base, 1024, {0}}));
  BOOST_REQUIRE(sums.has_value());
  BOOST_CHECK(sums->lsn == unsure->lsn());
}

BOOST_AUTO_TEST_CASE(a_comparison_whose_hold_was_let_go_is_refused) {
  Rebuild r;
  BOOST_REQUIRE(r.begin().has_value());
  r.pull();
  const auto question = r.target.finish(r.target.store->prepare_comparison());
  BOOST_REQUIRE(question.has_value());
  r.target.store->release_flush();
  const auto compared = r.target.finish(r.target.store->compare_base(r.base, *question, {1}));
  BOOST_REQUIRE(!compared.has_value());
  BOOST_CHECK(compared.error().code == engine::Errc::refused);
}

BOOST_AUTO_TEST_SUITE_END()
