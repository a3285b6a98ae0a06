// The judge of bases: what is copied is no younger than it is said to be.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/record/record.hpp"
#include "sim/checkers/copied.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::BlockIndex;
using engine::Lsn;

namespace {

constexpr std::uint64_t tag = 7;

struct Judge {
  std::string found;
  std::string why;
  Answers answers{tag, [this](const std::string& cls, const std::string&) { found += cls; }};
  Copied copied{answers, tag, [this](const std::string& cls, const std::string& text) {
                  found += cls;
                  why = text;
                }};
  engine::RecordBuilder builder{engine::VolumeKey(engine::make_uuid(1, 2)), {}, {}};

  /// Cells that these ops wrote, from the first one of a volume on; 0: nobody did.
  static engine::Slice cells(const std::vector<OpId>& ops, std::uint64_t volume = tag) {
    auto bytes = engine::Buffer::zeroed(ops.size() * cell_bytes);
    for (std::uint64_t cell = 0; cell < ops.size(); ++cell) {
      if (ops[cell] == 0) continue;
      stamp(bytes.bytes().subspan(cell * cell_bytes, cell_bytes), volume, cell, ops[cell]);
    }
    return std::move(bytes).freeze();
  }
  static std::vector<OpId> block(OpId op) { return std::vector<OpId>(cells_per_block, op); }
  /// The next record of the log is this op's.
  void logged(OpId op) {
    const engine::BlockRange range{BlockIndex(0), 1};
    answers.got(0, {builder.write(engine::Epoch(1), range, cells(block(op)), {})});
  }
  std::string base(const std::vector<OpId>& ops, std::uint64_t flush_lsn,
                   std::uint64_t volume = tag) {
    engine::BaseBlocks blocks;
    blocks.range = {BlockIndex(40), ops.size() / cells_per_block};
    blocks.flush_lsn = Lsn(flush_lsn);
    blocks.data = cells(ops, volume);
    copied.delivered(2, blocks);
    return std::exchange(found, "");
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(copied)

BOOST_AUTO_TEST_CASE(a_base_holds_nothing_younger_than_it_says) {
  Judge judge;
  judge.logged(100);
  judge.logged(101);
  BOOST_TEST(judge.base(Judge::block(101), 2) == "");
  BOOST_TEST(judge.base(Judge::block(101), 1) == "base_beyond");
  BOOST_TEST(judge.why.find("node3 gets block 40 ") != std::string::npos, judge.why);
  BOOST_TEST(judge.why.find("op 101 is in there, whose record is lsn 2") != std::string::npos,
             judge.why);
}

BOOST_AUTO_TEST_CASE(every_cell_is_looked_at) {
  Judge judge;
  judge.logged(100);
  judge.logged(101);
  auto cells = Judge::block(0);
  BOOST_TEST(judge.base(cells, 0) == "");
  cells[0] = 100;
  cells[cells_per_block - 1] = 101;
  BOOST_TEST(judge.base(cells, 1) == "base_beyond");
  auto two = Judge::block(100);
  two.resize(2 * cells_per_block, 101);
  BOOST_TEST(judge.base(two, 1) == "base_beyond");
  BOOST_TEST(judge.why.find("block 41 ") != std::string::npos, judge.why);
  BOOST_TEST(judge.base(Judge::block(101), 0) == "base_beyond");
}

BOOST_AUTO_TEST_CASE(what_was_in_no_log_that_was_seen_is_nobodys_business) {
  Judge judge;
  judge.logged(100);
  BOOST_TEST(judge.base(Judge::block(5), 0) == "");
  BOOST_TEST(judge.base(Judge::block(100), 0, tag + 1) == "");
}

BOOST_AUTO_TEST_CASE(other_messages_bring_no_base) {
  Judge judge;
  judge.copied.delivered(2, engine::BaseZeroes{});
  BOOST_TEST(judge.found == "");
}

BOOST_AUTO_TEST_SUITE_END()
