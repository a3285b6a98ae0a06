// What a log retains below its checkpoint: no opening waits for it, and nobody notices.
#include <algorithm>
#include <span>

#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

struct Retained : StoreWorld {
  Retained() {
    fill_log();
    retained = store->retained();
    end = builder->end();
  }
  /// Up to its end and no further: what goes on behind it is under way.
  template <class T>
  T finish(storage::Task<T> task) {
    std::optional<T> value;
    store->run(std::move(task), [&value](T v) { value.emplace(std::move(v)); });
    while (!value && disk->step()) {
    }
    BOOST_REQUIRE(value.has_value());
    return std::move(*value);
  }
  void restart() {
    crash(MemoryDisk::Loss::process, 1);
    store = std::make_unique<storage::ReplicaStore>(config(false));
    const auto found = finish(store->open());
    BOOST_REQUIRE(found.has_value());
    BOOST_REQUIRE_EQUAL(found->end.lsn.value, end.value);
    BOOST_REQUIRE_EQUAL(found->retained.value, retained.value);
  }
  /// The file of the nth of the segments that are retained, and its first record.
  std::pair<std::string, Lsn> segment(std::size_t n) {
    std::vector<std::pair<Lsn, std::string>> segments;
    for (const auto& [path, file] : disk->files()) {
      if (!path.ends_with(".seg") || !file) continue;
      const auto header = storage::decode_segment_header(std::span(file->seen).first(block_bytes));
      if (header && header->first >= retained && header->first <= end)
        segments.emplace_back(header->first, path.substr(std::string("/node/replica/").size()));
    }
    std::sort(segments.begin(), segments.end());
    return {segments.at(n).second, segments.at(n).first};
  }
  bool told(const std::string& name) const {
    return std::find(events.names.begin(), events.names.end(), name) != events.names.end();
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

}  // namespace

BOOST_AUTO_TEST_SUITE(log_history)

BOOST_AUTO_TEST_CASE(an_opening_reads_the_segments_from_the_checkpoint_on_and_no_others) {
  Retained w;
  w.restart();
  const auto opened = w.disk->bytes_read;
  BOOST_CHECK_LT(opened, 4 * w.limits.segment_bytes);
  w.disk->settle();
  BOOST_CHECK_GT(w.disk->bytes_read - opened, 10 * block_bytes);
  BOOST_CHECK_EQUAL(w.store->retained().value, w.retained.value);
  w.check_log(w.retained);
}

BOOST_AUTO_TEST_CASE(who_asks_for_what_is_not_read_yet_gets_it) {
  for (const std::uint64_t ahead : {0u, 1u, 30u, 70u}) {
    Retained w;
    w.restart();
    const Lsn at(w.retained.value + ahead);
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
  BOOST_CHECK(!w.told("log_history_shortened"));
  w.disk->settle();
  BOOST_CHECK(w.told("log_history_shortened"));
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
  w.disk->settle();
  BOOST_CHECK(w.told("log_history_shortened"));
  BOOST_CHECK_EQUAL(w.store->retained().value, next.value);
  w.check_log(next);
}

BOOST_AUTO_TEST_CASE(a_stop_does_not_wait_for_the_history) {
  Retained w;
  w.restart();
  const auto opened = w.disk->bytes_read;
  BOOST_CHECK(w.finish(w.store->stop(false)).has_value());
  w.disk->settle();
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
  BOOST_REQUIRE(w.finish(w.store->begin_base(engine::BaseScope::all, engine::Epoch(1), base,
                                             engine::Digest{1, 2}, w.store->facts().history))
                    .has_value());
  w.disk->settle();
  BOOST_CHECK_EQUAL(w.store->retained().value, base.next().value);
  BOOST_CHECK(!w.told("log_history_shortened"));
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

BOOST_AUTO_TEST_SUITE_END()
