#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"
#include "tests/engine/node_roles_rig.hpp"

using namespace tidemark::engine;
using namespace tidemark::engine::roles;
using namespace tidemark::engine::roles::test;

BOOST_AUTO_TEST_SUITE(node_roles)

BOOST_AUTO_TEST_CASE(a_new_replica_is_recorded_then_made_then_acknowledged_then_played) {
  auto r = role_in();
  BOOST_TEST(render(r.on_assign(assignment(Role::replica))) == "persist volume; open r2 create");
  BOOST_TEST(render(r.on_opened(held(0))) ==
             "persist volume; say assign_ack e1 v1; start replica e1 v1");
  BOOST_TEST(r.following());
}

BOOST_AUTO_TEST_CASE(a_replica_outside_the_set_begins_incomplete) {
  auto r = role_in();
  auto a = assignment(Role::replica);
  a.in_sync.pop_back();
  BOOST_TEST(render(r.on_assign(a)) == "persist volume; open r2 create incomplete");
}

BOOST_AUTO_TEST_CASE(a_directory_that_was_made_is_never_made_again) {
  auto first = playing(Role::replica);
  auto again = role_in(8);
  again.load(*first.local());
  BOOST_TEST(render(again.start()) == "open r2");
  BOOST_TEST(render(again.on_opened(Error{Errc::not_found, "it is gone"})) == "");
  BOOST_TEST(render(again.on_assign(assignment(Role::replica, 1, 2))) ==
             "persist volume; say assign_ack e1 v2");
  BOOST_TEST(again.problem().find("it is gone") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_crash_before_the_directory_was_made_makes_it) {
  auto first = role_in();
  first.on_assign(assignment(Role::replica));
  auto again = role_in(8);
  again.load(*first.local());
  BOOST_TEST(render(again.start()) == "open r2 create");
}

BOOST_AUTO_TEST_CASE(the_same_assignment_twice_is_acknowledged_twice_and_changes_nothing) {
  auto r = playing(Role::replica);
  BOOST_TEST(render(r.on_assign(assignment(Role::replica))) == "say assign_ack e1 v1");
}

BOOST_AUTO_TEST_CASE(a_stale_assignment_is_refused_whole) {
  auto r = playing(Role::replica);
  r.on_assign(assignment(Role::replica, 3, 5));
  BOOST_TEST(render(r.on_assign(assignment(Role::primary, 2, 9))) == "");
  BOOST_TEST(render(r.on_assign(assignment(Role::primary, 3, 4))) == "");
}

BOOST_AUTO_TEST_CASE(an_assignment_for_somebody_else_is_refused) {
  auto r = role_in();
  auto a = assignment(Role::replica);
  a.members[1].node.uuid = make_uuid(9, 9);
  BOOST_TEST(render(r.on_assign(a)) == "");
  BOOST_CHECK(!r.local());
}

BOOST_AUTO_TEST_CASE(a_newer_version_reaches_the_role_that_runs) {
  auto r = playing(Role::primary);
  BOOST_TEST(render(r.on_assign(assignment(Role::primary, 1, 2))) ==
             "persist volume; say assign_ack e1 v2; reassign v2");
}

BOOST_AUTO_TEST_CASE(a_switch_stops_the_old_role_asks_the_store_and_starts_the_new_one) {
  auto r = playing(Role::replica);
  BOOST_TEST(render(r.on_assign(assignment(Role::primary, 2, 2))) ==
             "persist volume; say assign_ack e2 v2; stop");
  // A yet newer one while the old role is being stopped.
  BOOST_TEST(render(r.on_assign(assignment(Role::replica, 3, 3))) ==
             "persist volume; say assign_ack e3 v3");
  BOOST_TEST(render(r.on_role_stopped()) == "open r2");
  BOOST_TEST(render(r.on_opened(held(9))) == "start replica e3 v3");
}

// C1.
BOOST_AUTO_TEST_CASE(a_reign_is_void_for_any_later_incarnation) {
  auto first = playing(Role::primary);
  auto again = role_in(8);
  again.load(*first.local());
  again.start();
  BOOST_TEST(render(again.on_opened(held(50))) == "");
  BOOST_TEST(render(again.on_assign(assignment(Role::primary))) == "say assign_ack e1 v1");
  BOOST_TEST(!again.serving());
  BOOST_TEST(again.problem().find("incarnation that ended") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_planted_mistake_resumes_the_reign) {
  auto first = playing(Role::primary);
  plant(Bug::primary_resumes_epoch);
  auto again = role_in(8);
  again.load(*first.local());
  again.start();
  BOOST_TEST(render(again.on_opened(held(50))) == "start primary e1 v1");
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(no_role_is_played_before_an_assignment_came_but_a_fence_is_answered) {
  auto first = playing(Role::replica);
  auto again = role_in(8);
  again.load(*first.local());
  again.start();
  BOOST_TEST(render(again.on_opened(held(50))) == "");
  BOOST_TEST(render(again.on_fence(fence(2))) ==
             "persist promise; say promise e2 (1, 50) complete");
}

BOOST_AUTO_TEST_CASE(a_fence_while_the_store_opens_waits_for_it) {
  auto first = playing(Role::replica);
  auto again = role_in(8);
  again.load(*first.local());
  again.start();
  BOOST_TEST(render(again.on_fence(fence(2))) == "persist promise");
  BOOST_TEST(render(again.on_opened(held(50))) == "say promise e2 (1, 50) complete");
}

BOOST_AUTO_TEST_CASE(
    a_promise_is_synced_then_the_primary_stopped_then_the_store_asked_then_answered) {
  auto r = playing(Role::primary);
  BOOST_TEST(render(r.on_fence(fence(2))) == "persist promise; stop");
  BOOST_TEST(render(r.on_role_stopped()) == "open r2");
  BOOST_TEST(render(r.on_opened(held(77))) == "say promise e2 (1, 77) complete");
  BOOST_TEST(!r.serving());
  // Asked again: the answer was lost.
  BOOST_TEST(render(r.on_fence(fence(2))) == "open r2");
  BOOST_TEST(render(r.on_opened(held(77))) == "say promise e2 (1, 77) complete");
}

BOOST_AUTO_TEST_CASE(a_receiver_makes_durable_what_it_received_before_the_promise_is_given) {
  auto r = playing(Role::replica);
  BOOST_TEST(render(r.on_fence(fence(2))) == "persist promise; fence receiver e2");
  BOOST_TEST(render(r.on_fenced(held(42))) == "say promise e2 (1, 42) complete");
}

BOOST_AUTO_TEST_CASE(a_newer_fence_overtakes_the_one_under_way) {
  auto r = playing(Role::replica);
  r.on_fence(fence(2));
  BOOST_TEST(render(r.on_fence(fence(3))) == "persist promise");
  BOOST_TEST(render(r.on_fenced(held(42))) == "fence receiver e3");
  BOOST_TEST(render(r.on_fenced(held(42))) == "say promise e3 (1, 42) complete");
  BOOST_TEST(render(r.on_fence(fence(2))) == "say promise refused e3 (0, 0) complete");
}

BOOST_AUTO_TEST_CASE(a_late_fence_of_the_reign_in_force_is_dropped) {
  auto r = playing(Role::primary);
  r.on_fence(fence(2));
  r.on_role_stopped();
  r.on_opened(held(77));
  r.on_assign(assignment(Role::primary, 2, 2));
  BOOST_TEST(render(r.on_opened(held(77))) == "start primary e2 v2");
  BOOST_TEST(render(r.on_fence(fence(2))) == "");
  BOOST_TEST(render(r.on_fence(fence(1))) == "say promise refused e2 (0, 0) complete");
  BOOST_TEST(r.serving());
}

BOOST_AUTO_TEST_CASE(an_assignment_below_the_promise_is_refused) {
  auto r = playing(Role::primary);
  r.on_fence(fence(5));
  BOOST_TEST(render(r.on_assign(assignment(Role::primary, 4, 9))) == "");
  auto again = role_in(7);
  again.load(*r.local());
  again.load_promise(Epoch(5));
  again.start();
  again.on_opened(held(1));
  BOOST_TEST(render(again.on_assign(assignment(Role::primary, 4, 9))) == "");
}

BOOST_AUTO_TEST_CASE(a_fence_for_a_replica_that_is_not_here_is_answered_with_a_refusal) {
  auto r = role_in();
  BOOST_TEST(render(r.on_fence(fence(2))) == "say promise refused e0 (0, 0) complete");
  auto other = playing(Role::replica);
  BOOST_TEST(render(other.on_fence(fence(2, 9))) == "say promise refused e0 (0, 0) complete");
}

// --- stores that fail ----------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_primary_whose_store_fails_gives_up_its_reign_and_says_so_until_heard) {
  auto r = playing(Role::primary);
  BOOST_TEST(render(r.on_store_lost({Errc::io_failed, "EIO"})) ==
             "say promise ended e1 (0, 0) complete; stop");
  BOOST_TEST(render(r.on_role_stopped()) == "");
  BOOST_TEST(render(r.on_tick()) == "say promise ended e1 (0, 0) complete");
  BOOST_TEST(render(r.on_fence(fence(2))) == "persist promise; say promise e2 (0, 0) damaged");
  BOOST_TEST(render(r.on_tick()) == "");
  BOOST_TEST(render(r.on_assign(assignment(Role::primary, 2, 2))).find("start") ==
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(damage_withdraws_the_vote_for_good) {
  auto r = role_in();
  r.on_assign(assignment(Role::replica));
  auto damaged = held(10);
  damaged.base = BaseState::damaged;
  damaged.damage = "lsn 4";
  BOOST_TEST(render(r.on_opened(damaged)) ==
             "persist volume; say assign_ack e1 v1; persist volume; start replica e1 v1");
  auto again = role_in(8);
  again.load(*r.local());
  again.start();
  again.on_opened(held(10));  // Whatever the store says now.
  BOOST_TEST(render(again.on_fence(fence(2))) == "persist promise; say promise e2 (1, 10) damaged");
  again.on_assign(assignment(Role::primary, 2, 2));
  BOOST_TEST(!again.serving());
}

BOOST_AUTO_TEST_CASE(a_failed_store_may_vote_again_after_a_restart_that_found_it_sound) {
  auto r = playing(Role::replica);
  r.on_store_lost({Errc::io_failed, "EIO"});
  auto again = role_in(8);
  again.load(*r.local());
  again.start();
  again.on_opened(held(10));
  BOOST_TEST(render(again.on_fence(fence(2))) ==
             "persist promise; say promise e2 (1, 10) complete");
}

BOOST_AUTO_TEST_CASE(a_role_that_cannot_go_on_is_stopped_and_not_started_again_in_its_epoch) {
  auto r = playing(Role::primary);
  BOOST_TEST(render(r.on_role_ended(Epoch(1), "a higher promise")) ==
             "say promise ended e1 (0, 0) complete; stop");
  BOOST_TEST(render(r.on_role_stopped()) == "");
  BOOST_TEST(render(r.on_role_ended(Epoch(1), "again")) == "");
  r.on_assign(assignment(Role::primary, 2, 2));
  BOOST_TEST(render(r.on_opened(held(1))) == "start primary e2 v2");
}

// --- leaving -------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_replica_is_stopped_destroyed_forgotten_and_only_then_acknowledged) {
  auto r = playing(Role::replica);
  BOOST_TEST(render(r.on_unassign({volume, ReplicaId(2)})) == "stop");
  BOOST_TEST(render(r.on_role_stopped()) == "destroy");
  BOOST_TEST(render(r.on_destroyed(Done{})) ==
             "persist volume=gone promise=gone removed; say unassign_ack r2");
  BOOST_TEST(render(r.on_unassign({volume, ReplicaId(2)})) == "say unassign_ack r2");
  // A late assignment never brings it back.
  BOOST_TEST(render(r.on_assign(assignment(Role::replica, 9, 9))) == "");
  BOOST_TEST(render(r.on_assign(assignment(Role::replica, 9, 9, 3))) ==
             "persist volume; open r3 create");
}

BOOST_AUTO_TEST_CASE(a_replacement_on_the_same_node_first_deletes_what_it_replaces) {
  auto r = playing(Role::replica);
  BOOST_TEST(render(r.on_assign(assignment(Role::replica, 1, 2, 5))) == "stop");
  BOOST_TEST(render(r.on_role_stopped()) == "destroy");
  r.on_destroyed(Done{});
  BOOST_TEST(render(r.on_assign(assignment(Role::replica, 1, 2, 5))) ==
             "persist volume; open r5 create");
}

// --- connections ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(connections_are_admitted_by_replica_epoch_and_role) {
  Hello hello;
  hello.volume = volume;
  hello.to = ReplicaId(2);
  hello.epoch = Epoch(1);
  auto nobody = role_in();
  BOOST_CHECK(nobody.objection(hello)->code == RefusalCode::wrong_volume);
  auto r = playing(Role::replica);
  BOOST_CHECK(!r.objection(hello));
  hello.to = ReplicaId(3);
  BOOST_CHECK(r.objection(hello)->code == RefusalCode::wrong_replica);
  hello.to = ReplicaId(2);
  r.on_fence(fence(4));
  BOOST_CHECK(r.objection(hello)->code == RefusalCode::stale_epoch);
  BOOST_CHECK(r.objection(hello)->promised == Epoch(4));
  hello.epoch = Epoch(4);
  BOOST_CHECK(!r.objection(hello));
  auto p = playing(Role::primary);
  BOOST_CHECK(p.objection(hello)->code == RefusalCode::not_a_replica);
}

// Replica 5 is here: 2 is the one that it replaced, 9 nobody has named yet.
BOOST_AUTO_TEST_CASE(a_replica_that_is_not_here_or_was_replaced_is_refused) {
  auto r = role_in();
  r.on_assign(assignment(Role::replica, 1, 1, 5));
  r.on_opened(held(0));
  Hello hello;
  hello.volume = volume;
  hello.epoch = Epoch(1);
  for (const std::uint64_t other : {2u, 9u}) {
    hello.to = ReplicaId(other);
    BOOST_CHECK(r.objection(hello)->code == RefusalCode::wrong_replica);
    BOOST_TEST(render(r.on_fence(fence(2, other))) == "say promise refused e0 (0, 0) complete");
  }
  const auto effects = r.on_assign(assignment(Role::replica, 9, 9, 2));
  BOOST_REQUIRE(effects.size() == 1u);
  const auto& refused = std::get<Report>(effects.front()).event;
  BOOST_TEST(refused.name == "assignment_refused");
  BOOST_TEST(refused.fields.back().second == "a newer replica is here");
  // It goes on as what it is.
  hello.to = ReplicaId(5);
  BOOST_CHECK(!r.objection(hello));
  BOOST_CHECK(r.local()->replica == ReplicaId(5));
  BOOST_CHECK(r.promised() == Epoch(1));
}

BOOST_AUTO_TEST_CASE(a_client_hears_who_serves_the_volume) {
  auto r = playing(Role::replica);
  BOOST_TEST(r.elsewhere() == "volume v is served by node1 at nbd://h:2/v");
}

BOOST_AUTO_TEST_CASE(catalog_values_survive_their_encoding_and_rubbish_is_refused) {
  auto r = playing(Role::replica);
  auto local = *r.local();
  local.damage = "lsn 7";
  local.told = {Epoch(3), Version(4)};
  local.forgotten = Epoch(2);
  local.assignment.reigns = {{Epoch(1), Version(1), false}, {Epoch(2), Version(3), true}};
  const auto bytes = encode(local);
  BOOST_CHECK(decode_local_volume(bytes) == local);
  BOOST_CHECK(check_catalog_format("volume/x", bytes).has_value());
  auto former = bytes;
  former[1] = 1;
  const auto refused = check_catalog_format("volume/x", former);
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == Errc::invalid);
  BOOST_CHECK_EQUAL(refused.error().text,
                    "the value of volume/x is of format 1, this build reads 4");
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    BOOST_CHECK(!decode_local_volume(bytes.substr(0, cut)));
  BOOST_CHECK(!decode_local_volume(bytes + "x"));
  BOOST_CHECK(decode_promise(encode_promise(Epoch(9))) == Epoch(9));
  BOOST_CHECK(!decode_promise(bytes));
}

// The bytes of docs/DATA_FORMAT.md, "Catalog values": changing them needs a new version.
BOOST_AUTO_TEST_CASE(the_bytes_of_catalog_values_are_pinned) {
  using namespace std::string_literals;
  BOOST_CHECK(encode_promise(Epoch(0x0102)) == "\x02\x04\x02\x01\0\0\0\0\0\0"s);
  LocalVolume local;
  local.replica = ReplicaId(7);
  local.directory = "volumes/x";
  local.created = true;
  local.assignment = assignment(Role::replica);
  const auto bytes = encode(local);
  BOOST_CHECK(bytes.starts_with(
      "\x01\x04\x07\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0volumes/x\x01\0\0\0\0\0\0\0\0\0"s));
  BOOST_TEST(bytes.size() == 338u);
}

BOOST_AUTO_TEST_SUITE_END()
