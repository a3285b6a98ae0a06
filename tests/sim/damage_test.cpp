// Damage that somebody did, and damage that nobody did.
#define BOOST_TEST_DYN_LINK
#include "sim/checkers/damage.hpp"

#include <boost/test/unit_test.hpp>

using namespace tidemark;
using namespace tidemark::sim;

BOOST_AUTO_TEST_SUITE(damage)

BOOST_AUTO_TEST_CASE(damage_has_a_cause) {
  const engine::Event block(engine::Level::warning, "block_damaged");
  const engine::Event log(engine::Level::error, "log_damaged");
  BOOST_TEST(damaged_by_itself(block, false));
  BOOST_TEST(damaged_by_itself(log, false));
  BOOST_TEST(!damaged_by_itself(block, true));
  BOOST_TEST(!damaged_by_itself(engine::Event(engine::Level::info, "block_repaired"), false));
  const auto unread = engine::Event(engine::Level::warning, "block_damaged")
                          .with("problem", "read of 00000000.dat: input/output error");
  BOOST_TEST(!damaged_by_itself(unread, false));
}

BOOST_AUTO_TEST_SUITE_END()
