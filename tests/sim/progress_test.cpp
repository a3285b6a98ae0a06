// The judge of progress: who waits rightly, and who waits too long.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

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

BOOST_AUTO_TEST_SUITE_END()
