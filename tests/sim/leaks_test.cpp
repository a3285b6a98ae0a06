// The judge of leaks: what may come and go at rest, and what is left over.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "sim/checkers/leaks.hpp"
#include "tests/sim/judged.hpp"

using namespace tidemark;
using namespace tidemark::sim;

namespace {

Census look(std::uint64_t actors, std::uint64_t links) {
  return {{"node1 actors", actors}, {"connections", links}};
}
struct Leaking : Found {
  const Census formula{{"connections", 2}};
  Leaks leaks{{{"open files", 1}}, fail};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(leaks)

BOOST_FIXTURE_TEST_CASE(a_timer_that_comes_and_goes_is_no_leak, Leaking) {
  leaks.before(look(7, 2));
  leaks.before(look(6, 2));
  leaks.after(look(7, 2));
  leaks.after(look(6, 2));
  leaks.judge(formula);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_timer_that_came_and_went_before_hides_no_leak, Leaking) {
  leaks.before(look(6, 2));
  leaks.before(look(7, 2));
  leaks.after(look(7, 2));
  leaks.judge(formula);
  BOOST_TEST(found == "leak\n");
}

BOOST_FIXTURE_TEST_CASE(what_one_look_did_not_find_is_not_there, Leaking) {
  leaks.before({{"connections", 2}});
  leaks.after(look(7, 2));
  leaks.after({{"connections", 2}});
  leaks.judge(formula);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(what_the_formula_says_may_have_been_fewer, Leaking) {
  leaks.before(look(6, 1));
  leaks.after(look(6, 2));
  leaks.judge(formula);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(what_is_left_over_is_noticed, Leaking) {
  leaks.before(look(6, 2));
  leaks.after(look(7, 2));
  leaks.judge(formula);
  BOOST_TEST(found == "leak\n");
}

BOOST_FIXTURE_TEST_CASE(some_may_be_more_and_no_more_than_that, Leaking) {
  leaks.before({{"connections", 2}, {"open files", 7}});
  leaks.after({{"connections", 2}, {"open files", 8}});
  leaks.judge(formula);
  BOOST_TEST(found == "");
  Leaks more({{"open files", 1}}, fail);
  more.before({{"connections", 2}, {"open files", 7}});
  more.after({{"connections", 2}, {"open files", 9}});
  more.judge(formula);
  BOOST_TEST(found == "leak\n");
}

BOOST_FIXTURE_TEST_CASE(what_the_formula_does_not_say_is_noticed_though_it_does_not_grow, Leaking) {
  leaks.before(look(6, 3));
  leaks.after(look(6, 3));
  leaks.judge(formula);
  BOOST_TEST(found == "leak\n");
}

BOOST_AUTO_TEST_SUITE_END()
