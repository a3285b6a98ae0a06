#define BOOST_TEST_DYN_LINK
#include "apps/cli/render.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <string>

#include "apps/cli/recovery.hpp"

using namespace tidemark::cli;
namespace json = boost::json;

BOOST_AUTO_TEST_SUITE(render)

BOOST_AUTO_TEST_CASE(words_of_a_peer_never_steer_the_terminal) {
  BOOST_TEST(printable("plain, with \"quotes\"") == "plain, with \"quotes\"");
  BOOST_TEST(printable("\x1b[2J\n\xc3") == "\\x1b[2J\\x0a\\xc3");
  const auto shown =
      event_lines(json::parse(R"({"events":[{"text":"a\u001b[31mb\u009b"}]})"), false).at(0);
  BOOST_TEST(shown.find('\x1b') == std::string::npos);
  BOOST_TEST(shown.find("\\x1b[31mb") != std::string::npos, shown);
}

BOOST_AUTO_TEST_CASE(numbers_that_are_none_are_shown_as_nothing_and_break_nothing) {
  const auto shown = render_volume(json::parse(
      R"({"name":"v","size_bytes":-1,"replicas":[{"node":"n","lag_lsns":0.5,"session":{"bytes":-2}}]})"));
  BOOST_TEST(shown.find("v") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_comparison_says_how_many_copies_it_rests_on) {
  const auto of = [](const char* text) { return render_compare(json::parse(text)); };
  BOOST_TEST(
      of(R"({"equal":true,"complete":true,"lsn":9,"compared":["a","b"],"copies":[{},{}]})") ==
      "2 of 2 copies compared, all are equal at LSN 9\n");
  BOOST_TEST(of(R"({"equal":true,"complete":false,"lsn":9,"compared":["a"],"copies":[{},{}]})") ==
             "1 of 2 copies compared, those are equal at LSN 9\n");
  BOOST_TEST(of(R"({"equal":true,"complete":false,"lsn":0,"compared":[],"copies":[{},{}]})") ==
             "0 of 2 copies compared, nothing is known at LSN 0\n");
}

BOOST_AUTO_TEST_CASE(what_was_dropped_is_said_before_what_is_left) {
  const auto reply = json::parse(R"({"gaps":[{"node":"n1","first":12,"last":40},
      {"node":"n2","restarted":true}],"events":[{"at":"t","node":"n1","sequence":41,"text":"x"}]})");
  const auto lines = event_lines(reply, false);
  BOOST_REQUIRE(lines.size() == 3u);
  BOOST_TEST(lines[0] == "-- events 12 to 40 of n1 were dropped");
  BOOST_TEST(lines[1] == "-- n2 was started again: its events before that are gone");
  BOOST_TEST(lines[2] == "t  n1 #41  x");
  BOOST_TEST(event_lines(reply, true).at(0) == R"({"gap":{"node":"n1","first":12,"last":40}})");
}

BOOST_AUTO_TEST_CASE(a_follower_goes_on_behind_what_it_saw_and_keeps_its_place_of_who_is_away) {
  const auto before = json::parse(R"({"since":{"n1":{"incarnation":3,"sequence":7},
      "n2":{"incarnation":1,"sequence":5}}})");
  const auto reply = json::parse(R"({"sources":{"n1":{"incarnation":3,"sequence":9}}})");
  const auto next = next_question(before.as_object(), reply);
  BOOST_TEST(
      json::serialize(next) ==
      R"({"since":{"n1":{"incarnation":3,"sequence":9},"n2":{"incarnation":1,"sequence":5}}})");
}

BOOST_AUTO_TEST_CASE(a_plan_for_one_in_line_is_one_sentence_and_its_facts) {
  const auto shown = render_plan(json::parse(R"({"volume":"v","node":"n2","replica":2,
      "primary":"n1","says":"nothing to do: it is in line since session 5","state":"streaming",
      "facts":{"primary":{"head":9,"committed":9}}})"));
  BOOST_TEST(shown ==
             "v on n2 (replica 2), from n1: nothing to do: it is in line since session 5\n"
             "  state    streaming\n  primary  head 9, committed 9\n");
}

BOOST_AUTO_TEST_CASE(a_scrub_says_what_stays_damaged_where_and_why) {
  const auto shown = render_scrub(json::parse(R"({"volume":"v","copies":[],"round":{
      "state":"finished","number":7,"next_block":256,"differences":1,"disproved_blocks":0,
      "damaged":[{"node":"n2","block":3,"blocks":2,"cause":"read: Input/output error"}],
      "undecided_blocks":[],"waiting_for":[]}})"));
  BOOST_TEST(shown ==
             "comparing copies: finished, block 256; 1 differences, 0 blocks disproved\n"
             "DAMAGED: 2 blocks from 3 on, of n2: read: Input/output error\n");
}

BOOST_AUTO_TEST_CASE(only_sessions_that_run_are_watched) {
  const auto of = [](const char* state, const char* phase) {
    return render_sessions(json::parse(fmt::format(
        R"({{"volumes":[{{"name":"v","replicas":[{{"node":"n2","role":"replica","state":"{}",
        "session":{{"id":7,"kind":"rebuild","phase":"{}","progress_permille":425,
        "bytes_per_second":1048576,"eta_milliseconds":3000,"pins":["log from 9"]}}}}]}}]}})",
        state, phase)));
  };
  BOOST_TEST(of("streaming", "done") == "");
  const auto shown = of("rebuilding", "running");
  for (const auto* part : {"rebuild 7", "running", "42.5 %", "1 MiB/s", "3 s", "log from 9"})
    BOOST_TEST(shown.find(part) != std::string::npos, part << " in " << shown);
}

BOOST_AUTO_TEST_SUITE_END()
