#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"
#include "engine/record/record.hpp"
#include "tests/engine/control_world.hpp"

using namespace tidemark::engine;
using namespace tidemark::engine::control;
using namespace tidemark::engine::control::test;

BOOST_AUTO_TEST_SUITE(control_promotion)

// C1: the primary's node was started again; whatever it finds on its disk, its reign is over.
BOOST_AUTO_TEST_CASE(a_restarted_primary_is_fenced_and_becomes_a_candidate_like_any_other) {
  auto w = three_nodes_and_a_volume();
  BOOST_TEST(w.node_in(1, 2) ==
             "persist node/node1\nto 1: registered\npersist volume\n"
             "to 1: fence r1 e2\nto 2: fence r2 e2\nto 3: fence r3 e2\n");
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(110)));
  BOOST_TEST(w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(105))) ==
             "persist volume\n"
             "to 1: assign r1 replica e2 v2 set 1@1,2@1,3@1\n"
             "to 2: assign r2 primary e2 v2 set 1@1,2@1,3@1\n"
             "to 3: assign r3 replica e2 v2 set 1@1,2@1,3@1\n");
  BOOST_TEST(w.v().primary_incarnation == Incarnation(1));
}

BOOST_AUTO_TEST_CASE(the_old_primary_is_first_among_equals_and_counts_under_its_new_incarnation) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  for (int n = 3; n >= 1; --n)
    w.promised(n, w.promise(n, Epoch(2), Epoch(1), Lsn(110), n == 1 ? 2 : 1));
  BOOST_TEST(w.v().primary == ReplicaId(1));
  BOOST_TEST(set_text(w.v().in_sync) == "1@2,2@1,3@1");
}

// C2: committed is no criterion. A alone heard of no commit, but it holds the flushed records.
BOOST_AUTO_TEST_CASE(the_longest_log_of_the_last_epoch_wins_whatever_it_knows_committed) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  auto behind = w.promise(3, Epoch(2), Epoch(1), Lsn(103));
  behind.committed = Lsn(102);
  auto ahead = w.promise(2, Epoch(2), Epoch(1), Lsn(110));
  ahead.committed = Lsn(98);
  w.promised(3, behind);
  w.promised(2, ahead);
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  BOOST_TEST(w.v().primary == ReplicaId(2));
}

BOOST_AUTO_TEST_CASE(the_planted_mistake_chooses_by_committed) {
  plant(Bug::candidate_by_committed);
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  auto behind = w.promise(3, Epoch(2), Epoch(1), Lsn(103));
  behind.committed = Lsn(102);
  w.promised(3, behind);
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(110)));
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  plant(Bug::none);
  BOOST_TEST(w.v().primary == ReplicaId(3));
}

BOOST_AUTO_TEST_CASE(a_later_epoch_beats_a_longer_log) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(900), 2));
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(900)));
  w.promised(3, w.promise(3, Epoch(2), Epoch(2), Lsn(10)));
  BOOST_TEST(w.v().primary == ReplicaId(3));
}

// C4: without an exact member an answered write may be gone, and the epoch record says so.
BOOST_AUTO_TEST_CASE(without_an_exact_member_the_cache_is_lost) {
  auto w = three_nodes_and_a_volume();
  w.play(w.plane.on_link_down(2));
  w.play(w.plane.on_link_down(3));
  w.node_in(1, 2);
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  BOOST_TEST(w.v().epoch == Epoch(1));  // The others may come within the wait.
  BOOST_TEST(w.tick(999).starts_with("") == true);
  BOOST_TEST(w.v().epoch == Epoch(1));
  BOOST_TEST(w.tick(2) ==
             "persist volume\nto 1: assign r1 primary e2 v2 set 1@2,2@1,3@1 cache_lost\n");
}

BOOST_AUTO_TEST_CASE(a_clean_stop_keeps_a_member_exact_for_one_incarnation) {
  const auto marks_of = [](std::uint64_t incarnation, bool clean) {
    auto w = three_nodes_and_a_volume();
    w.play(w.plane.on_link_down(2));
    w.play(w.plane.on_link_down(3));
    w.node_in(1, incarnation);
    auto p = w.promise(1, Epoch(2), Epoch(1), Lsn(100), incarnation);
    p.clean = clean;
    w.promised(1, p);
    w.tick(1000);
    return int{w.v().marks};
  };
  BOOST_TEST(marks_of(2, true) == 0);
  BOOST_TEST(marks_of(2, false) == EpochBody::cache_lost);
  BOOST_TEST(marks_of(3, true) == EpochBody::cache_lost);
}

BOOST_AUTO_TEST_CASE(nobody_in_the_set_that_may_reign_means_waiting) {
  auto w = three_nodes_and_a_volume();
  w.play(w.plane.on_message(
      1, ProposeSet{w.v().spec.id,
                    Epoch(1),
                    Version(1),
                    {{ReplicaId(1), Incarnation(1)}, {ReplicaId(2), Incarnation(1)}},
                    "",
                    0}));
  w.node_in(1, 2);
  auto damaged = w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2);
  damaged.base = BaseState::damaged;
  w.promised(1, damaged);
  w.play(w.plane.on_link_down(2));
  w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(100)));  // Not in the set: nobody asked it.
  w.tick(5000);
  BOOST_TEST(w.v().epoch == Epoch(1));
  // The member comes back, is asked, and reigns.
  BOOST_TEST(w.node_in(2, 1) == "to 2: registered\nto 2: fence r2 e2\n");
  BOOST_TEST(
      w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(90))).starts_with("persist volume\n"));
  BOOST_TEST(w.v().primary == ReplicaId(2));
}

BOOST_AUTO_TEST_CASE(an_incomplete_base_never_reigns) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  auto rebuilding = w.promise(2, Epoch(2), Epoch(1), Lsn(500));
  rebuilding.base = BaseState::incomplete;
  w.promised(2, rebuilding);
  w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(99)));
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  BOOST_TEST(w.v().primary == ReplicaId(1));
}

BOOST_AUTO_TEST_CASE(the_reserved_epoch_survives_a_crash_and_is_never_given_twice) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(100)));
  w.restart();
  BOOST_TEST(w.v().fencing == Epoch(2));
  BOOST_TEST(w.node_in(1, 3) == "persist node/node1\nto 1: registered\nto 1: fence r1 e2\n");
  BOOST_TEST(w.node_in(2) == "to 2: registered\nto 1: fence r1 e2\nto 2: fence r2 e2\n");
  BOOST_TEST(w.node_in(3).find("to 3: fence r3 e2\n") != std::string::npos);
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 3));
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(100)));
  w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(100)));
  BOOST_TEST(w.v().epoch == Epoch(2));
  w.play(*w.plane.promote("v", "node2", w.at()));
  BOOST_TEST(w.v().fencing == Epoch(3));
}

// The record is durable, the messages are lost with the process.
BOOST_AUTO_TEST_CASE(a_crash_between_the_choice_and_its_telling_only_delays_it) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  for (int n = 1; n <= 3; ++n)
    w.promised(n, w.promise(n, Epoch(2), Epoch(1), Lsn(100), n == 1 ? 2 : 1));
  w.restart();
  BOOST_TEST(w.node_in(2) == "to 2: registered\nto 2: assign r2 replica e2 v2 set 1@2,2@1,3@1\n");
  BOOST_TEST(w.node_in(1, 2) ==
             "to 1: registered\nto 1: assign r1 primary e2 v2 set 1@2,2@1,3@1\n");
}

BOOST_AUTO_TEST_CASE(a_crash_before_the_choice_is_durable_takes_promises_again) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  const auto before = w.catalog;
  for (int n = 1; n <= 3; ++n)
    w.promised(n, w.promise(n, Epoch(2), Epoch(1), Lsn(100), n == 1 ? 2 : 1));
  w.catalog = before;
  w.restart();
  BOOST_TEST(w.v().fencing == Epoch(2));
  w.node_in(1, 2);
  w.node_in(2);
  w.node_in(3);
  for (int n = 1; n <= 3; ++n)
    w.promised(n, w.promise(n, Epoch(2), Epoch(1), Lsn(100), n == 1 ? 2 : 1));
  BOOST_TEST(w.v().epoch == Epoch(2));
}

BOOST_AUTO_TEST_CASE(late_and_duplicate_promises_are_harmless) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  const auto early = w.promise(2, Epoch(2), Epoch(1), Lsn(100));
  w.promised(2, early);
  auto again = early;
  again.end = Lsn(999);
  w.promised(2, again);  // The first word stands: nothing could be added to the log since.
  w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(120)));
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(110), 2));
  BOOST_TEST(w.v().primary == ReplicaId(3));
  BOOST_TEST(w.promised(2, early) == "");
  BOOST_TEST(w.v().epoch == Epoch(2));
}

BOOST_AUTO_TEST_CASE(a_promise_of_an_ended_incarnation_is_asked_for_again) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(100)));
  BOOST_TEST(w.node_in(2, 2).find("to 2: fence r2 e2") != std::string::npos);
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(100), 1));  // Late, of the one that ended.
  w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(90)));
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(90), 2));
  BOOST_TEST(w.v().epoch == Epoch(1));
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(100), 2));
  BOOST_TEST(w.v().primary == ReplicaId(2));
  BOOST_TEST(w.v().primary_incarnation == Incarnation(2));
  BOOST_TEST(int{w.v().marks} == 0);  // node3 never stopped.
}

BOOST_AUTO_TEST_CASE(a_higher_promise_somewhere_raises_the_epoch_that_is_asked_for) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  auto refusal = w.promise(2, Epoch(7), Epoch(1), Lsn(100));
  refusal.accepted = false;
  BOOST_TEST(w.promised(2, refusal) ==
             "persist volume\nto 1: fence r1 e8\nto 2: fence r2 e8\nto 3: fence r3 e8\n");
}

BOOST_AUTO_TEST_CASE(a_member_without_the_replica_is_not_waited_for) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  auto nothing = w.promise(2, Epoch(0), Epoch(0), Lsn(0));
  nothing.accepted = false;
  w.promised(2, nothing);
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(90)));
  BOOST_TEST(w.v().epoch == Epoch(2));
}

BOOST_AUTO_TEST_CASE(a_late_refusal_of_an_earlier_question_is_no_answer) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  w.play(*w.plane.promote("v", "node2", w.at()));  // Asks for epoch 3 now.
  auto late = w.promise(2, Epoch(2), Epoch(1), Lsn(100));
  late.accepted = false;
  BOOST_TEST(w.promised(2, late) == "");
  w.promised(1, w.promise(1, Epoch(3), Epoch(1), Lsn(100), 2));
  w.promised(3, w.promise(3, Epoch(3), Epoch(1), Lsn(100)));
  BOOST_TEST(w.v().epoch == Epoch(1));  // node2 is still waited for.
  w.promised(2, w.promise(2, Epoch(3), Epoch(1), Lsn(100)));
  BOOST_TEST(w.v().primary == ReplicaId(2));
}

BOOST_AUTO_TEST_CASE(a_member_that_gets_its_replica_late_is_asked_again) {
  auto w = three_nodes_and_a_volume();
  w.node_in(1, 2);
  auto nothing = w.promise(2, Epoch(0), Epoch(0), Lsn(0));
  nothing.accepted = false;
  w.promised(2, nothing);
  BOOST_TEST(w.tick(500).find("to 2: fence r2 e2") != std::string::npos);
  w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(120)));
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  w.promised(3, w.promise(3, Epoch(2), Epoch(1), Lsn(90)));
  BOOST_TEST(w.v().primary == ReplicaId(2));
}

BOOST_AUTO_TEST_CASE(a_primary_that_gives_up_its_reign_starts_a_promotion) {
  auto w = three_nodes_and_a_volume();
  auto ended = w.promise(1, Epoch(1), Epoch(0), Lsn(0));
  ended.accepted = false;
  ended.ended = true;
  ended.problem = "the store failed";
  BOOST_TEST(w.promised(1, ended).starts_with("persist volume\nto 1: fence r1 e2\n"));
  BOOST_TEST(w.promised(1, ended) == "");  // Repeated: it is being done.
  for (int n = 1; n <= 3; ++n)
    w.promised(n, w.promise(n, Epoch(2), Epoch(1), Lsn(n == 2 ? 101 : 100)));
  BOOST_TEST(w.v().primary == ReplicaId(2));
  BOOST_TEST(w.promised(1, ended) == "");  // Late: that reign is history.
}

BOOST_AUTO_TEST_CASE(best_effort_goes_on_with_the_set_member_alone) {
  World w;
  for (int n = 1; n <= 3; ++n) w.node_in(n);
  w.create(3, Mode::best_effort, 1);
  BOOST_TEST(w.node_in(1, 2).find("fence r2") == std::string::npos);
  w.promised(1, w.promise(1, Epoch(2), Epoch(1), Lsn(100), 2));
  BOOST_TEST(w.v().epoch == Epoch(2));
  BOOST_TEST(set_text(w.v().in_sync) == "1@2");
}

// --- an operator's wish --------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(an_operator_gets_the_primary_wished_for_when_its_log_is_as_good) {
  auto w = three_nodes_and_a_volume();
  BOOST_TEST(w.play(*w.plane.promote("v", "node3", w.at())) ==
             "persist volume\nto 1: fence r1 e2\nto 2: fence r2 e2\nto 3: fence r3 e2\n");
  for (int n = 1; n <= 3; ++n) w.promised(n, w.promise(n, Epoch(2), Epoch(1), Lsn(100)));
  BOOST_TEST(w.v().primary == ReplicaId(3));
  BOOST_TEST(w.plane.refused_wish(w.v().spec.id) == "");
}

BOOST_AUTO_TEST_CASE(an_operator_hears_the_numbers_when_it_is_not) {
  auto w = three_nodes_and_a_volume();
  w.play(*w.plane.promote("v", "node3", w.at()));
  w.node_in(3, 2);  // It started again and may lack answered records.
  for (int n = 1; n <= 3; ++n)
    w.promised(n, w.promise(n, Epoch(2), Epoch(1), Lsn(n == 3 ? 99 : 100), n == 3 ? 2 : 1));
  BOOST_TEST(w.v().primary == ReplicaId(1));  // The volume goes on all the same.
  const auto why = w.plane.refused_wish(w.v().spec.id);
  BOOST_TEST(why.find("node3 ends at (1, 99)") != std::string::npos);
  BOOST_TEST(why.find("node1 ends at (1, 100)") != std::string::npos);
}

// Decision 0008: what the longer log has beyond it was neither answered nor committed.
BOOST_AUTO_TEST_CASE(an_exact_member_is_promoted_though_the_primary_was_ahead) {
  auto w = three_nodes_and_a_volume();
  w.play(*w.plane.promote("v", "node3", w.at()));
  for (int n = 1; n <= 3; ++n)
    w.promised(n, w.promise(n, Epoch(2), Epoch(1), Lsn(n == 1 ? 107 : 100)));
  BOOST_TEST(w.v().primary == ReplicaId(3));
  BOOST_TEST(int{w.v().marks} == 0);
}

// Node 3's disk was put back to a snapshot, catalog and all, and calls its process by the number of another one.
BOOST_AUTO_TEST_CASE(a_member_that_lacks_what_others_know_committed_is_not_exact_whatever_it_says) {
  for (const std::uint64_t committed : {60u, 61u}) {
    auto w = three_nodes_and_a_volume();
    w.play(*w.plane.promote("v", "node3", w.at()));
    for (int n = 1; n <= 3; ++n) {
      auto promise = w.promise(n, Epoch(2), Epoch(1), Lsn(n == 3 ? 60 : 100));
      promise.committed = Lsn(n == 3 ? 50 : committed);
      // The others were started again: was it exact, no answered write would be lost.
      if (n != 3) promise.incarnation = Incarnation(2);
      if (n != 3) w.node_in(n, 2);
      w.promised(n, promise);
    }
    const bool believed = committed == 60;
    BOOST_TEST(w.v().primary == ReplicaId(believed ? 3 : 1));
    BOOST_TEST(int{w.v().marks} == (believed ? 0 : EpochBody::cache_lost));
  }
}

// The set is {1}, it is gone for good, and 3 was left behind.
BOOST_AUTO_TEST_CASE(a_forced_promotion_takes_a_copy_that_lacks_committed_records_and_says_so) {
  for (int n = 0; n < 2; ++n) {
    World w;
    for (int node = 1; node <= 3; ++node) w.node_in(node);
    w.create(3, Mode::best_effort, 1);
    w.play(w.plane.on_link_down(1));
    BOOST_CHECK(!w.plane.promote("v", "node3", w.at()));  // Not without being told to.
    const auto asked = w.play(*w.plane.promote("v", "node3", w.at(), true));
    BOOST_TEST(asked.find("fence r3 e") != std::string::npos);
    const auto epoch = w.v().fencing;
    if (n == 1) w.promised(2, w.promise(2, epoch, Epoch(1), Lsn(100)));
    BOOST_TEST(w.v().epoch != epoch);  // The one that is wanted has not spoken.
    w.promised(3, w.promise(3, epoch, Epoch(1), Lsn(60)));
    w.now = w.now + 5 * second;
    w.play(w.plane.on_choice_due(w.at()));
    BOOST_TEST(w.v().primary == ReplicaId(3));
    BOOST_TEST(int{w.v().marks} == (EpochBody::forced | EpochBody::cache_lost));
    BOOST_TEST(set_text(w.v().in_sync) == "3@1");
  }
}

BOOST_AUTO_TEST_CASE(a_forced_promotion_that_loses_nothing_is_none) {
  auto w = three_nodes_and_a_volume();
  w.play(*w.plane.promote("v", "node3", w.at(), true));
  for (int n = 1; n <= 3; ++n) w.promised(n, w.promise(n, Epoch(2), Epoch(1), Lsn(100)));
  BOOST_TEST(w.v().primary == ReplicaId(3));
  BOOST_TEST(int{w.v().marks} == 0);
  BOOST_TEST(w.v().in_sync.size() == 3u);
}

BOOST_AUTO_TEST_CASE(no_force_makes_a_primary_of_a_copy_that_is_not_whole) {
  auto w = three_nodes_and_a_volume();
  w.play(*w.plane.promote("v", "node3", w.at(), true));
  for (int n = 1; n <= 3; ++n) {
    auto promise = w.promise(n, Epoch(2), Epoch(1), Lsn(100));
    if (n == 3) promise.base = BaseState::incomplete;
    w.promised(n, promise);
  }
  BOOST_TEST(w.v().primary == ReplicaId(1));
  BOOST_TEST(int{w.v().marks} == 0);
}

BOOST_AUTO_TEST_CASE(a_copy_that_is_being_replaced_can_still_become_primary) {
  auto w = three_nodes_and_a_volume();
  w.node_in(4);
  w.play(*w.plane.replace_replica("v", "node3", "node4"));
  w.play(w.plane.on_link_down(1));
  BOOST_TEST(w.play(*w.plane.promote("v", "node3", w.at())) ==
             "persist volume\nto 2: fence r2 e2\nto 3: fence r3 e2\n");
}

// One wait a promotion, however often its members are asked, and however many volumes wait.
BOOST_AUTO_TEST_CASE(the_end_of_a_wait_asks_nobody_again) {
  auto w = three_nodes_and_a_volume();
  BOOST_TEST(!w.plane.choice_due().has_value());
  w.play(*w.plane.promote("v", "node3", w.at()));
  BOOST_REQUIRE(w.plane.choice_due().has_value());
  w.tick(500);
  w.now = w.now + 500 * millisecond;
  BOOST_TEST((*w.plane.choice_due() == w.now));
  BOOST_TEST(w.play(w.plane.on_choice_due(w.at())) == "");  // Nobody promised: nobody is chosen.
  BOOST_TEST(!w.plane.choice_due().has_value());
  BOOST_TEST(w.promised(2, w.promise(2, Epoch(2), Epoch(1), Lsn(100))) != "");  // At once.
  BOOST_TEST(w.v().primary == ReplicaId(2));
}

BOOST_AUTO_TEST_CASE(wishes_that_cannot_be_are_refused_before_anybody_is_fenced) {
  auto w = three_nodes_and_a_volume();
  BOOST_CHECK(!w.plane.promote("nope", "node3", w.at()));
  BOOST_CHECK(!w.plane.promote("v", "node9", w.at()));
  BOOST_TEST(w.play(*w.plane.promote("v", "node1", w.at())) == "");  // It is primary.
  w.play(w.plane.on_link_down(2));
  BOOST_CHECK(!w.plane.promote("v", "node2", w.at()));
  w.play(w.plane.on_message(
      1, ProposeSet{w.v().spec.id,
                    Epoch(1),
                    Version(1),
                    {{ReplicaId(1), Incarnation(1)}, {ReplicaId(2), Incarnation(1)}},
                    "",
                    0}));
  BOOST_CHECK(!w.plane.promote("v", "node3", w.at()));
  BOOST_TEST(w.v().settled());
}

// --- the whole table -----------------------------------------------------------------------------

// Two members in the set and one outside, each with every combination of what can matter, against a
// model that says the rule in its plainest form.
BOOST_AUTO_TEST_CASE(every_small_choice_agrees_with_the_plain_rule) {
  struct Fate {
    int answer;  // 0 silent, 1 refused, 2 incomplete, 3 damaged, 4 promised
    std::uint64_t last, end, incarnation;
    bool clean;
  };
  std::vector<Fate> fates{
      {0, 0, 0, 1, false}, {1, 0, 0, 1, false}, {2, 2, 9, 1, false}, {3, 2, 9, 1, false}};
  for (std::uint64_t last = 1; last <= 2; ++last)
    for (std::uint64_t end = 4; end <= 5; ++end)
      for (std::uint64_t incarnation = 1; incarnation <= 3; ++incarnation)
        for (const bool clean : {false, true}) fates.push_back({4, last, end, incarnation, clean});
  VolumeRecord volume;
  volume.primary = ReplicaId(2);
  volume.in_sync = {{ReplicaId(1), Incarnation(1)}, {ReplicaId(2), Incarnation(1)}};
  for (std::uint64_t r = 1; r <= 3; ++r)
    volume.members.push_back({ReplicaId(r), node_id(static_cast<int>(r)), {}});
  std::size_t walked = 0;
  for (const auto& a : fates)
    for (const auto& b : fates)
      for (const auto& outside : fates)
        for (std::uint64_t wanted = 0; wanted <= 3; ++wanted) {
          const Fate* all[] = {&a, &b, &outside};
          Promises promises;
          for (std::uint64_t r = 1; r <= 3; ++r) {
            const auto& f = *all[r - 1];
            if (f.answer == 0) continue;
            Promise p;
            p.replica = ReplicaId(r);
            p.accepted = f.answer != 1;
            p.base = f.answer == 2   ? BaseState::incomplete
                     : f.answer == 3 ? BaseState::damaged
                                     : BaseState::complete;
            p.last_epoch = Epoch(f.last);
            p.end = Lsn(f.end);
            p.incarnation = Incarnation(f.incarnation);
            p.clean = f.clean;
            promises[p.replica] = p;
          }
          volume.wanted = ReplicaId(wanted);
          const auto choice = choose(volume, promises);
          // The model.
          const bool may[] = {a.answer == 4, b.answer == 4};
          const auto worth = [](const Fate& f) { return f.last * 100 + f.end; };
          std::uint64_t winner = 0;
          if (may[0]) winner = 1;
          if (may[1] && (!may[0] || worth(b) >= worth(a))) winner = 2;
          const auto best = winner == 0 ? 0 : worth(*all[winner - 1]);
          const auto exact = [](const Fate& f) {
            return f.incarnation == 1 || (f.incarnation == 2 && f.clean);
          };
          if (wanted == 1 && may[0] && (worth(a) == best || exact(a))) winner = 1;
          if (wanted == 2 && may[1] && (worth(b) == best || exact(b))) winner = 2;
          const bool exact_one = (may[0] && exact(a)) || (may[1] && exact(b));
          ++walked;
          if (choice.winner.value_or(ReplicaId()) != ReplicaId(winner) ||
              choice.exact != exact_one ||
              choice.wanted_refused.empty() != (winner == 0 || wanted == 0 || wanted == winner)) {
            BOOST_FAIL(fmt::format("a {} b {} outside {} wanted {}: {} instead of {}", a.answer,
                                   b.answer, outside.answer, wanted,
                                   choice.winner.value_or(ReplicaId()), winner));
          }
        }
  BOOST_TEST(walked == fates.size() * fates.size() * fates.size() * 4);
}

BOOST_AUTO_TEST_SUITE_END()
