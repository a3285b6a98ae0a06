// Who counts and comes in: joining replicas, restarted members, new assignments.
#define BOOST_TEST_DYN_LINK
#include "engine/in_sync.hpp"

#include "tests/engine/in_sync_rig.hpp"

namespace tidemark::engine::set_story {

BOOST_AUTO_TEST_SUITE(in_sync_joining)

BOOST_AUTO_TEST_CASE(a_joining_replica_counts_before_it_is_asked_for_and_needs_the_witness) {
  Story s;
  s.closes(3);
  s.wait(100);
  s.proposes();
  s.answer(true, 8, {s.member(1), s.member(2)});
  s.log = {Lsn(1), Lsn(9), Lsn(5), Lsn(8)};
  s.streams(2, 9, 9);

  s.streams(3, 7, 6);  // lacks what was answered
  BOOST_TEST(s.proposes() == "nothing");
  BOOST_TEST((s.set.standing(ReplicaId(3)) == Standing::counting));
  BOOST_TEST(s.set.counted().size() == 2U);

  s.streams(3, 8, 4);  // lacks what is committed
  BOOST_TEST(s.proposes() == "nothing");

  s.streams(3, 8, 5);
  BOOST_TEST(s.proposes() == "v8 1@10 2@20 3@30");
  BOOST_TEST((s.set.standing(ReplicaId(3)) == Standing::joining));
  BOOST_TEST(s.answer(true, 9, {s.member(1), s.member(2), s.member(3)}));
  BOOST_TEST(s.set.exact(ReplicaId(3)));
}

BOOST_AUTO_TEST_CASE(a_joining_replica_that_goes_away_still_counts_until_the_answer) {
  Story s;
  s.closes(3);
  s.wait(100);
  s.proposes();
  s.answer(true, 8, {s.member(1), s.member(2)});
  s.streams(3, 1, 1);
  BOOST_TEST(s.proposes() == "v8 1@10 2@20 3@30");
  s.closes(3);
  BOOST_TEST(s.set.counted().size() == 2U);
  // The refusal frees it.
  s.answer(false, 8, {s.member(1), s.member(2)});
  BOOST_TEST(s.set.counted().size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_replica_that_only_counts_is_dropped_when_it_goes_away_or_stalls) {
  Story s;
  s.closes(3);
  s.wait(100);
  s.proposes();
  s.answer(true, 8, {s.member(1), s.member(2)});
  s.log = {Lsn(1), Lsn(9), Lsn(5), Lsn(8)};
  s.streams(2, 9, 9);
  s.streams(3, 7, 5);
  s.proposes();
  BOOST_TEST(s.set.counted().size() == 2U);
  s.closes(3);
  BOOST_TEST(s.set.counted().size() == 1U);

  s.streams(3, 7, 6);
  s.proposes();
  BOOST_TEST(s.set.counted().size() == 2U);
  s.wait(2'000);
  s.streams(2, 9, 9);
  s.proposes();
  BOOST_TEST(s.set.counted().size() == 1U);
  // It counts again only once it has caught up with what it stalled at.
  s.streams(3, 9, 8);
  s.proposes();
  BOOST_TEST(s.set.counted().size() == 1U);
  s.streams(3, 9, 9);
  BOOST_TEST(s.proposes() == "v8 1@10 2@20 3@30");
}

BOOST_AUTO_TEST_CASE(a_restarted_member_counts_for_durability_only_until_it_is_recorded_again) {
  Story s;
  s.streams(2, 5, 5);
  s.streams(3, 5, 5);
  s.log = {Lsn(1), Lsn(9), Lsn(4), Lsn(6)};
  s.closes(3);
  s.streams(3, 5, 5, 31);
  BOOST_TEST(!s.set.exact(ReplicaId(3)));
  BOOST_TEST(s.set.counted().size() == 2U);
  BOOST_TEST(!s.set.counted()[1].exact);
  BOOST_TEST(!s.set.counted()[1].must_receive);
  BOOST_TEST(s.proposes() == "nothing");
  BOOST_TEST(s.set.counted()[1].must_receive);  // from before it is asked for

  s.streams(3, 6, 5, 31);
  BOOST_TEST(s.proposes() == "v7 1@10 2@20 3@31");
  BOOST_TEST(!s.set.counted()[1].exact);
  s.answer(true, 8, {s.member(1), s.member(2), s.member(3, 31)});
  BOOST_TEST(s.set.counted()[1].exact);
  BOOST_TEST(s.set.exact(ReplicaId(3)));
}

BOOST_AUTO_TEST_CASE(a_closed_connection_voids_received_down_to_durable) {
  Story s;
  s.streams(2, 9, 4);
  s.closes(2);
  BOOST_TEST(s.set.counted()[0].received == Lsn(4));
  BOOST_TEST(s.set.counted()[0].durable == Lsn(4));
}

BOOST_AUTO_TEST_CASE(a_late_report_of_an_older_incarnation_is_ignored) {
  Story s;
  s.streams(3, 1, 1, 31);
  s.streams(3, 9, 9, 30);
  BOOST_TEST(s.set.counted()[1].durable == Lsn(1));
}

BOOST_AUTO_TEST_CASE(unproved_numbers_are_not_counted) {
  Story s;
  auto seen = s.report(2);
  seen.state = PeerState::rebuilding;
  seen.received = seen.durable = Lsn(200);
  s.set.see(seen, s.now);
  BOOST_TEST(s.set.counted()[0].durable == Lsn(1));
}

BOOST_AUTO_TEST_CASE(best_effort_counts_nobody_and_proposes_nothing) {
  auto a = assignment(1);
  a.spec.mode = Mode::best_effort;
  a.in_sync.resize(1);
  Story s(a);
  BOOST_TEST(s.set.counted().empty());
  s.streams(3, 1, 1);
  BOOST_TEST(s.proposes() == "nothing");
  s.closes(3);
  s.wait(5'000);
  BOOST_TEST(s.proposes() == "nothing");
}

BOOST_AUTO_TEST_CASE(a_reassignment_brings_members_and_set_and_ends_what_was_asked) {
  Story s;
  s.closes(3);
  s.wait(100);
  s.proposes();
  auto a = assignment();
  a.version = Version(8);
  a.members[2].replica = ReplicaId(4);
  a.in_sync.resize(2);
  BOOST_TEST(s.set.reassign(a, s.now));
  BOOST_TEST(s.set.counted().size() == 1U);
  BOOST_TEST(s.proposes() == "nothing");
  a.version = Version(8);
  BOOST_TEST(!s.set.reassign(a, s.now));
  s.streams(4, 1, 1);
  BOOST_TEST(s.proposes() == "v8 1@10 2@20 4@40");
}

BOOST_AUTO_TEST_CASE(members_that_come_behind_the_decision_of_their_version_are_taken) {
  Story s;
  auto a = assignment();
  a.version = Version(8);
  a.members[2].replica = ReplicaId(4);
  a.in_sync.resize(2);
  SetDecided decided;
  decided.volume = a.spec.id;
  decided.epoch = a.epoch;
  decided.version = Version(8);
  decided.in_sync = a.in_sync;
  BOOST_TEST(s.set.decide(decided, s.now));
  BOOST_TEST(!s.set.reassign(a, s.now));
  s.streams(4, 1, 1);
  BOOST_TEST(s.proposes() == "v8 1@10 2@20 4@40");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::set_story
