// The round of a volume's scrub as the control plane leads it, with nodes whose answers come when the
// test says so.
#define BOOST_TEST_DYN_LINK
#include "engine/scrub.hpp"
#include "tests/actors/control_volume.hpp"

using namespace tidemark;
using namespace tidemark::actors;

namespace {

const std::string start_wish = R"({"action":"start","rate":1000000000})";

struct WithScrub : WithVolume {
  /// What a node was asked last under that path, and an answer to it.
  const engine::AdminAsk& asked(std::size_t node, const std::string& path) const {
    const auto& sent = links[node]->sent;
    for (auto at = sent.rbegin(); at != sent.rend(); ++at) {
      const auto* m = std::get_if<engine::AdminAsk>(&*at);
      if (m != nullptr && m->path == "/v1/local/" + path) return *m;
    }
    BOOST_FAIL("node" << node + 1 << " was not asked " << path);
    std::abort();
  }
  std::uint64_t times_asked(std::size_t node, const std::string& path) const {
    std::uint64_t times = 0;
    for (const auto& sent : links[node]->sent) {
      const auto* m = std::get_if<engine::AdminAsk>(&sent);
      if (m != nullptr && m->path == "/v1/local/" + path) ++times;
    }
    return times;
  }
  void answer(std::size_t node, std::uint64_t ask, const std::string& body,
              std::uint16_t status = 200) {
    links[node]->say(engine::AdminReply{ask, status, body});
    run();
  }
  void all_answer(const std::string& path, const std::string& body) {
    for (std::size_t n = 0; n < links.size(); ++n) answer(n, asked(n, path).id, body);
  }
  static std::uint64_t round_in(const engine::AdminAsk& ask) {
    return boost::json::parse(ask.body).as_object().at("round").to_number<std::uint64_t>();
  }
  static std::string scrub_says(const std::string& state, std::uint64_t round) {
    return fmt::format(R"({{"scrub":{{"state":"{}","round":{}}}}})", state, round);
  }
  /// Answers the number that the nodes were given.
  std::uint64_t start() {
    ask(control, "POST", "/v1/volumes/v/scrub", start_wish);
    const auto round = round_in(asked(0, "scrub/start"));
    all_answer("scrub/start", scrub_says("log", round));
    return round;
  }
  void stop() {
    ask(control, "POST", "/v1/volumes/v/scrub", R"({"action":"stop"})");
    all_answer("scrub/stop", scrub_says("stopped", 0));
  }
  void all_alive() {
    for (const auto& link : links) link->say(engine::Heartbeat{1});
  }
  void beat() {
    all_alive();
    pass(500);
  }
  /// All have read themselves for it; the first piece is about to be compared.
  void read(std::uint64_t round) {
    beat();
    all_answer("scrub/status", scrub_says("finished", round));
    beat();
  }
  /// The round as an operator sees it.
  std::string round() {
    const auto told = ask(control, "POST", "/v1/volumes/v/scrub", "{}");
    all_answer("scrub/status", "{}");
    BOOST_REQUIRE(told->has_value());
    return field(**told, "round");
  }
  static std::string equal_groups() {
    std::string groups = "0";
    for (int g = 1; g < 256; ++g) groups += ",0";
    return R"({"log":"aa","damaged":[],"groups":[)" + groups + "]}";
  }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(control_scrub)

BOOST_AUTO_TEST_CASE(a_round_reads_compares_and_is_told) {
  WithScrub w;
  w.read(w.start());
  w.all_answer("compare/hold", R"({"limit":5})");
  w.all_answer("compare/hash", R"({"log":"aa","groups":[],"damaged":[]})");
  w.all_answer("compare/hash", WithScrub::equal_groups());
  BOOST_TEST(has(w.round(), R"("state":"finished")"), w.round());
  BOOST_TEST(w.events.names.back() == "copies_compared");
}

BOOST_AUTO_TEST_CASE(a_comparison_for_a_stopped_round_does_not_move_the_next_one) {
  WithScrub w;
  const auto first = w.start();
  w.read(first);
  w.all_answer("compare/hold", R"({"limit":5})");
  w.all_answer("compare/hash", R"({"log":"aa","groups":[],"damaged":[]})");
  w.stop();
  const auto second = w.start();
  BOOST_TEST(second != first);
  w.all_answer("compare/hash", WithScrub::equal_groups());
  BOOST_TEST(has(w.round(), R"("state":"reading")"), w.round());
  BOOST_TEST(has(w.round(), R"("next_block":0)"), w.round());
}

BOOST_AUTO_TEST_CASE(what_copies_say_of_a_stopped_round_does_not_count_for_the_next_one) {
  WithScrub w;
  const auto first = w.start();
  w.beat();
  const auto ask = w.asked(0, "scrub/status").id;
  std::vector<std::uint64_t> asks;
  for (std::size_t n = 0; n < 3; ++n) asks.push_back(w.asked(n, "scrub/status").id);
  BOOST_TEST(asks[0] == ask);
  w.stop();
  const auto second = w.start();
  for (std::size_t n = 0; n < 3; ++n)
    w.answer(n, asks[n], WithScrub::scrub_says("finished", first));
  BOOST_TEST(has(w.round(), R"("state":"reading")"), w.round());
  // One that still says it when it is asked for the new one, is told to begin.
  const auto told = w.times_asked(0, "scrub/start");
  w.beat();
  w.all_answer("scrub/status", WithScrub::scrub_says("finished", first));
  BOOST_TEST(w.times_asked(0, "scrub/start") == told + 1);
  BOOST_TEST(WithScrub::round_in(w.asked(0, "scrub/start")) == second);
  BOOST_TEST(has(w.round(), R"("waiting_for":["node1","node2","node3"])"), w.round());
}

BOOST_AUTO_TEST_CASE(a_copy_that_is_being_rebuilt_is_waited_for) {
  WithScrub w;
  w.read(w.start());
  for (std::size_t n = 0; n < 2; ++n) w.answer(n, w.asked(n, "compare/hold").id, R"({"limit":5})");
  w.answer(2, w.asked(2, "compare/hold").id,
           R"({"error":"its base is incomplete","code":"unavailable"})", 503);
  for (std::size_t n = 0; n < 2; ++n)
    w.answer(n, w.asked(n, "compare/hash").id, R"({"log":"aa","groups":[],"damaged":[]})");
  for (std::size_t n = 0; n < 2; ++n)
    w.answer(n, w.asked(n, "compare/hash").id, WithScrub::equal_groups());
  BOOST_TEST(has(w.round(), R"("state":"comparing")"), w.round());
  BOOST_TEST(has(w.round(), R"("next_block":0)"), w.round());
  const auto before = w.times_asked(2, "compare/hold");
  for (int i = 0; i < 21; ++i) w.beat();
  BOOST_TEST(w.times_asked(2, "compare/hold") == before + 1);
}

BOOST_AUTO_TEST_CASE(a_block_that_stays_unreadable_is_named_with_its_cause_and_the_round_ends) {
  WithScrub w;
  w.read(w.start());
  for (int look = 0; look < 3; ++look) {
    w.all_answer("compare/hold", R"({"limit":5})");
    w.all_answer("compare/hash", R"({"log":"aa","groups":[],"damaged":[]})");
    for (std::size_t n = 0; n < 3; ++n) {
      std::string groups = "0";
      for (int g = 1; g < 256; ++g) groups += g == 77 && n == 2 ? ",9" : ",0";
      const auto* damaged = n == 2 ? R"("damaged":[77],"causes":["read: EIO"])" : R"("damaged":[])";
      w.answer(n, w.asked(n, "compare/hash").id,
               fmt::format(R"({{"log":"aa",{},"groups":[{}]}})", damaged, groups));
    }
    if (look == 0) BOOST_TEST(has(w.round(), R"("state":"comparing")"), w.round());
    w.all_answer("compare/written", R"({"written":[]})");
    for (int i = 0; i < 11; ++i) w.beat();
  }
  const auto told = w.round();
  BOOST_TEST(has(told, R"("state":"finished")"), told);
  BOOST_TEST(has(told, R"("damaged":[{"node":"node3","block":77,"blocks":1,"cause":"read: EIO"}])"),
             told);
  BOOST_TEST(std::count(w.events.names.begin(), w.events.names.end(), "copy_left_damaged") == 1);
}

BOOST_AUTO_TEST_CASE(a_round_of_a_volume_that_shrank_below_its_place_is_ended_and_told) {
  WithScrub w;
  const auto key = fmt::format("scrub/{}/volume", engine::to_string(w.id));
  w.crash();
  w.kv.all[key] = engine::encode_scrub(
      {engine::scrub_rate_default, engine::BlockIndex(1000), 0, 5});  // of 256 blocks now
  w.boot();
  w.links = w.three_nodes();
  w.beat();
  w.sync();
  BOOST_TEST(w.kv.all.count(key) == 0u);
  BOOST_TEST(std::count(w.events.names.begin(), w.events.names.end(), "copies_compared") == 1);
  w.beat();
  BOOST_TEST(std::count(w.events.names.begin(), w.events.names.end(), "copies_compared") == 1);
  BOOST_TEST(has(w.round(), R"("state":"finished")"), w.round());
}

BOOST_AUTO_TEST_SUITE_END()
