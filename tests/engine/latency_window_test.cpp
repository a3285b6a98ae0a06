// What clients waited for, as quantiles of short windows.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/latency_window.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t microsecond = 1'000;
MonoTime at(std::uint64_t milliseconds) { return MonoTime((10'000 + milliseconds) * millisecond); }

bool about(std::uint64_t found, std::uint64_t wanted) {
  return found * 100 >= wanted * 90 && found * 100 <= wanted * 110;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(latency)

BOOST_AUTO_TEST_CASE(quantiles_are_right_within_a_tenth_from_microseconds_to_minutes) {
  for (std::uint64_t t = 2 * microsecond; t < 600 * second; t = t * 17 / 10) {
    LatencyWindow w;
    BOOST_TEST(!w.take(at(0), 0));
    for (int i = 0; i < 98; ++i) w.note(t);
    for (int i = 0; i < 2; ++i) w.note(3 * t);
    const auto sample = w.take(at(250), 0);
    BOOST_REQUIRE(sample);
    BOOST_TEST(sample->count == 100u);
    BOOST_TEST(about(sample->median, t));
    BOOST_TEST(about(sample->p99, 3 * t));
  }
}

BOOST_AUTO_TEST_CASE(few_answers_make_a_longer_window_and_none_make_no_sample) {
  LatencyWindow w;
  BOOST_TEST(!w.take(at(0), 0));
  w.note(millisecond);
  BOOST_TEST(!w.take(at(500), 0));
  const auto sample = w.take(at(1000), 0);
  BOOST_REQUIRE(sample);
  BOOST_TEST(sample->count == 1u);
  BOOST_TEST((sample->began == at(0)));
  BOOST_TEST(!w.take(at(2000), 0));
}

BOOST_AUTO_TEST_CASE(a_volume_that_answers_nothing_while_somebody_waits_is_not_at_rest) {
  LatencyWindow w;
  BOOST_TEST(!w.take(at(0), 0));
  const auto sample = w.take(at(1000), 900 * millisecond);
  BOOST_REQUIRE(sample);
  BOOST_TEST(sample->median == 900 * millisecond);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
