// The judge of states: machines that go the ways of the design, and those that do not.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <string>

#include "sim/checkers/states.hpp"
#include "tests/sim/judged.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Event;
using engine::Level;

namespace {

struct Moving : Found {
  States states{fail};

  void sender(const std::string& from, const std::string& to, int replica = 2) {
    states.happened(life, Event(Level::info, "peer_state_changed")
                              .with("replica", replica)
                              .with("from", from)
                              .with("to", to));
  }
  void receiver(const std::string& from, const std::string& to) {
    states.happened(life, Event(Level::info, "receiver_state_changed")
                              .with("replica", 2)
                              .with("from", from)
                              .with("to", to));
  }
  void volume(const std::string& from, const std::string& to) {
    states.happened(life, Event(Level::info, "volume_became").with("from", from).with("to", to));
  }
  void session(const std::string& what, int id) {
    states.happened(life,
                    Event(Level::info, "session_" + what).with("replica", 2).with("session", id));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(states)

BOOST_FIXTURE_TEST_CASE(a_good_recovery_goes_its_way, Moving) {
  sender("disconnected", "connecting");
  sender("connecting", "probing");
  sender("probing", "preparing");
  session("started", 1);
  sender("preparing", "catching_up");
  session("completed", 1);
  sender("catching_up", "streaming");
  session("ended", 1);
  sender("streaming", "disconnected");
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_receiver_and_a_volume_go_their_ways, Moving) {
  receiver("waiting", "ready");
  receiver("ready", "preparing");
  receiver("preparing", "rebuilding");
  receiver("rebuilding", "following");
  receiver("following", "waiting");
  receiver("waiting", "refusing");
  receiver("refusing", "stopping");
  receiver("stopping", "stopped");
  volume("opening", "serving");
  volume("serving", "ended");
  BOOST_TEST(found == "");
  volume("ended", "serving");
  BOOST_TEST(found == "state_forbidden\n");
}

BOOST_FIXTURE_TEST_CASE(each_replica_has_a_sender_of_its_own, Moving) {
  sender("disconnected", "connecting");
  sender("disconnected", "connecting", 3);
  sender("connecting", "probing", 3);
  sender("connecting", "probing");
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(where_one_has_ended_another_one_begins, Moving) {
  sender("disconnected", "connecting");
  sender("connecting", "probing");
  sender("disconnected", "connecting");
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_state_that_is_left_for_itself_is_noticed, Moving) {
  sender("disconnected", "disconnected");
  BOOST_TEST(found == "state_forbidden\n");
}

BOOST_FIXTURE_TEST_CASE(what_has_stopped_does_nothing_more, Moving) {
  sender("disconnected", "stopped");
  BOOST_TEST(found == "");
  sender("stopped", "disconnected");
  BOOST_TEST(found == "state_forbidden\n");
}

BOOST_FIXTURE_TEST_CASE(a_state_that_may_not_follow_is_noticed, Moving) {
  sender("disconnected", "connecting");
  sender("connecting", "streaming");
  BOOST_TEST(found == "state_forbidden\n");
}

BOOST_FIXTURE_TEST_CASE(a_state_that_was_left_without_a_word_is_noticed, Moving) {
  sender("disconnected", "connecting");
  sender("probing", "preparing");
  BOOST_TEST(found == "state_unknown\n");
}

BOOST_FIXTURE_TEST_CASE(a_session_that_is_completed_twice_or_was_never_begun_is_noticed, Moving) {
  session("started", 1);
  session("completed", 1);
  session("completed", 1);
  BOOST_TEST(found == "session_order\n");
  found.clear();
  session("completed", 2);
  BOOST_TEST(found.find("session_order\n") == 0);
}

BOOST_FIXTURE_TEST_CASE(a_session_that_is_completed_in_anothers_place_is_noticed, Moving) {
  session("started", 1);
  session("completed", 2);
  BOOST_TEST(found == "session_order\n");
}

BOOST_FIXTURE_TEST_CASE(a_session_that_is_completed_behind_its_end_is_noticed, Moving) {
  session("started", 1);
  session("ended", 1);
  session("completed", 1);
  BOOST_TEST(found == "session_order\n");
}

BOOST_FIXTURE_TEST_CASE(nothing_but_its_own_end_ends_a_session, Moving) {
  session("ended", 1);  // It never had a plan.
  session("started", 2);
  session("ended", 1);
  session("refused", 2);
  session("completed", 2);
  BOOST_TEST(found == "");
}

BOOST_AUTO_TEST_SUITE_END()
