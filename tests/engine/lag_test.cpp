// Lag in bytes and in time.
#define BOOST_TEST_DYN_LINK
#include "engine/lag.hpp"

#include <boost/test/unit_test.hpp>

namespace tidemark::engine {

BOOST_AUTO_TEST_SUITE(lag)

BOOST_AUTO_TEST_CASE(bytes_and_age_are_those_of_the_oldest_record_that_is_missing) {
  LagMarks marks;
  marks.numbered(Lsn(10), 1000, MonoTime(100 * millisecond));
  marks.numbered(Lsn(20), 2000, MonoTime(200 * millisecond));
  const MonoTime now(350 * millisecond);
  BOOST_TEST(marks.bytes_beyond(Lsn(0)) == 3000u);
  BOOST_TEST(marks.milliseconds_behind(Lsn(0), now) == 250u);
  BOOST_TEST(marks.bytes_beyond(Lsn(10)) == 2000u);
  BOOST_TEST(marks.milliseconds_behind(Lsn(10), now) == 150u);
  BOOST_TEST(marks.bytes_beyond(Lsn(20)) == 0u);
  BOOST_TEST(marks.milliseconds_behind(Lsn(20), now) == 0u);
}

BOOST_AUTO_TEST_CASE(memory_is_bounded_and_old_lag_is_told_too_large_never_too_small) {
  LagMarks marks;
  for (std::uint64_t i = 1; i <= 10'000; ++i)
    marks.numbered(Lsn(i), 100, MonoTime(i * 10 * millisecond));
  const auto bytes = marks.bytes_beyond(Lsn(5000));
  BOOST_TEST(bytes >= 5000u * 100u);
  BOOST_TEST(bytes <= 5200u * 100u);
  BOOST_TEST(marks.milliseconds_behind(Lsn(9999), MonoTime(10'000 * 10 * millisecond)) <= 1000u);
}

BOOST_AUTO_TEST_CASE(what_is_forgotten_is_not_counted) {
  LagMarks marks;
  marks.numbered(Lsn(10), 1000, MonoTime(100 * millisecond));
  marks.numbered(Lsn(20), 2000, MonoTime(200 * millisecond));
  marks.forget(Lsn(10));
  BOOST_TEST(marks.bytes_beyond(Lsn(10)) == 2000u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
