// Histories of answers that come before what they promise, and of those that never come.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/record/record.hpp"
#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;
using engine::FrontOp;

namespace {

const std::vector<std::string> lost{"fua_unsynced",   "lost_answered", "lost_flushed",
                                    "committed_fork", "came_back",     "durable_lost"};

/// The primary is cut off from these copies, and nobody hears that they shall be left out.
void cut_off(Stage& s, const std::vector<std::uint32_t>& nodes) {
  s.rule([](const Passage& p) {
    return std::holds_alternative<engine::ProposeSet>(p.message) ? Fate::hold : Fate::pass;
  });
  for (const auto n : nodes) {
    s.block(1, n);
    s.block(n, 1);
  }
  s.run_for(6 * second);  // Connections have been given up by now.
}

sim::ClusterOptions quorum() {
  auto options = apart();
  options.mode = engine::Mode::sync_quorum;
  return options;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(histories_answers)

// C11. One of two replicas is gone, and the set still names it. Were it not waited for, it would reign next without what
// was flushed meanwhile.
BOOST_AUTO_TEST_CASE(a_copy_that_is_away_is_waited_for_until_it_is_left_out) {
  const Story story = [](Stage& s) {
    cut_off(s, {2});
    s.later_write(5, true);
    s.run_for(1 * second);
    s.kill(1, Kill::power);
    s.kill(3, Kill::power);
    s.pass_all();
    s.heal();
    s.promote_soon(2);
    s.read(5);
  };
  must_hold(story, apart());
  must_break(Bug::absent_copy_is_not_waited_for, lost, story, apart());
}

// C11. All others are gone: a primary alone flushes nothing on its own word.
BOOST_AUTO_TEST_CASE(a_primary_that_is_cut_off_from_all_does_not_become_enough) {
  const Story story = [](Stage& s) {
    cut_off(s, {2, 3});
    s.later_write(5, true);
    s.run_for(1 * second);
    s.kill(1, Kill::power);
    s.pass_all();
    s.heal();
    s.promote_soon(2);
    s.read(5);
  };
  must_hold(story, apart());
  must_break(Bug::alone_is_enough, lost, story, apart());
}

// C4. A replica has received a record and its disk has not. A flush that counts it would be gone with the primary.
BOOST_AUTO_TEST_CASE(what_a_replica_only_received_is_not_flushed) {
  const Story story = [](Stage& s) {
    const auto other = s.primary() == 1 ? 2u : 1u;
    s.hold_log(other);
    const auto answered = s.later_write(5, true);
    const auto received =
        s.later_write(6);  // What is received is told where somebody waits for it.
    s.run_for(300 * millisecond);
    s.must(*received, "not_staged", "a write was not answered on receipt");
    s.must(!*answered, "answered_unsynced", "FUA was answered, and a copy of the set lacks it");
    s.let_go(other);
    s.run_until([&] { return *answered; }, 5 * second);
    s.must(*answered, "unanswered", "FUA is not answered though all disks work");
  };
  must_hold(story, pair());
  must_break(Bug::flush_counts_received, {"answered_unsynced", "fua_unsynced"}, story, pair());
}

// C4. A write of more than one record, with FUA: no part of it is left to chance.
BOOST_AUTO_TEST_CASE(fua_holds_for_every_record_of_a_write) {
  const Story story = [](Stage& s) {
    for (const std::uint32_t n : {1u, 2u, 3u}) s.hold_log(n);
    const auto answered = s.later(FrontOp::write, 0, true, engine::record_blocks_max + 4);
    s.run_for(300 * millisecond);
    s.must(!*answered, "answered_unsynced", "FUA was answered, and no disk has it");
    for (const std::uint32_t n : {1u, 2u, 3u}) s.let_go(n);
    s.run_until([&] { return *answered; }, 5 * second);
    s.must(*answered, "unanswered", "FUA is not answered though all disks work");
  };
  auto options = apart();
  options.blocks = 512;
  must_hold(story, options);
  must_break(Bug::split_fua_is_forgotten, {"fua_unsynced", "answered_unsynced"}, story, options);
}

// C4. A flush is for every write that was answered, whoever asked for it and whatever is still waited for.
BOOST_AUTO_TEST_CASE(a_flush_covers_what_other_connections_were_answered) {
  const Story story = [](Stage& s) {
    for (const std::uint32_t n : {1u, 2u, 3u}) s.hold_log(n);
    const auto other = s.add_client();
    s.run_for(1 * second);
    const auto written = std::make_shared<bool>(false);
    other->ask({FrontOp::write, {40, 8}, false, false},
               [written](const auto& error) { *written = !error; });
    s.run_for(300 * millisecond);
    s.must(*written, "not_staged", "the write was not answered on receipt");
    const auto flushed = s.later(FrontOp::flush, 0);
    s.run_for(300 * millisecond);
    s.must(!*flushed, "answered_unsynced", "a flush was answered, and no disk has the write");
    for (const std::uint32_t n : {1u, 2u, 3u}) s.let_go(n);
    s.run_until([&] { return *flushed; }, 5 * second);
    s.must(*flushed, "unanswered", "the flush is not answered though all disks work");
  };
  must_hold(story, apart());
  must_break(Bug::flush_covers_own_connection, {"flush_unsynced", "answered_unsynced"}, story,
             apart());
}

// C2. The longest log is one that a later reign left behind: what that reign flushed is in a shorter one.
BOOST_AUTO_TEST_CASE(the_longest_log_of_an_older_epoch_does_not_reign) {
  const Story story = [](Stage& s) {
    s.must(s.primary() == 1, "not_staged", "another copy reigns first");
    s.rule([](const Passage& p) {
      return p.from == 1 && std::holds_alternative<engine::Records>(p.message) ? Fate::drop
                                                                               : Fate::pass;
    });
    for (std::uint64_t b = 20; b < 40; ++b) s.later_write(b);
    s.run_for(200 * millisecond);
    s.kill(1);
    s.pass_all();
    s.wish(2);
    s.run_until([&] { return s.serves(2) || s.serves(3); }, 10 * second);
    s.write(9, 1, true);
    s.kill(s.primary());
    s.boot(1);
    s.run_for(500 * millisecond);
    s.wish(1);
    s.run_for(5 * second);
    s.read(9);
    s.settle();
  };
  must_hold(story, quorum());
  // Who knows what is committed refuses to be cut (C18), and then nobody can reign.
  auto classes = lost;
  classes.push_back("not_converged");
  must_break(Bug::candidate_by_length, classes, story, quorum());
}

// C20. A read waits until what it shows may be shown, and its client with it. Another client goes.
BOOST_AUTO_TEST_CASE(a_client_that_goes_takes_no_answer_of_another_along) {
  const Story story = [](Stage& s) {
    const auto other = s.add_client();
    s.run_for(1 * second);
    s.write(5);
    s.hold_records(1, 2);
    s.hold_records(1, 3);
    s.later_write(5);
    s.run_for(20 * millisecond);
    const auto read = s.later(FrontOp::read, 5);
    other->ask({FrontOp::cache, {0, 8}, false, false});
    s.run_for(50 * millisecond);
    s.must(!*read, "not_staged", "the read was answered at once");
    other->stop();
    other->connection_lost("it goes");
    s.run_for(1 * second);  // The volume looks now and then who is still there.
    s.pass_all();
    s.run_until([&] { return *read; }, 5 * second);
    s.must(*read, "unanswered", "a read is not answered any more");
  };
  must_hold(story, apart());
  must_break(Bug::gone_client_takes_others_along, {"unanswered"}, story, apart());
}

// C25. Clocks that are set back: along the log time goes on, whoever reigns.
BOOST_AUTO_TEST_CASE(the_time_of_records_rises_from_reign_to_reign) {
  const Story story = [](Stage& s) {
    constexpr std::int64_t hour = 3600 * static_cast<std::int64_t>(second);
    std::int64_t back = 0;
    for (const std::uint32_t next : {2u, 3u, 1u, 2u}) {
      s.node(next).wall_clock().set(s.now(), -++back * hour, 0);
      s.promote_soon(next);
      s.write(next, 1, true);
    }
  };
  must_hold(story, apart());
  must_break(Bug::record_time_follows_the_clock, {"time_went_back"}, story, apart());
}

// C25. A copy that was made anew has no record to tell it the time, and reigns on a clock that is far behind.
BOOST_AUTO_TEST_CASE(a_reign_on_a_fresh_base_goes_on_in_time) {
  const Story story = [](Stage& s) {
    s.write(0, 4, true);
    s.wipe(3);
    s.run_for(2 * second);  // So that all is flushed, and the base is all that there is.
    s.node(3).wall_clock().set(s.now(), -3600 * static_cast<std::int64_t>(second), 0);
    s.boot(3);
    s.must(s.replace(3), "not_staged", "no new copy is made");
    s.run_until([&] { return s.in_set(3); }, 10 * second);
    s.must(s.promote_soon(3), "not_staged", "the new copy does not reign");
    s.write(1, 1, true);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::record_time_follows_the_clock, {"time_went_back"}, story, apart());
}

BOOST_AUTO_TEST_SUITE_END()
