// What is dirty, against an array of blocks; and the edges between singles and ranges.
#define BOOST_TEST_DYN_LINK
#include "storage/dirty_map.hpp"

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/storage/memory_disk.hpp"

using namespace tidemark;
using namespace tidemark::storage;
using engine::BlockIndex;
using engine::BlockRange;
using engine::Lsn;
using engine::RecordHeader;
using engine::RecordKind;
using tests::Dice;

namespace {

BlockRange range(std::uint64_t first, std::uint64_t end) {
  return {BlockIndex(first), end - first};
}

RecordHeader header(std::uint64_t lsn, BlockRange over, RecordKind kind = RecordKind::write,
                    std::uint8_t flags = 0) {
  RecordHeader h;
  h.kind = kind;
  h.flags = flags;
  h.lsn = Lsn(lsn);
  h.range = over;
  return h;
}

/// A character per block: the last digit of its LSN, or a dot. With a bar between parts.
std::string picture(const DirtyMap& map, BlockRange asked) {
  std::string text;
  map.visit(asked, [&](BlockRange part, const DirtyBlock* dirty) {
    if (!text.empty()) text += '|';
    text.append(part.count,
                dirty == nullptr ? '.' : static_cast<char>('0' + dirty->lsn.value % 10));
  });
  return text;
}

// So many that a visit of all of them walks, and one of a few looks up.
constexpr std::uint64_t model_blocks = 200;
using Model = std::array<std::optional<DirtyBlock>, model_blocks>;

BlockRange any_range(Dice& dice) {
  const auto first = dice.below(model_blocks);
  const auto most = dice.below(3) == 0 ? model_blocks : std::uint64_t{8};
  return range(first, first + dice.below(std::min(most, model_blocks - first) + 1));
}

RecordHeader any_record(Dice& dice, std::uint64_t lsn) {
  const std::array kinds{RecordKind::write, RecordKind::write, RecordKind::trim,
                         RecordKind::write_zeroes};
  const auto over =
      dice.below(8) < 5 ? BlockRange{BlockIndex(dice.below(model_blocks)), 1} : any_range(dice);
  const auto flags = dice.below(2) == 0 ? engine::flag_no_hole : std::uint8_t{0};
  return header(lsn, over, kinds[dice.below(kinds.size())], flags);
}

void add_to(Model& model, const RecordHeader& h) {
  auto kind = DirtyKind::data;
  if (h.kind == RecordKind::trim) kind = DirtyKind::hole;
  if (h.kind == RecordKind::write_zeroes)
    kind = h.flags == engine::flag_no_hole ? DirtyKind::zeros : DirtyKind::hole;
  for (auto b = h.range.first; b < h.range.end(); b = b.next())
    model[b.value] = DirtyBlock{h.lsn, kind};
}

void flushed_in(Model& model, const RecordHeader& h) {
  for (auto b = h.range.first; b < h.range.end(); b = b.next()) {
    auto& cell = model[b.value];
    if (cell && cell->lsn <= h.lsn) cell.reset();
  }
}

void check_find(const DirtyMap& map, const Model& model) {
  std::uint64_t dirty = 0, wrong = 0;
  for (std::uint64_t b = 0; b < model_blocks; ++b) {
    if (map.find(BlockIndex(b)) != model[b]) ++wrong;
    if (model[b]) ++dirty;
  }
  BOOST_REQUIRE_EQUAL(wrong, 0u);
  BOOST_REQUIRE_EQUAL(map.blocks(), dirty);
}

void check_visit(const DirtyMap& map, const Model& model, BlockRange asked) {
  auto next = asked.first;
  bool after_clean = false;
  std::uint64_t wrong = 0;
  map.visit(asked, [&](BlockRange part, const DirtyBlock* dirty) {
    if (part.first != next || part.empty()) ++wrong;
    if (after_clean && dirty == nullptr) ++wrong;  // two parts where there is one
    after_clean = dirty == nullptr;
    next = part.end();
    const auto said = dirty != nullptr ? std::optional(*dirty) : std::nullopt;
    for (auto b = part.first.value; b < std::min(part.end().value, model_blocks); ++b) {
      if (model[b] != said) ++wrong;
    }
    if (part.end().value > model_blocks && dirty != nullptr) ++wrong;
  });
  BOOST_REQUIRE_EQUAL(wrong, 0u);
  BOOST_REQUIRE(next == asked.end());
}

using Singles = std::vector<DirtySingles::Single>;
constexpr std::uint64_t singles_space = 4096;
constexpr std::uint64_t narrow = 32;

DirtySingles thousand_singles() {
  Dice dice(7);
  DirtySingles singles;
  for (std::uint64_t lsn = 1; lsn <= 1000; ++lsn) {
    const auto kind = static_cast<DirtyKind>(dice.below(3));
    singles.set(BlockIndex(dice.below(singles_space)), {Lsn(lsn), kind});
  }
  BOOST_REQUIRE(singles.walk_is_cheaper(range(0, singles_space)));
  BOOST_REQUIRE(!singles.walk_is_cheaper(range(0, narrow)));
  return singles;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dirty_map)

BOOST_AUTO_TEST_CASE(it_answers_like_an_array_of_blocks) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Dice dice(seed);
    DirtyMap map;
    Model model{};
    std::vector<RecordHeader> log;
    for (std::uint64_t lsn = 1; lsn <= 120; ++lsn) {
      log.push_back(any_record(dice, lsn));
      map.add(log.back());
      add_to(model, log.back());
      if (dice.below(3) == 0) {
        const auto& h = log[dice.below(log.size())];
        map.flushed(h);
        flushed_in(model, h);
      }
      check_find(map, model);
      check_visit(map, model, any_range(dice));
      check_visit(map, model, range(0, model_blocks));
      check_visit(map, model, {BlockIndex(dice.below(model_blocks)), UINT64_MAX / 2});
    }
    for (const auto& h : log) map.flushed(h);
    check_find(map, Model{});
    check_visit(map, Model{}, {BlockIndex(0), UINT64_MAX});
  }
}

BOOST_AUTO_TEST_CASE(a_single_is_cut_out_of_the_range_that_it_hits) {
  DirtyMap map;
  map.add(header(1, range(2, 8)));
  map.add(header(2, range(4, 5)));
  BOOST_TEST(picture(map, range(0, 10)) == "..|11|2|111|..");
  BOOST_TEST(map.blocks() == 6u);
}

BOOST_AUTO_TEST_CASE(a_range_takes_the_place_of_the_singles_within) {
  DirtyMap map;
  for (std::uint64_t b = 0; b < 6; ++b) map.add(header(1 + b, range(b, b + 1)));
  map.add(header(9, range(2, 5)));
  BOOST_TEST(picture(map, range(0, 7)) == "1|2|999|6|.");
  BOOST_TEST(map.blocks() == 6u);
}

BOOST_AUTO_TEST_CASE(the_flush_of_an_older_record_leaves_newer_ones) {
  DirtyMap map;
  const auto old_single = header(1, range(1, 2));
  const auto old_range = header(2, range(4, 8));
  map.add(old_single);
  map.add(old_range);
  map.add(header(3, range(5, 6)));
  map.add(header(4, range(0, 2)));
  map.flushed(old_single);
  BOOST_TEST(picture(map, range(0, 8)) == "44|..|2|3|22");
  map.flushed(old_range);
  BOOST_TEST(picture(map, range(0, 8)) == "44|...|3|..");
  map.flushed(header(3, range(5, 6)));
  BOOST_TEST(picture(map, range(0, 8)) == "44|......");
}

BOOST_AUTO_TEST_CASE(clean_blocks_between_singles_come_as_one_part) {
  DirtyMap map;
  map.add(header(1, range(10, 11)));
  map.add(header(2, range(500, 501)));
  const auto ends_of = [&](BlockRange asked) {
    std::vector<std::uint64_t> ends;
    map.visit(asked, [&](BlockRange part, const DirtyBlock*) { ends.push_back(part.end().value); });
    return ends;
  };
  BOOST_TEST(ends_of({BlockIndex(0), UINT64_MAX}) ==
                 (std::vector<std::uint64_t>{10, 11, 500, 501, UINT64_MAX}),
             boost::test_tools::per_element());
  BOOST_TEST(ends_of(range(9, 40)) == (std::vector<std::uint64_t>{10, 11, 40}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_record_without_blocks_changes_nothing) {
  DirtyMap map;
  map.add(header(1, range(3, 4)));
  map.add(header(2, range(3, 3)));
  map.add(header(3, range(0, 0), RecordKind::epoch));
  map.flushed(header(3, range(0, 0), RecordKind::epoch));
  BOOST_TEST(picture(map, range(2, 5)) == ".|1|.");
  BOOST_TEST(picture(map, range(3, 3)).empty());
}

BOOST_AUTO_TEST_CASE(a_walk_finds_what_lookups_find) {
  const auto singles = thousand_singles();
  Singles looked_up;
  for (BlockRange rest = range(0, singles_space); !rest.empty();) {
    const auto single = singles.first(rest);
    if (!single) break;
    looked_up.push_back(*single);
    rest = range(single->block.value + 1, singles_space);
  }
  BOOST_TEST(looked_up.size() == singles.size());
  BOOST_TEST((looked_up == singles.sorted(range(0, singles_space))));
}

BOOST_AUTO_TEST_CASE(a_walk_erases_what_lookups_erase) {
  auto walked = thousand_singles();
  auto looked_up = walked;
  const BlockRange over = range(500, 3500);
  BOOST_REQUIRE(walked.walk_is_cheaper(over));
  walked.erase(over, Lsn(600));
  for (auto b = over.first; b < over.end(); b = b.next()) looked_up.erase({b, 1}, Lsn(600));
  const auto left = walked.sorted(range(0, singles_space));
  BOOST_TEST((left == looked_up.sorted(range(0, singles_space))));
  BOOST_TEST(left.size() == walked.size());
  BOOST_TEST(left.size() == looked_up.size());
  BOOST_TEST(left.size() < thousand_singles().size());
  for (const auto& single : left)
    BOOST_TEST((single.dirty.lsn > Lsn(600) || !over.contains(single.block)));
}

BOOST_AUTO_TEST_CASE(the_largest_lsn_keeps_its_kind) {
  DirtyMap map;
  map.add(header(dirty_lsn_max.value, range(5, 6), RecordKind::trim));
  BOOST_TEST((map.find(BlockIndex(5)) == DirtyBlock{dirty_lsn_max, DirtyKind::hole}));
  map.flushed(header(dirty_lsn_max.value, range(5, 6), RecordKind::trim));
  BOOST_TEST(map.blocks() == 0u);
}

BOOST_AUTO_TEST_CASE(many_singles_are_all_there_and_one_trim_ends_them) {
  DirtyMap map;
  constexpr std::uint64_t many = 100'000, apart = 64;
  for (std::uint64_t i = 0; i < many; ++i) map.add(header(1 + i, {BlockIndex(i * apart), 1}));
  BOOST_TEST(map.blocks() == many);
  std::uint64_t seen = 0;
  map.visit({BlockIndex(0), many * apart}, [&](BlockRange part, const DirtyBlock* dirty) {
    if (dirty == nullptr) return;
    if (part.first == BlockIndex(seen * apart) && dirty->lsn == Lsn(1 + seen)) ++seen;
  });
  BOOST_TEST(seen == many);
  map.add(header(many + 1, range(0, many * apart), RecordKind::trim));
  BOOST_TEST(map.blocks() == many * apart);
  map.clear();
  BOOST_TEST(map.blocks() == 0u);
  BOOST_TEST(!map.find(BlockIndex(0)).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
