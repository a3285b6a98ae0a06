// Two logs and where they part: what each side still knows is drawn at random, and the search must
// find the greatest place that both know and have equal, in a bounded number of rounds.
#define BOOST_TEST_DYN_LINK
#include "engine/digest_search.hpp"

#include <boost/test/unit_test.hpp>

#include <set>

#include "tests/engine/lossy_disk.hpp"

namespace tidemark::engine {
namespace {

/// A log that knows its digest at some places; up to `same` it is everybody's.
struct Side {
  std::set<std::uint64_t> known;
  std::uint64_t same = 0;
  std::uint64_t salt = 0;

  std::vector<DigestAt> answer(const std::vector<Lsn>& lsns) const {
    std::vector<DigestAt> points;
    for (const auto lsn : lsns) {
      const auto beyond = known.upper_bound(lsn.value);
      if (beyond == known.begin()) continue;
      const auto at = *std::prev(beyond);
      if (!points.empty() && points.back().lsn.value >= at) continue;
      points.push_back({Lsn(at), Digest{at, at <= same ? 0 : salt}});
    }
    return points;
  }
};

struct Found {
  std::optional<DigestAt> equal;
  std::optional<DigestSearch::Difference> unequal;
  int questions = 0;
};
Found search(const Side& ours, const Side& theirs, std::uint64_t common_point) {
  DigestSearch search{Lsn(common_point)};
  Found found;
  while (!search.over()) {
    if (const auto lsns = search.ask_ours(); !lsns.empty()) {
      BOOST_REQUIRE(lsns.size() <= digests_max);
      search.ours(ours.answer(lsns));
      continue;
    }
    ++found.questions;
    const auto lsns = search.ask_theirs();
    BOOST_REQUIRE(!lsns.empty() && lsns.size() <= digests_max);
    search.theirs(theirs.answer(lsns));
  }
  found.equal = search.equal();
  found.unequal = search.unequal();
  return found;
}

Side all_up_to(std::uint64_t end, std::uint64_t same, std::uint64_t salt) {
  Side side{{}, same, salt};
  for (std::uint64_t lsn = 0; lsn <= end; ++lsn) side.known.insert(lsn);
  return side;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(digest_search)

BOOST_AUTO_TEST_CASE(where_both_know_all_the_last_equal_record_is_found) {
  for (const std::uint64_t end : {0u, 1u, 7u, 63u, 64u, 65u, 5000u}) {
    for (const std::uint64_t same : {0u, 1u, 6u, 62u, 63u, 64u, 2500u, 4999u, 5000u}) {
      if (same > end) continue;
      const auto found = search(all_up_to(end, same, 1), all_up_to(end, same, 2), end);
      BOOST_REQUIRE(found.equal.has_value());
      BOOST_TEST(found.equal->lsn.value == same);
      BOOST_TEST(found.unequal.has_value() == (same < end));
      if (found.unequal) BOOST_TEST(found.unequal->lsn.value == same + 1);
      BOOST_TEST(found.questions <= 4);
    }
  }
}

BOOST_AUTO_TEST_CASE(logs_that_share_no_known_place_have_no_answer) {
  const auto found = search({{10, 20}, 30, 1}, {{5, 15, 25}, 30, 2}, 30);
  BOOST_TEST(!found.equal.has_value());
  BOOST_TEST(!found.unequal.has_value());
  BOOST_TEST(search({{}, 30, 1}, {{5}, 30, 2}, 30).questions == 0);
}

BOOST_AUTO_TEST_CASE(a_boundary_of_one_side_is_found_in_the_log_of_the_other) {
  // Ours is pruned to 900, with boundaries below; theirs has all.
  auto ours = all_up_to(1000, 1000, 1);
  ours.known.erase(ours.known.begin(), ours.known.find(900));
  ours.known.insert({100, 437});
  BOOST_TEST(search(ours, all_up_to(1000, 1000, 2), 700).equal->lsn.value == 437u);
  BOOST_TEST(search(all_up_to(1000, 1000, 2), ours, 700).equal->lsn.value == 437u);
}

BOOST_AUTO_TEST_CASE(no_answer_is_ever_wrong_and_none_takes_more_than_its_rounds) {
  lossy::Random random(7);
  int best = 0;
  constexpr int rounds = 3000;
  for (int i = 0; i < rounds; ++i) {
    const auto end = random.below(3000);
    const auto same = random.below(end + 1);
    Side ours{{}, same, 1}, theirs{{}, same, 2};
    const auto percent = 1 + random.below(100);
    for (std::uint64_t lsn = 0; lsn <= end; ++lsn) {
      if (random.chance(percent)) ours.known.insert(lsn);
      if (random.chance(percent)) theirs.known.insert(lsn);
    }
    const auto found = search(ours, theirs, end);
    BOOST_REQUIRE(found.questions <= digest_search_rounds_max);
    std::optional<std::uint64_t> greatest;
    for (const auto lsn : ours.known) {
      if (lsn <= same && theirs.known.contains(lsn)) greatest = lsn;
    }
    if (found.equal) {
      BOOST_REQUIRE(found.equal->lsn.value <= same && greatest);
      BOOST_REQUIRE(found.equal->lsn.value <= *greatest);
    }
    if (found.unequal) BOOST_REQUIRE(found.unequal->lsn.value > same);
    if (!greatest || (found.equal && found.equal->lsn.value == *greatest)) ++best;
  }
  // A lower one costs some blocks more.
  BOOST_TEST(best > rounds * 7 / 10);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
