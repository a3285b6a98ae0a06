// Histories of primaries that go on too long, begin too early, or forget who they were.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;
using engine::FrontOp;

namespace {
const std::vector<std::string> loss{"lost_answered", "lost_flushed", "came_back"};
const std::vector<std::string> fork_or_loss{
    "two_logs", "committed_fork", "lost_answered", "lost_flushed", "came_back",
    "corrupt",  "not_converged",  "check",         "two_writers",  "ack_after_promise"};

sim::ClusterOptions in_quorum(sim::ClusterOptions options) {
  options.mode = engine::Mode::sync_quorum;
  return options;
}
}  // namespace

BOOST_AUTO_TEST_SUITE(histories_fencing)

// C1. The primary's disk is slow, the others have all in memory and it was answered. It is killed,
// is back at once, and would number other records where those stand.
BOOST_AUTO_TEST_CASE(a_primary_that_comes_back_shorter_does_not_write_its_epoch_again) {
  const Story story = [](Stage& s) {
    const auto p = s.primary();
    s.hold_log(p);
    for (std::uint64_t b = 0; b < 4; ++b) s.write(b);
    s.kill(p);
    s.let_go(p);
    s.boot(p);
    for (std::uint64_t b = 8; b < 12; ++b) s.write(b);
    s.settle();
  };
  must_hold(story);
  must_break(Bug::primary_resumes_epoch, fork_or_loss, story);
}

// C1. In a quorum the others are enough: what its own disk lacks was even flushed.
BOOST_AUTO_TEST_CASE(a_primary_that_comes_back_shorter_takes_nothing_from_the_quorum_that_flushed) {
  const Story story = [](Stage& s) {
    s.hold_log(1);
    for (std::uint64_t b = 0; b < 4; ++b) s.write(b, 1, true);
    s.kill(1);
    s.let_go(1);
    s.boot(1);
    s.read(0, 4);
    for (std::uint64_t b = 8; b < 12; ++b) s.write(b);
    s.settle();
  };
  must_hold(story, in_quorum(apart()));
  must_break(Bug::primary_resumes_epoch, fork_or_loss, story, in_quorum(apart()));
}

// C2. All know the same records committed; only the others have what came behind. Chosen by
// committed, the old primary would win the tie and truncate what was answered.
BOOST_AUTO_TEST_CASE(the_longest_log_reigns_whatever_each_knows_to_be_committed) {
  const Story story = [](Stage& s) {
    const auto p = s.primary();
    s.write(0);
    s.flush();
    s.run_for(1 * second);
    s.hold_log(p);
    s.write(0);
    s.kill(p);
    s.let_go(p);
    s.boot(p);
    s.read(0);
  };
  must_hold(story);
  must_break(Bug::candidate_by_committed, loss, story);
}

// C2. In a quorum one voter may know a higher number and have a shorter log: what was committed with the longer one has
// been told to nobody who has it.
BOOST_AUTO_TEST_CASE(a_voter_that_knows_more_committed_and_has_less_does_not_win) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.run_for(1 * second);
    s.hold_log(1);
    s.hold_log(2);
    const auto first = s.later_write(1, true);
    s.run_for(50 * millisecond);
    s.hold_records(1, 3);
    const auto last = s.later_write(0, true);
    s.run_for(50 * millisecond);
    s.rule([](const Passage& p) {
      const bool told = std::holds_alternative<engine::Progress>(p.message);
      return told && p.from == 1 && p.to == 2 ? Fate::hold : Fate::pass;
    });
    s.let_go(2);
    s.let_go(1);
    s.run_until([&] { return *first && *last; }, 5 * second);
    s.must(*first && *last, "not_staged", "a majority has them, and they are not answered");
    s.run_for(100 * millisecond);
    s.kill(1, Kill::power);
    s.pass_all();
    s.wish(3);
    s.run_until([&] { return s.serving().has_value(); }, 20 * second);
    s.boot(1);
    s.read(0, 2);
    s.settle();
  };
  must_hold(story, in_quorum(apart()));
  must_break(Bug::candidate_by_committed, fork_or_loss, story, in_quorum(apart()));
}

// C2. The ends are read, and the primary goes on with one of those who told theirs: that one's end is no longer what was
// compared, and the winner lacks what was committed with it.
BOOST_AUTO_TEST_CASE(who_has_promised_takes_nothing_more_from_the_primary_before) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.hold_records(1, 3);
    s.write(0, 1, true);
    s.part_from_control(1);
    auto promised = std::make_shared<bool>(false);
    s.rule([promised](const Passage& p) {
      const bool promise = std::holds_alternative<engine::Promise>(p.message);
      if (promise && p.from == 3) *promised = true;
      return promise && p.from == 2 ? Fate::hold : Fate::pass;
    });
    s.wish(2);
    s.run_until([&] { return *promised; }, 10 * second);
    s.must(*promised, "not_staged", "node4 promised nothing");
    s.block(1, 2);
    s.world().net.filter = [](const Passage& p) {
      return std::holds_alternative<engine::Promise>(p.message) && p.from == 2 ? Fate::hold
                                                                               : Fate::pass;
    };
    const auto answered = s.later_write(1, true);
    s.run_for(500 * millisecond);
    s.pass_all();
    s.run_until([&] { return s.serves(2); }, 10 * second);
    s.kill(1);
    s.heal();
    s.read(0, 2);
    s.boot(1);
    s.settle();
  };
  must_hold(story, in_quorum(apart()));
  must_break(Bug::promise_fences_nobody, fork_or_loss, story, in_quorum(apart()));
}

// C3. A write reached one replica and nobody was answered. That replica reigns, cannot commit, and
// dies; the next never had the write. Nobody may have read it in between.
BOOST_AUTO_TEST_CASE(nothing_is_read_before_the_reigns_own_record_is_committed) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.hold_records(1, 3);
    s.hold_log(1);
    s.later_write(0);
    s.run_for(50 * millisecond);
    s.kill(1);
    s.hold_records(2, 3);
    s.wish(2);
    s.run_until([&] { return s.serves(2); }, 10 * second);
    s.later(FrontOp::read, 0);
    s.run_for(500 * millisecond);
    s.kill(2, Kill::power);
    s.pass_all();
    s.let_go(1);
    s.boot(1);
    s.wish(3);
    s.read(0);
  };
  must_hold(story, apart());
  must_break(Bug::answers_before_epoch_record, loss, story, apart());
}

// C3. An older reign's write is on a majority, and the next reign's own record on one copy's disk: who has that may
// still lose it, and then a longer log of the older reign would be the better one.
BOOST_AUTO_TEST_CASE(what_an_older_reign_left_is_not_committed_by_counting_its_copies) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.hold_log(3);
    s.hold_log(1);
    s.later_write(0);
    s.run_for(50 * millisecond);
    s.kill(1);
    s.let_go(3);
    s.wish(2);
    s.run_until([&] { return s.serves(2); }, 10 * second);
    s.hold_log(2);
    s.run_for(500 * millisecond);
    s.let_go(2);
    s.boot(1);
    s.read(0);
  };
  auto options = apart();
  options.mode = engine::Mode::sync_quorum;
  must_hold(story, options);
  must_break(Bug::commit_counts_old_epoch, {"older_reign_committed"}, story, options);
}

// C4. Writes were answered from memories, and all nodes lose power. Whoever reigns then has none of
// them: the clients must be told, or a later FLUSH would cover what is gone.
BOOST_AUTO_TEST_CASE(a_reign_without_an_exact_member_says_that_the_cache_is_lost) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    for (std::uint32_t n = 0; n < 3; ++n) s.hold_log(n);
    s.write(0);
    for (std::uint32_t n = 0; n < 3; ++n) s.kill(n, Kill::power);
    for (std::uint32_t n = 0; n < 3; ++n) s.let_go(n);
    for (std::uint32_t n = 0; n < 3; ++n) s.boot(n);
    s.read(0);
  };
  must_hold(story);
  must_break(Bug::exactness_ignores_incarnation, loss, story);
}

// C4. One member was started again and is in the set still: what was answered from memories is in the primary's alone,
// and that dies.
BOOST_AUTO_TEST_CASE(
    a_member_that_was_started_again_is_not_exact_until_it_has_all_that_was_answered) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.hold_log(1);
    s.hold_log(2);
    s.write(0);
    s.hold_records(1, 2);
    s.kill(2);
    s.let_go(2);
    s.boot(2);
    s.run_for(200 * millisecond);
    s.must(s.in_set(2), "not_staged", "node3 was left out");
    s.kill(1, Kill::power);
    s.pass_all();
    s.promote_soon(2);
    s.read(0);
    s.let_go(1);
    s.boot(1);
    s.settle();
  };
  must_hold(story, pair());
  must_break(Bug::exactness_ignores_incarnation, loss, story, pair());
}

// C4. A copy stopped cleanly and is back before it was left out. From when the primary has met it again writes are
// answered without it: what it has not received yet is on the two that lose power next. It alone may not be taken for
// exact because of the stop before.
BOOST_AUTO_TEST_CASE(a_copy_that_stopped_cleanly_is_not_exact_once_answers_go_on_without_it) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.hold_records(1, 3);
    s.must(s.stop(3), "not_staged", "node4 did not stop");
    const auto answered = s.later_write(0);
    s.run_for(300 * millisecond);
    s.must(!*answered, "not_staged", "answered without a copy that may still be exact");
    s.boot(3);
    s.run_until([&] { return *answered; }, 20 * second);
    s.must(*answered, "not_staged", "the write was not answered");
    s.kill(1, Kill::power);
    s.kill(2, Kill::power);
    s.wish(3);
    s.run_for(3 * second);  // Nobody else promises in time.
    s.boot(1);
    s.boot(2);
    s.pass_all();
    s.read(0);
  };
  auto options = apart();
  options.min_copies = 3;  // Nobody may be left out.
  must_hold(story, options, 3);
  must_break(Bug::clean_stop_outlives_link, loss, story, options);
}

// C4. The same copy, and nobody fails: an operator wants it for primary before it has caught up.
BOOST_AUTO_TEST_CASE(a_copy_that_stopped_cleanly_is_not_wanted_before_it_has_caught_up) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.hold_records(1, 3);
    s.must(s.stop(3), "not_staged", "node4 did not stop");
    const auto answered = s.later_write(0);
    s.boot(3);
    s.run_until([&] { return *answered; }, 20 * second);
    s.must(*answered, "not_staged", "the write was not answered");
    const auto before = s.view();
    s.wish(3);
    const auto reigns_anew = [&] {
      const auto v = s.view();
      return v && v->epoch > before->epoch && v->serving;
    };
    for (int look = 0; look < 200 && !reigns_anew(); ++look) s.run_for(100 * millisecond);
    s.pass_all();
    s.read(0);
  };
  auto options = apart();
  options.min_copies = 3;
  must_hold(story, options, 3);
  must_break(Bug::clean_stop_outlives_link, loss, story, options);
}

// C4. With one copy left a single kill would take every write that only its memory has: it answers
// from its disk.
BOOST_AUTO_TEST_CASE(with_one_copy_left_a_write_is_answered_from_its_disk) {
  const Story story = [](Stage& s) {
    s.kill(2);
    s.write(0);
    s.hold_log(1);
    const auto answered = s.later_write(1);
    s.run_for(1 * second);
    s.must(!*answered, "answered_from_memory", "a write was answered that one memory has");
    s.let_go(1);
    s.run_until([&] { return *answered; });
    s.settle();
  };
  must_hold(story, pair());
  must_break(Bug::one_copy_answers_on_receipt, {"answered_from_memory"}, story, pair());
  auto alone = pair();  // The other one is there, and does not count.
  alone.mode = engine::Mode::best_effort;
  must_hold(story, alone);
}

// The rule of FLUSH: it speaks for the primary's own disk too.
BOOST_AUTO_TEST_CASE(a_flush_is_not_answered_before_the_own_disk_has_it) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.hold_log(1);
    s.write(0);
    const auto answered = s.later(FrontOp::flush, 0);
    s.run_for(1 * second);
    s.must(!*answered, "flushed_from_memory", "a flush was answered before the own disk had it");
  };
  must_hold(story, apart());
  must_break(Bug::flush_acked_before_local_sync, {"flushed_from_memory"}, story, apart());
}

const std::vector<std::string> lost_or_not_refused{"lost_flushed", "lost_answered", "not_refused"};

/// A copy and the control plane are as they were at the backup, and the copy reigns. A member that has what was committed
/// since refuses to cut it, and the volume waits rather than serving old data.
void nothing_is_cut_behind_a_backup(Stage& s) {
  const auto backup = s.control_records();
  s.kill(3);
  s.write(0);
  s.flush();
  s.run_for(1 * second);
  s.kill(0);
  s.restore_control(backup);
  s.kill(1);
  s.part_from_control(2);
  s.boot(3);
  s.boot(0);
  s.run_for(1 * second);
  s.wish(3);
  s.run_until([&] { return s.serves(3); }, 10 * second);
  s.must(s.serves(3), "not_staged", "node4 was not promoted");
  s.heal();
  s.later(FrontOp::read, 0);
  s.run_for(10 * second);
  const auto copy = s.copy(2);
  const bool refused =
      copy && copy->reason.find("committed_beyond_common_point") != std::string::npos;
  s.must(refused, "not_refused", copy ? copy->state + ": " + copy->reason : "no status");
}

// C18.
BOOST_AUTO_TEST_CASE(a_primary_out_of_a_backup_cannot_cut_what_was_committed) {
  const Story story = nothing_is_cut_behind_a_backup;
  must_hold(story, lazy(apart()));
  must_break(Bug::truncates_below_committed, fork_or_loss, story, lazy(apart()));
}

// C18. The reign began as best_effort, and what it committed since it is sync_all may be lost no more than any other's.
BOOST_AUTO_TEST_CASE(a_reign_that_was_best_effort_once_cannot_lose_what_it_committed_since) {
  const Story story = [](Stage& s) {
    s.must(s.configure(engine::Mode::sync_all, 2), "not_staged", "the mode is not in force");
    s.run_for(1 * second);
    nothing_is_cut_behind_a_backup(s);
  };
  auto options = lazy(apart());
  options.mode = engine::Mode::best_effort;
  options.min_copies = 1;
  must_hold(story, options);
  must_break(Bug::first_mode_excuses, lost_or_not_refused, story, options);
}

// C18. Two copies are made primary by force, one after the other, and the control plane dies amid the first: whatever came
// of that, no epoch is given to both.
template <class Amid>
void two_by_force(Stage& s) {
  s.write(0);
  s.flush();
  s.kill(1);
  std::map<engine::Epoch, std::uint64_t> reigns;
  bool twice = false, wished = false, amid = false;
  s.rule([&](const Passage& p) {
    amid = amid || (wished && std::holds_alternative<Amid>(p.message));
    if (const auto* told = std::get_if<engine::Assign>(&p.message)) {
      const auto nonce = told->assignment.nonce;
      twice = twice || reigns.try_emplace(told->assignment.epoch, nonce).first->second != nonce;
    }
    return Fate::pass;
  });
  wished = true;
  s.wish(2, true);
  s.run_until([&] { return amid; }, 10 * second);
  s.must(amid, "not_staged", "the first one is not on its way");
  s.kill(0);
  s.boot(0);
  for (int attempt = 0; attempt < 20 && !s.promote(3, true); ++attempt)
    s.run_for(500 * millisecond);
  s.must(s.serves(3), "not_staged", "the second one does not reign");
  s.must(!twice, "epoch_given_twice", "two reigns were given one epoch");
  s.pass_all();
  s.boot(1);
  s.settle();
}
BOOST_AUTO_TEST_CASE(two_promotions_by_force_are_never_given_one_epoch) {
  must_hold(two_by_force<engine::Fence>, apart());
  must_hold(two_by_force<engine::Promise>, apart());
  must_hold(two_by_force<engine::Assign>, apart());
}

// C18, C20. Neither the control plane nor the primary that it promotes can reach the first one. That still
// reaches a replica: its higher promise ends the reign before anybody reads old data there.
BOOST_AUTO_TEST_CASE(a_primary_steps_down_when_a_replica_has_promised_more) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.part_from_control(1);
    s.block(1, 2);
    s.block(2, 1);
    s.wish(2);
    s.run_until([&] { return s.serves(2); }, 10 * second);
    s.admit_nobody_new(1);
    const auto other = s.add_client();
    bool answered = false;
    s.run_until([&] { return other->connected(); }, 10 * second);
    other->ask({FrontOp::write, {0, sim::cells_per_block}, true, false},
               [&](const auto& error) { answered = !error; });
    s.run_until([&] { return answered; }, 10 * second);
    s.must(answered, "not_staged", "the new primary answered no write");
    s.run_for(1 * millisecond);  // What begins when it is answered is beside it, not behind it.
    s.read(0);
  };
  must_hold(story, apart(), 3);
  must_break(Bug::higher_promise_ignored, loss, story, apart(), 3);
}

// C20. A write is numbered and shipped to nobody, and it is read. The primary dies: the old value
// is read again. So the first read waits until the write could be answered.
BOOST_AUTO_TEST_CASE(a_read_shows_nothing_that_only_the_primary_has) {
  const Story story = [](Stage& s) {
    s.write(0);
    s.flush();
    s.hold_records(1, 2);
    s.hold_records(1, 3);
    s.hold_log(1);
    s.later_write(0);
    s.later(FrontOp::read, 0);
    s.run_for(200 * millisecond);
    s.kill(1);
    s.pass_all();
    s.let_go(1);
    s.boot(1);
    s.read(0);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::read_unanswerable, loss, story, apart());
}

BOOST_AUTO_TEST_SUITE_END()
