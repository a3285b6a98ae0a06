// What runs reached: every name is there from the beginning, and numbers survive the way between
// processes.
#define BOOST_TEST_DYN_LINK
#include "sim/coverage.hpp"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <sstream>
#include <string>

#include "engine/sometimes.hpp"
#include "engine/walked.hpp"

using namespace tidemark;
using namespace tidemark::sim;

BOOST_AUTO_TEST_SUITE(coverage_rules)

BOOST_AUTO_TEST_CASE(all_that_there_is_to_reach_is_known_before_anything_is) {
  const auto none = nothing_reached();
  BOOST_TEST(none.marks.size() == static_cast<std::size_t>(engine::Mark::count_));
  BOOST_TEST(none.edges.size() == engine::edges().size());
  BOOST_TEST(none.crash_points.size() == crash_points());
  BOOST_TEST(words(none).empty());
}

BOOST_AUTO_TEST_CASE(what_a_run_reached_is_forgotten_before_the_next_one) {
  forget_reached();
  engine::sometimes(engine::Mark::record_gap);
  BOOST_TEST(reached(CrashPoints()).marks.at("record_gap") == 1u);
  forget_reached();
  BOOST_TEST(reached(CrashPoints()).marks.at("record_gap") == 0u);
}

BOOST_AUTO_TEST_CASE(what_was_reached_goes_through_words_and_adds_up) {
  auto some = nothing_reached();
  some.marks["record_gap"] = 3;
  some.edges["volume/opening>serving"] = 1;
  some.crash_points["write/segment/after"] = 2;
  auto all = nothing_reached();
  std::istringstream line(words(some));
  for (std::string word; line >> word;) BOOST_TEST(all.take(word));
  BOOST_TEST((all.marks == some.marks));
  BOOST_TEST((all.edges == some.edges && all.crash_points == some.crash_points));
  all.add(some);
  BOOST_TEST(all.marks["record_gap"] == 6u);
  BOOST_TEST(!all.take("fault:kill_two=1"));
}

BOOST_AUTO_TEST_CASE(the_summary_counts_names_and_the_listing_says_which_were_never_reached) {
  auto some = nothing_reached();
  some.marks["record_gap"] = 3;
  const auto total = some.marks.size();
  BOOST_TEST(summary(some).starts_with(fmt::format("marks=1/{} edges=0/", total)));
  const auto list = listing(some);
  BOOST_TEST(list.find("never mark duplicate_record") != std::string::npos);
  BOOST_TEST(list.find("never mark record_gap") == std::string::npos);
  BOOST_TEST(list.find("3 mark record_gap") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
