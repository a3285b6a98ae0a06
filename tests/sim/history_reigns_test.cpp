// The judge of reads, on what it holds against a reign and what it does not: losses and their excuses, what was seen and
// flushed, what shows again, and slow reads.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/sim/history_rig.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using namespace tidemark::sim::history_rig;

BOOST_AUTO_TEST_SUITE(history)

// --- reigns --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_reign_is_one_process_until_its_connections_are_cut) {
  Story s;
  BOOST_TEST(s.history.opened(1) == s.reign);
  s.history.reign_over(s.reign);
  BOOST_TEST(s.history.opened(1) == s.reign + 1);
  BOOST_TEST(s.history.opened(2) == s.reign + 2);
  BOOST_TEST(s.history.opened(1) == s.reign + 3);
}

BOOST_AUTO_TEST_CASE(a_volume_of_one_copy_may_lose_its_cache_in_each_reign) {
  Story s({.may_lose_cache = true});
  s.write();
  s.failover(false);
  s.read(0);
  BOOST_TEST(s.cls == "");
}

BOOST_AUTO_TEST_CASE(where_answers_wait_for_disks_all_that_was_answered_is_flushed) {
  Story s({.always_flushed = true});
  s.write();
  s.failover(true);
  s.read(0);
  BOOST_TEST(s.cls == "lost_flushed");
}

BOOST_AUTO_TEST_CASE(a_forced_reign_may_lack_what_was_flushed_and_later_ones_may_not) {
  Story s;
  s.write(1, true);
  s.forced_failover();
  s.read(0);
  BOOST_TEST(s.cls == "");
  const auto b = s.write(1, true);
  s.failover(true);
  s.read(b);
  BOOST_TEST(s.cls == "");
  s.read(0);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(what_was_flushed_behind_a_forced_reign_is_kept) {
  Story s;
  s.forced_failover();
  s.write(1, true);
  s.failover(true);
  s.read(0);
  BOOST_TEST(s.cls == "lost_flushed");
}

BOOST_AUTO_TEST_CASE(what_was_flushed_before_a_forced_reign_does_not_keep_older_values_away) {
  Story s;
  const auto a = s.write();
  const auto b = s.write(1, true);
  s.read(b);
  s.forced_failover();
  s.read(a);
  BOOST_TEST(s.cls == "");
}

// --- order ---------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(what_was_answered_before_another_write_began_is_older) {
  Story s;
  const auto a = s.write(1);
  s.write(2);
  s.read(a);
  BOOST_TEST(s.cls == "lost_answered");
}

BOOST_AUTO_TEST_CASE(what_was_asked_of_an_older_reign_is_older) {
  Story s;
  const auto a = s.begin(1);
  s.failover(false);
  s.write(2);
  s.read(a);
  BOOST_TEST(s.cls == "lost_answered");
}

BOOST_AUTO_TEST_CASE(a_value_that_was_seen_before_another_write_began_is_older) {
  Story s;
  const auto a = s.begin(1);
  s.read(a);
  s.write(2);
  s.read(a);
  BOOST_TEST(s.cls == "lost_answered");
}

BOOST_AUTO_TEST_CASE(what_is_read_before_it_was_asked_for_comes_from_the_future) {
  Story s;
  s.time = 10;
  const auto a = s.begin();
  s.history.cell_read(s.reign, at(1), at(5), 0, a);
  BOOST_TEST(s.cls == "future");
}

BOOST_AUTO_TEST_CASE(an_answer_that_comes_while_a_read_is_under_way_does_not_count_for_it) {
  Story s;
  const auto began = at(s.time++);
  s.write();
  s.read_since(began, 0);
  BOOST_TEST(s.cls == "");
}

BOOST_AUTO_TEST_CASE(what_was_seen_is_in_force_for_reads_that_begin_behind_that) {
  for (const bool slow : {true, false}) {
    for (const bool loses : {true, false}) {
      Story s;
      const auto older = s.begin(1);  // Its connection's first: nobody hears of it.
      const auto a = s.begin(1);
      const auto began = at(s.time++);
      s.read(a);
      if (loses) s.failover(true);
      if (slow && !loses) {
        s.read_since(began, older);
      } else {
        s.read(older);
      }
      BOOST_TEST(s.cls == (slow || loses ? "" : "lost_answered"));
    }
  }
}

BOOST_AUTO_TEST_CASE(what_was_seen_first_counts_from_then_on) {
  Story s;
  const auto older = s.begin(1);
  const auto a = s.begin(1);
  s.read(a);
  const auto began = at(s.time++);
  s.read(a);
  s.read_since(began, older);
  BOOST_TEST(s.cls == "lost_answered");
}

BOOST_AUTO_TEST_CASE(a_breach_tells_what_was_read_and_what_is_behind_it) {
  Story s;
  const auto older = s.begin(1);
  s.history.write_begun(1, s.reign, at(5'000'000), {0, 1}, true);
  s.answer(2, true);
  s.read(older);
  BOOST_TEST(s.text ==
             "cell 0 read as op 1 (data, reign 1, connection 1, began 0.000000, never answered) in "
             "reign 1, behind it is "
             "op 2 (zeros, flushed, reign 1, connection 1, began 0.005000, answered 0.000000)");
}

// --- what was seen and flushed -------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_flush_covers_no_write_that_was_answered_while_it_was_under_way) {
  Story s;
  const auto began = at(s.time++);
  s.write();
  s.history.flushed(s.reign, began);
  s.failover(true);
  s.read(0);
  BOOST_TEST(s.cls == "");
}

BOOST_AUTO_TEST_CASE(
    what_was_seen_is_covered_by_a_flush_that_begins_behind_that_in_the_same_reign) {
  enum class Flush { none, behind, during, of_the_next_reign };
  for (const auto how : {Flush::none, Flush::behind, Flush::during, Flush::of_the_next_reign}) {
    Story s;
    const auto a = s.begin();
    const auto flush_began = at(s.time++);
    s.read(a);
    if (how == Flush::during) s.history.flushed(s.reign, flush_began);
    if (how == Flush::behind) s.flush();
    s.failover(how != Flush::of_the_next_reign);
    if (how == Flush::of_the_next_reign) {
      s.flush();
      s.failover(true);
    }
    s.read(0);
    BOOST_TEST(s.cls == (how == Flush::behind ? "came_back" : ""));
  }
}

BOOST_AUTO_TEST_CASE(a_flush_covers_what_was_seen_beside_what_was_not) {
  Story s;
  (void)s.begin(2);
  const auto a = s.begin(1);
  s.read(a);
  s.flush();
  s.failover(true);
  s.read(0);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(what_was_seen_and_flushed_is_never_lost) {
  Story s;
  const auto older = s.begin(1);
  const auto a = s.begin(1);
  s.read(a);
  s.flush();
  s.failover(true);
  s.read(older);
  BOOST_TEST(s.cls == "lost_flushed");
}

// --- what shows again ----------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(what_shows_again_stays) {
  Story s;
  const auto a = s.write();
  const auto b = s.write();
  s.read(b);
  s.failover(true);
  s.read(a);
  s.read(a);
  BOOST_TEST(s.cls == "");
  s.read(b);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(nothing_shows_again_behind_what_was_answered_since) {
  Story s;
  const auto a = s.write();
  s.read(s.write());
  s.failover(true);
  s.write();
  s.read(a);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(nothing_shows_again_that_was_lost_for_something_older) {
  Story s;
  const auto older = s.write();
  const auto a = s.write();
  s.failover(true);
  s.read(older);
  s.failover(true);
  s.read(a);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(what_a_concurrent_write_replaced_and_a_flush_covered_does_not_show_again) {
  Story s;
  const auto a = s.begin(1);
  const auto b = s.begin(2);
  s.answer(a);
  s.answer(b, true);
  s.read(b);
  s.failover(true);
  s.read(a);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(what_was_flushed_between_keeps_older_values_away_though_it_is_over) {
  Story s;
  const auto a = s.write();
  s.read(s.write());
  s.read(s.write(1, true));
  s.read(s.write());
  s.failover(true);
  s.read(a);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(what_is_flushed_while_a_read_is_under_way_does_not_keep_older_values_from_it) {
  Story s;
  const auto a = s.write();
  s.read(s.write());
  s.failover(true);
  const auto began = at(s.time++);
  s.write(1, true);
  s.read_since(began, a);
  BOOST_TEST(s.cls == "");
}

// --- zeros, which look alike ---------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_slow_read_may_bring_what_others_saw_to_be_over_since) {
  for (const bool zeros : {true, false}) {
    Story s;
    s.read(s.write());
    const auto a = s.begin(1, zeros);
    s.answer(a);
    s.read(zeros ? 0 : a);
    const auto began = at(s.time++);
    s.read(s.write());
    s.read_since(began, zeros ? 0 : a);
    BOOST_TEST(s.cls == "");
    s.read(zeros ? 0 : a);
    BOOST_TEST(s.cls == "came_back");
  }
}

BOOST_AUTO_TEST_CASE(a_slow_read_of_data_ends_what_is_older_whatever_zeros_are_over_since) {
  Story s;
  const auto a = s.write();
  const auto began = at(s.time++);
  s.read(a);
  const auto b = s.begin(2);
  s.read_since(began, b);
  s.read(a);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(a_slow_read_of_one_of_several_zeros_ends_what_is_older) {
  Story s;
  const auto a = s.write();
  const auto began = at(s.time++);
  s.read(a);
  (void)s.begin(2, true);
  (void)s.begin(3, true);
  s.read_since(began, 0);
  s.read(a);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(
    zeros_that_can_only_be_of_one_write_are_seen_to_be_its_whatever_data_is_over_since) {
  Story s;
  const auto a = s.write();
  s.read(a);
  const auto began = at(s.time++);
  const auto b = s.begin(2);
  s.read(b);  // It ends a.
  (void)s.begin(3, true);
  s.read_since(began, 0);
  s.read(b);
  BOOST_TEST(s.cls == "lost_answered");
}

BOOST_AUTO_TEST_CASE(
    zeros_that_can_only_be_of_one_write_are_seen_to_be_its_whatever_data_may_show_again) {
  Story s;
  s.read(s.write(1, true));
  s.write();
  const auto b = s.write();
  s.read(b);
  s.failover(true);
  (void)s.begin(2, true);
  s.read(0);
  s.flush();
  s.failover(true);
  s.read(b);
  BOOST_TEST(s.cls == "came_back");
}

BOOST_AUTO_TEST_CASE(which_of_several_zeros_was_seen_is_not_known_so_none_is_over) {
  Story s;
  const auto older = s.begin(2);
  const auto one = s.begin(1, true);
  const auto other = s.begin(2, true);
  s.answer(one);
  s.answer(other, true);
  s.read(0);
  s.failover(true);
  s.read(older);
  BOOST_TEST(s.cls == "lost_flushed");
}

// --- another size --------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_shrink_that_is_in_force_has_cut_its_cells) {
  Story s;
  const auto w = s.write(1, true);
  s.resize(0);
  s.resize(8);
  s.read(w);
  BOOST_TEST(s.cls == "lost_flushed");
}

BOOST_AUTO_TEST_CASE(what_a_volume_grows_by_was_never_written) {
  Story s({.cells = 4});
  const auto w = s.write(1, true);
  s.resize(8);
  s.read(w);
  s.history.cell_read(s.reign, at(s.time), at(s.time + 1), 6, OpId{0});
  BOOST_TEST(s.cls == "");
}

BOOST_AUTO_TEST_CASE(
    a_request_that_began_before_a_size_was_in_force_may_be_answered_by_the_old_one) {
  for (const bool before : {true, false}) {
    Story s;
    auto began = at(s.time++);
    s.resize(4);
    if (!before) began = at(s.time++);
    s.history.within_answered(began, {4, 4});
    BOOST_TEST(s.cls == (before ? "" : "beyond_end"));
    s.cls.clear();
    began = at(s.time++);
    s.resize(8);
    if (!before) began = at(s.time++);
    s.history.beyond_refused(began, {4, 4});
    BOOST_TEST(s.cls == (before ? "" : "refused_within"));
  }
}

BOOST_AUTO_TEST_CASE(a_volume_that_may_lose_its_cache_may_lose_its_size) {
  Story s({.may_lose_cache = true});
  s.resize(4);
  s.history.within_answered(at(s.time++), {4, 4});
  s.resize(8);
  s.history.beyond_refused(at(s.time++), {4, 4});
  BOOST_TEST(s.cls == "");
}

BOOST_AUTO_TEST_SUITE_END()
