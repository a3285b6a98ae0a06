// Promotions and changes of the voters in sync_quorum.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"
#include "engine/quorum.hpp"
#include "engine/record/record.hpp"
#include "tests/engine/control_world.hpp"

using namespace tidemark::engine;
using namespace tidemark::engine::control;
using namespace tidemark::engine::control::test;

namespace {

World three_voters(std::uint32_t min_copies = 2) {
  World w;
  for (int n = 1; n <= 4; ++n) w.node_in(n);
  CreateVolume wish;
  wish.spec = VolumeSpec{{}, "v", 1 << 20, Mode::sync_quorum, AckPolicy::received, 3, min_copies};
  wish.nodes = {"node1", "node2", "node3"};
  w.play(*w.plane.create(wish, w.at()));
  for (int n = 1; n <= 3; ++n) w.take(n);
  return w;
}

std::string propose(World& w, std::vector<SetMember> set) {
  return w.play(w.plane.on_message(
      1, ProposeSet{w.v().spec.id, w.v().epoch, w.v().version, std::move(set), "", 0}));
}

SetMember voter(std::uint64_t replica, std::uint64_t incarnation = 1) {
  return {ReplicaId(replica), Incarnation(incarnation)};
}

std::string pending(const World& w) {
  std::string text;
  for (const auto& what : w.plane.pending(w.v().spec.id)) text += what + "\n";
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(control_quorum)

BOOST_AUTO_TEST_CASE(a_fresh_volume_has_all_its_copies_as_voters) {
  auto w = three_voters();
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1,3@1");
}

BOOST_AUTO_TEST_CASE(fewer_votes_than_needed_wait_however_long_and_say_who_is_missing) {
  auto w = three_voters();
  w.play(w.plane.on_link_down(2));
  w.play(w.plane.on_link_down(3));
  w.node_in(1, 2);
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  w.tick(60'000);
  BOOST_TEST(!w.v().settled());
  BOOST_TEST(pending(w).find("epoch 2 is being promised; 1 of the 2 votes that 3 voters need are "
                             "there; no answer yet from node2, node3") != std::string::npos);
  // An operator changes nothing about that.
  w.play(*w.plane.promote("v", "node1", w.at()));
  w.promised(1, w.promise(1, Epoch(3), Epoch(1), Lsn(100), 2));
  w.tick(60'000);
  BOOST_TEST(!w.v().settled());
  // The second vote comes after the wait: at once.
  w.node_in(3);
  w.promised(3, w.promise(3, Epoch(3), Epoch(1), Lsn(110)));
  BOOST_TEST(w.v().settled());
  BOOST_TEST(w.v().primary == ReplicaId(3));
}

BOOST_AUTO_TEST_CASE(the_longer_of_two_logs_wins_when_the_primary_is_gone) {
  auto w = three_voters();
  w.play(w.plane.on_link_down(1));
  w.play(*w.plane.promote("v", "node2", w.at()));
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(3)));
  BOOST_TEST(!w.v().settled());
  w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(110)));
  w.tick(1'000);
  BOOST_TEST(w.v().primary == ReplicaId(3));
  BOOST_TEST(int{w.v().marks} == 0);
  BOOST_TEST(w.plane.refused_wish(w.v().spec.id).find("node2 ends at (1, 3)") != std::string::npos);
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1,3@1");
}

BOOST_AUTO_TEST_CASE(an_exact_voter_that_is_shorter_is_not_promoted_for_being_wanted) {
  auto w = three_voters();
  w.play(*w.plane.promote("v", "node3", w.at()));
  for (int n = 1; n <= 3; ++n)
    w.promised(n, w.promise(n, Epoch(2), Epoch(1), Lsn(n == 1 ? 107 : 100)));
  BOOST_TEST(w.v().primary == ReplicaId(1));
}

// C13: committed 100 on the primary and on a copy that lost it; the third is behind.
BOOST_AUTO_TEST_CASE(a_copy_that_lost_data_and_one_behind_do_not_elect) {
  const auto settled_with = [](BaseState base) {
    auto w = three_voters();
    w.play(w.plane.on_link_down(1));
    w.play(*w.plane.promote("v", "node2", w.at()));
    auto lost = w.promise(3, Epoch(2), Epoch(1), Lsn(5));
    lost.base = base;
    w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(60)));
    w.promised(3, lost);
    w.tick(60'000);
    return w.v().settled();
  };
  BOOST_TEST(!settled_with(BaseState::incomplete));
  BOOST_TEST(!settled_with(BaseState::damaged));
  plant(Bug::quorum_counts_voteless);
  const bool elected = settled_with(BaseState::incomplete);
  plant(Bug::none);
  BOOST_TEST(elected);
}

BOOST_AUTO_TEST_CASE(a_voteless_copy_is_named_while_its_promise_is_not_enough) {
  auto w = three_voters();
  w.play(w.plane.on_link_down(1));
  w.play(*w.plane.promote("v", "node2", w.at()));
  auto lost = w.promise(3, Epoch(2), Epoch(1), Lsn(100));
  lost.base = BaseState::damaged;
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(60)));
  w.promised(3, lost);
  BOOST_TEST(
      pending(w).find("1 of the 2 votes that 3 voters need are there; node3 has no vote: its "
                      "copy is damaged; no answer yet from node1") != std::string::npos);
}

// C4: an answered write was in the memory of two; both were lost.
BOOST_AUTO_TEST_CASE(the_cache_is_lost_when_as_many_lost_their_memory_as_had_to_have_a_write) {
  const auto marks_of = [](std::uint64_t incarnation, bool clean) {
    auto w = three_voters();
    w.node_in(1, 2);
    w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
    auto p = w.promise(2, Epoch(2), Epoch(1), Lsn(100), incarnation);
    p.clean = clean;
    w.node_in(2, incarnation);
    w.promised(2, p);
    w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(100)));
    BOOST_TEST(w.v().settled());
    return int{w.v().marks};
  };
  BOOST_TEST(marks_of(1, false) == 0);  // one lost its memory
  BOOST_TEST(marks_of(2, false) == EpochBody::cache_lost);
  BOOST_TEST(marks_of(2, true) == 0);
}

BOOST_AUTO_TEST_CASE(a_voter_that_is_silent_may_have_been_one_of_those_that_had_it) {
  auto w = three_voters();
  w.play(w.plane.on_link_down(3));
  w.node_in(1, 2);
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(90)));
  w.tick(1'000);
  BOOST_TEST(w.v().primary == ReplicaId(1));
  BOOST_TEST(int{w.v().marks} == EpochBody::cache_lost);
}

// --- who is a voter ------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_primary_may_not_leave_a_voter_out) {
  auto w = three_voters(1);
  BOOST_TEST(propose(w, {voter(1), voter(2)}).find("refused") != std::string::npos);
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1,3@1");
}

BOOST_AUTO_TEST_CASE(a_removed_voter_counts_until_the_primary_asks_for_the_set_without_it) {
  auto w = three_voters();
  BOOST_TEST(w.play(*w.plane.remove_replica("v", "node3")) ==
             "persist volume\nto 3: unassign r3\n"
             "to 1: assign r1 primary e1 v2 set 1@1,2@1,3@1\n"
             "to 2: assign r2 replica e1 v2 set 1@1,2@1,3@1\n");
  BOOST_TEST(pending(w).find("replica 3 was removed and still counts") != std::string::npos);
  // One at a time.
  const auto another = w.plane.remove_replica("v", "node2");
  BOOST_REQUIRE(!another);
  BOOST_TEST(another.error().text.find("replica 3 was removed and still counts") !=
             std::string::npos);
  // It stands in an unchanged set, and leaves with the primary's.
  BOOST_TEST(propose(w, {voter(1), voter(2), voter(3)}).find("accepted") != std::string::npos);
  BOOST_TEST(propose(w, {voter(1), voter(2)}).find("accepted") != std::string::npos);
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1");
  BOOST_TEST(w.v().left_voter() == nullptr);
}

BOOST_AUTO_TEST_CASE(a_removed_voter_is_in_the_denominator_of_a_promotion) {
  auto w = three_voters();
  w.play(*w.plane.remove_replica("v", "node3"));
  w.restart();
  for (int n = 1; n <= 3; ++n) w.node_in(n, n == 1 ? 2 : 1);
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  w.tick(60'000);
  BOOST_TEST(!w.v().settled());
  // Nobody waits for the one that left.
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(90)));
  BOOST_TEST(w.v().primary == ReplicaId(1));
}

BOOST_AUTO_TEST_CASE(a_replaced_voter_counts_until_its_replacement_and_the_primary_say_so) {
  auto w = three_voters();
  w.play(*w.plane.replace_replica("v", "node3", "node4"));
  BOOST_TEST(w.v().members.size() == 4U);
  propose(w, {voter(1), voter(2), voter(3), voter(4)});
  // The replacement is a voter: the old copy may go, its voice not yet.
  BOOST_TEST(w.v().members.size() == 3U);
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1,3@1,4@1");
  propose(w, {voter(1), voter(2), voter(4)});
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1,4@1");
}

BOOST_AUTO_TEST_CASE(a_damaged_copy_is_replaced_where_it_stands) {
  auto w = three_voters();
  w.play(*w.plane.replace_replica("v", "node3", ""));
  BOOST_TEST(set_text(w.v().in_sync) == "1@1,2@1,3@1");
  BOOST_TEST(w.v().members.back().replica == ReplicaId(4));
  BOOST_TEST((w.v().members.back().node == node_id(3)));
  // Its replacement may need one itself: that takes no voter away.
  BOOST_TEST(w.plane.replace_replica("v", "node3", "").has_value());
}

// --- the whole table -----------------------------------------------------------------------------

// A write is on as many voters as must have it; then each voter meets its fate. Whoever is chosen
// has it, unless memories were lost, and then the choice says so.
BOOST_AUTO_TEST_CASE(no_choice_that_is_called_exact_lacks_a_write_that_enough_voters_had) {
  enum Had { nothing, memory, disk };
  enum Fate { silent, restarted, stopped_cleanly, stayed, voteless, fates };
  const auto one = [](std::size_t n, std::uint64_t code, std::uint32_t min_copies) {
    VolumeRecord volume;
    volume.spec.mode = Mode::sync_quorum;
    volume.spec.min_copies = min_copies;
    volume.primary = ReplicaId(1);
    Promises promises;
    std::size_t had_it = 0, on_disk = 0, answers = 0;
    for (std::uint64_t r = 1; r <= n; ++r) {
      const auto had = static_cast<Had>(code % 3);
      const auto fate = static_cast<Fate>(code / 3 % fates);
      code /= 3 * fates;
      volume.in_sync.push_back({ReplicaId(r), Incarnation(1)});
      volume.members.push_back({ReplicaId(r), node_id(static_cast<int>(r)), {}});
      if (had != nothing) ++had_it;
      if (had == disk) ++on_disk;
      if (fate == silent) continue;
      if (fate != voteless) ++answers;
      Promise p;
      p.replica = ReplicaId(r);
      p.accepted = true;
      p.last_epoch = Epoch(1);
      const bool kept = had == disk || (had == memory && fate != restarted);
      p.end = Lsn(fate == voteless ? 1U : kept ? 10U : 9U);
      p.incarnation = Incarnation(fate == stayed || fate == voteless ? 1U : 2U);
      p.clean = fate == stopped_cleanly;
      if (fate == voteless) p.base = BaseState::incomplete;
      promises[p.replica] = p;
    }
    const auto required = required_voters(n, min_copies);
    const auto choice = choose(volume, promises);
    const bool enough = answers >= n - required + 1;
    bool right = choice.winner.has_value() == enough;
    if (choice.winner) {
      const bool has = promises.at(*choice.winner).end == Lsn(10);
      if (on_disk >= required) right = right && has;
      if (had_it >= required && choice.exact) right = right && has;
    }
    return right;
  };
  std::size_t walked = 0, wrong = 0;
  for (const auto& [n, min_copies] : std::initializer_list<std::pair<std::size_t, std::uint32_t>>{
           {1, 1}, {2, 1}, {3, 1}, {3, 3}, {4, 2}}) {
    std::uint64_t codes = 1;
    for (std::size_t i = 0; i < n; ++i) codes *= 3 * fates;
    for (std::uint64_t code = 0; code < codes; ++code) {
      ++walked;
      if (!one(n, code, min_copies)) ++wrong;
    }
  }
  BOOST_TEST(walked > 50'000U);
  BOOST_TEST(wrong == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
