// A set of blocks against a plain one, at its edges, and against bytes that are none.
#include "storage/block_set.hpp"

#include <algorithm>
#include <vector>

#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;
using storage::BlockSet;

namespace {

BlockRange random_range(Dice& dice, std::uint64_t blocks) {
  const std::uint64_t longest[] = {1, 8, 3000, 150000};
  return {BlockIndex(dice.below(blocks)), 1 + dice.below(longest[dice.below(4)])};
}

/// Whether `set` holds exactly the blocks of `model`, by its runs and by single blocks.
bool same(const BlockSet& set, const std::vector<bool>& model, std::uint64_t blocks_max) {
  std::vector<bool> found(model.size());
  std::uint64_t count = 0;
  auto from = BlockIndex();
  while (const auto run = set.next_run(from, blocks_max)) {
    if (run->first < from || run->empty() || run->count > blocks_max) return false;
    for (auto b = run->first.value; b < run->end().value; ++b) found.at(b) = true;
    const bool goes_on = run->end().value < model.size() && model[run->end().value];
    if (goes_on && run->count < blocks_max) return false;
    count += run->count;
    from = run->end();
  }
  return found == model && count == set.count() && set.empty() == (count == 0);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(block_set)

BOOST_AUTO_TEST_CASE(a_set_is_what_a_plain_one_is) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Dice dice(seed);
      const auto blocks = 300'000 + dice.below(100'000);
      BlockSet set(blocks);
      std::vector<bool> model(blocks);
      for (int step = 0; step < 60; ++step) {
        const auto range = random_range(dice, blocks);
        const bool adds = dice.below(3) != 0;
        adds ? set.add(range) : set.remove(range);
        const auto end = std::min(range.end().value, blocks);
        for (auto b = range.first.value; b < end; ++b) model[b] = adds;
      }
      BOOST_REQUIRE(same(set, model, blocks));
      BOOST_REQUIRE(same(set, model, 700));
      const auto again = BlockSet::deserialise(blocks, set.serialise());
      BOOST_REQUIRE(again.has_value());
      BOOST_REQUIRE(same(*again, model, blocks));
      for (int i = 0; i < 1000; ++i) {
        const BlockIndex b(dice.below(blocks));
        BOOST_REQUIRE_EQUAL(again->has(b), model[b.value]);
      }
      set.fill();
      BOOST_REQUIRE_EQUAL(set.count(), blocks);
    }
  }
}

BOOST_AUTO_TEST_CASE(pieces_far_apart_are_no_run) {
  BlockSet set(1u << 20);
  set.add({BlockIndex(0), 65536});
  set.add({BlockIndex(5 * 65536), 65536});
  BOOST_CHECK((set.next_run(BlockIndex()) == BlockRange{BlockIndex(), 65536}));
  BOOST_CHECK((set.next_run(BlockIndex(65536)) == BlockRange{BlockIndex(5 * 65536), 65536}));
}

BOOST_AUTO_TEST_CASE(the_largest_volume_has_a_last_block) {
  constexpr auto blocks = storage::block_set_blocks_max;
  BlockSet set(blocks);
  const BlockIndex last(blocks - 1);
  set.add({last, 5});
  BOOST_CHECK(set.has(last));
  BOOST_CHECK(!set.has(BlockIndex(blocks)));
  BOOST_CHECK_EQUAL(set.count(), 1u);
  BOOST_CHECK((set.next_run(BlockIndex()) == BlockRange{last, 1}));
  BOOST_CHECK((set.next_run(last) == BlockRange{last, 1}));
  BOOST_CHECK(!set.next_run(BlockIndex(blocks)));
  set.fill();
  BOOST_CHECK_EQUAL(set.count(), blocks);
  BOOST_CHECK((set.next_run(BlockIndex(7)) == BlockRange{BlockIndex(7), blocks - 7}));
  set.remove({last, 1});
  BOOST_CHECK_EQUAL(set.count(), blocks - 1);
  BOOST_CHECK((set.next_run(BlockIndex()) == BlockRange{BlockIndex(), blocks - 1}));
  set.remove({BlockIndex(), blocks});
  BOOST_CHECK(set.empty());
}

BOOST_AUTO_TEST_CASE(a_trim_of_the_largest_volume_makes_few_bytes) {
  BlockSet set(storage::block_set_blocks_max);
  set.fill();
  BOOST_CHECK_LT(set.serialise().size(), 1u << 20);
  BlockSet of_one_tib(std::uint64_t{1} << 28);
  of_one_tib.fill();
  BOOST_CHECK_LT(of_one_tib.serialise().size(), 64u << 10);
}

BOOST_AUTO_TEST_CASE(bytes_that_are_not_a_set_are_refused) {
  BlockSet set(5000);
  set.add({BlockIndex(100), 50});
  set.add({BlockIndex(4000), 1});
  const auto bytes = set.serialise();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    BOOST_CHECK(!BlockSet::deserialise(5000, std::span(bytes).first(n)).has_value());
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = bytes;
      damaged[n] ^= std::byte{1} << bit;
      BOOST_CHECK(!BlockSet::deserialise(5000, damaged).has_value());
    }
  }
  auto longer = bytes;
  longer.push_back(std::byte{0});
  BOOST_CHECK(!BlockSet::deserialise(5000, longer).has_value());
  BOOST_CHECK(!BlockSet::deserialise(4000, bytes).has_value());
  BOOST_CHECK(BlockSet::deserialise(4001, bytes).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
