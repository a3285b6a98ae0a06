// Who reads a recovery log on gets everything once, or is told what he missed.
#define BOOST_TEST_DYN_LINK
#include "engine/event_page.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

#include <fmt/format.h>

namespace tidemark::engine {
namespace {

RecoveryLog log_of(std::uint64_t events, std::size_t max = 10) {
  RecoveryLog log(max);
  for (std::uint64_t i = 1; i <= events; ++i)
    log.add(WallTime(i), Event(Level::info, fmt::format("e{}", i)));
  return log;
}

std::string text(const RecoveryLog::Page& page) {
  std::string all;
  if (page.gap) all += fmt::format("gap {}-{} ", page.gap->first, page.gap->last);
  for (const auto& e : page.events) all += fmt::format("{}#{} ", e.event.name, e.sequence);
  return all + fmt::format("last {}", page.last);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(event_page)

BOOST_AUTO_TEST_CASE(an_empty_log_has_nothing_and_no_gap) {
  BOOST_TEST(text(log_of(0).since(0)) == "last 0");
}

BOOST_AUTO_TEST_CASE(what_follows_the_last_seen_comes_once) {
  const auto log = log_of(4);
  BOOST_TEST(text(log.since(0)) == "e1#1 e2#2 e3#3 e4#4 last 4");
  BOOST_TEST(text(log.since(3)) == "e4#4 last 4");
  BOOST_TEST(text(log.since(4)) == "last 4");
}

BOOST_AUTO_TEST_CASE(what_was_dropped_is_a_gap) {
  const auto log = log_of(7, 3);
  BOOST_TEST(text(log.since(0)) == "gap 1-4 e5#5 e6#6 e7#7 last 7");
  BOOST_TEST(text(log.since(2)) == "gap 3-4 e5#5 e6#6 e7#7 last 7");
  BOOST_TEST(text(log.since(4)) == "e5#5 e6#6 e7#7 last 7");
}

BOOST_AUTO_TEST_CASE(a_place_beyond_the_end_is_of_a_log_that_is_over) {
  BOOST_TEST(text(log_of(2).since(9)) == "e1#1 e2#2 last 2");
}

BOOST_AUTO_TEST_CASE(reading_on_at_any_pace_misses_nothing_unsaid) {
  for (std::uint64_t step = 1; step <= 9; ++step) {
    RecoveryLog log(4);
    std::uint64_t seen = 0, told = 0;
    for (std::uint64_t i = 1; i <= 60; ++i) {
      log.add(WallTime(i), Event(Level::info, "e"));
      if (i % step != 0) continue;
      const auto page = log.since(seen);
      if (page.gap) {
        BOOST_TEST(page.gap->first == seen + 1);
        told += page.gap->last - page.gap->first + 1;
      }
      told += page.events.size();
      seen = page.last;
      BOOST_TEST(told == seen);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
