// Both executors and the base lane: they run a plan to its end, once, and refuse what is not in it.
#define BOOST_TEST_DYN_LINK
#include "engine/rebuild.hpp"

#include <boost/test/unit_test.hpp>

#include <initializer_list>
#include <utility>
#include <vector>

#include "engine/catch_up.hpp"

namespace tidemark::engine {
namespace {

Plan catch_up_plan(std::uint64_t cp, std::uint64_t target) {
  Plan p;
  p.common_point = Lsn(cp);
  p.target = Lsn(target);
  return p;
}

Plan rebuild_plan(std::uint64_t base, std::uint64_t target) {
  auto p = catch_up_plan(base, target);
  p.kind = SessionKind::rebuild;
  return p;
}

BasePiece zeros_at(std::uint64_t first, std::uint64_t count, std::uint64_t flush = 0) {
  return {{BlockIndex(first), count}, {}, {}, Lsn(flush)};
}

BasePiece data_at(std::uint64_t first, std::uint64_t count, std::uint64_t flush = 0) {
  return {{BlockIndex(first), count},
          std::vector<BlockSum>(count, 1),
          Buffer::zeroed(count * block_bytes).freeze(),
          Lsn(flush)};
}

BlockRange range(std::uint64_t first, std::uint64_t count) { return {BlockIndex(first), count}; }

std::vector<BlockRange> blocks(
    std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> list) {
  std::vector<BlockRange> ranges;
  for (const auto& [first, count] : list) ranges.push_back(range(first, count));
  return ranges;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(catch_up)

BOOST_AUTO_TEST_CASE(is_done_once_when_the_frozen_target_is_durable) {
  CatchUp c(catch_up_plan(10, 20));
  BOOST_TEST(!c.durable(Lsn(20)));  // Not before the replica is ready.
  BOOST_TEST(c.ready(Lsn(11)));
  BOOST_TEST(!c.durable(Lsn(19)));
  BOOST_TEST(c.durable(Lsn(20)));
  BOOST_TEST(!c.durable(Lsn(21)));
}

BOOST_AUTO_TEST_CASE(a_zero_gap_still_waits_for_the_witness) {
  CatchUp c(catch_up_plan(20, 20));
  BOOST_TEST(c.ready(Lsn(21)));
  BOOST_TEST(!c.durable(Lsn(19)));
  BOOST_TEST(c.durable(Lsn(20)));
}

BOOST_AUTO_TEST_CASE(a_replica_that_is_ready_for_other_records_is_refused) {
  CatchUp c(catch_up_plan(10, 20));
  BOOST_TEST(!c.ready(Lsn(10)));
  BOOST_TEST(!c.ready(Lsn(12)));
  BOOST_TEST(c.ready(Lsn(11)));
  BOOST_TEST(!c.ready(Lsn(11)));
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(rebuild)

BOOST_AUTO_TEST_CASE(copies_what_is_asked_for_then_closes_with_a_barrier_beyond_every_flush) {
  Rebuild r(rebuild_plan(10, 20), 600);
  BOOST_TEST(!r.asked(blocks({{0, 5}})).has_value());  // Not before the replica has reset itself.
  BOOST_TEST(r.ready(Lsn(11)));
  BOOST_TEST(!r.begin_read().has_value());
  BOOST_TEST(r.asked(blocks({{0, 300}, {400, 2}})).has_value());
  BOOST_TEST((r.begin_read() == range(0, 300)));
  BOOST_TEST((r.begin_read() == range(400, 2)));  // Beside the first.
  BOOST_TEST(!r.begin_read().has_value());
  auto data = data_at(0, 256, 15);
  BOOST_TEST(r.read(range(0, 300), data).has_value());
  BOOST_TEST((r.begin_read() == range(256, 44)));
  auto hole = zeros_at(400, 200, 480);
  BOOST_TEST(r.read(range(400, 2), hole).has_value());
  BOOST_TEST(hole.range.count == 2u);                    // No more than was asked for.
  BOOST_TEST(!r.whole(Lsn(480), Lsn(500)).has_value());  // 44 blocks are on their way.
  auto rest = zeros_at(256, 44);
  BOOST_TEST(r.read(range(256, 44), rest).has_value());
  BOOST_TEST(!r.whole(Lsn(479), Lsn(500)).has_value());  // It was sent content up to 480.
  BOOST_TEST(!r.whole(Lsn(501), Lsn(500)).has_value());  // Nobody has content beyond our log.
  BOOST_TEST(r.whole(Lsn(490), Lsn(490))->value == 490u);
  BOOST_TEST(!r.whole(Lsn(490), Lsn(490)).has_value());
  BOOST_TEST(!r.asked(blocks({{0, 1}})).has_value());
  BOOST_TEST(!r.barrier_reached(Lsn(20), Lsn(490)));
  BOOST_TEST(!r.barrier_reached(Lsn(490), Lsn(489)));  // Said, but not witnessed.
  BOOST_TEST(r.barrier_reached(Lsn(490), Lsn(490)));
  BOOST_TEST(!r.barrier_reached(Lsn(490), Lsn(490)));
}

BOOST_AUTO_TEST_CASE(the_barrier_is_at_least_target_flush_and_head) {
  const auto barrier = [](std::uint64_t target, std::uint64_t flush, std::uint64_t head) {
    Rebuild r(rebuild_plan(10, target), 1);
    (void)r.ready(Lsn(11));
    const auto at = r.whole(Lsn(flush), Lsn(head));
    return at ? at->value : 0;
  };
  BOOST_TEST(barrier(30, 20, 20) == 30u);
  BOOST_TEST(barrier(20, 25, 30) == 30u);
  BOOST_TEST(barrier(20, 30, 30) == 30u);
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(base_lane)

BOOST_AUTO_TEST_CASE(a_source_bounds_what_is_asked_for_and_takes_all_or_nothing) {
  BaseSource source(100'000);
  BOOST_TEST(!source.asked(blocks({{0, 0}})).has_value());
  BOOST_TEST(!source.asked(blocks({{0, base_ask_blocks_max + 1}})).has_value());
  BOOST_TEST(!source.asked(blocks({{99'999, 2}})).has_value());
  BOOST_TEST(!source.asked(blocks({{0, 1}, {100'000, 1}})).has_value());
  BOOST_TEST(source.idle());
  for (std::uint64_t at = 0; at < base_window_blocks_max; at += base_ask_blocks_max) {
    BOOST_TEST_REQUIRE(source.asked(blocks({{at, base_ask_blocks_max}})).has_value());
  }
  BOOST_TEST(!source.asked(blocks({{9'000, 1}})).has_value());
  std::uint32_t reads = 0;
  while (source.begin_read()) ++reads;
  BOOST_TEST(reads == base_reads_max);
  auto piece = zeros_at(0, 1);
  BOOST_TEST(source.read(range(0, base_ask_blocks_max), piece).has_value());
  BOOST_TEST(source.asked(blocks({{9'000, 1}})).has_value());
  BOOST_TEST((source.begin_read() == range(1, base_ask_blocks_max - 1)));
}

BOOST_AUTO_TEST_CASE(a_source_that_gives_other_blocks_is_an_error) {
  auto torn = data_at(0, 4);
  torn.sums.pop_back();
  for (auto piece : {zeros_at(1, 4), zeros_at(0, 0), data_at(0, 11), data_at(0, 300), torn}) {
    BaseSource source(1000);
    BOOST_TEST_REQUIRE(source.asked(blocks({{0, 10}})).has_value());
    (void)source.begin_read();
    BOOST_TEST(!source.read(range(0, 10), piece).has_value());
  }
}

BOOST_AUTO_TEST_CASE(an_intake_asks_until_a_whole_pass_finds_nothing) {
  BaseIntake intake(Lsn(7));
  BOOST_TEST(intake.begin_search()->from.value == 0u);
  BOOST_TEST(!intake.begin_search().has_value());  // One at a time.
  intake.found(blocks({{3, 4}, {90, 1}}), BlockIndex(91));
  BOOST_TEST(intake.begin_search()->from.value == 91u);
  intake.found({}, std::nullopt);
  BOOST_TEST(!intake.begin_search().has_value());  // What was asked for is on its way.
  BOOST_TEST(!intake.take_whole());
  BOOST_TEST(intake.accept(range(90, 1), Lsn(5)).has_value());  // In any order.
  BOOST_TEST(intake.accept(range(3, 3), Lsn(9)).has_value());   // In pieces.
  BOOST_TEST(intake.accept(range(6, 1), Lsn(8)).has_value());
  intake.written();
  intake.written();
  BOOST_TEST(!intake.begin_search().has_value());
  intake.written();
  BOOST_TEST(intake.begin_search()->from.value == 0u);
  BOOST_TEST(!intake.take_whole());
  intake.found({}, std::nullopt);
  BOOST_TEST(!intake.take_whole());  // Not compared yet.
  BOOST_TEST(intake.take_comparison());
  BOOST_TEST(!intake.take_comparison());
  BOOST_TEST(!intake.begin_search().has_value());
  intake.ask_again();  // It was not equal.
  BOOST_TEST(intake.begin_search()->from.value == 0u);
  intake.found({}, std::nullopt);
  BOOST_TEST(intake.take_comparison());
  intake.compared();
  BOOST_TEST(intake.whole());
  BOOST_TEST(intake.take_whole());
  BOOST_TEST(!intake.take_whole());
  BOOST_TEST(!intake.begin_search().has_value());
  BOOST_TEST(intake.flush_lsn().value == 9u);
}

BOOST_AUTO_TEST_CASE(an_intake_refuses_what_it_did_not_ask_for) {
  BaseIntake intake(Lsn{});
  (void)intake.begin_search();
  intake.found(blocks({{3, 4}}), std::nullopt);
  BOOST_TEST(!intake.accept(range(2, 1), Lsn{}).has_value());
  BOOST_TEST(!intake.accept(range(4, 1), Lsn{}).has_value());
  BOOST_TEST(!intake.accept(range(3, 5), Lsn{}).has_value());
  BOOST_TEST(!intake.accept(range(3, 0), Lsn{}).has_value());
  BOOST_TEST(intake.accept(range(3, 4), Lsn{}).has_value());
  BOOST_TEST(!intake.accept(range(3, 4), Lsn{}).has_value());  // Twice.
}

BOOST_AUTO_TEST_CASE(an_intake_has_no_more_under_way_than_the_window) {
  BaseIntake intake(Lsn{});
  std::uint64_t at = 0;
  while (const auto search = intake.begin_search()) {
    BOOST_TEST_REQUIRE(search->from.value == at);
    std::vector<BlockRange> found;
    for (auto left = search->blocks_max; left > 0; left -= found.back().count) {
      found.push_back(range(at, std::min<std::uint64_t>(left, base_ask_blocks_max)));
      at = found.back().end().value;
    }
    intake.found(found, BlockIndex(at));
  }
  BOOST_TEST(at == base_intake_blocks_max);
  BOOST_TEST(intake.accept(range(0, base_ask_blocks_max), Lsn{}).has_value());
  BOOST_TEST(!intake.begin_search().has_value());  // Not in the extents yet.
  for (std::uint64_t first = base_ask_blocks_max; first < base_intake_blocks_max / 2;
       first += base_ask_blocks_max) {
    BOOST_TEST(intake.accept(range(first, base_ask_blocks_max), Lsn{}).has_value());
  }
  while (!intake.begin_search()) intake.written();
  BOOST_TEST(!intake.whole());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
