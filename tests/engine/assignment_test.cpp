#define BOOST_TEST_DYN_LINK
#include "engine/assignment.hpp"

#include <boost/test/unit_test.hpp>

namespace tidemark::engine {
namespace {

Assignment assignment(std::uint64_t epoch, std::uint64_t version) {
  Assignment a;
  a.epoch = Epoch(epoch);
  a.version = Version(version);
  return a;
}

Member member(std::uint64_t replica, Endpoint endpoint) {
  Member m;
  m.replica = ReplicaId(replica);
  m.endpoint = std::move(endpoint);
  return m;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(assignments)

BOOST_AUTO_TEST_CASE(the_first_assignment_is_newer_than_none) {
  BOOST_TEST((order(std::nullopt, assignment(1, 1)) == AssignmentOrder::newer));
}

// Every pair of (epoch, version) up to 3: the epoch decides, the version breaks the tie.
BOOST_AUTO_TEST_CASE(epoch_decides_before_version) {
  for (std::uint64_t have = 0; have < 9; ++have) {
    for (std::uint64_t got = 0; got < 9; ++got) {
      const auto expected = got > have    ? AssignmentOrder::newer
                            : got == have ? AssignmentOrder::same
                                          : AssignmentOrder::stale;
      const auto in_force = assignment(1 + have / 3, 1 + have % 3);
      BOOST_TEST((order(in_force, assignment(1 + got / 3, 1 + got % 3)) == expected));
    }
  }
}

BOOST_AUTO_TEST_CASE(members_are_found_by_their_replica_and_nobody_else_is) {
  auto a = assignment(1, 1);
  a.members.push_back(member(1, "one"));
  a.members.push_back(member(4, "four"));
  a.in_sync.push_back({ReplicaId(4), Incarnation(7)});
  BOOST_REQUIRE(a.member(ReplicaId(4)) != nullptr);
  BOOST_TEST(a.member(ReplicaId(4))->endpoint == "four");
  BOOST_TEST(a.member(ReplicaId(2)) == nullptr);
  BOOST_REQUIRE(a.in_set(ReplicaId(4)) != nullptr);
  BOOST_TEST(a.in_set(ReplicaId(4))->incarnation.value == 7u);
  BOOST_TEST(a.in_set(ReplicaId(1)) == nullptr);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
