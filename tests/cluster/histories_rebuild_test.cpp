// Histories of copies that are brought back and were not what they seemed.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;

namespace {

const std::vector<std::string> stale{"lost_answered", "lost_flushed", "came_back", "corrupt"};

/// The node comes back empty, and a new copy is put there.
void begin_anew(Stage& s, std::uint32_t node) {
  s.wipe(node);
  s.run_for(500 * millisecond);
  s.boot(node);
  s.must(s.replace(node), "not_staged", "the new copy was not admitted");
}

template <class Type>
std::function<Fate(const Passage&)> hold_to(std::uint32_t to) {
  return [to](const Passage& p) {
    return p.to == to && std::holds_alternative<Type>(p.message) ? Fate::hold : Fate::pass;
  };
}

}  // namespace

BOOST_AUTO_TEST_SUITE(histories_rebuild)

// C6. A replica is away long; what its own log has above its checkpoint goes with that log. Copied
// is what the source touched since: its own blocks must be named too, or they stay as they were.
BOOST_AUTO_TEST_CASE(a_delta_names_the_replicas_own_blocks_too) {
  const Story story = [](Stage& s) {
    s.run_for(1 * second);
    s.hold_extents(3);
    for (std::uint64_t round = 0; round < 40; ++round) {
      s.write(200 + round, 1, true);
      s.run_for(300 * millisecond);
    }
    s.kill(3);
    s.flood();
    s.let_go(3);
    s.boot(3);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::delta_without_own_blocks, stale, story, apart());
}

// C6. A replica crashes amid a rebuild. If it forgets that its image is half, its log says it is in
// line, and the blocks that were still to come never do.
BOOST_AUTO_TEST_CASE(a_half_copy_is_still_a_half_copy_after_a_restart) {
  const Story story = [](Stage& s) {
    s.write(200, 10, true);
    s.run_for(1 * second);
    s.kill(3);
    s.flood();
    s.hold_extents(3);
    s.boot(3);
    const auto rebuilds = [&] {
      const auto copy = s.copy(3);
      return copy && copy->state == "rebuilding";
    };
    for (int i = 0; i < 200 && !rebuilds(); ++i) s.run_for(50 * millisecond);
    s.must(rebuilds(), "not_staged", "no rebuild began");
    s.run_for(1 * second);
    s.kill(3);
    s.let_go(3);
    s.boot(3);
    s.settle();
  };
  must_hold(story, apart());
  must_break(
      Bug::rebuild_forgotten_by_restart,
      {"lost_answered", "lost_flushed", "came_back", "corrupt", "not_converged", "durable_lost"},
      story, apart());
}

// C7. The base is whole, the log since its beginning has not arrived. Taken for done, the copy
// would be the only one left a moment later, without what was flushed meanwhile.
BOOST_AUTO_TEST_CASE(a_rebuild_is_not_done_before_the_log_has_passed_the_base) {
  const Story story = [](Stage& s) {
    s.rule(hold_to<engine::Records>(2));
    begin_anew(s, 2);
    s.write(5, 1, true);
    for (int i = 0; i < 40 && !s.in_set(2); ++i) s.run_for(50 * millisecond);
    if (s.in_set(2)) {
      s.kill(1, Kill::power);
      s.pass_all();
      s.promote_soon(2);
      s.read(5);
    }
    s.pass_all();
    s.settle();
  };
  must_hold(story, lazy(pair()));
  must_break(Bug::in_sync_before_tail,
             {"electable_without", "lost_answered", "lost_flushed", "corrupt", "came_back",
              "committed_fork", "durable_lost", "not_converged", "check"},
             story, lazy(pair()));
}

// C8. A write that only the primary has in memory is copied with the base. The primary dies, the
// next reign never had the write, and nothing ever writes that block again.
BOOST_AUTO_TEST_CASE(a_base_holds_nothing_out_of_the_primarys_memory) {
  const Story story = [](Stage& s) {
    s.write(5, 1, true);
    s.run_for(1 * second);
    s.hold_log(1);
    s.rule(hold_to<engine::Records>(2));
    s.later_write(5);
    s.rule(hold_to<engine::Records>(3));
    begin_anew(s, 3);
    s.run_for(1 * second);
    s.kill(1);
    s.pass_all();
    s.wish(2);
    s.run_until([&] { return s.serves(2); }, 10 * second);
    s.read(5);
    s.let_go(1);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::base_serves_memory, {"base_beyond"}, story, apart());
}

// C8. Blocks were trimmed while a replica was away. What is nothing at the source must be written
// as nothing: its own old content is still there.
BOOST_AUTO_TEST_CASE(what_is_a_hole_at_the_source_becomes_a_hole) {
  const Story story = [](Stage& s) {
    s.write(200, 10, true);
    s.run_for(1 * second);
    s.kill(3);
    s.trim(200, 10);
    s.flood();
    s.boot(3);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::base_skips_holes, stale, story, apart());
}

// C9. Base blocks are on their way while a newer record of the same block is received and flushed.
// They arrive last, and must not win.
BOOST_AUTO_TEST_CASE(a_base_block_that_comes_late_does_not_win) {
  const Story story = [](Stage& s) {
    s.write(5, 1, true);
    s.run_for(1 * second);
    s.rule(hold_to<engine::BaseBlocks>(3));
    begin_anew(s, 3);
    s.run_for(500 * millisecond);
    s.write(5, 1, true);
    s.run_for(1 * second);
    s.pass_all();
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::base_overwrites_newer_block, stale, story, apart());
}

BOOST_AUTO_TEST_SUITE_END()
