// The disk says no: a full one is waited for, a failed one ends the store (C23), and what is whose
// is checked before anything is touched.
#include "engine/planted.hpp"
#include "storage/superblock.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

BOOST_AUTO_TEST_SUITE(failure)

BOOST_AUTO_TEST_CASE(a_failed_log_write_freezes_durable_and_is_told_once) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(1, 1)});
  w.disk->on_write = [](const std::string& path, std::uint64_t) -> engine::Status {
    if (!path.ends_with(".seg")) return engine::Done{};
    return engine::Error{engine::Errc::io_failed, "write " + path + ": Input/output error"};
  };
  w.append({w.write(2, 1)}, Lsn(2));
  w.disk->settle();
  w.disk->on_write = nullptr;
  w.append({w.write(3, 1)}, Lsn(2));
  w.disk->settle();
  w.flush();
  BOOST_REQUIRE(w.failure.has_value());
  BOOST_CHECK(w.failure->code == engine::Errc::io_failed);
  BOOST_CHECK_EQUAL(w.store->durable().value, 2u);
  BOOST_CHECK_EQUAL(w.store->free_bytes(), 0u);
  BOOST_CHECK_NE(w.store->status().problem.find("Input/output"), std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_batch_behind_a_failed_one_does_not_count) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(1, 1)});
  int nth = 0;
  w.disk->on_write = [&](const std::string& path, std::uint64_t) -> engine::Status {
    if (!path.ends_with(".seg") || ++nth != 1) return engine::Done{};
    return engine::Error{engine::Errc::io_failed, "write: Input/output error"};
  };
  w.append({w.write(2, 1)}, Lsn(2));
  w.append({w.write(3, 1)}, Lsn(2));
  w.disk->settle();
  BOOST_CHECK_EQUAL(w.store->durable().value, 2u);
}

BOOST_AUTO_TEST_CASE(a_failed_sync_of_the_extents_ends_the_store_and_the_checkpoint_stays) {
  StoreWorld w;
  w.open(true);
  w.disk->on_sync = [](const std::string& path) -> engine::Status {
    if (!path.ends_with(".dat")) return engine::Done{};
    return engine::Error{engine::Errc::io_failed, "sync " + path + ": Input/output error"};
  };
  w.append_durably({w.begin_epoch(1), w.write(1, 1)});
  w.flush();
  w.flush();
  BOOST_REQUIRE(w.failure.has_value());
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 0u);
  w.disk->on_sync = nullptr;
  w.crash(MemoryDisk::Loss::power, 1);
  BOOST_CHECK_EQUAL(w.open().end.lsn.value, 2u);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(2)), "");
}

BOOST_AUTO_TEST_CASE(a_truncation_whose_intent_was_not_written_cuts_nothing_ever) {
  for (const auto code : {engine::Errc::no_space, engine::Errc::io_failed}) {
    StoreWorld w;
    w.open(true);
    w.append_durably({w.begin_epoch(1), w.write(1, 1)});
    w.append_durably({w.write(2, 1)});
    w.disk->on_write = [code](const std::string& path, std::uint64_t) -> engine::Status {
      if (!path.ends_with("superblock")) return engine::Done{};
      return engine::Error{code, "write " + path + ": refused"};
    };
    BOOST_CHECK(!w.finish(w.store->truncate(Lsn(2))).has_value());
    w.disk->on_write = nullptr;
    // A disk that failed ends the store; a full one does not, and the next checkpoint is harmless.
    BOOST_CHECK_EQUAL(w.failure.has_value(), code == engine::Errc::io_failed);
    w.flush();
    BOOST_CHECK_EQUAL(w.store->checkpoint().value, w.failure ? 0u : 3u);
    w.crash(MemoryDisk::Loss::process, 1);
    BOOST_CHECK_EQUAL(w.open().end.lsn.value, 3u);
    BOOST_CHECK_EQUAL(w.difference_at(Lsn(3)), "");
  }
}

BOOST_AUTO_TEST_CASE(a_truncation_that_fails_half_way_ends_the_store_and_is_finished_by_the_next) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(1, 1)});
  w.append({w.write(2, 1)}, Lsn(2));
  w.disk->settle();
  int superblocks = 0;
  w.disk->on_write = [&](const std::string& path, std::uint64_t) -> engine::Status {
    if (!path.ends_with("superblock") || ++superblocks == 1) return engine::Done{};
    return engine::Error{engine::Errc::no_space, "write " + path + ": no space left"};
  };
  BOOST_CHECK(!w.finish(w.store->truncate(Lsn(2))).has_value());
  BOOST_CHECK(w.failure.has_value());
  w.disk->on_write = nullptr;
  w.crash(MemoryDisk::Loss::process, 1);
  BOOST_CHECK_EQUAL(w.open().end.lsn.value, 2u);
}

BOOST_AUTO_TEST_CASE(a_superblock_write_that_failed_is_tried_again_in_its_own_slot) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(1, 1)});
  std::vector<std::uint64_t> slots;
  bool full = true;
  w.disk->on_write = [&](const std::string& path, std::uint64_t offset) -> engine::Status {
    if (!path.ends_with("superblock")) return engine::Done{};
    slots.push_back(offset);
    if (full) return engine::Error{engine::Errc::no_space, "write " + path + ": no space left"};
    return engine::Done{};
  };
  w.flush();
  full = false;
  w.flush();
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 2u);
  BOOST_REQUIRE_EQUAL(slots.size(), 2u);
  BOOST_CHECK_EQUAL(slots[0], slots[1]);
}

BOOST_AUTO_TEST_CASE(a_full_disk_pauses_the_flusher_and_freed_space_wakes_it) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(1, 8)});
  w.disk->settle();
  w.disk->capacity_bytes = w.disk->used_bytes();
  w.flush();
  BOOST_CHECK(!w.failure);
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 0u);
  BOOST_CHECK_NE(w.store->status().problem.find("no space"), std::string::npos);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(2)), "");
  // The log goes on as long as it has segments.
  w.append_durably({w.write(3, 2)});
  w.disk->capacity_bytes = ~std::uint64_t{0};
  w.flush();
  w.flush();
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 3u);
  BOOST_CHECK(w.store->status().problem.empty());
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(3)), "");
}

BOOST_AUTO_TEST_CASE(a_full_disk_leaves_no_room_in_the_log_before_it_is_needed) {
  StoreWorld w;
  w.open(true);
  w.disk->settle();
  w.disk->capacity_bytes = w.disk->used_bytes();
  w.append_durably({w.begin_epoch(1)});
  std::uint64_t appended = 0;
  while (w.store->free_bytes() >= 3 * block_bytes && appended < 1000) {
    std::vector<engine::RecordPtr> records{w.write(appended % 60, 1)};
    // As a primary does: a chunk ends before a record that does not fit it.
    if (w.store->facts().end.chunk_bytes + 4 * block_bytes > w.store->facts().chunk_bytes_max) {
      records.push_back(w.chunk_end());
    }
    w.append(std::move(records), Lsn());
    w.disk->settle();
    ++appended;
    BOOST_REQUIRE_EQUAL(w.store->durable().value, w.builder->end().value);
  }
  BOOST_CHECK_GT(appended, 20u);
  BOOST_CHECK_LT(appended, 1000u);
  BOOST_CHECK(!w.failure);
}

// Sessions are refused for want of room, and writes: an idle log has nothing to roll, and makes no file.
BOOST_AUTO_TEST_CASE(an_idle_log_that_has_all_its_files_hears_that_a_full_disk_has_space_again) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  w.disk->settle();
  w.disk->capacity_bytes = w.disk->used_bytes();
  while (w.store->free_bytes() > 8 * w.limits.segment_bytes) w.append_durably({w.write(1, 8)});
  w.disk->settle();
  const auto full = w.store->free_bytes();
  w.disk->capacity_bytes = ~std::uint64_t{0};
  w.timers.advance(2 * engine::second);
  w.disk->settle();
  BOOST_CHECK_GT(w.store->free_bytes(), full + w.limits.segment_bytes);
  w.timers.advance(engine::second);
  const auto armed = w.timers.armed();
  w.timers.advance(10 * engine::second);
  BOOST_CHECK_LE(w.timers.armed(), armed);  // Nobody looks any more.
}

namespace {

/// Appends, uncommitted, until the log waits for a segment that a full disk cannot give; the last
/// LSN that is durable.
Lsn starve(StoreWorld& w) {
  w.open(true);
  w.disk->settle();
  w.disk->capacity_bytes = w.disk->used_bytes();
  w.append_durably({w.begin_epoch(1)});
  while (w.store->durable() == w.builder->end()) {
    std::vector<engine::RecordPtr> records;
    for (std::uint64_t i = 0; i < 12; ++i) records.push_back(w.write(i, 1));
    records.push_back(w.chunk_end());
    w.append(std::move(records), Lsn());
    w.disk->settle();
  }
  w.append({w.write(30, 1), w.write(31, 1)}, Lsn());
  w.disk->settle();
  return w.store->durable();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_starved_log_is_cut_where_it_was_never_issued) {
  for (const std::uint64_t behind : {0u, 1u, 3u}) {
    StoreWorld w;
    const auto durable = starve(w);
    const auto to = durable + behind;
    BOOST_REQUIRE(w.finish(w.store->truncate(to)).has_value());
    w.forget_behind(to);
    BOOST_CHECK(w.store->facts().end.lsn == to);
    BOOST_CHECK(w.store->facts().end.digest == w.digest_at[to.value]);
    BOOST_CHECK_EQUAL(w.difference_at(to), "");
    // With space again it goes on from there.
    w.disk->capacity_bytes = ~std::uint64_t{0};
    w.flush();
    w.append_durably({w.write(40, 1)});
    const auto end = w.builder->end();
    w.crash(MemoryDisk::Loss::power, behind);
    BOOST_CHECK_EQUAL(w.open().end.lsn.value, end.value);
    BOOST_CHECK_EQUAL(w.difference_at(end), "");
  }
}

BOOST_AUTO_TEST_CASE(a_starved_log_is_cut_where_it_is_durable) {
  StoreWorld w;
  const auto to = Lsn(starve(w).value - 5);
  BOOST_REQUIRE(w.finish(w.store->truncate(to)).has_value());
  w.forget_behind(to);
  w.append_durably({w.write(40, 1)});
  const auto end = w.builder->end();
  w.crash(MemoryDisk::Loss::power, 1);
  BOOST_CHECK_EQUAL(w.open().end.lsn.value, end.value);
  BOOST_CHECK_EQUAL(w.difference_at(end), "");
}

BOOST_AUTO_TEST_CASE(a_starved_store_stops_without_a_clean_mark_and_without_what_was_not_durable) {
  StoreWorld w;
  const auto durable = starve(w);
  BOOST_CHECK(w.finish(w.store->stop(true)).has_value());
  w.store.reset();
  const auto found = w.open();
  BOOST_CHECK(!found.clean);
  BOOST_CHECK_EQUAL(found.end.lsn.value, durable.value);
}

BOOST_AUTO_TEST_CASE(a_starved_store_is_destroyed) {
  StoreWorld w;
  starve(w);
  BOOST_CHECK(w.finish(w.store->destroy()).has_value());
  BOOST_CHECK_EQUAL(w.disk->files().size(), 1u);
}

BOOST_AUTO_TEST_CASE(a_starved_store_is_reset) {
  StoreWorld w;
  starve(w);
  BOOST_REQUIRE(w.finish(w.store->begin_base(
                             engine::BaseScope::all, engine::Epoch(1),
                             {Lsn(7), engine::Digest{1, 2}, engine::WallTime(77), {}, {}, {}}))
                    .has_value());
  BOOST_CHECK_EQUAL(w.store->facts().end.lsn.value, 7u);
  BOOST_CHECK_EQUAL(w.store->durable().value, 7u);
  BOOST_CHECK_EQUAL(w.store->facts().end.mono_time.value, 77u);
  w.crash(MemoryDisk::Loss::power, 1);
  BOOST_CHECK_EQUAL(w.open().end.mono_time.value, 77u);
}

BOOST_AUTO_TEST_CASE(the_reserve_stays_free_of_blocks) {
  StoreWorld w;
  w.limits.reserve_bytes = 64 * block_bytes;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(1, 4)});
  w.flush();
  BOOST_REQUIRE_EQUAL(w.store->checkpoint().value, 2u);
  w.disk->settle();
  w.disk->capacity_bytes = w.disk->used_bytes() + w.limits.reserve_bytes + block_bytes;
  // What is written over takes no space; what is new may take what lies beyond the reserve.
  w.append_durably({w.write(1, 5)});
  w.flush();
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 3u);
  w.append_durably({w.write(1, 6)});
  w.flush();
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 3u);
  BOOST_CHECK_NE(w.store->status().problem.find("reserve"), std::string::npos);
  BOOST_CHECK(!w.failure);
  BOOST_CHECK_GE(w.disk->capacity_bytes - w.disk->used_bytes(), w.limits.reserve_bytes);
}

BOOST_AUTO_TEST_CASE(a_paused_flusher_gets_the_space_of_the_spare_segments) {
  StoreWorld w;
  w.limits.wal_retention_bytes = 6 * w.limits.segment_bytes;
  w.open(true);
  w.disk->settle();
  w.append_durably({w.begin_epoch(1), w.write(1, 8)});
  w.disk->settle();
  const auto before = w.store->status().wal_bytes;
  w.disk->capacity_bytes = w.disk->used_bytes();
  w.flush();
  w.flush();
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 2u);
  BOOST_CHECK_LT(w.store->status().wal_bytes, before);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(2)), "");
}

BOOST_AUTO_TEST_CASE(a_log_that_outruns_the_flusher_waits_for_it_and_stays_within_its_files) {
  StoreWorld w;
  w.open(true);
  w.append({w.begin_epoch(1)}, Lsn());
  for (int chunk = 0; chunk < 30; ++chunk) {
    std::vector<engine::RecordPtr> records;
    for (std::uint64_t i = 0; i < 12; ++i) records.push_back(w.write(i, 1));
    records.push_back(w.chunk_end());
    w.append(std::move(records), w.store->durable());
  }
  while (w.disk->step()) w.store->set_committed(w.store->durable());
  BOOST_CHECK_EQUAL(w.store->durable().value, w.builder->end().value);
  BOOST_CHECK_LE(w.store->status().wal_bytes, 6 * w.limits.segment_bytes);
  BOOST_CHECK_EQUAL(w.difference_at(w.builder->end()), "");
}

BOOST_AUTO_TEST_CASE(a_log_full_of_uncommitted_records_grows_instead_of_waiting_for_ever) {
  StoreWorld w;
  w.open(true);
  w.append({w.begin_epoch(1)}, Lsn());
  for (int chunk = 0; chunk < 9; ++chunk) {
    std::vector<engine::RecordPtr> records;
    for (std::uint64_t i = 0; i < 12; ++i) records.push_back(w.write(i, 1));
    records.push_back(w.chunk_end());
    w.append(std::move(records), Lsn());
  }
  w.disk->settle();
  BOOST_CHECK_EQUAL(w.store->durable().value, w.builder->end().value);
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 0u);
}

BOOST_AUTO_TEST_CASE(a_rotten_superblock_slot_falls_back_to_the_other) {
  for (const std::uint64_t slot : {0u, 1u}) {
    StoreWorld w;
    w.open(true);
    w.append_durably({w.begin_epoch(1), w.write(1, 1)});
    w.flush();
    w.append_durably({w.write(2, 2)});
    w.flush();
    w.crash(MemoryDisk::Loss::power, 1);
    StoreWorld::flip(w.file_of("superblock"), slot * storage::superblock_slot_bytes + 100);
    const auto found = w.open();
    BOOST_CHECK(found.damage.empty());
    BOOST_CHECK_EQUAL(found.end.lsn.value, 3u);
    BOOST_CHECK_EQUAL(w.difference_at(Lsn(3)), "");
  }
}

BOOST_AUTO_TEST_CASE(two_rotten_slots_are_refused_with_both_reasons) {
  StoreWorld w;
  w.open(true);
  w.store.reset();
  StoreWorld::flip(w.file_of("superblock"), 100);
  StoreWorld::flip(w.file_of("superblock"), storage::superblock_slot_bytes + 100);
  const auto refused = w.try_open();
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == engine::Errc::corrupt);
  BOOST_CHECK_NE(refused.error().text.find("slot 0"), std::string::npos);
  BOOST_CHECK_NE(refused.error().text.find("slot 1"), std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_foreign_replica_is_refused_with_both_values) {
  StoreWorld w;
  w.open(true);
  w.store.reset();
  const auto before = w.disk->writes;
  auto config = w.config(false);
  config.replica = engine::ReplicaId(4);
  w.store = std::make_unique<storage::ReplicaStore>(config);
  const auto refused = w.finish(w.store->open());
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == engine::Errc::refused);
  BOOST_CHECK_NE(refused.error().text.find("replica 3, not 4"), std::string::npos);
  BOOST_CHECK_EQUAL(w.disk->writes, before);
}

BOOST_AUTO_TEST_CASE(a_missing_or_emptied_directory_is_refused_and_not_made_again) {
  StoreWorld w;
  const auto missing = w.try_open();
  BOOST_REQUIRE(!missing);
  BOOST_CHECK(missing.error().code == engine::Errc::not_found);
  BOOST_CHECK_EQUAL(w.disk->files().size(), 1u);
}

BOOST_AUTO_TEST_CASE(a_store_that_is_open_elsewhere_is_busy_after_a_while) {
  StoreWorld w;
  w.open(true);
  auto first = std::move(w.store);
  const auto refused = w.try_open();
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == engine::Errc::busy);
  w.store.reset();
  first.reset();
  BOOST_CHECK(w.try_open().has_value());
}

BOOST_AUTO_TEST_CASE(a_planted_flusher_takes_what_is_not_committed) {
  for (const bool bug : {false, true}) {
    engine::plant(bug ? engine::Bug::extents_hold_uncommitted : engine::Bug::none);
    StoreWorld w;
    w.open(true);
    w.append({w.begin_epoch(1), w.write(1, 1)}, Lsn(1));
    w.disk->settle();
    w.flush();
    BOOST_CHECK_EQUAL(w.store->checkpoint().value, bug ? 2u : 1u);
    engine::plant(engine::Bug::none);
  }
}

BOOST_AUTO_TEST_CASE(a_comparison_is_refused_when_giving_up_a_segment_failed) {
  StoreWorld w;
  w.fill_log();
  w.disk->on_write = [](const std::string& path, std::uint64_t) -> engine::Status {
    if (path.find("superblock") == std::string::npos) return engine::Done{};
    return engine::Error{engine::Errc::io_failed, "write " + path + ": Input/output error"};
  };
  w.append(w.chunk(), Lsn());  // it gives up a segment: the superblock is being written
  std::optional<engine::Result<Lsn>> answer;
  w.store->run(w.store->hold_flush(), [&](auto held) { answer.emplace(std::move(held)); });
  BOOST_CHECK(!answer);
  w.disk->settle();
  BOOST_REQUIRE(answer.has_value());
  BOOST_REQUIRE(!answer->has_value());
  BOOST_CHECK(answer->error().code == engine::Errc::io_failed);
}

BOOST_AUTO_TEST_SUITE_END()
