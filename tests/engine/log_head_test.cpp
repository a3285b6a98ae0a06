#include "engine/log_head.hpp"

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/support/print_strong.hpp"

namespace tidemark::engine {
namespace {

constexpr auto chunk_max = chunk_bytes_max(segment_bytes_min);

OpenedLog opened(std::uint64_t end = 0, std::uint64_t chunk_bytes = 0) {
  OpenedLog log;
  log.end = Lsn(end);
  log.chunk_bytes = chunk_bytes;
  log.chunk_bytes_max = chunk_max;
  return log;
}

struct Log : LogHead {
  explicit Log(const OpenedLog& log = opened())
      : LogHead(VolumeKey(make_uuid(1, 2)), Epoch(3), log) {
    number_epoch({}, WallTime(5));
  }
  Lsn write(std::uint64_t first, std::uint64_t count) {
    return number_write({BlockIndex(first), count}, zeros(count * block_bytes), {}, 1, WallTime(5));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(log_head)

BOOST_AUTO_TEST_CASE(records_are_numbered_densely_behind_the_log_that_was_found) {
  Log log(opened(41));
  BOOST_TEST(log.end() == Lsn(42));
  BOOST_TEST(log.write(0, 1) == Lsn(43));
  BOOST_TEST(log.take().size() == 2U);
  BOOST_TEST(!log.has_fresh());
}

BOOST_AUTO_TEST_CASE(no_chunk_costs_more_than_a_segment_holds) {
  Log log;
  // Sizes that leave odd rests: 1, 4, 9, ... blocks, around and around.
  for (std::uint64_t i = 0; i < 500; ++i) log.write(i % 64, 1 + (i * i) % record_blocks_max);
  std::uint64_t used = 0;
  std::size_t chunks = 0;
  for (const auto& record : log.take()) {
    if (record->header().kind == RecordKind::chunk_end) {
      BOOST_TEST(used <= chunk_max);
      used = 0;
      ++chunks;
    } else {
      used += chunk_cost(*record);
    }
  }
  BOOST_TEST(chunks > 50U);
}

BOOST_AUTO_TEST_CASE(an_epoch_record_begins_a_chunk_without_a_mark) {
  Log log(opened(10, chunk_max - 1));
  const auto records = log.take();
  BOOST_REQUIRE(records.size() == 1U);
  BOOST_TEST((records[0]->header().kind == RecordKind::epoch));
  // The chunk that it ended is spent to its end.
  BOOST_TEST(log.cost_after(Lsn(10)) == chunk_cost(*records[0]) + 1);
}

BOOST_AUTO_TEST_CASE(the_newest_record_of_a_range_is_found_above_a_bound_only) {
  Log log;
  log.write(0, 4);  // 2
  log.write(2, 1);  // 3
  log.write(9, 1);  // 4
  BOOST_TEST(log.newest({BlockIndex(0), 2}, Lsn{}) == Lsn(2));
  BOOST_TEST(log.newest({BlockIndex(0), 3}, Lsn{}) == Lsn(3));
  BOOST_TEST(log.newest({BlockIndex(0), 2}, Lsn(2)) == Lsn{});
  BOOST_TEST(log.newest({BlockIndex(5), 2}, Lsn{}) == Lsn{});
  log.forget(Lsn(3));
  BOOST_TEST(log.newest({BlockIndex(0), 3}, Lsn{}) == Lsn{});
  BOOST_TEST(log.newest({BlockIndex(9), 1}, Lsn{}) == Lsn(4));
}

BOOST_AUTO_TEST_CASE(bytes_and_cost_are_those_of_the_records_beyond) {
  Log log;
  log.write(0, 1);
  log.write(0, 2);
  const auto records = log.take();
  BOOST_TEST(log.bytes_after(Lsn(1)) == records[1]->bytes() + records[2]->bytes());
  BOOST_TEST(log.bytes_after(Lsn(2)) == records[2]->bytes());
  BOOST_TEST(log.cost_after(Lsn(2)) == chunk_cost(*records[2]));
  log.forget(Lsn(2));
  BOOST_TEST(log.bytes_after(Lsn(2)) == records[2]->bytes());
  BOOST_TEST(log.bytes_after(Lsn(3)) == 0U);
}

BOOST_AUTO_TEST_CASE(what_was_reserved_is_never_less_than_what_it_cost) {
  for (std::uint64_t blocks = 1; blocks < 3 * record_blocks_max; blocks += 37) {
    Log log(opened(0, 0));
    log.write(0, 200);  // a chunk that is partly full
    const auto before = log.end();
    std::uint64_t records = 0;
    for (std::uint64_t at = 0; at < blocks; at += record_blocks_max, ++records) {
      log.write(at, std::min<std::uint64_t>(record_blocks_max, blocks - at));
    }
    BOOST_TEST(log.cost_after(before) <= log.cost_max(blocks, records) + LogHead::slack());
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(ring)

BOOST_AUTO_TEST_CASE(a_ring_is_a_queue_whatever_its_fill) {
  Ring<std::uint64_t> ring;
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  for (std::uint64_t round = 0; round < 200; ++round) {
    for (std::uint64_t i = 0; i < round % 17 + 3; ++i) ring.push_back(in++);
    for (std::uint64_t i = 0; i < round % 13 && !ring.empty(); ++i) {
      BOOST_REQUIRE(ring.front() == out);
      BOOST_REQUIRE(ring.pop_front() == out++);
    }
    BOOST_REQUIRE(ring.size() == in - out);
    if (!ring.empty()) BOOST_REQUIRE(ring.back() == in - 1);
  }
  BOOST_TEST(ring[5] == out + 5);
  ring.clear();
  BOOST_TEST(ring.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
