// Stories of a rebuild as the sender sees it: base blocks and records side by side,
// and one barrier at the end.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/sender_rig.hpp"

namespace tidemark::engine::outflow {
namespace {

/// Log 1..20, retained from 11, checkpoint 12: a replica that ends at 3 must be rebuilt.
void rebuild_up_to_ready(Rig& r) {
  r.on(Started{});
  r.open();
  r.probe(r.facts(3), 11, 12);
  r.digests(3, 12);
  r.on(LogPinned{r.session, Done{}});
  r.hear(r.ready(13));
}

AskBase ask(const Rig& r, std::vector<BlockRange> ranges) {
  return {volume(), Epoch(1), r.session, std::move(ranges)};
}
BlockRange range(std::uint64_t first, std::uint64_t count) { return {BlockIndex(first), count}; }

BasePiece base(std::uint64_t first, std::uint64_t count, std::uint64_t flush) {
  return {{BlockIndex(first), count},
          std::vector<BlockSum>(count, 1),
          zeros(count * block_bytes),
          Lsn(flush)};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sender_rebuild)

BOOST_AUTO_TEST_CASE(a_rebuild_runs_two_lanes_and_ends_with_a_witnessed_barrier) {
  Rig r(20);
  r.on(Started{});
  r.open();
  r.probe(r.facts(3), 11, 12);
  BOOST_TEST(r.digests(3, 12) ==
             "outcome_decided\n"
             "state probing -> preparing\n"
             "pin 13\n");
  BOOST_TEST(r.on(LogPinned{r.session, Done{}}) ==
             "session_started\n"
             "send start_session rebuild all from=12 target=20\n");
  auto ready = r.ready(13);
  ready.missing_blocks = 8;
  BOOST_TEST(r.hear(ready) ==
             "state preparing -> rebuilding\n"
             "connect bulk #2 host2:1 epoch=1\n"
             "read_records 13..20\n");
  r.turn();
  BOOST_TEST(r.on(LinkOpened{Lane::bulk, r.bulk, node(2), Incarnation(4)}) == "");
  BOOST_TEST(r.on(LogRecordsRead{r.session, Lsn(13), r.log.batch(13, 20)}) ==
             "send records 13..20 committed=0\n");
  BOOST_TEST(r.hear(ask(r, {range(0, 8)}), Lane::bulk) == "read_base [0,8)\n");
  BOOST_TEST(r.on(BaseRunRead{r.session, range(0, 8), base(0, 5, 19)}) ==
             "send bulk base_blocks [0,5)\n"
             "read_base [5,8)\n");
  BOOST_TEST(r.numbered(21, 25) == "send records 21..25 committed=0\n");
  BOOST_TEST(
      r.on(BaseRunRead{r.session, range(5, 3), BasePiece{{BlockIndex(5), 3}, {}, {}, Lsn(22)}}) ==
      "send bulk base_zeroes [5,8)\n");
  BOOST_TEST(r.hear(BaseWhole{volume(), Epoch(1), r.session, Lsn(22)}, Lane::bulk) ==
             "send barrier 25\n");
  r.hear(r.ack(25, 25));
  BOOST_TEST(has(r.turn(), "report rebuilding proved=false received=25 durable=0"));
  BOOST_TEST(r.hear(BarrierReached{volume(), Epoch(1), r.session, Lsn(25)}) ==
             "unpin\n"
             "session_completed\n"
             "state rebuilding -> streaming\n"
             "close bulk #2\n");
  BOOST_TEST(r.turn() == "report streaming proved=true received=25 durable=25\n");
  const auto s = r.sender->status(MonoTime(r.now));
  BOOST_TEST(s.session_base_blocks == 8u);
  BOOST_TEST(s.session_base_blocks_all == 8u);
  BOOST_TEST(s.session_payload_bytes == (5 + 13) * block_bytes);
}

BOOST_AUTO_TEST_CASE(a_source_says_what_its_extents_come_to_or_why_it_cannot) {
  for (const bool can : {true, false}) {
    Rig r(20);
    rebuild_up_to_ready(r);
    r.on(LinkOpened{Lane::bulk, r.bulk, node(2), Incarnation(4)});
    const AskBaseSums ask_sums{volume(), Epoch(1), r.session, Lsn(14), 1024, {0, 2}};
    BOOST_TEST(r.hear(ask_sums, Lane::bulk) == "read_group_sums at=14 of 2 groups\n");
    BOOST_TEST(r.on(GroupSumsRead{SessionId(99), GroupSums{Lsn(15), {7, 8}}}) == "");
    Result<GroupSums> read = GroupSums{Lsn(15), {7, 8}};
    if (!can) read = Error{Errc::unavailable, "committed up to 3"};
    BOOST_TEST(r.on(GroupSumsRead{r.session, read}) ==
               (can ? "send bulk base_sums at=15 of 2 groups\n"
                    : "send bulk base_sums at=0 of 0 groups: committed up to 3\n"));
  }
}

BOOST_AUTO_TEST_CASE(sums_asked_for_while_blocks_are_on_their_way_end_the_rebuild) {
  Rig r(20);
  rebuild_up_to_ready(r);
  r.on(LinkOpened{Lane::bulk, r.bulk, node(2), Incarnation(4)});
  r.hear(ask(r, {range(0, 8)}), Lane::bulk);
  const AskBaseSums ask_sums{volume(), Epoch(1), r.session, Lsn(14), 1024, {0}};
  BOOST_TEST(has(r.hear(ask_sums, Lane::bulk), "session_ended bad_answer"));
}

BOOST_AUTO_TEST_CASE(a_barrier_that_no_ack_witnessed_is_not_believed) {
  Rig r(20);
  rebuild_up_to_ready(r);
  r.on(LinkOpened{Lane::bulk, r.bulk, node(2), Incarnation(4)});
  r.on(LogRecordsRead{r.session, Lsn(13), r.log.batch(13, 20)});
  r.hear(BaseWhole{volume(), Epoch(1), r.session, Lsn(19)}, Lane::bulk);
  r.hear(r.ack(20, 19));
  BOOST_TEST(has(r.hear(BarrierReached{volume(), Epoch(1), r.session, Lsn(20)}),
                 "session_ended bad_answer"));
}

BOOST_AUTO_TEST_CASE(losing_the_bulk_link_ends_the_rebuild_in_one_step) {
  Rig r(20);
  rebuild_up_to_ready(r);
  r.on(LinkOpened{Lane::bulk, r.bulk, node(2), Incarnation(4)});
  BOOST_TEST(r.on(LinkClosed{Lane::bulk, r.bulk, "reset"}) ==
             "unpin\n"
             "session_ended link_down\n"
             "close bulk #2\n"
             "close records #1\n"
             "state rebuilding -> disconnected\n");
  // What it had proved before is void: it is being rebuilt (C13).
  BOOST_TEST(r.turn() == "report disconnected proved=false received=0 durable=0\n");
}

BOOST_AUTO_TEST_CASE(a_base_that_cannot_be_read_ends_the_rebuild_with_its_cause) {
  Rig r(20);
  rebuild_up_to_ready(r);
  r.on(LinkOpened{Lane::bulk, r.bulk, node(2), Incarnation(4)});
  r.hear(ask(r, {range(0, 8)}), Lane::bulk);
  BOOST_TEST(has(r.on(BaseRunRead{r.session, range(0, 8), Error{Errc::io_failed, "extent 0"}}),
                 "session_ended source_failed"));
}

BOOST_AUTO_TEST_CASE(a_question_that_may_not_be_ends_the_rebuild) {
  const auto asked = [](Message (*make)(const Rig&)) {
    Rig r(20);
    rebuild_up_to_ready(r);
    r.on(LinkOpened{Lane::bulk, r.bulk, node(2), Incarnation(4)});
    return r.hear(make(r), Lane::bulk);
  };
  BOOST_TEST(
      has(asked([](const Rig& r) { return Message(ask(r, {range(volume_blocks_max - 1, 2)})); }),
          "session_ended bad_answer"));
  BOOST_TEST(has(asked([](const Rig& r) {
                   return Message(BaseWhole{volume(), Epoch(1), r.session, Lsn(21)});
                 }),
                 "session_ended bad_answer"));
}

BOOST_AUTO_TEST_CASE(what_only_a_rebuild_says_ends_a_catch_up) {
  const auto said = [](Message (*make)(const Rig&)) {
    Rig r(10);
    r.catch_up_from(7);
    return r.hear(make(r));
  };
  for (const auto make : {
           +[](const Rig& r) { return Message(ask(r, {range(0, 8)})); },
           +[](const Rig& r) {
             return Message(BaseWhole{volume(), Epoch(1), r.session, Lsn(10)});
           },
           +[](const Rig& r) {
             return Message(AskBaseSums{volume(), Epoch(1), r.session, Lsn(10), 1024, {0}});
           },
           +[](const Rig& r) {
             return Message(TouchedNoted{volume(), Epoch(1), r.session});
           },
           +[](const Rig& r) {
             return Message(BarrierReached{volume(), Epoch(1), r.session, Lsn(7)});
           },
       }) {
    BOOST_TEST(said(make) ==
               "unpin\n"
               "session_ended bad_answer\n"
               "close records #1\n"
               "state catching_up -> disconnected\n");
  }
}

BOOST_AUTO_TEST_CASE(what_ends_a_catch_up_does_not_end_a_rebuild) {
  Rig r(20);
  rebuild_up_to_ready(r);
  r.on(LogRecordsRead{r.session, Lsn(13), r.log.batch(13, 20)});
  BOOST_TEST(!has(r.hear(r.ack(20, 20)), "session_completed"));  // The target, and no base.
  BOOST_TEST(has(r.turn(), "report rebuilding proved=false received=20 durable=0"));
}

BOOST_AUTO_TEST_CASE(a_delta_compares_where_touched_blocks_are_known_and_names_them_all) {
  Rig r(20);
  r.touched = Lsn(2);
  r.on(Started{});
  r.open();
  BOOST_TEST(r.probe(r.facts(3), 11, 12) ==
             "find_touched 3\n"
             "send ask_digest 2\n"
             "read_own_digest 12\n");
  r.hear(DigestIs{volume(), Epoch(1), r.session, Lsn(2), r.log.digest(Lsn(2))});
  BOOST_TEST(r.on(OwnDigestRead{r.session, Lsn(12), r.log.digest(Lsn(12))}) ==
             "outcome_decided\n"
             "state probing -> preparing\n"
             "pin 13\n");
  BOOST_TEST(r.on(LogPinned{r.session, Done{}}) ==
             "session_started\n"
             "send start_session rebuild touched from=12 target=20\n"
             "read_touched 2 from 0\n");
  std::vector<BlockRange> many;
  for (std::uint64_t i = 0; i < touched_ranges_max; ++i) many.push_back(range(2 * i, 1));
  BOOST_TEST(count(r.on(TouchedRead{r.session, many}), "\n") == 1u);  // One on its way at a time.
  BOOST_TEST(r.hear(TouchedNoted{volume(), Epoch(1), r.session}) ==
             fmt::format("read_touched 2 from {}\n", 2 * touched_ranges_max - 1));
  BOOST_TEST(r.on(TouchedRead{r.session, std::vector<BlockRange>{range(9000, 4)}}) ==
             "send touched [9000,9004) last\n");
}

BOOST_AUTO_TEST_CASE(a_replica_whose_log_differs_at_the_boundary_gets_no_delta) {
  Rig r(20);
  r.touched = Lsn(2);
  r.on(Started{});
  r.open();
  r.probe(r.facts(3), 11, 12);
  r.on(OwnDigestRead{r.session, Lsn(12), r.log.digest(Lsn(12))});
  r.hear(DigestIs{volume(), Epoch(1), r.session, Lsn(2), std::nullopt});
  BOOST_TEST(has(r.on(LogPinned{r.session, Done{}}), "start_session rebuild all"));
}

BOOST_AUTO_TEST_CASE(an_interrupted_rebuild_goes_on_behind_the_replicas_log) {
  Rig r(20);
  r.on(Started{});
  r.open();
  auto facts = r.facts(15);
  facts.base = BaseState::incomplete;
  facts.checkpoint = Lsn(12);
  facts.rebuild = BaseProgress{Epoch(1), Lsn(17), 3};
  r.probe(facts, 11, 18);
  r.digests(15, 18);
  BOOST_TEST(r.on(LogPinned{r.session, Done{}}) ==
             "session_started\n"
             "send start_session rebuild rest from=15 target=20\n");
  BOOST_TEST(has(r.hear(r.ready(16)), "state preparing -> rebuilding\n"));
}

BOOST_AUTO_TEST_CASE(unequal_digests_are_never_guessed_at) {
  Rig r(10);
  r.on(Started{});
  r.open();
  r.probe(r.facts(7));
  r.on(OwnDigestRead{r.session, Lsn(7), r.log.digest(Lsn(7))});
  r.on(OwnDigestRead{r.session, Lsn(0), Digest{}});
  BOOST_TEST(r.hear(DigestIs{volume(), Epoch(1), r.session, Lsn(7), Digest{6, 6}}) ==
             "read_own_digests 0..7 (8)\n");
  std::vector<DigestAt> points;
  for (std::uint64_t lsn = 0; lsn <= 7; ++lsn) points.push_back({Lsn(lsn), r.log.digest(Lsn(lsn))});
  BOOST_TEST(r.on(OwnDigestsRead{r.session, Lsn(0), points}) == "send ask_digests 0..7 (8)\n");
  BOOST_TEST(r.on(OwnDigestsRead{r.session, Lsn(0), points}) == "");  // Said twice.
  points[6].digest = points[7].digest = {6, 6};
  const auto text = r.hear(Digests{volume(), Epoch(1), r.session, Lsn(0), points});
  BOOST_TEST(text == "log_diverged\noutcome_decided\nstate probing -> preparing\npin 1\n");
  BOOST_TEST(
      has(r.sender->status(MonoTime(r.now)).outcome,
          "digests_unequal_touched: histories agree up to 7 and the digests at 7 do not; they "
          "are equal at 5, and what both touched behind it is known"));
  BOOST_TEST(has(r.on(LogPinned{r.session, Done{}}),
                 "start_session rebuild touched from=0 target=10 parts_at=5\n"));
}

BOOST_AUTO_TEST_CASE(a_replica_whose_unequal_log_shares_no_known_digest_is_copied_whole) {
  Rig r(10);
  r.on(Started{});
  r.open();
  r.probe(r.facts(7));
  r.on(OwnDigestRead{r.session, Lsn(7), r.log.digest(Lsn(7))});
  r.on(OwnDigestRead{r.session, Lsn(0), Digest{}});
  r.hear(DigestIs{volume(), Epoch(1), r.session, Lsn(7), Digest{6, 6}});
  r.on(OwnDigestsRead{r.session, Lsn(0), {{Lsn(3), r.log.digest(Lsn(3))}}});
  BOOST_TEST(has(r.hear(Digests{volume(), Epoch(1), r.session, Lsn(7), {}}), "log_diverged"));
  BOOST_TEST(has(r.on(LogPinned{r.session, Done{}}), "start_session rebuild all from=0"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::outflow
