// How many sessions hold the log, by what a node tells of itself.
#define BOOST_TEST_DYN_LINK
#include "sim/checkers/pins.hpp"

#include <boost/test/unit_test.hpp>

using namespace tidemark;
using namespace tidemark::sim;

BOOST_AUTO_TEST_SUITE(pins)

BOOST_AUTO_TEST_CASE(pins_are_told_session_by_session) {
  BOOST_TEST(sessions_with_pins("") == 0u);
  BOOST_TEST(sessions_with_pins(R"({"pins":[]},{"pins":[]})") == 0u);
  BOOST_TEST(sessions_with_pins(R"({"pins":["log from 4"]},{"pins":[]},{"pins":["log from 5"]})") ==
             2u);
}

BOOST_AUTO_TEST_SUITE_END()
