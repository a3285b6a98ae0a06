// Whether a reign began without knowing of a set that a node was told of (C18).
#define BOOST_TEST_DYN_LINK
#include "engine/told_set.hpp"

#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"

namespace tidemark::engine {
namespace {

Reign reign(std::uint64_t epoch, std::uint64_t version, bool forced = false) {
  return {Epoch(epoch), Version(version), forced};
}
ToldSet told(std::uint64_t epoch, std::uint64_t version) {
  return {Epoch(epoch), Version(version)};
}

/// Epoch 1 to `count`, each of `versions` versions.
std::vector<Reign> reigns(std::uint64_t first, std::uint64_t count, std::uint64_t versions) {
  std::vector<Reign> all;
  for (std::uint64_t e = first; e < first + count; ++e)
    all.push_back(reign(e, 1 + (e - 1) * versions));
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(told_set)

BOOST_AUTO_TEST_CASE(a_reign_forgets_what_it_does_not_begin_behind) {
  const std::vector<Reign> named{reign(1, 1), reign(2, 6)};
  BOOST_CHECK(!forgets(told(1, 5), named));
  BOOST_CHECK(forgets(told(1, 6), named) == Epoch(2));
  BOOST_CHECK(forgets(told(1, 9), named) == Epoch(2));
}

// Every history of a control plane that forgets nothing: whatever a node was told of it, and however far it is behind.
BOOST_AUTO_TEST_CASE(no_reign_of_a_control_plane_that_forgets_nothing_forgets) {
  for (std::uint64_t versions = 1; versions <= 3; ++versions) {
    const auto all = reigns(1, 5, versions);
    for (std::uint64_t e = 1; e <= 5; ++e)
      for (std::uint64_t v = 0; v < versions; ++v) {
        const auto first = all[static_cast<std::size_t>(e - 1)].version.value;
        for (std::uint64_t heard = e; heard <= 5; ++heard) {
          const std::vector<Reign> named(all.begin(),
                                         all.begin() + static_cast<std::ptrdiff_t>(heard));
          BOOST_CHECK(!forgets(told(e, first + v), named));
        }
      }
  }
}

// It hears of the reign that forgot only when that is over, and the versions have passed what it was told.
BOOST_AUTO_TEST_CASE(a_reign_that_forgot_is_known_by_the_later_ones_too) {
  BOOST_CHECK(forgets(told(1, 9), {reign(1, 1), reign(2, 6), reign(3, 20)}) == Epoch(2));
}

// Out of a backup from before that reign: it ends in another epoch, behind one that began meanwhile.
BOOST_AUTO_TEST_CASE(a_control_plane_that_does_not_know_the_reign_forgot_its_sets) {
  BOOST_CHECK(forgets(told(3, 9), {reign(1, 1), reign(4, 30)}) == Epoch(4));
  BOOST_CHECK(forgets(told(3, 9), {reign(1, 1), reign(2, 5), reign(5, 30)}) == Epoch(5));
  BOOST_CHECK(!forgets(told(3, 9), {reign(1, 1), reign(2, 5)}));  // Nothing began since.
}

BOOST_AUTO_TEST_CASE(an_operator_who_forces_a_reign_knows_what_may_be_lost) {
  BOOST_CHECK(!forgets(told(1, 9), {reign(1, 1), reign(2, 6, true)}));
  BOOST_CHECK(!forgets(told(1, 9), {reign(1, 1), reign(2, 6), reign(3, 7, true), reign(4, 8)}));
  // One that was forced before says nothing of what came to be in force since.
  BOOST_CHECK(forgets(told(2, 9), {reign(1, 1), reign(2, 6, true), reign(3, 7)}) == Epoch(3));
}

BOOST_AUTO_TEST_CASE(who_missed_more_reigns_than_are_named_cannot_know) {
  BOOST_CHECK(!forgets(told(1, 1), reigns(1, reigns_max, 4)));
  BOOST_CHECK(forgets(told(1, 1), reigns(2, reigns_max, 4)) == Epoch(2));
}

BOOST_AUTO_TEST_CASE(who_was_told_nothing_misses_nothing) {
  BOOST_CHECK(!forgets(ToldSet{}, {reign(1, 1), reign(2, 1)}));
  BOOST_CHECK(!forgets(told(1, 9), {}));
  BOOST_CHECK(!forgets(told(2, 9), {reign(1, 1), reign(2, 3)}));
}

BOOST_AUTO_TEST_CASE(the_planted_mistake_ignores_it) {
  plant(Bug::forgotten_set_is_ignored);
  BOOST_CHECK(!forgets(told(1, 9), {reign(1, 1), reign(2, 6)}));
  plant(Bug::none);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
