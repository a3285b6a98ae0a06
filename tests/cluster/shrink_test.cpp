// What is left of a failing plan is what its failure needs.
#define BOOST_TEST_DYN_LINK
#include "sim/shrink.hpp"

#include <boost/test/unit_test.hpp>

#include "sim/hunt.hpp"
#include "sim/run.hpp"

using namespace tidemark;
using namespace tidemark::sim;

BOOST_AUTO_TEST_SUITE(shrinking)

BOOST_AUTO_TEST_CASE(a_failure_that_needs_nothing_is_shrunk_to_nothing) {
  ShrinkOptions options;
  options.bug = engine::Bug::canary;
  const auto shrunk = shrink(expand(3), options);
  BOOST_REQUIRE(shrunk.has_value());
  BOOST_TEST(shrunk->cls == "canary");
  BOOST_TEST(shrunk->minimal);
  BOOST_TEST(shrunk->plan.faults.empty());
  BOOST_TEST(shrunk->plan.asks() == 0u);
  BOOST_TEST(shrunk->plan.clients.size() == 1u);
  BOOST_TEST(shrunk->plan.knobs.empty());
  const auto again = run_plan(shrunk->plan, {0, engine::Bug::canary, false, {}});
  BOOST_REQUIRE(again.failure.has_value());
  BOOST_TEST(again.failure->cls == "canary");
}

BOOST_AUTO_TEST_CASE(a_plan_that_does_not_fail_is_not_shrunk) {
  const auto shrunk = shrink(expand(3), {});
  BOOST_REQUIRE(!shrunk.has_value());
  BOOST_TEST(shrunk.error().text.find("does not fail") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(it_ends_when_it_is_told_to) {
  ShrinkOptions options;
  options.bug = engine::Bug::canary;
  options.over = [] { return true; };
  const auto shrunk = shrink(expand(3), options);
  BOOST_REQUIRE(shrunk.has_value());
  BOOST_TEST(!shrunk->minimal);
  BOOST_TEST(shrunk->plan.faults.size() == expand(3).faults.size());
}

BOOST_AUTO_TEST_CASE(a_hunt_counts_the_seeds_until_its_find) {
  HuntOptions options;
  options.bug = engine::Bug::canary;
  options.first = 7;
  const auto hunted = hunt(options);
  BOOST_TEST(hunted.found);
  BOOST_TEST(hunted.seeds == 1u);
  BOOST_TEST(hunted.failure.seed == 7u);
  BOOST_TEST(hunted.failure.cls == "canary");
}

BOOST_AUTO_TEST_CASE(a_hunt_for_nothing_finds_nothing) {
  HuntOptions options;
  options.seeds_max = 2;
  const auto hunted = hunt(options);
  BOOST_TEST(!hunted.found);
  BOOST_TEST(hunted.seeds == 2u);
}

BOOST_AUTO_TEST_SUITE_END()
