// What `tidemark verify` finds: nothing where nothing is wrong, whatever crashed; each flipped byte
// by its name; and not a byte is changed by looking.
#include <fmt/format.h>

#include "storage/verify.hpp"
#include "storage/wal_reading.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;
using storage::Finding;
using storage::ReplicaVerdict;

namespace {

constexpr auto replica = "/node/replica/";

/// Every byte of a disk, by path.
std::map<std::string, std::vector<std::byte>> image(StoreWorld& w) {
  std::map<std::string, std::vector<std::byte>> all;
  for (const auto& [path, file] : w.disk->files())
    all[path] = file ? file->seen : std::vector<std::byte>();
  return all;
}

/// The store is gone; looks at what it left, and that looking changes nothing.
ReplicaVerdict verify(StoreWorld& w) {
  w.store.reset();
  const auto before = image(w);
  const auto writes = w.disk->writes;
  std::optional<ReplicaVerdict> verdict;
  storage::Scope scope;
  std::size_t told = 0;
  scope.run(
      storage::verify_replica(*w.disk, w.timers, "/node/replica",
                              storage::ExpectedReplica{test_uuid(1), w.spec, engine::ReplicaId(3)},
                              {[&told](const Finding&) { ++told; }, nullptr}),
      [&](ReplicaVerdict v) { verdict.emplace(std::move(v)); });
  for (int turn = 0; !verdict && turn < 200; ++turn) {
    w.disk->settle();
    if (!verdict) w.timers.advance(100 * engine::millisecond);
  }
  BOOST_REQUIRE(verdict.has_value());
  BOOST_CHECK_EQUAL(told, verdict->findings.size());
  BOOST_CHECK_EQUAL(w.disk->writes, writes);
  BOOST_CHECK(image(w) == before);
  return std::move(*verdict);
}

std::string lines(const ReplicaVerdict& v, bool information) {
  std::string all;
  for (const auto& f : v.findings) {
    if (f.information == information) all += to_string(f) + "\n";
  }
  return all;
}

void require_sound(StoreWorld& w) {
  const auto v = verify(w);
  BOOST_REQUIRE_EQUAL(lines(v, false), "");
}

/// All that is said.
Finding the_only(StoreWorld& w, bool information) {
  const auto v = verify(w);
  BOOST_TEST_CONTEXT(lines(v, false) << lines(v, true)) {
    BOOST_REQUIRE_EQUAL(v.count(information), 1u);
    BOOST_REQUIRE_EQUAL(v.findings.size(), 1u);
  }
  return v.findings.front();
}
Finding the_finding(StoreWorld& w) { return the_only(w, false); }

/// A life with two chunks and an open one, of batches with one and with many records. Flushed up to
/// LSN 20; 24 is the last one, proved durable by the superblock of a clean stop.
void a_life(StoreWorld& w) {
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 4)});
  w.append_durably(w.chunk());
  w.append_durably({w.write(20, 3), w.trim(21, 1), w.write(33, 1)});
  w.append_durably({w.trim(40, 2, true), w.chunk_end()});
  w.append_durably({w.write(5, 2), w.write(50, 8), w.write(7, 1), w.write(8, 1)});
  w.flush();
  BOOST_REQUIRE_EQUAL(w.store->checkpoint().value, 20u);
  w.append({w.write(20, 1)}, Lsn(20));
  w.disk->settle();
  w.append({w.write(60, 2), w.write(3, 1)}, Lsn(20));
  w.disk->settle();
  w.append({w.trim(0, 1)}, Lsn(20));
  w.disk->settle();
  BOOST_REQUIRE(w.finish(w.store->stop(true)).has_value());
  w.store.reset();
}

struct Place {
  std::string file;
  std::uint64_t from = 0;
  std::uint64_t to = 0;    ///< Behind it.
  Lsn first;               ///< Of the batch, or segment.
  std::uint64_t used = 0;  ///< Behind what a checksum covers; 0: all of it.
  bool padding(std::uint64_t at) const { return used != 0 && at >= used; }
};

/// Segments of the log, with their batches' heads and payloads.
struct Log {
  std::vector<Place> headers, heads, payloads;
};
Log log_of(StoreWorld& w) {
  Log log;
  for (const auto& [path, file] : w.disk->files()) {
    if (!file || !path.ends_with(".seg")) continue;
    const std::span<const std::byte> bytes(file->seen);
    const auto header = storage::decode_segment_header(bytes.first(block_bytes));
    if (!header) continue;
    log.headers.push_back(
        {path, 0, block_bytes, header->first, storage::segment_header_used_bytes});
    for (std::uint64_t at = block_bytes; at + block_bytes <= bytes.size();) {
      const auto h =
          storage::decode_batch_header(engine::VolumeKey(w.spec.id), bytes.subspan(at), at);
      if (h) {
        const auto payload = at + h->head_area();
        log.heads.push_back(
            {path, at, payload, h->first, at + engine::batch_header_bytes + h->head_bytes});
        if (h->payload_bytes != 0)
          log.payloads.push_back({path, payload, payload + h->payload_bytes, h->first, 0});
      }
      at += h ? h->bytes() : block_bytes;
    }
  }
  return log;
}

/// Flips one byte after the other at seeded places, and asks for exactly one finding, of that file;
/// or for one information where no checksum reaches.
void flip_each(const std::vector<Place>& places, std::uint64_t seed, int times,
               const std::function<void(const Place&, std::uint64_t, const Finding&)>& check) {
  Dice dice(seed);
  StoreWorld w;
  a_life(w);
  for (const auto& place : places) {
    auto& file = w.file_of(place.file.substr(std::string(replica).size()));
    for (int i = 0; i < times; ++i) {
      // The first and the last byte too.
      const auto size = place.to - place.from;
      const auto at = place.from + (i == 0 ? 0 : i == 1 ? size - 1 : dice.below(size));
      BOOST_TEST_CONTEXT(place.file << " at " << at) {
        StoreWorld::flip(file, at);
        const auto f = the_only(w, place.padding(at));
        BOOST_CHECK_EQUAL(f.file, place.file);
        if (place.padding(at)) {
          BOOST_CHECK_EQUAL(f.offset.value(), at);
        } else {
          check(place, at, f);
        }
        StoreWorld::flip(file, at);
      }
    }
  }
  require_sound(w);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(verify_replica)

BOOST_AUTO_TEST_CASE(a_sound_replica_has_no_findings_and_is_counted) {
  StoreWorld w;
  a_life(w);
  const auto v = verify(w);
  BOOST_CHECK_EQUAL(lines(v, false) + lines(v, true), "");
  BOOST_CHECK_EQUAL(v.retained.value, 1u);
  BOOST_CHECK_EQUAL(v.end.value, 24u);
  BOOST_CHECK_EQUAL(v.checked.records, 24u);
  BOOST_CHECK_EQUAL(v.checked.batches, log_of(w).heads.size());
  BOOST_CHECK_EQUAL(v.checked.segments, 3u);
  BOOST_CHECK_EQUAL(v.checked.extent_files, 4u);
  std::uint64_t allocated = 0;
  for (const auto lsn : w.blocks_at[20]) allocated += lsn != 0 ? 1u : 0u;
  BOOST_CHECK_EQUAL(v.checked.blocks, allocated + 2);  // zeros that keep their space
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_in_a_segment_header_is_named) {
  StoreWorld w;
  a_life(w);
  const auto headers = log_of(w).headers;
  BOOST_REQUIRE_EQUAL(headers.size(), 3u);
  flip_each(headers, 1, 40, [](const Place& place, std::uint64_t at, const Finding& f) {
    BOOST_CHECK_LT(at, block_bytes);
    BOOST_CHECK_EQUAL(f.offset.value(), 0u);
    BOOST_CHECK_EQUAL(f.lsn.value().value, place.first.value);
  });
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_in_the_heads_of_a_batch_is_named) {
  StoreWorld w;
  a_life(w);
  const auto heads = log_of(w).heads;
  BOOST_REQUIRE_EQUAL(heads.size(), 8u);
  flip_each(heads, 2, 60, [](const Place& place, std::uint64_t, const Finding& f) {
    BOOST_CHECK_EQUAL(f.offset.value(), place.from);
    BOOST_CHECK_EQUAL(f.lsn.value().value, place.first.value);
  });
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_in_a_payload_is_named_below_and_above_the_checkpoint) {
  StoreWorld w;
  a_life(w);
  const auto payloads = log_of(w).payloads;
  BOOST_REQUIRE_GE(payloads.size(), 6u);
  bool above = false;
  flip_each(payloads, 3, 30, [&](const Place& place, std::uint64_t at, const Finding& f) {
    if (place.first > Lsn(20)) {
      above = true;
      BOOST_CHECK_EQUAL(f.lsn.value().value, place.first.value);
      BOOST_CHECK_NE(f.what.find("does not match its checksum"), std::string::npos);
      BOOST_CHECK_NE(f.what.find("proves it durable"), std::string::npos);
    } else {
      BOOST_CHECK_EQUAL(f.offset.value(), at / block_bytes * block_bytes);
      BOOST_CHECK(f.lsn.has_value() && f.block.has_value());
    }
  });
  BOOST_CHECK(above);
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_in_an_extent_is_named_with_its_block) {
  StoreWorld w;
  a_life(w);
  std::vector<Place> places;
  for (std::uint64_t b = 0; b < w.volume_blocks; ++b) {
    if (w.blocks_at[20][b] == 0 || w.blocks_at[24][b] != w.blocks_at[20][b]) continue;
    const auto file = fmt::format("{}extents/{:08x}.dat", replica, b / 16);
    places.push_back({file, b % 16 * block_bytes, (b % 16 + 1) * block_bytes, Lsn(b), 0});
  }
  BOOST_REQUIRE_GE(places.size(), 20u);
  flip_each(places, 4, 4, [](const Place& place, std::uint64_t, const Finding& f) {
    BOOST_CHECK_EQUAL(f.block.value().value, place.first.value);
    BOOST_CHECK_EQUAL(f.offset.value(), place.from);
  });
}

// A checksum is as good as its block: both name the block, which lies in the data.
BOOST_AUTO_TEST_CASE(a_flipped_byte_in_the_checksums_is_named) {
  StoreWorld w;
  a_life(w);
  Dice dice(5);
  for (int i = 0; i < 400; ++i) {
    const auto number = dice.below(4);
    const auto at = i % 2 == 0 ? dice.below(128) : dice.below(4096);
    const auto block = number * 16 + at / 8;
    const bool padding = at >= 128;
    if (!padding && w.blocks_at[24][block] != w.blocks_at[20][block]) continue;
    auto& file = w.file_of(fmt::format("extents/{:08x}.sum", number));
    BOOST_TEST_CONTEXT(number << ".sum at " << at) {
      StoreWorld::flip(file, at);
      const auto f = the_finding(w);
      StoreWorld::flip(file, at);
      if (padding) {
        BOOST_CHECK_EQUAL(f.offset.value(), at / 8 * 8);
        BOOST_CHECK(f.file.ends_with(".sum"));
      } else {
        BOOST_CHECK_EQUAL(f.block.value().value, block);
      }
    }
  }
  require_sound(w);
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_in_either_slot_of_the_superblock_is_named) {
  StoreWorld w;
  a_life(w);
  const auto path = std::string(replica) + "superblock";
  constexpr auto slot = storage::superblock_slot_bytes;
  const std::span<const std::byte> bytes(w.file_of("superblock").seen);
  std::vector<Place> places;
  for (std::uint64_t from = 0; from < 2 * slot; from += slot) {
    const auto used = from + storage::superblock_used_bytes(bytes.subspan(from, slot));
    places.push_back({path, from, used, Lsn(), 0});
    places.push_back({path, from, from + slot, Lsn(), used});
  }
  flip_each(places, 6, 60, [&](const Place& place, std::uint64_t, const Finding& f) {
    BOOST_CHECK_EQUAL(f.offset.value(), place.from);
    BOOST_CHECK_NE(f.what.find(fmt::format("slot {} does not count", place.from / slot)),
                   std::string::npos);
  });
}

BOOST_AUTO_TEST_CASE(missing_files_are_named) {
  StoreWorld sound;
  a_life(sound);
  const auto log = log_of(sound);
  std::vector<std::string> lost;
  for (const auto& header : log.headers) {
    if (header.first > Lsn(1)) lost.push_back(header.file);
  }
  BOOST_REQUIRE_EQUAL(lost.size(), 2u);
  for (int i = 0; i < 4; ++i) {
    lost.push_back(fmt::format("{}extents/{:08x}.dat", replica, i));
    lost.push_back(fmt::format("{}extents/{:08x}.sum", replica, i));
  }
  for (const auto& path : lost) {
    StoreWorld w;
    a_life(w);
    w.disk->files().erase(path);
    BOOST_TEST_CONTEXT(path) {
      const auto f = the_finding(w);
      if (path.ends_with(".seg")) {
        BOOST_CHECK(f.lsn.has_value());
      } else {
        BOOST_CHECK_EQUAL(f.file, path);
        BOOST_CHECK_NE(f.what.find("missing"), std::string::npos);
      }
    }
  }
  StoreWorld w;
  a_life(w);
  w.disk->files().erase(std::string(replica) + "superblock");
  BOOST_CHECK_EQUAL(the_finding(w).file, std::string(replica) + "superblock");
}

// It may as well have been given up: only a superblock that names it says more.
BOOST_AUTO_TEST_CASE(a_missing_first_segment_is_information) {
  StoreWorld w;
  a_life(w);
  for (const auto& header : log_of(w).headers) {
    if (header.first == Lsn(1)) w.disk->files().erase(header.file);
  }
  const auto f = the_only(w, true);
  BOOST_CHECK_NE(f.what.find("begins here, at lsn 12"), std::string::npos);
}

BOOST_AUTO_TEST_CASE(shortened_files_are_named) {
  StoreWorld sound;
  a_life(sound);
  std::vector<std::string> files{std::string(replica) + "superblock"};
  for (const auto& header : log_of(sound).headers) files.push_back(header.file);
  for (int i = 0; i < 4; ++i) {
    files.push_back(fmt::format("{}extents/{:08x}.dat", replica, i));
    files.push_back(fmt::format("{}extents/{:08x}.sum", replica, i));
  }
  Dice dice(7);
  for (const auto& path : files) {
    StoreWorld w;
    a_life(w);
    auto& file = w.file_of(path.substr(std::string(replica).size()));
    const auto whole = file.seen.size();
    const auto rest =
        path.ends_with(".seg") ? block_bytes + dice.below(whole - block_bytes) : dice.below(whole);
    file.seen.resize(rest);
    BOOST_TEST_CONTEXT(path << " with " << rest << " of " << whole) {
      const auto v = verify(w);
      BOOST_REQUIRE_GE(v.count(false), 1u);
      bool size_told = false;
      for (const auto& f : v.findings) {
        BOOST_CHECK_EQUAL(f.file, path);
        size_told = size_told || f.what.find(fmt::format("{} bytes", rest)) != std::string::npos;
      }
      BOOST_CHECK(size_told);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_belong_there_is_named) {
  for (const std::string name : {"precious", "wal/precious", "wal/00000001.SEG", "extents/precious",
                                 "extents/10000000.dat"}) {
    StoreWorld w;
    a_life(w);
    w.disk->files()[replica + name] = std::make_shared<MemoryFile>();
    const auto f = the_finding(w);
    BOOST_CHECK_EQUAL(f.file, replica + name);
    BOOST_CHECK_EQUAL(f.what, "does not belong there");
  }
}

BOOST_AUTO_TEST_CASE(a_replica_of_somebody_else_is_named_with_both_values) {
  StoreWorld w;
  a_life(w);
  w.spec.id = test_uuid(8);
  const auto f = the_finding(w);
  BOOST_CHECK_NE(f.what.find(engine::to_string(test_uuid(7))), std::string::npos);
  BOOST_CHECK_NE(f.what.find(engine::to_string(test_uuid(8))), std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_torn_tail_is_information) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 4)});
  w.append({w.write(5, 2)}, Lsn(2));
  w.disk->settle();
  w.store.reset();
  const auto last = log_of(w).payloads.back();
  StoreWorld::flip(w.file_of(last.file.substr(std::string(replica).size())), last.from + 7);
  const auto v = verify(w);
  BOOST_CHECK_EQUAL(lines(v, false), "");
  BOOST_REQUIRE_EQUAL(v.count(true), 1u);
  BOOST_CHECK_EQUAL(v.findings.front().file, last.file);
  BOOST_CHECK_EQUAL(v.findings.front().lsn.value().value, 3u);
  BOOST_CHECK_NE(v.findings.front().what.find("torn tail"), std::string::npos);
  BOOST_CHECK_EQUAL(v.end.value, 2u);
  w.open();  // the store thinks the same
  BOOST_CHECK_EQUAL(w.store->facts().end.lsn.value, 2u);
}

BOOST_AUTO_TEST_CASE(a_block_that_the_log_has_above_the_checkpoint_may_be_half_written) {
  StoreWorld w;
  a_life(w);  // block 20 is written again by LSN 21
  StoreWorld::flip(w.file_of("extents/00000001.dat"), 4 * block_bytes + 9);
  const auto v = verify(w);
  BOOST_CHECK_EQUAL(lines(v, false), "");
  BOOST_REQUIRE_EQUAL(v.count(true), 1u);
  BOOST_CHECK_EQUAL(v.findings.front().block.value().value, 20u);
  BOOST_CHECK_NE(v.findings.front().what.find("lsn 21"), std::string::npos);
  w.open();
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(24)), "");
}

BOOST_AUTO_TEST_CASE(neighbours_that_are_wrong_alike_are_one_finding) {
  StoreWorld w;
  a_life(w);
  for (std::uint64_t b = 10; b < 14; ++b)
    StoreWorld::flip(w.file_of("extents/00000000.dat"), b * block_bytes);
  const auto f = the_finding(w);
  BOOST_CHECK_EQUAL(f.block.value().value, 10u);
  BOOST_CHECK_NE(f.what.find("3 blocks behind it"), std::string::npos);
}

// Whatever a crash leaves is no finding: recovery takes it, and so does verification. A torn slot of
// the superblock alone looks like rot.
BOOST_AUTO_TEST_CASE(a_crash_leaves_no_findings_and_verification_sees_what_recovery_finds) {
  std::uint64_t informed = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Dice dice(seed);
      StoreWorld w;
      w.open(true);
      w.append({w.begin_epoch(1)}, Lsn());
      for (int life = 0; life < 4; ++life) {
        const auto operations = dice.below(120);
        for (std::uint64_t i = 0; i < operations; ++i) {
          const auto what = dice.below(12);
          if (what < 4) w.append({w.write(dice.below(56), 1 + dice.below(8))}, Lsn());
          if (what == 4) w.append({w.write(dice.below(60), 1), w.write(dice.below(60), 2)}, Lsn());
          if (what == 5) w.append({w.trim(dice.below(50), 5, dice.below(2) == 0)}, Lsn());
          if (what == 6) w.append({w.chunk_end()}, Lsn());
          if (what == 7) w.timers.advance(2 * engine::second);
          w.disk->step();
          w.disk->step();
          w.store->set_committed(w.store->durable());
        }
        w.crash(dice.below(2) == 0 ? MemoryDisk::Loss::power : MemoryDisk::Loss::process,
                dice.next());
        const auto v = verify(w);
        for (const auto& f : v.findings) {
          const bool torn_slot =
              f.file.ends_with("superblock") && f.what.find("does not count") != std::string::npos;
          BOOST_REQUIRE_MESSAGE(f.information || torn_slot, to_string(f));
        }
        informed += v.count(true);
        const auto found = w.open();
        BOOST_REQUIRE_EQUAL(found.end.lsn.value, v.end.value);
        BOOST_REQUIRE_EQUAL(found.retained.value, v.retained.value);
        w.forget_behind(found.end.lsn);
        w.append({w.begin_epoch(w.epoch.value + 1)}, Lsn());
      }
    }
  }
  BOOST_CHECK_GT(informed, 100u);
}

BOOST_AUTO_TEST_CASE(a_truncated_log_is_sound) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 2)});
  w.append({w.write(1, 1), w.write(3, 2), w.write(4, 1), w.chunk_end()}, Lsn(2));
  w.append({w.write(9, 1), w.write(10, 1)}, Lsn(2));
  w.disk->settle();
  BOOST_REQUIRE(w.finish(w.store->truncate(Lsn(4))).has_value());
  w.forget_behind(Lsn(4));
  w.append_durably({w.begin_epoch(2), w.write(9, 1)});
  const auto v = verify(w);
  BOOST_CHECK_EQUAL(lines(v, false) + lines(v, true), "");
  BOOST_CHECK_EQUAL(v.end.value, 6u);
}

BOOST_AUTO_TEST_CASE(a_rebuild_that_has_not_ended_is_information) {
  StoreWorld w;
  w.incomplete = true;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 2)});
  w.flush();
  w.store.reset();
  StoreWorld::flip(w.file_of("extents/00000000.dat"), 9);
  const auto v = verify(w);
  BOOST_CHECK_EQUAL(lines(v, false), "");
  BOOST_CHECK_NE(lines(v, true).find("rebuild"), std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
