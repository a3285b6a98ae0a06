// The second judge of reads: right histories pass, and each kind of breach is called by its name, on either side of
// a failover, a loss and a shrink. How one register is judged: linearizability_test.cpp.
#define BOOST_TEST_DYN_LINK
#include "sim/checkers/registers.hpp"

#include <boost/test/unit_test.hpp>

using namespace tidemark;
using namespace tidemark::sim;

namespace {

engine::MonoTime at(std::uint64_t t) { return engine::MonoTime(t); }

struct Story {
  explicit Story(bool may_lose = false, std::uint64_t cells = 8)
      : registers(cells, 8, may_lose, [this](const std::string& cls, const std::string&) {
          if (found.empty()) found = cls;
        }) {
    open();
  }

  /// Another reign serves from now on.
  void open() { registers.opened(++reign, at(time++)); }
  void lose() {
    registers.lost();
    open();
  }
  OpId begin(CellRange cells = {0, 1}, bool zeros = false) {
    registers.write_begun(++last_op, reign, at(time++), cells, zeros);
    return last_op;
  }
  void answer(OpId op) { registers.write_answered(op, at(time++)); }
  OpId write(CellRange cells = {0, 1}, bool zeros = false) {
    const auto op = begin(cells, zeros);
    answer(op);
    return op;
  }
  void read(OpId op, std::uint64_t cell = 0) {
    const auto began = at(time++);
    registers.cell_read(reign, began, at(time++), cell, op);
  }

  std::string found;
  Registers registers;
  Reign reign = 0;
  OpId last_op = 0;
  std::uint64_t time = 1;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(registers)

BOOST_AUTO_TEST_CASE(what_was_written_last_is_read) {
  Story s;
  s.read(0);
  const auto a = s.write();
  s.read(a);
  const auto b = s.write();
  s.read(b);
  s.write({0, 1}, true);
  s.read(0);
  BOOST_TEST(s.found == "");
}

BOOST_AUTO_TEST_CASE(an_older_value_is_over_once_a_newer_one_was_answered) {
  Story s;
  const auto a = s.write();
  const auto b = s.write();
  s.read(a);
  BOOST_TEST(s.found == "register_order");
  s.found.clear();
  s.read(b);  // Nothing is left of a.
  s.read(a);
  BOOST_TEST(s.found == "register_over");
}

BOOST_AUTO_TEST_CASE(an_answered_value_may_not_be_missing) {
  Story s;
  s.write();
  s.read(0);
  BOOST_TEST(s.found == "register_zeros");
}

BOOST_AUTO_TEST_CASE(each_cell_of_a_write_is_a_register) {
  Story s;
  const auto a = s.write({2, 3});
  s.read(0, 1);
  for (const std::uint64_t cell : {2U, 3U, 4U}) s.read(a, cell);
  s.read(0, 5);
  BOOST_TEST(s.found == "");
}

BOOST_AUTO_TEST_CASE(a_value_that_was_never_written_to_the_cell_is_noticed) {
  for (const std::uint64_t cell : {1U, 5U}) {
    Story s;
    const auto a = s.write({2, 3});
    s.read(a, cell);
    BOOST_TEST(s.found == "register_unwritten");
  }
}

BOOST_AUTO_TEST_CASE(bytes_that_nobody_wrote_are_noticed) {
  Story s;
  s.read(7);
  BOOST_TEST(s.found == "register_unwritten");
  s.found.clear();
  s.registers.cell_read(s.reign, at(s.time), at(s.time + 1), 0, std::nullopt);
  BOOST_TEST(s.found == "register_corrupt");
}

BOOST_AUTO_TEST_CASE(zeros_leave_no_number_in_a_cell) {
  Story s;
  s.read(s.write({0, 1}, true));
  BOOST_TEST(s.found == "register_over");
}

BOOST_AUTO_TEST_CASE(a_write_may_be_over_before_its_answer_comes_or_its_reign_ends) {
  for (const bool answered : {true, false}) {
    Story s;
    const auto a = s.begin();
    s.read(a);
    s.write();
    s.write();
    if (answered) s.answer(a);
    s.open();
    s.read(s.write());
    BOOST_TEST(s.found == "");
  }
}

BOOST_AUTO_TEST_CASE(a_request_that_waits_may_still_bring_an_older_value) {
  for (const bool waits : {true, false}) {
    Story s;
    const auto a = s.write();
    const auto began = at(s.time++);
    s.registers.waits(3, began);
    s.registers.waits(4, std::nullopt);
    if (!waits) s.registers.waits(3, std::nullopt);
    s.write();
    s.write();  // Nothing that began by now can bring the value before the last one.
    s.registers.cell_read(s.reign, began, at(s.time++), 0, a);
    BOOST_TEST(s.found == (waits ? "" : "register_over"));
  }
}

// --- failovers -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_failover_without_loss_keeps_what_was_answered) {
  Story s;
  const auto a = s.write();
  s.open();
  s.read(a);
  BOOST_TEST(s.found == "");
  s.read(0);
  BOOST_TEST(s.found == "register_zeros");
}

BOOST_AUTO_TEST_CASE(a_write_without_an_answer_may_have_come_before_the_next_reign_and_not_later) {
  for (const bool newer : {false, true}) {
    Story s;
    const auto a = s.begin();
    s.open();
    if (newer) s.write();
    s.read(a);
    BOOST_TEST(s.found == (newer ? "register_order" : ""));
  }
}

BOOST_AUTO_TEST_CASE(a_reign_that_is_opened_once_more_is_the_same_one) {
  Story s;
  const auto a = s.begin();
  s.registers.opened(s.reign, at(s.time++));
  const auto b = s.write();
  s.read(b);
  s.read(a);
  BOOST_TEST(s.found == "");
}

BOOST_AUTO_TEST_CASE(zeros_without_an_answer_do_not_come_after_the_next_reign) {
  for (const bool newer : {false, true}) {
    Story s;
    s.write();
    s.begin({0, 1}, true);
    s.open();
    if (newer) s.write();
    s.read(0);
    BOOST_TEST(s.found == (newer ? "register_zeros" : ""));
  }
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_heard_in_the_next_reign_counts_there) {
  Story s;
  const auto a = s.begin();
  s.open();
  s.answer(a);
  s.read(0);
  BOOST_TEST(s.found == "register_zeros");
}

// --- losses --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(after_a_loss_any_older_value_may_be_there) {
  for (const bool may_lose : {false, true}) {
    for (const int shown : {0, 1, 2}) {
      Story s(may_lose);
      s.write();
      s.write();
      s.read(2);
      if (may_lose) {
        s.open();
      } else {
        s.lose();
      }
      s.read(static_cast<OpId>(shown));
      s.read(static_cast<OpId>(shown));
      BOOST_TEST(s.found == "");
    }
  }
}

BOOST_AUTO_TEST_CASE(one_loss_excuses_one_reign) {
  Story s;
  s.write();
  s.lose();
  s.read(0);
  const auto b = s.write();
  s.read(b);
  s.open();
  s.read(0);
  BOOST_TEST(s.found == "register_zeros");
}

BOOST_AUTO_TEST_CASE(after_a_loss_only_one_older_value_may_be_there) {
  for (const OpId first : {0U, 1U, 2U}) {
    for (const OpId second : {0U, 1U, 2U}) {
      Story s;
      s.write();
      s.write();
      s.lose();
      s.read(first);
      s.read(second);
      BOOST_TEST((s.found == "") == (first == second));
    }
  }
}

BOOST_AUTO_TEST_CASE(an_older_value_is_over_once_a_newer_one_was_answered_after_the_loss) {
  Story s;
  const auto a = s.write();
  s.lose();
  s.write();
  s.read(a);
  BOOST_TEST(s.found == "register_order");
}

BOOST_AUTO_TEST_CASE(what_is_heard_of_before_a_loss_counts_no_more) {
  Story s;
  const auto a = s.write();
  const auto old = s.reign;
  const auto b = s.begin();
  s.lose();
  s.answer(b);
  const auto c = s.write();
  const auto began = at(s.time++);
  s.registers.cell_read(old, began, at(s.time++), 0, a);
  s.read(c);
  BOOST_TEST(s.found == "");
}

BOOST_AUTO_TEST_CASE(a_write_that_a_cut_connection_sends_counts_for_nothing) {
  Story s;
  const auto old = s.reign;
  const auto a = s.write();
  s.lose();
  s.registers.write_begun(++s.last_op, old, at(s.time++), {0, 1}, true);
  s.answer(s.last_op);
  s.read(a);
  BOOST_TEST(s.found == "");
}

// --- another size --------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(cut_cells_read_as_zeros_and_others_do_not) {
  for (const std::uint64_t cell : {3U, 4U}) {
    Story s;
    const auto a = s.write({0, 8});
    s.registers.resize_begun(at(s.time++), 4);
    s.read(a, cell);
    s.registers.resize_ended(at(s.time++));
    s.registers.resize_begun(at(s.time++), 8);
    s.registers.resize_ended(at(s.time++));
    s.read(0, cell);
    BOOST_TEST(s.found == (cell < 4 ? "register_zeros" : ""));
  }
}

BOOST_AUTO_TEST_CASE(what_was_cut_does_not_come_back) {
  Story s;
  const auto a = s.write({0, 8});
  s.registers.resize_begun(at(s.time++), 4);
  s.registers.resize_ended(at(s.time++));
  s.registers.resize_begun(at(s.time++), 8);
  s.registers.resize_ended(at(s.time++));
  s.read(a, 4);
  BOOST_TEST(s.found == "register_order");
}

BOOST_AUTO_TEST_CASE(a_shrink_may_be_carried_out_by_a_later_reign) {
  for (const bool under_way : {true, false}) {
    Story s;
    s.write({0, 8});
    if (under_way) s.registers.resize_begun(at(s.time++), 4);
    s.open();
    const auto b = s.write({0, 8});
    s.read(b, 5);
    s.read(0, 5);
    BOOST_TEST(s.found == (under_way ? "" : "register_zeros"));
    if (under_way) s.registers.resize_ended(at(s.time++));
  }
}

BOOST_AUTO_TEST_CASE(a_volume_that_only_grows_loses_nothing) {
  Story s(false, 4);
  const auto a = s.write({0, 4});
  s.registers.resize_begun(at(s.time++), 8);
  s.read(a, 3);
  s.open();
  s.registers.resize_ended(at(s.time++));
  s.read(0, 5);
  s.read(a, 3);
  s.open();
  s.read(a, 3);
  s.registers.resize_begun(at(s.time++), 2);
  s.registers.resize_ended(at(s.time++));
  s.read(0, 3);
  BOOST_TEST(s.found == "");
}

// --- memory --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_cell_does_not_hold_what_is_over) {
  Story s;
  for (int i = 0; i < 100; ++i) {
    s.read(s.write());
    if (i % 3 != 0) continue;
    s.write({0, 1}, true);
    for (int again = 0; again < 50; ++again) s.read(0);
  }
  BOOST_TEST(s.found == "");
  BOOST_TEST(s.registers.held_max() <= 5U);
}

BOOST_AUTO_TEST_SUITE_END()
