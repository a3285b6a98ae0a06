#include "engine/sender_registry.hpp"

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <string>

#include "engine/planted.hpp"
#include "tests/support/print_strong.hpp"

namespace tidemark::engine {
namespace {

Assignment assignment(std::uint64_t epoch, std::uint64_t version,
                      std::initializer_list<std::uint64_t> members) {
  Assignment a;
  a.epoch = Epoch(epoch);
  a.version = Version(version);
  a.self = a.primary = ReplicaId(1);
  a.role = Role::primary;
  for (const auto id : members) {
    Member member;
    member.replica = ReplicaId(id);
    member.node.name = fmt::format("node{}", id);
    member.endpoint = fmt::format("127.0.0.1:{}", 9000 + id);
    a.members.push_back(member);
  }
  return a;
}

std::string render(const std::vector<SenderChange>& changes) {
  std::string text;
  for (const auto& c : changes) text += fmt::format("{} {}\n", to_string(c.kind), c.replica);
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sender_registry)

BOOST_AUTO_TEST_CASE(every_member_but_oneself_gets_a_sender) {
  SenderRegistry registry;
  BOOST_TEST(render(registry.reconcile(assignment(1, 1, {1, 2, 3}))) == "add 2\nadd 3\n");
}

BOOST_AUTO_TEST_CASE(the_same_assignment_twice_changes_nothing) {
  SenderRegistry registry;
  registry.reconcile(assignment(1, 1, {1, 2, 3}));
  BOOST_TEST(render(registry.reconcile(assignment(1, 1, {1, 2, 3}))) == "");
}

BOOST_AUTO_TEST_CASE(a_newer_version_updates_removes_and_adds) {
  SenderRegistry registry;
  registry.reconcile(assignment(1, 1, {1, 2, 3}));
  BOOST_TEST(render(registry.reconcile(assignment(1, 2, {1, 3, 4}))) ==
             "remove 2\nupdate 3\nadd 4\n");
}

BOOST_AUTO_TEST_CASE(a_moved_endpoint_is_a_new_address_of_the_same_replica) {
  SenderRegistry registry;
  registry.reconcile(assignment(1, 1, {1, 2, 3}));
  auto moved = assignment(1, 2, {1, 2, 3});
  moved.members[1].endpoint = "127.0.0.1:1";
  BOOST_TEST(render(registry.reconcile(moved)) == "re_address 2\nupdate 3\n");
}

// An old name under a new UUID is another node, whatever it listens on.
BOOST_AUTO_TEST_CASE(another_node_at_the_old_endpoint_is_a_new_address_too) {
  SenderRegistry registry;
  registry.reconcile(assignment(1, 1, {1, 2, 3}));
  auto moved = assignment(1, 2, {1, 2, 3});
  moved.members[1].node.uuid = make_uuid(1, 1);
  BOOST_TEST(render(registry.reconcile(moved)) == "re_address 2\nupdate 3\n");
}

BOOST_AUTO_TEST_CASE(a_stale_assignment_is_refused_whole) {
  SenderRegistry registry;
  registry.reconcile(assignment(2, 5, {1, 2, 3}));
  BOOST_TEST(render(registry.reconcile(assignment(2, 4, {1}))) == "");
  BOOST_TEST(render(registry.reconcile(assignment(1, 9, {1}))) == "");
  BOOST_TEST(registry.peers().size() == 2U);
  BOOST_TEST(registry.in_force()->version == Version(5));
}

BOOST_AUTO_TEST_CASE(planted_a_stale_assignment_removes_a_sender_first) {
  SenderRegistry registry;
  registry.reconcile(assignment(2, 5, {1, 2, 3}));
  plant(Bug::stale_assignment_removes_sender);
  BOOST_TEST(render(registry.reconcile(assignment(2, 4, {1, 2}))) == "remove 3\n");
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(a_role_that_ends_removes_every_sender) {
  SenderRegistry registry;
  registry.reconcile(assignment(1, 1, {1, 2, 3}));
  BOOST_TEST(render(registry.dissolve()) == "remove 2\nremove 3\n");
  BOOST_TEST(registry.peers().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
