// A block of the extents that is not what was written: read right or not at all, repaired from
// another copy that is neither behind what is lost nor ahead of the own log (C14, C27).
#include <algorithm>

#include "engine/planted.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

using engine::BlockCopy;
using engine::CopyState;
using engine::Errc;

/// Blocks 0 to 7 written by lsn 2, all of it in the extents; then block 3 rots.
struct Damaged : StoreWorld {
  Damaged() {
    open(true);
    append_durably({begin_epoch(1), write(0, 8)});
    flush_all();
    rot(3);
  }
  void rot(std::uint64_t block) { flip(file_of("extents/00000000.dat"), block * block_bytes + 99); }
  /// What another copy has of a block, flushed up to `checkpoint`, as `lsn` wrote it.
  BlockCopy copy(std::uint64_t block, std::uint64_t lsn, std::uint64_t checkpoint) const {
    BlockCopy c;
    c.block = BlockIndex(block);
    c.state = CopyState::data;
    c.checkpoint = c.flush_lsn = Lsn(checkpoint);
    c.data = content({c.block, 1}, lsn);
    c.sum = engine::block_sum(engine::VolumeKey(spec.id), c.block, c.data.bytes());
    return c;
  }
  engine::Errc read_error() {
    auto read = finish(store->read_blocks({BlockIndex(), 8}));
    BOOST_REQUIRE(!read);
    return read.error().code;
  }
  std::size_t told(std::string_view name) const {
    return static_cast<std::size_t>(std::count(events.names.begin(), events.names.end(), name));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(repair)

BOOST_AUTO_TEST_CASE(a_damaged_block_is_an_error_of_its_own_range_told_once) {
  Damaged w;
  BOOST_CHECK(w.read_error() == Errc::corrupt);
  BOOST_CHECK(w.read_error() == Errc::corrupt);
  BOOST_TEST(w.told("block_damaged") == 1u);
  BOOST_TEST(w.finish(w.store->read_blocks({BlockIndex(4), 4})).has_value());
  const auto wanted = w.damaged_block();
  BOOST_REQUIRE(wanted.has_value());
  BOOST_TEST(wanted->block.value == 3u);
  BOOST_TEST(wanted->at.value == 2u);
  BOOST_TEST(w.store->status().damaged_blocks == 1u);
}

BOOST_AUTO_TEST_CASE(content_that_the_own_checksum_names_is_right_whoever_has_it) {
  Damaged w;
  w.read_error();
  BOOST_TEST(w.finish(w.store->repair_block(w.copy(3, 2, 0), Lsn(2))).has_value());
  BOOST_TEST(w.difference_at(Lsn(2)) == "");
  BOOST_TEST(w.told("block_repaired") == 1u);
  BOOST_TEST(!w.damaged_block().has_value());
  BOOST_TEST(w.store->status().blocks_repaired == 1u);
  BOOST_TEST(w.store->status().damaged_blocks == 0u);
}

BOOST_AUTO_TEST_CASE(other_content_of_a_copy_that_may_be_older_is_refused) {
  Damaged w;
  w.read_error();
  const auto refused = w.finish(w.store->repair_block(w.copy(3, 1, 1), Lsn(2)));
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == Errc::refused);
  BOOST_CHECK(w.read_error() == Errc::corrupt);
}

namespace {

/// The sector with the checksums of blocks 0 to 15 cannot be read until it is written; of those 0 to 7 were written.
struct Unread : Damaged {
  Unread() {
    read_error();
    BOOST_TEST(finish(store->repair_block(copy(3, 2, 2), Lsn(2))).has_value());
    crash(MemoryDisk::Loss::process, 1);
    disk->on_read = [this](const std::string& path, std::uint64_t, std::size_t) -> engine::Status {
      if (!path.ends_with("00000000.sum") || !bad) return engine::Done{};
      return engine::Error{Errc::io_failed, "read of " + path + ": Input/output error"};
    };
    disk->on_write = [this](const std::string& path, std::uint64_t) -> engine::Status {
      if (path.ends_with("00000000.sum")) bad = false;
      return engine::Done{};
    };
    open();
  }
  bool bad = true;
};

}  // namespace

BOOST_AUTO_TEST_CASE(checksums_that_cannot_be_read_are_damage_of_their_blocks_alone) {
  Unread w;
  BOOST_CHECK(w.read_error() == Errc::corrupt);
  BOOST_TEST(w.told("block_damaged") == 1u + 8u);  // One that rotted before.
  BOOST_TEST(w.finish(w.store->read_blocks({BlockIndex(16), 8})).has_value());
  BOOST_CHECK(!w.failure);
  for (std::uint64_t block = 0; block < 8; ++block)
    BOOST_TEST(w.finish(w.store->repair_block(w.copy(block, 2, 2), Lsn(2))).has_value());
  BOOST_TEST(w.difference_at(Lsn(2)) != "");  // Holes: nobody can tell yet.
  for (std::uint64_t block = 8; block < 16; ++block) {
    auto hole = w.copy(block, 2, 2);
    hole.state = CopyState::hole;
    hole.data = {};
    BOOST_TEST(w.finish(w.store->repair_block(hole, Lsn(2))).has_value());
  }
  BOOST_TEST(w.difference_at(Lsn(2)) == "");
  w.crash(MemoryDisk::Loss::process, 1);
  w.open();
  BOOST_TEST(w.difference_at(Lsn(2)) == "");
}

BOOST_AUTO_TEST_CASE(checksums_that_could_not_be_read_for_a_moment_are_read_again) {
  Unread w;
  BOOST_CHECK(w.read_error() == Errc::corrupt);
  w.bad = false;
  BOOST_TEST(w.difference_at(Lsn(2)) == "");
  BOOST_TEST(w.told("block_repaired") == 1u);  // The one that rotted before.
}

// One block of the page is written and synced before anybody reads the others.
BOOST_AUTO_TEST_CASE(a_page_of_checksums_is_not_written_over_before_it_was_asked_for_again) {
  Unread w;
  BOOST_CHECK(w.read_error() == Errc::corrupt);
  w.append_durably({w.write(0, 1)});
  w.bad = false;
  w.flush_all();
  w.crash(MemoryDisk::Loss::process, 1);
  w.open();
  BOOST_TEST(w.difference_at(Lsn(3)) == "");
}

BOOST_AUTO_TEST_CASE(a_planted_bug_takes_the_older_copy) {
  Damaged w;
  w.read_error();
  engine::plant(engine::Bug::repair_takes_older_block);
  const auto taken = w.finish(w.store->repair_block(w.copy(3, 1, 1), Lsn(2)));
  engine::plant(engine::Bug::none);
  BOOST_TEST(taken.has_value());
  BOOST_TEST(w.difference_at(Lsn(2)) == "block 3 is not as lsn 2 left it");
}

BOOST_AUTO_TEST_CASE(a_copy_that_may_be_ahead_of_the_own_log_waits_for_the_log) {
  Damaged w;
  w.read_error();
  const auto future = w.copy(3, 3, 3);
  const auto refused = w.finish(w.store->repair_block(future, Lsn(2)));
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == Errc::refused);
  w.append_durably({w.write(3, 1)});
  BOOST_TEST(w.finish(w.store->repair_block(future, Lsn(2))).has_value());
  w.flush_all();
  BOOST_TEST(w.difference_at(Lsn(3)) == "");
}

BOOST_AUTO_TEST_CASE(bytes_that_are_not_what_their_sum_says_are_never_written) {
  Damaged w;
  w.read_error();
  auto wrong = w.copy(3, 2, 2);
  wrong.data = StoreWorld::content({BlockIndex(3), 1}, 77);
  const auto refused = w.finish(w.store->repair_block(wrong, Lsn(2)));
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == Errc::corrupt);
  BOOST_CHECK(w.read_error() == Errc::corrupt);
}

BOOST_AUTO_TEST_CASE(a_lost_checksum_is_repaired_by_a_copy_past_the_checkpoint) {
  Damaged w;
  w.append_durably({w.write(9, 1)});
  w.flush_all();
  w.store.reset();
  StoreWorld::flip(w.file_of("extents/00000000.sum"), 5 * 8);  // of block 5
  w.open();
  w.store->set_committed(Lsn(3));
  BOOST_TEST(!w.finish(w.store->read_blocks({BlockIndex(5), 1})).has_value());
  BOOST_TEST(w.finish(w.store->repair_block(w.copy(5, 2, 3), Lsn(3))).has_value());
  BOOST_TEST(w.finish(w.store->read_blocks({BlockIndex(5), 1})).has_value());
}

BOOST_AUTO_TEST_CASE(what_is_flushed_over_damage_heals_it_and_a_late_copy_changes_nothing) {
  Damaged w;
  w.read_error();
  w.append_durably({w.write(3, 1)});
  w.flush_all();
  BOOST_TEST(!w.damaged_block().has_value());
  BOOST_TEST(w.finish(w.store->repair_block(w.copy(3, 2, 2), Lsn(2))).has_value());
  BOOST_TEST(w.difference_at(Lsn(3)) == "");
  BOOST_TEST(w.told("block_repaired") == 0u);
}

BOOST_AUTO_TEST_CASE(a_copy_asked_for_before_a_flush_is_not_taken_for_new_damage_behind_it) {
  Damaged w;
  w.read_error();
  w.append_durably({w.write(3, 1)});
  w.flush_all();
  w.rot(3);
  w.read_error();
  const auto late = w.finish(w.store->repair_block(w.copy(3, 2, 2), Lsn(2)));
  BOOST_REQUIRE(!late);
  BOOST_CHECK(late.error().code == Errc::refused);
}

BOOST_AUTO_TEST_CASE(a_reader_waits_for_the_repair) {
  Damaged w;
  std::optional<bool> right;
  w.store->run(w.store->read_blocks({BlockIndex(3), 1}),
               [&](auto read) { right = read.has_value(); });
  w.disk->settle();
  BOOST_TEST(!right.has_value());
  BOOST_TEST(w.finish(w.store->repair_block(w.copy(3, 2, 2), Lsn(2))).has_value());
  w.disk->settle();
  BOOST_REQUIRE(right.has_value());
  BOOST_TEST(*right);
}

BOOST_AUTO_TEST_CASE(a_reader_waits_no_longer_than_some_seconds_where_nobody_can_help) {
  Damaged w;
  std::optional<bool> right;
  w.store->run(w.store->read_blocks({BlockIndex(3), 1}),
               [&](auto read) { right = read.has_value(); });
  w.disk->settle();
  const auto began = w.timers.now();
  while (!right) {
    if (w.damaged_block()) w.store->repair_failed(BlockIndex(3));
    w.timers.advance(100 * engine::millisecond);
    w.disk->settle();
  }
  BOOST_TEST(!*right);
  BOOST_TEST(w.timers.now() - began <= 4 * engine::second);
}

BOOST_AUTO_TEST_CASE(those_who_could_not_help_are_asked_again_later) {
  Damaged w;
  w.read_error();
  const auto wanted = w.damaged_block();
  BOOST_REQUIRE(wanted.has_value());
  w.store->repair_failed(BlockIndex(3));
  BOOST_TEST(!w.damaged_block().has_value());
  BOOST_TEST(w.store->status().unrepairable_blocks == 1u);
  w.timers.advance(11 * engine::second);
  BOOST_REQUIRE(w.damaged_block().has_value());
  BOOST_TEST(w.damaged_block()->attempt > wanted->attempt);
}

std::vector<std::uint64_t> wanted(const StoreWorld& w) {
  std::vector<std::uint64_t> blocks;
  for (const auto& one : w.store->damaged_blocks()) blocks.push_back(one.block.value);
  return blocks;
}

// A scrub found a long list; a client must not wait until it is worked off.
BOOST_AUTO_TEST_CASE(what_a_reader_waits_for_is_asked_for_before_all_that_nobody_reads) {
  Damaged w;
  w.append_durably({w.write(8, 8)});
  w.flush_all();
  for (std::uint64_t block = 0; block < 16; ++block) {
    if (block != 3) w.rot(block);
    (void)w.finish(w.store->copy_of(BlockIndex(block), Lsn(2)));
  }
  const std::vector<std::uint64_t> from_the_begin{0, 1, 2, 3};
  BOOST_TEST((wanted(w) == from_the_begin));
  std::optional<bool> first, second;
  w.store->run(w.store->read_blocks({BlockIndex(14), 2}),
               [&](auto read) { first = read.has_value(); });
  w.disk->settle();
  w.store->run(w.store->read_blocks({BlockIndex(9), 1}),
               [&](auto read) { second = read.has_value(); });
  w.disk->settle();
  const std::vector<std::uint64_t> waited_for{14, 15, 9, 0};
  BOOST_TEST((wanted(w) == waited_for));
  for (const std::uint64_t block : {14u, 15u, 9u})
    BOOST_TEST(w.finish(w.store->repair_block(w.copy(block, 3, 3), Lsn(3))).has_value());
  w.disk->settle();
  BOOST_TEST((first && *first));
  BOOST_TEST((second && *second));
  BOOST_TEST((wanted(w) == from_the_begin));
}

BOOST_AUTO_TEST_CASE(a_reader_that_went_away_leaves_the_order_as_it_was) {
  Damaged w;
  w.rot(1);
  (void)w.finish(w.store->copy_of(BlockIndex(1), Lsn(2)));
  BOOST_TEST(!w.finish(w.store->read_blocks({BlockIndex(3), 1})).has_value());
  const std::vector<std::uint64_t> all{1, 3};
  BOOST_TEST((wanted(w) == all));
}

BOOST_AUTO_TEST_CASE(a_list_that_is_full_has_room_for_what_a_reader_waits_for) {
  storage::DamagedBlocks damaged;
  for (std::uint64_t block = 0; block < storage::damaged_blocks_noted_max; ++block)
    BOOST_REQUIRE(damaged.note(BlockIndex(block), Lsn(2)));
  const BlockIndex beyond(storage::damaged_blocks_noted_max);
  BOOST_TEST(!damaged.note(beyond, Lsn(2)));
  const auto wait = damaged.wait_for({beyond, 2 * storage::damaged_blocks_waited_max});
  for (std::uint64_t i = 0; i < storage::damaged_blocks_waited_max; ++i)
    BOOST_REQUIRE(damaged.note(beyond + i, Lsn(2)));
  BOOST_TEST(!damaged.note(beyond + storage::damaged_blocks_waited_max, Lsn(2)));
  BOOST_TEST(damaged.wanted().front().block.value == beyond.value);
}

// On a volume where nothing else moves.
BOOST_AUTO_TEST_CASE(a_reader_of_a_block_that_was_given_up_has_others_asked_at_once) {
  Damaged w;
  w.read_error();
  w.store->repair_failed(BlockIndex(3));
  std::size_t told = 0;
  w.store->on_progress = [&] { told += w.store->damaged_blocks().empty() ? 0u : 1u; };
  w.store->run(w.store->read_blocks({BlockIndex(3), 1}), [](auto) {});
  w.disk->settle();
  BOOST_TEST(told > 0u);
}

BOOST_AUTO_TEST_CASE(a_copy_is_given_when_the_extents_hold_what_is_asked_for) {
  Damaged w;
  w.append_durably({w.write(4, 1)});
  const auto given = w.finish(w.store->copy_of(BlockIndex(4), Lsn(3)));
  BOOST_REQUIRE(given.has_value());
  BOOST_CHECK(given->state == CopyState::data);
  BOOST_TEST(given->checkpoint.value == 3u);
  BOOST_TEST(given->sum == w.copy(4, 3, 3).sum);
  const auto hole = w.finish(w.store->copy_of(BlockIndex(60), Lsn(3)));
  BOOST_CHECK(hole->state == CopyState::hole);
}

BOOST_AUTO_TEST_CASE(what_is_not_committed_here_is_not_flushed_for_another_copy) {
  Damaged w;
  w.append({w.write(4, 1)}, Lsn(2));
  w.disk->settle();
  const auto given = w.finish(w.store->copy_of(BlockIndex(4), Lsn(3)));
  BOOST_REQUIRE(given.has_value());
  BOOST_CHECK(given->state == CopyState::not_yet);
  BOOST_TEST(w.store->checkpoint().value == 2u);
}

BOOST_AUTO_TEST_CASE(a_damaged_block_is_not_given_away_and_is_noted) {
  Damaged w;
  const auto given = w.finish(w.store->copy_of(BlockIndex(3), Lsn(2)));
  BOOST_REQUIRE(given.has_value());
  BOOST_CHECK(given->state == CopyState::damaged);
  BOOST_TEST(w.damaged_block().has_value());
  BOOST_CHECK(
      w.finish(w.store->copy_of(BlockIndex(engine::volume_blocks_max), Lsn(2))).error().code ==
      Errc::invalid);
}

BOOST_AUTO_TEST_CASE(a_repaired_block_is_right_after_a_crash) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Damaged w;
    w.read_error();
    BOOST_REQUIRE(w.finish(w.store->repair_block(w.copy(3, 2, 2), Lsn(2))).has_value());
    w.crash(MemoryDisk::Loss::power, seed);
    w.open();
    BOOST_TEST(w.difference_at(Lsn(2)) == "");
  }
}

BOOST_AUTO_TEST_SUITE_END()
