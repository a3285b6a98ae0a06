// A life that stands still, and the clock on the wall.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <vector>

#include "sim/cluster.hpp"
#include "sim/time.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::millisecond;
using engine::second;

BOOST_AUTO_TEST_SUITE(paused)

BOOST_AUTO_TEST_CASE(what_comes_due_meanwhile_waits_and_keeps_its_order) {
  Random random(1);
  Trace trace;
  Events events(random, trace);
  const auto life = std::make_shared<Life>();
  std::vector<int> fired;
  for (const int i : {1, 2, 3})
    events.after(static_cast<std::uint64_t>(i) * 10, life, "own", [&, i] { fired.push_back(i); });
  events.after(25, nullptr, "world", [&] { fired.push_back(100); });
  life->paused = true;
  while (!events.empty()) events.fire();
  BOOST_TEST(fired == (std::vector<int>{100}), boost::test_tools::per_element());
  const auto before = events.now();
  events.after(5, life, "later", [&] { fired.push_back(4); });
  life->paused = false;
  events.go_on(*life);
  while (!events.empty()) events.fire();
  BOOST_TEST(fired == (std::vector<int>{100, 1, 2, 3, 4}), boost::test_tools::per_element());
  BOOST_TEST((events.now() - before == 5u));  // Time has not gone back.
}

BOOST_AUTO_TEST_CASE(what_waits_can_be_cancelled_and_goes_with_its_life) {
  Random random(1);
  Trace trace;
  Events events(random, trace);
  const auto life = std::make_shared<Life>();
  int fired = 0;
  const auto cancelled = events.after(1, life, "own", [&] { ++fired; });
  events.after(2, life, "own", [&] { ++fired; });
  life->paused = true;
  while (!events.empty()) events.fire();
  events.cancel(cancelled);
  events.go_on(*life);
  life->paused = false;
  while (!events.empty()) events.fire();
  BOOST_TEST(fired == 1);
  events.after(1, life, "own", [&] { ++fired; });
  life->paused = true;
  while (!events.empty()) events.fire();
  life->alive = false;
  events.drop(*life);
  events.go_on(*life);
  BOOST_TEST(events.empty());
  BOOST_TEST(fired == 1);
}

BOOST_AUTO_TEST_CASE(a_node_that_stands_still_answers_nobody_and_then_everybody) {
  Cluster c{ClusterOptions()};
  BOOST_REQUIRE(c.start());
  const auto primary = c.primary();
  bool answered = false;
  c.pause(primary);
  c.send({engine::FrontOp::write, {0, 8}, false, false}, [&](const auto& e) { answered = !e; });
  c.run_for(2 * second);
  BOOST_TEST(!answered);
  BOOST_TEST(!c.failed());
  c.go_on(primary);
  BOOST_TEST(c.run_until([&] { return answered; }, 2 * second));
  BOOST_TEST(c.settle());
}

BOOST_AUTO_TEST_CASE(one_that_is_killed_while_it_stands_still_starts_again) {
  Cluster c{ClusterOptions()};
  BOOST_REQUIRE(c.start());
  const auto node = (c.primary() + 1) % c.size();
  c.pause(node);
  c.write(0, 8);
  c.run_for(1 * second);
  c.kill(node);
  c.boot(node);
  BOOST_TEST(c.settle());
}

BOOST_AUTO_TEST_CASE(a_wall_clock_drifts_and_is_set_forwards_and_back) {
  WallClock wall{1'000 * second, 0, {}};
  const auto at = [](std::uint64_t seconds) { return engine::MonoTime(seconds * second); };
  BOOST_TEST(wall.at(at(10)) == 1'010 * second);
  wall.set(at(10), -static_cast<std::int64_t>(5 * second), 100);
  BOOST_TEST(wall.at(at(10)) == 1'005 * second);
  BOOST_TEST(wall.at(at(20)) == 1'015 * second + 1 * millisecond);
  wall.set(at(20), static_cast<std::int64_t>(3'600 * second), -100);
  BOOST_TEST(wall.at(at(20)) == 4'615 * second + 1 * millisecond);
  BOOST_TEST(wall.at(at(30)) == 4'625 * second);
}

BOOST_AUTO_TEST_SUITE_END()
