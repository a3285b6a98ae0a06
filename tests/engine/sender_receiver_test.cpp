// The two machines of a session against each other on a lossy line: in the end both must hold the
// same log and blocks, and what was acknowledged must have been true.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <string>

#include "engine/planted.hpp"
#include "tests/engine/lossy_line.hpp"

namespace tidemark::engine::lossy {
namespace {

/// What is wrong after a run of `seed`, or nothing.
std::string run(std::uint64_t seed, Seen& seen) {
  World world(seed, seen);
  for (int round = 0; round < 4; ++round) world.run(1000, true);
  if (!world.settle()) return "never in line: " + world.status();
  if (!world.trouble().empty()) return world.trouble();
  const auto& disk = world.disk();
  if (disk.digest(disk.end()) != world.log().digest(world.log().end())) return "digests differ";
  for (std::uint64_t b = 0; b < 8; ++b) {
    if (disk.content(b) != world.content(b)) {
      return fmt::format("block {} is of lsn {}, not {}", b, disk.content(b), world.content(b));
    }
  }
  return "";
}

/// The first of `seeds` seeds that finds `bug`, or 0.
std::uint64_t found_by(Bug bug, std::uint64_t seeds) {
  Seen seen;
  plant(bug);
  std::uint64_t seed = 1;
  while (seed <= seeds && run(seed, seen).empty()) ++seed;
  plant(Bug::none);
  return seed <= seeds ? seed : 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sender_receiver)

BOOST_AUTO_TEST_CASE(two_machines_on_a_lossy_line_converge_to_equal_logs_and_blocks) {
  Seen seen;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const auto wrong = run(seed, seen);
    BOOST_TEST(wrong == "", "seed " << seed << ": " << wrong);
    if (!wrong.empty()) return;
  }
  BOOST_TEST_MESSAGE("truncations "
                     << seen.truncations << ", resets " << seen.resets << ", deltas " << seen.deltas
                     << ", rests " << seen.rests << ", blocks kept " << seen.kept_blocks
                     << ", rebuilds " << seen.rebuilds << ", base blocks skipped "
                     << seen.skipped_base_blocks << ", cuts " << seen.cuts << ", reigns "
                     << seen.reigns << ", forced " << seen.forced << ", forked deltas "
                     << seen.forked_deltas << ", forked resets " << seen.forked_resets);
  // A test that never gets there proves nothing.
  BOOST_TEST(seen.truncations > 100u);
  BOOST_TEST(seen.rebuilds > 100u);
  BOOST_TEST(seen.resets > 50u);
  BOOST_TEST(seen.deltas > 100u);
  BOOST_TEST(seen.rests > 100u);
  BOOST_TEST(seen.comparisons > 100u);
  BOOST_TEST(seen.unequal == 0u);
  BOOST_TEST(seen.kept_blocks > 100u);
  BOOST_TEST(seen.forked_deltas > 30u);
  BOOST_TEST(seen.forked_resets > 5u);
  BOOST_TEST(seen.skipped_base_blocks > 0u);
}

BOOST_AUTO_TEST_CASE(a_session_that_ends_before_its_tail_is_found) {
  BOOST_TEST(found_by(Bug::in_sync_before_tail, 200) != 0u);
}

BOOST_AUTO_TEST_CASE(an_ack_that_counts_in_any_session_is_found) {
  BOOST_TEST(found_by(Bug::ack_of_other_session, 200) != 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::lossy
