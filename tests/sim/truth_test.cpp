// The judge of truth: a status that is right or a little late, and one that lies.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "sim/checkers/truth.hpp"
#include "sim/volume_view.hpp"
#include "tests/sim/judged.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Event;
using engine::Level;
using engine::MonoTime;
using engine::second;

namespace {

struct Telling : Found {
  Truth truth{fail};
  VolumeView view;

  Telling() {
    view.primary = "node1";
    view.serving = true;
    for (const auto* node : {"node1", "node2"}) {
      CopyView copy;
      copy.node = node;
      copy.state = "streaming";
      view.copies.push_back(copy);
    }
  }
  void seen(std::uint64_t seconds) { truth.seen(MonoTime(seconds * second), view); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(truth)

BOOST_FIXTURE_TEST_CASE(a_status_may_take_a_while, Telling) {
  truth.died("node2", MonoTime(10 * second));
  seen(15);
  view.copies[1].state = "disconnected";
  seen(40);
  truth.boots("node2");
  view.copies[1].state = "streaming";
  seen(41);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_dead_node_that_is_shown_as_following_is_noticed, Telling) {
  truth.died("node2", MonoTime(10 * second));
  seen(21);
  BOOST_TEST(found == "status_lies\n");
}

BOOST_FIXTURE_TEST_CASE(a_dead_primary_need_not_be_shown_as_serving, Telling) {
  view.copies[0].state = "";
  view.serving = false;
  truth.died("node1", MonoTime(10 * second));
  seen(21);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_dead_primary_that_is_shown_as_serving_is_noticed, Telling) {
  view.copies[0].state = "";
  truth.died("node1", MonoTime(10 * second));
  seen(21);
  BOOST_TEST(found == "status_lies\n");
}

BOOST_FIXTURE_TEST_CASE(a_lost_copy_that_is_shown_as_whole_is_noticed, Telling) {
  truth.happened(MonoTime(10 * second), "node2", Event(Level::error, "store_lost"));
  seen(21);
  BOOST_TEST(found == "status_lies\n");
  found.clear();
  view.copies[1].problem = "disk failed";
  seen(22);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_copy_whose_vote_was_withdrawn_is_lost, Telling) {
  truth.happened(MonoTime(10 * second), "node2", Event(Level::error, "vote_withdrawn"));
  seen(21);
  BOOST_TEST(found == "status_lies\n");
  BOOST_TEST(words ==
             "status shows node2 as streaming, and it has been vote_withdrawn for 11000 ms");
}

BOOST_FIXTURE_TEST_CASE(another_copy_in_the_place_of_a_lost_one_is_whole, Telling) {
  for (const auto* begins : {"replica_deleted", "role_started"}) {
    truth.happened(MonoTime(10 * second), "node2", Event(Level::error, "store_lost"));
    truth.happened(MonoTime(11 * second), "node2", Event(Level::info, begins));
    seen(30);
  }
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(other_events_neither_lose_a_copy_nor_bring_it_back, Telling) {
  const Event other(Level::info, "replica_left");
  truth.happened(MonoTime(10 * second), "node2", other);
  seen(21);
  BOOST_TEST(found == "");
  truth.happened(MonoTime(30 * second), "node2", Event(Level::error, "store_lost"));
  truth.happened(MonoTime(31 * second), "node2", other);
  seen(41);
  BOOST_TEST(found == "status_lies\n");
}

BOOST_AUTO_TEST_SUITE_END()
