// Recovery amid traffic: several ways at once, broken off, begun again, and what must not help.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <map>

#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;
using engine::FrontOp;

namespace {

/// How sessions ended that were completed, by the kind they say.
void watch_sessions(Stage& s, std::map<std::string, int>& kinds) {
  for (std::uint32_t n = 0; n < s.size(); ++n) {
    s.node(n).on_event = [&kinds](const sim::SimNode&, const engine::Event& event) {
      const auto text = engine::render(event);
      if (text.find("session_completed") == std::string::npos) return;
      const auto at = text.find("kind=");
      ++kinds[text.substr(at + 5, text.find(' ', at) - at - 5)];
    };
  }
}

/// How many sessions of each scope were started: all, touched or rest; none of a catch-up.
void watch_scopes(Stage& s, std::map<std::string, int>& scopes) {
  for (std::uint32_t n = 0; n < s.size(); ++n) {
    s.node(n).on_event = [&scopes](const sim::SimNode&, const engine::Event& event) {
      if (event.name != "session_started") return;
      for (const auto& [key, value] : event.fields)
        if (key == "scope") ++scopes[value];
    };
  }
}

bool is(Stage& s, std::uint32_t node, const std::string& state) {
  const auto copy = s.copy(node);
  return copy && copy->state == state;
}

bool becomes(Stage& s, std::uint32_t node, const std::string& state) {
  for (int i = 0; i < 200 && !s.failed() && !is(s, node, state); ++i) s.run_for(50 * millisecond);
  return is(s, node, state);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(recovery)

// One lacks nothing, one some records, one more than the log keeps: each gets what it needs, and no
// one waits for another.
BOOST_AUTO_TEST_CASE(three_replicas_come_back_in_three_ways_at_once) {
  auto options = apart();
  options.nodes = 5;
  options.hosts = {1, 2, 3, 4};
  options.copies = 4;
  options.min_copies = 1;
  std::map<std::string, int> kinds;
  must_hold(
      [&](Stage& s) {
        s.write(0, 1, true);
        s.run_for(1 * second);
        s.kill(4);
        s.flood();
        s.kill(3);
        s.write(1, 1, true);
        s.kill(2);
        s.run_for(1 * second);
        watch_sessions(s, kinds);
        for (std::uint32_t n = 2; n <= 4; ++n) s.boot(n);
        s.converge();
        s.must(kinds["rebuild"] >= 1, "no_rebuild", "node5 was not rebuilt");
        s.must(kinds["catch_up"] >= 2, "no_catch_up", "node3 and node4 did not catch up");
        s.settle();
      },
      options);
}

// Whoever gives the blocks dies. The next primary goes on where the copy was broken off.
BOOST_AUTO_TEST_CASE(the_source_dies_amid_a_rebuild_and_the_next_primary_goes_on) {
  std::map<std::string, int> scopes;
  must_hold(
      [&](Stage& s) {
        s.write(200, 10, true);
        s.run_for(1 * second);
        s.kill(3);
        s.flood();
        s.hold_extents(3);
        s.boot(3);
        s.must(becomes(s, 3, "rebuilding"), "not_staged", "no rebuild began");
        s.kill(1, Kill::power);
        watch_scopes(s, scopes);
        s.let_go(3);
        s.promote_soon(2);
        s.write(0, 4, true);
        s.settle();
        s.must(scopes["rest"] >= 1, "not_gone_on", "the rest of the copy was not asked for");
        s.must(scopes["all"] + scopes["touched"] == 0, "begun_anew", "a copy was begun anew");
      },
      apart());
}

// The connection goes, comes back and goes again while blocks are copied. The source reads none of
// them until the last time, so that each cut finds a rebuild.
BOOST_AUTO_TEST_CASE(a_rebuild_that_is_cut_off_again_and_again_ends_well) {
  std::map<std::string, int> scopes;
  must_hold(
      [&](Stage& s) {
        s.write(200, 10, true);
        s.run_for(1 * second);
        s.kill(3);
        s.flood();
        s.node(1).disk().holds = [](sim::DiskOp op, const std::string& path) {
          return op == sim::DiskOp::read && path.find("/extents/") != std::string::npos;
        };
        watch_scopes(s, scopes);
        s.boot(3);
        for (int cuts = 0; cuts < 4; ++cuts) {
          s.must(becomes(s, 3, "rebuilding"), "not_staged", "there is no rebuild to cut off");
          s.cut(1, 3);
          s.run_for(1 * second);  // Until both sides have heard of it.
        }
        s.let_go(1);
        s.settle();
        s.must(scopes["rest"] >= 4, "not_gone_on", "a rebuild was cut off and did not go on");
        s.must(scopes["all"] + scopes["touched"] == 1, "begun_anew", "a copy was begun anew");
      },
      apart());
}

// It is rebuilt, falls behind as far again, and is rebuilt once more: the second time counts.
BOOST_AUTO_TEST_CASE(a_copy_that_was_rebuilt_can_be_rebuilt_again) {
  std::map<std::string, int> kinds;
  must_hold(
      [&](Stage& s) {
        watch_sessions(s, kinds);
        for (int time = 0; time < 2; ++time) {
          const auto before = kinds["rebuild"];
          s.kill(3);
          s.write(200, 10, true);
          s.flood();
          s.boot(3);
          s.converge();
          s.must(kinds["rebuild"] > before, "no_rebuild", "node4 was not rebuilt");
        }
        s.settle();
      },
      apart());
}

// A tail that nobody else has is cut off a replica while clients write on.
BOOST_AUTO_TEST_CASE(a_tail_is_cut_while_writes_go_on) {
  std::optional<std::uint64_t> answered_at_the_cut;
  must_hold(
      [&](Stage& s) {
        s.hold_records(1, 3);
        s.hold_log(1);
        for (std::uint64_t b = 0; b < 6; ++b) s.later_write(b);
        s.run_for(200 * millisecond);
        s.kill(2);
        s.kill(1);
        s.pass_all();
        s.let_go(1);
        s.wish(3);
        s.boot(1);
        s.must(s.run_until([&] { return s.serves(3) || s.serves(1); }, 10 * second), "not_staged",
               "nobody serves without node3");
        const auto client = s.add_client();
        client->depth = 4;
        client->next = [b = std::uint64_t{0}](sim::Client&) mutable {
          return std::optional(sim::Ask{FrontOp::write,
                                        {(b++ % 32) * sim::cells_per_block, sim::cells_per_block},
                                        false,
                                        false});
        };
        client->think_max = 2 * millisecond;
        s.node(2).on_event = [&](const sim::SimNode&, const engine::Event& event) {
          if (event.name == "log_truncated") answered_at_the_cut = client->answered();
        };
        s.boot(2);
        s.must(s.run_until([&] { return answered_at_the_cut.has_value(); }, 10 * second),
               "not_staged", "node3 had no tail to cut");
        s.run_for(3 * second);
        s.node(2).on_event = nullptr;
        s.must(client->answered() > answered_at_the_cut.value_or(0), "no_writes",
               "no write was answered after the tail was cut");
        client->stop();
        s.run_until([&] { return client->in_flight() == 0; });
        s.settle();
      },
      apart());
}

// Silence decides nothing: while the line is dead, a copy is neither rebuilt nor thrown away; back
// in reach it gets the records that it lacks.
BOOST_AUTO_TEST_CASE(a_dead_line_alone_costs_a_catch_up_and_no_copy) {
  std::map<std::string, int> kinds;
  must_hold(
      [&](Stage& s) {
        s.write(0, 1, true);
        watch_sessions(s, kinds);
        s.block(1, 3);
        s.block(3, 1);
        for (std::uint64_t b = 0; b < 8; ++b) s.write(b, 1, true);
        s.run_for(20 * second);
        s.settle();
        s.must(kinds["rebuild"] == 0, "rebuilt", "a copy was rebuilt that lacked a few records");
        s.must(kinds["catch_up"] >= 1, "no_catch_up", "node4 did not catch up");
      },
      apart());
}

// The disk of one replica is slow: it delays the others until it has left, and comes back once it
// is in line.
BOOST_AUTO_TEST_CASE(a_slow_disk_leaves_the_set_and_comes_back) {
  must_hold(
      [](Stage& s) {
        s.hold_log(3);
        const auto began = s.now();
        s.write(0, 1, true);
        s.must(s.now() - began < 4 * second, "slow", "a slow disk held up a write for long");
        s.must(!s.in_set(3), "not_left", "node4 is still in the set");
        s.let_go(3);
        s.must(becomes(s, 3, "streaming"), "not_back", "node4 does not stream");
        s.run_for(2 * second);
        s.must(s.in_set(3), "not_back", "node4 is not in the set again");
        s.settle();
      },
      apart());
}

BOOST_AUTO_TEST_SUITE_END()
