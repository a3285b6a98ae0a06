// Who leaves the in-sync set and why, and how the control plane is asked.
#define BOOST_TEST_DYN_LINK
#include "engine/in_sync.hpp"

#include "engine/planted.hpp"
#include "tests/engine/in_sync_rig.hpp"

namespace tidemark::engine::set_story {

BOOST_AUTO_TEST_SUITE(in_sync)

BOOST_AUTO_TEST_CASE(a_healthy_set_proposes_nothing_and_waits_for_nobody) {
  Story s;
  s.wait(60'000);
  BOOST_TEST(s.proposes() == "nothing");
  BOOST_TEST(s.set.counted().size() == 2U);
  BOOST_TEST(s.set.waiting_for(s.log) == "");
  BOOST_TEST(!s.set.unsettled());
}

BOOST_AUTO_TEST_CASE(a_member_leaves_100_ms_after_its_connection_closed_and_not_before) {
  Story s;
  s.closes(3);
  s.wait(99);
  BOOST_TEST(s.proposes() == "nothing");
  s.wait(1);
  BOOST_TEST(s.proposes() == "v7 1@10 2@20");
  BOOST_TEST(s.set.waiting_for(s.log) ==
             "in-sync set {1,2,3}: replica 3 (node3) is away; the control plane has not yet agreed "
             "to leave it out");
}

BOOST_AUTO_TEST_CASE(a_connection_that_comes_back_in_time_keeps_the_member) {
  Story s;
  s.closes(3);
  s.wait(99);
  s.streams(3, 1, 1);
  s.wait(50);
  BOOST_TEST(s.proposes() == "nothing");
}

BOOST_AUTO_TEST_CASE(retries_do_not_restart_the_100_ms) {
  Story s;
  s.closes(3);
  for (int i = 0; i < 5; ++i) {
    s.wait(20);
    auto seen = s.report(3);
    seen.state = i % 2 == 0 ? PeerState::connecting : PeerState::disconnected;
    s.set.see(seen, s.now);
  }
  BOOST_TEST(s.proposes() == "v7 1@10 2@20");
}

BOOST_AUTO_TEST_CASE(a_leaving_member_counts_until_the_accepted_answer) {
  Story s;
  s.closes(3);
  s.wait(100);
  BOOST_TEST(s.proposes() == "v7 1@10 2@20");
  BOOST_TEST(s.set.counted().size() == 2U);
  BOOST_TEST((s.set.standing(ReplicaId(3)) == Standing::leaving));

  BOOST_TEST(s.answer(true, 8, {s.member(1), s.member(2)}));
  BOOST_TEST(s.set.counted().size() == 1U);
  BOOST_TEST((s.set.standing(ReplicaId(3)) == Standing::outside));
  BOOST_TEST(s.set.waiting_for(s.log) == "");
}

BOOST_AUTO_TEST_CASE(planted_a_member_stops_counting_before_the_control_plane_agreed) {
  Story s;
  s.closes(3);
  s.wait(100);
  plant(Bug::member_leaves_before_cas);
  s.proposes();
  BOOST_TEST(s.set.counted().size() == 1U);
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(an_unanswered_proposal_is_repeated_every_500_ms_unchanged) {
  Story s;
  s.closes(3);
  s.wait(100);
  BOOST_TEST(s.proposes() == "v7 1@10 2@20");
  s.streams(3, 1, 1);
  s.wait(499);
  BOOST_TEST(s.proposes() == "nothing");
  s.wait(1);
  BOOST_TEST(s.proposes() == "v7 1@10 2@20");
}

BOOST_AUTO_TEST_CASE(a_refusal_keeps_the_set_and_is_not_asked_again_for_500_ms) {
  Story s;
  s.closes(3);
  s.wait(100);
  s.proposes();
  BOOST_TEST(!s.answer(false, 7, {s.member(1), s.member(2), s.member(3)}));
  BOOST_TEST((s.set.standing(ReplicaId(3)) == Standing::member));
  s.wait(499);
  BOOST_TEST(s.proposes() == "nothing");
  s.wait(1);
  BOOST_TEST(s.proposes() == "v7 1@10 2@20");
}

BOOST_AUTO_TEST_CASE(a_refusal_of_an_earlier_repeat_does_not_undo_a_later_proposal) {
  Story s;
  s.closes(3);
  s.wait(100);
  s.proposes();
  s.wait(500);
  s.proposes();  // sent twice
  BOOST_TEST(s.answer(true, 8, {s.member(1), s.member(2)}));
  s.streams(3, 1, 1);
  BOOST_TEST(s.proposes() == "v8 1@10 2@20 3@30");
  // The repeat is refused on version 8: that answers nothing that was asked on version 8.
  const auto asked = s.number--;
  BOOST_TEST(!s.answer(false, 8, {s.member(1), s.member(2)}));
  s.number = asked;
  BOOST_TEST((s.set.standing(ReplicaId(3)) == Standing::joining));
  BOOST_TEST(s.answer(true, 9, {s.member(1), s.member(2), s.member(3)}));
}

BOOST_AUTO_TEST_CASE(an_answer_of_another_epoch_or_an_older_version_changes_nothing) {
  Story s;
  SetDecided d;
  d.volume = make_uuid(1, 2);
  d.accepted = true;
  d.epoch = Epoch(4);
  d.version = Version(99);
  d.in_sync = {s.member(1)};
  BOOST_TEST(!s.set.decide(d, s.now));
  d.epoch = Epoch(5);
  d.version = Version(6);
  BOOST_TEST(!s.set.decide(d, s.now));
  d.version = Version(8);
  d.in_sync = {s.member(2)};  // without the primary: nonsense
  BOOST_TEST(!s.set.decide(d, s.now));
  BOOST_TEST(s.set.counted().size() == 2U);
}

BOOST_AUTO_TEST_CASE(what_stands_at_the_control_plane_is_taken_even_from_a_refusal) {
  Story s;
  s.closes(3);
  s.wait(100);
  s.proposes();
  BOOST_TEST(s.answer(false, 9, {s.member(1), s.member(3)}));
  BOOST_TEST((s.set.standing(ReplicaId(2)) == Standing::outside));
  BOOST_TEST((s.set.standing(ReplicaId(3)) == Standing::member));
  BOOST_TEST(s.set.version() == Version(9));
}

BOOST_AUTO_TEST_CASE(
    a_member_without_durable_progress_leaves_after_two_seconds_of_lacking_something) {
  Story s;
  s.wait(10'000);
  s.set.numbered(Lsn(1), s.now);
  s.log.head = Lsn(4);
  s.streams(2, 4, 4);
  s.wait(1'999);
  BOOST_TEST(s.proposes() == "nothing");
  s.wait(1);
  BOOST_TEST(s.proposes() == "v7 1@10 2@20");
}

BOOST_AUTO_TEST_CASE(slow_progress_is_progress) {
  Story s;
  s.log.head = Lsn(100);
  s.set.numbered(Lsn(1), s.now);
  for (std::uint64_t lsn = 2; lsn < 10; ++lsn) {
    s.wait(1'500);
    s.streams(2, 100, lsn);
    s.streams(3, 100, 100);
    BOOST_TEST(s.proposes() == "nothing");
  }
}

BOOST_AUTO_TEST_CASE(a_member_never_seen_in_this_reign_leaves_after_two_seconds_not_100_ms) {
  InSync set(assignment(), {}, at(0));
  LogNumbers log{Lsn(1), Lsn(1), Lsn{}, Lsn{}};
  BOOST_TEST(!set.propose(log, at(1'999)));
  BOOST_TEST(set.counted()[0].must_receive);
  BOOST_TEST(!set.counted()[0].exact);
  // Both have gone missing and two copies must remain: one is kept.
  const auto p = set.propose(log, at(2'000));
  BOOST_REQUIRE(p);
  BOOST_TEST(p->in_sync.size() == 2U);
}

BOOST_AUTO_TEST_CASE(below_min_copies_nobody_leaves_and_the_status_says_why) {
  Story s;
  s.closes(3);
  s.wait(100);
  s.proposes();
  s.answer(true, 8, {s.member(1), s.member(2)});
  events(s.set);
  s.closes(2);
  s.wait(100);
  BOOST_TEST(s.proposes() == "nothing");
  BOOST_TEST(
      s.set.waiting_for(s.log) ==
      "in-sync set {1,2}: replica 2 (node2) is away and min_copies 2 forbids leaving it out");
  BOOST_TEST(events(s.set) == "set_blocked\n");
  s.wait(100);
  s.proposes();
  BOOST_TEST(events(s.set) == "");  // said once
  s.streams(2, 1, 1);
  s.proposes();
  BOOST_TEST(events(s.set) == "set_unblocked\n");
}

BOOST_AUTO_TEST_CASE(at_min_copies_a_dead_member_is_swapped_for_a_live_one_in_one_step) {
  Story s;
  s.closes(3);
  s.wait(100);
  s.proposes();
  s.answer(true, 8, {s.member(1), s.member(2)});
  s.closes(2);
  s.wait(100);
  BOOST_TEST(s.proposes() == "nothing");
  s.streams(3, 1, 1);
  BOOST_TEST(s.proposes() == "v8 1@10 3@30");
  BOOST_TEST(s.set.counted().size() == 2U);  // the union, until it is answered
}

BOOST_AUTO_TEST_CASE(a_full_member_leaves_at_once) {
  Story s;
  s.full(2, 1);
  BOOST_TEST(s.proposes() == "v7 1@10 3@30");
}

BOOST_AUTO_TEST_CASE(a_full_member_that_closed_its_connection_leaves_at_once_too) {
  Story s;
  auto seen = s.report(2);
  seen.state = PeerState::disconnected;
  seen.wal_free_bytes = 0;
  s.set.see(seen, s.now);
  BOOST_TEST(s.proposes() == "v7 1@10 3@30");
}

BOOST_AUTO_TEST_CASE(a_member_nobody_has_heard_of_yet_is_not_full) {
  InSync set(assignment(), {}, at(0));
  PeerSeen seen;
  seen.replica = ReplicaId(2);
  seen.state = PeerState::connecting;
  set.see(seen, at(1));
  BOOST_TEST(!set.propose({Lsn(1), Lsn(1), Lsn{}, Lsn{}}, at(2)));
}

BOOST_AUTO_TEST_CASE(a_member_that_catches_up_makes_progress_before_it_is_proved) {
  Story s;
  s.log.head = Lsn(100);
  s.set.numbered(Lsn(1), s.now);
  s.streams(3, 100, 100);
  for (std::uint64_t lsn = 2; lsn < 10; ++lsn) {
    s.wait(1'500);
    auto seen = s.report(2);
    seen.state = PeerState::catching_up;
    seen.durable = Lsn(lsn);
    s.set.see(seen, s.now);
    BOOST_TEST(s.proposes() == "nothing");
  }
  BOOST_TEST(s.set.counted()[0].durable == Lsn(1));
}

BOOST_AUTO_TEST_CASE(a_full_member_that_cannot_be_spared_forbids_new_writes) {
  Story s(assignment(3));
  s.full(2, 1);
  BOOST_TEST(s.proposes() == "nothing");
  BOOST_TEST(s.set.full_member_stays());
  BOOST_TEST(s.set.waiting_for(s.log) ==
             "in-sync set {1,2,3}: replica 2 (node2) has a full disk and min_copies 3 forbids "
             "leaving it out");
  s.streams(2, 1, 1);
  s.proposes();
  BOOST_TEST(!s.set.full_member_stays());
}

BOOST_AUTO_TEST_CASE(proposals_that_nobody_heard_leave_no_trace) {
  Story s;
  s.closes(3);
  for (int i = 0; i < 1000; ++i) {  // The control plane is away: repeated, never answered.
    s.wait(500);
    s.proposes();
  }
  BOOST_TEST(s.answer(true, 8, {s.member(1), s.member(2)}));
  s.streams(3, 1, 1);
  BOOST_TEST(s.proposes() == "v8 1@10 2@20 3@30");
  BOOST_TEST(!s.answer(false, 8, {s.member(1), s.member(2)}));  // It has started again since.
  BOOST_TEST((s.set.standing(ReplicaId(3)) == Standing::counting));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::set_story
