#define BOOST_TEST_DYN_LINK
#include "actors/runtime/busy_poll.hpp"

#include <boost/test/unit_test.hpp>

using tidemark::actors::BusyPoll;

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

BOOST_AUTO_TEST_SUITE_END()
