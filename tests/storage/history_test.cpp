// What a log retains below its checkpoint: no opening waits for it, and nobody notices.
#include <algorithm>
#include <span>

#include "storage/superblock.hpp"
#include "storage/wal_reading.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

/// What goes on behind an end that was waited for is under way.
struct SteppedWorld : StoreWorld {
  /// Up to its end and no further.
  template <class T>
  T finish(storage::Task<T> task) {
    std::optional<T> value;
    store->run(std::move(task), [&value](T v) { value.emplace(std::move(v)); });
    while (!value && disk->step()) {
    }
    BOOST_REQUIRE(value.has_value());
    return std::move(*value);
  }
  /// A process that ended, and another that opens.
  void restart(Lsn retained, Lsn end) {
    crash(MemoryDisk::Loss::process, 1);
    store = std::make_unique<storage::ReplicaStore>(config(false));
    const auto found = finish(store->open());
    BOOST_REQUIRE(found.has_value());
    BOOST_REQUIRE(found->damage.empty());
    BOOST_REQUIRE_EQUAL(found->end.lsn.value, end.value);
    BOOST_REQUIRE_EQUAL(found->retained.value, retained.value);
  }
};

struct Retained : SteppedWorld {
  Retained() {
    fill_log();
    retained = store->retained();
    end = builder->end();
  }
  void restart() { SteppedWorld::restart(retained, end); }
  /// The file of the nth of the segments that are retained, and its first record.
  std::pair<std::string, Lsn> segment(std::size_t n) {
    std::vector<std::pair<std::string, Lsn>> segments;
    for (const auto& path : segment_files()) {
      const auto header =
          storage::decode_segment_header(std::span(file_of(path).seen).first(block_bytes));
      if (header->first >= retained && header->first <= end)
        segments.emplace_back(path, header->first);
    }
    return segments.at(n);
  }
  /// All of (after, end] is there, as it was written.
  void check_log(Lsn from) {
    while (from <= end) {
      auto records = finish(store->read_log(from, end, 1u << 20));
      if (!records) BOOST_FAIL(records.error().text);
      for (const auto& record : *records) {
        BOOST_REQUIRE(record->lsn() == from);
        BOOST_REQUIRE(record->header().digest == digest_at.at(from.value));
        from = from.next();
      }
    }
  }

  Lsn retained;
  Lsn end;
};

/// One segment, most of it below the checkpoint, and two records behind.
struct LongSegment : SteppedWorld {
  static constexpr std::uint64_t below = 120;

  explicit LongSegment(std::uint64_t segment_bytes = 1u << 20) {
    limits.segment_bytes = segment_bytes;
    limits.wal_retention_bytes = 4 * limits.segment_bytes;
    open(true);
    append_durably({begin_epoch(1)});
    for (std::uint64_t i = 1; i < below; ++i) append_durably({write(i % volume_blocks, 1)});
    flush_all();
    append({write(1, 2), write(3, 2)}, Lsn());
    disk->settle();
  }
  void restart() { SteppedWorld::restart(Lsn(1), Lsn(below + 2)); }
  void check_log(std::uint64_t from) {
    while (from <= below + 2) {
      auto records = finish(store->read_log(Lsn(from), Lsn(below + 2), 1u << 20));
      if (!records) BOOST_FAIL(records.error().text);
      for (const auto& record : *records) {
        BOOST_REQUIRE_EQUAL(record->lsn().value, from);
        BOOST_REQUIRE(record->header().digest == digest_at.at(from++));
      }
    }
  }
  /// Its file, and where its nth batch stands.
  std::pair<std::string, std::uint64_t> batch(std::size_t n) {
    const auto file = segment_files().at(0);
    return {file, batches_in(file).at(n).offset};
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(log_history)

BOOST_AUTO_TEST_CASE(an_opening_reads_the_segments_from_the_checkpoint_on_and_no_others) {
  Retained w;
  w.restart();
  const auto opened = w.disk->bytes_read;
  BOOST_CHECK_LT(opened, 4 * w.limits.segment_bytes);
  w.read_history();
  BOOST_CHECK_GT(w.disk->bytes_read - opened, 10 * block_bytes);
  BOOST_CHECK_EQUAL(w.store->retained().value, w.retained.value);
  w.check_log(w.retained);
}

BOOST_AUTO_TEST_CASE(who_asks_for_what_is_not_read_yet_gets_it) {
  for (const std::uint64_t ahead : {0u, 1u, 30u, 70u, 1'000u}) {
    Retained w;
    w.restart();
    const auto at = std::min(Lsn(w.retained.value + ahead), w.end.previous().previous());
    const auto digest = w.finish(w.store->log_digest(at));
    BOOST_REQUIRE(digest.has_value());
    BOOST_CHECK(*digest == w.digest_at[at.value]);
    w.check_log(at);
  }
}

BOOST_AUTO_TEST_CASE(rot_in_the_history_shortens_it_behind_the_opening) {
  Retained w;
  const auto [file, first] = w.segment(6);
  const auto [next_file, next] = w.segment(7);
  // The head of its first batch: what lies behind it in the segment is still good.
  StoreWorld::flip(w.file_of(file), block_bytes + 200);
  w.restart();
  BOOST_CHECK(!w.events.told("log_history_shortened"));
  w.read_history();
  BOOST_CHECK(w.events.told("log_history_shortened"));
  const auto kept = w.store->retained();
  BOOST_CHECK_GT(kept.value, first.value);
  BOOST_CHECK_LE(kept.value, next.value);
  BOOST_CHECK(!w.finish(w.store->read_log(kept.previous(), w.end, 1)).has_value());
  w.check_log(kept);
  // What was given up is used again.
  for (int i = 0; i < 30; ++i) {
    w.append_chunk();
    w.flush();
  }
  w.crash(MemoryDisk::Loss::power, 3);
  BOOST_CHECK(w.open().damage.empty());
  BOOST_CHECK_EQUAL(w.difference_at(w.builder->end()), "");
}

BOOST_AUTO_TEST_CASE(a_segment_whose_header_is_gone_ends_the_history) {
  Retained w;
  const auto next = w.segment(7).second;
  StoreWorld::flip(w.file_of(w.segment(6).first), 10);
  w.restart();
  w.read_history();
  BOOST_CHECK(w.events.told("log_history_shortened"));
  BOOST_CHECK_EQUAL(w.store->retained().value, next.value);
  w.check_log(next);
}

BOOST_AUTO_TEST_CASE(a_stop_does_not_wait_for_the_history) {
  Retained w;
  w.restart();
  const auto opened = w.disk->bytes_read;
  BOOST_CHECK(w.finish(w.store->stop(false)).has_value());
  w.read_history();
  BOOST_CHECK_LT(w.disk->bytes_read - opened, 4 * w.limits.segment_bytes);
  w.store.reset();
  w.open();
  BOOST_CHECK_EQUAL(w.store->retained().value, w.retained.value);
  w.check_log(w.retained);
}

BOOST_AUTO_TEST_CASE(a_copy_begun_meanwhile_gives_the_history_up) {
  Retained w;
  w.restart();
  const auto base = Lsn(w.end.value + 100);
  BOOST_REQUIRE(w.finish(w.store->begin_base(
                             engine::BaseScope::all, engine::Epoch(1),
                             {base, engine::Digest{1, 2}, {}, w.store->facts().history, {}, {}}))
                    .has_value());
  w.read_history();
  BOOST_CHECK_EQUAL(w.store->retained().value, base.next().value);
  BOOST_CHECK(!w.events.told("log_history_shortened"));
  BOOST_CHECK(!w.finish(w.store->read_log(w.retained, w.end, 1)).has_value());
}

BOOST_AUTO_TEST_CASE(what_need_not_be_retained_is_given_up_although_nobody_has_read_it) {
  Retained w;
  w.restart();
  const auto record = w.chunk();
  w.store->append(record, Lsn());
  w.end = w.builder->end();
  for (int steps = 0; w.store->retained() == w.retained && steps < 12; ++steps) w.disk->step();
  BOOST_CHECK_GT(w.store->retained().value, w.retained.value);
  BOOST_CHECK_LT(w.disk->bytes_read, 6 * w.limits.segment_bytes);
  w.disk->settle();
  w.check_log(w.store->retained());
  w.store->set_committed(w.end);
  w.crash(MemoryDisk::Loss::power, 1);
  BOOST_CHECK(w.open().damage.empty());
  w.check_log(w.store->retained());
  BOOST_CHECK_EQUAL(w.difference_at(w.end), "");
}

BOOST_AUTO_TEST_CASE(what_was_certainly_given_up_is_not_waited_for) {
  Retained w;
  w.restart();
  const auto opened = w.disk->bytes_read;
  BOOST_CHECK(!w.finish(w.store->log_digest(Lsn(w.retained.value - 5))).has_value());
  BOOST_CHECK_LT(w.disk->bytes_read - opened, 4 * w.limits.segment_bytes);
}

BOOST_AUTO_TEST_CASE(a_crash_while_the_history_is_read_changes_nothing) {
  Retained w;
  for (std::uint64_t at = 1; at < 40; ++at) {
    w.restart();
    for (std::uint64_t step = 0; step < at && w.disk->step(); ++step) {
    }
  }
  w.check_log(w.retained);
  BOOST_CHECK_EQUAL(w.difference_at(w.end), "");
}

BOOST_AUTO_TEST_CASE(an_opening_begins_where_the_checkpoint_is_in_its_segment) {
  LongSegment w;
  w.restart();
  BOOST_CHECK_LT(w.disk->bytes_read, w.limits.segment_bytes / 2);
  w.check_log(1);
  w.read_history();
  BOOST_CHECK(!w.events.told("log_history_shortened"));
  w.check_log(1);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(w.below + 2)), "");
}

// The batches of a quiet log promise that those behind them are small.
BOOST_AUTO_TEST_CASE(an_opening_looks_no_further_behind_the_end_than_writes_in_flight_could_stand) {
  LongSegment w(4u << 20);
  w.restart();
  BOOST_CHECK_LT(w.disk->bytes_read, w.limits.segment_bytes * 2 / 3);
}

BOOST_AUTO_TEST_CASE(what_is_not_read_yet_of_a_segment_is_read_for_whoever_asks) {
  for (const std::uint64_t at : {1u, 2u, 60u, 118u, 119u, 120u, 121u}) {
    LongSegment w;
    w.restart();
    const auto digest = w.finish(w.store->log_digest(Lsn(at)));
    BOOST_REQUIRE(digest.has_value());
    BOOST_CHECK(*digest == w.digest_at[at]);
    w.check_log(at);
  }
}

BOOST_AUTO_TEST_CASE(rot_in_what_no_opening_reads_shortens_the_log_by_what_lies_before) {
  for (const std::size_t n : {0u, 1u, 50u, 118u}) {
    LongSegment w;
    const auto [file, at] = w.batch(n);
    StoreWorld::flip(w.file_of(file), at + 30);
    w.restart();
    BOOST_CHECK(!w.events.told("log_history_shortened"));
    w.read_history();
    BOOST_CHECK(w.events.told("log_history_shortened"));
    BOOST_CHECK_EQUAL(w.store->retained().value, n + 2);
    w.check_log(n + 2);
    w.append_durably({w.write(7, 1)});
    w.flush_all();
    w.crash(MemoryDisk::Loss::power, 2);
    BOOST_CHECK(w.open().damage.empty());
    BOOST_CHECK_EQUAL(w.difference_at(w.builder->end()), "");
  }
}

BOOST_AUTO_TEST_CASE(a_cut_while_the_segment_is_not_all_read_keeps_what_lies_below) {
  LongSegment w;
  w.restart();
  const Lsn to(w.below + 1);
  BOOST_REQUIRE(w.finish(w.store->truncate(to)).has_value());
  w.forget_behind(to);
  w.append_durably({w.write(9, 1)});
  w.check_log(1);
  w.crash(MemoryDisk::Loss::power, 2);
  BOOST_CHECK_EQUAL(w.open().end.lsn.value, w.below + 2);
  w.check_log(1);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(w.below + 2)), "");
}

// Whatever stands where the superblock says: the log is found as if it had said nothing.
BOOST_AUTO_TEST_CASE(a_place_of_the_checkpoint_that_is_wrong_changes_nothing) {
  LongSegment w;
  w.crash(MemoryDisk::Loss::process, 1);
  const storage::WalContext context{*w.disk,
                                    w.timers,
                                    engine::VolumeKey(w.spec.id),
                                    w.spec.id,
                                    engine::ReplicaId(3),
                                    "/node/replica/wal",
                                    w.limits.segment_bytes};
  const auto slots = std::span<const std::byte>(w.file_of("superblock").seen);
  const auto first = storage::decode_superblock(slots.first(storage::superblock_slot_bytes));
  const auto second = storage::decode_superblock(slots.last(storage::superblock_slot_bytes));
  BOOST_REQUIRE(first && second);
  auto input = storage::recovery_input(first->generation > second->generation ? *first : *second);
  BOOST_REQUIRE(input.checkpoint_batch.has_value());
  const auto right = *input.checkpoint_batch;
  struct Read {
    std::string damage;
    storage::LogEnd end;
    std::size_t replayed = 0;
    std::uint64_t used = 0;
    bool all = false;
  };
  const auto read = [&]() -> Read {  // Its files are closed again: they are locked while open.
    storage::Scope scope;
    std::optional<engine::Result<storage::ReadLog>> found;
    scope.run(storage::read_log(context, input), [&](auto log) { found.emplace(std::move(log)); });
    w.disk->settle();
    BOOST_REQUIRE(found.has_value());
    if (!*found) BOOST_FAIL(found->error().text);
    const auto& log = (*found)->log;
    return {log.damage, log.end, log.replay.size(), log.log.back()->used, log.history.empty()};
  };
  input.checkpoint_batch.reset();
  const auto whole = read();
  BOOST_REQUIRE(whole.all);
  std::vector<storage::BatchAddress> places{right, {right.sequence.next(), right.offset}};
  for (std::uint64_t at = 0; at <= w.limits.segment_bytes + block_bytes; at += 512)
    places.push_back({right.sequence, at});
  for (const auto& place : places) {
    input.checkpoint_batch = place;
    const auto found = read();
    const bool is_right = place.offset == right.offset && place.sequence == right.sequence;
    BOOST_REQUIRE_EQUAL(found.all, !is_right);
    BOOST_REQUIRE_EQUAL(found.damage, whole.damage);
    BOOST_REQUIRE_EQUAL(found.end.lsn.value, whole.end.lsn.value);
    BOOST_REQUIRE(found.end.digest == whole.end.digest);
    BOOST_REQUIRE_EQUAL(found.end.chunk_first.value, whole.end.chunk_first.value);
    BOOST_REQUIRE_EQUAL(found.end.chunk_bytes, whole.end.chunk_bytes);
    BOOST_REQUIRE_EQUAL(found.replayed, whole.replayed);
    BOOST_REQUIRE_EQUAL(found.used, whole.used);
  }
}

BOOST_AUTO_TEST_SUITE_END()
