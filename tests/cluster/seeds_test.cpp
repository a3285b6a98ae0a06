// The random runs, a few of them: clean, repeatable, and able to find what was planted. The many
// are for scripts/test and its long mode.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "sim/batch.hpp"
#include "sim/run.hpp"

using namespace tidemark;
using namespace tidemark::sim;

BOOST_AUTO_TEST_SUITE(seeds)

BOOST_AUTO_TEST_CASE(a_seed_is_one_run) {
  const auto first = run_seed({3, engine::Bug::none, false, {}});
  const auto second = run_seed({3, engine::Bug::none, false, {}});
  BOOST_TEST(first.trace == second.trace);
  BOOST_TEST(first.steps == second.steps);
  BOOST_TEST(first.trace != run_seed({4, engine::Bug::none, false, {}}).trace);
  const auto twice = run_seed_twice({3, engine::Bug::none, false, {}});
  BOOST_TEST(twice.trace == first.trace);
  BOOST_TEST(!twice.failure.has_value());
}

BOOST_AUTO_TEST_CASE(a_run_has_its_operations_and_its_crashes) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto outcome = run_seed({seed, engine::Bug::none, false, {}});
    if (outcome.failure) BOOST_ERROR(report({seed, engine::Bug::none, false, {}}, outcome));
    BOOST_TEST(outcome.operations >= 500u);
    BOOST_TEST(outcome.crashes_and_cuts >= 3u);
  }
}

BOOST_AUTO_TEST_CASE(the_canary_fails_every_seed) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    BOOST_TEST(run_seed({seed, engine::Bug::canary, false, {}}).failure.has_value());
  }
}

BOOST_AUTO_TEST_CASE(the_command_of_a_failure_repeats_it) {
  BOOST_TEST(command({17, engine::Bug::none, false, {}}) == "tidemark-sim --seed 17");
  BOOST_TEST(command({17, engine::Bug::canary, false, {}}) ==
             "tidemark-sim --seed 17 --plant canary");
  BOOST_TEST(command({17, engine::Bug::canary, false, "some.json"}) ==
             "tidemark-sim run some.json --plant canary");
}

BOOST_AUTO_TEST_SUITE_END()
