// Stories of a rebuild as the receiver sees it:
// two lanes, a barrier, and a base that is incomplete until then.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/receiver_rig.hpp"

namespace tidemark::engine::inflow {
namespace {

BaseBegun begun(std::uint64_t flush_lsn, std::uint64_t missing) {
  return {BaseProgress{Epoch(1), Lsn(flush_lsn), missing}};
}

/// Connected for a rebuild whose base is LSN 4 of the primary's log.
void rebuild_from_4(Rig& r) {
  r.arrive();
  r.say(r.start(4, 6, SessionKind::rebuild));
  r.on(begun(0, 8));
  r.on(PeerArrived{2, r.hello(Purpose::bulk)});
  r.turn();
}

/// Of what was touched behind LSN 2, where the digests were found equal.
StartSession delta(Rig& r) {
  r.prove(2);
  auto start = r.start(4, 6, SessionKind::rebuild);
  start.scope = BaseScope::touched;
  start.touched_from = Lsn(2);
  start.touched_digest = r.log.digest(Lsn(2));
  return start;
}

/// All eight blocks were found missing and asked for.
void ask_for_all(Rig& r) { r.on(MissingFound{SessionId(7), {{BlockIndex(0), 8}}, BlockIndex(8)}); }

BaseBlocks blocks(std::uint64_t first, std::uint64_t count, std::uint64_t flush = 4) {
  return {volume(),
          Epoch(1),
          SessionId(7),
          {BlockIndex(first), count},
          Lsn(flush),
          std::vector<BlockSum>(count, 1),
          zeros(count * block_bytes)};
}

ComparisonPrepared prepared(std::uint64_t at) {
  return {SessionId(7), BaseQuestion{Lsn(at), base_group_blocks_min, {0, 3}}};
}
BaseSums sums(std::uint64_t lsn, std::vector<std::uint64_t> of_groups) {
  return {volume(), Epoch(1), SessionId(7), Lsn(lsn), std::move(of_groups), ""};
}
BaseCompared compared(std::vector<BlockRange> unequal) {
  return {SessionId(7), std::move(unequal)};
}

/// All is copied, and what was is to be compared.
void copy_all(Rig& r) {
  rebuild_from_4(r);
  ask_for_all(r);
  r.on(MissingFound{SessionId(7), {}, {}});
  r.say(blocks(0, 8), 2);
  r.on(BaseRunWritten{Done{}});
  BOOST_TEST(r.on(MissingFound{SessionId(7), {}, {}}) == "prepare_comparison\n");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(receiver_rebuild)

BOOST_AUTO_TEST_CASE(a_rebuild_takes_two_lanes_and_answers_its_barrier_when_all_is_durable) {
  Rig r(2, BaseState::incomplete);
  r.log.grow_to(10);
  r.arrive();
  BOOST_TEST(r.say(r.start(4, 6, SessionKind::rebuild)) == "begin_base all 4\n");
  BOOST_TEST(r.on(begun(0, 8)) == "answer #1 session_ready 5 missing=8\n");
  BOOST_TEST(r.turn() == "answer #1 ack received=4 durable=4\n");
  BOOST_TEST(r.on(PeerArrived{2, r.hello(Purpose::bulk)}) ==
             "accept #2\n"
             "find_missing 0 max=2048\n");
  BOOST_TEST(r.on(MissingFound{SessionId(7), {{BlockIndex(0), 8}}, BlockIndex(8)}) ==
             "answer #2 ask_base [0,8)\n"
             "find_missing 8 max=2040\n");
  BOOST_TEST(r.on(MissingFound{SessionId(7), {}, {}}) == "");
  BOOST_TEST(r.say(r.records(5, 6, 4)) == "append 5..6 committed=4\n");
  BOOST_TEST(r.say(blocks(0, 5), 2) == "write_base [0,5)\n");
  BOOST_TEST(r.say(BaseZeroes{volume(), Epoch(1), SessionId(7), {BlockIndex(5), 3}, Lsn(6)}, 2) ==
             "write_base [5,8) zeros\n");
  r.on(BaseRunWritten{Done{}});
  BOOST_TEST(r.turn() == "answer #1 ack received=6 durable=4\n");
  BOOST_TEST(r.on(BaseRunWritten{Done{}}) == "find_missing 0 max=2048\n");
  BOOST_TEST(r.on(MissingFound{SessionId(7), {}, {}}) == "prepare_comparison\n");
  BOOST_TEST(r.on(prepared(6)) == "answer #2 ask_base_sums at=6 of 2 groups of 1024\n");
  BOOST_TEST(r.say(sums(7, {1, 2}), 2) == "compare_base at=7 of 2 sums\n");
  BOOST_TEST(r.on(compared({})) == "answer #2 base_whole flush=6\n");
  BOOST_TEST(r.say(Barrier{volume(), Epoch(1), SessionId(7), Lsn(6)}) == "");
  BOOST_TEST((r.receiver->numbers().base == BaseState::incomplete));
  r.moved(6);
  BOOST_TEST(r.turn() ==
             "answer #1 ack received=6 durable=6\n"
             "finish_base 6\n");
  BOOST_TEST(r.on(StoreStepEnded{Done{}}) ==
             "answer #1 ack received=6 durable=6\n"
             "answer #1 barrier_reached 6\n");
  BOOST_TEST((r.receiver->numbers().base == BaseState::complete));
  BOOST_TEST(r.receiver->numbers().committed.value == 6u);
}

BOOST_AUTO_TEST_CASE(blocks_that_are_not_the_sources_are_asked_for_again) {
  Rig r(6);
  r.log.grow_to(10);
  copy_all(r);
  r.on(prepared(4));
  r.say(sums(5, {1, 2}), 2);
  BOOST_TEST(r.on(compared({{BlockIndex(0), 8}})) == "find_missing 0 max=2048\n");
  BOOST_TEST(r.receiver->numbers().rebuild->missing_blocks == 8u);
  BOOST_TEST(r.on(MissingFound{SessionId(7), {{BlockIndex(0), 8}}, {}}) ==
             "answer #2 ask_base [0,8)\n");
  r.say(blocks(0, 8), 2);
  r.on(BaseRunWritten{Done{}});
  BOOST_TEST(r.on(MissingFound{SessionId(7), {}, {}}) == "prepare_comparison\n");
  r.on(prepared(4));
  r.say(sums(5, {1, 2}), 2);
  BOOST_TEST(has(r.on(compared({})), "base_whole"));
}

BOOST_AUTO_TEST_CASE(a_copy_that_stays_unequal_ends_its_session_and_is_never_whole) {
  Rig r(6);
  r.log.grow_to(10);
  copy_all(r);
  std::string said;
  for (std::uint32_t round = 0; round < base_unequal_max; ++round) {
    BOOST_TEST(!has(said, "refuse"));
    r.on(prepared(4));
    r.say(sums(5, {1, 2}), 2);
    said = r.on(compared({{BlockIndex(0), 8}}));
    r.on(MissingFound{SessionId(7), {}, {}});
  }
  BOOST_TEST(
      has(said, "bad_data: blocks [0,8) are not the source's after they were copied 3 times"));
  BOOST_TEST((r.receiver->numbers().base == BaseState::incomplete));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_compared_does_not_keep_a_copy_from_being_whole) {
  Rig r(6);
  r.log.grow_to(10);
  copy_all(r);
  r.on(prepared(4));
  auto none = sums(0, {});
  none.problem = "committed up to 3";
  BOOST_TEST(r.say(none, 2) ==
             "release_comparison\n"
             "answer #2 base_whole flush=4\n");
}

BOOST_AUTO_TEST_CASE(a_comparison_that_lost_its_hold_is_made_again) {
  Rig r(6);
  r.log.grow_to(10);
  copy_all(r);
  r.on(prepared(4));
  r.say(sums(5, {1, 2}), 2);
  BOOST_TEST(r.on(BaseCompared{SessionId(7), Error{Errc::refused, "its hold is over"}}) ==
             "find_missing 0 max=2048\n");
  BOOST_TEST(r.on(MissingFound{SessionId(7), {}, {}}) == "prepare_comparison\n");
}

BOOST_AUTO_TEST_CASE(sums_that_were_not_asked_for_or_of_an_earlier_moment_are_refused) {
  const auto said = [](BaseSums message, LinkNumber link, bool asked) {
    Rig r(6);
    r.log.grow_to(10);
    copy_all(r);
    if (asked) r.on(prepared(4));
    return r.say(std::move(message), link);
  };
  BOOST_TEST(has(said(sums(5, {1, 2}), 2, false), "protocol"));
  BOOST_TEST(has(said(sums(5, {1, 2}), 1, true), "protocol"));
  BOOST_TEST(has(said(sums(5, {1}), 2, true), "bad_data"));
  BOOST_TEST(has(said(sums(3, {1, 2}), 2, true), "bad_data"));
  auto stale = sums(5, {1, 2});
  stale.session = SessionId(6);
  BOOST_TEST(has(said(stale, 2, true), "stale_session"));
}

// Its store holds the flusher meanwhile; and what comes late is of nobody's session.
BOOST_AUTO_TEST_CASE(a_session_that_ends_amid_its_comparison_lets_the_flusher_go) {
  Rig r(6);
  r.log.grow_to(10);
  copy_all(r);
  r.on(prepared(4));
  BOOST_TEST(has(r.on(PeerGone{1, "reset"}), "release_comparison\n"));
  BOOST_TEST(r.on(compared({{BlockIndex(0), 8}})) == "");
  BOOST_TEST(r.on(prepared(4)) == "");
}

BOOST_AUTO_TEST_CASE(a_rebuild_that_breaks_off_leaves_the_base_incomplete) {
  Rig r(6);
  r.log.grow_to(10);
  rebuild_from_4(r);
  ask_for_all(r);
  r.say(blocks(0, 5), 2);
  r.on(PeerGone{1, "reset"});
  BOOST_TEST((r.receiver->state() == ReceiverState::waiting));
  r.arrive(3);
  // Its base write is still under way: facts come when it has ended (C9).
  BOOST_TEST(r.say(Probe{volume(), Epoch(1), SessionId(8)}, 3) == "");
  BOOST_TEST(has(r.on(BaseRunWritten{Done{}}), "base=incomplete"));
  r.prove(4);
  BOOST_TEST(has(r.say(r.start(4, 6), 3), "bad_data: the base is incomplete"));
}

BOOST_AUTO_TEST_CASE(a_barrier_below_what_the_base_holds_is_refused) {
  Rig r(6);
  r.log.grow_to(10);
  rebuild_from_4(r);
  ask_for_all(r);
  r.say(blocks(0, 8, 9), 2);
  r.on(BaseRunWritten{Done{}});
  BOOST_TEST(
      has(r.say(Barrier{volume(), Epoch(1), SessionId(7), Lsn(8)}), "bad_data: a barrier at 8"));
}

BOOST_AUTO_TEST_CASE(base_blocks_that_were_not_asked_for_or_of_another_size_or_link_are_refused) {
  const auto said = [](Message message, LinkNumber link) {
    Rig r(6);
    r.log.grow_to(10);
    rebuild_from_4(r);
    ask_for_all(r);
    return r.say(std::move(message), link);
  };
  auto torn = blocks(0, 2);
  torn.sums.pop_back();
  BOOST_TEST(has(said(blocks(1, 2), 2), "bad_data"));
  BOOST_TEST(has(said(torn, 2), "bad_data"));
  BOOST_TEST(has(said(blocks(0, 9), 2), "bad_data"));
  BOOST_TEST(has(said(blocks(0, 2), 1), "protocol"));
  auto stale = blocks(0, 2);
  stale.session = SessionId(6);
  BOOST_TEST(has(said(stale, 2), "stale_session"));
}

BOOST_AUTO_TEST_CASE(a_delta_hears_all_touched_blocks_before_it_forgets_its_log) {
  Rig r(3);
  r.log.grow_to(10);
  r.arrive();
  BOOST_TEST(r.say(delta(r)) == "");
  BOOST_TEST((r.receiver->numbers().base == BaseState::complete));
  const auto touched = [](std::uint64_t first, std::uint64_t count, bool last) {
    return Touched{volume(), Epoch(1), SessionId(7), last, {{BlockIndex(first), count}}};
  };
  BOOST_TEST(r.say(touched(1, 2, false)) ==
             "note_touched [1,3) first\n"
             "answer #1 touched_noted\n");
  BOOST_TEST(r.say(touched(5, 1, true)) ==
             "note_touched [5,6)\n"
             "begin_base touched 4\n");
  BOOST_TEST(r.on(begun(0, 3)) == "answer #1 session_ready 5 missing=3\n");
  BOOST_TEST(has(r.say(touched(6, 1, true)), "protocol: touched blocks out of place"));
}

BOOST_AUTO_TEST_CASE(a_delta_of_another_log_or_below_what_is_committed_is_refused) {
  const auto said = [](void (*bend)(StartSession&)) {
    Rig r(3);
    r.log.grow_to(10);
    r.arrive();
    auto start = delta(r);
    bend(start);
    return r.say(start);
  };
  BOOST_TEST(said([](StartSession&) {}) == "");
  BOOST_TEST(has(said([](StartSession& s) { s.touched_digest.low ^= 1; }), "bad_data"));
  BOOST_TEST(has(said([](StartSession& s) { s.touched_from = Lsn(1); }), "bad_data"));
  Rig r(6);
  r.follow();
  r.say(Progress{volume(), Epoch(1), SessionId(7), Lsn(6)});
  r.on(PeerGone{1, "reset"});
  r.arrive();
  BOOST_TEST(has(r.say(delta(r)), "bad_data: its base at 4 lacks what is committed up to 6"));
}

// C6, C18: its committed past is abandoned, and the place where the logs are equal was asked for.
BOOST_AUTO_TEST_CASE(a_delta_past_what_is_committed_needs_a_parting_and_its_proof) {
  const auto said = [](bool prove, std::uint64_t parts_at) {
    Rig r(6);
    r.follow();
    r.say(Progress{volume(), Epoch(1), SessionId(7), Lsn(6)});
    r.on(PeerGone{1, "reset"});
    r.arrive();
    auto start = delta(r);
    r.prove(5);  // The common point was asked for first.
    start.parts_at = Lsn(parts_at);
    if (prove) {
      BOOST_TEST(r.say(AskDigests{volume(), Epoch(1), SessionId(7), {Lsn(0), Lsn(2), Lsn(5)}}) ==
                 "read_digests 0..5 (3)\n");
      BOOST_TEST(r.on(DigestsRead{1, SessionId(7), Lsn(1), {{Lsn(2), r.log.digest(Lsn(2))}}}) ==
                 "answer #1 digests 2..2 (1) touched_from=1\n");
    }
    auto text = r.say(start);
    if (text.empty()) text = r.say(Touched{volume(), Epoch(1), SessionId(7), true, {}});
    return text;
  };
  BOOST_TEST(has(said(true, 5), "begin_base touched 4 parts_at=5\n"));
  BOOST_TEST(has(said(false, 5), "bad_data: the digest at 2 was not found equal"));
  BOOST_TEST(has(said(true, 1), "bad_data: the logs are equal at 2 and part at 1"));
}

BOOST_AUTO_TEST_CASE(digests_are_told_before_a_session_only) {
  Rig r(6);
  r.follow();
  BOOST_TEST(has(r.say(AskDigests{volume(), Epoch(1), SessionId(7), {Lsn(2)}}),
                 "protocol: a question for digests out of place"));
}

BOOST_AUTO_TEST_CASE(a_begin_without_space_leaves_the_copy_as_it_was) {
  Rig r(3);
  r.log.grow_to(10);
  r.arrive();
  r.say(delta(r));
  r.say(Touched{volume(), Epoch(1), SessionId(7), true, {}});
  BOOST_TEST(has(r.on(BaseBegun{Error{Errc::no_space, "full"}}), "no_space: full"));
  BOOST_TEST((r.receiver->numbers().base == BaseState::complete));
}

BOOST_AUTO_TEST_CASE(touched_blocks_that_go_back_or_beyond_any_volume_are_refused) {
  const auto said = [](std::vector<BlockRange> ranges) {
    Rig r(3);
    r.log.grow_to(10);
    r.arrive();
    r.say(delta(r));
    return r.say(Touched{volume(), Epoch(1), SessionId(7), true, std::move(ranges)});
  };
  BOOST_TEST(has(said({{BlockIndex(4), 2}, {BlockIndex(5), 1}}), "bad_data"));
  BOOST_TEST(has(said({{BlockIndex(volume_blocks_max - 1), 2}}), "bad_data"));
  BOOST_TEST(has(said({}), "begin_base touched 4\n"));
}

BOOST_AUTO_TEST_CASE(a_rebuild_goes_on_with_its_log_where_it_was_broken_off) {
  Rig r(6);
  r.log.grow_to(10);
  rebuild_from_4(r);
  ask_for_all(r);
  r.say(r.records(5, 6, 4));
  r.say(blocks(0, 5, 5), 2);
  r.on(BaseRunWritten{Done{}});
  r.moved(6);
  r.on(PeerGone{1, "reset"});
  r.arrive(3);
  const auto facts = r.say(Probe{volume(), Epoch(1), SessionId(7)}, 3);
  BOOST_TEST(has(facts, "received=6 durable=6 checkpoint=0"));
  BOOST_TEST((r.receiver->numbers().rebuild == BaseProgress{Epoch(1), Lsn(5), 3}));
  r.say(AskDigest{volume(), Epoch(1), SessionId(7), Lsn(5)}, 3);
  r.on(DigestRead{3, SessionId(7), Lsn(5), r.log.digest(Lsn(5))});
  auto start = r.start(5, 10, SessionKind::rebuild);
  start.scope = BaseScope::rest;
  BOOST_TEST(r.say(start, 3) == "truncate 5\n");
  BOOST_TEST(r.on(StoreStepEnded{Done{}}) == "begin_base rest 5\n");
  BOOST_TEST(r.on(begun(5, 3)) == "answer #3 session_ready 6 missing=3\n");
  BOOST_TEST((r.receiver->state() == ReceiverState::rebuilding));
}

BOOST_AUTO_TEST_CASE(a_rest_is_refused_where_no_rebuild_was_broken_off) {
  Rig r(6);
  r.arrive();
  r.prove(6);
  auto start = r.start(6, 6, SessionKind::rebuild);
  start.scope = BaseScope::rest;
  BOOST_TEST(has(r.say(start), "bad_data: no rebuild that could go on was broken off here"));
}

BOOST_AUTO_TEST_CASE(a_catch_up_is_refused_on_a_base_that_is_incomplete) {
  Rig r(6, BaseState::incomplete);
  r.arrive();
  r.prove(6);
  BOOST_TEST(has(r.say(r.start(6, 8)), "bad_data: the base is incomplete"));
  BOOST_TEST((r.receiver->state() == ReceiverState::waiting));
}

BOOST_AUTO_TEST_CASE(what_only_a_rebuild_says_is_refused_in_a_catch_up) {
  const auto said = [](Message message) {
    Rig r(6);
    r.follow();
    return r.say(std::move(message));
  };
  BOOST_TEST(has(said(blocks(0, 8)), "refuse #1 protocol: base blocks out of place"));
  BOOST_TEST(has(said(BaseZeroes{volume(), Epoch(1), SessionId(7), {BlockIndex(0), 8}, Lsn(6)}),
                 "refuse #1 protocol: base blocks out of place"));
  BOOST_TEST(has(said(sums(6, {7, 8})), "refuse #1 protocol: sums of a base out of place"));
  BOOST_TEST(has(said(Touched{volume(), Epoch(1), SessionId(7), true, {{BlockIndex(0), 8}}}),
                 "refuse #1 protocol: touched blocks out of place"));
  Rig r(6);
  r.follow();
  BOOST_TEST(has(r.on(PeerArrived{2, r.hello(Purpose::bulk)}),
                 "refuse #2 stale_session: session 7 is not rebuilding here"));
}

// One that closed a rebuild may come twice, and then finds it closed.
BOOST_AUTO_TEST_CASE(a_barrier_without_a_rebuild_is_answered_and_closes_nothing) {
  Rig r(6);
  r.follow();
  const auto text = r.say(Barrier{volume(), Epoch(1), SessionId(7), Lsn(6)});
  BOOST_TEST(has(text, "answer #1 barrier_reached 6"));
  BOOST_TEST(!has(text, "finish_base"));
  BOOST_TEST((r.receiver->state() == ReceiverState::following));
}

BOOST_AUTO_TEST_CASE(a_damaged_replica_takes_no_session) {
  Rig r(6, BaseState::damaged);
  r.arrive();
  BOOST_TEST(
      has(r.say(r.start(4, 6, SessionKind::rebuild)), "bad_data: what it proved durable is gone"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::inflow
