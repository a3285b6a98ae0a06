#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/control_world.hpp"

using namespace tidemark::engine;
using namespace tidemark::engine::control;
using namespace tidemark::engine::control::test;

namespace {

SetMember entry(std::uint64_t replica, std::uint64_t incarnation = 1) {
  return {ReplicaId(replica), Incarnation(incarnation)};
}
ProposeSet proposal(const World& w, std::vector<SetMember> set) {
  return {w.v().spec.id, w.v().epoch, w.v().version, std::move(set), "test", 0};
}
std::string members(const World& w) {
  std::string text;
  for (const auto& p : w.v().members)
    text += fmt::format("{}r{}@{}", text.empty() ? "" : " ", p.replica, p.node.name);
  return text;
}
std::string why(const Result<Effects>& refused) {
  return refused ? std::string("granted") : refused.error().text;
}
bool says(const Result<Effects>& refused, std::string_view what) {
  return why(refused).find(what) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(control_commands)

// --- delete --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_deleted_volume_is_forgotten_when_every_node_has_deleted_it) {
  auto w = three_nodes_and_a_volume();
  const auto id = w.v().spec.id;
  BOOST_TEST(w.play(*w.plane.remove("v")) ==
             "persist volume\nto 1: unassign r1\nto 2: unassign r2\nto 3: unassign r3\n");
  BOOST_CHECK(w.plane.volume("v") == nullptr);
  w.play(w.plane.on_message(1, UnassignAck{id, ReplicaId(1)}));
  w.play(w.plane.on_message(1, UnassignAck{id, ReplicaId(1)}));
  w.play(w.plane.on_message(2, UnassignAck{id, ReplicaId(2)}));
  BOOST_TEST(w.tick(500) == "to 3: unassign r3\n");
  BOOST_TEST(w.play(w.plane.on_message(3, UnassignAck{id, ReplicaId(3)})) ==
             "persist volume=gone\n");
  BOOST_TEST(w.catalog.count(std::string(volume_prefix) + to_string(id)) == 0u);
}

BOOST_AUTO_TEST_CASE(delete_waits_for_an_unreachable_node_and_its_name_is_free_meanwhile) {
  auto w = three_nodes_and_a_volume();
  const auto id = w.v().spec.id;
  w.play(w.plane.on_link_down(3));
  w.play(*w.plane.remove("v"));
  w.play(w.plane.on_message(1, UnassignAck{id, ReplicaId(1)}));
  w.play(w.plane.on_message(2, UnassignAck{id, ReplicaId(2)}));
  BOOST_TEST(w.plane.pending(id).size() == 1u);
  BOOST_TEST(w.plane.pending_reachable(id).empty());
  w.restart();
  w.node_in(1);
  w.node_in(2);
  BOOST_TEST(w.create(2).find("persist volume") != std::string::npos);
  BOOST_TEST(w.node_in(3).find("to 3: unassign r3\n") != std::string::npos);
  BOOST_TEST(w.play(w.plane.on_message(3, UnassignAck{id, ReplicaId(3)})) ==
             "persist volume=gone\n");
}

BOOST_AUTO_TEST_CASE(replica_ids_are_not_reused_after_a_crash) {
  auto w = three_nodes_and_a_volume();
  w.play(*w.plane.remove("v"));
  w.restart();
  for (int n = 1; n <= 3; ++n) w.node_in(n);
  w.create();
  BOOST_TEST(members(w) == "r4@node1 r5@node2 r6@node3");
}

// --- copies --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(an_added_copy_counts_only_once_the_primary_says_so) {
  auto w = three_nodes_and_a_volume();
  w.node_in(4);
  const auto text = w.play(*w.plane.add_replica("v", "node4"));
  BOOST_TEST(text.find("to 4: assign r4 replica e1 v2 set 1@1,2@1,3@1\n") != std::string::npos);
  BOOST_TEST(w.play(*w.plane.add_replica("v", "node4")) == "");
}

BOOST_AUTO_TEST_CASE(a_removed_copy_leaves_set_and_members_in_one_step) {
  auto w = three_nodes_and_a_volume();
  BOOST_TEST(
      w.play(*w.plane.remove_replica("v", "node3")) ==
      "persist volume\nto 3: unassign r3\n"
      "to 1: assign r1 primary e1 v2 set 1@1,2@1\nto 2: assign r2 replica e1 v2 set 1@1,2@1\n");
  BOOST_TEST(says(w.plane.remove_replica("v", "node2"), "min_copies is 2"));
  BOOST_TEST(says(w.plane.remove_replica("v", "node1"), "promote another node first"));
  BOOST_TEST(says(w.plane.remove_replica("v", "node3"), "there is none"));
}

BOOST_AUTO_TEST_CASE(a_wiped_node_is_replaced_under_a_new_replica_id_without_a_vote) {
  auto w = three_nodes_and_a_volume();
  w.play(w.plane.on_link_down(3));
  w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2)})));
  Register wiped = w.registration(3, 1);
  wiped.node.uuid = uuid(33);
  BOOST_TEST(w.play(w.plane.on_register(9, wiped, w.at())) == "drop 9: wrong_node\n");
  const auto text = w.play(*w.plane.replace_replica("v", "node3", ""));
  BOOST_TEST(text.starts_with("persist node/node3\npersist counters\npersist volume\n"));
  BOOST_TEST(members(w) == "r1@node1 r2@node2 r4@node3");
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1");
  const auto in = w.play(w.plane.on_register(10, wiped, w.at()));
  BOOST_TEST(in.find("to 10: assign r4 replica e1 v4 set 1@1,2@1\n") != std::string::npos);
  BOOST_TEST(in.find("to 1: assign r1 primary e1 v4") !=
             std::string::npos);  // It hears the address.
  // The wiped one never comes back to say that it deleted anything.
  BOOST_TEST(w.v().gone.empty());
}

// An operator may be faster than the control plane learns that the wiped node's old link is dead.
BOOST_AUTO_TEST_CASE(a_copy_replaced_too_early_says_what_lets_the_new_node_in) {
  auto w = three_nodes_and_a_volume();
  const auto id = w.v().spec.id;
  w.play(*w.plane.replace_replica("v", "node3", ""));
  auto stranger = w.registration(3, 1);
  stranger.node.uuid = uuid(77);
  w.play(w.plane.on_link_down(3));
  BOOST_TEST(w.play(w.plane.on_register(9, stranger, w.at())) == "drop 9: wrong_node\n");
  const auto says = [&] {
    const auto pending = w.plane.pending(id);
    return std::count(pending.begin(), pending.end(),
                      "node3 came back with another data directory; replacing the copy there lets "
                      "it in and rebuilds it");
  };
  BOOST_TEST(says() == 1);
  w.play(*w.plane.replace_replica("v", "node3", ""));
  w.play(w.plane.on_register(9, stranger, w.at()));
  BOOST_TEST(says() == 0);
}

BOOST_AUTO_TEST_CASE(a_live_counted_copy_is_replaced_only_when_its_successor_counts) {
  auto w = three_nodes_and_a_volume();
  w.node_in(4);
  w.play(*w.plane.replace_replica("v", "node3", "node4"));
  BOOST_TEST(members(w) == "r1@node1 r2@node2 r3@node3 r4@node4");
  const auto text =
      w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2), entry(3), entry(4)})));
  BOOST_TEST(text.find("to 1: set_decided accepted e1 v3 set 1@1,2@1,4@1\n") != std::string::npos);
  BOOST_TEST(members(w) == "r1@node1 r2@node2 r4@node4");
  BOOST_TEST(w.tick(500).find("to 3: unassign r3\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_dead_counted_copy_at_min_copies_is_replaced_by_a_swap) {
  auto w = three_nodes_and_a_volume();
  w.node_in(4);
  w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(3)})));
  w.play(w.plane.on_link_down(3));
  w.play(*w.plane.replace_replica("v", "node3", "node4"));
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,3@1");
  w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(4)})));
  BOOST_TEST(members(w) == "r1@node1 r2@node2 r4@node4");
}

BOOST_AUTO_TEST_CASE(a_damaged_copy_is_replaced_on_its_own_node) {
  auto w = three_nodes_and_a_volume();
  w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2)})));
  const auto text = w.play(*w.plane.replace_replica("v", "node3", ""));
  BOOST_TEST(text.find("to 3: unassign r3\n") < text.find("to 3: assign r4 replica"));
}

// A counted copy that waits for its replacement is not to be taken for a free place.
BOOST_AUTO_TEST_CASE(nothing_is_placed_on_a_copy_that_is_being_replaced) {
  auto w = three_nodes_and_a_volume();
  w.node_in(4);
  w.play(*w.plane.replace_replica("v", "node3", "node4"));
  BOOST_TEST(says(w.plane.replace_replica("v", "node4", "node3"), "has a copy already"));
  BOOST_TEST(
      says(w.plane.replace_replica("v", "node3", ""), "is being replaced by replica 4 already"));
  BOOST_TEST(says(w.plane.add_replica("v", "node3"), "is being replaced"));
  BOOST_TEST(members(w) == "r1@node1 r2@node2 r3@node3 r4@node4");
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1,3@1");
}

BOOST_AUTO_TEST_CASE(a_replacement_that_goes_leaves_the_copy_it_was_for) {
  auto w = three_nodes_and_a_volume();
  w.node_in(4);
  w.play(*w.plane.replace_replica("v", "node3", "node4"));
  BOOST_TEST(w.plane.remove_replica("v", "node4").has_value());
  BOOST_TEST(members(w) == "r1@node1 r2@node2 r3@node3");
  BOOST_TEST(!w.v().member(ReplicaId(3))->replaced_by);
}

BOOST_AUTO_TEST_CASE(former_copies_that_nobody_deletes_are_bounded_and_the_record_stays_readable) {
  auto w = three_nodes_and_a_volume();
  w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2)})));
  w.play(w.plane.on_link_down(3));
  Result<Effects> last = Effects{};
  for (int i = 0; i < 100 && last; ++i) {
    last = w.plane.replace_replica("v", "node3", "");
    if (last) w.play(*last);
  }
  BOOST_TEST(says(last, "still to be deleted"));
  BOOST_TEST(says(w.plane.add_replica("v", "node4"), "there is no such node"));
  w.restart();
  BOOST_TEST(w.v().members.size() == 3u);
}

BOOST_AUTO_TEST_CASE(replacements_that_cannot_be_are_refused) {
  auto w = three_nodes_and_a_volume();
  BOOST_TEST(says(w.plane.replace_replica("v", "node1", ""), "hosts the control plane"));
  BOOST_TEST(says(w.plane.replace_replica("v", "node1", "node9"), "promote another node first"));
  BOOST_TEST(says(w.plane.replace_replica("v", "node2", "node3"), "has a copy already"));
  BOOST_TEST(says(w.plane.replace_replica("v", "node2", "node9"), "there is no node node9"));
  BOOST_TEST(says(w.plane.replace_replica("v", "node9", ""), "there is none"));
  BOOST_TEST(says(w.plane.replace_replica("nope", "node2", ""), "there is no volume nope"));
  w.play(w.plane.on_message(1, proposal(w, {entry(1), entry(2)})));
  BOOST_TEST(says(w.plane.replace_replica("v", "node2", ""), "min_copies is 2"));
}

BOOST_AUTO_TEST_CASE(records_survive_their_encoding_and_rubbish_is_refused) {
  auto w = three_nodes_and_a_volume();
  w.node_in(4);
  w.play(*w.plane.replace_replica("v", "node3", "node4"));
  w.play(*w.plane.promote("v", "node2", w.at()));
  const auto bytes = encode(w.v());
  BOOST_CHECK(decode_volume(bytes) == w.v());
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    BOOST_CHECK(!decode_volume(bytes.substr(0, cut)));
  BOOST_CHECK(!decode_volume(bytes + "x"));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto bent = bytes;
    bent[at] = static_cast<char>(bent[at] ^ 0x80);
    (void)decode_volume(bent);  // Anything but a crash or an endless list.
  }
}

BOOST_AUTO_TEST_SUITE_END()
