// Copies that arrived whole and are not: what is lost between its arrival and its place.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;

namespace {

/// A node that lost everything gets a new copy, of blocks that nobody writes again. Whether it was
/// told that the copy was not its source's.
bool copy_anew(Stage& s) {
  s.write(200, 10, true);
  s.flood();
  s.run_for(2 * second);
  s.kill(3);
  s.wipe(3);
  s.boot(3);
  s.must(s.replace(3), "not_staged", "the new copy was not admitted");
  bool told = false;
  s.node(3).on_event = [&told](const sim::SimNode&, const engine::Event& event) {
    told = told || event.name == "base_unequal";
  };
  s.settle();
  s.node(3).on_event = nullptr;
  s.must(s.copies_equal(), "unequal", "the copies are not equal");
  return told;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(base_comparison)

// Each block of a copy was right when it arrived. One gets lost on its way to the extents, and no
// checksum is there to say so: it reads as zeros.
BOOST_AUTO_TEST_CASE(a_lost_block_of_a_copy_is_seen_by_its_sum) {
  const Story story = [](Stage& s) { copy_anew(s); };
  must_hold(story, apart());
  must_break(Bug::base_never_compared,
             {"lost_answered", "lost_flushed", "came_back", "corrupt", "unequal"}, story, apart());
}

// The same mistake with the comparison: it is noticed before the copy counts for whole, and the
// group is copied again.
BOOST_AUTO_TEST_CASE(a_copy_that_lost_a_block_is_whole_after_its_comparison) {
  Stage stage(apart());
  BOOST_REQUIRE(stage.start());
  engine::plant(Bug::base_drops_block);
  BOOST_TEST(copy_anew(stage));
  engine::plant(Bug::none);
  if (stage.failure()) BOOST_ERROR(stage.failure()->cls + ": " + stage.failure()->text);
}

BOOST_AUTO_TEST_SUITE_END()
