// The exhaustive tier with its smallest bounds: what it plays is counted and pinned, a clean world
// passes, a planted bug does not, and a case repeats.
// Thousands of worlds are walked: too many for a sanitized build.
#ifndef __SANITIZE_ADDRESS__
#define BOOST_TEST_DYN_LINK
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "sim/events.hpp"
#include "sim/exhaust.hpp"
#include "sim/exhaust_child.hpp"
#include "sim/exhaust_crash.hpp"
#include "sim/exhaust_order.hpp"
#include "sim/exhaust_stage.hpp"
#include "sim/exhaust_walk.hpp"

using namespace tidemark;
using namespace tidemark::sim;

namespace {

using Counted = std::map<std::string, std::uint64_t>;

Counted counted(const PartResult& part) { return {part.counts.begin(), part.counts.end()}; }

std::string first_failure(const ExhaustResult& result) {
  for (const auto& part : result.parts) {
    for (const auto& f : part.failures) return f.id + ": " + f.cls + ": " + f.text;
  }
  return "";
}

ExhaustResult crash_of(const std::string& workload, engine::Bug bug = engine::Bug::none) {
  ExhaustOptions options;
  options.part = "crash";
  options.workload = workload;
  options.bug = bug;
  options.stop_at_failure = bug != engine::Bug::none;
  return run_exhaust(options);
}

ExhaustResult orders_of(std::uint64_t departures, std::uint32_t jobs,
                        engine::Bug bug = engine::Bug::none) {
  ExhaustOptions options;
  options.part = "order";
  options.departures = departures;
  options.jobs = jobs;
  options.bug = bug;
  options.stop_at_failure = bug != engine::Bug::none;
  return run_exhaust(options);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(exhaust)

BOOST_AUTO_TEST_CASE(workloads_that_another_one_stands_for_are_left_out) {
  const std::vector<std::string> one{"w", "o", "u", "t"};
  BOOST_TEST(workloads(1) == one, boost::test_tools::per_element());
  BOOST_TEST(workloads(2).size() == 31u);
  BOOST_TEST(workloads(3).size() == 209u);
}

BOOST_AUTO_TEST_CASE(every_crash_of_one_write_holds) {
  const auto result = crash_of("w");
  BOOST_TEST(first_failure(result) == "");
  BOOST_TEST(result.complete());
  auto counts = counted(result.parts.front());
  BOOST_TEST(counts["workloads"] == 2u);
  BOOST_TEST(counts["points"] == 42u);
  BOOST_TEST(counts["cases"] == 192u);
}

BOOST_AUTO_TEST_CASE(a_crash_case_that_fails_repeats) {
  const auto result = crash_of("w", engine::Bug::extents_hold_uncommitted);
  BOOST_REQUIRE(result.failed());
  BOOST_TEST(!result.complete());
  const auto& failure = result.parts.front().failures.front();
  const auto again = play_case(failure.id, engine::Bug::extents_hold_uncommitted, false);
  BOOST_REQUIRE(again.has_value());
  BOOST_TEST(again->cls == failure.cls);
  BOOST_TEST(again->text == failure.text);
  const auto clean = play_case(failure.id, engine::Bug::none, false);
  BOOST_REQUIRE(clean.has_value());
  BOOST_TEST(clean->cls == "");
  BOOST_TEST(command_of_case(failure.id, engine::Bug::extents_hold_uncommitted) ==
             "tidemark-sim exhaust --case " + failure.id + " --plant extents_hold_uncommitted");
}

// Counted with one process at a time: two find the same.
BOOST_AUTO_TEST_CASE(every_order_with_one_departure_holds) {
  const auto result = orders_of(1, 2);
  BOOST_TEST(first_failure(result) == "");
  BOOST_TEST(result.complete());
  auto counts = counted(result.parts.front());
  BOOST_TEST(counts["orders"] == 207u);
  BOOST_TEST(counts["states"] == 4385u);
  BOOST_TEST(counts["judged"] == 201u);
  BOOST_TEST(counts["merged"] == 6u);
  BOOST_TEST(counts["beyond"] == 7012u);
}

BOOST_AUTO_TEST_CASE(an_order_finds_a_planted_bug) {
  const auto result = orders_of(1, 1, engine::Bug::extents_hold_uncommitted);
  BOOST_REQUIRE(result.failed());
  BOOST_TEST(result.parts.front().failures.front().cls == "extents_uncommitted");
}

BOOST_AUTO_TEST_CASE(a_case_that_does_not_exist_is_told) {
  for (const auto* id : {"order/", "order/1z", "order/99999w", "crash/pair/ff/p1/lost/back",
                         "crash/pair/w/p999/lost/back", "crash/both", "", "else"}) {
    BOOST_TEST(!play_case(id, engine::Bug::none, false).has_value(), id);
  }
}

BOOST_AUTO_TEST_CASE(an_order_and_its_state_are_one) {
  std::string why;
  const auto states = [&why] {
    const auto cluster = quiet_cluster(Company::pair, why);
    std::vector<std::uint64_t> seen;
    Walk walk(*cluster, 8 * engine::millisecond);
    cluster->send(request_of('w'));
    while (const auto next = walk.next()) {
      seen.push_back(walk.state());
      walk.perform(*next);
    }
    return seen;
  };
  const auto first = states();
  BOOST_TEST(first == states(), boost::test_tools::per_element());
  BOOST_TEST(std::set<std::uint64_t>(first.begin(), first.end()).size() == first.size());
}

// What merging relies on: from a state that the base order has too, a walk goes on as the base order does.
BOOST_AUTO_TEST_CASE(from_one_state_on_walks_are_one) {
  std::string why;
  const auto quiet = quiet_cluster(Company::pair, why);
  BOOST_REQUIRE(quiet != nullptr);
  const auto states_of = [&](const std::string& id) {
    const auto end = in_child(
        [&] {
          std::string text;
          for (const auto state : walk_order(*quiet, id)) text += std::to_string(state) + " ";
          return text;
        },
        60);
    BOOST_TEST(end.died == "");
    std::istringstream in(end.said);
    return std::vector<std::uint64_t>(std::istream_iterator<std::uint64_t>(in), {});
  };
  const auto base = states_of("order/base");
  std::size_t merged = 0;
  for (std::size_t step = 0; step < base.size(); ++step) {
    const auto id = "order/" + std::to_string(step) + "w";
    const auto walk = states_of(id);
    const auto met = std::find_first_of(walk.begin(), walk.end(), base.begin(), base.end());
    if (met == walk.end()) continue;
    ++merged;
    const auto from = std::find(base.begin(), base.end(), *met);
    BOOST_TEST(std::equal(met, walk.end(), from, base.end()), id);
  }
  BOOST_TEST(base.size() == 93u);
  BOOST_TEST(merged == 14u);
}

BOOST_AUTO_TEST_CASE(an_event_out_of_turn_takes_no_other_one_of_its_lane_along) {
  Random random(1);
  Trace trace;
  Events events(random, trace);
  std::string order;
  const auto at = [&](std::uint64_t when, char name, std::uint64_t lane) {
    events.at(
        engine::MonoTime(when), nullptr, "test", [&order, name] { order += name; }, lane);
  };
  at(10, 'a', 1);
  at(20, 'b', 2);
  at(30, 'c', 2);
  at(40, 'd', 1);
  const auto ids = [&](std::uint64_t limit) {
    std::vector<EventId> found;
    for (const auto& head : events.heads(engine::MonoTime(limit))) found.push_back(head.id);
    return found;
  };
  const std::vector<EventId> first{1, 2};
  BOOST_TEST(ids(100) == first, boost::test_tools::per_element());
  BOOST_TEST(ids(15).size() == 1u);
  events.fire(2);
  const std::vector<EventId> behind{1, 3};
  BOOST_TEST(ids(100) == behind, boost::test_tools::per_element());
  events.fire(3);
  BOOST_TEST(events.now().value == 30u);
  events.fire(1);  // late
  BOOST_TEST(events.now().value == 30u);
  events.fire();
  BOOST_TEST(order == "bcad");
}

BOOST_AUTO_TEST_CASE(ends_of_children_come_in_order) {
  std::vector<std::string> ends;
  const bool all = run_in_order(
      5, 2, 60, [](std::size_t i) { return std::to_string(i); },
      [&](std::size_t, const ChildEnd& end) {
        ends.push_back(end.said + end.died);
        return true;
      });
  const std::vector<std::string> expected{"0", "1", "2", "3", "4"};
  BOOST_TEST(all);
  BOOST_TEST(ends == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_child_that_dies_says_how) {
  const auto aborted = in_child(
      []() -> std::string {
        const std::string last = "first\nthe last line\n";
        if (::write(STDERR_FILENO, last.data(), last.size()) < 0) return "";
        std::abort();
      },
      60);
  BOOST_TEST(aborted.died == "signal 6 the last line");
  const auto endless = in_child(
      []() -> std::string {
        for (;;) ::pause();
      },
      1);
  BOOST_TEST(endless.died.starts_with("signal 14"));
}

BOOST_AUTO_TEST_SUITE_END()

#endif
