#define BOOST_TEST_DYN_LINK
#include "actors/runtime/busy_poll.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>

using tidemark::actors::BusyPoll;
using tidemark::actors::wait_for_work;

namespace {

constexpr std::uint64_t look_time = 10;

/// Nothing to do until `comes`; then one handler that runs for `takes`. Its clock stands otherwise.
struct OneWork final : tidemark::engine::Clock {
  OneWork(std::uint64_t at, std::uint64_t time) : comes(at), takes(time) {}
  tidemark::engine::MonoTime now() const override { return tidemark::engine::MonoTime(passed); }
  tidemark::engine::WallTime wall() const override { return tidemark::engine::WallTime(passed); }

  bool stopped() const { return false; }
  std::size_t poll_one() {
    const bool there = passed >= comes;
    passed += there ? takes : look_time;
    return there ? 1 : 0;
  }
  void run_one() {
    slept = true;
    passed = std::max(passed, comes) + takes;
  }

  std::uint64_t comes;
  std::uint64_t takes;
  std::uint64_t passed = 0;
  bool slept = false;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(busy_poll)

BOOST_AUTO_TEST_CASE(it_looks_as_long_as_allowed_while_work_comes_soon) {
  BusyPoll poll(200);
  BOOST_TEST(poll.window() == 200u);
  poll.was_idle(200);
  BOOST_TEST(poll.window() == 200u);
}

BOOST_AUTO_TEST_CASE(each_long_idle_halves_it_down_to_nothing) {
  BusyPoll poll(200);
  for (const auto expected : {100u, 50u, 25u, 12u, 0u, 0u}) {
    poll.was_idle(201);
    BOOST_TEST(poll.window() == expected);
  }
}

BOOST_AUTO_TEST_CASE(a_short_sleep_brings_it_back) {
  BusyPoll poll(200);
  for (int i = 0; i < 5; ++i) poll.was_idle(1'000);
  BOOST_TEST(poll.window() == 0u);
  poll.was_idle(150);
  BOOST_TEST(poll.window() == 200u);
}

BOOST_AUTO_TEST_CASE(without_a_maximum_it_never_looks) {
  BusyPoll poll;
  poll.was_idle(0);
  poll.was_idle(1'000);
  BOOST_TEST(poll.window() == 0u);
}

BOOST_AUTO_TEST_CASE(a_long_handler_that_is_found_while_looking_is_no_idleness) {
  BusyPoll poll(200);
  OneWork work(150, 1'000'000);
  wait_for_work(poll, work, work);
  BOOST_TEST(!work.slept);
  BOOST_TEST(work.passed == 1'000'150u);
  BOOST_TEST(poll.window() == 200u);
}

BOOST_AUTO_TEST_CASE(work_that_comes_behind_the_window_is_slept_for) {
  BusyPoll poll(200);
  OneWork work(5'000, 10);
  wait_for_work(poll, work, work);
  BOOST_TEST(work.slept);
  BOOST_TEST(poll.window() == 100u);
}

BOOST_AUTO_TEST_CASE(without_a_window_it_sleeps_at_once_and_a_short_sleep_brings_it_back) {
  BusyPoll poll(200);
  for (int i = 0; i < 5; ++i) poll.was_idle(1'000);
  OneWork work(150, 10);
  wait_for_work(poll, work, work);
  BOOST_TEST(work.slept);
  BOOST_TEST(work.passed == 160u);
  BOOST_TEST(poll.window() == 200u);
}

BOOST_AUTO_TEST_SUITE_END()
