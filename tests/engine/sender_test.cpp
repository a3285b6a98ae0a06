// Stories of the sender: what it is told, what it asks for, line by line.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/sender_rig.hpp"

namespace tidemark::engine::outflow {

BOOST_AUTO_TEST_SUITE(sender)

BOOST_AUTO_TEST_CASE(a_replica_is_probed_caught_up_and_streams) {
  Rig r(10);
  BOOST_TEST(r.on(Started{}) ==
             "state disconnected -> connecting\n"
             "connect records #1 host2:1 epoch=1\n");
  BOOST_TEST(r.open() ==
             "state connecting -> probing\n"
             "send probe\n"
             "read_own_facts\n");
  BOOST_TEST(r.hear(r.facts(7)) == "");
  BOOST_TEST(r.on(OwnFactsRead{r.session, Lsn(1), Lsn(5)}) ==
             "send ask_digest 7\n"
             "read_own_digest 7\n"
             "read_own_digest 5\n");
  BOOST_TEST(r.digests(7, 5) ==
             "outcome_decided\n"
             "state probing -> preparing\n"
             "pin 8\n");
  BOOST_TEST(r.on(LogPinned{r.session, Done{}}) ==
             "session_started\n"
             "send start_session catch_up from=7 target=10\n");
  BOOST_TEST(r.hear(r.ready(8)) ==
             "state preparing -> catching_up\n"
             "read_records 8..10\n");
  BOOST_TEST(r.turn() ==
             "send progress committed=0\n"
             "report catching_up proved=false received=7 durable=0\n");
  BOOST_TEST(r.on(LogRecordsRead{r.session, Lsn(8), r.log.batch(8, 10)}) ==
             "send records 8..10 committed=0\n");
  BOOST_TEST(r.hear(r.ack(10, 7)) == "");
  BOOST_TEST(r.turn() == "report catching_up proved=false received=10 durable=7\n");
  BOOST_TEST(r.hear(r.ack(10, 10)) ==
             "unpin\n"
             "session_completed\n"
             "state catching_up -> streaming\n");
  BOOST_TEST(r.turn() == "report streaming proved=true received=10 durable=10\n");
  BOOST_TEST(r.numbered(11, 12, 10) == "send records 11..12 committed=10\n");
  BOOST_TEST(r.turn() == "");
}

BOOST_AUTO_TEST_CASE(a_zero_gap_is_proved_by_an_ack_not_by_the_facts) {
  Rig r(10);
  r.catch_up_from(10);
  BOOST_TEST((r.sender->state() == PeerState::catching_up));
  r.hear(r.ack(10, 9));  // It has all of it in memory, and the last record not yet on its disk.
  BOOST_TEST((r.sender->state() == PeerState::catching_up));
  r.hear(r.ack(10, 10));
  BOOST_TEST((r.sender->state() == PeerState::streaming));
}

BOOST_AUTO_TEST_CASE(the_target_is_frozen_while_the_head_moves_on) {
  Rig r(10);
  r.catch_up_from(7);
  r.numbered(11, 20);
  r.on(LogRecordsRead{r.session, Lsn(8), r.log.batch(8, 10)});
  BOOST_TEST(has(r.hear(r.ack(10, 10)), "catching_up -> streaming"));
}

BOOST_AUTO_TEST_CASE(records_beyond_the_credit_are_forgotten_and_read_later) {
  Rig r(10, 9000);  // Two records of a block.
  r.stream();
  BOOST_TEST(r.numbered(11, 14) == "send records 11..13 committed=0\n");
  BOOST_TEST(r.numbered(15, 15) == "");
  BOOST_TEST(r.hear(r.ack(11, 10)) == "");  // Not worth a read yet.
  BOOST_TEST(r.hear(r.ack(13, 10)) == "read_records 14..15\n");
  BOOST_TEST(r.numbered(16, 16) == "");
  BOOST_TEST(r.on(LogRecordsRead{r.session, Lsn(14), r.log.batch(14, 15)}) ==
             "send records 14..15 committed=0\n");
  BOOST_TEST(r.hear(r.ack(15, 10)) == "read_records 16..16\n");
}

BOOST_AUTO_TEST_CASE(
    a_receipt_is_asked_for_where_a_client_waits_and_while_records_come_from_the_log) {
  Rig r(10, 9000);  // Two records of a block.
  r.stream();
  r.log.grow_to(14);
  BOOST_TEST(r.on(RecordsAdded{r.log.batch(11, 11), Lsn(0), false}) ==
             "send records 11..11 committed=0 no_receipt\n");
  BOOST_TEST(r.on(RecordsAdded{r.log.batch(12, 13), Lsn(0), true}) ==
             "send records 12..13 committed=0\n");
  BOOST_TEST(r.on(RecordsAdded{r.log.batch(14, 14), Lsn(0), false}) == "");
  BOOST_TEST(r.hear(r.ack(13, 10)) == "read_records 14..14\n");
  BOOST_TEST(r.on(LogRecordsRead{r.session, Lsn(14), r.log.batch(14, 14)}) ==
             "send records 14..14 committed=0\n");
}

BOOST_AUTO_TEST_CASE(records_without_a_receipt_do_not_start_the_clock_of_a_silent_link) {
  for (const bool receipt_wanted : {false, true}) {
    Rig r(10);
    r.stream();
    r.log.grow_to(18);
    std::string said;
    for (std::uint64_t lsn = 11; lsn <= 18; ++lsn) {
      r.on(RecordsAdded{r.log.batch(lsn, lsn), Lsn(0), receipt_wanted});
      said += r.tick(450);  // Never idle long enough for a progress.
    }
    BOOST_TEST(has(said, "session_ended") == receipt_wanted);
  }
}

// At depth 1 telling it at once would cost both sides as much as the write itself.
BOOST_AUTO_TEST_CASE(committed_travels_with_records_or_soon_after) {
  Rig r(10);
  r.stream();
  BOOST_TEST(r.on(RecordsAdded{nullptr, Lsn(9)}) == "");
  BOOST_TEST(r.turn() == "");
  r.tick(4);
  BOOST_TEST(r.on(RecordsAdded{nullptr, Lsn(10)}) == "");
  BOOST_TEST(r.turn() == "");
  r.tick(1);
  BOOST_TEST(r.turn() == "send progress committed=10\n");
  r.tick(5);
  BOOST_TEST(r.turn() == "");
  r.on(RecordsAdded{nullptr, Lsn(10)});
  r.tick(5);
  BOOST_TEST(r.turn() == "");
}

BOOST_AUTO_TEST_CASE(an_idle_link_hears_the_numbers_and_silence_ends_it) {
  Rig r(10);
  r.stream();
  BOOST_TEST(r.tick(499) == "");
  BOOST_TEST(r.turn() == "");
  r.tick(1);
  BOOST_TEST(r.turn() == "send progress committed=0\n");
  r.hear(r.ack(10, 10));  // A sign of life.
  r.tick(500);
  BOOST_TEST(r.turn() == "send progress committed=0\n");
  BOOST_TEST(r.tick(2999) == "");
  r.turn();
  BOOST_TEST(r.tick(1) ==
             "session_ended link_silent\n"
             "close records #1\n"
             "state streaming -> disconnected\n");
  BOOST_TEST(r.turn() == "report disconnected proved=false received=0 durable=10\n");
}

BOOST_AUTO_TEST_CASE(a_link_that_goes_down_is_told_at_once_and_retried_with_back_off) {
  Rig r(10);
  r.stream();
  BOOST_TEST(r.on(LinkClosed{Lane::records, r.link, "reset"}) ==
             "session_ended link_down\n"
             "close records #1\n"
             "state streaming -> disconnected\n");
  BOOST_TEST(r.turn() == "report disconnected proved=false received=0 durable=10\n");
  std::vector<std::uint64_t> delays;
  for (int i = 0; i < 9; ++i) {
    const auto due = *r.sender->wake_at();
    delays.push_back((due - MonoTime(r.now)) / millisecond);
    r.now = due.value;
    BOOST_TEST(has(r.on(Ticked{}), "connect records"));
    BOOST_TEST(r.on(ConnectFailed{Lane::records, r.link, {Errc::unavailable, "refused"}}) ==
               fmt::format("{}close records #{}\nstate connecting -> disconnected\n",
                           i == 0 ? "connect_failed\n" : "",
                           r.link));  // The same reason is told once.
  }
  // With the least jitter: half of 10, 20, ... up to half of a second.
  BOOST_TEST(delays == (std::vector<std::uint64_t>{5, 10, 20, 40, 80, 160, 320, 500, 500}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_refusal_at_the_greeting_tells_of_a_later_reign) {
  Rig r(10);
  r.on(Started{});
  const Error error{Errc::refused, "stale_epoch: epoch 1 is over"};
  r.on(ConnectFailed{Lane::records, r.link, error, Epoch(1)});
  BOOST_TEST(!has(r.turn(), "promised"));
  r.now = r.sender->wake_at()->value;
  r.on(Ticked{});
  r.on(ConnectFailed{Lane::records, r.link, error, Epoch(5)});
  BOOST_TEST(has(r.turn(), "promised=5"));
}

BOOST_AUTO_TEST_CASE(jitter_stays_within_the_delay) {
  for (const std::uint64_t random : {0ull, 1ull, 123456789ull, ~0ull}) {
    Rig r(10);
    r.on(Started{});
    (void)r.sender->on(ConnectFailed{Lane::records, r.link, {}}, {MonoTime(r.now), random});
    const auto delay = *r.sender->wake_at() - MonoTime(r.now);
    BOOST_TEST(delay >= 5 * millisecond);
    BOOST_TEST(delay <= 10 * millisecond);
  }
}

// C15: what another session, another reign or another link says changes nothing.
BOOST_AUTO_TEST_CASE(everything_stale_is_dropped_at_every_entry) {
  Rig r(10);
  r.catch_up_from(7);
  const auto status = [&] {
    return fmt::format("{} {}", r.sender->status(MonoTime(r.now)).durable,
                       r.sender->wants_turn_end());
  };
  const auto before = status();
  const SessionId old(r.session.value - 1);
  const auto digest = r.log.digest(Lsn(7));
  auto other_epoch = r.ack(7, 7);
  other_epoch.epoch = Epoch(2);
  auto other_session = r.ack(7, 7);
  other_session.session = old;
  auto old_facts = r.facts(7);
  old_facts.session = old;
  BOOST_TEST(r.hear(other_epoch) == "");
  BOOST_TEST(r.hear(other_session) == "");
  BOOST_TEST(r.hear(old_facts) == "");
  BOOST_TEST(r.hear(DigestIs{volume(), Epoch(1), old, Lsn(7), digest}) == "");
  BOOST_TEST(r.hear(SessionReady{volume(), Epoch(1), old, Lsn(8)}) == "");
  BOOST_TEST(r.hear(BarrierReached{volume(), Epoch(1), old, Lsn(8)}) == "");
  BOOST_TEST(r.hear(BaseWhole{volume(), Epoch(1), old, Lsn(8)}) == "");
  BOOST_TEST(r.on(OwnFactsRead{old, Lsn(1), Lsn(0)}) == "");
  BOOST_TEST(r.on(OwnDigestRead{old, Lsn(7), digest}) == "");
  BOOST_TEST(r.on(LogPinned{old, Error{Errc::io_failed, "x"}}) == "");
  BOOST_TEST(r.on(SourceFailed{old, {Errc::io_failed, "x"}}) == "");
  BOOST_TEST(r.on(LogRecordsRead{old, Lsn(8), Error{Errc::io_failed, "x"}}) == "");
  BOOST_TEST(r.on(BaseRunRead{old, {}, Error{Errc::io_failed, "x"}}) == "");
  // Links that are over, or were never asked for.
  BOOST_TEST(r.on(MessageArrived{Lane::records, r.link + 1, r.ack(7, 7)}) == "");
  BOOST_TEST(r.on(MessageArrived{Lane::bulk, 0, r.ack(7, 7)}) == "");
  BOOST_TEST(r.on(LinkClosed{Lane::records, r.link + 1, "old"}) == "");
  BOOST_TEST(r.on(ConnectFailed{Lane::bulk, 9, {}}) == "");
  BOOST_TEST(r.on(LinkOpened{Lane::records, r.link + 1, node(2), Incarnation(1)}) ==
             "close records #2\n");
  BOOST_TEST(status() == before);
  r.hear(r.ack(7, 7));
  BOOST_TEST(status() != before);
  BOOST_TEST((r.sender->state() == PeerState::catching_up));
}

BOOST_AUTO_TEST_CASE(an_ack_with_another_digest_is_an_incident) {
  Rig r(10);
  r.stream();
  r.numbered(11, 11);
  auto ack = r.ack(11, 11);
  ack.digest.low ^= 1;
  BOOST_TEST(r.hear(ack) ==
             "session_ended digest_mismatch\n"
             "close records #1\n"
             "state streaming -> disconnected\n");
}

BOOST_AUTO_TEST_CASE(an_ack_of_what_was_never_sent_ends_the_session) {
  Rig r(10);
  r.stream();
  auto ack = r.ack(10, 10);
  ack.received = ack.durable = Lsn(11);
  BOOST_TEST(has(r.hear(ack), "session_ended bad_answer"));
}

BOOST_AUTO_TEST_CASE(what_no_replica_says_ends_the_session) {
  Rig r(10);
  r.stream();
  BOOST_TEST(has(r.hear(Heartbeat{}), "session_ended bad_answer"));
}

// Every way out of a session that asked for a pin gives it back exactly once.
BOOST_AUTO_TEST_CASE(pins_come_back_once_on_every_exit) {
  using Exit = std::function<std::string(Rig&)>;
  const std::vector<std::pair<std::string, Exit>> exits = {
      {"link_down",
       [](Rig& r) {
         return r.on(LinkClosed{Lane::records, r.link, "reset"});
       }},
      {"link_silent",
       [](Rig& r) {
         r.tick(500);
         r.turn();
         return r.tick(3000);
       }},
      {"refused",
       [](Rig& r) {
         return r.hear(Refused{RefusalCode::bad_data, "no", {}});
       }},
      {"bad_answer", [](Rig& r) { return r.hear(r.ready(99)); }},
      {"source_failed",
       [](Rig& r) {
         return r.on(SourceFailed{r.session, {Errc::io_failed, "dead"}});
       }},
      {"pin_failed",
       [](Rig& r) {
         return r.on(LogPinned{r.session, Error{Errc::out_of_window, "gone"}});
       }},
      {"log_gone",
       [](Rig& r) {
         return r.on(LogRecordsRead{r.session, Lsn(8), Error{Errc::out_of_window, ""}});
       }},
      {"new epoch", [](Rig& r) { return r.on(AssignmentChanged{assignment(2)}); }},
      {"new endpoint",
       [](Rig& r) {
         auto a = assignment(1, 2);
         a.members[1].endpoint = "elsewhere:1";
         return r.on(AssignmentChanged{a});
       }},
      {"removed",
       [](Rig& r) {
         auto a = assignment(1, 2);
         a.members.pop_back();
         return r.on(AssignmentChanged{a});
       }},
      {"stopped", [](Rig& r) { return r.on(StopRequested{}); }},
      {"done",
       [](Rig& r) {
         r.on(LogRecordsRead{r.session, Lsn(8), r.log.batch(8, 10)});
         return r.hear(r.ack(10, 10));
       }},
  };
  for (const auto& [name, exit] : exits) {
    Rig r(10);
    r.catch_up_from(7);
    auto text = exit(r);
    text += r.on(LinkClosed{Lane::records, r.link, "later"});
    text += r.on(StopRequested{});
    BOOST_TEST(count(text, "unpin\n") == 1u, name << ": " << text);
  }
}

BOOST_AUTO_TEST_CASE(a_pin_that_fails_ends_the_session_before_it_starts) {
  Rig r(10);
  r.on(Started{});
  r.open();
  r.probe(r.facts(7));
  r.digests(7);
  BOOST_TEST(r.on(LogPinned{r.session, Error{Errc::out_of_window, "gone"}}) ==
             "unpin\n"
             "session_ended pin_failed\n"
             "close records #1\n"
             "state preparing -> disconnected\n");
}

BOOST_AUTO_TEST_CASE(a_stale_assignment_is_refused_whole) {
  Rig r(10);
  r.on(AssignmentChanged{assignment(1, 3)});
  r.stream();
  auto stale = assignment(1, 2);
  stale.members.pop_back();
  BOOST_TEST(r.on(AssignmentChanged{stale}) == "");
  BOOST_TEST((r.sender->state() == PeerState::streaming));
}

BOOST_AUTO_TEST_CASE(the_same_assignment_twice_and_a_new_version_leave_a_session_alone) {
  Rig r(10);
  r.stream();
  BOOST_TEST(r.on(AssignmentChanged{assignment(1, 1)}) == "");
  BOOST_TEST(r.on(AssignmentChanged{assignment(1, 2)}) == "");
  BOOST_TEST((r.sender->state() == PeerState::streaming));
}

BOOST_AUTO_TEST_CASE(a_new_endpoint_ends_streaming_and_needs_new_proof) {
  Rig r(10);
  r.stream();
  auto moved = assignment(1, 2);
  moved.members[1].endpoint = "elsewhere:1";
  BOOST_TEST(r.on(AssignmentChanged{moved}) ==
             "session_ended reassigned_endpoint\n"
             "close records #1\n"
             "state streaming -> disconnected\n"
             "state disconnected -> connecting\n"
             "connect records #2 elsewhere:1 epoch=1\n");
  BOOST_TEST(has(r.turn(), "proved=false"));
}

BOOST_AUTO_TEST_CASE(a_new_epoch_ends_streaming_and_forgets_what_was_proved) {
  Rig r(10);
  r.stream();
  BOOST_TEST(has(r.on(AssignmentChanged{assignment(2)}), "session_ended reassigned_epoch"));
  BOOST_TEST(r.turn() == "report connecting proved=false received=0 durable=0\n");
}

BOOST_AUTO_TEST_CASE(a_stopped_sender_does_nothing_any_more) {
  Rig r(10);
  r.stream();
  r.on(StopRequested{});
  BOOST_TEST(r.numbered(11, 11, 10) == "");
  BOOST_TEST(r.on(AssignmentChanged{assignment(2)}) == "");
  BOOST_TEST(r.on(Started{}) == "");
  BOOST_TEST(r.tick(100'000) == "");
  BOOST_TEST(r.on(StopRequested{}) == "");
  BOOST_TEST(r.hear(r.ack(10, 10)) == "");
  BOOST_TEST(!r.sender->wake_at().has_value());
  BOOST_TEST(!r.sender->wants_turn_end());
}

BOOST_AUTO_TEST_CASE(a_replica_with_a_higher_promise_ends_our_reign) {
  Rig r(10);
  r.on(Started{});
  r.open();
  auto f = r.facts(7);
  f.promised = Epoch(2);
  r.probe(f);
  BOOST_TEST(r.digests(7) ==
             "outcome_decided\n"
             "session_ended promised_higher\n"
             "close records #1\n"
             "state probing -> disconnected\n");
  BOOST_TEST(has(r.turn(), "promised=2"));
}

BOOST_AUTO_TEST_CASE(a_refusal_for_a_stale_epoch_carries_the_promise_to_the_volume) {
  Rig r(10);
  r.stream();
  BOOST_TEST(has(r.hear(Refused{RefusalCode::stale_epoch, "over", Epoch(3)}),
                 "session_ended promised_higher"));
  BOOST_TEST(has(r.turn(), "promised=3"));
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_told_with_no_room) {
  Rig r(10);
  r.stream();
  BOOST_TEST(r.sender->status(MonoTime(r.now)).reason ==
             fmt::format("in line since session {}", r.session));
  auto full = r.ack(10, 10);
  full.wal_free_bytes = 0;
  r.hear(full);
  BOOST_TEST(r.sender->wants_turn_end());
  r.hear(Refused{RefusalCode::no_space, "full", {}});
  BOOST_TEST(r.sender->status(MonoTime(r.now)).reason ==
             "refused_by_peer: replica 2 (node2 at host2:1) refused with no_space: full");
}

BOOST_AUTO_TEST_CASE(what_an_operator_must_see_is_refused_and_asked_again) {
  Rig r(10);
  r.on(Started{});
  r.open();
  auto f = r.facts(7);
  f.base = BaseState::damaged;
  f.damage = "block 3";
  r.probe(f);
  BOOST_TEST(has(r.digests(7), "state probing -> refused"));
  BOOST_TEST(has(r.sender->status(MonoTime(r.now)).reason, "block 3"));
  BOOST_TEST(has(r.tick(1000), "state refused -> connecting"));
}

BOOST_AUTO_TEST_CASE(a_session_without_progress_is_given_up_inside_the_stream) {
  Rig r(10);
  r.catch_up_from(7);
  for (int i = 0; i < 59; ++i) {
    r.tick(500);
    r.turn();
    BOOST_TEST(r.hear(r.ack(7, 6)) == "");  // Alive, but its disk takes nothing.
  }
  BOOST_TEST((r.sender->state() == PeerState::catching_up));
  r.tick(500);
  r.turn();
  r.hear(r.ack(7, 6));
  BOOST_TEST(has(r.tick(1), "session_ended budget_stalled"));
}

BOOST_AUTO_TEST_CASE(a_replica_below_what_it_acknowledged_has_lost_data) {
  Rig r(10);
  r.stream();
  r.on(LinkClosed{Lane::records, r.link, "reset"});
  r.tick(1000);
  r.open();
  auto f = r.facts(8);
  f.base = BaseState::complete;
  r.probe(f);
  r.digests(8);
  BOOST_TEST(has(r.sender->status(MonoTime(r.now)).outcome, "acknowledged_records_lost"));
  BOOST_TEST((r.sender->status(MonoTime(r.now)).kind == SessionKind::rebuild));
}

BOOST_AUTO_TEST_CASE(state_changes_are_those_of_the_table) {
  std::string moves;
  for (int from = 0; from <= static_cast<int>(PeerState::stopped); ++from) {
    for (int to = 0; to <= static_cast<int>(PeerState::stopped); ++to) {
      if (outflow::allowed(static_cast<PeerState>(from), static_cast<PeerState>(to))) {
        moves += fmt::format("{}{} ", from, to);
      }
    }
  }
  BOOST_TEST(moves == "01 08 10 12 18 20 23 27 28 30 34 35 38 40 46 48 50 56 58 60 68 70 71 78 ");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::outflow
