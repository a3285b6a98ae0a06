// Stories of the receiver: whom it listens to, what it takes, and what it says it has.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/receiver_rig.hpp"

namespace tidemark::engine::inflow {

BOOST_AUTO_TEST_SUITE(receiver)

BOOST_AUTO_TEST_CASE(a_primary_is_answered_followed_and_acknowledged) {
  Rig r(5);
  BOOST_TEST(r.arrive() == "accept #1\n");
  BOOST_TEST(
      r.say(Probe{volume(), Epoch(1), SessionId(7)}) ==
      "answer #1 facts received=5 durable=5 checkpoint=0 committed=0 promised=1 base=complete\n");
  BOOST_TEST(r.say(AskDigest{volume(), Epoch(1), SessionId(7), Lsn(5)}) == "read_digest 5\n");
  BOOST_TEST(r.on(DigestRead{1, SessionId(7), Lsn(5), r.log.digest(Lsn(5))}) ==
             "answer #1 digest_is 5 known\n");
  BOOST_TEST(r.say(r.start(5, 8)) == "answer #1 session_ready 6\n");
  BOOST_TEST(r.turn() == "answer #1 ack received=5 durable=5\n");
  BOOST_TEST(r.say(r.records(6, 7, 3)) == "append 6..7 committed=3\n");
  BOOST_TEST(r.say(r.records(8, 8, 3)) == "append 8..8 committed=3\n");
  BOOST_TEST(r.turn() == "answer #1 ack received=8 durable=5\n");
  BOOST_TEST(r.moved(7) == "");
  BOOST_TEST(r.moved(8) == "");
  BOOST_TEST(r.turn() == "answer #1 ack received=8 durable=8\n");
  BOOST_TEST(r.turn() == "");
}

// It would only wake the primary: whoever waits there waits for the disk.
BOOST_AUTO_TEST_CASE(a_receipt_that_nobody_wants_is_left_to_the_ack_of_durability) {
  Rig r(5);
  r.follow();
  const auto unasked = [&](std::uint64_t from, std::uint64_t to) {
    auto records = r.records(from, to);
    records.receipt_wanted = false;
    return r.say(std::move(records));
  };
  BOOST_TEST(unasked(6, 7) == "append 6..7 committed=0\n");
  BOOST_TEST(r.turn() == "");
  BOOST_TEST(r.moved(7) == "");
  BOOST_TEST(r.turn() == "answer #1 ack received=7 durable=7\n");
  // Nothing new becomes durable by what it holds already: that is answered at once.
  BOOST_TEST(unasked(6, 7) == "");
  BOOST_TEST(r.turn() == "answer #1 ack received=7 durable=7\n");
  BOOST_TEST(unasked(8, 8) == "append 8..8 committed=0\n");
  BOOST_TEST(r.say(r.records(9, 9)) == "append 9..9 committed=0\n");
  BOOST_TEST(r.turn() == "answer #1 ack received=9 durable=7\n");
}

BOOST_AUTO_TEST_CASE(hellos_are_judged_before_they_are_answered) {
  const auto refused = [](auto change) {
    Rig r(5);
    auto h = r.hello();
    change(h);
    return r.on(PeerArrived{1, h});
  };
  BOOST_TEST(has(refused([](Hello& h) { h.volume = {}; }), "refuse #1 wrong_volume"));
  BOOST_TEST(has(refused([](Hello& h) { h.to = ReplicaId(3); }), "refuse #1 wrong_replica"));
  BOOST_TEST(has(refused([](Hello& h) { h.from = ReplicaId(3); }), "refuse #1 wrong_replica"));
  BOOST_TEST(has(refused([](Hello& h) { h.epoch = Epoch(2); }), "refuse #1 not_a_replica"));
  BOOST_TEST(has(refused([](Hello& h) { h.epoch = Epoch(0); }), "refuse #1 stale_epoch"));
  BOOST_TEST(has(refused([](Hello& h) { h.incarnation = Incarnation(2); }),
                 "refuse #1 stale_incarnation"));
  BOOST_TEST(has(refused([](Hello& h) { h.purpose = Purpose::bulk; }), "refuse #1 stale_session"));
  BOOST_TEST(has(refused([](Hello& h) { h.purpose = Purpose::control; }), "refuse #1 protocol"));
}

BOOST_AUTO_TEST_CASE(a_newer_connection_fences_the_older_before_it_is_answered) {
  Rig r(5);
  r.follow();
  BOOST_TEST(r.arrive(2) ==
             "refuse #1 stale_session: a newer connection took over\n"
             "accept #2\n");
  BOOST_TEST(r.say(r.records(6, 6), 1) == "");  // Said on the old link, heard by nobody.
  BOOST_TEST(r.receiver->numbers().received.value == 5u);
  BOOST_TEST(r.on(PeerGone{1, "late"}) == "");
  BOOST_TEST((r.receiver->state() == ReceiverState::ready));
}

// C10: what another log committed says nothing about ours.
BOOST_AUTO_TEST_CASE(committed_is_bounded_by_what_this_session_proved) {
  Rig r(5);
  r.follow();
  BOOST_TEST(r.say(Progress{volume(), Epoch(1), SessionId(7), Lsn(100)}) == "");
  BOOST_TEST(r.receiver->numbers().committed.value == 5u);
  BOOST_TEST(r.turn() ==
             "committed 5\n"
             "answer #1 ack received=5 durable=5\n");
  BOOST_TEST(r.say(r.records(6, 7, 100)) == "append 6..7 committed=7\n");
  r.say(Progress{volume(), Epoch(1), SessionId(7), Lsn(3)});  // It never goes back.
  BOOST_TEST(r.receiver->numbers().committed.value == 7u);
}

BOOST_AUTO_TEST_CASE(a_tail_that_is_not_the_primarys_goes_before_records_come) {
  Rig r(9);
  r.arrive();
  r.prove(6);
  BOOST_TEST(r.say(r.start(6, 12)) == "truncate 6\n");
  BOOST_TEST(r.turn() == "");
  BOOST_TEST(r.moved(9) == "");  // A late completion of the tail that goes (C15).
  BOOST_TEST(r.on(StoreStepEnded{Done{}}) == "answer #1 session_ready 7\n");
  BOOST_TEST(r.turn() == "answer #1 ack received=6 durable=6\n");
  BOOST_TEST(r.receiver->numbers().received.value == 6u);
}

BOOST_AUTO_TEST_CASE(a_session_without_equal_digest_or_below_committed_is_refused) {
  const auto refused = [](std::uint64_t prove, auto change) {
    Rig r(9);
    r.follow();
    r.say(Progress{volume(), Epoch(1), SessionId(7), Lsn(6)});
    r.arrive(1);
    if (prove != 0) r.prove(prove);
    auto s = r.start(7, 12);
    change(s);
    return r.say(s);
  };
  const auto same = [](StartSession&) {};
  BOOST_TEST(has(refused(7, same), "truncate 7"));
  BOOST_TEST(has(refused(0, same), "bad_data: the digest at 7 was not found equal"));
  BOOST_TEST(has(refused(8, same), "bad_data: the digest at 7 was not found equal"));
  BOOST_TEST(has(refused(7, [](StartSession& s) { s.digest.low ^= 1; }), "bad_data"));
  BOOST_TEST(has(refused(5, [](StartSession& s) { s.common_point = Lsn(5); }),
                 "what is committed up to 6"));
  BOOST_TEST(
      has(refused(7, [](StartSession& s) { s.common_point = Lsn(10); }), "the log ends at 9"));
  BOOST_TEST(has(refused(7, [](StartSession& s) { s.target = Lsn(6); }), "its target lies before"));
  BOOST_TEST(has(refused(7, [](StartSession& s) { s.epoch = Epoch(2); }), "protocol"));
  BOOST_TEST(has(refused(7, [](StartSession& s) { s.session = SessionId{}; }), "protocol"));
}

// C18: what a set may have committed that the control plane forgot is not cut, whatever the primary says.
BOOST_AUTO_TEST_CASE(a_session_that_cuts_what_a_forgotten_set_may_have_committed_is_refused) {
  const auto begun = [](std::uint64_t cp, Epoch forgotten) {
    Rig r(9, BaseState::complete, forgotten);
    r.arrive();
    r.prove(cp);
    return r.say(r.start(cp, 12));
  };
  BOOST_TEST(has(begun(7, Epoch(2)),
                 "bad_data: it would cut to 7 what a set that epoch 2 forgot may have committed"));
  BOOST_TEST(has(begun(9, Epoch(2)), "session_ready 10"));  // Nothing goes.
  BOOST_TEST(has(begun(7, Epoch(1)), "truncate 7"));        // Written in that reign.
  Rig r(9, BaseState::complete, Epoch(2));
  r.arrive();
  r.say(Probe{volume(), Epoch(1), SessionId(7)});
  const auto effects = r.receiver->on(PeerSaid{1, Probe{volume(), Epoch(1), SessionId(7)}});
  BOOST_REQUIRE(effects.size() == 1u);
  const auto& answer = std::get<Facts>(std::get<Answer>(effects.front()).message);
  BOOST_CHECK(answer.forgotten == Epoch(2));
}

BOOST_AUTO_TEST_CASE(everything_stale_is_refused_at_every_entry) {
  const auto said = [](auto change) {
    Rig r(5);
    r.follow();
    auto message = change(r);
    const auto text = r.say(std::move(message));
    BOOST_TEST(r.receiver->numbers().received.value == 5u);
    BOOST_TEST((r.receiver->state() == ReceiverState::waiting));
    return text;
  };
  BOOST_TEST(has(said([](Rig& r) {
                   auto m = r.records(6, 6);
                   m.session = SessionId(6);
                   return Message(m);
                 }),
                 "refuse #1 stale_session"));
  BOOST_TEST(has(said([](Rig& r) {
                   auto m = r.records(6, 6);
                   m.epoch = Epoch(0);
                   return Message(m);
                 }),
                 "refuse #1 stale_epoch"));
  BOOST_TEST(has(said([](Rig& r) {
                   auto m = r.records(6, 6);
                   m.volume = {};
                   return Message(m);
                 }),
                 "refuse #1 wrong_volume"));
  BOOST_TEST(has(said([](Rig&) {
                   return Message(Progress{volume(), Epoch(1), SessionId(6), Lsn(5)});
                 }),
                 "stale_session"));
  BOOST_TEST(has(said([](Rig&) {
                   return Message(Barrier{volume(), Epoch(1), SessionId(6), Lsn(5)});
                 }),
                 "stale_session"));
  BOOST_TEST(has(said([](Rig&) {
                   return Message(BaseZeroes{volume(), Epoch(1), SessionId(6), {}, {}});
                 }),
                 "stale_session"));
  BOOST_TEST(has(said([](Rig&) {
                   return Message(BaseZeroes{volume(), Epoch(1), SessionId(7), {}, {}});
                 }),
                 "protocol"));
  BOOST_TEST(has(said([](Rig& r) { return Message(r.start(5, 5)); }),
                 "protocol"));  // One session per link.
  BOOST_TEST(has(said([](Rig&) {
                   return Message(Probe{volume(), Epoch(1), SessionId(7)});
                 }),
                 "protocol"));
  BOOST_TEST(has(said([](Rig&) { return Message(Heartbeat{}); }), "protocol"));
}

BOOST_AUTO_TEST_CASE(gaps_forks_and_other_duplicates_end_the_session_and_equal_duplicates_do_not) {
  Rig r(5);
  r.follow();
  r.say(r.records(6, 8));
  r.turn();
  BOOST_TEST(r.say(r.records(7, 8)) == "");
  BOOST_TEST(r.turn() == "answer #1 ack received=8 durable=5\n");
  BOOST_TEST(r.say(r.records(7, 9)) == "append 9..9 committed=0\n");

  TestLog other;
  other.epoch(1, 11);
  other.grow_to(6);
  other.write(3, 99);
  Records fork{volume(), Epoch(1), SessionId(7), Lsn(0), {other.at(Lsn(7))}};
  BOOST_TEST(has(r.say(fork), "bad_data: lsn 7 again, with another content"));

  Rig gap(5);
  gap.follow();
  BOOST_TEST(has(gap.say(gap.records(7, 8)), "bad_data: lsn 7 where 6 is next"));

  Rig unchained(6);
  unchained.follow();
  other.write(4, 4);
  Records wrong{volume(), Epoch(1), SessionId(7), Lsn(0), {other.at(Lsn(8))}};
  unchained.say(unchained.records(7, 7));
  BOOST_TEST(has(unchained.say(wrong), "bad_data: lsn 8 does not continue the log by digest"));

  Rig old(5);
  old.follow();
  BOOST_TEST(has(old.say(old.records(3, 3)), "bad_data: lsn 3 again, too old to compare"));
}

BOOST_AUTO_TEST_CASE(records_beyond_the_volume_end_the_session) {
  Rig r(5);
  r.follow();
  const auto beyond = r.log.write(8, 1);
  const auto text = r.say(Records{volume(), Epoch(1), SessionId(7), Lsn(0), {beyond}});
  BOOST_TEST(has(text, "bad_data: lsn 6 covers 1 blocks from 8, the volume has 8"));
  BOOST_TEST(r.receiver->numbers().received.value == 5u);
}

BOOST_AUTO_TEST_CASE(what_stood_before_a_bad_record_in_a_frame_is_kept) {
  Rig r(5);
  r.follow();
  auto frame = r.records(6, 8);
  frame.records.erase(frame.records.begin() + 1);
  const auto text = r.say(frame);
  BOOST_TEST(has(text, "append 6..6"));
  BOOST_TEST(has(text, "lsn 8 where 7 is next"));
}

BOOST_AUTO_TEST_CASE(a_full_disk_takes_nothing_more_and_says_so) {
  Rig r(5);
  r.follow();
  r.moved(5, 3 * 8192);  // Room for three records of one block.
  const auto text = r.say(r.records(6, 10));
  BOOST_TEST(has(text, "append 6..8"));
  BOOST_TEST(has(text, "answer #1 ack received=8 durable=5 full"));
  BOOST_TEST(has(text, "refuse #1 no_space"));
  // Nor does it begin a session.
  r.arrive(1);
  r.prove(8);
  BOOST_TEST(has(r.say(r.start(8, 10)), "refuse #1 no_space"));
  // Once there is room again, it does.
  r.moved(8, plenty);
  r.arrive(1);
  r.prove(8);
  BOOST_TEST(has(r.say(r.start(8, 10)), "session_ready 9"));
}

// Connections come and go while its disk stands still, and each session brings what a credit allows.
BOOST_AUTO_TEST_CASE(no_session_begins_where_memory_is_full_of_what_earlier_ones_brought) {
  constexpr std::uint64_t many = unacknowledged_bytes_max / 8192;  // Of one block each.
  Rig r(5);
  r.follow();
  BOOST_TEST(has(r.say(r.records(6, 5 + many)), "append 6.."));
  r.arrive(1);
  r.prove(5 + many);
  BOOST_TEST(has(r.say(r.start(5 + many, 5 + many)), "refuse #1 not_yet"));
  r.moved(6, plenty);
  r.arrive(1);
  r.prove(5 + many);
  BOOST_TEST(has(r.say(r.start(5 + many, 5 + many)), "session_ready"));
}

BOOST_AUTO_TEST_CASE(undurable_records_are_counted_against_the_room) {
  Rig r(5);
  r.follow();
  r.moved(5, 4 * 8192);
  BOOST_TEST(has(r.say(r.records(6, 8)), "append 6..8"));
  BOOST_TEST(has(r.say(r.records(9, 10)), "append 9..9"));
  BOOST_TEST((r.receiver->state() == ReceiverState::waiting));
}

BOOST_AUTO_TEST_CASE(a_link_that_is_gone_ends_the_session_not_what_was_received) {
  Rig r(5);
  r.follow();
  r.say(r.records(6, 8));
  BOOST_TEST(r.on(PeerGone{1, "reset"}) == "");
  BOOST_TEST((r.receiver->state() == ReceiverState::waiting));
  BOOST_TEST(r.moved(8) == "");
  BOOST_TEST(r.turn() == "");  // Nobody is there to be told.
  r.arrive(2);
  BOOST_TEST(has(r.say(Probe{volume(), Epoch(1), SessionId(8)}, 2), "facts received=8 durable=8"));
}

// --- fences, assignments, the end ----------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_fence_cuts_the_old_reign_and_waits_until_all_received_is_durable) {
  Rig r(5);
  r.follow();
  r.say(r.records(6, 8));
  BOOST_TEST(r.on(FenceAsked{Epoch(2)}) ==
             "refuse #1 stale_epoch: fenced by a promise of epoch 2 (promised 2)\n");
  BOOST_TEST(r.moved(7) == "");
  BOOST_TEST(r.moved(8) == "answer_fence\n");
  BOOST_TEST(r.arrive(2) == "refuse #2 stale_epoch: epoch 1 is over (promised 2)\n");
}

BOOST_AUTO_TEST_CASE(a_fence_waits_for_a_truncation_under_way) {
  Rig r(9);
  r.arrive();
  r.prove(6);
  r.say(r.start(6, 12));
  BOOST_TEST(!has(r.on(FenceAsked{Epoch(2)}), "answer_fence"));
  BOOST_TEST(r.on(StoreStepEnded{Done{}}) == "answer_fence\n");
  BOOST_TEST(r.receiver->numbers().received.value == 6u);
}

BOOST_AUTO_TEST_CASE(a_newer_reign_is_followed_after_its_assignment_came) {
  Rig r(5);
  r.follow();
  r.on(FenceAsked{Epoch(2)});
  auto h = r.hello();
  h.epoch = Epoch(2);
  BOOST_TEST(has(r.on(PeerArrived{2, h}), "not_a_replica"));
  r.on(AssignmentChanged{assignment(2, 1, 2)});
  BOOST_TEST(r.on(PeerArrived{3, h}) == "accept #3\n");
}

BOOST_AUTO_TEST_CASE(a_new_version_leaves_the_session_alone_and_a_stale_assignment_everything) {
  Rig r(5);
  r.follow();
  BOOST_TEST(r.on(AssignmentChanged{assignment(1, 3, 2)}) == "");
  BOOST_TEST(r.on(AssignmentChanged{assignment(1, 2, 2)}) == "");
  BOOST_TEST((r.receiver->state() == ReceiverState::following));
  BOOST_TEST(has(r.on(AssignmentChanged{assignment(2, 1, 2)}), "refuse #1 stale_epoch"));
  BOOST_TEST(r.receiver->promised().value == 2u);
  BOOST_TEST(r.on(AssignmentChanged{assignment(1, 9, 2)}) == "");
  BOOST_TEST(r.receiver->epoch().value == 2u);
}

BOOST_AUTO_TEST_CASE(a_role_stops_when_its_disk_work_has_ended) {
  Rig r(9);
  r.arrive();
  r.prove(6);
  r.say(r.start(6, 12));
  BOOST_TEST(has(r.on(StopAsked{"moved"}), "refuse #1 shutting_down"));
  BOOST_TEST(has(r.arrive(2), "refuse #2 shutting_down"));
  BOOST_TEST(r.on(StoreStepEnded{Done{}}) == "answer_stop 0\n");
  BOOST_TEST((r.receiver->state() == ReceiverState::stopped));
  BOOST_TEST(r.on(StopAsked{"again"}) == "answer_stop 0\n");
}

BOOST_AUTO_TEST_CASE(a_broken_store_resets_the_link_and_ends_the_role) {
  Rig r(5);
  r.follow();
  r.say(r.records(6, 8));
  const auto text = r.on(StoreBroke{{Errc::io_failed, "pwrite: EIO"}});
  BOOST_TEST(has(text, "refuse #1 store_failed"));
  BOOST_TEST(has(text, "end_role"));
  BOOST_TEST(has(r.arrive(2), "refuse #2 store_failed"));
  BOOST_TEST(has(r.on(FenceAsked{Epoch(2)}), "answer_fence pwrite: EIO"));
  BOOST_TEST(has(r.on(StopAsked{"x"}), "answer_stop"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::inflow
