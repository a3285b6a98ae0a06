// The touched index: what it names is what the log touched, whatever was merged, lost or damaged.
#include <vector>

#include "storage/touched_index.hpp"
#include "tests/storage/touched_support.hpp"

using namespace tidemark;
using namespace tidemark::tests;
using storage::BlockSet;
using storage::TouchedBoundary;
using storage::TouchedIndex;

namespace {

std::vector<bool> plain(const BlockSet& set, std::uint64_t volume_blocks) {
  std::vector<bool> blocks(volume_blocks);
  auto from = BlockIndex();
  while (const auto run = set.next_run(from)) {
    mark(blocks, *run);
    from = run->end();
  }
  return blocks;
}

/// An index on a catalog, without a store.
struct IndexWorld {
  static constexpr std::uint64_t volume_blocks = 4096;

  IndexWorld() {
    spec.id = test_uuid(7);
    spec.name = "test";
    spec.size_bytes = volume_blocks * block_bytes;
    builder.emplace(engine::VolumeKey(spec.id), Lsn(), engine::Digest());
    reopen();
  }

  void reopen() {
    index.emplace(kv, events, spec, engine::ReplicaId(3), limits);
    index->open(checkpoint);
  }
  void settle() {
    while (!under_way.empty()) {
      const auto complete = std::move(under_way.front());
      under_way.pop_front();
      complete();
    }
  }
  void add() {
    scope.run(index->add(next, records), [](engine::Done) {});
    settle();
  }
  /// One round, recorded.
  void round(const std::vector<BlockRange>& ranges) {
    prepare(ranges);
    add();
    record();
  }
  void prepare(const std::vector<BlockRange>& ranges) {
    records.clear();
    for (const auto& range : ranges) {
      records.push_back(builder->zero(engine::Epoch(1), engine::RecordKind::trim, 0, range, {}));
    }
    next = {records.back()->lsn(), records.back()->header().digest};
  }
  void record() {
    index->recorded();
    checkpoint = next;
    for (const auto& record : records) {
      touched.push_back(record->header().range);
      digest_at[record->lsn()] = record->header().digest;
    }
  }
  std::vector<bool> model(Lsn after) const {
    std::vector<bool> blocks(volume_blocks);
    for (auto i = after.value; i < touched.size(); ++i) mark(blocks, touched[i]);
    return blocks;
  }
  /// All boundaries name exactly what the model has.
  void check() {
    std::vector<bool> model(volume_blocks);
    auto left = touched.size();
    for (auto at = checkpoint.lsn;; at = Lsn(at.value - 1)) {
      const auto found = index->boundary(at);
      if (!found) break;
      at = found->lsn;
      while (left > at.value) mark(model, touched[--left]);
      BOOST_REQUIRE(found->digest == digest_at.at(at));
      const auto blocks = index->since(at);
      BOOST_REQUIRE(blocks.has_value());
      BOOST_REQUIRE(plain(*blocks, volume_blocks) == model);
      if (!at) break;
    }
  }

  engine::VolumeSpec spec;
  storage::TouchedLimits limits;
  std::deque<std::function<void()>> under_way;
  MemoryKv kv{[this](std::function<void()> f) { under_way.push_back(std::move(f)); }};
  CountedEvents events;
  std::optional<engine::RecordBuilder> builder;
  TouchedBoundary checkpoint;
  TouchedBoundary next;
  std::vector<engine::RecordPtr> records;
  std::vector<BlockRange> touched;
  std::map<Lsn, engine::Digest> digest_at{{Lsn(), engine::Digest()}};
  std::optional<TouchedIndex> index;
  storage::Scope scope;
};

/// More than a piece of the log: writes of 160 blocks.
void prepare_pieces(IndexWorld& w, std::uint64_t writes, std::uint64_t first) {
  w.records.clear();
  for (std::uint64_t i = 0; i < writes; ++i) {
    const BlockRange written{BlockIndex((first + i * 97) % 3900), 160};
    w.records.push_back(
        w.builder->write(engine::Epoch(1), written, StoreWorld::content(written, i), {}));
  }
  w.next = {w.records.back()->lsn(), w.records.back()->header().digest};
}

/// Rounds that are too big to become one with their neighbours.
void big_round(IndexWorld& w, std::uint64_t n) {
  w.records.clear();
  const BlockRange written{BlockIndex(n * 37 % 3800), 160};
  w.records.push_back(
      w.builder->write(engine::Epoch(1), written, StoreWorld::content(written, n), {}));
  for (std::uint64_t i = 0; i < 4; ++i) {
    const BlockRange trimmed{BlockIndex((n * 41 + i * 800) % 3800), 60};
    w.records.push_back(
        w.builder->zero(engine::Epoch(1), engine::RecordKind::trim, 0, trimmed, {}));
  }
  w.next = {w.records.back()->lsn(), w.records.back()->header().digest};
  w.add();
  w.record();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(touched_index)

BOOST_AUTO_TEST_CASE(every_boundary_names_exactly_what_was_touched_behind_it) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Dice dice(seed);
      IndexWorld w;
      for (int round = 0; round < 300; ++round) {
        if (dice.below(3) == 0) {
          big_round(w, dice.below(1000));
        } else {
          std::vector<BlockRange> ranges;
          for (auto n = 1 + dice.below(4); n > 0; --n)
            ranges.push_back({BlockIndex(dice.below(4000)), 1 + dice.below(30)});
          w.round(ranges);
        }
        if (dice.below(40) == 0) w.reopen();
        if (dice.below(20) == 0) w.check();
      }
      w.check();
      BOOST_CHECK_EQUAL(w.index->covered_from().value, 0u);
      BOOST_CHECK(w.events.names.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(the_number_of_runs_grows_with_the_logarithm_of_the_rounds) {
  IndexWorld w;
  for (std::uint64_t n = 0; n < 1000; ++n) big_round(w, n);
  BOOST_CHECK_LE(w.index->runs().size(), 5 * (storage::touched_runs_per_level + 1));
  BOOST_CHECK_EQUAL(w.kv.pairs.size(), w.index->runs().size());
  // A boundary stands near: at most 1/32 of the age in excess.
  for (std::uint64_t lsn = 0; lsn < w.checkpoint.lsn.value; lsn += 97) {
    const auto found = w.index->boundary(Lsn(lsn));
    BOOST_REQUIRE(found.has_value());
    BOOST_CHECK_LE(lsn - found->lsn.value, (w.checkpoint.lsn.value - lsn) / 32 + 10);
  }
}

// So that a copy that was away for a moment does not get all that one round flushed.
BOOST_AUTO_TEST_CASE(a_round_of_the_flusher_leaves_a_boundary_for_each_piece_of_its_log) {
  constexpr std::uint64_t writes = 50, of_a_piece = 7;
  static_assert(of_a_piece * 160 * block_bytes >= storage::touched_piece_bytes);
  static_assert((of_a_piece - 1) * 160 * block_bytes < storage::touched_piece_bytes);
  IndexWorld w;
  for (std::uint64_t round = 0; round < 30; ++round) {
    prepare_pieces(w, writes, round * 11);
    w.add();
    w.record();
    for (std::uint64_t age = 0; age < writes; ++age) {
      const Lsn at(w.checkpoint.lsn.value - age);
      BOOST_REQUIRE_LT(at.value - w.index->boundary(at)->lsn.value, of_a_piece);
    }
    w.check();
  }
  const auto runs = w.index->runs();
  w.reopen();
  BOOST_CHECK(w.index->runs() == runs);
  BOOST_CHECK_EQUAL(w.kv.pairs.size(), runs.size());
  BOOST_CHECK(w.events.names.empty());
}

BOOST_AUTO_TEST_CASE(pieces_of_a_round_that_was_made_anew_leave_nothing_behind) {
  for (const bool crash : {false, true}) {
    IndexWorld w;
    w.round({{BlockIndex(1), 2}});
    prepare_pieces(w, 50, 1);
    w.add();  // and no superblock
    if (crash) w.reopen();
    BOOST_CHECK_EQUAL(w.index->boundary(Lsn(99))->lsn.value, 1u);
    // Another past, with its boundaries elsewhere.
    w.builder.emplace(engine::VolumeKey(w.spec.id), w.checkpoint.lsn, w.checkpoint.digest);
    w.prepare({{BlockIndex(7), 1}, {BlockIndex(8), 1}, {BlockIndex(9), 1}});
    auto few = w.records;
    prepare_pieces(w, 40, 2);
    w.records.insert(w.records.begin(), few.begin(), few.end());
    w.add();
    w.record();
    w.check();
    w.reopen();
    w.check();
    BOOST_CHECK_EQUAL(w.kv.pairs.size(), w.index->runs().size());
    BOOST_CHECK(w.events.names.empty());
  }
}

BOOST_AUTO_TEST_CASE(rounds_of_a_few_records_become_one) {
  IndexWorld w;
  for (std::uint64_t n = 0; n < 200; ++n) w.round({{BlockIndex(n), 1}});
  BOOST_CHECK_LE(w.index->runs().size(), 2u);
  w.check();
}

BOOST_AUTO_TEST_CASE(between_boundaries_more_is_named_but_never_less) {
  IndexWorld w;
  for (std::uint64_t n = 0; n < 100; ++n) big_round(w, n);
  for (std::uint64_t lsn = 0; lsn <= w.checkpoint.lsn.value; lsn += 11) {
    auto blocks = w.index->since(Lsn(lsn));
    BOOST_REQUIRE(blocks.has_value());
    const auto found = plain(*blocks, w.volume_blocks);
    const auto model = w.model(Lsn(lsn));
    for (std::uint64_t b = 0; b < w.volume_blocks; ++b) BOOST_REQUIRE(found[b] || !model[b]);
  }
}

BOOST_AUTO_TEST_CASE(an_index_without_bound_loses_its_oldest_runs) {
  IndexWorld w;
  w.limits.all_bytes = 4000;
  w.reopen();
  for (std::uint64_t n = 0; n < 300; ++n) big_round(w, n);
  std::uint64_t bytes = 0;
  for (const auto& [key, value] : w.kv.pairs) bytes += value.size();
  BOOST_CHECK_LE(bytes, 4000u);
  BOOST_CHECK_GT(bytes, 2000u);
  BOOST_CHECK_GT(w.index->covered_from().value, 0u);
  w.check();
  w.reopen();
  w.check();
  BOOST_CHECK(w.events.names.empty());
}

BOOST_AUTO_TEST_CASE(runs_too_large_to_merge_stay_as_they_are) {
  IndexWorld w;
  w.limits.merge_bytes = 100;
  w.reopen();
  for (std::uint64_t n = 0; n < 60; ++n) big_round(w, n);
  BOOST_CHECK_EQUAL(w.index->runs().size(), 60u);
  w.check();
}

BOOST_AUTO_TEST_CASE(a_run_beyond_the_checkpoint_does_not_count_and_is_replaced) {
  IndexWorld w;
  w.round({{BlockIndex(1), 2}});
  w.prepare({{BlockIndex(100), 5}, {BlockIndex(200), 5}});
  w.add();  // and a crash before the superblock
  w.reopen();
  BOOST_CHECK_EQUAL(w.index->boundary(Lsn(99))->lsn.value, 1u);
  w.check();
  // Another past: what was ahead is gone.
  w.builder.emplace(engine::VolumeKey(w.spec.id), w.checkpoint.lsn, w.checkpoint.digest);
  w.round({{BlockIndex(300), 1}});
  w.check();
  w.reopen();
  w.check();
  BOOST_CHECK(!w.index->since(Lsn())->has(BlockIndex(100)));
  BOOST_CHECK(w.events.names.empty());
}

BOOST_AUTO_TEST_CASE(a_superblock_that_could_not_be_written_does_not_count_a_round_twice) {
  IndexWorld w;
  w.round({{BlockIndex(1), 2}});
  w.prepare({{BlockIndex(100), 5}});
  w.add();  // the superblock found no space
  const auto first = w.records;
  w.prepare({{BlockIndex(200), 5}});
  w.records.insert(w.records.begin(), first.begin(), first.end());
  w.add();
  w.record();
  w.check();
  w.reopen();
  w.check();
}

BOOST_AUTO_TEST_CASE(a_run_of_another_past_is_not_taken_for_ours) {
  IndexWorld w;
  w.round({{BlockIndex(1), 1}});
  w.round({{BlockIndex(2), 1}});
  // The log begins anew, and ends at the same number with another digest.
  w.checkpoint.digest.low ^= 1;
  w.digest_at[w.checkpoint.lsn] = w.checkpoint.digest;
  w.reopen();
  BOOST_CHECK_EQUAL(w.index->covered_from().value, 2u);
  BOOST_CHECK(w.events.told("touched_index_shortened"));
  w.round({{BlockIndex(3), 1}});
  w.reopen();
  BOOST_CHECK_EQUAL(w.index->covered_from().value, 2u);
  BOOST_CHECK(!w.index->boundary(Lsn(1)));
  w.check();
  BOOST_CHECK_EQUAL(w.kv.pairs.size(), 1u);
}

BOOST_AUTO_TEST_CASE(damage_costs_what_is_as_old_and_older) {
  Dice dice(5);
  for (int round = 0; round < 12; ++round) {
    IndexWorld w;
    for (std::uint64_t n = 0; n < 160; ++n) big_round(w, n);
    auto victim =
        std::next(w.kv.pairs.begin(), static_cast<std::ptrdiff_t>(dice.below(w.kv.pairs.size())));
    const auto last = storage::decode_touched(w.volume_blocks, victim->second)->run.last.lsn;
    victim->second[dice.below(victim->second.size())] ^= 4;
    if (round % 2 == 0) w.reopen();
    BOOST_CHECK(!w.index->since(Lsn()).has_value());
    BOOST_CHECK_EQUAL(w.index->covered_from().value, last.value);
    BOOST_CHECK(w.events.told("touched_index_shortened"));
    w.check();
    for (std::uint64_t n = 0; n < 40; ++n) big_round(w, n);
    w.check();
    BOOST_CHECK_EQUAL(w.kv.pairs.size(), w.index->runs().size());
  }
}

BOOST_AUTO_TEST_CASE(a_missing_run_costs_what_is_older) {
  IndexWorld w;
  for (std::uint64_t n = 0; n < 10; ++n) big_round(w, n);
  const auto gone = w.index->runs()[3];
  w.kv.pairs.erase(std::next(w.kv.pairs.begin(), 3));
  w.reopen();
  BOOST_CHECK_EQUAL(w.index->covered_from().value, gone.last.lsn.value);
  w.check();
}

BOOST_AUTO_TEST_CASE(a_failed_catalog_costs_the_index_alone) {
  IndexWorld w;
  for (std::uint64_t n = 0; n < 5; ++n) big_round(w, n);
  w.kv.failing = true;
  big_round(w, 5);
  BOOST_CHECK(w.events.told("touched_index_lost"));
  BOOST_CHECK_EQUAL(w.index->covered_from().value, w.checkpoint.lsn.value);
  big_round(w, 6);
  BOOST_CHECK_EQUAL(w.index->covered_from().value, w.checkpoint.lsn.value);
  w.check();
  w.kv.failing = false;
  w.reopen();  // what is stored does not lead to the checkpoint
  BOOST_CHECK_EQUAL(w.index->covered_from().value, w.checkpoint.lsn.value);
  big_round(w, 7);
  w.check();
  BOOST_CHECK_EQUAL(w.kv.pairs.size(), 1u);
}

BOOST_AUTO_TEST_CASE(the_bytes_of_a_run_are_pinned) {
  storage::TouchedRun run{{Lsn(9), {1, 2}}, {Lsn(17), {3, 4}}, 2, 4096, 0};
  BlockSet blocks(64);
  blocks.add({BlockIndex(5), 2});
  const auto value = storage::encode_touched(run, blocks);
  std::string hex;
  for (const auto c : value) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  BOOST_CHECK_EQUAL(hex,
                    "b859808f0102090000000000000001000000000000000200000000000000110000000000"
                    "0000030000000000000004000000000000000010000000000000"
                    "6e6394160f0000003b3000000100000100010005000100");
  const auto again = storage::decode_touched(64, value);
  BOOST_REQUIRE(again.has_value());
  run.value_bytes = value.size();
  BOOST_CHECK(again->run == run);
}

BOOST_AUTO_TEST_SUITE_END()
