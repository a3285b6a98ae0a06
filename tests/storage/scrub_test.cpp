// A scrub reads everything that a replica has on its disk and makes good what it can.
#include <algorithm>
#include <span>

#include "storage/superblock.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

using engine::Errc;
using engine::ScrubState;

constexpr std::uint64_t fast = 1u << 30;

struct Scrubbed : StoreWorld {
  /// Until it is over.
  engine::ScrubStatus scrub(std::uint64_t rate = fast) {
    BOOST_REQUIRE(store->start_scrub(rate, ++round).has_value());
    return wait();
  }
  engine::ScrubStatus wait() {
    for (int i = 0; i < 3000; ++i) {
      const auto state = store->status().scrub.state;
      if (state == ScrubState::finished || state == ScrubState::stopped) break;
      disk->settle();
      timers.advance(100 * engine::millisecond);
    }
    return store->status().scrub;
  }
  std::size_t told(std::string_view name) const {
    return static_cast<std::size_t>(std::count(events.names.begin(), events.names.end(), name));
  }
  std::uint64_t round = 0;
  /// The segment file with the first record that is retained.
  std::string oldest_segment() {
    for (const auto& [path, file] : disk->files()) {
      if (!path.ends_with(".seg") || !file) continue;
      const auto header = storage::decode_segment_header(std::span(file->seen).first(block_bytes));
      if (header && header->first == store->retained())
        return path.substr(std::string("/node/replica/").size());
    }
    return "";
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(scrub)

BOOST_AUTO_TEST_CASE(a_healthy_copy_is_found_healthy) {
  Scrubbed w;
  w.fill_log();
  const auto s = w.scrub();
  BOOST_CHECK(s.state == ScrubState::finished);
  BOOST_TEST(s.next.value == w.volume_blocks);
  BOOST_TEST(s.damaged == 0u);
  BOOST_TEST(s.log_damage == 0u);
  BOOST_TEST(s.sums_rewritten == 0u);
  BOOST_TEST(s.slots_rewritten == 0u);
  BOOST_TEST(s.read_bytes > 0u);
}

BOOST_AUTO_TEST_CASE(rot_in_blocks_that_nobody_reads_is_found) {
  Scrubbed w;
  w.fill_log();
  StoreWorld::flip(w.file_of("extents/00000000.dat"), 3 * block_bytes + 7);
  StoreWorld::flip(w.file_of("extents/00000000.dat"), 5 * block_bytes + 7);
  const auto s = w.scrub();
  BOOST_TEST(s.damaged == 2u);
  BOOST_TEST(w.told("block_damaged") == 2u);
  BOOST_REQUIRE(w.damaged_block().has_value());
  BOOST_TEST(w.damaged_block()->block.value == 3u);
}

BOOST_AUTO_TEST_CASE(a_rotten_checksum_file_is_written_again_from_memory) {
  Scrubbed w;
  w.fill_log();
  const auto lsn = w.builder->end();
  StoreWorld::flip(w.file_of("extents/00000000.sum"), 4 * 8);
  const auto s = w.scrub();
  BOOST_TEST(s.sums_rewritten == 1u);
  BOOST_TEST(s.damaged == 0u);
  w.store.reset();
  w.open();
  BOOST_TEST(w.difference_at(lsn) == "");
}

BOOST_AUTO_TEST_CASE(a_rotten_superblock_slot_is_written_again) {
  for (const std::size_t slot : {0u, 1u}) {
    Scrubbed w;
    w.fill_log();
    auto& file = w.file_of("superblock");
    StoreWorld::flip(file, slot * storage::superblock_slot_bytes + 40);
    BOOST_TEST(w.scrub().slots_rewritten == 1u);
    const std::span<const std::byte> bytes(file.seen);
    BOOST_TEST(storage::decode_superblock(bytes.first(storage::superblock_slot_bytes)).has_value());
    BOOST_TEST(storage::decode_superblock(bytes.last(storage::superblock_slot_bytes)).has_value());
    BOOST_TEST(w.told("superblock_slot_rewritten") == 1u);
  }
}

BOOST_AUTO_TEST_CASE(a_rotten_catalog_is_written_anew_and_told) {
  Scrubbed w;
  w.fill_log();
  w.kv.rot = "a table is damaged";
  BOOST_TEST(w.scrub().catalogs_rewritten == 1u);
  BOOST_TEST(w.told("catalog_rewritten") == 1u);
  BOOST_TEST(w.scrub().catalogs_rewritten == 0u);
}

BOOST_AUTO_TEST_CASE(damaged_history_is_given_up_and_never_read) {
  Scrubbed w;
  w.fill_log();
  const auto retained = w.store->retained();
  const auto end = w.builder->end();
  StoreWorld::flip(w.file_of(w.oldest_segment()), 2 * block_bytes + 9);
  const auto s = w.scrub();
  BOOST_CHECK(s.state == ScrubState::finished);
  BOOST_TEST(s.log_damage > 0u);
  BOOST_TEST(w.store->retained().value > retained.value);
  BOOST_TEST(w.told("log_rot_given_up") == 1u);
  const auto kept = w.store->retained();
  BOOST_TEST(w.scrub().log_damage == 0u);
  w.store.reset();
  const auto opened = w.open();
  BOOST_TEST(opened.damage == "");
  BOOST_TEST(opened.retained.value == kept.value);
  const auto read = w.finish(w.store->read_log(retained, end, 1));
  BOOST_REQUIRE(!read);
  BOOST_CHECK(read.error().code == Errc::out_of_window);
  BOOST_TEST(w.difference_at(end) == "");
}

// Nothing reads a header but an opening, and that would take all behind it for damage.
BOOST_AUTO_TEST_CASE(a_rotten_header_of_a_segment_is_written_again) {
  Scrubbed w;
  w.fill_log();
  w.append_durably({w.write(3, 1)});
  const auto end = w.builder->end();
  std::size_t segments = 0;
  for (auto& [path, file] : w.disk->files()) {
    if (!path.ends_with(".seg") || !file) continue;
    if (!storage::decode_segment_header(std::span(file->seen).first(block_bytes))) continue;
    StoreWorld::flip(*file, 40);
    ++segments;
  }
  BOOST_TEST(segments > 1u);
  const auto s = w.scrub();
  BOOST_CHECK(s.state == ScrubState::finished);
  BOOST_TEST(s.log_damage > 1u);
  BOOST_TEST(w.told("log_header_rewritten") == 1u);
  BOOST_TEST(w.told("log_rot_found") == 0u);
  BOOST_TEST(w.scrub().log_damage == 0u);
  const auto retained = w.store->retained();
  w.store.reset();
  const auto opened = w.open();
  BOOST_TEST(opened.damage == "");
  BOOST_TEST(opened.end.lsn.value == end.value);
  BOOST_TEST(opened.retained.value == retained.value);
  BOOST_TEST(w.difference_at(end) == "");
}

BOOST_AUTO_TEST_CASE(rot_in_the_segment_that_is_written_to_is_not_needed_by_a_restart) {
  Scrubbed w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 8)});
  w.append_durably({w.write(3, 1)});  // not in the extents yet
  StoreWorld::flip(w.file_of(w.oldest_segment()), 2 * block_bytes + 9);
  BOOST_TEST(w.scrub().log_damage > 0u);
  BOOST_TEST(w.told("log_rot_found") == 1u);
  BOOST_TEST(w.told("log_rot_given_up") == 0u);
  w.store.reset();
  const auto opened = w.open();
  BOOST_TEST(opened.damage == "");
  BOOST_TEST(w.difference_at(Lsn(3)) == "");
}

BOOST_AUTO_TEST_CASE(rot_in_the_segment_that_is_written_to_goes_with_the_next_record) {
  Scrubbed w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 8)});
  w.append_durably({w.write(3, 1)});
  StoreWorld::flip(w.file_of(w.oldest_segment()), 2 * block_bytes + 9);
  BOOST_REQUIRE(w.store->start_scrub(fast, 1).has_value());
  for (int i = 0; i < 50; ++i) {
    w.disk->settle();
    w.timers.advance(100 * engine::millisecond);
  }
  w.append_durably({w.write(5, 2)});
  BOOST_CHECK(w.wait().state == ScrubState::finished);
  BOOST_TEST(w.told("log_rot_given_up") == 1u);
  BOOST_TEST(w.store->retained().value == 4u);
  w.append_durably({w.write(6, 2)});
  w.store.reset();
  const auto opened = w.open();
  BOOST_TEST(opened.damage == "");
  BOOST_TEST(w.difference_at(Lsn(5)) == "");
}

BOOST_AUTO_TEST_CASE(it_keeps_to_its_rate) {
  Scrubbed w;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  for (std::uint64_t first = 0; first < 64; first += 8) w.append_durably({w.write(first, 8)});
  w.flush_all();
  const auto began = w.timers.now();
  w.scrub(64u << 10);
  // 256 KiB of blocks, and a piece of the log that counts as one MiB.
  BOOST_TEST(w.timers.now() - began >= 4 * engine::second);
  BOOST_TEST(!w.store->start_scrub(1, 1).has_value());
}

BOOST_AUTO_TEST_CASE(it_goes_on_after_a_restart_and_not_when_it_was_stopped) {
  Scrubbed w;
  w.fill_log();
  BOOST_REQUIRE(w.store->start_scrub(engine::scrub_rate_min, 1).has_value());
  w.disk->settle();
  w.store.reset();
  w.open();
  BOOST_CHECK(w.store->status().scrub.state != ScrubState::idle);
  BOOST_TEST(w.store->status().scrub.rate == engine::scrub_rate_min);
  w.store->stop_scrub();
  w.disk->settle();
  BOOST_CHECK(w.wait().state == ScrubState::stopped);
  w.store.reset();
  w.open();
  BOOST_CHECK(w.store->status().scrub.state == ScrubState::idle);
}

BOOST_AUTO_TEST_CASE(what_is_told_twice_begins_once_and_another_round_begins_anew) {
  Scrubbed w;
  w.fill_log();
  w.scrub();
  BOOST_REQUIRE(w.store->start_scrub(fast, w.round).has_value());
  BOOST_CHECK(w.store->status().scrub.state == ScrubState::finished);
  BOOST_TEST(w.scrub().round == w.round);
  BOOST_TEST(w.told("scrub_finished") == 2u);
}

BOOST_AUTO_TEST_CASE(the_round_that_a_copy_reads_itself_for_survives_a_restart) {
  Scrubbed w;
  w.fill_log();
  BOOST_REQUIRE(w.store->start_scrub(engine::scrub_rate_min, 41).has_value());
  w.disk->settle();
  w.store.reset();
  w.open();
  BOOST_TEST(w.store->status().scrub.round == 41u);
}

// The read that was under way comes back in the next scrub's time.
BOOST_AUTO_TEST_CASE(a_stopped_scrub_that_is_still_reading_does_not_move_the_next_one) {
  for (const bool rotten : {false, true}) {
    Scrubbed w;
    w.fill_log();
    if (rotten) StoreWorld::flip(w.file_of("extents/00000000.dat"), 3 * block_bytes + 7);
    bool over = false;
    for (std::uint64_t steps = 0; !over; ++steps) {
      BOOST_REQUIRE(steps < 1000);
      // A fast one, stopped at each place of its way in turn.
      BOOST_REQUIRE(w.store->start_scrub(1u << 31, ++w.round).has_value());
      for (std::uint64_t i = 0; i < steps; ++i) {
        if (!w.disk->step()) w.timers.advance(engine::millisecond);
      }
      over = w.store->status().scrub.next.value == w.volume_blocks;
      w.store->stop_scrub();
      BOOST_REQUIRE(w.store->start_scrub(engine::scrub_rate_min, ++w.round).has_value());
      w.disk->settle();  // What the stopped one was reading; the new one is still at the log.
      const auto after = w.store->status().scrub;
      BOOST_TEST(after.next.value == 0u);
      BOOST_TEST(after.damaged == 0u);
      w.store->stop_scrub();
      w.timers.advance(20 * engine::second);
      w.disk->settle();
    }
  }
}

// The record that rotted goes with its log; the one that comes in its place is whole.
BOOST_AUTO_TEST_CASE(rot_that_is_cut_away_costs_no_history) {
  Scrubbed w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 8)});
  w.append({w.write(3, 1)}, Lsn(2));
  w.disk->settle();
  auto& log = w.file_of(w.oldest_segment());
  // The last page that was written.
  auto end = log.seen.size() / block_bytes;
  while (end > 0 &&
         std::all_of(log.seen.begin() + static_cast<std::ptrdiff_t>((end - 1) * block_bytes),
                     log.seen.begin() + static_cast<std::ptrdiff_t>(end * block_bytes),
                     [](std::byte b) { return b == std::byte{0}; }))
    --end;
  StoreWorld::flip(log, (end - 1) * block_bytes + 9);
  BOOST_REQUIRE(w.store->start_scrub(fast, 1).has_value());
  for (int i = 0; i < 50; ++i) {
    w.disk->settle();
    w.timers.advance(100 * engine::millisecond);
  }
  BOOST_REQUIRE(w.told("log_rot_found") == 1u);
  BOOST_REQUIRE(w.finish(w.store->truncate(Lsn(2))).has_value());
  w.forget_behind(Lsn(2));
  // Of what comes in its place a segment ends, as the scrub would want it to.
  for (const std::uint64_t block : {5u, 6u, 7u}) {
    w.append_durably({w.write(block, 1)});
    for (int i = 0; i < 30; ++i) {
      w.disk->settle();
      w.timers.advance(100 * engine::millisecond);
    }
  }
  BOOST_CHECK(w.wait().state == ScrubState::finished);
  BOOST_TEST(w.told("log_rot_given_up") == 0u);
  BOOST_TEST(w.store->retained().value == 1u);
  BOOST_TEST(w.difference_at(Lsn(5)) == "");
}

BOOST_AUTO_TEST_CASE(a_block_that_cannot_be_read_is_named_and_the_others_are_hashed_all_the_same) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(16, 16)});
  w.flush_all();
  const auto hash = [&] {
    BOOST_REQUIRE(w.finish(w.store->hold_flush()).has_value());
    return w.finish(w.store->hash_copy(Lsn(2), 8, {BlockIndex(0), 64}));
  };
  const auto before = hash();
  w.disk->on_read = [](const std::string& path, std::uint64_t at,
                       std::size_t bytes) -> engine::Status {
    const std::uint64_t bad = 5 * block_bytes;
    if (!path.ends_with("00000001.dat") || at > bad || at + bytes <= bad) return engine::Done{};
    return engine::Error{engine::Errc::io_failed, "read: Input/output error"};
  };
  const auto after = hash();
  BOOST_CHECK(after.log.has_value());
  BOOST_REQUIRE_EQUAL(after.damaged.size(), 1u);
  BOOST_CHECK_EQUAL(after.damaged[0].block.value, 21u);
  BOOST_CHECK_EQUAL(after.damaged[0].cause, "read: Input/output error");
  BOOST_REQUIRE_EQUAL(after.groups.size(), before.groups.size());
  for (std::size_t g = 0; g < after.groups.size(); ++g)
    BOOST_CHECK_EQUAL(after.groups[g] == before.groups[g], g != 2);
  BOOST_CHECK(!w.failure);
  BOOST_CHECK_EQUAL(w.store->status().damaged_blocks, 1u);
}

// Else a power cut amid hours of reading blocks would make a damaged copy of one that had known better.
BOOST_AUTO_TEST_CASE(no_block_is_read_while_a_restart_would_need_a_rotten_record) {
  Scrubbed w;
  w.fill_log();
  const auto record = w.write(5, 2);
  w.append({record}, Lsn());
  w.disk->settle();
  const auto content = StoreWorld::content({BlockIndex(5), 2}, record->lsn().value);
  for (const auto& [path, file] : w.disk->files()) {
    if (!path.ends_with(".seg") || !file) continue;
    const auto at = std::search(file->seen.begin(), file->seen.end(), content.bytes().begin(),
                                content.bytes().end());
    if (at == file->seen.end()) continue;
    StoreWorld::flip(*file, static_cast<std::uint64_t>(at - file->seen.begin()) + 9);
  }
  BOOST_REQUIRE(w.store->start_scrub(fast, 1).has_value());
  const auto turns = [&w](int most, const auto& enough) {
    for (; most > 0 && !enough(); --most) {
      if (!w.disk->step()) w.timers.advance(100 * engine::millisecond);
    }
  };
  const auto past_log = [&w] { return w.store->status().scrub.state != ScrubState::log; };
  turns(5000, [&w] { return w.told("log_rot_found") != 0; });
  turns(100, past_log);
  BOOST_CHECK(w.store->status().scrub.state == ScrubState::log);
  w.store->set_committed(record->lsn());
  turns(2000, past_log);
  BOOST_CHECK(w.store->status().scrub.state == ScrubState::blocks);
  BOOST_CHECK_GE(w.store->checkpoint().value, record->lsn().value);
  w.crash(MemoryDisk::Loss::power, 1);
  BOOST_CHECK_EQUAL(w.open().damage, "");
}

BOOST_AUTO_TEST_SUITE_END()
