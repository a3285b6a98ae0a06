// Power lost, or the process killed, between any two operations of the disk: what was reported
// durable is there, what is there is a prefix, and what was cut never comes back.
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

/// A life with everything in it, one action at a time.
struct Script {
  explicit Script(StoreWorld& world) : w(world) {}

  /// The next action; nothing for the last ones.
  void act() {
    switch (step++) {
      case 0:
        return append({w.begin_epoch(w.epoch.value + 1)});
      case 1:
        return append({w.write(0, 4), w.write(2, 1)});
      case 2:
        return append({w.write(10, 8), w.trim(12, 2)});
      case 3:
        return append({w.write(15, 6), w.chunk_end(), w.write(1, 1)});
      case 5:
        return w.timers.advance(2 * engine::second);  // a flush, with more to come
      case 6:
        return append({w.write(11, 3)});
      case 7:
        return append({w.trim(0, 3, true), w.write(30, 5)});
      case 9:
        return append({w.write(31, 1), w.chunk_end()});
      case 10:
        return append({w.write(32, 1), w.write(16, 2)});
      case 12:
        return w.timers.advance(2 * engine::second);
      case 13:
        return append({w.write(40, 9)});
      default:
        return;
    }
  }
  void append(std::vector<engine::RecordPtr> records) {
    // What is durable on this only copy is committed.
    w.append(std::move(records), w.store->durable());
  }

  StoreWorld& w;
  int step = 0;
};

/// Runs the script, an action every third operation of the disk, for `operations` of them; false
/// when it had ended.
bool live(StoreWorld& w, std::uint64_t operations) {
  Script script(w);
  for (std::uint64_t i = 0; i < operations; ++i) {
    if (i % 3 == 0) script.act();
    w.store->set_committed(w.store->durable());
    if (!w.disk->step() && script.step > 14) return false;
  }
  return true;
}

/// What must hold after any crash; returns the end that was found.
Lsn check_recovered(StoreWorld& w, Lsn reported) {
  const auto found = w.open();
  BOOST_REQUIRE_MESSAGE(found.damage.empty(), found.damage);
  BOOST_REQUIRE_GE(found.end.lsn.value, reported.value);
  BOOST_REQUIRE_LE(found.end.lsn.value, w.builder->end().value);
  BOOST_REQUIRE_LE(found.checkpoint.lsn.value, found.end.lsn.value);
  BOOST_REQUIRE(found.end.digest == w.digest_at[found.end.lsn.value]);
  BOOST_REQUIRE_EQUAL(w.difference_at(found.end.lsn), "");
  return found.end.lsn;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(crash)

BOOST_AUTO_TEST_CASE(a_crash_between_any_two_operations_loses_nothing_that_was_durable) {
  std::uint64_t points = 0;
  for (const auto loss : {MemoryDisk::Loss::power, MemoryDisk::Loss::process}) {
    bool more = true;
    for (std::uint64_t at = 1; more; ++at) {
      for (std::uint64_t seed = 0; seed < 3; ++seed) {
        BOOST_TEST_CONTEXT("crash after " << at << " operations, seed " << seed) {
          StoreWorld w;
          w.open(true);
          more = live(w, at);
          const auto reported = w.store->durable();
          w.crash(loss, at * 31 + seed);
          const auto end = check_recovered(w, reported);
          // Another past is written where the torn one stood, and found whole.
          w.forget_behind(end);
          w.append_durably({w.begin_epoch(w.epoch.value + 1), w.write(5, 3), w.write(20, 1)});
          w.flush();
          w.append_durably({w.write(6, 1)});
          const auto last = w.builder->end();
          w.crash(loss, seed);
          BOOST_REQUIRE_EQUAL(check_recovered(w, last).value, last.value);
          ++points;
        }
      }
    }
  }
  BOOST_TEST_MESSAGE("crash points: " << points);
  BOOST_CHECK_GT(points, 200u);
}

BOOST_AUTO_TEST_CASE(many_lives_with_a_crash_at_the_end_of_each) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Dice dice(seed);
      StoreWorld w;
      w.limits.memory_tail_bytes = dice.below(2) == 0 ? 0 : 1u << 20;
      w.open(true);
      for (int life = 0; life < 6; ++life) {
        live(w, 1 + dice.below(90));
        const auto reported = w.store->durable();
        w.crash(dice.below(2) == 0 ? MemoryDisk::Loss::power : MemoryDisk::Loss::process,
                dice.next());
        w.forget_behind(check_recovered(w, reported));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_crash_during_creation_leaves_nothing_or_a_whole_replica) {
  for (std::uint64_t at = 0; at < 60; ++at) {
    StoreWorld w;
    w.store = std::make_unique<storage::ReplicaStore>(w.config(true));
    bool opened = false;
    w.store->run(w.store->open(), [&](auto result) { opened = result.has_value(); });
    for (std::uint64_t i = 0; i < at; ++i) w.disk->step();
    w.crash(MemoryDisk::Loss::power, at);
    if (opened) {
      BOOST_CHECK(w.try_open(false).has_value());
    } else {
      BOOST_CHECK(w.try_open(true).has_value());
    }
    w.append_durably({w.begin_epoch(1), w.write(1, 1)});
  }
}

BOOST_AUTO_TEST_CASE(
    names_that_a_killed_process_left_unsynced_are_durable_before_they_are_relied_on) {
  for (std::uint64_t at = 0; at < 120; ++at) {
    BOOST_TEST_CONTEXT("killed after " << at) {
      StoreWorld w;
      w.store = std::make_unique<storage::ReplicaStore>(w.config(true));
      bool opened = false;
      w.store->run(w.store->open(), [&](auto result) { opened = result.has_value(); });
      for (std::uint64_t i = 0; i < at; ++i) w.disk->step();
      // The process goes, its names stay as they are: in the cache. The next one works with them.
      w.store.reset();
      w.disk->settle();
      BOOST_REQUIRE(w.try_open(true).has_value());
      w.append_durably({w.begin_epoch(1), w.write(1, 1), w.chunk_end(), w.write(20, 1)});
      w.flush();
      const auto end = w.builder->end();
      w.crash(MemoryDisk::Loss::power, at);
      BOOST_REQUIRE_EQUAL(check_recovered(w, end).value, end.value);
    }
  }
}

BOOST_AUTO_TEST_CASE(truncation_is_whole_or_has_not_begun_whenever_the_power_goes) {
  for (std::uint64_t to = 3; to <= 8; ++to) {
    bool more = true;
    for (std::uint64_t at = 0; more; ++at) {
      BOOST_TEST_CONTEXT("to " << to << ", crash after " << at) {
        StoreWorld w;
        w.open(true);
        // Batches of one, many and, behind the chunk's end, of another segment.
        w.append_durably({w.begin_epoch(1), w.write(0, 2)});
        w.append({w.write(1, 1), w.write(3, 2), w.write(4, 1), w.write(0, 1), w.chunk_end()},
                 Lsn(2));
        w.append({w.write(9, 1), w.write(10, 1)}, Lsn(2));
        w.disk->settle();
        std::optional<engine::Status> done;
        w.store->run(w.store->truncate(Lsn(to)),
                     [&](engine::Status s) { done.emplace(std::move(s)); });
        for (std::uint64_t i = 0; i < at && more; ++i) more = w.disk->step();
        if (done) BOOST_REQUIRE(done->has_value());
        w.crash(MemoryDisk::Loss::power, at * 7 + to);
        const auto found = w.open();
        BOOST_REQUIRE_MESSAGE(found.damage.empty(), found.damage);
        if (done) BOOST_REQUIRE_EQUAL(found.end.lsn.value, to);
        BOOST_REQUIRE(found.end.lsn == Lsn(to) || found.end.lsn == Lsn(9));
        BOOST_REQUIRE(found.end.digest == w.digest_at[found.end.lsn.value]);
        BOOST_REQUIRE_EQUAL(w.difference_at(found.end.lsn), "");
        w.forget_behind(found.end.lsn);
        w.append_durably({w.begin_epoch(2), w.write(2, 1)});
        const auto last = w.builder->end();
        w.crash(MemoryDisk::Loss::power, 5);
        BOOST_REQUIRE_EQUAL(check_recovered(w, last).value, last.value);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_truncated_tail_does_not_come_back) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 2)});
  w.append({w.write(1, 1), w.write(3, 2)}, Lsn(2));
  w.disk->settle();
  BOOST_REQUIRE(w.finish(w.store->truncate(Lsn(3))).has_value());
  BOOST_CHECK_EQUAL(w.store->facts().end.lsn.value, 3u);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(3)), "");
  w.forget_behind(Lsn(3));
  w.store.reset();
  BOOST_CHECK_EQUAL(w.open().end.lsn.value, 3u);
  w.append_durably({w.write(8, 1), w.write(9, 1)});
  auto read = w.finish(w.store->read_log(Lsn(1), Lsn(5), 1u << 20));
  BOOST_REQUIRE(read.has_value());
  w.store.reset();
  BOOST_CHECK_EQUAL(w.open().end.lsn.value, 5u);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(5)), "");
}

BOOST_AUTO_TEST_CASE(batches_that_were_cut_stay_cut_whatever_is_cut_later) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  for (std::uint64_t cut = 0; cut < 5; ++cut) {
    w.append({w.write(cut, 1), w.write(10, 1), w.write(11, 1), w.write(12, 1)}, Lsn(1));
    w.disk->settle();
    const auto to = Lsn(w.builder->end().value - 2);
    BOOST_REQUIRE(w.finish(w.store->truncate(to)).has_value());
    w.forget_behind(to);
    w.append({w.write(20 + cut, 1)}, Lsn(1));
    w.disk->settle();
    const auto end = w.builder->end();
    w.crash(MemoryDisk::Loss::power, cut);
    const auto found = w.open();
    BOOST_REQUIRE_MESSAGE(found.damage.empty(), found.damage);
    BOOST_REQUIRE_EQUAL(found.end.lsn.value, end.value);
    BOOST_REQUIRE_EQUAL(w.difference_at(end), "");
  }
  // Cut the same batch again, and one that ends where it was cut.
  for (const std::uint64_t to : {14u, 13u, 12u, 2u, 1u}) {
    BOOST_REQUIRE(w.finish(w.store->truncate(Lsn(to))).has_value());
    w.forget_behind(Lsn(to));
    w.crash(MemoryDisk::Loss::power, to);
    BOOST_REQUIRE_EQUAL(w.open().end.lsn.value, to);
    BOOST_REQUIRE_EQUAL(w.difference_at(Lsn(to)), "");
  }
}

BOOST_AUTO_TEST_CASE(a_log_cut_behind_a_chunk_end_rolls) {
  StoreWorld w;
  w.open(true);
  w.append({w.begin_epoch(1), w.write(1, 1), w.chunk_end(), w.write(2, 1)}, Lsn(1));
  w.disk->settle();
  BOOST_REQUIRE(w.finish(w.store->truncate(Lsn(3))).has_value());
  w.forget_behind(Lsn(3));
  BOOST_CHECK_EQUAL(w.store->facts().end.chunk_first.value, 4u);
  BOOST_CHECK_EQUAL(w.store->facts().end.chunk_bytes, 0u);
  w.append({w.write(5, 1)}, Lsn(1));
  w.disk->settle();
  w.store.reset();
  const auto found = w.open();
  BOOST_CHECK_EQUAL(found.end.lsn.value, 4u);
  BOOST_CHECK_EQUAL(found.end.chunk_first.value, 4u);
  BOOST_CHECK_EQUAL(found.end.chunk_bytes, 2u * block_bytes);
}

BOOST_AUTO_TEST_CASE(truncation_below_the_checkpoint_is_refused) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 2), w.write(1, 1)});
  w.flush();
  const auto refused = w.finish(w.store->truncate(Lsn(2)));
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == engine::Errc::refused);
  BOOST_CHECK_EQUAL(w.store->facts().end.lsn.value, 3u);
}

BOOST_AUTO_TEST_SUITE_END()
