// The judge of answers: what is enough of a write when its client hears that it is done, and what is not.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/interfaces.hpp"
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

  /// A message to an actor of node 0.
  template <class T>
  void step(T message) {
    const auto said = caf::make_message(std::move(message));
    answers.observe(Step{std::make_shared<Life>(), 1, 2, said.content()});
  }
  /// Node 0 has op 5 at LSN 1, and its store says that it is on the disk.
  void has_it_on_its_disk() {
    gives(record(5, 4));
    says_durable(1);
  }
  void says_durable(std::uint64_t lsn) {
    actors::StoreProgressed progress;
    progress.durable = Lsn(lsn);
    step(progress);
  }

  void gives(const std::vector<engine::RecordPtr>& records) {
    step(actors::AppendRecords{std::make_shared<const std::vector<engine::RecordPtr>>(records),
                               Lsn{}});
  }

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

BOOST_FIXTURE_TEST_CASE(a_write_is_where_its_own_record_is, Judge) {
  answers.got(0, record(5, 4));
  answers.got(0, record(6, 5));
  const auto place = answers.place(5);
  BOOST_TEST_REQUIRE(place.has_value());
  BOOST_TEST((place->epoch == engine::Epoch(1) && place->lsn == Lsn(1)));
  BOOST_TEST(!answers.place(7).has_value());
  answers.answered(7, 0);  // No record of it was ever seen.
  BOOST_TEST(!answers.place(7).has_value());
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

BOOST_FIXTURE_TEST_CASE(another_nodes_disk_says_nothing_of_what_it_never_got, Judge) {
  answers.got(0, record(5, 4));
  answers.durable(1, Lsn(9));
  answers.answered(5, 0);
  BOOST_TEST(found == "answered_from_memory");
}

BOOST_FIXTURE_TEST_CASE(what_its_store_says_to_be_durable_is_on_a_nodes_disk, Judge) {
  has_it_on_its_disk();
  answers.answered(5, 0);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_log_that_was_cut_has_it_no_more_whatever_is_heard_late, Judge) {
  has_it_on_its_disk();
  step(actors::TruncateLog{Lsn{}});
  says_durable(1);
  answers.answered(5, 0);
  BOOST_TEST(found == "answered_from_memory");
}

BOOST_FIXTURE_TEST_CASE(a_log_that_begins_anew_has_it_no_more, Judge) {
  has_it_on_its_disk();
  actors::BeginBase reset;
  reset.scope = engine::BaseScope::all;
  step(reset);
  answers.answered(5, 0);
  BOOST_TEST(found == "answered_from_memory");
}

BOOST_FIXTURE_TEST_CASE(a_store_that_is_opened_has_what_it_finds, Judge) {
  has_it_on_its_disk();
  step(actors::StoreOpened{actors::StoreFacts{}});
  answers.answered(5, 0);
  BOOST_TEST(found == "answered_from_memory");
}

BOOST_FIXTURE_TEST_CASE(a_store_that_cannot_be_opened_tells_nothing, Judge) {
  has_it_on_its_disk();
  step(actors::StoreOpened{engine::Error{engine::Errc::io_failed, "no such disk"}});
  answers.answered(5, 0);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(the_rest_of_a_base_leaves_a_log_as_it_is, Judge) {
  has_it_on_its_disk();
  actors::BeginBase rest;
  rest.scope = engine::BaseScope::rest;
  step(rest);
  answers.answered(5, 0);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_store_that_is_given_no_records_has_what_it_had, Judge) {
  gives(record(5, 4));
  gives({});
  says_durable(1);
  answers.answered(5, 0);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(what_a_link_delivers_is_in_a_nodes_memory_if_it_is_records, Judge) {
  answers.got(0, record(5, 4));
  answers.delivered(1, engine::Progress{});
  engine::Records sent;
  sent.records = record(6, 4);
  answers.delivered(1, sent);
  answers.answered(6, 0);
  BOOST_TEST(found == "");
  answers.answered(5, 0);
  BOOST_TEST(found == "answered_from_memory");
}

BOOST_FIXTURE_TEST_CASE(a_write_whose_record_nobody_saw_is_on_no_disk, Judge) {
  answers.durable(0, Lsn(9));
  answers.answered(5, 0);
  BOOST_TEST(found == "answered_from_memory");
}

BOOST_FIXTURE_TEST_CASE(an_edge_that_goes_into_a_later_record_is_not_waited_for, Judge) {
  answers.got(0, record(5, 4));
  answers.got(0, record(6, 5));
  answers.durable(0, Lsn(1));
  answers.answered(5, 0);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(the_last_cell_of_a_record_may_be_another_ops, Judge) {
  answers.got(0, record(5, 4));
  answers.durable(0, Lsn(1));
  answers.answered(4, 0);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(messages_of_the_world_and_of_several_parts_are_none_of_a_store, Judge) {
  has_it_on_its_disk();
  const auto cut = caf::make_message(actors::TruncateLog{Lsn{}});
  answers.observe(Step{nullptr, 1, 2, cut.content()});
  const auto more = caf::make_message(actors::TruncateLog{Lsn{}}, 1);
  answers.observe(Step{std::make_shared<Life>(), 1, 2, more.content()});
  answers.answered(5, 0);
  BOOST_TEST(found == "");
}

BOOST_AUTO_TEST_SUITE_END()
