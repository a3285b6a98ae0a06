// Stories of a rebuild whose source paces what it gives away.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/sender_rig.hpp"

namespace tidemark::engine::outflow {
namespace {

BlockRange range(std::uint64_t first, std::uint64_t count) { return {BlockIndex(first), count}; }

/// A replica that is rebuilt and has asked for the eight blocks of the volume.
struct Paced : Rig {
  Paced() : Rig(20, 1 << 20, {}, true) {
    on(Started{});
    open();
    probe(facts(3), 11, 12);
    digests(3, 12);
    on(LogPinned{session, Done{}});
    auto answer = ready(13);
    answer.missing_blocks = 8;
    hear(answer);
    on(LogRecordsRead{session, Lsn(13), log.batch(13, 20)});
    hear(ack(20, 20));
    on(LinkOpened{Lane::bulk, bulk, node(2), Incarnation(4)});
  }
  std::string ask() {
    return hear(AskBase{volume(), Epoch(1), session, {range(0, 4), range(6, 2)}}, Lane::bulk);
  }
  std::string grant(std::uint64_t bytes, PaceHold hold = PaceHold::none) {
    return on(PaceTold{session, bytes, {hold, 0}});
  }
  std::string bring(std::uint64_t first, std::uint64_t count) {
    return on(BaseRunRead{session, range(first, count),
                          BasePiece{range(first, count), std::vector<BlockSum>(count, 1),
                                    zeros(count * block_bytes), Lsn(15)}});
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(sender_pace)

BOOST_AUTO_TEST_CASE(each_read_of_the_base_is_asked_for_first_one_question_at_a_time) {
  Paced r;
  BOOST_TEST(r.ask() == "ask_pace 16384\n");
  BOOST_TEST(r.grant(0, PaceHold::cap) == "");
  BOOST_TEST(r.grant(16384) == "read_base [0,4)\nask_pace 8192\n");
  BOOST_TEST(r.bring(0, 4) == "send bulk base_blocks [0,4)\n");
  BOOST_TEST(r.grant(8192) == "read_base [6,8)\n");
  BOOST_TEST(r.grant(8192) == "");  // Nobody asked.
}

BOOST_AUTO_TEST_CASE(no_more_is_read_than_is_granted) {
  Paced r;
  r.ask();
  BOOST_TEST(r.grant(8192) == "read_base [0,4) at most 2\nask_pace 8192\n");
  const BasePiece half{range(0, 2), {1, 1}, zeros(2 * block_bytes), Lsn(15)};
  BOOST_TEST(r.on(BaseRunRead{r.session, range(0, 4), half}) == "send bulk base_blocks [0,2)\n");
  BOOST_TEST(r.grant(8192) == "read_base [2,4)\nask_pace 8192\n");
}

BOOST_AUTO_TEST_CASE(what_turns_out_to_be_zeros_is_given_back) {
  Paced r;
  r.ask();
  r.grant(16384);
  BOOST_TEST(r.on(BaseRunRead{r.session, range(0, 4), BasePiece{range(0, 4), {}, {}, Lsn(15)}}) ==
             "pace_used 0 of 16384\n"
             "send bulk base_zeroes [0,4)\n");
}

BOOST_AUTO_TEST_CASE(one_that_waits_for_its_turn_says_so_and_has_not_stalled) {
  Paced r;
  r.ask();
  r.grant(0, PaceHold::turn);
  BOOST_TEST(r.sender->status(MonoTime(r.now)).reason == "waits for its turn to be rebuilt");
  for (int i = 0; i < 120; ++i) {
    r.tick(500);
    r.turn();
    r.hear(r.ack(20, 20));
  }
  BOOST_TEST((r.sender->state() == PeerState::rebuilding));
  const auto s = r.sender->status(MonoTime(r.now));
  BOOST_TEST(s.rebuild_held_by == "turn");
  r.grant(16384);
  BOOST_TEST(r.sender->status(MonoTime(r.now)).rebuild_held_by == "");
}

BOOST_AUTO_TEST_CASE(one_whose_replica_does_not_ask_any_more_has_stalled) {
  Paced r;
  for (int i = 0; i < 70; ++i) {
    r.tick(500);
    r.turn();
    r.hear(r.ack(20, 20));
  }
  BOOST_TEST((r.sender->state() != PeerState::rebuilding));
}

BOOST_AUTO_TEST_CASE(the_pace_is_left_once_whatever_ends_the_session) {
  const auto left = [](auto&& ending) {
    Paced r;
    r.ask();
    const auto said = ending(r) + r.on(StopRequested{});
    return count(said, "leave_pace");
  };
  BOOST_TEST(left([](Paced& r) { return r.on(LinkClosed{Lane::bulk, r.bulk, "reset"}); }) == 1u);
  BOOST_TEST(left([](Paced& r) { return r.on(LinkClosed{Lane::records, r.link, "reset"}); }) == 1u);
  BOOST_TEST(left([](Paced& r) {
               return r.on(SourceFailed{r.session, {Errc::io_failed, ""}});
             }) == 1u);
  BOOST_TEST(left([](Paced& r) { return r.on(AssignmentChanged{replication::assignment(2)}); }) ==
             1u);
  BOOST_TEST(left([](Paced&) { return std::string(); }) == 1u);
  BOOST_TEST(left([](Paced& r) {
               return r.grant(16384) + r.bring(0, 4) + r.grant(8192) + r.bring(6, 2) +
                      r.hear(BaseWhole{volume(), Epoch(1), r.session, Lsn(15)}, Lane::bulk);
             }) == 1u);
}

BOOST_AUTO_TEST_CASE(a_grant_for_a_session_that_is_over_is_dropped) {
  Paced r;
  r.ask();
  r.on(LinkClosed{Lane::bulk, r.bulk, "reset"});
  BOOST_TEST(r.grant(16384) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::outflow
