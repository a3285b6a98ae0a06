// The judge of logs: what stores say is on their disks, and what they have checkpointed.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/sim/logs_rig.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using namespace tidemark::sim::logs_rig;

namespace {

/// Replica 1 has five records, and said that so many of them are durable.
struct Durable : Judge {
  Log log = Log().reign(1, 4);
  explicit Durable(std::uint64_t durable = 5) {
    opens(1);
    listens(1);
    appends(1, log.records, 0);
    progresses(1, durable, log.digest(durable));
  }
  /// It comes back with so many of them.
  void comes_back(std::uint64_t end, engine::BaseState base = engine::BaseState::complete) {
    opens(2, 1, Lsn(end), log.digest(end), base);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(logs)

// --- what stores say is on their disks -----------------------------------------------------------

BOOST_AUTO_TEST_CASE(what_was_said_to_be_durable_comes_back) {
  for (const std::uint64_t end : {3U, 4U, 5U}) {
    Durable d(4);
    d.comes_back(end);
    BOOST_TEST(d.found == (end < 4 ? "durable_lost\n" : ""));
  }
}

BOOST_AUTO_TEST_CASE(what_is_heard_late_of_a_shorter_log_takes_nothing_back) {
  Durable d;
  d.progresses(1, 3, d.log.digest(3));
  d.comes_back(4);
  BOOST_TEST(d.found == "durable_lost\n");
}

BOOST_AUTO_TEST_CASE(after_rot_the_last_records_may_pass_for_a_torn_tail) {
  Durable d;
  d.logs.rot_was_injected();
  d.comes_back(3);
  BOOST_TEST(d.found == "");
}

BOOST_AUTO_TEST_CASE(after_rot_what_the_log_proves_durable_passes_for_no_torn_tail) {
  for (const auto base : {engine::BaseState::complete, engine::BaseState::damaged}) {
    for (const std::uint64_t end : {2U, 3U}) {
      Durable d;
      d.life = std::make_shared<Life>();
      d.life->node = 3;
      d.logs.rot_was_injected();
      d.logs.log_proves(3, Lsn(3));
      d.comes_back(end, base);
      const bool unnoticed = base == engine::BaseState::complete && end < 3;
      BOOST_TEST(d.found == (unnoticed ? "damage_unnoticed\n" : ""));
      d.found.clear();
      d.comes_back(2);  // It was proved to that opening alone.
      BOOST_TEST(d.found == "");
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_proved_on_one_node_is_not_on_another) {
  Durable d;
  d.life = std::make_shared<Life>();
  d.logs.rot_was_injected();
  d.logs.log_proves(3, Lsn(3));
  d.comes_back(2);
  BOOST_TEST(d.found == "");
}

BOOST_AUTO_TEST_CASE(a_copy_that_is_being_rebuilt_does_not_have_what_it_had) {
  Durable d;
  d.comes_back(3, engine::BaseState::incomplete);
  BOOST_TEST(d.found == "");
}

BOOST_AUTO_TEST_CASE(a_rebuilt_log_has_only_what_it_says_anew) {
  Durable d;
  actors::BeginBase base;
  base.log.base = Lsn(3);
  base.log.digest = d.log.digest(3);
  d.step(1, 0, base);
  d.comes_back(3);
  BOOST_TEST(d.found == "");
}

BOOST_AUTO_TEST_CASE(
    what_is_cut_is_not_looked_for_and_what_was_not_durable_is_not_made_so_by_a_cut) {
  Durable d;
  d.step(1, 0, actors::TruncateLog{Lsn(3)});
  d.comes_back(3);
  BOOST_TEST(d.found == "");
  Durable some(2);
  some.step(1, 0, actors::TruncateLog{Lsn(4)});
  some.comes_back(3);
  BOOST_TEST(some.found == "");
}

BOOST_AUTO_TEST_CASE(what_was_said_before_a_cut_and_is_heard_behind_it_counts_no_more) {
  Durable d(2);
  d.step(1, 0, actors::TruncateLog{Lsn(3)});
  auto other = Log(Lsn(3), d.log.digest(3));
  d.progresses(1, 5, d.log.digest(5));  // As it was.
  d.appends(1, other.reign(2, 2).records, 0);
  d.progresses(1, 4, d.log.digest(4));
  d.comes_back(3);
  BOOST_TEST(d.found == "");
}

// A store is opened once, and asked again by each role that it serves; then not all it has is durable.
BOOST_AUTO_TEST_CASE(a_store_that_is_asked_again_says_nothing_of_its_disk) {
  Durable d(3);
  d.opens(1, 1, Lsn(5), d.log.digest(5));
  d.comes_back(3);
  BOOST_TEST(d.found == "");
}

BOOST_AUTO_TEST_CASE(a_listener_of_a_store_that_was_never_opened_is_told_nothing) {
  Judge j;
  j.listens(1);
  j.progresses(1, 3, Digest{7, 9});
  BOOST_TEST(j.found == "");
}

// --- what stores have checkpointed ---------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_checkpoint_is_not_ahead_of_what_is_durable) {
  Durable d(3);
  d.hears(1, 5);
  d.progresses(1, 3, d.log.digest(3), 3);
  BOOST_TEST(d.found == "");
  d.progresses(1, 3, d.log.digest(3), 4);
  BOOST_TEST(d.found == "checkpoint_ahead\n");
}

BOOST_AUTO_TEST_CASE(extents_hold_only_what_was_committed) {
  Durable d;
  d.hears(1, 4);
  d.opens(3);
  d.listens(3);
  d.appends(3, part(d.log.records, 2), 2);
  auto other = Log(Lsn(2), d.log.digest(2));
  d.appends(3, other.reign(2, 1).records, 0);
  d.progresses(3, 4, other.digest(2), 2);
  BOOST_TEST(d.found == "");
  d.progresses(3, 4, other.digest(2), 3);
  BOOST_TEST(d.found == "extents_diverged\n");
}

BOOST_AUTO_TEST_CASE(extents_of_a_log_that_nobody_saw_are_held_against_nothing) {
  Durable d;
  const auto more = Log(Lsn(5), d.log.digest(5)).reign(2, 4);
  d.hears(1, 5);
  // Its own log down to the checkpoint was not seen.
  d.opens(3, Lsn(7), more.digest(2));
  d.listens(3);
  d.progresses(3, 7, more.digest(2), 3);
  BOOST_TEST(d.found == "");
  // Nor what was committed last.
  d.opens(4, Lsn(9), more.digest(4));
  d.hears(4, 9);
  d.progresses(1, 5, d.log.digest(5), 4);
  BOOST_TEST(d.found == "");
}

BOOST_AUTO_TEST_CASE(extents_are_not_judged_while_a_forced_reign_has_committed_nothing) {
  for (const std::uint64_t told : {0U, 3U}) {
    Judge j;
    const auto old = Log().reign(1, 4);
    Log next{Lsn(2), old.digest(2)};
    j.opens(1);
    j.opens(2);
    j.listens(1);
    j.listens(2);
    j.appends(1, old.records, 4);
    j.appends(2, part(old.records, 2), 0);
    j.logs.forced(Epoch(2));
    j.appends(2, next.reign(2, 2).records, told);
    j.progresses(1, 5, old.digest(5), 5);  // Of an older reign.
    BOOST_TEST(j.found == "");
    j.progresses(2, 5, next.digest(3), 4);
    BOOST_TEST(j.found == (told == 0 ? "" : "extents_uncommitted\n"));
  }
}

BOOST_AUTO_TEST_CASE(a_head_that_nobody_saw_is_of_no_forced_reign) {
  Judge j;
  const auto old = Log().reign(1, 4);
  j.opens(1, Lsn(5), old.digest(5));
  j.logs.forced(Epoch(2));
  j.hears(1, 5);
  BOOST_TEST((j.logs.committed() == Lsn{}));
}

BOOST_AUTO_TEST_SUITE_END()
