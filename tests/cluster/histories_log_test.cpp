// Histories of the log on disk: what a crash leaves, what is damage, what comes late.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "sim/faults.hpp"
#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;
using engine::FrontOp;

BOOST_AUTO_TEST_SUITE(histories_log)

// C14. Several groups are in flight as the lights go out; one is missing and a later one is there.
// Called corruption, an ordinary power cut would cost every copy.
BOOST_AUTO_TEST_CASE(a_power_cut_amid_several_groups_is_no_corruption) {
  const Story story = [](Stage& s) {
    for (std::uint64_t round = 1; round <= 3 && !s.failed(); ++round) {
      for (std::uint64_t b = 0; b < 24; ++b) {
        s.later_write(b);
        s.run_for(round * 20'000);
      }
      for (std::uint32_t n = 0; n < 3; ++n) s.kill(n, Kill::power);
      for (std::uint32_t n = 0; n < 3; ++n) s.boot(n);
      s.write(0, 1, true);
    }
    s.settle();
  };
  must_hold(story, {}, 4);
  must_break(Bug::torn_tail_is_corruption, {"not_converged", "durable_lost", "check"}, story, {},
             8);
}

// C14. Rot in a batch that later ones prove durable is not a torn tail: cut off, the copy would
// come back shorter than it said, and whole.
BOOST_AUTO_TEST_CASE(rot_below_what_was_proved_durable_is_not_cut_as_a_tail) {
  const Story story = [](Stage& s) {
    for (std::uint64_t b = 0; b < 20; ++b) s.write(b, 1, true);
    s.kill(3, Kill::power);
    sim::Faults faults(s, sim::Random(7));
    s.must(faults.rot_proved_log(3), "not_staged", "there is nothing to damage");
    s.boot(3);
    s.run_for(5 * second);
    const auto copy = s.copy(3);
    s.must(copy && !copy->in_set && copy->state != "streaming", "damage_unnoticed",
           copy ? copy->state : "no status");
    s.read(0, 20);
  };
  must_hold(story, apart());
  must_break(Bug::corruption_is_torn_tail, {"durable_lost", "damage_unnoticed"}, story, apart());
}

// C15. A replica has records of the old reign on their way to its disk as the next reign cuts them.
// They land, and what it says of them must not count for what stands there now.
BOOST_AUTO_TEST_CASE(what_was_durable_of_the_old_reign_is_not_durable_of_the_new) {
  const Story story = [](Stage& s) {
    s.hold_records(1, 3);
    s.hold_log(1);
    for (std::uint64_t b = 0; b < 6; ++b) s.later_write(b);
    s.run_for(200 * millisecond);
    s.kill(1);
    s.part_from_control(2);
    s.wish(3);
    s.run_until([&] { return s.serves(3); }, 10 * second);
    s.heal();
    s.pass_all();
    s.write(9, 1, true);
    s.hold_log(2);
    const auto answered = s.later_write(10, true);
    s.run_for(1 * second);
    s.must(!*answered, "counted_unwritten", "a write was answered that one disk has");
    s.let_go(1);
    s.let_go(2);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::ack_of_other_session, {"counted_unwritten", "not_converged"}, story, apart());
}

// C15. A process is killed with writes in flight and is started again at once. They land after
// recovery has read, over what was appended since.
BOOST_AUTO_TEST_CASE(recovery_waits_for_the_writes_of_the_process_before) {
  const Story story = [](Stage& s) {
    const auto p = s.primary();
    s.hold_log(p);
    s.node(p).disk().late_writes = sim::LateWrites::all_land;
    s.node(p).disk().late_landing_max = 300 * millisecond;
    for (std::uint64_t b = 0; b < 24; ++b) {
      s.later_write(b);
      s.run_for(20'000);
    }
    s.kill(p);
    s.let_go(p);
    s.boot(p);
    for (std::uint64_t b = 0; b < 24; ++b) s.write(b);
    s.kill(p);
    s.boot(p);
    s.settle();
  };
  must_hold(story, {}, 3);
  must_break(Bug::recovery_ignores_late_writes,
             {"durable_lost", "not_converged", "lost_flushed", "corrupt", "two_logs", "check"},
             story, {}, 12);
}

// C22. Two writes to sectors of one block read the same base; the second would undo the first.
BOOST_AUTO_TEST_CASE(neighbours_within_a_block_do_not_undo_each_other) {
  const Story story = [](Stage& s) {
    for (std::uint64_t cell = 0; cell < 8; ++cell) {
      s.send({FrontOp::write, {cell, 1}, false, false});
    }
    s.run_for(100 * millisecond);
    s.read(0);
  };
  must_hold(story);
  must_break(Bug::unaligned_merge_on_stale_base, {"lost_answered", "lost_flushed"}, story);
}

// C22. A whole block is written while a smaller write to it still reads what surrounds it: merged
// late, that would put back what was there before.
BOOST_AUTO_TEST_CASE(a_whole_write_is_not_undone_by_the_merge_before_it) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.run_for(2 * second);
    s.hold_reads(1);
    s.send({FrontOp::write, {0, 1}, false, false});
    const auto answered = s.later_write(0);
    s.run_for(50 * millisecond);
    s.let_go(1);
    s.run_until([&] { return *answered; }, 1 * second);
    s.run_for(100 * millisecond);
    s.read(0);
  };
  must_hold(story, apart());
  must_break(Bug::unaligned_merge_on_stale_base, {"lost_answered"}, story, apart());
}

BOOST_AUTO_TEST_SUITE_END()
