// Which content of another copy may stand in for what a copy has lost.
#define BOOST_TEST_DYN_LINK
#include "engine/repair.hpp"

#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"

namespace tidemark::engine {
namespace {

BlockCopy copy(BlockSum sum, std::uint64_t checkpoint, std::uint64_t flush) {
  BlockCopy c;
  c.state = sum == no_block ? CopyState::hole : CopyState::data;
  c.sum = sum;
  c.checkpoint = Lsn(checkpoint);
  c.flush_lsn = Lsn(flush);
  return c;
}

BOOST_AUTO_TEST_SUITE(repair)

// A model of two copies: a history of versions of one block, flushed up to somewhere on either side.
// What is taken must be the newest version up to the own extents' end or newer, and in the own log.
BOOST_AUTO_TEST_CASE(only_content_between_the_own_extents_and_the_own_log_is_taken) {
  constexpr std::uint64_t last = 6;
  std::size_t taken = 0;
  for (unsigned writes = 0; writes < (1u << last); ++writes) {
    const auto newest = [&](std::uint64_t upto) {
      while (upto > 0 && (writes & (1u << (upto - 1))) == 0) --upto;
      return upto;
    };
    for (std::uint64_t own = 0; own <= last; ++own) {
      for (std::uint64_t limit = own; limit <= last; ++limit) {
        for (std::uint64_t theirs = 0; theirs <= last; ++theirs) {
          const auto version = newest(theirs);
          const auto verdict = judge_copy(copy(version, theirs, theirs), 99, Lsn(own), Lsn(limit));
          if (verdict != CopyVerdict::newest) continue;
          ++taken;
          BOOST_TEST(version >= newest(own));
          BOOST_TEST(version <= limit);
        }
      }
    }
  }
  BOOST_TEST(taken > 0u);
}

BOOST_AUTO_TEST_CASE(content_of_the_own_checksum_is_right_at_any_age) {
  BOOST_CHECK(judge_copy(copy(7, 1, 1), 7, Lsn(5), Lsn(5)) == CopyVerdict::same);
  BOOST_CHECK(judge_copy(copy(7, 9, 9), 7, Lsn(5), Lsn(5)) == CopyVerdict::same);
  BOOST_CHECK(judge_copy(copy(8, 4, 4), 7, Lsn(5), Lsn(9)) == CopyVerdict::older);
  BOOST_CHECK(judge_copy(copy(8, 5, 10), 7, Lsn(5), Lsn(9)) == CopyVerdict::ahead);
  BOOST_CHECK(judge_copy(copy(8, 5, 9), 7, Lsn(5), Lsn(9)) == CopyVerdict::newest);
}

BOOST_AUTO_TEST_CASE(a_hole_is_no_checksum) {
  BOOST_CHECK(judge_copy(copy(no_block, 4, 4), no_block, Lsn(5), Lsn(5)) == CopyVerdict::older);
}

BOOST_AUTO_TEST_CASE(each_candidate_is_asked_once) {
  RepairRound round({BlockIndex(3), Lsn(2), 0}, {ReplicaId(2), ReplicaId(5)});
  BOOST_TEST(round.next()->value == 2u);
  BOOST_TEST(round.next()->value == 5u);
  BOOST_TEST(!round.next().has_value());
  BOOST_TEST(!round.next().has_value());
}

CopySays says(const char* node, BlockSum sum) { return {node, sum, false}; }
LastWritten left(std::uint64_t lsn, BlockSum sum) { return {BlockIndex(3), Lsn(lsn), sum}; }

BOOST_AUTO_TEST_CASE(the_newest_record_tells_which_copies_are_wrong_also_when_they_are_most) {
  const auto found =
      disprove({says("n1", 7), says("n2", 7), says("n3", 8)}, {left(5, 7), left(9, 8)});
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->proof.lsn.value == 9u);
  BOOST_TEST((found->wrong == std::vector<std::string>{"n1", "n2"}));
}

BOOST_AUTO_TEST_CASE(a_planted_bug_follows_most_copies) {
  plant(Bug::most_copies_decide);
  const auto found = disprove({says("n1", 7), says("n2", 7), says("n3", 8)}, {left(9, 8)});
  plant(Bug::none);
  BOOST_TEST((found->wrong == std::vector<std::string>{"n3"}));
}

BOOST_AUTO_TEST_CASE(without_a_record_of_the_block_nobody_is_called_wrong) {
  BOOST_TEST(!disprove({says("n1", 7), says("n2", 7), says("n3", 8)}, {}).has_value());
}

BOOST_AUTO_TEST_CASE(a_copy_that_knows_itself_damaged_needs_no_disproof) {
  const auto found = disprove({says("n1", 7), {"n2", no_block, true}}, {left(5, 7)});
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->wrong.empty());
}

BOOST_AUTO_TEST_CASE(content_where_a_record_left_a_hole_is_wrong) {
  const auto found = disprove({says("n1", no_block), says("n2", 8)}, {left(5, no_block)});
  BOOST_TEST((found->wrong == std::vector<std::string>{"n2"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::engine
