// Marks of rare places: all are known without being reached, and what is reached is counted.
#define BOOST_TEST_DYN_LINK
#include "engine/sometimes.hpp"

#include <boost/test/unit_test.hpp>
#include <set>
#include <string_view>

using namespace tidemark::engine;

namespace {

std::uint64_t times_of(Mark mark) { return marks_reached().at(static_cast<std::size_t>(mark)); }

struct Forgotten {
  Forgotten() { forget_marks(); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(sometimes_marks, Forgotten)

BOOST_AUTO_TEST_CASE(each_mark_has_a_name_of_its_own_and_a_meaning) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < static_cast<std::size_t>(Mark::count_); ++i) {
    const auto mark = static_cast<Mark>(i);
    BOOST_TEST(!to_string(mark).empty());
    BOOST_TEST(!meaning(mark).empty());
    BOOST_TEST(names.insert(to_string(mark)).second);
  }
  BOOST_TEST(marks_reached().size() == names.size());
}

BOOST_AUTO_TEST_CASE(a_mark_counts_where_its_condition_holds_and_passes_it_on) {
  BOOST_TEST(sometimes(true, Mark::record_gap));
  BOOST_TEST(!sometimes(false, Mark::record_gap));
  BOOST_TEST(times_of(Mark::record_gap) == 1u);
  sometimes(Mark::record_gap);
  BOOST_TEST(times_of(Mark::record_gap) == 2u);
  BOOST_TEST(times_of(Mark::duplicate_record) == 0u);
  forget_marks();
  BOOST_TEST(times_of(Mark::record_gap) == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
