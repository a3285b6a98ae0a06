// The one cursor: what goes, in which frames, and which acknowledgements count.
#define BOOST_TEST_DYN_LINK
#include "engine/cursor.hpp"

#include <boost/test/unit_test.hpp>

#include "engine/messages.hpp"
#include "tests/engine/replication_support.hpp"

namespace tidemark::engine {
namespace {

using replication::TestLog;

struct Rig {
  explicit Rig(std::uint64_t end = 10, std::uint64_t credit = 1 << 20) : cursor(credit) {
    log.epoch(1, 11);
    log.grow_to(end);
    cursor.begin(Lsn(2), log.digest(Lsn(2)));
  }
  AckVerdict ack(std::uint64_t received, std::uint64_t durable) {
    return cursor.acked(Lsn(received), Lsn(durable), log.digest(Lsn(durable)));
  }
  std::size_t take(std::uint64_t from, std::uint64_t to) {
    std::size_t records = 0;
    for (const auto& frame : cursor.take(*log.batch(from, to))) records += frame.size();
    return records;
  }
  TestLog log;
  Cursor cursor;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(cursor)

BOOST_AUTO_TEST_CASE(a_batch_is_taken_from_where_the_cursor_stands) {
  Rig r;
  BOOST_TEST(r.take(5, 6) == 0u);  // Not yet: 3 and 4 come first.
  BOOST_TEST(r.take(1, 2) == 0u);  // The replica has them.
  BOOST_TEST(r.take(1, 4) == 2u);
  BOOST_TEST(r.take(5, 6) == 2u);
  BOOST_TEST(r.cursor.next().value == 7u);
}

BOOST_AUTO_TEST_CASE(beyond_the_credit_nothing_goes_until_received_moves) {
  const auto record = [] {
    TestLog log;
    log.epoch(1, 1);
    return log.write(1, 1)->bytes();
  }();
  Rig r(10, 2 * record);
  BOOST_TEST(r.take(3, 10) == 2u);
  BOOST_TEST(r.cursor.room_bytes() == 0u);
  BOOST_TEST(!r.cursor.worth_reading());
  BOOST_TEST(r.take(5, 10) == 0u);
  BOOST_TEST((r.ack(3, 2) == AckVerdict::counted));
  BOOST_TEST(r.cursor.worth_reading());
  BOOST_TEST(r.take(3, 10) == 1u);
  BOOST_TEST(r.cursor.in_flight_bytes() == 2 * record);
}

// A replica outside the set slows nobody down: what it has in memory only must be bounded here.
BOOST_AUTO_TEST_CASE(what_is_received_and_not_durable_is_bounded_too) {
  Cursor cursor(1 << 20);
  TestLog log;
  log.epoch(1, 11);
  cursor.begin(Lsn(1), log.digest(Lsn(1)));
  std::uint64_t received = 1;
  while (cursor.room_bytes() > 0) {
    log.grow_to(received + 1);
    cursor.take(*log.batch(received + 1, received + 1));
    ++received;
    BOOST_REQUIRE((cursor.acked(Lsn(received), Lsn(1), log.digest(Lsn(1))) == AckVerdict::counted));
  }
  const auto bytes = (received - 1) * log.batch(2, 2)->front()->bytes();
  BOOST_TEST(bytes >= unacknowledged_bytes_max);
  BOOST_TEST(bytes < unacknowledged_bytes_max + (1u << 20));
  cursor.acked(Lsn(received), Lsn(2), log.digest(Lsn(2)));
  BOOST_TEST(cursor.room_bytes() > 0u);
}

BOOST_AUTO_TEST_CASE(a_large_credit_does_not_stretch_that_bound) {
  Cursor cursor(32u << 20);
  TestLog log;
  log.epoch(1, 11);
  cursor.begin(Lsn(1), log.digest(Lsn(1)));
  BOOST_TEST(cursor.room_bytes() == 32u << 20);
  std::uint64_t received = 1;
  while (cursor.room_bytes() == 32u << 20) {
    log.grow_to(received + 1);
    cursor.take(*log.batch(received + 1, received + 1));
    ++received;
    BOOST_REQUIRE((cursor.acked(Lsn(received), Lsn(1), log.digest(Lsn(1))) == AckVerdict::counted));
  }
  const auto bytes = (received - 1) * log.batch(2, 2)->front()->bytes();
  BOOST_TEST(bytes + cursor.room_bytes() == unacknowledged_bytes_max);
}

BOOST_AUTO_TEST_CASE(a_credit_smaller_than_a_record_still_moves) {
  Rig r(10, 1);
  BOOST_TEST(r.take(3, 10) == 1u);
  BOOST_TEST((r.ack(3, 3) == AckVerdict::counted));
  BOOST_TEST(r.take(3, 10) == 1u);
}

BOOST_AUTO_TEST_CASE(frames_keep_to_their_bounds) {
  Rig r(records_per_frame_max + 5, 1ull << 30);
  const auto frames = r.cursor.take(*r.log.batch(3, records_per_frame_max + 5));
  BOOST_REQUIRE(frames.size() == 2u);
  for (const auto& frame : frames) {
    std::uint64_t bytes = 0;
    for (const auto& record : frame) bytes += record->bytes();
    BOOST_TEST(frame.size() <= records_per_frame_max);
    BOOST_TEST(bytes <= records_frame_bytes_max);
  }
  BOOST_TEST((frames[0].back()->lsn().next() == frames[1].front()->lsn()));
}

BOOST_AUTO_TEST_CASE(nothing_is_proved_durable_before_an_ack_reached_the_common_point) {
  Rig r;
  BOOST_TEST(r.cursor.durable().value == 0u);
  BOOST_TEST((r.ack(2, 1) == AckVerdict::counted));  // Received all, on its disk one less.
  BOOST_TEST(r.cursor.durable().value == 0u);
  BOOST_TEST((r.ack(2, 2) == AckVerdict::counted));
  BOOST_TEST(r.cursor.durable().value == 2u);
}

BOOST_AUTO_TEST_CASE(an_ack_of_another_record_at_that_lsn_is_told_apart) {
  Rig r;
  r.take(3, 10);
  BOOST_TEST((r.cursor.acked(Lsn(6), Lsn(5), Digest{1, 2}) == AckVerdict::other_digest));
  BOOST_TEST((r.cursor.acked(Lsn(2), Lsn(2), Digest{1, 2}) == AckVerdict::other_digest));
  BOOST_TEST((r.ack(6, 5) == AckVerdict::counted));
  BOOST_TEST((r.cursor.acked(Lsn(6), Lsn(5), Digest{1, 2}) == AckVerdict::other_digest));
}

BOOST_AUTO_TEST_CASE(old_acks_are_harmless_and_impossible_ones_are_named) {
  Rig r;
  r.take(3, 10);
  BOOST_TEST((r.ack(8, 7) == AckVerdict::counted));
  BOOST_TEST((r.ack(6, 5) == AckVerdict::old));
  BOOST_TEST((r.ack(8, 7) == AckVerdict::counted));  // A repeat.
  BOOST_TEST(r.cursor.received().value == 8u);
  BOOST_TEST(r.cursor.durable().value == 7u);
  BOOST_TEST((r.cursor.acked(Lsn(11), Lsn(7), r.log.digest(Lsn(7))) == AckVerdict::impossible));
  BOOST_TEST((r.cursor.acked(Lsn(8), Lsn(9), r.log.digest(Lsn(9))) == AckVerdict::impossible));
}

BOOST_AUTO_TEST_CASE(a_new_session_forgets_what_the_old_one_sent) {
  Rig r;
  r.take(3, 10);
  r.cursor.begin(Lsn(4), r.log.digest(Lsn(4)));
  BOOST_TEST(r.cursor.in_flight_bytes() == 0u);
  BOOST_TEST(r.cursor.durable().value == 0u);
  BOOST_TEST((r.ack(10, 10) == AckVerdict::impossible));
  BOOST_TEST(r.take(3, 10) == 6u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
