#include "engine/flush_plan.hpp"

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <string>

using namespace tidemark::engine;

namespace {

struct Log {
  RecordBuilder builder{VolumeKey(Uuid{}), Lsn(), Digest()};
  std::vector<RecordPtr> records;

  void write(std::uint64_t first, std::uint64_t count) {
    records.push_back(
        builder.write(Epoch(1), {BlockIndex(first), count}, zeros(count * block_bytes), {}));
  }
  void zero(RecordKind kind, std::uint64_t first, std::uint64_t count, std::uint8_t flags = 0) {
    records.push_back(builder.zero(Epoch(1), kind, flags, {BlockIndex(first), count}, {}));
  }
  /// "d[0,4):1,2 h[4,5)": kind, range and the LSNs that its parts come from.
  std::string plan(std::uint64_t blocks_max = 256) const {
    std::string text;
    for (const auto& run : plan_flush(records, blocks_max)) {
      if (!text.empty()) text += " ";
      text += run.kind == FlushKind::data ? "d" : run.kind == FlushKind::zeros ? "z" : "h";
      text += fmt::format("{}", run.range);
      for (const auto& part : run.parts) text += fmt::format(":{}", part.record->lsn());
    }
    return text;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(flush_plan)

BOOST_AUTO_TEST_CASE(the_flusher_stops_at_committed_and_at_durable) {
  BOOST_CHECK_EQUAL(flush_limit(Lsn(5), Lsn(9)).value, 5u);
  BOOST_CHECK_EQUAL(flush_limit(Lsn(9), Lsn(5)).value, 5u);
}

BOOST_AUTO_TEST_CASE(the_newest_version_of_each_block_is_written_once) {
  Log log;
  log.write(2, 4);
  log.write(4, 1);
  log.zero(RecordKind::trim, 8, 1);
  log.write(6, 2);
  BOOST_CHECK_EQUAL(log.plan(), "d[2,8):1:2:1:4 h[8,9)");
}

BOOST_AUTO_TEST_CASE(a_trim_over_a_write_leaves_a_hole_and_a_write_over_a_trim_does_not) {
  Log log;
  log.write(0, 4);
  log.zero(RecordKind::trim, 0, 4);
  log.write(1, 1);
  BOOST_CHECK_EQUAL(log.plan(), "h[0,1) d[1,2):3 h[2,4)");
}

BOOST_AUTO_TEST_CASE(zeros_that_keep_their_space_are_written) {
  Log log;
  log.zero(RecordKind::write_zeroes, 0, 3, flag_no_hole);
  log.zero(RecordKind::write_zeroes, 3, 3);
  log.zero(RecordKind::trim, 6, 2);
  BOOST_CHECK_EQUAL(log.plan(), "z[0,3) h[3,8)");
}

BOOST_AUTO_TEST_CASE(data_is_joined_up_to_the_limit) {
  Log log;
  for (std::uint64_t i = 0; i < 6; ++i) log.write(i, 1);
  BOOST_CHECK_EQUAL(log.plan(4), "d[0,4):1:2:3:4 d[4,6):5:6");
}

BOOST_AUTO_TEST_CASE(control_records_touch_no_block) {
  Log log;
  log.records.push_back(log.builder.chunk_end(Epoch(1), {}));
  BOOST_CHECK_EQUAL(log.plan(), "");
}

BOOST_AUTO_TEST_SUITE_END()
