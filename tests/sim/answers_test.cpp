// The judge of answers: what is enough of a write when its client hears that it is done, and what is not.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "engine/record/record.hpp"
#include "sim/checkers/answers.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Lsn;

namespace {

constexpr std::uint64_t tag = 7;

struct Judge {
  std::string found;
  Answers answers{tag, [this](const std::string& cls, const std::string&) { found += cls; }};
  engine::RecordBuilder builder{engine::VolumeKey(engine::make_uuid(1, 2)), {}, {}};

  /// The record of a write of one block, whose last cell is another op's, merged into it.
  std::vector<engine::RecordPtr> record(OpId op, OpId merged) {
    engine::Buffer block(engine::block_bytes);
    for (std::uint64_t cell = 0; cell < cells_per_block; ++cell) {
      stamp(block.bytes().subspan(cell * cell_bytes, cell_bytes), tag, cell,
            cell + 1 < cells_per_block ? op : merged);
    }
    return {
        builder.write(engine::Epoch(1), {engine::BlockIndex(0), 1}, std::move(block).freeze(), {})};
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(answers)

BOOST_FIXTURE_TEST_CASE(a_write_that_two_nodes_have_got_is_answered, Judge) {
  answers.got(0, record(5, 4));
  answers.got(1, record(5, 4));
  answers.answered(5, 0);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(who_answers_has_it_before_its_store_does, Judge) {
  answers.got(1, record(5, 4));
  answers.answered(5, 0);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(one_node_answers_from_its_disk, Judge) {
  answers.got(0, record(5, 4));
  answers.durable(0, Lsn(1));
  answers.answered(5, 0);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(one_memory_is_not_enough, Judge) {
  answers.got(0, record(5, 4));
  answers.answered(5, 0);
  BOOST_TEST(found == "answered_from_memory");
}

BOOST_FIXTURE_TEST_CASE(one_disk_that_ends_before_it_is_not_enough, Judge) {
  answers.got(0, record(4, 4));
  answers.durable(0, Lsn(1));
  answers.got(0, record(5, 4));
  answers.answered(5, 0);
  BOOST_TEST(found == "answered_from_memory");
}

BOOST_FIXTURE_TEST_CASE(a_disk_that_was_cut_before_it_is_not_enough, Judge) {
  answers.got(0, record(5, 4));
  answers.durable(0, Lsn(1));
  answers.cut(0, Lsn{});
  answers.answered(5, 0);
  BOOST_TEST(found == "answered_from_memory");
}

BOOST_FIXTURE_TEST_CASE(another_nodes_disk_says_nothing_of_what_it_never_got, Judge) {
  answers.got(0, record(5, 4));
  answers.durable(1, Lsn(9));
  answers.answered(5, 0);
  BOOST_TEST(found == "answered_from_memory");
}

BOOST_AUTO_TEST_SUITE_END()
