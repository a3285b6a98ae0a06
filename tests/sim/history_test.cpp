// The judge of reads is itself judged: what is allowed passes,
// and every kind of breach is called by its name.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/sim/history_rig.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using namespace tidemark::sim::history_rig;

BOOST_AUTO_TEST_SUITE(history)

BOOST_AUTO_TEST_CASE(the_last_write_is_read) {
  Story s;
  s.read(0);
  const auto a = s.write();
  s.read(a);
  const auto b = s.write();
  s.read(b);
  BOOST_TEST(s.cls == "");
}

BOOST_AUTO_TEST_CASE(an_overwritten_value_is_stale) {
  Story s;
  const auto a = s.write();
  s.write();
  s.read(a);
  BOOST_TEST(s.cls == "lost_answered");
}

BOOST_AUTO_TEST_CASE(a_flushed_write_is_never_lost) {
  Story s;
  s.write();
  s.flush();
  s.failover(true);
  s.read(0);
  BOOST_TEST(s.cls == "lost_flushed");
}

BOOST_AUTO_TEST_CASE(an_answered_write_may_be_lost_where_the_cache_was) {
  Story s;
  s.write();
  s.failover(true);
  s.read(0);
  BOOST_TEST(s.cls == "");
}

BOOST_AUTO_TEST_CASE(an_answered_write_may_not_be_lost_where_the_cache_was_not) {
  Story s;
  s.write();
  s.failover(false);
  s.read(0);
  BOOST_TEST(s.cls == "lost_answered");
}

BOOST_AUTO_TEST_CASE(an_answered_write_may_not_be_lost_while_its_connection_stands) {
  Story s;
  s.write();
  s.read(0);
  BOOST_TEST(s.cls == "lost_answered");
}

BOOST_AUTO_TEST_CASE(a_flush_covers_only_what_was_answered_before_it_began_in_its_reign) {
  Story s;
  s.write();
  s.failover(true);
  s.flush();
  s.read(0);
  BOOST_TEST(s.cls == "");
}

BOOST_AUTO_TEST_CASE(what_was_seen_after_a_failover_and_flushed_is_kept) {
  Story s;
  const auto a = s.write();
  s.failover(true);
  s.read(a);
  s.flush();
  s.failover(true);
  s.read(0);
  // Reading `a` in the second reign ended what was there before: seen again, it came back.
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(
    what_was_overwritten_may_show_again_only_where_the_newer_write_was_lost_with_the_cache) {
  for (const bool flushed : {false, true}) {
    for (const bool cache_lost : {false, true}) {
      Story s;
      const auto a = s.write();
      const auto b = s.write();
      s.read(b);
      if (flushed) s.flush();
      s.failover(cache_lost);
      s.read(a);
      BOOST_TEST((s.cls == "") == (cache_lost && !flushed));
    }
  }
}

BOOST_AUTO_TEST_CASE(what_a_flush_covered_twice_over_does_not_show_again) {
  Story s;
  const auto a = s.write();
  const auto b = s.write();
  s.read(b);
  s.flush();
  const auto c = s.write();
  s.read(c);
  s.failover(true);
  s.read(a);  // b was flushed, though c had taken its place.
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(what_was_seen_to_be_lost_does_not_come_back) {
  Story s;
  const auto a = s.write();
  s.failover(true);
  s.read(0);
  s.failover(true);
  s.read(a);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(an_unanswered_write_may_take_effect_or_not_but_not_both_ways) {
  Story s;
  const auto a = s.write();
  const auto b = s.begin(2);
  s.read(a);
  s.read(b);
  BOOST_TEST(s.cls == "");
  s.read(a);
  BOOST_TEST(s.cls != "");
}

BOOST_AUTO_TEST_CASE(an_unanswered_write_of_a_reign_that_is_over_does_not_appear_later) {
  Story s;
  const auto a = s.begin();
  s.failover(false);
  s.read(0);
  s.read(a);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(overlapping_writes_may_take_either_order) {
  for (const bool first : {true, false}) {
    Story s;
    const auto a = s.begin(1);
    const auto b = s.begin(2);
    s.history.write_answered(a, at(s.time++), false);
    s.history.write_answered(b, at(s.time++), false);
    s.read(first ? a : b);
    BOOST_TEST(s.cls == "");
    s.read(first ? b : a);
    BOOST_TEST(s.cls == "came_back");
  }
}

BOOST_AUTO_TEST_CASE(requests_of_one_connection_keep_their_order) {
  Story s;
  const auto a = s.begin(1);
  const auto b = s.begin(1);
  s.history.write_answered(b, at(s.time++), false);
  s.read(a);
  BOOST_TEST(s.cls == "lost_answered");
}

BOOST_AUTO_TEST_CASE(bytes_that_nobody_wrote_are_corruption) {
  Story s;
  s.history.cell_read(s.reign, at(1), at(2), 0, std::nullopt);
  BOOST_TEST(s.cls == "corrupt");
  BOOST_TEST(s.text == "cell 0 holds bytes that nobody wrote there");
}

BOOST_AUTO_TEST_CASE(a_value_from_another_cell_is_corruption) {
  Story s;
  const auto a = s.write();
  s.history.cell_read(s.reign, at(s.time), at(s.time + 1), 3, a);
  BOOST_TEST(s.cls == "corrupt");
}

BOOST_AUTO_TEST_CASE(zeros_over_a_flushed_write_need_somebody_who_wrote_zeros) {
  Story s;
  s.write();
  const auto z = s.history.write_begun(1, s.reign, at(s.time++), {0, 8}, true);
  s.read(0);
  BOOST_TEST(s.cls == "");
  s.history.write_answered(z, at(s.time++), true);
  s.write();
  s.read(0);
  BOOST_TEST(s.cls == "lost_answered");
}

// --- another size --------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(what_a_shrink_cut_reads_as_zeros_for_ever) {
  Story s;
  const auto w = s.write();
  s.history.resize_begun(at(s.time++), 0);
  s.read(w);  // Not in force yet, for all anybody knows.
  BOOST_TEST(s.cls == "");
  s.history.resize_ended(at(s.time++));
  s.history.resize_begun(at(s.time++), 8);
  s.history.resize_ended(at(s.time++));
  s.read(0);
  BOOST_TEST(s.cls == "");
  s.read(w);
  BOOST_TEST(s.cls != "");
}

BOOST_AUTO_TEST_CASE(zeros_that_a_slow_read_brings_are_not_taken_for_those_just_asked_for) {
  for (const bool slow : {false, true}) {
    Story s;
    auto read_began = at(s.time++);  // Before the data came.
    const auto data = s.write();
    s.read(data);
    (void)s.history.write_begun(2, s.reign, at(s.time++), {0, 1}, true);
    if (!slow) read_began = at(s.time++);
    s.history.cell_read(s.reign, read_began, at(s.time++), 0, OpId{0});
    s.read(data);  // Once the new zeros were seen, it cannot be.
    BOOST_TEST((s.cls == "") == slow);
  }
}

// Zeros look alike: seen between the loss of a write and a cut, they need not be the cut's.
BOOST_AUTO_TEST_CASE(zeros_of_a_lost_write_are_not_taken_for_a_shrink_under_way) {
  for (const bool lost : {false, true}) {
    Story s;
    const auto a = s.write();
    s.read(a);
    s.failover(lost);
    s.history.resize_begun(at(s.time++), 0);
    s.read(0);
    const auto b = s.begin(2);
    s.history.write_answered(b, at(s.time++), true);
    s.history.resize_ended(at(s.time++));
    s.history.resize_begun(at(s.time++), 8);
    s.history.resize_ended(at(s.time++));
    s.read(0);  // Cut behind b; or else, where the cut was seen before b began, b is lost.
    BOOST_TEST(s.cls == (lost ? "" : "lost_flushed"));
  }
}

// They may be those of before a write that was lost, or of a trim under way; and the trim may be lost in its turn.
BOOST_AUTO_TEST_CASE(zeros_of_a_trim_under_way_are_not_taken_for_those_before_a_lost_write) {
  for (const bool trimmed : {false, true}) {
    Story s;
    const auto a = s.write();
    s.failover(true);
    if (trimmed) (void)s.history.write_begun(2, s.reign, at(s.time++), {0, 1}, true);
    s.read(0);
    s.failover(true);
    s.read(a);
    BOOST_TEST((s.cls == "") == trimmed);
  }
}

BOOST_AUTO_TEST_CASE(a_shrink_may_be_carried_out_by_a_later_reign) {
  Story s;
  const auto w = s.write();
  s.flush();
  s.history.resize_begun(at(s.time++), 0);
  s.failover(false);
  s.read(w);
  BOOST_TEST(s.cls == "");
  s.history.resize_ended(at(s.time++));
  s.read(0);
  BOOST_TEST(s.cls == "");
}

BOOST_AUTO_TEST_CASE(an_answer_beyond_the_end_is_a_breach_and_so_is_a_refusal_within) {
  Story s;
  s.history.resize_begun(at(s.time++), 4);
  s.history.within_answered(at(s.time++), {0, 8});
  s.history.beyond_refused(at(s.time++), {4, 4});
  BOOST_TEST(s.cls == "");
  s.history.resize_ended(at(s.time++));
  s.history.beyond_refused(at(s.time++), {4, 1});
  BOOST_TEST(s.cls == "");
  s.history.beyond_refused(at(s.time++), {0, 4});
  BOOST_TEST(s.cls == "refused_within");
  s.cls.clear();
  s.history.within_answered(at(s.time++), {3, 2});
  BOOST_TEST(s.cls == "beyond_end");
}

BOOST_AUTO_TEST_SUITE_END()
