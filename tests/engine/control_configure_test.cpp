// Another mode or min_copies at the control plane: the wish, who may say that it is in force, and by which rule a
// primary is chosen meanwhile (C12).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"
#include "tests/engine/control_world.hpp"

using namespace tidemark::engine;
using namespace tidemark::engine::control;
using namespace tidemark::engine::control::test;

namespace {

World volume_in(Mode mode, std::uint32_t min_copies = 2) {
  World w;
  for (int n = 1; n <= 4; ++n) w.node_in(n);
  CreateVolume wish;
  wish.spec = VolumeSpec{{}, "v", 1 << 20, mode, AckPolicy::received, 3, min_copies};
  wish.nodes = {"node1", "node2", "node3"};
  w.play(*w.plane.create(wish, w.at()));
  for (int n = 1; n <= 3; ++n) w.take(n);
  return w;
}

/// "" when it was taken, else the error.
std::string configure(World& w, std::optional<Mode> mode, std::optional<std::uint32_t> min_copies) {
  auto begun = w.plane.configure("v", {mode, min_copies});
  if (!begun) return begun.error().text;
  w.play(*begun);
  return "";
}

/// The primary says that what is wanted is in force.
void tells(World& w, std::optional<Configuration> what = std::nullopt) {
  const auto& v = w.v();
  w.play(
      w.plane.on_message(1, Configured{v.spec.id, v.epoch, v.version,
                                       what.value_or(v.wish.value_or(Configuration{})), Lsn(9)}));
}

std::string propose(World& w, std::vector<SetMember> set) {
  return w.play(w.plane.on_message(
      1, ProposeSet{w.v().spec.id, w.v().epoch, w.v().version, std::move(set), "", 0}));
}

SetMember copy(std::uint64_t replica, std::uint64_t incarnation = 1) {
  return {ReplicaId(replica), Incarnation(incarnation)};
}

std::string rules(const World& w) {
  return fmt::format("{} {}", to_string(w.v().spec.mode), w.v().spec.min_copies);
}

std::string pending(const World& w) {
  std::string text;
  for (const auto& what : w.plane.pending(w.v().spec.id)) text += what + "\n";
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(control_configure)

BOOST_AUTO_TEST_CASE(a_wish_is_durable_and_told_and_in_force_when_the_primary_says_so) {
  auto w = volume_in(Mode::sync_all);
  BOOST_TEST(configure(w, Mode::sync_quorum, std::nullopt) == "");
  BOOST_TEST(rules(w) == "sync_all 2");
  BOOST_TEST(pending(w).find("a change of its mode from sync_all to sync_quorum is under way") !=
             std::string::npos);
  w.restart();
  for (int n = 1; n <= 3; ++n) w.node_in(n);
  BOOST_TEST((w.v().wish->mode == Mode::sync_quorum));
  tells(w);
  BOOST_TEST(rules(w) == "sync_quorum 2");
  BOOST_TEST(!w.v().wish.has_value());
  BOOST_TEST(pending(w).find("change") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(who_is_not_the_primary_or_decided_on_another_version_says_nothing) {
  auto w = volume_in(Mode::sync_all);
  configure(w, Mode::sync_quorum, 2);
  const auto& v = w.v();
  const Configured told{v.spec.id, v.epoch, v.version, *v.wish, Lsn(9)};
  BOOST_TEST(w.play(w.plane.on_message(2, told)) == "");
  auto stale = told;
  stale.version = Version(told.version.value - 1);
  BOOST_TEST(w.play(w.plane.on_message(1, stale)) == "");
  stale = told;
  stale.epoch = Epoch(0);
  BOOST_TEST(w.play(w.plane.on_message(1, stale)) == "");
  stale = told;
  stale.configuration.mode = Mode::best_effort;
  BOOST_TEST(w.play(w.plane.on_message(1, stale)) == "");
  BOOST_TEST(rules(w) == "sync_all 2");
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused_and_changes_nothing) {
  auto w = volume_in(Mode::sync_all);
  const auto before = w.catalog;
  const auto version = w.v().version;
  BOOST_TEST(configure(w, std::nullopt, std::nullopt) ==
             "configure volume v: neither a mode nor min_copies nor below_min_copies is named");
  BOOST_TEST(configure(w, std::nullopt, 0) ==
             "configure volume v: min_copies 0 is not between 1 and its 3 copies");
  BOOST_TEST(configure(w, std::nullopt, 4) ==
             "configure volume v: min_copies 4 is not between 1 and its 3 copies");
  BOOST_TEST(configure(w, Mode::best_effort, 2) ==
             "configure volume v: mode best_effort implies min_copies = 1, not 2");
  BOOST_TEST(
      configure(w, Mode::sync_quorum, 1) ==
      "configure volume v: min_copies 1 would say nothing in sync_quorum, where 2 of 3 copies "
      "have each write");
  BOOST_TEST(w.plane.configure("w", {Mode::sync_all, 2}).error().text == "there is no volume w");
  BOOST_TEST(configure(w, Mode::sync_all, 2) == "");  // What it has.
  BOOST_TEST((w.catalog == before));
  BOOST_TEST(w.v().version == version);
}

BOOST_AUTO_TEST_CASE(the_same_twice_is_the_same_and_another_takes_its_place) {
  auto w = volume_in(Mode::sync_all);
  configure(w, Mode::sync_quorum, 2);
  const auto version = w.v().version;
  BOOST_TEST(configure(w, Mode::sync_quorum, 2) == "");
  BOOST_TEST(w.v().version == version);
  const auto first = *w.v().wish;
  configure(w, Mode::sync_all, std::nullopt);  // Back: the record of the first may be in the log.
  BOOST_TEST(w.v().wish.has_value());
  tells(w, first);
  BOOST_TEST(rules(w) == "sync_all 2");
  tells(w);
  BOOST_TEST(rules(w) == "sync_all 2");
  BOOST_TEST(!w.v().wish.has_value());
}

BOOST_AUTO_TEST_CASE(what_is_done_below_min_copies_is_in_force_at_once_and_no_record) {
  auto w = volume_in(Mode::sync_all);
  const auto version = w.v().version;
  w.play(*w.plane.configure("v", {std::nullopt, std::nullopt, BelowMin::fail}));
  BOOST_TEST((w.v().spec.below_min == BelowMin::fail));
  BOOST_TEST(!w.v().wish.has_value());
  BOOST_TEST(w.v().version.value == version.value + 1);
  w.play(*w.plane.configure("v", {std::nullopt, std::nullopt, BelowMin::fail}));
  BOOST_TEST(w.v().version.value == version.value + 1);
  w.restart();
  BOOST_TEST((w.v().spec.below_min == BelowMin::fail));
}

BOOST_AUTO_TEST_CASE(a_change_of_size_stays_wanted_beside_another_mode) {
  auto w = volume_in(Mode::sync_all);
  w.play(*w.plane.resize("v", 2 << 20, false));
  configure(w, Mode::sync_quorum, std::nullopt);
  BOOST_TEST(w.v().wish->size_bytes == std::uint64_t{2} << 20);
  BOOST_TEST(pending(w).find("a change of its size from 1048576 to 2097152 bytes, its mode from "
                             "sync_all to sync_quorum is under way") != std::string::npos);
  BOOST_TEST(w.plane.resize("v", 3 << 20, false).error().text.find("under way") !=
             std::string::npos);
  tells(w);
  BOOST_TEST(w.v().spec.size_bytes == std::uint64_t{2} << 20);
  BOOST_TEST(rules(w) == "sync_quorum 2");
}

// The rules may wait for a copy for long.
BOOST_AUTO_TEST_CASE(a_size_is_wanted_and_in_force_beside_rules_that_wait) {
  auto w = volume_in(Mode::sync_all);
  configure(w, Mode::sync_quorum, 3);
  w.play(*w.plane.resize("v", 2 << 20, false));
  BOOST_TEST((*w.v().wish == Configuration{2 << 20, Mode::sync_quorum, 3}));
  BOOST_TEST(w.plane.resize("v", 3 << 20, false).error().text.find("under way") !=
             std::string::npos);
  // The primary tells of the size alone. Of its rules nothing is believed.
  tells(w, Configuration{3 << 20, Mode::sync_all, 2});
  BOOST_TEST(w.v().spec.size_bytes == std::uint64_t{1} << 20);
  tells(w, Configuration{2 << 20, Mode::best_effort, 1});
  BOOST_TEST(w.v().spec.size_bytes == std::uint64_t{2} << 20);
  BOOST_TEST(rules(w) == "sync_all 2");
  BOOST_TEST((*w.v().wish == Configuration{2 << 20, Mode::sync_quorum, 3}));
  BOOST_TEST(w.plane.pending_reachable(w.v().spec.id, false).size() <
             w.plane.pending_reachable(w.v().spec.id).size());
  tells(w);
  BOOST_TEST(rules(w) == "sync_quorum 3");
  BOOST_TEST(!w.v().wish.has_value());
}

// --- the set ---------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_voters_of_a_new_quorum_are_those_of_the_set_that_was) {
  auto w = volume_in(Mode::sync_all, 1);
  propose(w, {copy(1)});
  configure(w, Mode::sync_quorum, std::nullopt);
  tells(w);
  BOOST_TEST(set_text(w.v().in_sync) == "1@1");
  // The two that were left out are a majority of the copies, and of no voters.
  w.play(w.plane.on_link_down(1));
  BOOST_TEST(!w.plane.promote("v", "node2", w.at()).has_value());
  BOOST_TEST(w.v().settled());
}

BOOST_AUTO_TEST_CASE(planted_all_copies_are_the_voters_of_a_new_quorum) {
  plant(Bug::mode_change_counts_all);
  auto w = volume_in(Mode::sync_all, 1);
  propose(w, {copy(1)});
  configure(w, Mode::sync_quorum, std::nullopt);
  tells(w);
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1,3@1");
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(in_best_effort_the_primary_alone_counts_from_the_moment_it_is_recorded) {
  auto w = volume_in(Mode::sync_all);
  configure(w, Mode::best_effort, std::nullopt);
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1,3@1");
  tells(w);
  BOOST_TEST(rules(w) == "best_effort 1");
  BOOST_TEST(set_text(w.v().in_sync) == "1@1");
  BOOST_TEST(propose(w, {copy(1), copy(2)}).find("refused") != std::string::npos);
  configure(w, Mode::sync_quorum, 2);
  BOOST_TEST(propose(w, {copy(1), copy(2)}).find("refused") != std::string::npos);
  tells(w);
  BOOST_TEST(set_text(w.v().in_sync) == "1@1");
  BOOST_TEST(propose(w, {copy(1), copy(2)}).find("accepted") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_voter_leaves_by_the_primarys_word_only_on_the_way_to_sync_all) {
  auto w = volume_in(Mode::sync_quorum);
  BOOST_TEST(propose(w, {copy(1), copy(2)}).find("refused") != std::string::npos);
  configure(w, Mode::sync_all, std::nullopt);
  BOOST_TEST(propose(w, {copy(1)}).find("refused") != std::string::npos);  // min_copies.
  BOOST_TEST(propose(w, {copy(1), copy(2)}).find("accepted") != std::string::npos);
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1");
  tells(w);
  BOOST_TEST(rules(w) == "sync_all 2");
}

BOOST_AUTO_TEST_CASE(sync_all_waits_for_a_voter_that_was_removed_to_be_out_of_the_set) {
  auto w = volume_in(Mode::sync_quorum);
  configure(w, Mode::sync_all, std::nullopt);
  w.play(*w.plane.remove_replica("v", "node3"));
  tells(w);
  BOOST_TEST(rules(w) == "sync_quorum 2");
  propose(w, {copy(1), copy(2)});
  tells(w);
  BOOST_TEST(rules(w) == "sync_all 2");
}

BOOST_AUTO_TEST_CASE(no_copy_is_removed_below_the_min_copies_that_are_wanted) {
  auto w = volume_in(Mode::sync_all);
  configure(w, std::nullopt, 3);
  BOOST_TEST(w.plane.remove_replica("v", "node3").error().text.find("min_copies is 3") !=
             std::string::npos);
}

// --- promotions meanwhile ----------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(until_it_is_recorded_a_primary_is_chosen_by_the_old_rule) {
  // One member of a sync_all set is enough.
  auto all = volume_in(Mode::sync_all);
  configure(all, Mode::sync_quorum, std::nullopt);
  all.play(all.plane.on_link_down(1));
  all.play(*all.plane.promote("v", "node2", all.at()));
  all.promised(2, all.promise(2, Epoch(2), Epoch(1), Lsn(9)));
  all.tick(1'000);
  BOOST_TEST(all.v().primary == ReplicaId(2));
  BOOST_TEST((all.v().wish->mode == Mode::sync_quorum));
  // One voter of three is not, though one member would be.
  auto quorum = volume_in(Mode::sync_quorum);
  configure(quorum, Mode::sync_all, std::nullopt);
  quorum.play(quorum.plane.on_link_down(1));
  quorum.play(*quorum.plane.promote("v", "node2", quorum.at()));
  quorum.promised(2, quorum.promise(2, Epoch(2), Epoch(1), Lsn(9)));
  quorum.tick(60'000);
  BOOST_TEST(!quorum.v().settled());
}

BOOST_AUTO_TEST_CASE(as_soon_as_it_is_recorded_a_primary_is_chosen_by_the_new_rule) {
  auto w = volume_in(Mode::sync_all);
  configure(w, Mode::sync_quorum, std::nullopt);
  tells(w);
  w.play(w.plane.on_link_down(1));
  w.play(*w.plane.promote("v", "node2", w.at()));
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(9)));
  w.tick(60'000);
  BOOST_TEST(!w.v().settled());
  w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(10)));
  BOOST_TEST(w.v().primary == ReplicaId(3));
}

// The primary commits with two of three from the moment it hears of it; a vote of one would miss that.
BOOST_AUTO_TEST_CASE(lower_min_copies_cost_a_promotion_more_votes_at_once) {
  const auto one_vote_is_enough = [](std::uint32_t wanted) {
    auto w = volume_in(Mode::sync_quorum, 3);
    if (wanted != 3) configure(w, std::nullopt, wanted);
    w.play(w.plane.on_link_down(1));
    w.play(*w.plane.promote("v", "node2", w.at()));
    w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(9)));
    w.tick(60'000);
    return w.v().settled();
  };
  BOOST_TEST(one_vote_is_enough(3));
  BOOST_TEST(!one_vote_is_enough(2));
}

BOOST_AUTO_TEST_CASE(higher_min_copies_are_in_force_only_by_their_record) {
  auto w = volume_in(Mode::sync_quorum, 2);
  configure(w, std::nullopt, 3);
  BOOST_TEST(rules(w) == "sync_quorum 2");
  // Taken back before: what was committed by two is still looked for among two.
  configure(w, std::nullopt, 2);
  BOOST_TEST(rules(w) == "sync_quorum 2");
  configure(w, std::nullopt, 3);
  tells(w);
  BOOST_TEST(rules(w) == "sync_quorum 3");
}

BOOST_AUTO_TEST_SUITE_END()
