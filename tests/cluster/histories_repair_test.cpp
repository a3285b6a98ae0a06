// Histories of blocks that one copy takes from another, or holds against the others.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <vector>

#include "sim/snapshot.hpp"
#include "tests/cluster/stage.hpp"

namespace tidemark::cluster_tests {
namespace {

const std::vector<std::string> stale{"lost_flushed", "lost_answered"};

BOOST_AUTO_TEST_SUITE(histories_repair)

// C14, C27. A block was written again and rots where that is in the extents; the others have it in their logs only.
// What their extents hold is older, and may not come back.
BOOST_AUTO_TEST_CASE(a_block_is_not_repaired_with_what_stood_there_before) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.run_for(2 * second);
    for (std::uint32_t other : {1u, 2u}) s.hold_extents(other);
    s.write(100);  // Their flushers are held with this one, and block 0 can be read.
    s.flush();
    s.run_for(1 * second);
    const sim::Snapshot before(s.files(3, ".dat"));
    s.write(0);
    s.flush();
    for (int look = 0; look < 100 && before.changed().empty(); ++look) s.run_for(20 * millisecond);
    s.must(!before.changed().empty(), "not_staged", "the block is not flushed");
    s.blocks_rot();
    sim::Random random(1);
    for (const auto& page : before.changed())
      s.must(page.file->rot(page.offset, sim::page_bytes, random), "not_staged", "nothing rots");
    s.begin_scrub(100'000'000);
    s.run_for(300 * millisecond);
    for (std::uint32_t other : {1u, 2u}) s.let_go(other);
    s.promote_soon(3);
    s.read(0);
  };
  must_hold(story, apart());
  must_break(Bug::repair_takes_older_block, stale, story, apart());
}

// C27. Two of three disks lost the same write, checksum and all: that they agree proves nothing.
BOOST_AUTO_TEST_CASE(copies_that_agree_are_not_right_because_they_are_most) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.run_for(2 * second);
    std::vector<sim::Snapshot> before;
    for (std::uint32_t liar : {2u, 3u}) before.push_back(s.extents_now(liar));
    s.write(0);
    s.flush();
    s.run_for(2 * second);
    for (std::uint32_t liar : {2u, 3u}) s.kill(liar);
    for (const auto& content : before) content.restore();
    for (std::uint32_t liar : {2u, 3u}) s.boot(liar);
    for (int look = 0; look < 100 && !(s.in_set(2) && s.in_set(3)); ++look)
      s.run_for(100 * millisecond);
    s.must(s.in_set(2) && s.in_set(3), "not_staged", "a copy is not back");
    s.must(s.begin_scrub(1'000'000'000) && s.scrub_ended(), "not_scrubbed",
           "the scrub does not end");
    s.read(0);
    s.promote_soon(2);
    s.read(0);
  };
  must_hold(story, apart());
  must_break(Bug::most_copies_decide, stale, story, apart());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::cluster_tests
