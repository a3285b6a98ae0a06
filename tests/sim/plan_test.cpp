// Plans: what a seed expands into, as text and back, and what of a text is refused.
#define BOOST_TEST_DYN_LINK
#include "sim/plan.hpp"

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <set>

#include "sim/knobs.hpp"

using namespace tidemark;
using namespace tidemark::sim;

namespace {

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  BOOST_REQUIRE_MESSAGE(at != std::string::npos, what);
  return text.replace(at, what.size(), by);
}

/// Why the text of seed 3's plan is refused, with `what` replaced.
std::string refusal(const std::string& what, const std::string& by) {
  const auto plan = parse_plan(replaced(to_text(expand(3)), what, by));
  BOOST_REQUIRE_MESSAGE(!plan.has_value(), by);
  return plan.error().text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(plan)

BOOST_AUTO_TEST_CASE(a_seed_is_one_plan) {
  BOOST_TEST(to_text(expand(3)) == to_text(expand(3)));
  BOOST_TEST(to_text(expand(3)) != to_text(expand(4)));
}

BOOST_AUTO_TEST_CASE(a_plan_survives_its_text) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const auto text = to_text(expand(seed));
    const auto back = parse_plan(text);
    BOOST_REQUIRE_MESSAGE(back.has_value(), (back ? "" : back.error().text));
    BOOST_TEST(to_text(*back) == text);
  }
}

BOOST_AUTO_TEST_CASE(every_plan_has_its_crashes_and_its_requests) {
  std::set<Fault> kinds;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    const auto drawn = expand(seed);
    const auto crashes = std::count_if(drawn.faults.begin(), drawn.faults.end(),
                                       [](const auto& f) { return is_crash_or_cut(f.fault); });
    BOOST_TEST(crashes >= static_cast<std::ptrdiff_t>(crashes_min));
    BOOST_TEST(drawn.asks() >= asks_min);
    for (const auto& f : drawn.faults) kinds.insert(f.fault);
  }
  BOOST_TEST(kinds.size() == static_cast<std::size_t>(Fault::count_));
}

BOOST_AUTO_TEST_CASE(every_knob_that_is_drawn_lies_within_its_limits) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    for (const auto& [name, value] : expand(seed).knobs) {
      const auto* knob = find_knob(name);
      BOOST_REQUIRE_MESSAGE(knob != nullptr, name);
      BOOST_TEST(value >= knob->least, name << ' ' << value);
      BOOST_TEST(value <= knob->most, name << ' ' << value);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_knob_that_a_plan_names_is_turned) {
  auto drawn = expand(3);
  drawn.knobs = {{"flush_after", 77 * engine::millisecond}, {"spike_max", 5}};
  const auto options = cluster_options(drawn);
  actors::Settings settings;
  options.tune(settings);
  BOOST_TEST(settings.flush_after == 77 * engine::millisecond);
  BOOST_TEST(options.weather.spike_max == 5u);
  BOOST_TEST(options.weather.delay_min == NetworkWeather{}.delay_min);
}

BOOST_AUTO_TEST_CASE(what_is_no_plan_is_refused_with_its_reason) {
  BOOST_TEST(parse_plan("nonsense").error().text.starts_with("the plan is no JSON"));
  BOOST_TEST(parse_plan("[]").error().text.find("is no object") != std::string::npos);
  BOOST_TEST(refusal("\"version\": 2", "\"version\": 1") ==
             "the plan has version 1, this program reads version 2");
  const std::vector<std::array<std::string, 3>> flaws{
      {"\"schedule\"", "\"shedule\"", "schedule: is missing"},
      {"\"cold_restart\": ", "\"more\": 1, \"cold_restart\": ", "more: is not known"},
      {"\"mode\": \"", "\"mode\": \"a", "mode: \"a"},
      {"\"flush_after\"", "\"flush_before\"", "flush_before: is not known"},
      {"\"rebuild_lanes\": ", "\"rebuild_lanes\": 99",
       "rebuild_lanes: wants a whole number from 1"},
      {"\"depth\": ", "\"depth\": -", "client 1: depth: wants a whole number"},
      {"\"fault\": \"", "\"fault\": \"x", "is not known"},
      {"\"draws\": ", "\"draws\": \"7\", \"unused\": ", "draws: wants a whole number"},
      {"\"nodes\": ", "\"nodes\": 9", "nodes: wants a whole number from 2 to 8"},
  };
  for (const auto& [what, by, why] : flaws) {
    const auto told = refusal(what, by);
    BOOST_TEST(told.find(why) != std::string::npos, by << ": " << told);
  }
}

BOOST_AUTO_TEST_CASE(a_request_that_is_not_understood_is_refused) {
  auto drawn = expand(3);
  drawn.clients.resize(1);
  drawn.clients[0].asks = {Ask{engine::FrontOp::write, {120, 8}, true, false}};
  const auto text = to_text(drawn);
  BOOST_TEST(text.find("\"write 120+8 fua\"") != std::string::npos);
  for (const auto* wrong : {"write", "write 120", "write 120+0", "write 120+8 fua fua", "wipe 1+1",
                            "write 1+2000000", "write -1+2", "flush 1+1", ""}) {
    const auto plan =
        parse_plan(replaced(text, "\"write 120+8 fua\"", '"' + std::string(wrong) + '"'));
    BOOST_REQUIRE_MESSAGE(!plan.has_value(), wrong);
    BOOST_TEST(plan.error().text.find("is not understood") != std::string::npos, wrong);
  }
}

BOOST_AUTO_TEST_SUITE_END()
