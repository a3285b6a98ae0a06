// Histories of who counts, and from when until when.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/record/record.hpp"
#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;

namespace {

/// Whether the control plane said no to a proposal, for that reason.
struct Refusal {
  std::shared_ptr<bool> seen = std::make_shared<bool>(false);
  std::function<Fate(const Passage&)> watch;
};
Refusal refusal(std::string reason) {
  Refusal refusal;
  refusal.watch = [seen = refusal.seen, reason = std::move(reason)](const Passage& p) {
    const auto* decided = std::get_if<engine::SetDecided>(&p.message);
    if (decided != nullptr && !decided->accepted)
      *seen = *seen || decided->reason.find(reason) != std::string::npos;
    return Fate::pass;
  };
  return refusal;
}

/// The first record that the node is to take on is another one, chained and checksummed as if it were right.
std::function<void(std::uint32_t, engine::Message&)> other_record(Stage& s, std::uint32_t node) {
  return [&s, node, before = std::optional<engine::RecordHeader>(), done = false](
             std::uint32_t to, engine::Message& message) mutable {
    auto* records = std::get_if<engine::Records>(&message);
    if (done || to != node || records == nullptr || records->records.empty()) return;
    const auto& right = records->records.front()->header();
    if (before && right.lsn == before->lsn.next() && right.kind == engine::RecordKind::write) {
      engine::RecordBuilder builder(engine::VolumeKey(records->volume), before->lsn,
                                    before->digest);
      const auto content = engine::zeros(right.payload_bytes);
      records->records = {builder.write(right.epoch, right.range, content,
                                        {{}, {}, right.raw_time, right.mono_time})};
      s.logs().forged(builder.digest());
      done = true;
    }
    before = records->records.back()->header();
  };
}

}  // namespace

BOOST_AUTO_TEST_SUITE(histories_set)

// C11. The primary is alone in the set; a replica is in line and asked for. While the answer is on
// its way the primary commits alone, then dies: the replica reigns, for the set names it.
BOOST_AUTO_TEST_CASE(a_joining_member_counts_before_the_control_plane_is_asked) {
  const Story story = [](Stage& s) {
    s.kill(2);
    s.write(0, 1, true);
    auto asked = std::make_shared<bool>(false);
    s.rule([asked](const Passage& p) {
      const auto* proposal = std::get_if<engine::ProposeSet>(&p.message);
      if (proposal != nullptr && proposal->in_sync.size() == 2) *asked = true;
      const bool later = *asked && ((p.from == 0 && p.to == 1) || (p.from == 1 && p.to == 2));
      return later ? Fate::hold : Fate::pass;
    });
    s.boot(2);
    s.run_until([&] { return *asked; }, 20 * second);
    s.must(*asked, "not_staged", "node3 was never asked for");
    s.later_write(5, true);
    s.run_for(1 * second);
    s.kill(1, Kill::power);
    s.pass_all();
    s.promote_soon(2);
    s.read(5);
  };
  must_hold(story, pair());
  must_break(Bug::joins_without_counting, {"electable_without", "lost_flushed", "committed_fork"},
             story, pair());
}

// C11. A member is out of reach; that it shall leave was said, and is not yet heard. It counts until
// the answer, for until then it may be made primary.
BOOST_AUTO_TEST_CASE(a_leaving_member_counts_until_the_answer) {
  const Story story = [](Stage& s) {
    s.rule([](const Passage& p) {
      const bool asks = std::holds_alternative<engine::ProposeSet>(p.message);
      return asks || (p.from == 1 && p.to == 2) ? Fate::hold : Fate::pass;
    });
    s.later_write(5, true);
    s.run_for(6 * second);
    s.kill(1, Kill::power);
    s.pass_all();
    s.promote_soon(2);
    s.read(5);
  };
  must_hold(story, pair());
  must_break(Bug::member_leaves_before_cas, {"lost_flushed", "committed_fork", "fua_unsynced"},
             story, pair());
}

// C11. It has left, and the answer is lost: the primary counts it until it is told, and asks again.
BOOST_AUTO_TEST_CASE(
    a_leaving_member_counts_until_an_answer_comes_and_a_lost_one_is_asked_for_again) {
  const Story story = [](Stage& s) {
    auto lost = std::make_shared<int>(0);
    auto lose = std::make_shared<bool>(true);
    s.rule([lost, lose](const Passage& p) {
      const auto* decided = std::get_if<engine::SetDecided>(&p.message);
      const bool shrunk = decided != nullptr && decided->in_sync.size() == 1 && *lose;
      const bool set = shrunk || (std::holds_alternative<engine::Assign>(p.message) && *lose);
      if (shrunk) ++*lost;
      return set && p.to == 1 ? Fate::drop : Fate::pass;
    });
    s.kill(2);
    const auto answered = s.later_write(5, true);
    s.run_until([&] { return *lost > 0; }, 20 * second);
    s.must(*lost > 0, "not_staged", "the set did not shrink");
    s.run_for(3 * second);
    s.must(!*answered, "counted_too_few", "answered before it was told that the other one left");
    *lose = false;
    s.run_until([&] { return *answered; }, 20 * second);
    s.must(*answered, "never_told", "a lost answer is not asked for again");
    s.settle();
  };
  must_hold(story, pair());
  must_break(Bug::member_leaves_before_cas, {"counted_too_few", "fua_unsynced"}, story, pair());
}

// C11. A member starts again between its witness and its entry: what it had in memory as it was witnessed is gone, and it
// is not taken in as who it was.
BOOST_AUTO_TEST_CASE(a_member_that_starts_again_before_its_entry_is_not_taken_in_as_who_it_was) {
  const Story story = [](Stage& s) {
    s.kill(2);
    s.write(0, 1, true);
    const auto asked = std::make_shared<bool>(false);
    s.rule([asked](const Passage& p) {
      const auto* proposal = std::get_if<engine::ProposeSet>(&p.message);
      if (proposal == nullptr || proposal->in_sync.size() != 2) return Fate::pass;
      *asked = true;
      return Fate::hold;
    });
    s.boot(2);
    s.run_until([&] { return *asked; }, 20 * second);
    s.must(*asked, "not_staged", "node3 was never asked for");
    s.hold_log(2);
    s.later_write(5);
    s.run_for(50 * millisecond);
    s.kill(2);
    s.let_go(2);
    s.boot(2);
    s.run_for(500 * millisecond);
    const auto refused = refusal("has started again since");
    s.pass_all();
    s.rule(refused.watch);
    s.run_until([&] { return *refused.seen; }, 5 * second);
    s.must(*refused.seen, "not_refused", "it was taken in under an incarnation that ended");
    s.read(5);
    s.settle();
  };
  must_hold(story, pair());
}

// C11. An older reign's proposal arrives as the next one reigns: the set is that one's.
BOOST_AUTO_TEST_CASE(a_proposal_of_a_reign_that_is_over_changes_nothing) {
  const Story story = [](Stage& s) {
    const auto asked = std::make_shared<bool>(false);
    s.rule([asked](const Passage& p) {
      const bool proposes = std::holds_alternative<engine::ProposeSet>(p.message) && p.from == 1;
      *asked = *asked || proposes;
      return proposes ? Fate::hold : Fate::pass;
    });
    s.kill(3);
    s.later_write(5, true);
    s.run_until([&] { return *asked; }, 20 * second);
    s.must(*asked, "not_staged", "nobody asked that node4 be left out");
    s.wish(2);
    s.run_until([&] { return s.serves(2); }, 20 * second);
    s.must(s.serves(2), "not_staged", "node3 does not reign");
    const auto before = s.view();
    const auto refused = refusal("was to be replaced");
    s.pass_all();
    s.rule(refused.watch);
    s.run_until([&] { return *refused.seen; }, 5 * second);
    s.must(*refused.seen, "not_refused", "a proposal of the reign before was not refused");
    const auto after = s.view();
    s.must(before && after && after->epoch == before->epoch, "reign_lost", "the reign is over");
    s.read(5);
    s.settle();
  };
  must_hold(story, apart());
}

// C10. Records that the others do not have yet are not in force: were they in the primary's extents
// already, no truncation could take them out.
BOOST_AUTO_TEST_CASE(extents_hold_nothing_that_may_still_be_taken_back) {
  const Story story = [](Stage& s) {
    s.hold_log(2);
    for (std::uint64_t b = 0; b < 16; ++b) s.later_write(b);
    s.run_for(1 * second);
    s.let_go(2);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::extents_hold_uncommitted, {"extents_uncommitted"}, story, apart());
}

// C10. A replica whose disk lags has left the set and hears of commits beyond its own log. Were they
// flushed, a crash would leave a checkpoint behind which there is no log.
BOOST_AUTO_TEST_CASE(a_lagging_replica_flushes_no_further_than_its_own_log) {
  const Story story = [](Stage& s) {
    s.hold_log(3);
    s.write(0, 1, true);
    for (std::uint64_t b = 0; b < 16; ++b) s.write(b);
    s.flush();
    s.run_for(2 * second);
    s.let_go(3);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::flush_ignores_durable, {"checkpoint_ahead", "check"}, story, apart());
}

// C10. In a quorum the others commit what the primary's own disk does not have yet.
BOOST_AUTO_TEST_CASE(a_primary_with_a_slow_log_flushes_no_further_than_that) {
  const Story story = [](Stage& s) {
    s.hold_log(1);
    for (std::uint64_t b = 0; b < 16; ++b) s.write(b, 1, true);
    s.run_for(2 * second);
    s.kill(1);
    s.let_go(1);
    s.boot(1);
    s.read(0, 16);
    s.settle();
  };
  auto options = apart();
  options.mode = engine::Mode::sync_quorum;
  must_hold(story, options);
  must_break(Bug::flush_ignores_durable, {"checkpoint_ahead", "check"}, story, options);
}

// C10. A replica that catches up is told of commits far beyond what it has. It believes them as far
// as its log is proved to be the primary's: else its next facts make no sense.
BOOST_AUTO_TEST_CASE(committed_is_believed_only_as_far_as_the_log_is_shared) {
  const Story story = [](Stage& s) {
    s.kill(3);
    for (int round = 0; round < 8; ++round) s.write(0, 256);
    s.flush();
    auto heard = std::make_shared<int>(0);
    s.rule([heard](const Passage& p) {
      const bool records = std::holds_alternative<engine::Records>(p.message) && p.to == 3;
      return records && (*heard)++ > 0 ? Fate::hold : Fate::pass;
    });
    s.boot(3);
    s.run_until([&] { return *heard > 0; }, 20 * second);
    s.must(*heard > 0, "not_staged", "node4 was sent no records");
    s.run_for(200 * millisecond);
    s.cut(1, 3);
    s.run_for(1 * second);
    s.pass_all();
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::committed_beyond_log, {"not_converged", "check"}, story, apart());
}

// C21. A replica ends behind where the primary's history left its own. Only the digest at the
// common point says anything; asked about its end it can confirm nothing, and never comes back.
BOOST_AUTO_TEST_CASE(logs_are_compared_at_the_point_that_both_histories_share) {
  const Story story = [](Stage& s) {
    s.hold_records(1, 3);
    s.hold_log(1);
    for (std::uint64_t b = 0; b < 4; ++b) s.later_write(b);
    s.run_for(200 * millisecond);
    s.kill(2);
    s.kill(1);
    s.pass_all();
    s.wish(3);
    s.run_until([&] { return s.serves(3); }, 10 * second);
    s.boot(2);
    const auto answered = s.later_write(9, true);
    s.run_until([&] { return *answered; }, 30 * second);
    s.must(*answered, "never_in_line", "node3 did not come back in line");
    s.let_go(1);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::digest_asked_at_its_end, {"never_in_line"}, story, apart());
}

// C21. A replica took another record than the primary wrote, in one reign: its memory lied, and every checksum since is
// right. What it says is durable does not count; and where its log parts from the primary's is found, never guessed.
BOOST_AUTO_TEST_CASE(a_log_that_parted_within_one_reign_is_found_out_and_brought_back) {
  const Story story = [](Stage& s) {
    const auto diverged = std::make_shared<bool>(false);
    s.node(1).on_event = [diverged](const sim::SimNode&, const engine::Event& event) {
      *diverged = *diverged || event.name == "log_diverged";
    };
    s.world().net.forge = other_record(s, 3);
    s.write(5, 1, true);
    const auto answered = s.later_write(5, true);
    s.run_until([&] { return *diverged; }, 20 * second);
    s.must(*diverged, "not_staged", "nobody told that the logs part");
    s.run_until([&] { return *answered; }, 20 * second);
    s.must(*answered, "never_in_line", "the write was not answered");
    s.settle();
    s.must(s.copies_equal(), "unequal", "the copies are not equal");
  };
  must_hold(story, apart());
}

// C23. The primary's disk is full. A record that has its number is on its way to the others and cannot be taken back: so
// a write is refused before it gets one, and nothing else happens.
BOOST_AUTO_TEST_CASE(a_full_log_refuses_a_write_before_it_is_numbered) {
  const Story story = [](Stage& s) {
    s.write(0, 1, true);
    auto& disk = s.node(1).disk();
    disk.capacity_bytes = disk.used_bytes();
    auto refused = std::make_shared<bool>(false);
    for (int round = 0; round < 100 && !*refused && s.serving() == 1u; ++round) {
      s.send({engine::FrontOp::write, {0, 190 * sim::cells_per_block}, false, false},
             [refused](const auto& e) {
               if (e && e->code == engine::Errc::no_space) *refused = true;
             });
      s.run_for(50 * millisecond);
    }
    s.run_for(1 * second);
    const auto seen = s.view();
    s.must(seen && seen->epoch == 1, "reign_lost", "a full disk ended the reign");
    s.must(*refused, "not_refused", "nothing was refused for want of space");
    disk.capacity_bytes = sim::DiskImage::no_quota;
    s.run_for(5 * second);
    s.write(1, 1, true);
    s.settle();
  };
  must_hold(story, apart());
}

// C23. One write to a replica's log fails. What completes behind the gap does not count, and the
// store is not asked again: it would prove a log that has a hole.
BOOST_AUTO_TEST_CASE(durable_ends_at_the_first_write_that_failed) {
  const Story story = [](Stage& s) {
    s.write(0, 1, true);
    s.node(2).disk().fail_writes = 1;
    s.write(1, 1, true);
    s.write(2, 1, true);
    s.node(2).disk().fail_writes = 0;
    s.kill(2);
    s.boot(2);
    s.settle();
  };
  must_hold(story, pair());
  must_break(Bug::failed_write_counts,
             {"durable_lost", "lost_flushed", "not_converged", "not_promoted", "check"}, story,
             pair());
}

// C18. What the other copy knew to be committed was only in its memory, and its power is gone. It was told of the set that
// committed it, and the control plane whose primary would cut it was not.
BOOST_AUTO_TEST_CASE(a_primary_out_of_a_backup_cannot_cut_what_a_set_that_it_forgot_has_committed) {
  const Story story = [](Stage& s) {
    const auto backup = s.control_records();
    s.kill(3);
    s.write(0);
    s.flush();
    s.run_for(1 * second);
    s.kill(0);
    s.restore_control(backup);
    s.kill(1);
    s.kill(2, Kill::power);
    s.boot(3);
    s.boot(0);
    s.run_for(1 * second);
    s.wish(3);
    s.run_until([&] { return s.serves(3); }, 10 * second);
    s.must(s.serves(3), "not_staged", "node4 was not promoted");
    s.boot(2);
    s.later(engine::FrontOp::read, 0);
    s.run_for(10 * second);
    const auto copy = s.copy(2);
    const bool refused = copy && copy->reason.find("set_forgotten") != std::string::npos;
    s.must(refused, "not_refused", copy ? copy->state + ": " + copy->reason : "no status");
    s.must(s.promote(2, true), "not_promoted", "the copy that has all cannot be forced to reign");
    s.settle();
    s.read(0);
  };
  must_hold(story, lazy(apart()), 3);
  must_break(Bug::forgotten_set_is_ignored, {"committed_fork", "lost_flushed", "lost_answered"},
             story, lazy(apart()));
}

BOOST_AUTO_TEST_SUITE_END()
