// A size that the log says: what the extents hold agrees with it after any crash (C24).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

constexpr std::uint64_t most = 96;

/// A volume that is made with 64 blocks, and may have up to 96.
struct ResizedWorld : StoreWorld {
  ResizedWorld() : StoreWorld(most) {
    spec.size_bytes = 64 * block_bytes;
    sizes.push_back(64);
  }
  engine::RecordPtr resize(std::uint64_t blocks) {
    const auto before = size();
    auto next = spec.configuration();
    next.size_bytes = blocks * block_bytes;
    const BlockRange cut =
        blocks < before ? BlockRange{BlockIndex(blocks), before - blocks} : BlockRange{};
    sizes_behind[builder->end().next()] = blocks;
    return note(builder->configure(epoch, next, cut, origin()), cut, 0);
  }
  std::uint64_t size_at(Lsn lsn) const {
    std::uint64_t blocks = 64;
    for (const auto& [first, changed] : sizes_behind) {
      if (first <= lsn) blocks = changed;
    }
    return blocks;
  }
  std::uint64_t size() const { return size_at(builder->end()); }

  std::map<Lsn, std::uint64_t> sizes_behind;
  std::vector<std::uint64_t> sizes;
};

std::uint64_t size_of(const storage::OpenedStore& opened) {
  return opened.configurations.current().blocks();
}

/// Grown, written, shrunk and grown again, with the flusher in between.
struct Script {
  explicit Script(ResizedWorld& world) : w(world) {}

  void act() {
    switch (step++) {
      case 0:
        return append({w.begin_epoch(1), w.write(0, 4), w.write(60, 4)});
      case 2:
        return append({w.resize(96)});
      case 3:
        return append({w.write(80, 8), w.write(62, 4)});
      case 4:
        return w.timers.advance(2 * engine::second);
      case 6:
        return append({w.write(81, 1), w.resize(50), w.write(40, 10)});
      case 7:
        return w.timers.advance(2 * engine::second);
      case 9:
        return append({w.resize(90), w.write(70, 2)});
      case 10:
        return w.timers.advance(2 * engine::second);
      case 12:
        return append({w.resize(64), w.resize(96)});
      default:
        return;
    }
  }
  void append(std::vector<engine::RecordPtr> records) {
    w.append(std::move(records), w.store->durable());
  }

  ResizedWorld& w;
  int step = 0;
};

bool live(ResizedWorld& w, std::uint64_t operations) {
  Script script(w);
  for (std::uint64_t i = 0; i < operations; ++i) {
    if (i % 3 == 0) script.act();
    w.store->set_committed(w.store->durable());
    if (!w.disk->step() && script.step > 13) return false;
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(resize)

// More than a superblock remembers: a start finds them in the log.
BOOST_AUTO_TEST_CASE(any_number_of_sizes_between_two_checkpoints_survives_a_crash) {
  ResizedWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.resize(90)});
  w.flush();
  std::vector<engine::RecordPtr> records;
  const auto changes = 2 * engine::configuration_history_max + 3;
  for (std::uint64_t i = 0; i < changes; ++i) records.push_back(w.resize(91 + i % 2));
  w.append_durably(records);
  for (const bool flushed : {false, true}) {
    if (flushed) {
      w.append_durably({w.write(1, 1)});
      w.flush();
    }
    w.crash(MemoryDisk::Loss::power, 1);
    const auto opened = w.open();
    BOOST_CHECK_EQUAL(opened.configurations.current().blocks(), 91u);
    BOOST_CHECK_EQUAL(w.difference_at(opened.end.lsn), "");
  }
  BOOST_CHECK_EQUAL(w.store->facts().configurations.starts().size(),
                    engine::configuration_history_max);
}

BOOST_AUTO_TEST_CASE(after_a_crash_anywhere_size_and_content_are_those_of_the_log_that_is_left) {
  std::uint64_t points = 0;
  for (const auto loss : {MemoryDisk::Loss::power, MemoryDisk::Loss::process}) {
    bool more = true;
    for (std::uint64_t at = 1; more; ++at) {
      for (std::uint64_t seed = 0; seed < 2; ++seed) {
        BOOST_TEST_CONTEXT("crash after " << at << " operations, seed " << seed) {
          ResizedWorld w;
          w.open(true);
          more = live(w, at);
          const auto reported = w.store->durable();
          w.crash(loss, at * 31 + seed);
          const auto found = w.open();
          BOOST_REQUIRE_MESSAGE(found.damage.empty(), found.damage);
          BOOST_REQUIRE_GE(found.end.lsn.value, reported.value);
          BOOST_REQUIRE_EQUAL(size_of(found), w.size_at(found.end.lsn));
          BOOST_REQUIRE_EQUAL(w.difference_at(found.end.lsn), "");
          ++points;
        }
      }
    }
  }
  BOOST_CHECK_GT(points, 100u);
}

BOOST_AUTO_TEST_CASE(a_size_survives_when_the_record_that_says_it_is_pruned) {
  ResizedWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.resize(96), w.write(90, 2), w.chunk_end()});
  for (int i = 0; i < 12; ++i) {
    w.append_chunk();
    w.flush();
  }
  BOOST_TEST((w.store->retained() > Lsn(2)));
  w.store.reset();
  const auto found = w.open();
  BOOST_TEST(size_of(found) == 96u);
  BOOST_TEST(w.difference_at(w.builder->end()) == "");
}

BOOST_AUTO_TEST_CASE(a_truncated_log_has_the_size_it_had) {
  ResizedWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(60, 4)});
  const auto before = w.builder->end();
  w.append({w.resize(40), w.write(1, 1)}, before);
  w.disk->settle();
  BOOST_TEST(size_of(w.store->facts()) == 40u);
  BOOST_REQUIRE(w.finish(w.store->truncate(before)).has_value());
  BOOST_TEST(size_of(w.store->facts()) == 64u);
  BOOST_TEST(w.difference_at(before) == "");
}

BOOST_AUTO_TEST_CASE(another_size_in_the_assignment_opens_and_the_log_decides) {
  ResizedWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.resize(96)});
  w.flush();
  w.store.reset();
  w.spec.size_bytes = 72 * block_bytes;
  BOOST_TEST(size_of(w.open()) == 96u);
  w.store.reset();
  w.spec.id = test_uuid(9);
  BOOST_TEST(w.try_open().error().text.find("belongs to volume") != std::string::npos);
}

// The source was shrunk and perhaps grown again while this copy was away: what it holds beyond the end
// of the base it begins is not of this volume any more.
BOOST_AUTO_TEST_CASE(a_delta_forgets_what_lies_beyond_the_end_of_its_base) {
  for (std::uint64_t at = 0; at < 60; ++at) {
    BOOST_TEST_CONTEXT("crash after " << at) {
      ResizedWorld w;
      w.open(true);
      w.append_durably({w.begin_epoch(1), w.write(40, 24)});
      w.flush_all();
      const auto base = Lsn(20);
      auto small = w.spec.configuration();
      small.size_bytes = 50 * block_bytes;
      engine::EpochHistory history;
      history.begin({engine::Epoch(1), 7, Lsn(1), 0, engine::Mode::sync_all});
      bool done = false;
      const auto begin = [&] {
        return w.store->begin_base(engine::BaseScope::touched, engine::Epoch(2),
                                   {base, engine::Digest{1, 2}, {}, history, small, {}});
      };
      w.store->run(begin(), [&](auto begun) { done = begun.has_value(); });
      for (std::uint64_t i = 0; i < at; ++i) w.disk->step();
      w.crash(MemoryDisk::Loss::power, at);
      auto found = w.open();
      if (found.base == engine::BaseState::complete) {
        BOOST_REQUIRE(!done);
        BOOST_REQUIRE_EQUAL(w.difference_at(w.builder->end()), "");  // Nothing was taken.
        BOOST_REQUIRE(w.finish(begin()).has_value());
      }
      BOOST_REQUIRE(w.finish(w.store->finish_rebuild(base)).has_value());
      BOOST_REQUIRE_EQUAL(size_of(w.store->facts()), 50u);
      // Grown again, what was cut reads as zeros.
      auto expected = w.blocks_at.back();
      for (std::size_t b = 50; b < most; ++b) expected[b] = 0;
      w.blocks_at.push_back(expected);
      BOOST_REQUIRE_EQUAL(w.difference_at(Lsn(w.blocks_at.size() - 1)), "");
    }
  }
}

BOOST_AUTO_TEST_CASE(a_new_copy_lacks_what_the_base_has_and_no_more) {
  ResizedWorld w;
  w.incomplete = true;
  w.open(true);
  auto large = w.spec.configuration();
  large.size_bytes = 96 * block_bytes;
  const auto begun = w.finish(w.store->begin_base(
      engine::BaseScope::all, engine::Epoch(1), {Lsn(9), engine::Digest{1, 2}, {}, {}, large, {}}));
  BOOST_TEST(begun->missing_blocks == 96u);
  BOOST_TEST(size_of(w.store->facts()) == 96u);
}

BOOST_AUTO_TEST_SUITE_END()
