#define BOOST_TEST_DYN_LINK
#include "engine/range_map.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <optional>
#include <vector>

namespace tidemark::engine {
namespace {

BlockRange range(std::uint64_t first, std::uint64_t end) {
  return {BlockIndex(first), end - first};
}

// splitmix64: the tests' own source of cases, the same on every run.
struct Cases {
  std::uint64_t state;
  std::uint64_t below(std::uint64_t n) {
    auto z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
  }
};

constexpr std::uint64_t model_blocks = 24;
using Model = std::array<std::optional<Lsn>, model_blocks>;

BlockRange any_range(Cases& cases) {
  const auto first = cases.below(model_blocks);
  return range(first, first + cases.below(model_blocks - first + 1));
}

void check_equal(const RangeMap<Lsn>& map, const Model& model) {
  std::uint64_t held = 0;
  for (std::uint64_t b = 0; b < model_blocks; ++b) {
    const auto* found = map.find(BlockIndex(b));
    BOOST_REQUIRE_EQUAL(found != nullptr, model[b].has_value());
    if (found == nullptr) continue;
    BOOST_REQUIRE(*found == *model[b]);
    ++held;
  }
  BOOST_REQUIRE_EQUAL(map.blocks(), held);
}

void check_visit(const RangeMap<Lsn>& map, const Model& model, BlockRange asked) {
  auto next = asked.first;
  map.visit(asked, [&](BlockRange part, const Lsn* value) {
    BOOST_REQUIRE(part.first == next);
    BOOST_REQUIRE(!part.empty());
    next = part.end();
    for (auto b = part.first; b < part.end(); b = b.next()) {
      BOOST_REQUIRE_EQUAL(value != nullptr, model[b.value].has_value());
      if (value != nullptr) BOOST_REQUIRE(*value == *model[b.value]);
    }
  });
  BOOST_REQUIRE(next == asked.end());
}

void step(Cases& cases, std::uint64_t lsn, RangeMap<Lsn>& map, Model& model) {
  const auto over = any_range(cases);
  const auto action = cases.below(8);
  const auto limit = Lsn(cases.below(lsn + 1));
  if (action < 5) {
    map.assign(over, Lsn(lsn));
  } else if (action < 6) {
    map.erase(over);
  } else {
    map.erase_if(over, [&](Lsn value) { return value <= limit; });
  }
  for (auto b = over.first; b < over.end(); b = b.next()) {
    auto& cell = model[b.value];
    if (action < 5) cell = Lsn(lsn);
    if (action == 5 || (action > 5 && cell && *cell <= limit)) cell.reset();
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(range_map)

BOOST_AUTO_TEST_CASE(it_answers_like_an_array_of_blocks) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Cases cases{seed};
    RangeMap<Lsn> map;
    Model model{};
    for (std::uint64_t lsn = 1; lsn <= 100; ++lsn) {
      step(cases, lsn, map, model);
      check_equal(map, model);
      check_visit(map, model, any_range(cases));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_range_within_another_cuts_it_in_three) {
  RangeMap<int> map;
  map.assign(range(2, 8), 1);
  map.assign(range(4, 6), 2);
  BOOST_TEST(map.size() == 3);
  BOOST_TEST(*map.find(BlockIndex(3)) == 1);
  BOOST_TEST(*map.find(BlockIndex(4)) == 2);
  BOOST_TEST(*map.find(BlockIndex(7)) == 1);
  BOOST_TEST(map.find(BlockIndex(8)) == nullptr);
}

BOOST_AUTO_TEST_CASE(the_same_block_again_replaces_its_value_in_place) {
  RangeMap<int> map;
  map.assign(range(5, 6), 1);
  const auto* before = map.find(BlockIndex(5));
  map.assign(range(5, 6), 2);
  BOOST_TEST(map.find(BlockIndex(5)) == before);
  BOOST_TEST(*before == 2);
  BOOST_TEST(map.size() == 1);
}

BOOST_AUTO_TEST_CASE(a_visit_shows_the_gaps_between_values) {
  RangeMap<int> map;
  map.assign(range(1, 3), 1);
  map.assign(range(5, 9), 2);
  std::vector<std::pair<BlockRange, int>> seen;
  map.visit(range(0, 7), [&](BlockRange part, const int* value) {
    seen.emplace_back(part, value ? *value : 0);
  });
  const std::vector<std::pair<BlockRange, int>> expected{
      {range(0, 1), 0}, {range(1, 3), 1}, {range(3, 5), 0}, {range(5, 7), 2}};
  BOOST_TEST((seen == expected));
}

BOOST_AUTO_TEST_CASE(erase_if_cuts_at_the_edges_of_its_range_and_spares_newer_values) {
  RangeMap<Lsn> map;
  map.assign(range(0, 10), Lsn(1));
  map.assign(range(4, 6), Lsn(7));
  map.erase_if(range(2, 8), [](Lsn lsn) { return lsn <= Lsn(5); });
  std::string picture;
  map.visit(range(0, 10), [&](BlockRange part, const Lsn* lsn) {
    picture.append(part.count, lsn == nullptr ? '.' : static_cast<char>('0' + lsn->value));
  });
  BOOST_TEST(picture == "11..77..11");
}

BOOST_AUTO_TEST_CASE(an_empty_range_changes_nothing) {
  RangeMap<int> map;
  map.assign(range(3, 3), 1);
  BOOST_TEST(map.empty());
  map.assign(range(2, 5), 1);
  map.erase(range(3, 3));
  map.assign(range(3, 3), 2);
  BOOST_TEST(map.size() == 1);
  bool called = false;
  map.visit(range(4, 4), [&](BlockRange, const int*) { called = true; });
  BOOST_TEST(!called);
}

BOOST_AUTO_TEST_CASE(the_last_block_of_the_address_space_fits) {
  RangeMap<int> map;
  map.assign(BlockRange{BlockIndex(0), UINT64_MAX}, 1);
  map.erase(BlockRange{BlockIndex(1), UINT64_MAX - 1});
  BOOST_TEST(map.size() == 1);
  BOOST_TEST(*map.find(BlockIndex(0)) == 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
