// Committed records that are lost on purpose: the copies that have them are brought back to the log
// that goes on, by what was touched on both sides (C6, C18, C21).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>

#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;

namespace {

/// One copy is enough: 1 commits and flushes alone what the others never get.
sim::ClusterOptions alone() {
  auto options = apart();
  options.min_copies = 1;
  return options;
}

/// What all have; then what 1 alone commits, and dies with. 2 reigns by force, and 1 comes back.
void part(Stage& s) {
  s.write(0, 100);
  s.flush();
  s.run_for(1 * second);
  s.kill(2);
  s.kill(3);
  s.write(10, 5);
  s.write(200, 3);
  s.flush();
  s.run_for(2 * second);
  s.kill(1);
  s.boot(2);
  s.boot(3);
  s.run_for(1 * second);
  s.must(!s.promote(2), "not_refused", "node3 reigns without what was committed, and unforced");
  s.must(s.promote(2, true), "not_staged", "node3 does not reign by force");
  s.write(40, 4);
  s.flush();
  s.boot(1);
}

/// What is told of copies that part from each other, line by line.
std::shared_ptr<std::string> listen(Stage& s) {
  auto told = std::make_shared<std::string>();
  for (std::uint32_t n = 0; n < s.size(); ++n) {
    s.node(n).on_event = [told](const sim::SimNode&, const engine::Event& event) {
      if (event.name == "outcome_decided" || event.name == "log_diverged" ||
          event.name == "fork_sealed")
        *told += engine::render(event) + "\n";
    };
  }
  return told;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(forks)

// C6. Copied is what either side touched, and no more. "The index covers what the source has since" names none of what
// the replica itself had flushed: that would stay divergent for ever.
BOOST_AUTO_TEST_CASE(a_copy_of_an_abandoned_past_gets_back_what_either_side_touched) {
  const Story story = [](Stage& s) {
    const auto told = listen(s);
    part(s);
    s.settle();
    s.must(told->find("forked_touched") != std::string::npos, "not_a_delta", *told);
    s.must(told->find("rebuild_full") == std::string::npos, "not_a_delta", *told);
    s.copies_equal();
  };
  must_hold(story, alone());
  must_break(Bug::delta_forgets_own_past, {"came_back", "copies_differ"}, story, alone());
}

// C6. It crashes when its log is cut and not all has been fetched: cut, its log is the primary's, and only what it
// recorded before says that its blocks are not.
BOOST_AUTO_TEST_CASE(a_copy_that_dies_amid_its_delta_goes_on_with_all_that_was_missing) {
  const auto dies_after = [](std::uint64_t after) {
    return [after](Stage& s) {
      part(s);
      s.run_for(after * millisecond);
      s.kill(1, Kill::power);
      s.run_for(100 * millisecond);
      s.boot(1);
      s.settle();
      s.copies_equal();
    };
  };
  for (const std::uint64_t after : {1u, 5u, 20u, 60u, 200u, 500u})
    must_hold(dies_after(after), alone());
  const Story before_the_first_block = [](Stage& s) {
    auto asked = std::make_shared<bool>(false);
    s.rule([asked](const Passage& p) {
      const bool asks = std::holds_alternative<engine::AskBase>(p.message) && p.from == 1;
      if (asks) *asked = true;
      return asks ? Fate::hold : Fate::pass;
    });
    part(s);
    s.run_until([&] { return *asked; }, 20 * second);
    s.must(*asked, "not_staged", "node2 fetches nothing");
    s.kill(1, Kill::power);
    s.pass_all();
    s.boot(1);
    s.settle();
    s.copies_equal();
  };
  must_hold(before_the_first_block, alone());
  must_break(Bug::rebuild_forgotten_by_restart, {"came_back", "copies_differ"},
             before_the_first_block, alone());
}

// C18: no control plane's word makes a copy give up what it knows committed, without a mark for it.
BOOST_AUTO_TEST_CASE(a_copy_behind_is_promoted_by_force_only) {
  const Story story = [](Stage& s) {
    s.kill(2);
    s.write(3);
    s.flush();
    const auto reply = s.admin("POST", "/v1/volumes/data/promote",
                               R"({"node":")" + s.node(2).name() + R"(","force":1})");
    s.must(reply.status == 400, "not_refused", "a wish that makes no sense: " + reply.body);
    s.must(!s.promote(2, true), "not_refused", "a node that is away reigns");
    s.settle();
    s.read(3);
  };
  must_hold(story, alone());
}

BOOST_AUTO_TEST_SUITE_END()
