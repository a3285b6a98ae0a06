// A volume's scrub: all copies read themselves, then they are compared piece by piece.
#define BOOST_TEST_DYN_LINK
#include "engine/scrub_round.hpp"

#include <boost/test/unit_test.hpp>

namespace tidemark::engine {
namespace {

constexpr std::uint64_t blocks = round_piece_blocks + 5;

MonoTime at(std::uint64_t nanoseconds) { return MonoTime(nanoseconds); }
constexpr std::uint64_t round_number = 7;
CopyScrub copy(const char* node, std::optional<ScrubState> state,
               std::uint64_t round = round_number) {
  return {node, state, round};
}
PieceCompared equal() {
  PieceCompared p;
  p.complete = true;
  return p;
}
/// One whose copies have all read themselves.
ScrubRound comparing() {
  ScrubRound r({scrub_rate_default, BlockIndex(), 0, round_number});
  BOOST_REQUIRE(r.ask_copies(at(0)));
  r.heard({copy("n1", ScrubState::finished)}, at(0));
  return r;
}

BOOST_AUTO_TEST_SUITE(scrub_round)

BOOST_AUTO_TEST_CASE(copies_are_compared_once_all_have_read_themselves) {
  ScrubRound r({scrub_rate_default, BlockIndex(), 0, round_number});
  BOOST_TEST(r.ask_copies(at(0)));
  BOOST_TEST(!r.ask_copies(at(0)));
  BOOST_TEST(
      r.heard({copy("n1", ScrubState::finished), copy("n2", ScrubState::blocks)}, at(0)).empty());
  BOOST_TEST(r.status().waiting_for.size() == 1u);
  BOOST_TEST(!r.ask_copies(at(round_ask_again - 1)));
  BOOST_TEST(!r.piece(blocks, at(round_ask_again)).has_value());
  BOOST_TEST(r.ask_copies(at(round_ask_again)));
  r.heard({copy("n1", ScrubState::finished), copy("n2", ScrubState::finished)},
          at(round_ask_again));
  const auto first = r.piece(blocks, at(round_ask_again));
  BOOST_REQUIRE(first.has_value());
  BOOST_TEST(first->range.count == round_piece_blocks);
  BOOST_TEST(first->logs);
}

BOOST_AUTO_TEST_CASE(a_copy_that_never_began_is_told_to_and_one_that_is_away_is_waited_for) {
  ScrubRound r({scrub_rate_default, BlockIndex(), 0, round_number});
  BOOST_TEST(r.ask_copies(at(0)));
  const auto begin = r.heard({copy("n1", ScrubState::idle), copy("n2", std::nullopt)}, at(0));
  BOOST_TEST((begin == std::vector<std::string>{"n1"}));
  BOOST_TEST(r.status().waiting_for.size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_copy_that_restarted_after_it_was_done_is_not_read_again) {
  ScrubRound r({scrub_rate_default, BlockIndex(), 0, round_number});
  BOOST_TEST(r.ask_copies(at(0)));
  r.heard({copy("n1", ScrubState::finished), copy("n2", ScrubState::log)}, at(0));
  BOOST_TEST(r.ask_copies(at(round_ask_again)));
  const auto begin = r.heard({copy("n1", ScrubState::idle), copy("n2", ScrubState::finished)},
                             at(round_ask_again));
  BOOST_TEST(begin.empty());
  BOOST_TEST((r.status().state == RoundState::comparing));
}

BOOST_AUTO_TEST_CASE(what_a_copy_did_for_another_round_does_not_count_and_it_is_told_to_begin) {
  ScrubRound r({scrub_rate_default, BlockIndex(), 0, round_number});
  BOOST_TEST(r.ask_copies(at(0)));
  const auto begin =
      r.heard({copy("n1", ScrubState::finished, 6), copy("n2", ScrubState::finished),
               copy("n3", ScrubState::blocks, 6), copy("n4", ScrubState::stopped, 6)},
              at(0));
  BOOST_TEST((begin == std::vector<std::string>{"n1", "n3", "n4"}));
  BOOST_TEST((r.status().waiting_for == begin));
  BOOST_TEST((r.status().state == RoundState::reading));
}

BOOST_AUTO_TEST_CASE(its_number_goes_with_its_place) {
  const ScrubRound r({scrub_rate_default, BlockIndex(5), 0, round_number});
  BOOST_TEST(r.place().round == round_number);
}

BOOST_AUTO_TEST_CASE(pieces_follow_each_other_at_the_rate_and_end) {
  auto r = comparing();
  BOOST_REQUIRE(r.piece(blocks, at(0)).has_value());
  BOOST_TEST(!r.piece(blocks, at(0)).has_value());
  BOOST_TEST(r.compared(equal(), blocks, at(0)));
  const auto pause = scrub_pause(round_piece_blocks * block_bytes, scrub_rate_default);
  BOOST_TEST(!r.piece(blocks, at(pause - 1)).has_value());
  const auto last = r.piece(blocks, at(pause));
  BOOST_REQUIRE(last.has_value());
  BOOST_TEST(last->range.count == 5u);
  BOOST_TEST(!last->logs);
  BOOST_TEST(r.compared(equal(), blocks, at(pause)));
  BOOST_TEST(r.finished());
}

BOOST_AUTO_TEST_CASE(a_piece_without_all_copies_is_compared_again) {
  auto r = comparing();
  BOOST_REQUIRE(r.piece(blocks, at(0)).has_value());
  BOOST_TEST(!r.compared(PieceCompared(), blocks, at(0)));
  BOOST_TEST(!r.piece(blocks, at(round_compare_again - 1)).has_value());
  const auto again = r.piece(blocks, at(round_compare_again));
  BOOST_REQUIRE(again.has_value());
  BOOST_TEST(again->range.first.value == 0u);
}

BOOST_AUTO_TEST_CASE(what_a_record_disproved_is_looked_at_again_once_it_had_time_for_repair) {
  auto r = comparing();
  auto found = equal();
  found.differences = found.wrong = 1;
  BOOST_REQUIRE(r.piece(blocks, at(0)).has_value());
  BOOST_TEST(!r.compared(found, blocks, at(0)));
  BOOST_REQUIRE(r.piece(blocks, at(round_repair_wait)).has_value());
  BOOST_TEST(r.compared(equal(), blocks, at(round_repair_wait)));
  BOOST_TEST(r.status().disproved == 1u);
  BOOST_TEST(r.status().differences == 1u);
}

BOOST_AUTO_TEST_CASE(a_piece_that_is_never_repaired_does_not_hold_the_rest_up) {
  auto r = comparing();
  auto found = equal();
  found.differences = found.wrong = 1;
  std::uint64_t now = 0;
  for (int look = 1; look <= round_looks_max; ++look) {
    BOOST_REQUIRE(r.piece(blocks, at(now)).has_value());
    BOOST_TEST(r.compared(found, blocks, at(now)) == (look == round_looks_max));
    now += round_repair_wait;
  }
}

BOOST_AUTO_TEST_CASE(what_nobody_can_repair_is_named_with_its_cause_and_the_round_ends) {
  auto r = comparing();
  auto found = equal();
  found.differences = 3;
  found.damaged = {{"n2", {BlockIndex(3), 1}, "EIO"},
                   {"n2", {BlockIndex(4), 1}, "EIO too"},
                   {"n3", {BlockIndex(5), 1}, "rot"}};
  std::uint64_t now = 0;
  for (int look = 1; look <= round_looks_max; ++look) {
    BOOST_REQUIRE(r.piece(5, at(now)).has_value());
    BOOST_TEST(r.compared(found, 5, at(now)) == (look == round_looks_max));
    now += round_repair_wait;
  }
  BOOST_TEST(r.finished());
  BOOST_REQUIRE(r.status().damaged.size() == 2u);
  BOOST_TEST(r.status().damaged[0].node == "n2");
  BOOST_TEST(r.status().damaged[0].range.count == 2u);
  BOOST_TEST(r.status().damaged[0].cause == "EIO");
  BOOST_TEST(r.status().damaged[1].node == "n3");
}

BOOST_AUTO_TEST_CASE(what_was_repaired_meanwhile_is_not_named) {
  auto r = comparing();
  auto found = equal();
  found.differences = 1;
  found.damaged = {{"n2", {BlockIndex(3), 1}, "rot"}};
  BOOST_REQUIRE(r.piece(5, at(0)).has_value());
  BOOST_TEST(!r.compared(found, 5, at(0)));
  BOOST_REQUIRE(r.piece(5, at(round_repair_wait)).has_value());
  BOOST_TEST(r.compared(equal(), 5, at(round_repair_wait)));
  BOOST_TEST(r.status().damaged.empty());
  BOOST_TEST(r.finished());
}

BOOST_AUTO_TEST_CASE(copies_that_could_not_be_compared_are_named) {
  auto r = comparing();
  BOOST_REQUIRE(r.piece(blocks, at(0)).has_value());
  PieceCompared found;
  found.away = {"n3"};
  r.compared(found, blocks, at(0));
  BOOST_TEST((r.status().waiting_for == std::vector<std::string>{"n3"}));
  BOOST_REQUIRE(r.piece(blocks, at(round_compare_again)).has_value());
  r.compared(equal(), blocks, at(round_compare_again));
  BOOST_TEST(r.status().waiting_for.empty());
}

BOOST_AUTO_TEST_CASE(undecided_blocks_are_kept_once_each) {
  auto r = comparing();
  auto found = equal();
  found.differences = 1;
  found.undecided = {BlockIndex(3), BlockIndex(3)};
  BOOST_REQUIRE(r.piece(blocks, at(0)).has_value());
  BOOST_TEST(r.compared(found, blocks, at(0)));
  BOOST_TEST(r.status().undecided.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_round_goes_on_where_its_place_says) {
  ScrubRound r({scrub_rate_min, BlockIndex(round_piece_blocks), 2, round_number});
  BOOST_TEST(!r.ask_copies(at(0)));
  const auto piece = r.piece(blocks, at(0));
  BOOST_REQUIRE(piece.has_value());
  BOOST_TEST(piece->range.first.value == round_piece_blocks);
  BOOST_TEST(r.status().differences == 2u);
  r.put_off(at(0));
  BOOST_TEST(!r.piece(1, at(0)).has_value());
  BOOST_TEST(!r.piece(1, at(round_compare_again)).has_value());  // It shrank meanwhile.
  BOOST_TEST(r.finished());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::engine
