// How records gather into writes of the log: few clients never wait, many share a write.
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

/// An open log with room, nothing in flight.
struct QuietLog : StoreWorld {
  QuietLog() {
    limits.segment_bytes = 2u << 20;
    limits.wal_retention_bytes = 4 * limits.segment_bytes;
    limits.memory_tail_bytes = 8u << 20;
    open(true);
    append_durably({begin_epoch(1)});
    BOOST_REQUIRE_EQUAL(disk->in_flight(), 0u);
  }
  /// Appends so many writes of `blocks` blocks, as one turn does.
  void turn(int writes, std::uint64_t blocks = 1) {
    std::vector<engine::RecordPtr> records;
    for (int i = 0; i < writes; ++i) records.push_back(write(0, blocks));
    append(std::move(records), Lsn());
  }
  /// Everything completes, in so many more writes.
  void completes_with(std::uint64_t writes) {
    const auto before = disk->writes;
    disk->settle();
    BOOST_CHECK_EQUAL(disk->writes - before, writes);
    BOOST_CHECK_EQUAL(store->durable().value, builder->end().value);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(group_commit)

BOOST_AUTO_TEST_CASE(few_clients_never_wait_for_each_other) {
  QuietLog w;
  w.turn(3);
  w.turn(1);
  BOOST_CHECK_EQUAL(w.disk->in_flight(), 2u);
  w.completes_with(0);
  w.turn(1, 16);
  w.turn(1, 16);
  BOOST_CHECK_EQUAL(w.disk->in_flight(), 2u);
  w.completes_with(0);
}

BOOST_AUTO_TEST_CASE(many_clients_share_the_next_write) {
  QuietLog w;
  w.turn(4);
  for (int i = 0; i < 5; ++i) w.turn(1);
  BOOST_CHECK_EQUAL(w.disk->in_flight(), 1u);
  // The write that completes takes them along; nobody has to append.
  w.completes_with(1);
}

BOOST_AUTO_TEST_CASE(what_is_worth_a_write_leaves_at_once) {
  QuietLog w;
  w.turn(4);
  w.turn(15);
  BOOST_CHECK_EQUAL(w.disk->in_flight(), 1u);
  w.turn(1);
  BOOST_CHECK_EQUAL(w.disk->in_flight(), 2u);
  w.completes_with(0);
}

BOOST_AUTO_TEST_CASE(the_next_segment_does_not_wait_for_more) {
  QuietLog w;
  auto records = std::vector{w.write(0, 1), w.write(1, 1), w.write(2, 1), w.write(3, 1)};
  records.push_back(w.chunk_end());
  w.append(std::move(records), Lsn());
  BOOST_CHECK_EQUAL(w.disk->in_flight(), 1u);
  w.turn(1);
  BOOST_CHECK_EQUAL(w.disk->in_flight(), 2u);  // its header
  w.disk->settle();
  BOOST_CHECK_EQUAL(w.store->durable().value, w.builder->end().value);
}

BOOST_AUTO_TEST_CASE(a_stop_waits_for_what_gathers) {
  QuietLog w;
  w.turn(4);
  w.turn(2);
  const auto end = w.builder->end();
  BOOST_REQUIRE(w.finish(w.store->stop(true)).has_value());
  w.store.reset();
  BOOST_CHECK_EQUAL(w.open().end.lsn.value, end.value);
}

BOOST_AUTO_TEST_CASE(a_truncation_while_records_gather_keeps_what_it_should) {
  for (const std::uint64_t to : {3u, 5u, 6u}) {
    QuietLog w;  // the epoch is 1, then 2 to 5 in flight, 6 and 7 gather
    w.turn(4);
    w.turn(2);
    BOOST_REQUIRE(w.finish(w.store->truncate(Lsn(to))).has_value());
    BOOST_CHECK_EQUAL(w.store->durable().value, to);
    w.crash(MemoryDisk::Loss::power, 1);
    BOOST_CHECK_EQUAL(w.open().end.lsn.value, to);
  }
}

// What proves it stands behind two batches of any size: so far does recovery have to look, and no promise is broken.
BOOST_AUTO_TEST_CASE(a_batch_whose_head_rots_is_damage_however_large_it_is_and_the_next) {
  std::size_t large = 0;
  std::size_t small_promises = 0;
  for (std::uint64_t seed = 1; seed <= 16; ++seed) {
    StoreWorld w(512);
    w.limits.segment_bytes = 24u << 20;
    w.limits.wal_retention_bytes = 4 * w.limits.segment_bytes;
    w.limits.memory_tail_bytes = 64u << 20;
    w.open(true);
    w.append_durably({w.begin_epoch(1)});
    Dice dice(seed);
    for (std::uint64_t blocks = 0; blocks < 4'500;) {
      const bool streams = dice.below(2) == 0;
      std::vector<engine::RecordPtr> records;
      for (auto left = 1 + dice.below(streams ? 6 : 20); left > 0; --left) {
        const auto count = streams ? 200 + dice.below(57) : 1 + dice.below(4);
        records.push_back(w.write(0, count));
        blocks += count;
      }
      w.append(std::move(records), Lsn());
      for (auto steps = dice.below(4); steps > 0; --steps) w.disk->step();
    }
    w.disk->settle();
    w.store.reset();
    const auto path = w.segment_files().at(0);
    const auto written = w.batches_in(path);
    BOOST_REQUIRE_GT(written.size(), 4u);
    for (std::size_t i = 2; i < written.size(); ++i) {
      large += written[i].bytes() > 2 * storage::batch_span_min ? 1u : 0u;
      small_promises += written[i].span_next == storage::batch_span_min ? 1u : 0u;
      BOOST_CHECK_LE(written[i].bytes(), written[i - 1].span_next);
      BOOST_CHECK_LE(written[i].bytes(), written[i - 2].span_next);
    }
    const auto& rotten = written.at(1 + dice.below(written.size() - 3));
    StoreWorld::flip(w.file_of(path), rotten.offset + 40);
    const auto found = w.open();
    BOOST_CHECK(found.base == engine::BaseState::damaged);
    BOOST_CHECK_EQUAL(found.end.lsn.next().value, rotten.first.value);
  }
  BOOST_CHECK_GT(large, 0u);
  BOOST_CHECK_GT(small_promises, 0u);
}

// Where a promise rotted with its batch, what stood behind is looked for as far as any batch may be.
BOOST_AUTO_TEST_CASE(
    a_promise_that_rotted_below_the_checkpoint_does_not_hide_what_proves_a_record) {
  StoreWorld w(512);
  w.limits.segment_bytes = 16u << 20;
  w.limits.wal_retention_bytes = 4 * w.limits.segment_bytes;
  w.limits.memory_tail_bytes = 64u << 20;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  w.append_durably({w.write(0, 1)});    // Promises little.
  w.append_durably({w.write(0, 150)});  // A large one, up to the checkpoint.
  w.flush_all();
  w.append({w.write(0, 150)}, Lsn(3));
  w.disk->settle();
  w.append({w.write(0, 256), w.write(0, 256), w.write(0, 256), w.write(256, 256)}, Lsn(3));
  w.disk->settle();
  w.append({w.write(0, 1)}, Lsn(3));
  w.disk->settle();
  w.crash(MemoryDisk::Loss::process, 1);
  const auto path = w.segment_files().at(0);
  const auto written = w.batches_in(path);
  BOOST_REQUIRE_EQUAL(written.size(), 6u);
  BOOST_REQUIRE_EQUAL(written[1].span_next, storage::batch_span_min);
  BOOST_REQUIRE_GT(written[4].bytes(), 3 * storage::batch_span_min);
  StoreWorld::flip(w.file_of(path), written[2].offset + 40);
  StoreWorld::flip(w.file_of(path), written[3].offset + written[3].head_area() + 40);
  BOOST_CHECK(w.open().base == engine::BaseState::damaged);
}

BOOST_AUTO_TEST_SUITE_END()
