// Stories of a rebuild as the receiver sees it:
// two lanes, a barrier, and a base that is incomplete until then.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/receiver_rig.hpp"

namespace tidemark::engine::inflow {
namespace {

/// Connected for a rebuild whose base is LSN 4 of the primary's log.
void rebuild_from_4(Rig& r) {
  r.arrive();
  r.say(r.start(4, 6, SessionKind::rebuild));
  r.on(StoreStepEnded{Done{}});
  r.on(PeerArrived{2, r.hello(Purpose::bulk)});
  r.turn();
}

BaseBlocks blocks(std::uint64_t first, std::uint64_t count) {
  return {volume(),
          Epoch(1),
          SessionId(7),
          {BlockIndex(first), count},
          std::vector<BlockSum>(count, 1),
          zeros(count * block_bytes)};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(receiver_rebuild)

BOOST_AUTO_TEST_CASE(a_rebuild_takes_two_lanes_and_answers_its_barrier_when_all_is_durable) {
  Rig r(2, BaseState::incomplete);
  r.log.grow_to(10);
  r.arrive();
  BOOST_TEST(r.say(r.start(4, 6, SessionKind::rebuild)) == "reset 4\n");
  BOOST_TEST(r.on(StoreStepEnded{Done{}}) == "answer #1 session_ready 5\n");
  BOOST_TEST(r.turn() == "answer #1 ack received=4 durable=4\n");
  BOOST_TEST(r.on(PeerArrived{2, r.hello(Purpose::bulk)}) == "accept #2\n");
  BOOST_TEST(r.say(r.records(5, 6, 4)) == "append 5..6 committed=4\n");
  BOOST_TEST(r.say(blocks(0, 5), 2) == "write_base [0,5)\n");
  BOOST_TEST(r.say(BaseZeroes{volume(), Epoch(1), SessionId(7), {BlockIndex(5), 3}}, 2) ==
             "write_base [5,8) zeros\n");
  BOOST_TEST(r.say(BaseDone{volume(), Epoch(1), SessionId(7), Lsn(6)}, 2) == "");
  r.on(BaseRunWritten{Done{}});
  BOOST_TEST(r.turn() ==
             "answer #1 ack received=6 durable=4\n"
             "answer #2 base_ack 5\n");
  r.on(BaseRunWritten{Done{}});
  BOOST_TEST(r.turn() == "answer #2 base_ack 8 complete\n");
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

BOOST_AUTO_TEST_CASE(a_rebuild_that_breaks_off_leaves_the_base_incomplete) {
  Rig r(6);
  r.log.grow_to(10);
  rebuild_from_4(r);
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
  r.say(blocks(0, 8), 2);
  r.on(BaseRunWritten{Done{}});
  r.say(BaseDone{volume(), Epoch(1), SessionId(7), Lsn(9)}, 2);
  BOOST_TEST(
      has(r.say(Barrier{volume(), Epoch(1), SessionId(7), Lsn(8)}), "bad_data: a barrier at 8"));
}

BOOST_AUTO_TEST_CASE(base_blocks_out_of_order_or_size_or_link_are_refused) {
  const auto said = [](Message message, LinkNumber link) {
    Rig r(6);
    r.log.grow_to(10);
    rebuild_from_4(r);
    return r.say(std::move(message), link);
  };
  auto torn = blocks(0, 2);
  torn.sums.pop_back();
  BOOST_TEST(has(said(blocks(1, 2), 2), "bad_data"));
  BOOST_TEST(has(said(torn, 2), "bad_data"));
  BOOST_TEST(has(said(blocks(0, 9), 2), "bad_data"));
  BOOST_TEST(has(said(blocks(0, 2), 1), "protocol"));
  BOOST_TEST(has(said(BaseDone{volume(), Epoch(1), SessionId(7), Lsn(4)}, 2), "bad_data"));
  auto stale = blocks(0, 2);
  stale.session = SessionId(6);
  BOOST_TEST(has(said(stale, 2), "stale_session"));
}

BOOST_AUTO_TEST_CASE(a_damaged_replica_takes_no_session) {
  Rig r(6, BaseState::damaged);
  r.arrive();
  BOOST_TEST(
      has(r.say(r.start(4, 6, SessionKind::rebuild)), "bad_data: what it proved durable is gone"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::inflow
