#define BOOST_TEST_DYN_LINK
#include "apps/cli/render.hpp"

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <string>

using namespace tidemark::cli;
namespace json = boost::json;

BOOST_AUTO_TEST_SUITE(render)

BOOST_AUTO_TEST_CASE(words_of_a_peer_never_steer_the_terminal) {
  BOOST_TEST(printable("plain, with \"quotes\"") == "plain, with \"quotes\"");
  BOOST_TEST(printable("\x1b[2J\n\xc3") == "\\x1b[2J\\x0a\\xc3");
  const auto shown = render_events(json::parse(R"({"events":[{"text":"a\u001b[31mb\u009b"}]})"));
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

BOOST_AUTO_TEST_SUITE_END()
