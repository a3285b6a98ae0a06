// Which losses of committed records are excused, and where extents may hold more than is remembered (C6, C18).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <utility>

#include "engine/outcome.hpp"

using namespace tidemark::engine;

BOOST_AUTO_TEST_SUITE(outcome_loss)

// An old forced reign excuses what it cut when it began, not what it committed itself later.
BOOST_AUTO_TEST_CASE(a_forced_reign_does_not_excuse_the_loss_of_its_own_commits) {
  const EpochHistory theirs({{Epoch(3), 3, Lsn(50), EpochBody::forced, Mode::sync_all}});
  const EpochHistory ours({{Epoch(3), 3, Lsn(50), EpochBody::forced, Mode::sync_all},
                           {Epoch(7), 7, Lsn(111), EpochBody::normal, Mode::sync_all}});
  BOOST_TEST(!loss_excused(ours, theirs, Lsn(110), Lsn(150)));
  BOOST_TEST(!loss_excused(ours, theirs, Lsn(40), Lsn(150)));
  const EpochHistory before({{Epoch(2), 2, Lsn(1), EpochBody::normal, Mode::sync_all}});
  BOOST_TEST(loss_excused(ours, before, Lsn(40), Lsn(150)));
}

// Two control planes out of backups: the forced reign came before the one whose records would be lost.
BOOST_AUTO_TEST_CASE(a_forced_reign_does_not_excuse_the_loss_of_what_a_later_one_has_committed) {
  const EpochStart shared{Epoch(5), 5, Lsn(1), 0, Mode::sync_all};
  const EpochHistory ours({shared,
                           {Epoch(7), 7, Lsn(101), EpochBody::forced, Mode::sync_all},
                           {Epoch(9), 9, Lsn(120), EpochBody::normal, Mode::sync_all}});
  const EpochHistory earlier({shared, {Epoch(6), 6, Lsn(101), 0, Mode::sync_all}});
  const EpochHistory later({shared, {Epoch(8), 8, Lsn(101), 0, Mode::sync_all}});
  BOOST_TEST(loss_excused(ours, earlier, Lsn(100), Lsn(200)));
  BOOST_TEST(!loss_excused(ours, later, Lsn(100), Lsn(200)));
}

// What it wrote behind the change of mode was committed by more than its own copy, what it wrote before was not.
BOOST_AUTO_TEST_CASE(a_reign_whose_mode_changed_excuses_nothing_and_may_have_flushed_anything) {
  for (const auto& [began, later] : {std::pair{Mode::best_effort, Mode::sync_all},
                                     std::pair{Mode::sync_all, Mode::best_effort}}) {
    const bool alone = began == Mode::best_effort;
    const EpochStart first{Epoch(1), 1, Lsn(1), 0, began};
    EpochHistory theirs({first});
    const EpochHistory ours({first, {Epoch(2), 2, Lsn(101), 0, Mode::sync_all}});
    theirs.configured(began);
    BOOST_TEST(loss_excused(ours, theirs, Lsn(100), Lsn(110)) == alone);
    BOOST_TEST(loss_possible(ours, theirs, Lsn(100)) == alone);
    theirs.configured(later);
    BOOST_TEST(!loss_excused(ours, theirs, Lsn(100), Lsn(110)));
    BOOST_TEST(loss_possible(ours, theirs, Lsn(100)));
    theirs.configured(began);
    BOOST_TEST(!loss_excused(ours, theirs, Lsn(100), Lsn(110)));
  }
}

BOOST_AUTO_TEST_CASE(
    modes_that_commit_on_several_copies_change_into_each_other_and_nothing_is_in_doubt) {
  EpochHistory theirs({{Epoch(1), 1, Lsn(1), 0, Mode::sync_all}});
  const EpochHistory ours(
      {{Epoch(1), 1, Lsn(1), 0, Mode::sync_all}, {Epoch(2), 2, Lsn(101), 0, Mode::sync_quorum}});
  theirs.configured(Mode::sync_quorum);
  BOOST_TEST(!loss_possible(ours, theirs, Lsn(100)));
  BOOST_TEST(!loss_excused(ours, theirs, Lsn(100), Lsn(110)));
}

BOOST_AUTO_TEST_CASE(
    only_reigns_that_wrote_beyond_the_common_point_excuse_and_all_of_them_have_to) {
  const EpochHistory theirs(
      {{Epoch(1), 1, Lsn(1), 0, Mode::best_effort}, {Epoch(2), 2, Lsn(101), 0, Mode::sync_all}});
  const EpochHistory ours({{Epoch(1), 1, Lsn(1), 0, Mode::best_effort}});
  BOOST_TEST(!loss_excused(ours, theirs, Lsn(100), Lsn(120)));
  BOOST_TEST(!loss_possible(ours, theirs, Lsn(100)));
  BOOST_TEST(loss_excused(ours, theirs, Lsn(99), Lsn(100)));
  BOOST_TEST(!loss_excused(ours, theirs, Lsn(99), Lsn(101)));
  BOOST_TEST(loss_possible(ours, theirs, Lsn(99)));
}

// It began on a log that does not know of the change, by the word of a control plane that does not know of it either.
BOOST_AUTO_TEST_CASE(
    that_our_own_reign_is_best_effort_excuses_nothing_that_another_mode_has_committed) {
  const EpochHistory theirs(
      {{Epoch(1), 1, Lsn(1), 0, Mode::best_effort}, {Epoch(2), 2, Lsn(51), 0, Mode::sync_all}});
  const EpochHistory ours(
      {{Epoch(1), 1, Lsn(1), 0, Mode::best_effort}, {Epoch(3), 3, Lsn(51), 0, Mode::best_effort}});
  BOOST_TEST(!loss_excused(ours, theirs, Lsn(50), Lsn(200)));
  BOOST_TEST(loss_possible(ours, theirs, Lsn(50)));
}

BOOST_AUTO_TEST_CASE(what_reigned_behind_the_common_point_is_not_known_and_excuses_nothing) {
  const EpochHistory theirs({{Epoch(9), 9, Lsn(900), 0, Mode::best_effort}});
  const EpochHistory ours({{Epoch(10), 10, Lsn(1000), 0, Mode::sync_all}});
  BOOST_TEST(!loss_excused(ours, theirs, Lsn{}, Lsn(950)));
}

// C18. Epoch 5 began without knowing of a set of epoch 3, or of an earlier one.
BOOST_AUTO_TEST_CASE(what_was_written_before_the_reign_that_forgot_a_set_is_not_cut) {
  const EpochHistory theirs({{Epoch(1), 1, Lsn(1), 0, Mode::sync_all},
                             {Epoch(3), 3, Lsn(51), 0, Mode::sync_all},
                             {Epoch(5), 5, Lsn(101), 0, Mode::sync_all}});
  const Epoch forgotten(5);
  BOOST_TEST(cuts_forgotten(theirs, Lsn(99), Lsn(100), forgotten));
  BOOST_TEST(cuts_forgotten(theirs, Lsn(99), Lsn(120), forgotten));
  BOOST_TEST(cuts_forgotten(theirs, Lsn(0), Lsn(20), forgotten));
  // Its own records, which it shared with the reign: the reigns behind it cut them as ever.
  BOOST_TEST(!cuts_forgotten(theirs, Lsn(100), Lsn(120), forgotten));
  BOOST_TEST(!cuts_forgotten(theirs, Lsn(110), Lsn(120), forgotten));
  BOOST_TEST(!cuts_forgotten(theirs, Lsn(100), Lsn(100), forgotten));  // Nothing goes.
  BOOST_TEST(!cuts_forgotten(theirs, Lsn(60), Lsn(100), Epoch()));     // Nothing was forgotten.
}

BOOST_AUTO_TEST_CASE(what_best_effort_alone_wrote_is_cut_whatever_was_forgotten) {
  const EpochStart alone{Epoch(1), 1, Lsn(1), 0, Mode::best_effort};
  EpochHistory theirs({alone});
  BOOST_TEST(!cuts_forgotten(theirs, Lsn(10), Lsn(20), Epoch(5)));
  theirs.configured(Mode::sync_all);
  BOOST_TEST(cuts_forgotten(theirs, Lsn(10), Lsn(20), Epoch(5)));
  const EpochHistory both({alone, {Epoch(2), 2, Lsn(15), 0, Mode::sync_all}});
  BOOST_TEST(cuts_forgotten(both, Lsn(10), Lsn(20), Epoch(5)));
  BOOST_TEST(!cuts_forgotten(both, Lsn(10), Lsn(14), Epoch(5)));
}

BOOST_AUTO_TEST_CASE(what_nobody_remembers_the_writer_of_is_not_cut_where_a_set_was_forgotten) {
  const EpochHistory theirs({{Epoch(9), 9, Lsn(900), 0, Mode::sync_all}});
  BOOST_TEST(cuts_forgotten(theirs, Lsn(), Lsn(950), Epoch(5)));
  BOOST_TEST(!cuts_forgotten(theirs, Lsn(899), Lsn(950), Epoch(5)));
}

BOOST_AUTO_TEST_SUITE_END()
