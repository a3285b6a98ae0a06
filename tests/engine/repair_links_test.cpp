// Questions for lost blocks between a primary's sender and a replica's receiver.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/receiver_rig.hpp"
#include "tests/engine/sender_rig.hpp"

namespace tidemark::engine {
namespace {

using replication::volume;

DamagedBlock damaged(std::uint64_t block, std::uint64_t attempt = 0) {
  return {BlockIndex(block), Lsn(4), attempt};
}
BlockCopy copy(std::uint64_t block, CopyState state = CopyState::hole) {
  BlockCopy c;
  c.block = BlockIndex(block);
  c.state = state;
  c.checkpoint = c.flush_lsn = Lsn(5);
  return c;
}

BOOST_AUTO_TEST_SUITE(repair_links)

BOOST_AUTO_TEST_CASE(a_replica_in_line_is_asked_and_its_answer_handed_on) {
  outflow::Rig r;
  r.stream();
  BOOST_TEST(r.on(outflow::BlockWanted{damaged(3)}) == "send ask_block 3 at=4\n");
  BOOST_TEST(r.hear(BlockIs{volume(), Epoch(1), r.session, copy(3)}) == "answer_block 3 hole\n");
}

BOOST_AUTO_TEST_CASE(a_replica_that_is_not_in_line_is_not_asked) {
  outflow::Rig r;
  BOOST_TEST(outflow::has(r.on(outflow::BlockWanted{damaged(3)}), "it is not in line"));
  r.catch_up_from(5);
  BOOST_TEST(outflow::has(r.on(outflow::BlockWanted{damaged(3)}), "it is not in line"));
}

BOOST_AUTO_TEST_CASE(whoever_asked_hears_when_the_session_ends_or_the_answer_takes_too_long) {
  outflow::Rig r;
  r.stream();
  r.on(outflow::BlockWanted{damaged(3)});
  BOOST_TEST(outflow::has(r.tick(2000), "answer_block: "));
  // The late answer changes nothing.
  BOOST_TEST(r.hear(BlockIs{volume(), Epoch(1), r.session, copy(3)}) == "");
  r.on(outflow::BlockWanted{damaged(3)});
  const auto ended = r.on(outflow::LinkClosed{Lane::records, r.link, "cut"});
  BOOST_TEST(outflow::count(ended, "answer_block: ") == 1u);
}

BOOST_AUTO_TEST_CASE(a_replica_that_asks_is_answered_from_the_own_extents) {
  outflow::Rig r;
  r.stream();
  BOOST_TEST(r.hear(AskBlock{volume(), Epoch(1), r.session, BlockIndex(3), Lsn(4)}) ==
             "read_copy 3 at=4\n");
  BOOST_TEST(r.on(outflow::CopyRead{r.session, BlockIndex(3), copy(3)}) ==
             "send block_is 3 hole checkpoint=5 flush=5\n");
  r.hear(AskBlock{volume(), Epoch(1), r.session, BlockIndex(3), Lsn(4)});
  const Error gone{Errc::unavailable, "gone"};
  BOOST_TEST(r.on(outflow::CopyRead{r.session, BlockIndex(3), gone}) ==
             "send block_is 3 not_yet checkpoint=0 flush=0\n");
}

// The replica asked for one block; then a reader there waits for another.
BOOST_AUTO_TEST_CASE(a_second_question_is_read_as_well_and_one_too_many_is_answered_so) {
  outflow::Rig r;
  r.stream();
  const auto ask = [&](std::uint64_t block) {
    return r.hear(AskBlock{volume(), Epoch(1), r.session, BlockIndex(block), Lsn(4)});
  };
  for (std::uint64_t block = 0; block < repairs_at_once_max; ++block)
    BOOST_TEST(ask(block) == fmt::format("read_copy {} at=4\n", block));
  BOOST_TEST(ask(9) == "send block_is 9 not_yet checkpoint=0 flush=0\n");
  BOOST_TEST(r.on(outflow::CopyRead{r.session, BlockIndex(1), copy(1)}) ==
             "send block_is 1 hole checkpoint=5 flush=5\n");
  BOOST_TEST(ask(9) == "read_copy 9 at=4\n");
}

BOOST_AUTO_TEST_CASE(a_replica_is_asked_for_a_few_blocks_at_once_and_answers_in_any_order) {
  outflow::Rig r;
  r.stream();
  for (std::uint64_t block = 0; block < repairs_at_once_max; ++block)
    BOOST_TEST(r.on(outflow::BlockWanted{damaged(block)}) ==
               fmt::format("send ask_block {} at=4\n", block));
  BOOST_TEST(outflow::has(r.on(outflow::BlockWanted{damaged(9)}), "it is asked for others"));
  BOOST_TEST(r.hear(BlockIs{volume(), Epoch(1), r.session, copy(2)}) == "answer_block 2 hole\n");
  BOOST_TEST(r.hear(BlockIs{volume(), Epoch(1), r.session, copy(0)}) == "answer_block 0 hole\n");
  // Twice: it is not waited for any more.
  BOOST_TEST(r.hear(BlockIs{volume(), Epoch(1), r.session, copy(0)}) == "");
  const auto ended = r.on(outflow::LinkClosed{Lane::records, r.link, "cut"});
  BOOST_TEST(outflow::count(ended, "answer_block: ") == repairs_at_once_max - 2);
}

BOOST_AUTO_TEST_CASE(a_question_for_a_block_that_cannot_be_ends_the_session) {
  outflow::Rig r;
  r.stream();
  const BlockIndex beyond(volume_blocks_max);
  BOOST_TEST(outflow::has(r.hear(AskBlock{volume(), Epoch(1), r.session, beyond, Lsn(4)}),
                          "session_ended bad_answer"));
}

BOOST_AUTO_TEST_CASE(a_question_of_another_session_is_dropped) {
  outflow::Rig r;
  r.stream();
  BOOST_TEST(r.hear(AskBlock{volume(), Epoch(1), SessionId(99), BlockIndex(3), Lsn(4)}) == "");
  BOOST_TEST(r.on(outflow::CopyRead{SessionId(99), BlockIndex(3), copy(3)}) == "");
}

std::string wants(inflow::Rig& r, const std::vector<DamagedBlock>& blocks) {
  return r.on(
      inflow::StoreMoved{Lsn(5), r.log.digest(Lsn(5)), Lsn(0), Lsn(1), inflow::plenty, blocks});
}
std::string wants(inflow::Rig& r, DamagedBlock block) { return wants(r, std::vector{block}); }

BOOST_AUTO_TEST_CASE(a_replica_asks_once_for_each_attempt_and_gives_its_store_the_answer) {
  inflow::Rig r;
  r.follow();
  BOOST_TEST(wants(r, damaged(3)) == "answer #1 ask_block 3 at=4\n");
  BOOST_TEST(wants(r, damaged(3)) == "");
  BOOST_TEST(r.say(BlockIs{volume(), Epoch(1), SessionId(7), copy(3)}) == "repair 3 at=4\n");
  BOOST_TEST(wants(r, damaged(5)) == "answer #1 ask_block 5 at=4\n");
  BOOST_TEST(r.say(BlockIs{volume(), Epoch(1), SessionId(7), copy(5, CopyState::damaged)}) ==
             "give_up 5\n");
  BOOST_TEST(wants(r, damaged(5, 1)) == "answer #1 ask_block 5 at=4\n");
}

BOOST_AUTO_TEST_CASE(a_few_blocks_are_asked_for_at_once_and_the_next_when_one_is_answered) {
  inflow::Rig r;
  r.follow();
  std::vector<DamagedBlock> blocks;
  std::string asked;
  for (std::uint64_t block = 0; block < repairs_at_once_max; ++block) {
    blocks.push_back(damaged(block));
    asked += fmt::format("answer #1 ask_block {} at=4\n", block);
  }
  BOOST_TEST(wants(r, blocks) == asked);
  // Somebody waits for another one: it is asked for as soon as there is room, and none is asked twice.
  blocks.insert(blocks.begin(), damaged(40, 1));
  for (auto& block : blocks) block.attempt = 1;
  BOOST_TEST(wants(r, blocks) == "");
  BOOST_TEST(r.say(BlockIs{volume(), Epoch(1), SessionId(7), copy(2)}) ==
             "repair 2 at=4\nanswer #1 ask_block 40 at=4\n");
}

BOOST_AUTO_TEST_CASE(damage_found_before_the_session_is_asked_for_when_it_begins) {
  inflow::Rig r;
  BOOST_TEST(wants(r, damaged(3)) == "");
  r.arrive();
  r.prove(5);
  BOOST_TEST(inflow::has(r.say(r.start(5, 5)), "ask_block 3 at=4"));
}

BOOST_AUTO_TEST_CASE(a_block_that_was_not_asked_for_is_left_alone) {
  inflow::Rig r;
  r.follow();
  BOOST_TEST(r.say(BlockIs{volume(), Epoch(1), SessionId(7), copy(3)}) == "");
}

BOOST_AUTO_TEST_CASE(the_primary_is_answered_while_following_and_refused_out_of_place) {
  inflow::Rig r;
  r.follow();
  BOOST_TEST(r.say(AskBlock{volume(), Epoch(1), SessionId(7), BlockIndex(3), Lsn(4)}) ==
             "read_copy 3 at=4\n");
  BOOST_TEST(r.on(inflow::CopyRead{1, SessionId(7), BlockIndex(3), copy(3)}) ==
             "answer #1 block_is 3 hole checkpoint=5 flush=5\n");
  const BlockIndex beyond(volume_blocks_max);
  BOOST_TEST(
      inflow::has(r.say(AskBlock{volume(), Epoch(1), SessionId(7), beyond, Lsn(4)}), "protocol"));
}

BOOST_AUTO_TEST_CASE(no_more_than_a_few_blocks_are_read_for_the_primary_at_once) {
  inflow::Rig r;
  r.follow();
  const AskBlock ask{volume(), Epoch(1), SessionId(7), BlockIndex(3), Lsn(4)};
  for (std::size_t i = 0; i < inflow::copies_read_max; ++i)
    BOOST_TEST(r.say(ask) == "read_copy 3 at=4\n");
  BOOST_TEST(r.say(ask) == "answer #1 block_is 3 not_yet checkpoint=0 flush=0\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::engine
