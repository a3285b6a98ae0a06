// Walked transitions: all that the tables allow are known, and what is walked is counted.
#define BOOST_TEST_DYN_LINK
#include "engine/walked.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>
#include <string>
#include <string_view>

#include "engine/session.hpp"

using namespace tidemark::engine;

namespace {

std::uint64_t times_of(std::string_view name) {
  const auto all = edges();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Edge& e) { return e.name == name; });
  BOOST_REQUIRE(found != all.end());
  return found->times;
}

struct Forgotten {
  Forgotten() { forget_edges(); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(walked_edges, Forgotten)

BOOST_AUTO_TEST_CASE(edges_are_those_that_the_tables_allow) {
  std::set<std::string> names;
  std::size_t sessions = 0;
  for (const auto& edge : edges()) {
    BOOST_TEST(names.insert(edge.name).second);
    sessions += edge.name.starts_with("session/") ? 1u : 0u;
    BOOST_TEST(edge.times == 0u);
  }
  // probing, pinning, preparing, running: on or ended; done: ended.
  BOOST_TEST(sessions == 9u);
  BOOST_TEST(names.contains("session/pinning>preparing"));
  BOOST_TEST(!names.contains("session/ended>probing"));
  BOOST_TEST(names.contains("sender/refused>connecting"));
  BOOST_TEST(!names.contains("sender/refused>probing"));
  BOOST_TEST(names.contains("receiver/ready>following"));
  BOOST_TEST(names.contains("volume/opening>serving"));
  BOOST_TEST(names.contains("outcome/wiped"));
}

BOOST_AUTO_TEST_CASE(a_session_that_ends_has_walked_an_edge) {
  Session session(SessionId(1), Epoch(1), MonoTime(1));
  BOOST_TEST(times_of("session/probing>ended") == 0u);
  session.end(MonoTime(2));
  BOOST_TEST(times_of("session/probing>ended") == 1u);
  BOOST_TEST(times_of("session/probing>pinning") == 0u);
  forget_edges();
  BOOST_TEST(times_of("session/probing>ended") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
