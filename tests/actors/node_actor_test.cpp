#define BOOST_TEST_DYN_LINK
#include "actors/node_shell.hpp"
#include "tests/actors/control_world.hpp"

#include <boost/test/unit_test.hpp>

using namespace tidemark;
using namespace tidemark::actors;

namespace {

/// node2 and the far end of its control link.
struct NodeWorld : PlainWorld {
  NodeWorld() {
    node = spawn_node(system, {env("node2", 2), std::make_shared<FrontDesk>(), {}});
    run();
  }
  ~NodeWorld() {
    caf::anon_send_exit(node, caf::exit_reason::kill);
    run();
  }
  ManualLinkPtr connect() {
    BOOST_REQUIRE(!network.attempts.empty());
    auto attempt = std::move(network.attempts.front());
    network.attempts.pop_front();
    auto link = std::make_shared<ManualLink>();
    attempt.done(transport::Network::Connected{link, {}});
    run();
    return link;
  }
  void fail() {
    auto attempt = std::move(network.attempts.front());
    network.attempts.pop_front();
    attempt.done(engine::Error{engine::Errc::unavailable, "connection refused"});
    run();
  }
  ManualLinkPtr registered() {
    auto link = connect();
    link->say(engine::Registered{});
    run();
    link->heard();
    return link;
  }
  ManualLinkPtr incoming(engine::Hello hello) {
    auto link = std::make_shared<ManualLink>();
    caf::anon_send(node, LinkAccepted{std::make_shared<transport::Incoming>(
                             transport::Incoming{std::move(hello), link})});
    run();
    return link;
  }
  Node node;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(node_actor)

BOOST_AUTO_TEST_CASE(a_node_registers_on_every_new_control_link) {
  NodeWorld w;
  BOOST_TEST(w.network.attempts.front().to == "node1:9101");
  BOOST_CHECK(w.network.attempts.front().hello.purpose == engine::Purpose::control);
  const auto link = w.connect();
  BOOST_TEST(link->heard() == "register");
  BOOST_TEST(link->last<engine::Register>()->nbd == "node2:10809");
  link->owner.lock()->on_down("gone");
  w.run();
  BOOST_TEST(w.network.attempts.empty());
  w.pass(1000);
  BOOST_TEST(w.connect()->heard() == "register");
}

BOOST_AUTO_TEST_CASE(connecting_backs_off_up_to_its_maximum) {
  NodeWorld w;
  for (int round = 0; round < 10; ++round) {
    w.fail();
    BOOST_TEST(w.network.attempts.empty());
    w.pass(1000);
    BOOST_REQUIRE(w.network.attempts.size() == 1u);
  }
}

BOOST_AUTO_TEST_CASE(a_silent_control_plane_is_left_after_3_seconds) {
  NodeWorld w;
  const auto link = w.registered();
  for (int beat = 0; beat < 7; ++beat) w.pass(500);
  BOOST_TEST(link->closed);
}

BOOST_AUTO_TEST_CASE(a_fence_for_an_unknown_replica_is_answered) {
  NodeWorld w;
  const auto link = w.registered();
  link->say(engine::Fence{engine::make_uuid(5, 5), engine::ReplicaId(1), engine::Epoch(2)});
  w.run();
  BOOST_TEST(link->heard() == "promise");
  BOOST_TEST(!link->last<engine::Promise>()->accepted);
}

BOOST_AUTO_TEST_CASE(taking_away_what_is_not_here_is_remembered_before_it_is_acknowledged) {
  NodeWorld w;
  const auto link = w.registered();
  link->say(engine::Unassign{engine::make_uuid(5, 5), engine::ReplicaId(3)});
  w.run();
  BOOST_TEST(link->heard() == "");
  w.sync();
  BOOST_TEST(link->heard() == "unassign_ack");
}

BOOST_AUTO_TEST_CASE(a_failed_catalog_ends_every_promise_to_come) {
  NodeWorld w;
  const auto link = w.registered();
  link->say(engine::Unassign{engine::make_uuid(5, 5), engine::ReplicaId(3)});
  w.run();
  w.kv.fail();
  w.run();
  BOOST_TEST(link->heard() == "");
  BOOST_TEST(link->closed);
}

BOOST_AUTO_TEST_CASE(connections_for_what_is_not_here_are_refused) {
  NodeWorld w;
  engine::Hello records;
  records.volume = engine::make_uuid(5, 5);
  const auto unknown = w.incoming(records);
  BOOST_TEST(unknown->heard() == "refused");
  BOOST_CHECK(unknown->last<engine::Refused>()->code == engine::RefusalCode::wrong_volume);
  BOOST_TEST(unknown->closed);
  engine::Hello control;
  control.purpose = engine::Purpose::control;
  BOOST_CHECK(w.incoming(control)->last<engine::Refused>()->code ==
              engine::RefusalCode::wrong_node);
}

// --- operators -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(without_a_control_plane_the_status_is_the_nodes_own) {
  NodeWorld w;
  w.fail();
  const auto answer = w.ask(w.node, "GET", "/v1/status");
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST((*answer)->status == 200);
  BOOST_TEST(field(**answer, "scope") == "node");
  BOOST_TEST(field(**answer, "control_problem") == "connection refused");
  const auto other = w.ask(w.node, "GET", "/v1/volumes");
  BOOST_TEST((*other)->status == 503);
  BOOST_TEST(field(**other, "error").find("the control plane at node1:9101 is not reached") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_is_not_its_own_goes_to_the_control_plane_and_back) {
  NodeWorld w;
  const auto link = w.registered();
  const auto answer = w.ask(w.node, "GET", "/v1/volumes");
  BOOST_TEST(!answer->has_value());
  BOOST_TEST(link->heard() == "admin_ask");
  const auto id = link->last<engine::AdminAsk>()->id;
  link->say(engine::AdminReply{id + 1, 200, "{}"});  // Nobody's.
  w.run();
  BOOST_TEST(!answer->has_value());
  link->say(engine::AdminReply{id, 200, R"({"volumes":[]})"});
  w.run();
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST((*answer)->id == 7u);
  BOOST_TEST((*answer)->body == R"({"volumes":[]})");
}

// Beyond 256 that wait for the control plane one is told so at once; room comes with any answer.
BOOST_AUTO_TEST_CASE(no_more_requests_wait_for_the_control_plane_than_fit) {
  NodeWorld w;
  const auto link = w.registered();
  for (std::size_t i = 0; i < admin_forwarded_max; ++i) {
    BOOST_REQUIRE(!w.ask(w.node, "GET", "/v1/volumes")->has_value());
  }
  const auto beyond = w.ask(w.node, "GET", "/v1/volumes");
  BOOST_REQUIRE(beyond->has_value());
  BOOST_TEST((*beyond)->status == 503);
  BOOST_TEST(field(**beyond, "error").find("too many requests wait") != std::string::npos);
  link->say(engine::AdminReply{link->last<engine::AdminAsk>()->id, 200, "{}"});
  w.run();
  BOOST_TEST(!w.ask(w.node, "GET", "/v1/volumes")->has_value());
}

BOOST_AUTO_TEST_CASE(a_request_is_answered_even_if_the_control_plane_dies_over_it) {
  NodeWorld w;
  const auto link = w.registered();
  const auto answer = w.ask(w.node, "POST", "/v1/volumes", "{}");
  link->owner.lock()->on_down("reset");
  w.run();
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST((*answer)->status == 503);
}

BOOST_AUTO_TEST_CASE(a_node_answers_about_itself) {
  NodeWorld w;
  w.registered();
  const auto answer = w.ask(w.node, "GET", "/v1/local");
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "volumes") == "[]");
  const auto metrics = w.ask(w.node, "GET", "/metrics");
  BOOST_TEST((*metrics)->body.find("tidemark_node_registered{node=\"node2\"} 1\n") !=
             std::string::npos);
  const auto nothing = w.ask(w.node, "GET", "/v1/local/nothing");
  BOOST_TEST((*nothing)->status == 404);
}

BOOST_AUTO_TEST_CASE(a_node_tells_its_part_of_a_recovery_log) {
  NodeWorld w;
  w.registered();
  const auto answer = w.ask(w.node, "POST", "/v1/local/events/v", R"({"since":3})");
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST((*answer)->status == 200);
  BOOST_TEST(field(**answer, "node") == "node2");
  BOOST_TEST(field(**answer, "events") == "[]");
  const auto wrong = w.ask(w.node, "POST", "/v1/local/events/v", R"({"since":"x"})");
  BOOST_TEST((*wrong)->status == 400);
  const auto plan = w.ask(w.node, "GET", "/v1/local/plan/x/2");
  BOOST_TEST((*plan)->status == 404);
}

BOOST_AUTO_TEST_CASE(a_stop_is_answered_and_ends_the_node) {
  NodeWorld w;
  const auto link = w.registered();
  bool stopped = false;
  w.system.spawn(
      [&](caf::event_based_actor* self, int) {
        self->request(w.node, caf::infinite, StopNode{})
            .then([&](const NodeStopped&) { stopped = true; }, [](const caf::error&) {});
      },
      no_argument);
  w.run();
  BOOST_TEST(stopped);
  BOOST_TEST(link->closed);
}

BOOST_AUTO_TEST_SUITE_END()
