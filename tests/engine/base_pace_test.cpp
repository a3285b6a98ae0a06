// Stories of the pace: whose turn it is, what a cap allows, and what clients can bear.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <deque>
#include <map>

#include "engine/base_pace.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t mib = 1 << 20;
const VolumeId volume = make_uuid(1, 2);

MonoTime at(std::uint64_t milliseconds) { return MonoTime((10'000 + milliseconds) * millisecond); }
LaneId lane(std::uint64_t n) { return LaneId(n); }

LatencySample sample(std::uint64_t from_ms, std::uint64_t median, std::uint64_t p99 = 0,
                     std::uint64_t count = 1000) {
  return {at(from_ms), at(from_ms + 250), count, median, p99 == 0 ? 2 * median : p99};
}

/// Lanes that always want more, for a while: what each was granted.
std::map<std::uint64_t, std::uint64_t> run(BasePace& pace, std::vector<std::uint64_t> lanes,
                                           std::uint64_t from_ms, std::uint64_t to_ms,
                                           std::uint64_t piece = mib) {
  std::map<std::uint64_t, std::uint64_t> moved;
  for (auto now = from_ms; now <= to_ms; ++now) {
    // At most eight reads per millisecond: a disk of 8 GB/s.
    for (int reads = 0; reads < 8; ++reads) {
      if (now == from_ms && reads == 0) {
        for (const auto l : lanes) pace.ask(lane(l), piece, at(now));
      }
      const auto grants = pace.grant(at(now));
      if (grants.empty()) break;
      for (const auto& g : grants) {
        moved[g.lane.value] += g.bytes;
        pace.ask(g.lane, piece, at(now));
      }
    }
  }
  return moved;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(base_pace)

BOOST_AUTO_TEST_CASE(at_rest_and_without_a_cap_nothing_is_held_back) {
  BasePace pace({2, 0});
  pace.ask(lane(1), mib, at(0));
  BOOST_TEST(pace.grant(at(0)).size() == 1u);
  pace.ask(lane(1), mib, at(0));
  BOOST_TEST(pace.grant(at(0)).size() == 1u);
  BOOST_TEST((pace.standing(lane(1)).hold == PaceHold::none));
}

BOOST_AUTO_TEST_CASE(one_lane_more_than_the_places_waits_for_its_turn_and_gets_the_first_free_one) {
  BasePace pace({2, 0});
  for (std::uint64_t l = 1; l <= 4; ++l) pace.ask(lane(l), mib, at(0));
  BOOST_TEST(pace.grant(at(0)).size() == 2u);
  BOOST_TEST((pace.standing(lane(3)).hold == PaceHold::turn));
  BOOST_TEST(pace.grant(at(1)).empty());
  pace.leave(lane(1), at(2));
  const auto next = pace.grant(at(2));
  BOOST_REQUIRE(next.size() == 1u);
  BOOST_TEST((next.front().lane == lane(3)));
  BOOST_TEST((pace.standing(lane(4)).hold == PaceHold::turn));
}

BOOST_AUTO_TEST_CASE(a_lane_that_leaves_while_it_waits_is_forgotten_and_may_come_again_at_the_end) {
  BasePace pace({1, 0});
  for (std::uint64_t l = 1; l <= 3; ++l) pace.ask(lane(l), mib, at(0));
  pace.leave(lane(2), at(0));
  pace.leave(lane(2), at(0));
  pace.ask(lane(2), mib, at(1));
  BOOST_TEST(pace.grant(at(1)).size() == 1u);
  pace.leave(lane(1), at(1));
  BOOST_TEST((pace.grant(at(1)).front().lane == lane(3)));
  pace.leave(lane(3), at(1));
  BOOST_TEST((pace.grant(at(1)).front().lane == lane(2)));
  pace.leave(lane(2), at(1));
  BOOST_TEST(pace.lanes() == 0u);
  BOOST_TEST(!pace.wake_at());
}

BOOST_AUTO_TEST_CASE(two_lanes_share_a_cap_evenly_and_do_not_exceed_it) {
  BasePace pace({2, 50 * mib});
  const auto moved = run(pace, {1, 2}, 0, 4000);
  const auto sum = moved.at(1) + moved.at(2);
  BOOST_TEST(sum <= 4 * 50 * mib + 4 * mib);
  BOOST_TEST(sum >= 4 * 50 * mib - 4 * mib);
  BOOST_TEST(std::max(moved.at(1), moved.at(2)) - std::min(moved.at(1), moved.at(2)) <= mib);
  BOOST_TEST((pace.standing(lane(1)).hold == PaceHold::cap));
}

// A client that writes meanwhile waits for one of them.
BOOST_AUTO_TEST_CASE(what_is_granted_at_once_beside_clients_is_as_small_as_the_rate) {
  BasePace pace({1, 0});
  pace.measured(volume, sample(0, 1000));
  pace.ask(lane(1), mib, at(300));
  const auto first = pace.grant(at(300));
  BOOST_REQUIRE(first.size() == 1u);
  BOOST_TEST(first.front().bytes == pace::rate_start / pace::pieces_per_second);
  for (std::uint64_t ms = 300; ms < 10'000; ms += 250) {
    (void)run(pace, {1}, ms, ms + 250);
    pace.measured(volume, sample(ms, 2000));  // They suffer.
  }
  const auto least = pace.grant(at(11'000));  // It always asks for more.
  BOOST_REQUIRE(least.size() == 1u);
  BOOST_TEST(least.front().bytes == pace::rate_min / pace::pieces_per_second);
  static_assert(pace::rate_min / pace::pieces_per_second >= 16 * block_bytes);
}

BOOST_AUTO_TEST_CASE(what_turned_out_to_be_zeros_costs_nothing) {
  BasePace pace({1, mib});
  for (int i = 0; i < 100; ++i) {
    pace.ask(lane(1), mib, at(0));
    BOOST_REQUIRE(pace.grant(at(0)).size() == 1u);
    pace.used(mib, 0);
  }
}

BOOST_AUTO_TEST_CASE(the_pace_wakes_when_the_next_read_is_due_and_not_before) {
  BasePace pace({1, 10 * mib});
  pace.ask(lane(1), mib, at(0));
  BOOST_TEST(pace.grant(at(0)).size() == 1u);
  pace.ask(lane(1), mib, at(0));
  BOOST_TEST(pace.grant(at(0)).empty());
  const auto due = pace.wake_at();
  BOOST_REQUIRE(due);
  BOOST_TEST((*due - at(0)) >= 99 * millisecond);
  BOOST_TEST((*due - at(0)) <= 102 * millisecond);
  BOOST_TEST(pace.grant(*due).size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_cap_that_changes_holds_from_then_on_and_its_debt_is_forgiven) {
  BasePace pace({1, mib});
  run(pace, {1}, 0, 100, 16 * mib);  // Sixteen seconds of debt.
  pace.set_cap(100 * mib, at(101));
  BOOST_TEST(pace.grant(at(101)).size() == 1u);
  pace.set_cap(0, at(102));
  pace.ask(lane(1), 16 * mib, at(102));
  BOOST_TEST(pace.grant(at(102)).size() == 1u);
  pace.ask(lane(1), 16 * mib, at(102));
  BOOST_TEST(pace.grant(at(102)).size() == 1u);
}

BOOST_AUTO_TEST_CASE(
    clients_at_work_make_a_rebuild_begin_slowly_and_grow_while_they_do_not_suffer) {
  BasePace pace({1, 0});
  pace.measured(volume, sample(0, millisecond));
  pace.ask(lane(1), mib, at(300));
  pace.grant(at(300));
  BOOST_TEST((pace.standing(lane(1)).hold == PaceHold::governor));
  BOOST_TEST(pace.standing(lane(1)).rate == pace::rate_start);
  for (std::uint64_t t = 300; t < 2300; t += 250) {
    run(pace, {1}, t, t + 249);
    pace.measured(volume, sample(t, millisecond));
  }
  BOOST_TEST(pace.standing(lane(1)).rate > pace::rate_start);
}

// A rebuild of some hundred megabytes must not be over before its rate is found.
BOOST_AUTO_TEST_CASE(a_rate_that_nobody_suffers_from_is_found_in_seconds) {
  BasePace pace({1, 0});
  pace.measured(volume, sample(0, millisecond));
  std::uint64_t t = 300;
  for (; pace.standing(lane(1)).rate < 200 * mib; t += 250) {
    run(pace, {1}, t, t + 249);
    pace.measured(volume, sample(t, millisecond));
    BOOST_REQUIRE(t < 10'000);
  }
  BOOST_TEST(t <= 300 + 3500u);
}

BOOST_AUTO_TEST_CASE(behind_a_cut_it_comes_back_to_where_they_suffered_and_creeps_from_there) {
  BasePace pace({1, 0});
  pace.measured(volume, sample(0, millisecond));
  std::uint64_t t = 300, before = 0, grew_most = 0;
  const auto window = [&](std::uint64_t median) {
    before = pace.standing(lane(1)).rate;
    run(pace, {1}, t, t + 249);
    pace.measured(volume, sample(t, median));
    t += 250;
    run(pace, {1}, t, t);
  };
  while (pace.standing(lane(1)).rate < 200 * mib) window(millisecond);
  const auto reached = pace.standing(lane(1)).rate;
  window(9 * millisecond);
  BOOST_TEST(pace.standing(lane(1)).rate < reached * 3 / 4);
  const auto cut_at = t;
  while (pace.standing(lane(1)).rate < reached * 9 / 10) window(millisecond);
  BOOST_TEST(t - cut_at <= 2000u);
  for (int i = 0; i < 4; ++i) {
    window(millisecond);
    grew_most = std::max(grew_most, pace.standing(lane(1)).rate - before);
  }
  BOOST_TEST(grew_most <= 2 * pace::rate_step);
}

BOOST_AUTO_TEST_CASE(a_median_or_a_p99_half_as_long_again_cuts_the_rate) {
  const auto rate_after = [](LatencySample seen) {
    BasePace pace({1, 0});
    pace.measured(volume, sample(0, millisecond));
    run(pace, {1}, 300, 549);
    pace.measured(volume, seen);
    run(pace, {1}, 551, 552);
    return pace.standing(lane(1)).rate;
  };
  BOOST_TEST(rate_after(sample(300, millisecond)) > pace::rate_start);
  BOOST_TEST(rate_after(sample(300, 16 * millisecond / 10)) < pace::rate_start);
  BOOST_TEST(rate_after(sample(300, millisecond, 3 * millisecond)) > pace::rate_start);
  BOOST_TEST(rate_after(sample(300, millisecond, 32 * millisecond / 10)) < pace::rate_start);
  // Too few answers for a p99.
  BOOST_TEST(rate_after(sample(300, millisecond, 5 * millisecond, 100)) > pace::rate_start);
}

BOOST_AUTO_TEST_CASE(the_rate_is_never_cut_below_what_lets_a_rebuild_end) {
  BasePace pace({1, 0});
  pace.measured(volume, sample(0, millisecond));
  for (std::uint64_t t = 300; t < 10'300; t += 250) {
    run(pace, {1}, t, t + 249);
    pace.measured(volume, sample(t, second));
  }
  BOOST_TEST(pace.standing(lane(1)).rate == pace::rate_min);
}

BOOST_AUTO_TEST_CASE(when_the_clients_go_the_limit_goes) {
  BasePace pace({1, 0});
  pace.measured(volume, sample(0, millisecond));
  run(pace, {1}, 300, 2500);
  BOOST_TEST((pace.standing(lane(1)).hold == PaceHold::governor));
  run(pace, {1}, 2501, 4500);
  BOOST_TEST((pace.standing(lane(1)).hold == PaceHold::none));
}

BOOST_AUTO_TEST_CASE(clients_that_come_while_a_rebuild_runs_unlimited_halve_it_at_once) {
  BasePace pace({1, 0});
  run(pace, {1}, 0, 999);
  BOOST_TEST(pace.standing(lane(1)).rate == 0u);
  pace.measured(volume, sample(750, millisecond));
  BOOST_TEST(pace.standing(lane(1)).rate > 0u);
}

// Behind a failover: whoever waited for the primary has not been answered yet.
BOOST_AUTO_TEST_CASE(a_volume_that_is_served_from_now_on_is_not_at_rest) {
  BasePace pace({1, 0});
  run(pace, {1}, 0, 999);
  BOOST_TEST(pace.standing(lane(1)).rate == 0u);
  pace.served(volume, at(1000));
  BOOST_TEST(run(pace, {1}, 1000, 1099)[1] == 0u);
  BOOST_TEST((pace.standing(lane(1)).hold == PaceHold::reference));
  pace.measured(volume, sample(1100, millisecond));
  BOOST_TEST(run(pace, {1}, 1350, 1599)[1] > 0u);
  BOOST_TEST((pace.standing(lane(1)).hold == PaceHold::governor));
}

BOOST_AUTO_TEST_CASE(a_volume_that_nobody_comes_to_is_at_rest_again_soon) {
  BasePace pace({1, 0});
  pace.served(volume, at(0));
  BOOST_TEST(run(pace, {1}, 1, 1499)[1] == 0u);
  const auto slowly = run(pace, {1}, 1501, 2999)[1];
  BOOST_TEST(slowly > 0u);
  BOOST_TEST(slowly <= 2 * pace::rate_start);
  run(pace, {1}, 3000, 3300);
  BOOST_TEST((pace.standing(lane(1)).hold == PaceHold::none));
}

BOOST_AUTO_TEST_CASE(without_a_reference_the_lanes_are_held_until_there_is_one) {
  BasePace pace({1, 0});
  run(pace, {1}, 0, 999);
  pace.measured(volume, sample(750, 9 * millisecond));
  BOOST_TEST(pace.grant(at(1000)).empty());
  BOOST_TEST((pace.standing(lane(1)).hold == PaceHold::reference));
  pace.measured(volume, sample(1100, millisecond));
  BOOST_TEST(pace.grant(at(1351)).size() == 1u);
  // And what is seen from then on is judged by it.
  const auto before = pace.standing(lane(1)).rate;
  run(pace, {1}, 1352, 1599);
  pace.measured(volume, sample(1352, 9 * millisecond));
  run(pace, {1}, 1602, 1603);
  BOOST_TEST(pace.standing(lane(1)).rate <= before);
}

BOOST_AUTO_TEST_CASE(a_look_that_finds_nothing_is_given_up_and_not_repeated_at_once) {
  BasePace pace({1, 0});
  run(pace, {1}, 0, 999);
  std::uint64_t moved = 0;
  for (std::uint64_t t = 1000; t < 6000; t += 250) {
    pace.measured(volume, sample(t - 250, millisecond, 0, 9));
    if (t >= 3000) moved += run(pace, {1}, t, t + 249)[1];
    pace.measured(volume, {at(t - 900), at(t), 9, millisecond, millisecond});
    pace.grant(at(t));
  }
  BOOST_TEST(moved > 0u);
}

// A disk that serves clients and rebuild in turn: a write takes longer the more of the disk's time
// the rebuild takes, and much longer when it is all taken.
BOOST_AUTO_TEST_CASE(
    in_a_closed_loop_clients_keep_within_twice_their_latency_and_the_copy_gets_on) {
  constexpr double disk_rate = 200.0 * mib;
  BasePace pace({2, 0});
  const auto latency = [](double share) {
    const auto free = std::max(0.02, 1.0 - share);
    return static_cast<std::uint64_t>(static_cast<double>(millisecond) / free);
  };
  std::uint64_t now = 0;
  for (; now < 2000; now += 250) pace.measured(volume, sample(now, latency(0)));
  std::uint64_t moved = 0, worst_late = 0;
  std::uint64_t windows = 0, slow = 0;
  while (now < 62'000) {
    std::uint64_t bytes = 0;
    for (const auto& [l, n] : run(pace, {1, 2}, now + 1, now + 249)) bytes += n;
    const auto share = static_cast<double>(bytes) / (disk_rate / 4);
    const auto seen = latency(share);
    pace.measured(volume, sample(now, seen));
    now += 250;
    moved += bytes;
    if (now < 7000) continue;
    ++windows;
    if (seen > 2 * millisecond) ++slow;
    worst_late = std::max(worst_late, seen);
  }
  BOOST_TEST(slow * 100 <= windows);
  BOOST_TEST(worst_late < 3 * millisecond);
  // A fifth of the disk at least, although clients come first.
  BOOST_TEST(static_cast<double>(moved) > 60 * disk_rate / 5);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
