// Both executors and the base lane: they run a plan to its end, once, and refuse what is not in it.
#define BOOST_TEST_DYN_LINK
#include "engine/rebuild.hpp"

#include <boost/test/unit_test.hpp>

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

BOOST_AUTO_TEST_CASE(copies_in_order_then_closes_with_a_barrier_beyond_every_flush) {
  Rebuild r(rebuild_plan(10, 20), 600);
  BOOST_TEST(!r.begin_read().has_value());  // Not before the replica has reset itself.
  BOOST_TEST(r.ready(Lsn(11)));
  BOOST_TEST(r.begin_read()->value == 0u);
  BOOST_TEST(!r.begin_read().has_value());  // One read at a time.
  BOOST_TEST(r.read(data_at(0, 256, 15)).has_value());
  BOOST_TEST(r.begin_read()->value == 256u);
  BOOST_TEST(r.read(zeros_at(256, 344, 480)).has_value());
  BOOST_TEST(!r.begin_read().has_value());
  BOOST_TEST(r.take_base_end());
  BOOST_TEST(!r.take_base_end());
  BOOST_TEST((r.base_acked(BlockIndex(256), false) == Rebuild::Verdict::taken));
  BOOST_TEST((r.base_acked(BlockIndex(600), true) == Rebuild::Verdict::complete));
  BOOST_TEST((r.base_acked(BlockIndex(600), true) == Rebuild::Verdict::refused));
  BOOST_TEST(r.close(Lsn(100)).value == 480u);
  BOOST_TEST(!r.barrier_reached(Lsn(20), Lsn(480)));
  BOOST_TEST(!r.barrier_reached(Lsn(480), Lsn(479)));  // Said, but not witnessed.
  BOOST_TEST(r.barrier_reached(Lsn(480), Lsn(480)));
  BOOST_TEST(!r.barrier_reached(Lsn(480), Lsn(480)));
}

BOOST_AUTO_TEST_CASE(the_barrier_is_at_least_target_flush_and_head) {
  const auto barrier = [](std::uint64_t target, std::uint64_t flush, std::uint64_t head) {
    Rebuild r(rebuild_plan(10, target), 1);
    (void)r.ready(Lsn(11));
    (void)r.begin_read();
    BOOST_TEST(r.read(zeros_at(0, 1, flush)).has_value());
    BOOST_TEST((r.base_acked(BlockIndex(1), true) == Rebuild::Verdict::complete));
    return r.close(Lsn(head)).value;
  };
  BOOST_TEST(barrier(30, 20, 10) == 30u);
  BOOST_TEST(barrier(20, 30, 10) == 30u);
  BOOST_TEST(barrier(20, 10, 30) == 30u);
}

BOOST_AUTO_TEST_CASE(completeness_is_claimed_only_at_the_end) {
  Rebuild r(rebuild_plan(10, 20), 8);
  (void)r.ready(Lsn(11));
  (void)r.begin_read();
  BOOST_TEST(r.read(zeros_at(0, 4)).has_value());
  BOOST_TEST((r.base_acked(BlockIndex(4), true) == Rebuild::Verdict::refused));
  BOOST_TEST((r.base_acked(BlockIndex(5), false) == Rebuild::Verdict::refused));  // Never sent.
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(base_lane)

BOOST_AUTO_TEST_CASE(the_window_stops_reading_and_acks_open_it) {
  BaseFeed feed(100'000);
  std::uint64_t at = 0;
  while (feed.readable()) {
    feed.begun();
    BOOST_TEST_REQUIRE(feed.read(data_at(at, 256)).has_value());
    at += 256;
  }
  BOOST_TEST(feed.window_bytes() == base_window_bytes_max);
  BOOST_TEST(feed.acked(BlockIndex(255)));  // Half a run gives nothing back.
  BOOST_TEST(!feed.readable().has_value());
  BOOST_TEST(feed.acked(BlockIndex(256)));
  BOOST_TEST(feed.readable()->value == at);
}

BOOST_AUTO_TEST_CASE(many_small_holes_are_bounded_too) {
  BaseFeed feed(100'000);
  std::uint64_t runs = 0;
  for (; feed.readable(); ++runs) {
    feed.begun();
    BOOST_TEST_REQUIRE(feed.read(zeros_at(runs, 1)).has_value());
  }
  BOOST_TEST(runs == base_window_runs_max);
}

BOOST_AUTO_TEST_CASE(a_source_that_gives_other_blocks_is_an_error) {
  for (const auto& piece : {zeros_at(1, 4), zeros_at(0, 0), zeros_at(0, 11), data_at(0, 300)}) {
    BaseFeed feed(10);
    feed.begun();
    BOOST_TEST(!feed.read(piece).has_value());
  }
  BaseFeed feed(10);
  feed.begun();
  auto torn = data_at(0, 4);
  torn.sums.pop_back();
  BOOST_TEST(!feed.read(torn).has_value());
}

BOOST_AUTO_TEST_CASE(the_intake_takes_runs_in_order_and_knows_when_all_is_written) {
  BaseIntake intake(8);
  BOOST_TEST(intake.accept({BlockIndex(0), 4}, 4 * block_bytes).has_value());
  BOOST_TEST(!intake.finish().has_value());
  BOOST_TEST(intake.accept({BlockIndex(4), 4}, 0).has_value());
  BOOST_TEST(intake.finish().has_value());
  intake.written();
  BOOST_TEST(intake.upto().value == 4u);
  BOOST_TEST(!intake.complete());
  intake.written();
  BOOST_TEST(intake.complete());
}

BOOST_AUTO_TEST_CASE(the_intake_refuses_gaps_repeats_overruns_and_floods) {
  BaseIntake intake(100'000);
  BOOST_TEST(!intake.accept({BlockIndex(1), 1}, 0).has_value());
  BOOST_TEST(!intake.accept({BlockIndex(0), 0}, 0).has_value());
  BOOST_TEST(!intake.accept({BlockIndex(0), 100'001}, 0).has_value());
  BOOST_TEST(intake.accept({BlockIndex(0), 256}, 1 << 20).has_value());
  BOOST_TEST(!intake.accept({BlockIndex(0), 256}, 1 << 20).has_value());
  std::uint64_t at = 256;
  std::uint64_t taken = 1;
  for (; intake.accept({BlockIndex(at), 256}, 1 << 20).has_value(); ++taken) at += 256;
  BOOST_TEST(taken == base_window_bytes_max / (1 << 20) + 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
