// The recovery log of a volume as the control plane puts it together, and what would be done about a
// replica.
#define BOOST_TEST_DYN_LINK
#include "tests/actors/control_volume.hpp"

using namespace tidemark;
using namespace tidemark::actors;

BOOST_AUTO_TEST_SUITE(control_events)

BOOST_AUTO_TEST_CASE(a_recovery_log_is_put_together_and_says_what_was_dropped_and_who_is_silent) {
  WithVolume w;
  const auto answer = w.ask(w.control, "POST", "/v1/volumes/v/events",
                            R"({"since":{"node1":{"incarnation":3,"sequence":4}}})");
  BOOST_TEST(w.links[0]->last<engine::AdminAsk>()->body == R"({"since":4,"incarnation":3})");
  BOOST_TEST(w.links[1]->last<engine::AdminAsk>()->body == "{}");
  w.reply(w.links[0], 200,
          R"({"node":"node1","incarnation":3,"last":9,"gap":{"first":5,"last":7},"events":[
             {"at":"9999-01-01T00:00:02.000Z","sequence":8,"name":"b"},
             {"at":"9999-01-01T00:00:01.000Z","sequence":9,"name":"c"}]})");
  w.reply(w.links[1], 200,
          R"({"node":"node2","incarnation":1,"last":1,"events":[
             {"at":"9999-01-01T00:00:01.500Z","sequence":1,"name":"a"}]})");
  BOOST_TEST(!answer->has_value());
  w.pass(2000);
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "gaps") == R"([{"node":"node1","first":5,"last":7}])");
  BOOST_TEST(field(**answer, "unreachable") == R"(["node3"])");
  const auto events = field(**answer, "events");
  BOOST_TEST(events.find("volume_created") < events.find(R"("name":"a")"));
  BOOST_TEST(events.find(R"("name":"a")") < events.find(R"("name":"b")"));
  BOOST_TEST(events.find(R"("name":"b")") < events.find(R"("name":"c")"));  // Its clock went back.
  BOOST_TEST(field(**answer, "sources").find(R"("node1":{"incarnation":3,"sequence":9})") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_node_that_was_started_again_is_said) {
  WithVolume w;
  const auto answer = w.ask(w.control, "POST", "/v1/volumes/v/events",
                            R"({"since":{"node1":{"incarnation":2,"sequence":40}}})");
  w.reply(w.links[0], 200, R"({"node":"node1","incarnation":3,"last":0,"events":[]})");
  for (std::size_t i : {1u, 2u}) w.reply(w.links[i], 200, "{}");
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "gaps") == R"([{"node":"node1","restarted":true}])");
}

BOOST_AUTO_TEST_CASE(who_follows_waits_for_news_and_no_longer_than_he_said) {
  WithVolume w;
  const auto quiet = [&] {
    for (int n = 1; n <= 3; ++n) {
      w.reply(w.links[static_cast<std::size_t>(n - 1)], 200,
              fmt::format(R"({{"node":"node{}","incarnation":1,"last":5,"events":[]}})", n));
    }
  };
  const auto all = w.ask(w.control, "GET", "/v1/volumes/v/events");
  quiet();
  BOOST_REQUIRE(all->has_value());
  const auto on = [&](std::uint64_t wait) {
    return fmt::format(R"({{"since":{},"wait_milliseconds":{}}})", field(**all, "sources"), wait);
  };
  // Nothing happens: an empty answer when the wait is over.
  auto answer = w.ask(w.control, "POST", "/v1/volumes/v/events", on(800));
  quiet();
  BOOST_TEST(!answer->has_value());
  w.pass(500);
  quiet();
  BOOST_TEST(!answer->has_value());
  w.pass(300);
  quiet();
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "events") == "[]");
  // Something happens: at the next look.
  answer = w.ask(w.control, "POST", "/v1/volumes/v/events", on(20'000));
  quiet();
  BOOST_TEST(!answer->has_value());
  w.pass(500);
  w.reply(w.links[0], 200, R"({"node":"node1","incarnation":1,"last":6,"events":[{"name":"x"}]})");
  for (std::size_t i : {1u, 2u}) w.reply(w.links[i], 200, "{}");
  BOOST_REQUIRE(answer->has_value());
  BOOST_TEST(field(**answer, "events").find(R"("name":"x")") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_would_be_done_is_asked_of_the_primarys_node) {
  WithVolume w;
  for (const auto* word : {"node2", "2"}) {
    const auto answer = w.ask(w.control, "GET", std::string("/v1/volumes/v/plan/") + word);
    BOOST_TEST(w.links[0]->last<engine::AdminAsk>()->path ==
               "/v1/local/plan/" + engine::to_string(w.id) + "/2");
    w.reply(w.links[0], 200, R"({"says":"nothing to do"})");
    BOOST_REQUIRE(answer->has_value());
    BOOST_TEST(field(**answer, "says") == "nothing to do");
  }
  const auto code = [&](const char* path) { return (*w.ask(w.control, "GET", path))->status; };
  BOOST_TEST(code("/v1/volumes/v/plan/node1") == 400);  // The primary itself.
  BOOST_TEST(code("/v1/volumes/v/plan/node9") == 404);
  BOOST_TEST(code("/v1/volumes/nope/plan/node2") == 404);
  const auto wrong = w.ask(w.control, "POST", "/v1/volumes/v/events", R"({"since":[1]})");
  BOOST_TEST((*wrong)->status == 400);
}

BOOST_AUTO_TEST_SUITE_END()
