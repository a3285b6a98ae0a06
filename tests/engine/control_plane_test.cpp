#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"
#include "tests/engine/control_world.hpp"

using namespace tidemark::engine;
using namespace tidemark::engine::control;
using namespace tidemark::engine::control::test;

BOOST_AUTO_TEST_SUITE(control_plane)

// --- nodes ---------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_node_is_remembered_durably_before_it_is_greeted) {
  World w;
  BOOST_TEST(w.node_in(1) == "persist node/node1\nto 1: registered\n");
}

BOOST_AUTO_TEST_CASE(a_duplicate_register_changes_nothing) {
  World w;
  w.node_in(1);
  BOOST_TEST(w.node_in(1) == "to 1: registered\n");
}

BOOST_AUTO_TEST_CASE(a_newer_connection_of_a_node_fences_its_older_one) {
  World w;
  w.node_in(1, 1, 7);
  BOOST_TEST(w.node_in(1, 1, 8) == "drop 7: stale_session\nto 8: registered\n");
  BOOST_TEST(w.play(w.plane.on_link_down(7)) == "");
  BOOST_TEST(w.plane.link_of("node1").value() == 8u);
}

BOOST_AUTO_TEST_CASE(an_incarnation_that_ended_is_turned_away) {
  World w;
  w.node_in(1, 5);
  BOOST_TEST(w.node_in(1, 4, 9) == "drop 9: stale_incarnation\n");
}

BOOST_AUTO_TEST_CASE(an_old_name_under_a_new_uuid_is_refused_until_it_is_readmitted) {
  World w;
  w.node_in(1);
  w.node_in(2);
  Register stranger = w.registration(2, 1);
  stranger.node.uuid = uuid(77);
  BOOST_TEST(w.play(w.plane.on_register(9, stranger, w.at())) == "drop 9: wrong_node\n");
  BOOST_CHECK(!w.plane.readmit("node2", std::nullopt));  // The rightful one is connected.
  w.play(w.plane.on_link_down(2));
  BOOST_TEST(w.play(*w.plane.readmit("node2", uuid(77))) == "persist node/node2\n");
  BOOST_TEST(w.play(w.plane.on_register(9, stranger, w.at())) ==
             "persist node/node2\nto 9: registered\n");
  // Once: the name now belongs to the new UUID.
  BOOST_TEST(w.node_in(2, 9, 10) == "drop 10: wrong_node\n");
}

BOOST_AUTO_TEST_CASE(the_host_of_the_control_plane_cannot_be_readmitted) {
  World w;
  w.node_in(1);
  w.play(w.plane.on_link_down(1));
  const auto refused = w.plane.readmit("node1", std::nullopt);
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().text.find("hosts the control plane") != std::string::npos);
}

// --- create --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(create_persists_the_volume_before_anybody_is_told) {
  World w;
  for (int n = 1; n <= 3; ++n) w.node_in(n);
  BOOST_TEST(w.create() ==
             "persist counters\npersist counters\npersist counters\npersist volume\n"
             "to 1: assign r1 primary e1 v1 set 1@1,2@1,3@1\n"
             "to 2: assign r2 replica e1 v1 set 1@1,2@1,3@1\n"
             "to 3: assign r3 replica e1 v1 set 1@1,2@1,3@1\n");
  BOOST_TEST(w.plane.pending(w.v().spec.id).size() == 3u);
  for (int n = 1; n <= 3; ++n) w.take(n);
  BOOST_TEST(w.plane.pending(w.v().spec.id).empty());
}

BOOST_AUTO_TEST_CASE(best_effort_counts_the_primary_only) {
  World w;
  for (int n = 1; n <= 3; ++n) w.node_in(n);
  w.create(3, Mode::best_effort, 1);
  BOOST_TEST(set_text(w.v().in_sync) == "1@1");
}

BOOST_AUTO_TEST_CASE(create_is_repeated_harmlessly_and_another_volume_of_that_name_is_refused) {
  auto w = three_nodes_and_a_volume();
  BOOST_TEST(w.create() == "");
  BOOST_TEST(w.create(2).find("there is another one of that name") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(new_volumes_go_where_the_fewest_are) {
  World w;
  for (int n = 1; n <= 3; ++n) w.node_in(n);
  w.create(1, Mode::sync_all, 1);
  CreateVolume wish;
  wish.spec = VolumeSpec{{}, "w", 1 << 20, Mode::sync_all, AckPolicy::received, 2, 2};
  w.play(*w.plane.create(wish, w.at()));
  BOOST_TEST(w.plane.volume("w")->members[0].node.name == "node2");
  BOOST_TEST(w.plane.volume("w")->members[1].node.name == "node3");
}

BOOST_AUTO_TEST_CASE(impossible_wishes_are_refused_with_a_sentence) {
  const auto flaw_of = [](auto change) {
    CreateVolume wish;
    wish.spec = VolumeSpec{{}, "v", 1 << 20, Mode::sync_all, AckPolicy::received, 3, 2};
    change(wish);
    const auto found = flaw(wish);
    return found ? found->text : std::string("none");
  };
  BOOST_TEST(flaw_of([](auto&) {}) == "none");
  BOOST_TEST(flaw_of([](auto& w) { w.spec.name = "-x"; }).find("name is 1 to 64") !=
             std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) { w.spec.name = std::string(65, 'a'); }).find("name is 1 to 64") !=
             std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) { w.spec.name = "a b"; }).find("name is 1 to 64") !=
             std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) { w.spec.size_bytes += 512; }).find("not a multiple of 4096") !=
             std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) { w.spec.size_bytes = 4096; }).find("between 1 MiB and 16 TiB") !=
             std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) {
               w.spec.size_bytes = (16ull << 40) + 4096;
             }).find("between 1 MiB and 16 TiB") != std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) { w.spec.copies = 0; }).find("copies 0 is not between") !=
             std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) { w.spec.copies = 9; }).find("copies 9 is not between") !=
             std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) { w.spec.min_copies = 4; }).find("min_copies 4") !=
             std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) { w.spec.mode = Mode::sync_quorum; }) == "none");
  BOOST_TEST(flaw_of([](auto& w) {
               w.spec.mode = Mode::best_effort;
             }).find("implies min_copies = 1") != std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) { w.nodes = {"node1"}; }).find("1 nodes are named for 3 copies") !=
             std::string::npos);
  BOOST_TEST(flaw_of([](auto& w) {
               w.nodes = {"node1", "node1", "node2"};
             }).find("named twice") != std::string::npos);
  World w;
  w.node_in(1);
  BOOST_TEST(w.create().find("1 of 1 known are") != std::string::npos);
}

// --- assignments ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(an_assignment_is_repeated_until_it_is_acknowledged) {
  World w;
  for (int n = 1; n <= 3; ++n) w.node_in(n);
  w.create();
  w.take(1);
  w.take(2);
  BOOST_TEST(w.tick(500) == "to 3: assign r3 replica e1 v1 set 1@1,2@1,3@1\n");
  w.play(w.plane.on_message(
      LinkKey(3), AssignAck{w.v().spec.id, Epoch(1), Version(0)}));  // Late, of an older one.
  BOOST_TEST(w.tick(500) == "to 3: assign r3 replica e1 v1 set 1@1,2@1,3@1\n");
  w.take(3);
  BOOST_TEST(w.tick(500) == "");
}

BOOST_AUTO_TEST_CASE(a_new_address_reaches_all_members_under_a_new_version) {
  auto w = three_nodes_and_a_volume();
  auto moved = w.registration(2, 2);
  moved.replication = "10.0.0.2:9999";
  const auto text = w.play(w.plane.on_register(2, moved, w.at()));
  BOOST_TEST(
      text.starts_with("persist node/node2\nto 2: registered\npersist volume\n"
                       "to 1: assign r1 primary e1 v2"));
}

// A copied data directory, started elsewhere: whoever comes first stays.
BOOST_AUTO_TEST_CASE(one_incarnation_does_not_register_from_two_addresses) {
  auto w = three_nodes_and_a_volume();
  auto twin = w.registration(2, 1);
  twin.replication = "10.0.0.77:9100";
  BOOST_TEST(w.play(w.plane.on_register(9, twin, w.at())) == "drop 9: stale_incarnation\n");
  // The same process, connected anew.
  const auto again = w.play(w.plane.on_register(9, w.registration(2, 1), w.at()));
  BOOST_TEST(again.find("to 9: registered") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(after_a_crash_everything_is_told_again) {
  auto w = three_nodes_and_a_volume();
  w.restart();
  BOOST_TEST(w.node_in(2) == "to 2: registered\nto 2: assign r2 replica e1 v1 set 1@1,2@1,3@1\n");
}

BOOST_AUTO_TEST_CASE(a_record_that_makes_no_sense_is_named) {
  auto w = three_nodes_and_a_volume();
  ControlPlane other(node_id(1), uuid(99), second);
  const auto loaded = other.load({{"control/node/node1", "rubbish"}});
  BOOST_REQUIRE(!loaded);
  BOOST_TEST(loaded.error().text.find("control/node/node1") != std::string::npos);
}

// --- the in-sync set -----------------------------------------------------------------------------

ProposeSet proposal(const World& w, std::vector<SetMember> set) {
  return {w.v().spec.id, w.v().epoch, w.v().version, std::move(set), "test", 0};
}
SetMember entry(std::uint64_t replica, std::uint64_t incarnation = 1) {
  return {ReplicaId(replica), Incarnation(incarnation)};
}

BOOST_AUTO_TEST_CASE(a_set_change_is_durable_before_it_is_answered) {
  auto w = three_nodes_and_a_volume();
  BOOST_TEST(
      w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2)}))) ==
      "persist volume\nto 1: set_decided accepted e1 v2 set 1@1,2@1\n"
      "to 1: assign r1 primary e1 v2 set 1@1,2@1\nto 2: assign r2 replica e1 v2 set 1@1,2@1\n"
      "to 3: assign r3 replica e1 v2 set 1@1,2@1\n");
}

BOOST_AUTO_TEST_CASE(a_repeated_proposal_hears_what_stands) {
  auto w = three_nodes_and_a_volume();
  const auto asked = proposal(w, {entry(1), entry(2)});
  w.play(w.plane.on_message(1, asked));
  BOOST_TEST(w.play(w.plane.on_message(1, asked)) ==
             "to 1: set_decided refused e1 v2 set 1@1,2@1\n");
}

BOOST_AUTO_TEST_CASE(only_the_primary_in_its_incarnation_may_propose) {
  auto w = three_nodes_and_a_volume();
  BOOST_TEST(w.play(w.plane.on_message(2, proposal(w, {entry(1), entry(2)})))
                 .starts_with("to 2: set_decided refused"));
  const auto of_the_reign = proposal(w, {entry(1), entry(2)});
  w.node_in(1, 2);
  BOOST_TEST(w.play(w.plane.on_message(1, of_the_reign)).starts_with("to 1: set_decided refused"));
}

BOOST_AUTO_TEST_CASE(wrong_sets_are_refused) {
  auto w = three_nodes_and_a_volume();
  const auto refused = [&](std::vector<SetMember> set) {
    return w.play(w.plane.on_message(1, proposal(w, std::move(set))))
        .starts_with("to 1: set_decided refused e1 v1");
  };
  BOOST_TEST(refused({entry(1)}));  // Below min_copies.
  BOOST_TEST(refused({}));
  BOOST_TEST(refused({entry(2), entry(3)}));            // Without the primary.
  BOOST_TEST(refused({entry(1, 2), entry(2)}));         // The primary in another incarnation.
  BOOST_TEST(refused({entry(1), entry(9)}));            // No member.
  BOOST_TEST(refused({entry(1), entry(2), entry(2)}));  // Twice.
  auto other = proposal(w, {entry(1), entry(2)});
  other.epoch = Epoch(2);
  BOOST_TEST(w.play(w.plane.on_message(1, other)).starts_with("to 1: set_decided refused"));
}

// KIP-903: the member restarted between the primary's witness and the request.
BOOST_AUTO_TEST_CASE(a_member_is_not_taken_in_under_an_incarnation_that_ended) {
  auto w = three_nodes_and_a_volume();
  w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2)})));
  w.node_in(3, 2);
  BOOST_TEST(w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2), entry(3, 1)})))
                 .starts_with("to 1: set_decided refused"));
  BOOST_TEST(w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2), entry(3, 2)})))
                 .starts_with("persist volume\nto 1: set_decided accepted"));
}

BOOST_AUTO_TEST_CASE(a_dead_member_at_min_copies_is_swapped_for_a_live_one) {
  auto w = three_nodes_and_a_volume();
  w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2)})));
  BOOST_TEST(w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(3)})))
                 .starts_with("persist volume"));
}

BOOST_AUTO_TEST_CASE(no_set_changes_while_promises_are_taken) {
  auto w = three_nodes_and_a_volume();
  w.play(*w.plane.promote("v", "node2", w.at()));
  BOOST_TEST(w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2)}))) ==
             "to 1: set_decided refused e1 v1 set 1@1,2@1,3@1\n");
}

BOOST_AUTO_TEST_SUITE_END()
