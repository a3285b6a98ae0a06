// What a node remembers of the in-sync sets that it was told of, and of reigns that did not know of them (C18).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/node_roles_rig.hpp"

using namespace tidemark::engine;
using namespace tidemark::engine::roles;
using namespace tidemark::engine::roles::test;

namespace {

/// Of a volume whose reigns began at these versions.
Assignment in_reigns(Role role, std::vector<Reign> reigns, std::uint64_t version = 0) {
  auto a =
      assignment(role, reigns.back().epoch.value, std::max(version, reigns.back().version.value));
  a.reigns = std::move(reigns);
  return a;
}
const Reign first_reign{Epoch(1), Version(1)};
SetDecided decided(std::uint64_t epoch, std::uint64_t version) {
  SetDecided d;
  d.volume = volume;
  d.accepted = true;
  d.epoch = Epoch(epoch);
  d.version = Version(version);
  return d;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(node_roles_told)

// C18. Before its assignment of that version comes it may have committed by the new set, and lost its power.
BOOST_AUTO_TEST_CASE(a_primary_hears_of_a_set_when_its_node_will_remember_it) {
  auto r = playing(Role::primary);
  BOOST_TEST(render(r.on_set_decided(decided(1, 2))) == "persist volume; tell primary v2");
  BOOST_CHECK((r.local()->told == ToldSet{Epoch(1), Version(2)}));
  BOOST_TEST(render(r.on_set_decided(decided(1, 2))) == "tell primary v2");  // Heard twice.
  BOOST_TEST(render(r.on_set_decided(decided(1, 1))) ==
             "tell primary v1");  // A refusal of an older one.
  BOOST_TEST(render(r.on_assign(in_reigns(Role::primary, {first_reign}, 2))) ==
             "persist volume; say assign_ack e1 v2; reassign v2");
  BOOST_CHECK((r.local()->told == ToldSet{Epoch(1), Version(2)}));
  auto other = playing(Role::replica);
  BOOST_TEST(render(other.on_set_decided(decided(1, 2))) == "");
}

BOOST_AUTO_TEST_CASE(a_reign_that_forgot_a_set_is_remembered_until_an_operator_forces_one) {
  auto r = playing(Role::replica);
  r.on_assign(in_reigns(Role::replica, {first_reign}, 5));
  const Reign forgot{Epoch(2), Version(5)};
  r.on_assign(in_reigns(Role::replica, {first_reign, forgot}));
  r.on_role_stopped();
  BOOST_TEST(render(r.on_opened(held(9))) == "start replica e2 v5 e2 forgot");
  // Its own sets, and reigns that know of all of them, take nothing of it back; nor does a restart.
  r.on_assign(in_reigns(Role::replica, {first_reign, forgot}, 7));
  auto again = role_in(8);
  again.load(*decode_local_volume(encode(*r.local())));
  again.start();
  again.on_opened(held(9));
  const Reign next{Epoch(3), Version(8)};
  BOOST_TEST(render(again.on_assign(in_reigns(Role::replica, {first_reign, forgot, next}))) ==
             "persist volume; say assign_ack e3 v8; start replica e3 v8 e2 forgot");
  const Reign forced{Epoch(4), Version(9), true};
  again.on_assign(in_reigns(Role::replica, {first_reign, forgot, next, forced}));
  again.on_role_stopped();
  BOOST_TEST(render(again.on_opened(held(9))) == "start replica e4 v9");
}

BOOST_AUTO_TEST_CASE(a_second_control_plane_out_of_a_backup_is_noticed_as_the_first_one_was) {
  auto r = playing(Role::replica);
  const Reign forced{Epoch(2), Version(2), true};
  r.on_assign(in_reigns(Role::replica, {first_reign, forced}, 6));
  BOOST_CHECK(!r.local()->forgotten);
  r.on_assign(in_reigns(Role::replica, {first_reign, forced, {Epoch(3), Version(4)}}, 9));
  BOOST_CHECK(r.local()->forgotten == Epoch(3));
  r.on_assign(in_reigns(Role::replica,
                        {first_reign, forced, {Epoch(3), Version(4)}, {Epoch(4), Version(9)}}));
  BOOST_CHECK(r.local()->forgotten == Epoch(4));
}

BOOST_AUTO_TEST_CASE(a_copy_that_takes_the_place_of_another_was_told_nothing_before) {
  auto r = playing(Role::replica);
  r.on_assign(in_reigns(Role::replica, {first_reign}, 9));
  r.on_unassign({volume, ReplicaId(2)});
  r.on_role_stopped();
  r.on_destroyed(Done{});
  auto a = in_reigns(Role::replica, {first_reign, {Epoch(2), Version(3)}});
  a.self = ReplicaId(3);
  a.members[1].replica = a.in_sync[1].replica = a.self;
  BOOST_TEST(render(r.on_assign(a)) == "persist volume; open r3 create");
  BOOST_CHECK(!r.local()->forgotten);
  BOOST_CHECK((r.local()->told == ToldSet{Epoch(2), Version(3)}));
}

BOOST_AUTO_TEST_SUITE_END()
