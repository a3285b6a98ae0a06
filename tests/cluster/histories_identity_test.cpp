// Histories of somebody who is taken for somebody else: a copy, a replica, a session.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <set>
#include <utility>

#include "sim/checkers/pins.hpp"
#include "sim/lost_copies.hpp"
#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;

namespace {

void take_down(Stage& s, std::uint32_t node) {
  s.kill(node);
  s.run_for(50 * millisecond);
}

bool pinned(Stage& s, std::uint32_t node) {
  return sim::sessions_with_pins(s.admin("GET", "/v1/local", "", node).body) > 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(histories_identity)

// C13. An empty disk is mounted where a copy was. What it acknowledged is gone: made anew in silence, it would vote as if
// it was not.
BOOST_AUTO_TEST_CASE(a_copy_whose_files_are_gone_is_no_copy) {
  const Story story = [](Stage& s) {
    s.write(5, 1, true);
    take_down(s, 3);
    sim::lose_files(s, 3);
    s.boot(3);
    s.run_for(3 * second);
    s.must(!sim::follows(s, 3), "adopted", "an empty copy follows the primary");
    s.must(s.replace(3), "not_staged", "the new copy was not admitted");
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::lost_copy_is_made_anew, {"durable_lost", "adopted"}, story, apart());
}

// C13. Another cluster's disk is there, or another volume's copy, or another replica.
BOOST_AUTO_TEST_CASE(a_copy_that_is_somebody_elses_is_refused) {
  for (std::uint64_t kind = 1; kind <= 6; ++kind) {
    const Story story = [kind](Stage& s) {
      s.write(5, 1, true);
      take_down(s, 3);
      sim::Random random(kind);
      s.must(sim::make_foreign(s, 3, random), "not_staged", "there is no superblock");
      s.boot(3);
      s.run_for(3 * second);
      s.must(!sim::follows(s, 3), "adopted", "a copy of somebody else follows the primary");
      s.must(s.replace(3), "not_staged", "the new copy was not admitted");
      s.settle();
    };
    must_hold(story, apart());
    must_break(Bug::foreign_copy_is_adopted, {"adopted", "durable_lost"}, story, apart());
  }
}

// C13. A node has a new copy, and the primary has not heard of that: it means the one that was there before, and what this
// one has says nothing of that one.
BOOST_AUTO_TEST_CASE(a_link_that_means_another_replica_is_refused) {
  const Story story = [](Stage& s) {
    s.write(5, 1, true);
    const auto hears = std::make_shared<bool>(false);
    s.rule([hears](const Passage& p) {
      const bool tells = std::holds_alternative<engine::Assign>(p.message) ||
                         std::holds_alternative<engine::SetDecided>(p.message);
      return tells && p.to == 1 && !*hears ? Fate::hold : Fate::pass;
    });
    const auto met = std::make_shared<bool>(false);
    s.rule([met](const Passage& p) {
      *met = *met || (std::holds_alternative<engine::Probe>(p.message) && p.to == 3);
      return Fate::pass;
    });
    s.wipe(3);
    s.run_for(500 * millisecond);
    s.boot(3);
    s.must(s.replace(3), "not_staged", "the new copy was not admitted");
    s.run_for(2 * second);
    s.must(!*met, "taken_for_another", "a link for the copy before was taken by the new one");
    *hears = true;
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::other_replica_is_served, {"taken_for_another"}, story, apart());
}

// C15. Within a reign a session's number names it for ever: an answer that comes late is told from one of now by that.
BOOST_AUTO_TEST_CASE(no_session_of_a_reign_has_the_number_of_another) {
  const Story story = [](Stage& s) {
    const auto seen = std::make_shared<std::set<std::pair<engine::Epoch, engine::SessionId>>>();
    const auto again = std::make_shared<bool>(false);
    s.rule([=](const Passage& p) {
      if (const auto* probe = std::get_if<engine::Probe>(&p.message))
        *again = !seen->emplace(probe->epoch, probe->session).second || *again;
      return Fate::pass;
    });
    for (int round = 0; round < 3; ++round) {
      s.cut(1, 3);
      s.run_for(3 * second);
      s.write(5);
    }
    s.must(!*again, "session_again", "two sessions of a reign have one number");
    s.must(seen->size() >= 2, "not_staged", "there were no sessions");
  };
  must_hold(story, apart());
  must_break(Bug::sessions_begin_anew, {"session_again", "check"}, story, apart());
}

// C16. A replica that is back in line needs no pin: one that stays keeps the log from being used again.
BOOST_AUTO_TEST_CASE(a_session_that_is_done_holds_no_log) {
  const Story story = [](Stage& s) {
    s.kill(3);
    for (std::uint64_t b = 0; b < 20; ++b) s.write(b, 1, true);
    s.boot(3);
    for (int look = 0; look < 100 && !s.in_set(3); ++look) s.run_for(100 * millisecond);
    s.must(s.in_set(3), "not_staged", "the replica is not back");
    s.must(!pinned(s, 1), "pinned", "a session that is done holds a pin");
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::pins_outlive_sessions, {"pinned"}, story, apart());
}

BOOST_AUTO_TEST_SUITE_END()
