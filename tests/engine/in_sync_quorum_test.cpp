// The voters of sync_quorum: nobody leaves for being slow, and a change needs both rules.
#define BOOST_TEST_DYN_LINK
#include "engine/in_sync.hpp"

#include "engine/planted.hpp"
#include "tests/engine/in_sync_rig.hpp"

namespace tidemark::engine::set_story {
namespace {

Assignment quorum(std::uint32_t min_copies = 2) {
  auto a = assignment(min_copies);
  a.spec.mode = Mode::sync_quorum;
  return a;
}

/// Adds a member that is no voter.
Assignment with_fourth(Assignment a) {
  Member member;
  member.replica = ReplicaId(4);
  member.node.name = "node4";
  a.members.push_back(member);
  a.version = Version(a.version.value + 1);
  return a;
}

/// An operator removed the third copy: no member, still a voter.
Assignment without_third(Assignment a) {
  a.members.pop_back();
  a.version = Version(a.version.value + 1);
  return a;
}

Lsn committed_now(const Story& s) {
  CommitInputs in{Mode::sync_quorum, AckPolicy::received, s.log.epoch_record,
                  s.log.head,        s.log.own_durable,   {},
                  s.set.rules()};
  return committed(in);
}
Lsn answerable_now(const Story& s) {
  CommitInputs in{Mode::sync_quorum, AckPolicy::received, s.log.epoch_record,
                  s.log.head,        s.log.own_durable,   {},
                  s.set.rules()};
  return answerable(in, committed(in));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(in_sync_quorum)

BOOST_AUTO_TEST_CASE(a_voter_that_is_away_stays_a_voter_and_holds_nobody_up) {
  Story s(quorum());
  s.log = {Lsn(1), Lsn(9), Lsn(1), Lsn(1), Lsn(9)};
  s.streams(2, 9, 9);
  s.closes(3);
  s.wait(60'000);
  BOOST_TEST(s.proposes() == "nothing");
  BOOST_TEST((s.set.standing(ReplicaId(3)) == Standing::member));
  BOOST_TEST(committed_now(s) == Lsn(9));
  BOOST_TEST(s.set.waiting_for(s.log) == "");
  BOOST_TEST(!s.set.unsettled());
  BOOST_TEST(s.set.required() == 2U);
}

BOOST_AUTO_TEST_CASE(two_of_three_away_hold_everything_up_and_status_says_who) {
  Story s(quorum());
  s.log = {Lsn(1), Lsn(9), Lsn(1), Lsn(1), Lsn(9)};
  s.closes(2);
  s.closes(3);
  s.wait(60'000);
  BOOST_TEST(s.proposes() == "nothing");
  BOOST_TEST(committed_now(s) == Lsn(1));
  BOOST_TEST(s.set.unsettled());
  BOOST_TEST(s.set.waiting_for(s.log) ==
             "2 of the 3 voters {1,2,3} must have it: replica 2 (node2) is away; "
             "replica 3 (node3) is away");
}

BOOST_AUTO_TEST_CASE(fewer_voters_than_must_have_it_wait_for_more_of_them) {
  auto a = quorum();
  a.in_sync.resize(1);
  Story s(a);
  s.log = {Lsn(1), Lsn(9), Lsn(1), Lsn(1), Lsn(9)};
  s.closes(2);
  s.closes(3);
  BOOST_TEST(s.set.waiting_for(s.log) ==
             "2 of the 1 voters {1} must have it: 1 more must come in line");
}

BOOST_AUTO_TEST_CASE(planted_the_absent_leave_the_denominator) {
  plant(Bug::quorum_shrinks_with_absence);
  Story s(quorum());
  s.log = {Lsn(1), Lsn(9), Lsn(1), Lsn(1), Lsn(9)};
  s.closes(2);
  s.closes(3);
  BOOST_TEST(committed_now(s) == Lsn(9));
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(a_slow_own_disk_need_not_be_among_the_fastest) {
  Story s(quorum());
  s.log = {Lsn(1), Lsn(9), Lsn(1), Lsn(1), Lsn(2)};
  s.streams(2, 9, 9);
  s.streams(3, 9, 8);
  BOOST_TEST(committed_now(s) == Lsn(8));
  BOOST_TEST(answerable_now(s) == Lsn(9));
}

BOOST_AUTO_TEST_CASE(min_copies_above_the_majority_asks_for_more) {
  Story s(quorum(3));
  s.log = {Lsn(1), Lsn(9), Lsn(1), Lsn(1), Lsn(9)};
  s.streams(2, 9, 9);
  s.streams(3, 9, 4);
  BOOST_TEST(s.set.required() == 3U);
  BOOST_TEST(committed_now(s) == Lsn(4));
}

BOOST_AUTO_TEST_CASE(a_copy_that_is_rebuilt_stays_a_voter_and_holds_nothing) {
  Story s(quorum());
  s.streams(2, 5, 5);
  s.streams(3, 9, 9);
  s.log = {Lsn(1), Lsn(9), Lsn(1), Lsn(1), Lsn(9)};
  BOOST_TEST(committed_now(s) == Lsn(9));
  auto seen = s.report(3);
  seen.state = PeerState::rebuilding;
  seen.received = seen.durable = Lsn(9);
  s.set.see(seen, s.now);
  BOOST_TEST(committed_now(s) == Lsn(5));
  BOOST_TEST(s.proposes() == "nothing");
  BOOST_TEST(s.set.rules()[0].others.size() == 2U);

  plant(Bug::quorum_counts_voteless);
  s.set.see(seen, s.now);
  BOOST_TEST(committed_now(s) == Lsn(9));
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(a_restarted_voter_counts_what_is_on_its_disk_until_it_is_exact_again) {
  Story s(quorum());
  s.log = {Lsn(1), Lsn(9), Lsn(4), Lsn(6), Lsn(4)};
  s.streams(2, 4, 4);
  s.closes(3);
  s.streams(3, 5, 4, 31);
  BOOST_TEST(s.proposes() == "nothing");  // lacks what was answered when it began to count
  BOOST_TEST(answerable_now(s) == Lsn(4));
  s.log.answerable = Lsn(8);  // what came since needs no memory of its
  s.streams(3, 6, 4, 31);
  BOOST_TEST(s.proposes() == "v7 1@10 2@20 3@31");
  BOOST_TEST(answerable_now(s) == Lsn(4));  // not before the answer
  BOOST_TEST(s.answer(true, 8, {s.member(1), s.member(2), s.member(3, 31)}));
  BOOST_TEST(answerable_now(s) == Lsn(6));
  BOOST_TEST(s.set.exact(ReplicaId(3)));
}

BOOST_AUTO_TEST_CASE(a_restarted_voter_with_a_slow_disk_is_exact_again_while_it_lags) {
  Story s(quorum());
  s.log = {Lsn(1), Lsn(900), Lsn(890), Lsn(890), Lsn(900)};
  s.streams(2, 900, 900);
  s.closes(3);
  s.streams(3, 895, 3, 31);
  BOOST_TEST(s.proposes() == "v7 1@10 2@20 3@31");
}

BOOST_AUTO_TEST_CASE(a_new_voter_counts_in_both_rules_before_it_is_asked_for) {
  Story s(quorum());
  s.set.reassign(with_fourth(quorum()), s.now);
  s.log = {Lsn(1), Lsn(9), Lsn(5), Lsn(5), Lsn(9)};
  s.streams(2, 9, 9);
  s.streams(3, 5, 5);
  auto seen = s.report(4);
  seen.state = PeerState::streaming;
  seen.proved = true;
  seen.received = Lsn(6);
  seen.durable = Lsn(4);
  s.set.see(seen, s.now);
  BOOST_TEST(s.proposes() == "nothing");  // lacks what is committed
  BOOST_TEST((s.set.standing(ReplicaId(4)) == Standing::counting));
  // Two of three have 9, but only two of the four: three must.
  BOOST_TEST(s.set.rules().size() == 2U);
  BOOST_TEST(committed_now(s) == Lsn(5));
  seen.durable = Lsn(5);
  s.set.see(seen, s.now);
  BOOST_TEST(s.proposes() == "v8 1@10 2@20 3@30 4@40");
  BOOST_TEST(committed_now(s) == Lsn(5));
  BOOST_TEST(s.answer(true, 9, {s.member(1), s.member(2), s.member(3), s.member(4)}));
  BOOST_TEST(s.set.rules().size() == 1U);
  BOOST_TEST(s.set.required() == 3U);
}

BOOST_AUTO_TEST_CASE(a_new_voter_is_not_asked_for_while_its_rule_would_forget_what_is_committed) {
  Story s(quorum());
  s.set.reassign(with_fourth(quorum()), s.now);
  // Committed by 1 and 2; of the four three must have it.
  s.log = {Lsn(1), Lsn(9), Lsn(9), Lsn(9), Lsn(2)};
  s.streams(2, 9, 9);
  s.streams(3, 9, 9);
  auto seen = s.report(4);
  seen.state = PeerState::streaming;
  seen.proved = true;
  seen.received = seen.durable = Lsn(9);
  s.set.see(seen, s.now);
  BOOST_TEST(s.proposes() == "v8 1@10 2@20 3@30 4@40");
  s.answer(false, 8, {s.member(1), s.member(2), s.member(3)});
  s.wait(500);
  s.streams(3, 2, 2);
  BOOST_TEST(s.proposes() == "nothing");
}

BOOST_AUTO_TEST_CASE(a_removed_voter_counts_until_all_committed_is_on_enough_of_the_others) {
  Story s(quorum());
  // Committed by 1 and 3; 3 is removed: of 1 and 2 both must have it.
  s.log = {Lsn(1), Lsn(9), Lsn(9), Lsn(9), Lsn(9)};
  s.streams(2, 5, 5);
  s.streams(3, 9, 9);
  s.set.reassign(without_third(quorum()), s.now);
  BOOST_TEST(s.proposes() == "nothing");
  BOOST_TEST(committed_now(s) == Lsn(5));
  BOOST_TEST(s.set.waiting_for(s.log) ==
             "2 of the 3 voters {1,2,3} must have it: replica 2 (node2) has 5 of 9 on its disk; "
             "replica 3 was removed and still counts");
  s.streams(2, 9, 9);
  BOOST_TEST(s.proposes() == "v8 1@10 2@20");
  BOOST_TEST(s.set.rules().size() == 2U);
  BOOST_TEST(s.answer(true, 9, {s.member(1), s.member(2)}));
  BOOST_TEST(s.set.rules().size() == 1U);
  BOOST_TEST(s.proposes() == "nothing");
}

BOOST_AUTO_TEST_CASE(a_replacement_comes_in_and_the_removed_voter_goes_in_one_step) {
  Story s(quorum());
  s.log = {Lsn(1), Lsn(9), Lsn(9), Lsn(9), Lsn(9)};
  s.streams(2, 5, 5);
  s.set.reassign(with_fourth(without_third(quorum())), s.now);
  auto seen = s.report(4);
  seen.state = PeerState::streaming;
  seen.proved = true;
  seen.received = seen.durable = Lsn(9);
  s.set.see(seen, s.now);
  BOOST_TEST(s.proposes() == "v9 1@10 2@20 4@40");
}

BOOST_AUTO_TEST_CASE(writes_are_refused_for_space_only_when_too_few_voters_have_room) {
  Story s(quorum());
  s.full(3, 1);
  BOOST_TEST(!s.set.full_member_stays());
  s.full(2, 1);
  BOOST_TEST(s.set.full_member_stays());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::set_story
