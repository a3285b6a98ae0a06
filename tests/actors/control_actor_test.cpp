#define BOOST_TEST_DYN_LINK
#include "tests/actors/control_volume.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "actors/admin_json.hpp"
#include "actors/control_shell.hpp"

using namespace tidemark;
using namespace tidemark::actors;

BOOST_AUTO_TEST_SUITE(control_actor)

BOOST_AUTO_TEST_CASE(nothing_is_told_before_what_it_depends_on_is_durable) {
  ControlWorld w;
  const auto link = w.node(1);
  BOOST_TEST(link->heard() == "hello_ok");
  w.sync();
  BOOST_TEST(link->heard() == "registered");
}

BOOST_AUTO_TEST_CASE(a_catalog_that_failed_silences_the_control_plane) {
  ControlWorld w;
  const auto link = w.node(1);
  w.kv.fail();
  w.run();
  BOOST_TEST(link->heard() == "hello_ok");
  BOOST_TEST(link->closed);
  const auto answer = w.ask(w.control, "GET", "/v1/nodes");
  BOOST_TEST((*answer)->status == 503);
  BOOST_TEST(field(**answer, "error").find("EIO") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(
    create_is_answered_when_every_node_has_taken_its_assignment_and_the_primary_serves) {
  ControlWorld w;
  const auto links = w.three_nodes();
  const auto made = w.ask(w.control, "POST", "/v1/volumes", wish);
  BOOST_TEST(links[0]->heard() == "hello_ok registered");
  w.sync();
  BOOST_TEST(links[0]->heard() == "assign");
  w.take(links[0]);
  w.take(links[1]);
  BOOST_TEST(!made->has_value());
  w.take(links[2]);
  // Not yet: the epoch record is on its way.
  for (const auto& link : links) w.reply(link, 200, R"({"volumes":[]})");
  BOOST_TEST(!made->has_value());
  w.pass(100);
  for (const auto& link : links)
    w.reply(link, 200, serving(links[0]->last<engine::Assign>()->assignment.spec.id));
  BOOST_REQUIRE(made->has_value());
  BOOST_TEST((*made)->status == 201);
  BOOST_TEST(field(**made, "primary") == "node1");
  BOOST_TEST(field(**made, "nbd_uri") == "nbd://node1:10809/v");
  BOOST_TEST(field(**made, "in_sync") == R"(["node1","node2","node3"])");
}

BOOST_AUTO_TEST_CASE(create_says_after_30_seconds_what_is_missing) {
  ControlWorld w;
  const auto links = w.three_nodes();
  const auto made = w.ask(w.control, "POST", "/v1/volumes", wish);
  w.sync();
  w.take(links[0]);
  w.take(links[1]);
  for (int second = 0; second < 31; ++second) {
    for (const auto& link : links) link->say(engine::Heartbeat{1});
    w.run();
    w.pass(1000);
  }
  for (const auto& link : links) w.reply(link, 200, R"({"volumes":[]})");
  BOOST_REQUIRE(made->has_value());
  BOOST_TEST((*made)->status == 202);
  BOOST_TEST(field(**made, "pending").find("node3 has not yet taken its assignment") !=
             std::string::npos);
}

// Beyond 256 commands that wait for their effect, one is told to look later; it is carried out.
BOOST_AUTO_TEST_CASE(no_more_commands_wait_for_their_effect_than_fit) {
  ControlWorld w;
  const auto links = w.three_nodes();
  const auto create = [&w](std::size_t number) {
    return w.ask(w.control, "POST", "/v1/volumes",
                 fmt::format(R"({{"name":"v{}","size_bytes":1048576,"copies":3}})", number));
  };
  for (std::size_t i = 0; i < admin_requests_max; ++i) {
    const auto answer = create(i);
    if (answer->has_value()) BOOST_FAIL((*answer)->body);
    w.sync();
  }
  const auto beyond = create(admin_requests_max);
  w.sync();
  BOOST_REQUIRE(beyond->has_value());
  BOOST_TEST((*beyond)->status == 409);
  BOOST_TEST(field(**beyond, "error").find("too many commands are waiting") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_killed_host_tells_everything_again) {
  WithVolume w;
  w.crash();
  w.boot();
  const auto link = w.node(2);
  BOOST_TEST(link->heard() == "hello_ok registered assign");
}

BOOST_AUTO_TEST_CASE(a_choice_that_was_not_durable_is_not_told_and_made_again) {
  WithVolume w;
  w.ask(w.control, "POST", "/v1/volumes/v/promote", R"({"node":"node2"})");
  BOOST_TEST(w.links[0]->heard() == "");
  w.sync();
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(w.links[i]->heard() == "fence");
    engine::Promise p;
    p.volume = w.id;
    p.replica = engine::ReplicaId(i + 1);
    p.epoch = engine::Epoch(2);
    p.accepted = true;
    p.incarnation = engine::Incarnation(1);
    w.links[i]->say(p);
  }
  w.run();
  BOOST_TEST(w.links[0]->heard() == "");
  w.crash();
  w.boot();
  BOOST_TEST(w.node(1)->heard() == "hello_ok registered fence");
}

BOOST_AUTO_TEST_CASE(a_promotion_goes_on_when_the_wait_for_promises_is_over) {
  WithVolume w;
  w.ask(w.control, "POST", "/v1/volumes/v/promote", R"({"node":"node2"})");
  w.sync();
  for (std::size_t i = 0; i < 2; ++i) {
    engine::Promise p;
    p.volume = w.id;
    p.replica = engine::ReplicaId(i + 1);
    p.epoch = engine::Epoch(2);
    p.accepted = true;
    p.incarnation = engine::Incarnation(1);
    w.links[i]->say(p);
  }
  w.run();
  w.sync();
  w.pass(1000);
  w.sync();
  BOOST_TEST(w.links[1]->last<engine::Assign>()->assignment.epoch == engine::Epoch(2));
  BOOST_CHECK(w.links[1]->last<engine::Assign>()->assignment.role == engine::Role::primary);
}

BOOST_AUTO_TEST_CASE(a_silent_link_is_dead_after_3_seconds) {
  ControlWorld w;
  const auto link = w.node(1);
  w.sync();
  for (int beat = 0; beat < 5; ++beat) w.pass(500);
  BOOST_TEST(!link->closed);
  for (int beat = 0; beat < 2; ++beat) w.pass(500);
  BOOST_TEST(link->closed);
}

// --- links that are not a node's -----------------------------------------------------------------

BOOST_AUTO_TEST_CASE(an_operators_request_is_taken_from_registered_nodes_only) {
  WithVolume w;
  const auto link = w.hello(4);
  link->say(engine::AdminAsk{1, "", "DELETE", "/v1/volumes/v", R"({"name":"v"})"});
  w.run();
  BOOST_TEST(link->heard() == "hello_ok refused");
  BOOST_TEST(link->closed);
  BOOST_TEST((*w.ask(w.control, "GET", "/v1/nodes"))->status == 200);
  w.links[1]->say(engine::AdminAsk{1, "", "DELETE", "/v1/volumes/v", R"({"name":"w"})"});
  w.run();
  BOOST_TEST(w.links[1]->heard() == "admin_reply");
}

BOOST_AUTO_TEST_CASE(a_link_registers_as_what_its_hello_said_and_as_nothing_else) {
  ControlWorld w;
  const auto other_node = w.hello(1);
  w.registers(other_node, 2);
  const auto other_incarnation = w.hello(1, 1);
  w.registers(other_incarnation, 1, 2);
  const auto twice = w.node(3);
  w.sync();
  w.registers(twice, 4);
  for (const auto& link : {other_node, other_incarnation, twice}) {
    BOOST_TEST(link->closed);
    BOOST_REQUIRE(link->last<engine::Refused>() != nullptr);
    BOOST_CHECK(link->last<engine::Refused>()->code == engine::RefusalCode::wrong_node);
  }
  const auto nodes = w.ask(w.control, "GET", "/v1/nodes");
  BOOST_TEST(field(**nodes, "nodes").find("node3") != std::string::npos);
  for (const auto* name : {"node1", "node2", "node4"})
    BOOST_TEST(field(**nodes, "nodes").find(fmt::format("\"name\":\"{}\"", name)) ==
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_link_that_does_not_register_within_3_seconds_is_closed) {
  ControlWorld w;
  const auto link = w.hello(1);
  for (int beat = 0; beat < 5; ++beat) {
    link->say(engine::Heartbeat{1});
    w.pass(500);
  }
  BOOST_TEST(!link->closed);
  link->say(engine::Heartbeat{1});
  w.pass(500);
  BOOST_TEST(link->closed);
}

BOOST_AUTO_TEST_CASE(links_that_never_register_are_bounded_and_keep_no_node_out) {
  ControlWorld w;
  const auto node = w.node(1);
  w.sync();
  std::vector<ManualLinkPtr> strangers;
  for (int n = 0; n < 200; ++n) strangers.push_back(w.hello(2));
  const auto open = std::count_if(strangers.begin(), strangers.end(),
                                  [](const auto& link) { return !link->closed; });
  BOOST_TEST(static_cast<std::size_t>(open) == control_links_max - 1);
  BOOST_TEST(!node->closed);
  BOOST_TEST(w.node(3)->heard() == "hello_ok");
}

BOOST_AUTO_TEST_CASE(a_question_over_a_link_that_a_newer_one_replaced_is_answered_for) {
  WithVolume w;
  const auto first = w.ask(w.control, "POST", "/v1/volumes/v/compare", "{}");
  w.node(2);
  w.sync();
  for (const auto i : {0u, 2u}) w.reply(w.links[i], 500, R"({"error":"no"})");
  BOOST_REQUIRE(first->has_value());
  BOOST_TEST(field(**first, "unreachable") == R"(["node1","node2","node3"])");
  const auto second = w.ask(w.control, "POST", "/v1/volumes/v/compare", "{}");
  BOOST_TEST(!second->has_value());  // Not busy: it asks the nodes.
}

BOOST_AUTO_TEST_CASE(a_question_that_is_not_answered_in_time_is_answered_for) {
  WithVolume w;
  const auto shown = w.ask(w.control, "GET", "/v1/volumes/v");
  w.pass(2000);
  BOOST_REQUIRE(shown->has_value());
  BOOST_TEST(field(**shown, "replicas").find("unreachable") != std::string::npos);
}

// --- operators -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(wrong_requests_are_refused_with_a_sentence) {
  WithVolume w;
  const auto refused = [&](const std::string& method, const std::string& path,
                           const std::string& body) {
    const auto answer = w.ask(w.control, method, path, body);
    BOOST_REQUIRE(answer->has_value());
    return fmt::format("{} {}: {}", (*answer)->status, field(**answer, "code"),
                       field(**answer, "error"));
  };
  const auto says = [](const std::string& text, const std::string& what) {
    BOOST_TEST(text.find(what) != std::string::npos, text << " does not say " << what);
  };
  says(refused("POST", "/v1/volumes", R"({"name":"w","size_bytes":1048576,"colour":"red"})"),
       R"(400 invalid: unknown key "colour")");
  says(refused("POST", "/v1/volumes", R"({"name":"w"})"),
       R"(400 invalid: key "size_bytes" is missing)");
  says(refused("POST", "/v1/volumes", R"({"name":7,"size_bytes":1048576})"),
       R"("name" must be a string)");
  says(refused("POST", "/v1/volumes", R"({"name":"w","size_bytes":"1G"})"),
       R"("size_bytes" must be a whole number)");
  says(refused("POST", "/v1/volumes", R"({"name":"w","size_bytes":-4096})"),
       R"("size_bytes" must be a whole number)");
  says(refused("POST", "/v1/volumes", R"({"name":"w","size_bytes":1048576,"mode":"fast"})"),
       "400 invalid: mode \"fast\"");
  says(refused("POST", "/v1/volumes", R"({"name":"w","size_bytes":1048576,"ack":"maybe"})"),
       "400 invalid: ack \"maybe\"");
  says(refused("POST", "/v1/volumes", R"({"name":"w","size_bytes":1048576,"copies":4})"),
       "400 invalid");
  says(refused("POST", "/v1/volumes", R"({"name":"w","size_bytes":1048576,"copies":4294967297})"),
       "copies 4294967295");
  says(refused("POST", "/v1/volumes", R"({"name":"v","size_bytes":2097152})"),
       "409 already_exists");
  says(refused("POST", "/v1/volumes", "[1]"), "no JSON object");
  says(refused("POST", "/v1/volumes", "{"), "no JSON");
  says(refused("GET", "/v1/volumes/nope", ""), "404 not_found: there is no volume nope");
  says(refused("DELETE", "/v1/volumes/v", R"({"name":"w"})"), "the body names w");
  says(refused("DELETE", "/v1/volumes/v", "{}"), R"(key "name" is missing)");
  says(refused("POST", "/v1/volumes/v/promote", R"({"node":"node9"})"), "404 not_found");
  says(refused("POST", "/v1/volumes/v/replicas", R"({"action":"shake","node":"node2"})"),
       "none of add, remove, replace");
  says(refused("POST", "/v1/volumes/v/replicas",
               R"({"action":"add","node":"node2","new_node":"node3"})"),
       "\"new_node\" goes with");
  says(refused("POST", "/v1/volumes/v/replicas", R"({"action":"replace","node":"node1"})"),
       "hosts the control plane");
  says(refused("POST", "/v1/nodes/node1/readmit", "{}"), "hosts the control plane");
  says(refused("POST", "/v1/nodes/node2/readmit", R"({"uuid":"x"})"), "is no UUID");
  says(refused("GET", "/v1/nothing", ""), "404 not_found: there is no GET /v1/nothing");
}

BOOST_AUTO_TEST_CASE(the_status_merges_what_nodes_say_and_names_who_does_not_answer) {
  WithVolume w;
  const auto answer = w.ask(w.control, "GET", "/v1/status");
  const auto local = fmt::format(
      R"({{"volumes":[{{"id":"{}","problem":"","store":{{"end":9,"durable":9}},"status":{{"serving":true,"waiting_for":"","head":9,"committed":9,
      "peers":[{{"replica":2,"state":"streaming","reason":"","exact":true}}]}}}}]}})",
      engine::to_string(w.id));
  w.reply(w.links[0], 200, local);
  w.reply(w.links[1], 200, R"({"volumes":[]})");
  BOOST_TEST(!answer->has_value());
  w.pass(2000);
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "unreachable") == R"(["node3"])");
  const auto volumes = field(**answer, "volumes");
  BOOST_TEST(volumes.find(R"("serving":true)") != std::string::npos);
  BOOST_TEST(volumes.find(R"("state":"streaming")") != std::string::npos);
  BOOST_TEST(volumes.find(R"("state":"unreachable")") != std::string::npos);
}

// --- compare -------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(equal_copies_compare_equal_at_the_highest_limit) {
  WithVolume w;
  const auto answer = w.ask(w.control, "POST", "/v1/volumes/v/compare", "{}");
  for (std::size_t i = 0; i < 3; ++i)
    w.reply(w.links[i], 200, fmt::format(R"({{"limit":{}}})", 10 + i));
  BOOST_TEST(w.links[0]->last<engine::AdminAsk>()->body.find(R"("at":12)") != std::string::npos);
  for (const auto& link : w.links) w.reply(link, 200, R"({"log":"aa","groups":[],"damaged":[]})");
  std::string groups;
  for (int g = 0; g < 256; ++g) groups += (g == 0 ? "" : ",") + std::to_string(g);
  for (const auto& link : w.links)
    w.reply(link, 200, R"({"log":"aa","damaged":[],"groups":[)" + groups + "]}");
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "equal") == "true");
  BOOST_TEST(field(**answer, "complete") == "true");
  BOOST_TEST(field(**answer, "lsn") == "12");
  BOOST_TEST(field(**answer, "compared") == R"(["node1","node2","node3"])");
  for (const auto& link : w.links)
    BOOST_TEST(link->last<engine::AdminAsk>()->path == "/v1/local/compare/release");
}

BOOST_AUTO_TEST_CASE(a_block_that_differs_is_named_with_its_copies) {
  WithVolume w;
  const auto answer = w.ask(w.control, "POST", "/v1/volumes/v/compare");
  for (const auto& link : w.links) w.reply(link, 200, R"({"limit":5})");
  for (const auto& link : w.links) w.reply(link, 200, R"({"log":"aa","groups":[],"damaged":[]})");
  for (std::size_t i = 0; i < 3; ++i) {
    std::string groups;
    for (int g = 0; g < 256; ++g)
      groups += (g == 0 ? "" : ",") + std::to_string(g == 77 && i == 2 ? 1000 : g);
    w.reply(
        w.links[i], 200,
        fmt::format(R"({{"log":"aa","damaged":[{}],"groups":[{}]}})", i == 2 ? "77" : "", groups));
  }
  for (const auto& link : w.links) w.reply(link, 200, R"({"written":[]})");
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "equal") == "false");
  BOOST_TEST(field(**answer, "wrong_copies") == "[]");
  BOOST_TEST(field(**answer, "differences").find(R"("block":77)") != std::string::npos);
  BOOST_TEST(field(**answer, "differences").find("node3: damaged") != std::string::npos);
}

/// A comparison comes to single blocks: node1 has another block 77 than the two others.
void block_77_differs(WithVolume& w) {
  for (const auto& link : w.links) w.reply(link, 200, R"({"limit":5})");
  for (const auto& link : w.links) w.reply(link, 200, R"({"log":"aa","groups":[],"damaged":[]})");
  for (std::size_t i = 0; i < 3; ++i) {
    std::string groups;
    for (int g = 0; g < 256; ++g)
      groups += fmt::format("{}{}", g == 0 ? "" : ",", g == 77 && i > 0 ? 6 : 5);
    w.reply(w.links[i], 200, R"({"log":"aa","damaged":[],"groups":[)" + groups + "]}");
  }
}

BOOST_AUTO_TEST_CASE(the_copies_that_a_record_contradicts_are_told_before_the_hold_ends) {
  WithVolume w;
  const auto answer = w.ask(w.control, "POST", "/v1/volumes/v/compare", R"({"repair":true})");
  block_77_differs(w);
  for (const auto& link : w.links) {
    BOOST_TEST(link->last<engine::AdminAsk>()->path == "/v1/local/compare/written");
    w.reply(link, 200, R"({"written":[{"block":77,"lsn":4,"sum":5}]})");
  }
  BOOST_TEST(!answer->has_value());
  for (std::size_t i = 1; i < 3; ++i) {
    const auto* told = w.links[i]->last<engine::AdminAsk>();
    BOOST_TEST(told->path == "/v1/local/compare/disprove");
    BOOST_TEST(told->body.find(R"("block":77,"lsn":4,"sum":5)") != std::string::npos);
    w.reply(w.links[i], 200, "{}");
  }
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "wrong_copies").find(R"("node":"node2","record":4)") !=
             std::string::npos);
  BOOST_TEST(field(**answer, "undecided_blocks") == "[]");
}

BOOST_AUTO_TEST_CASE(a_block_that_no_record_tells_of_is_left_undecided_whatever_most_copies_hold) {
  WithVolume w;
  const auto answer = w.ask(w.control, "POST", "/v1/volumes/v/compare", R"({"repair":true})");
  block_77_differs(w);
  for (const auto& link : w.links) w.reply(link, 200, R"({"written":[]})");
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "wrong_copies") == "[]");
  BOOST_TEST(field(**answer, "undecided_blocks") == "[77]");
}

BOOST_AUTO_TEST_CASE(a_damaged_log_is_a_difference_and_an_absent_copy_is_none) {
  WithVolume w;
  const auto answer = w.ask(w.control, "POST", "/v1/volumes/v/compare");
  w.reply(w.links[0], 200, R"({"limit":5})");
  w.reply(w.links[1], 200, R"({"damage":"record 3 does not match its checksum"})");
  w.reply(w.links[2], 503, R"({"error":"the store is being opened","code":"unavailable"})");
  w.reply(w.links[0], 200, R"({"log":"aa","groups":[],"damaged":[]})");
  std::string groups = "0";
  for (int g = 1; g < 256; ++g) groups += ",0";
  w.reply(w.links[0], 200, R"({"log":"aa","damaged":[],"groups":[)" + groups + "]}");
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "equal") == "false");
  BOOST_TEST(field(**answer, "differences").find("node2: record 3") != std::string::npos);
  BOOST_TEST(field(**answer, "unreachable") == R"(["node3"])");
  BOOST_TEST(field(**answer, "compared") == R"(["node1"])");
}

BOOST_AUTO_TEST_CASE(a_comparison_without_every_copy_is_not_complete) {
  WithVolume w;
  const auto answer = w.ask(w.control, "POST", "/v1/volumes/v/compare");
  for (const auto& link : w.links) w.reply(link, 503, R"({"error":"starting"})");
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "complete") == "false");
  BOOST_TEST(field(**answer, "compared") == "[]");
  BOOST_TEST(field(**answer, "summary").find("0 of 3 copies compared") != std::string::npos);
  BOOST_TEST(field(**answer, "summary").find("nothing was compared") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(numbers_of_a_peer_that_are_none_break_nothing) {
  WithVolume w;
  const auto compared = w.ask(w.control, "POST", "/v1/volumes/v/compare");
  w.reply(w.links[0], 200, R"({"limit":-1})");
  w.reply(w.links[1], 200, R"({"limit":0.5})");
  w.reply(w.links[2], 200, R"({"limit":"x"})");
  BOOST_REQUIRE(compared->has_value());
  BOOST_TEST(field(**compared, "complete") == "false");
  const auto shown = w.ask(w.control, "GET", "/v1/volumes/v");
  w.reply(w.links[0], 200,
          fmt::format(R"({{"volumes":[{{"id":"{}","status":{{"peers":[{{"replica":-2}},
          {{"replica":1.5}},{{"replica":2,"state":"streaming"}}]}}}}]}})",
                      engine::to_string(w.id)));
  for (const auto i : {1u, 2u}) w.reply(w.links[i], 200, R"({"volumes":[]})");
  BOOST_REQUIRE(shown->has_value());
  BOOST_TEST(field(**shown, "replicas").find("streaming") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(broken_utf8_never_leaves_as_json) {
  const auto reply = answer_error({engine::Errc::refused, "a reason \xff\xc3 of a peer"});
  BOOST_TEST(field(reply, "error") == "a reason ?? of a peer");
}

BOOST_AUTO_TEST_CASE(two_comparisons_of_a_volume_at_once_are_refused) {
  WithVolume w;
  w.ask(w.control, "POST", "/v1/volumes/v/compare");
  const auto second = w.ask(w.control, "POST", "/v1/volumes/v/compare");
  BOOST_REQUIRE(second->has_value());
  BOOST_TEST(field(**second, "code") == "busy");
}

BOOST_AUTO_TEST_SUITE_END()
