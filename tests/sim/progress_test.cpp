// The judge of progress: who waits rightly, and who waits too long.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <optional>

#include "sim/checkers/progress.hpp"
#include "tests/sim/judged.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::MonoTime;
using engine::second;

BOOST_AUTO_TEST_SUITE(progress)

BOOST_AUTO_TEST_CASE(who_waits_while_something_is_wrong_waits_rightly) {
  Found f;
  Progress progress(f.fail);
  for (std::uint64_t t = 1; t < 300; ++t)
    progress.look(MonoTime(t * second), t % 15 != 0, MonoTime(1));
  BOOST_TEST(f.found == "");
  BOOST_TEST(progress.longest() == 14 * second);
}

BOOST_AUTO_TEST_CASE(who_waits_though_nothing_is_wrong_is_noticed) {
  Found f;
  Progress progress(f.fail);
  const auto since = MonoTime(10 * second);
  progress.look(MonoTime(20 * second), false, since);
  progress.look(MonoTime(20 * second) + Progress::patience, true, since);
  BOOST_TEST(f.found == "");
  progress.look(MonoTime(21 * second) + Progress::patience, true, since);
  BOOST_TEST(f.found == "no_progress\n");
}

BOOST_AUTO_TEST_CASE(where_nobody_waits_nobody_waits_too_long) {
  Found f;
  Progress progress(f.fail);
  progress.look(MonoTime(60 * second), true, std::nullopt);
  BOOST_TEST(f.found == "");
  BOOST_TEST(progress.longest() == 0U);
}

BOOST_AUTO_TEST_CASE(it_is_looked_again_a_little_later) {
  Found f;
  Progress progress(f.fail);
  const MonoTime now(60 * second);
  BOOST_TEST(progress.due(now));
  progress.look(now, true, std::nullopt);
  BOOST_TEST(!progress.due(now + (Progress::look_every - 1)));
  BOOST_TEST(progress.due(now + Progress::look_every));
}

BOOST_AUTO_TEST_CASE(trouble_that_was_over_when_somebody_looked_counts) {
  Found f;
  Progress progress(f.fail);
  progress.trouble(MonoTime(30 * second));
  progress.look(MonoTime(31 * second) + Progress::patience, false, MonoTime(1));
  BOOST_TEST(f.found == "");
  progress.trouble(MonoTime(60 * second));
  progress.look(MonoTime(60 * second) + Progress::patience, true, MonoTime(1));
  BOOST_TEST(f.found == "");
  BOOST_TEST(progress.calm(MonoTime(61 * second)) == 1 * second);
}

BOOST_AUTO_TEST_SUITE_END()
