// Bytes that are not what was written: a torn tail is cut, corruption is named, history may rot,
// nothing is guessed (C14).
#include "storage/superblock.hpp"
#include "storage/wal_format.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

/// Five batches of one record each, one after the other, nothing committed beyond the first.
void five_batches(StoreWorld& w) {
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  for (std::uint64_t i = 0; i < 4; ++i) {
    w.append({w.write(i, 1)}, Lsn(1));
    w.disk->settle();
  }
}

/// The superblock's slots: the older, the newer.
std::array<storage::Superblock, 2> superblocks(StoreWorld& w) {
  const std::span<const std::byte> bytes(w.file_of("superblock").seen);
  const auto a = storage::decode_superblock(bytes.first(storage::superblock_slot_bytes));
  const auto b = storage::decode_superblock(bytes.last(storage::superblock_slot_bytes));
  BOOST_REQUIRE(a && b);
  if (a->generation < b->generation) return {*a, *b};
  return {*b, *a};
}

constexpr std::size_t last = ~std::size_t{0};

/// The store is gone and one bit of a batch of its first segment rots, `at` bytes into the batch.
void rot(StoreWorld& w, std::size_t batch, std::uint64_t at) {
  w.store.reset();
  const auto path = w.segment_files().at(0);
  const auto all = w.batches_in(path);
  StoreWorld::flip(w.file_of(path), all.at(std::min(batch, all.size() - 1)).offset + at);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(damage)

BOOST_AUTO_TEST_CASE(damage_in_the_last_batch_is_a_torn_tail) {
  StoreWorld w;
  five_batches(w);
  rot(w, last, block_bytes + 17);
  const auto found = w.open();
  BOOST_CHECK(found.damage.empty());
  BOOST_CHECK_EQUAL(found.end.lsn.value, 4u);
}

BOOST_AUTO_TEST_CASE(damage_below_what_a_later_batch_proves_durable_is_corruption) {
  StoreWorld w;
  five_batches(w);
  rot(w, 2, block_bytes + 17);
  const auto found = w.open();
  BOOST_CHECK(found.base == engine::BaseState::damaged);
  BOOST_TEST_MESSAGE(found.damage);
  BOOST_CHECK_NE(found.damage.find("lsn 3"), std::string::npos);
  BOOST_CHECK_NE(found.damage.find(".seg, offset"), std::string::npos);
  BOOST_CHECK(!w.finish(w.store->read_blocks({BlockIndex(0), 1})).has_value());
  w.store.reset();
  BOOST_CHECK(w.open().base == engine::BaseState::damaged);
}

// A small read of a large record takes its own blocks from the disk, not the record.
BOOST_AUTO_TEST_CASE(rot_in_the_log_fails_the_reads_of_that_block_alone) {
  StoreWorld w;
  w.limits.memory_tail_bytes = 0;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  w.append_durably({w.write(8, 8)});
  const auto path = w.segment_files().at(0);
  StoreWorld::flip(w.file_of(path),
                   w.batches_in(path).at(1).offset + block_bytes + 5 * block_bytes);
  for (std::uint64_t block = 8; block < 16; ++block) {
    const auto read = w.finish(w.store->read_blocks({BlockIndex(block), 1}));
    BOOST_CHECK_EQUAL(read.has_value(), block != 13);
    if (!read) BOOST_CHECK_NE(read.error().text.find("block 13 of lsn 2"), std::string::npos);
  }
  BOOST_CHECK(w.finish(w.store->read_blocks({BlockIndex(14), 2})).has_value());
  BOOST_CHECK(!w.finish(w.store->read_blocks({BlockIndex(8), 8})).has_value());
  BOOST_CHECK(!w.failure);
}

namespace {

/// One write that only the log has, whose reads fail so often.
void read_of_the_log_fails(StoreWorld& w, int times) {
  w.limits.memory_tail_bytes = 0;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(8, 8)});
  const auto left = std::make_shared<int>(times);
  w.disk->on_read = [left](const std::string& path, std::uint64_t, std::size_t) -> engine::Status {
    if (!path.ends_with(".seg") || --*left < 0) return engine::Done{};
    return engine::Error{engine::Errc::io_failed, "read of " + path + ": Input/output error"};
  };
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_read_of_the_log_that_fails_for_a_moment_is_done_again) {
  StoreWorld w;
  read_of_the_log_fails(w, 3);
  BOOST_TEST(w.difference_at(Lsn(2)) == "");
  BOOST_CHECK(!w.failure);
}

// A client is not told of it while another copy could answer: the store ends, and that one serves.
BOOST_AUTO_TEST_CASE(a_record_that_cannot_be_read_ends_the_store_before_a_client_hears_of_it) {
  StoreWorld w;
  read_of_the_log_fails(w, 1000);
  BOOST_CHECK(!w.finish(w.store->read_blocks({BlockIndex(8), 1})).has_value());
  BOOST_REQUIRE(w.failure.has_value());
  BOOST_TEST(w.failure->text.find("Input/output error") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_missing_header_of_a_batch_is_judged_the_same) {
  for (const std::size_t hit : {2u, 4u}) {
    StoreWorld w;
    five_batches(w);
    rot(w, hit, 40);
    const auto found = w.open();
    BOOST_CHECK_EQUAL(found.damage.empty(), hit == 4);
    BOOST_CHECK_EQUAL(found.end.lsn.value, hit);
  }
}

BOOST_AUTO_TEST_CASE(a_segment_of_another_format_is_refused_and_stays_as_it_is) {
  StoreWorld w;
  five_batches(w);
  w.store.reset();
  auto& file = w.file_of(w.segment_files().at(0));
  file.seen[12] = std::byte{1};
  const auto before = file.seen;
  const auto refused = w.try_open();
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == engine::Errc::invalid);
  BOOST_CHECK_NE(refused.error().text.find("format 1, this build reads 2"), std::string::npos);
  BOOST_CHECK(file.seen == before);
}

BOOST_AUTO_TEST_CASE(a_clean_stop_proves_its_end) {
  StoreWorld w;
  w.open(true);
  w.append({w.begin_epoch(1), w.write(1, 1)}, Lsn());  // not committed: the extents have none of it
  w.disk->settle();
  BOOST_REQUIRE(w.finish(w.store->stop(true)).has_value());
  rot(w, last, block_bytes + 17);
  BOOST_CHECK(w.open().base == engine::BaseState::damaged);
}

BOOST_AUTO_TEST_CASE(a_log_without_a_segment_header_below_the_checkpoint_has_lost_history_only) {
  StoreWorld w;
  five_batches(w);
  w.store->set_committed(Lsn(5));
  w.flush();
  BOOST_REQUIRE_EQUAL(w.store->checkpoint().value, 5u);
  w.store.reset();
  auto& file = w.file_of(w.segment_files().at(0));
  for (std::uint64_t at = 0; at < file.seen.size(); at += 512) StoreWorld::flip(file, at);
  const auto found = w.open();
  // All of it is in the extents, and no record behind the checkpoint is known: nothing is missing.
  BOOST_CHECK(found.damage.empty());
  BOOST_CHECK_EQUAL(found.end.lsn.value, 5u);
  BOOST_CHECK_EQUAL(found.retained.value, 6u);
}

BOOST_AUTO_TEST_CASE(rot_below_the_checkpoint_shortens_history_and_nothing_else) {
  StoreWorld w;
  five_batches(w);
  w.store->set_committed(Lsn(3));
  w.flush();
  BOOST_REQUIRE_EQUAL(w.store->checkpoint().value, 3u);
  rot(w, 1, 40);
  const auto found = w.open();
  BOOST_CHECK(found.damage.empty());
  BOOST_CHECK_EQUAL(found.end.lsn.value, 5u);
  w.read_history();
  BOOST_CHECK_EQUAL(w.store->retained().value, 3u);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(5)), "");
  w.append_durably({w.write(7, 1)});
  w.store.reset();
  BOOST_CHECK_EQUAL(w.open().end.lsn.value, 6u);
}

BOOST_AUTO_TEST_CASE(rot_in_the_last_batches_below_the_checkpoint_is_no_damage_but_is_told) {
  for (const std::uint64_t hit : {3u, 4u}) {
    StoreWorld w;
    five_batches(w);
    w.store->set_committed(Lsn(5));
    w.flush();
    BOOST_REQUIRE_EQUAL(w.store->checkpoint().value, 5u);
    w.store.reset();
    const auto path = w.segment_files().at(0);
    const auto found_batches = w.batches_in(path);
    for (auto i = hit; i < 5; ++i)
      StoreWorld::flip(w.file_of(path), found_batches.at(i).offset + 40);
    const auto found = w.open();
    BOOST_CHECK_MESSAGE(found.damage.empty(), found.damage);
    BOOST_CHECK_EQUAL(found.end.lsn.value, 5u);
    BOOST_CHECK(found.end.digest == w.digest_at[5]);
    BOOST_CHECK_EQUAL(found.retained.value, 6u);
    BOOST_TEST_MESSAGE(w.events.text);
    const auto place = fmt::format("{}, offset {})", path.substr(4), found_batches.at(hit).offset);
    BOOST_CHECK_NE(w.events.text.find(place), std::string::npos);
    BOOST_CHECK_NE(w.events.text.find(fmt::format("lsn {} (segment", hit + 1)), std::string::npos);
    // The log goes on, in files that held the history as well.
    for (int i = 0; i < 6; ++i) w.append_durably({w.write(7, 1), w.chunk_end()});
    w.store.reset();
    BOOST_CHECK_EQUAL(w.open().end.lsn.value, 17u);
    BOOST_CHECK_EQUAL(w.difference_at(Lsn(17)), "");
  }
}

BOOST_AUTO_TEST_CASE(rot_in_a_batch_that_spans_the_checkpoint_is_damage) {
  StoreWorld w;
  five_batches(w);
  w.append({w.write(5, 1), w.write(6, 1), w.write(7, 1)}, Lsn(6));
  w.disk->settle();
  w.flush();
  BOOST_REQUIRE_EQUAL(w.store->checkpoint().value, 6u);
  rot(w, 5, 40);
  const auto found = w.open();
  BOOST_CHECK(found.base == engine::BaseState::damaged);
  BOOST_TEST_MESSAGE(found.damage);
  BOOST_CHECK_NE(found.damage.find("lsn 7"), std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_former_life_of_a_segment_is_not_its_content) {
  StoreWorld w;
  w.limits.memory_tail_bytes = 0;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  for (int chunk = 0; chunk < 12; ++chunk) {
    std::vector<engine::RecordPtr> records;
    for (std::uint64_t i = 0; i < 12; ++i) records.push_back(w.write(i, 1));
    records.push_back(w.chunk_end());
    w.append_durably(records);
    w.flush();
  }
  w.append_durably({w.write(1, 1)});  // the newest segment is recycled, and almost empty
  const auto end = w.builder->end();
  w.crash(MemoryDisk::Loss::power, 3);
  const auto found = w.open();
  BOOST_CHECK(found.damage.empty());
  BOOST_CHECK_EQUAL(found.end.lsn.value, end.value);
}

// The older superblock still names segments that were given up since: some are as they were, some
// deleted, some used again.
BOOST_AUTO_TEST_CASE(the_older_superblock_finds_the_log_behind_what_was_given_up_ahead) {
  const auto full = [](const std::string& path, std::uint64_t) -> engine::Status {
    if (!path.ends_with("superblock")) return engine::Done{};
    return engine::Error{engine::Errc::no_space, "write " + path + ": no space left"};
  };
  for (const bool many : {false, true}) {
    for (const bool used_again : {false, true}) {
      BOOST_TEST_CONTEXT("many " << many << ", used again " << used_again) {
        StoreWorld w;
        w.fill_log();
        if (many) {
          w.store->pin(5, w.store->retained());
          for (int i = 0; i < 8; ++i) w.append_chunk();
          w.append_durably({w.write(0, 1)});
          w.flush_all();
          w.store->unpin(5);
        }
        const auto checkpoint = w.store->checkpoint();
        const auto retained = w.store->retained();
        w.append_durably({w.write(1, 1)});
        const auto kept = w.store->retained();
        BOOST_REQUIRE_GT(kept.value, retained.value);
        w.disk->on_write = full;  // no newer superblock while the last that was given up is used
        w.append_durably({w.chunk_end()});
        if (used_again) w.append_chunk();
        const auto [older, newer] = superblocks(w);
        BOOST_REQUIRE_EQUAL(older.checkpoint.value, checkpoint.value);
        BOOST_REQUIRE_EQUAL(newer.checkpoint.value, checkpoint.value);
        BOOST_REQUIRE_LT(older.wal_start.value, newer.wal_start.value);
        const auto end = w.builder->end();
        w.crash(MemoryDisk::Loss::process, 1);
        const auto slot = newer.generation % storage::superblock_slots;
        StoreWorld::flip(w.file_of("superblock"), slot * storage::superblock_slot_bytes + 100);

        const auto found = w.open();
        BOOST_CHECK_MESSAGE(found.damage.empty(), found.damage);
        BOOST_CHECK_EQUAL(found.checkpoint.lsn.value, checkpoint.value);
        BOOST_CHECK_EQUAL(found.end.lsn.value, end.value);
        BOOST_CHECK(found.end.digest == w.digest_at[end.value]);
        // What was given up is there again, as long as it was not used.
        if (!used_again) BOOST_CHECK_LT(found.retained.value, kept.value);
        BOOST_CHECK_LE(found.retained.value, kept.value);
        w.disk->settle();
        // Reading it showed what had been used again; what is beyond the retention is given up anew.
        if (used_again) BOOST_CHECK_GE(w.store->retained().value, kept.value);
        BOOST_CHECK_EQUAL(w.difference_at(end), "");
        // All that it retains is whole; and it goes on.
        w.store->set_committed(end);
        const auto log = w.finish(w.store->hash_copy(end, 16, {BlockIndex(0), 0})).log;
        BOOST_CHECK(log && *log == w.digest_at[end.value]);
        w.store->release_flush();
        for (int i = 0; i < 4; ++i) w.append_chunk();
        w.crash(MemoryDisk::Loss::power, 2);
        BOOST_CHECK_EQUAL(w.open().end.lsn.value, w.builder->end().value);
        BOOST_CHECK_EQUAL(w.difference_at(w.builder->end()), "");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_block_that_does_not_match_its_checksum_is_an_error_that_names_it) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(20, 3)});
  w.flush();
  StoreWorld::flip(w.file_of("extents/00000001.dat"), 5 * block_bytes + 9);
  const auto read = w.finish(w.store->read_blocks({BlockIndex(20), 3}));
  BOOST_REQUIRE(!read);
  BOOST_CHECK(read.error().code == engine::Errc::corrupt);
  BOOST_CHECK_NE(read.error().text.find("block 21"), std::string::npos);
  BOOST_CHECK(w.finish(w.store->read_blocks({BlockIndex(20), 1})).has_value());
}

/// A store with blocks in two extent files, closed.
void two_extent_files(StoreWorld& w) {
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(1, 2), w.write(20, 3)});
  w.flush();
  BOOST_REQUIRE_EQUAL(w.store->checkpoint().value, 3u);
  w.store.reset();
}

BOOST_AUTO_TEST_CASE(a_lost_extent_file_is_missed_at_opening) {
  const std::vector<std::string> one{"00000001.dat"};
  const std::vector<std::string> other{"00000001.sum"};
  const std::vector<std::string> all{"00000000.dat", "00000000.sum", "00000001.dat",
                                     "00000001.sum"};
  for (const auto& lost : {one, other, all}) {
    StoreWorld w;
    two_extent_files(w);
    for (const auto& name : lost) w.disk->files().erase("/node/replica/extents/" + name);
    const auto refused = w.try_open();
    BOOST_REQUIRE(!refused);
    BOOST_CHECK(refused.error().code == engine::Errc::corrupt);
    BOOST_TEST_MESSAGE(refused.error().text);
    const auto there = lost.size() == 4 ? "0 are there" : "1 are there";
    BOOST_CHECK_NE(refused.error().text.find("2 extent files are on record"), std::string::npos);
    BOOST_CHECK_NE(refused.error().text.find(there), std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_shortened_extent_file_is_not_grown_with_zeros) {
  for (const std::string suffix : {"sum", "dat"}) {
    StoreWorld w;
    two_extent_files(w);
    auto& file = w.file_of("extents/00000001." + suffix);
    file.seen.clear();
    file.durable.clear();
    w.open();
    for (int again = 0; again < 2; ++again) {
      const auto read = w.finish(w.store->read_blocks({BlockIndex(20), 1}));
      BOOST_REQUIRE(!read);
      BOOST_CHECK(read.error().code == engine::Errc::corrupt);
      BOOST_CHECK_NE(read.error().text.find("has 0 bytes, not "), std::string::npos);
    }
    BOOST_CHECK(file.seen.empty());
    BOOST_CHECK(w.finish(w.store->read_blocks({BlockIndex(1), 2})).has_value());
  }
}

BOOST_AUTO_TEST_CASE(compare_finds_the_flipped_byte_in_extents_and_in_the_log) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(20, 3), w.trim(2, 1)});
  const auto hash = [&](std::uint64_t blocks = 64) {
    auto held = w.finish(w.store->hold_flush());
    BOOST_REQUIRE(held.has_value());
    return w.finish(w.store->hash_copy(Lsn(3), 16, {BlockIndex(0), blocks}));
  };
  const auto before = hash();
  BOOST_REQUIRE(before.log.has_value());
  BOOST_CHECK(*before.log == w.digest_at[3]);
  BOOST_CHECK_EQUAL(before.groups.size(), 4u);
  BOOST_CHECK(before.damaged.empty());
  StoreWorld::flip(w.file_of("extents/00000001.dat"), 5 * block_bytes + 9);
  const auto extents = hash();
  BOOST_REQUIRE_EQUAL(extents.damaged.size(), 1u);
  BOOST_CHECK_EQUAL(extents.damaged[0].block.value, 21u);
  BOOST_CHECK_NE(extents.damaged[0].cause.find("checksum"), std::string::npos);
  const auto path = w.segment_files().at(0);
  StoreWorld::flip(w.file_of(path), w.batches_in(path).at(0).offset + 2 * block_bytes);
  const auto log = hash(0);
  BOOST_REQUIRE(!log.log);
  BOOST_TEST_MESSAGE(log.log.error().text);
  BOOST_CHECK(log.log.error().code == engine::Errc::corrupt);
  w.store->release_flush();
}

BOOST_AUTO_TEST_CASE(a_group_has_one_hash_however_its_blocks_were_written) {
  const auto hash = [](std::vector<BlockRange> writes) {
    StoreWorld w(2048);
    w.open(true);
    w.append_durably({w.begin_epoch(1)});
    for (const auto& range : writes) {
      // Content that does not depend on who wrote it.
      auto record = w.builder->write(w.epoch, range, StoreWorld::content(range, 1), w.origin());
      w.append_durably({w.note(record, range, 1)});
    }
    const auto at = w.builder->end();
    return w.finish(w.store->hash_copy(at, 1024, {BlockIndex(0), 2048})).groups;
  };
  const auto whole = hash({{BlockIndex(700), 6}});
  BOOST_CHECK_EQUAL(whole.size(), 2u);
  BOOST_CHECK(whole == hash({{BlockIndex(703), 3}, {BlockIndex(700), 3}}));
  BOOST_CHECK(whole != hash({{BlockIndex(701), 6}}));
}

BOOST_AUTO_TEST_CASE(a_comparison_that_goes_on_keeps_its_hold) {
  StoreWorld w(2048);
  w.limits.extent_file_bytes = 2048 * block_bytes;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  for (std::uint64_t b = 0; b < 32; ++b) w.append_durably({w.write(b * 64, 4)});
  const auto at = w.builder->end();
  BOOST_REQUIRE(w.finish(w.store->hold_flush()).has_value());
  BOOST_REQUIRE(!w.finish(w.store->hash_copy(at, 1, {BlockIndex(0), 1})).groups.empty());
  std::optional<storage::CopyHashes> hashes;
  w.store->run(w.store->hash_copy(at, 64, {BlockIndex(0), 2048}),
               [&](storage::CopyHashes h) { hashes.emplace(std::move(h)); });
  w.append({w.write(1, 1)}, Lsn());
  // Half a minute for each operation of the disk: long altogether, but never silent.
  while (!hashes) {
    w.timers.advance(25 * engine::second);
    BOOST_REQUIRE(w.disk->step());
    w.store->set_committed(w.store->durable());
  }
  BOOST_CHECK(hashes->log.has_value());
  BOOST_CHECK_EQUAL(hashes->groups.size(), 32u);
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, at.value);
}

BOOST_AUTO_TEST_CASE(a_comparison_whose_hold_was_released_is_refused) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(20, 3)});
  BOOST_REQUIRE(w.finish(w.store->hold_flush()).has_value());
  std::optional<storage::CopyHashes> hashes;
  w.store->run(w.store->hash_copy(Lsn(2), 16, {BlockIndex(0), 64}),
               [&](storage::CopyHashes h) { hashes.emplace(std::move(h)); });
  w.store->release_flush();
  w.disk->settle();
  BOOST_REQUIRE(hashes.has_value());
  BOOST_REQUIRE(!hashes->log);
  BOOST_CHECK(hashes->log.error().code == engine::Errc::refused);
}

BOOST_AUTO_TEST_CASE(a_hash_of_what_cannot_be_is_refused) {
  constexpr auto huge = ~std::uint64_t{0};
  struct Question {
    std::uint64_t at, group, first, count;
  };
  constexpr auto most = engine::volume_blocks_max;
  const std::vector<Question> wrong{{2, 16, most + 1, 0}, {2, 16, most - 4, 5}, {2, 16, 1, huge},
                                    {2, huge, 8, huge},   {3, 16, 0, 64},       {2, 0, 0, 64},
                                    {2, 1, 0, 5000}};
  StoreWorld w(8192);
  w.spec.size_bytes = 64 * block_bytes;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(20, 3)});
  for (const auto& q : wrong) {
    BOOST_TEST_CONTEXT("at " << q.at << " group " << q.group << " first " << q.first) {
      const auto found =
          w.finish(w.store->hash_copy(Lsn(q.at), q.group, {BlockIndex(q.first), q.count}));
      BOOST_REQUIRE(!found.log);
      BOOST_CHECK(found.log.error().code == engine::Errc::refused);
      BOOST_CHECK(found.groups.empty());
    }
  }
  BOOST_CHECK_EQUAL(w.finish(w.store->hash_copy(Lsn(2), huge, {BlockIndex(0), 64})).groups.size(),
                    1u);
}

BOOST_AUTO_TEST_CASE(more_groups_than_an_answer_may_have_are_refused) {
  StoreWorld w(8192);
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  const auto hash = [&](std::uint64_t blocks) {
    return w.finish(w.store->hash_copy(Lsn(1), 1, {BlockIndex(0), blocks}));
  };
  BOOST_CHECK_EQUAL(hash(4096).groups.size(), 4096u);
  BOOST_CHECK(!hash(4097).log.has_value());
}

BOOST_AUTO_TEST_SUITE_END()
