// The histories of C12 for a mode and min_copies: whatever a rule committed is found by whoever reigns
// next, at each moment of a change to another rule.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;
using engine::Mode;

namespace {

sim::ClusterOptions with(sim::ClusterOptions options, Mode mode, std::uint32_t min_copies = 2,
                         std::uint64_t seed = 1) {
  options.mode = mode;
  options.min_copies = min_copies;
  options.seed = seed;
  return options;
}

/// The control plane hears of nothing that is in force; else it hears and answers.
void hold_what_is_in_force(Stage& s) {
  s.rule([](const Passage& p) {
    return std::holds_alternative<engine::Configured>(p.message) ? Fate::hold : Fate::pass;
  });
}

bool numbered(Stage& s, Mode mode) {
  return s.run_until(
      [&] {
        const auto& heard = s.heard(1);
        return heard && (heard->configuration().mode == mode);
      },
      5 * second);
}

class Good : public Stage {
 public:
  explicit Good(sim::ClusterOptions options) : Stage(std::move(options)) {
    BOOST_REQUIRE_MESSAGE(start(), why());
  }
  ~Good() { BOOST_CHECK_MESSAGE(!failed(), why()); }
  std::string why() const {
    return failure() ? failure()->cls + ": " + failure()->text : std::string("it did not fail");
  }
  std::string rules() {
    const auto v = view();
    return v ? fmt::format("{} {}", v->mode, v->min_copies) : std::string();
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(mode)

// C12. sync_all, the set is the primary alone; what it committed meanwhile the others lack. An operator wants
// sync_quorum; the primary dies; the other two are a majority of the copies, and know nothing of it.
BOOST_AUTO_TEST_CASE(who_was_left_out_of_the_set_is_no_voter_of_the_quorum_that_follows) {
  const Story story = [](Stage& s) {
    s.kill(2);
    s.kill(3);
    s.write(5, 1, true);
    s.hold_records(1, 2);
    s.hold_records(1, 3);
    s.boot(2);
    s.boot(3);
    const auto reply = s.admin("POST", "/v1/volumes/data/configure", R"({"mode":"sync_quorum"})");
    s.must(reply.status == 200, "not_staged", reply.body);
    s.run_for(1 * second);
    s.kill(1, Kill::power);
    s.pass_all();
    s.wish(2);
    s.run_for(5 * second);
    s.wish(3);
    s.run_for(5 * second);
    s.boot(1);
    s.read(5);
  };
  must_hold(story, with(apart(), Mode::sync_all, 1));
  must_break(Bug::mode_change_counts_all, {"electable_without", "lost_flushed", "committed_fork"},
             story, with(apart(), Mode::sync_all, 1));
}

// C12. In best_effort the primary committed alone. An operator wants sync_all: the first set is that primary, whatever
// copies there are.
BOOST_AUTO_TEST_CASE(behind_best_effort_the_primary_alone_is_the_first_set) {
  const Story story = [](Stage& s) {
    s.hold_records(1, 2);
    s.hold_records(1, 3);
    s.write(5, 1, true);
    s.begin_configure(Mode::sync_all, 1);
    s.run_until([&] { return !s.configuring(); }, 20 * second);
    s.must(!s.configuring(), "not_staged", "sync_all is not in force");
    s.kill(1, Kill::power);
    s.pass_all();
    s.wish(2);
    s.run_for(5 * second);
    s.boot(1);
    s.read(5);
    s.settle();
  };
  must_hold(story, with(apart(), Mode::best_effort, 1));
  must_break(Bug::mode_change_counts_all, {"electable_without", "lost_flushed", "committed_fork"},
             story, with(apart(), Mode::best_effort, 1));
}

// C12. A write is on the primary and on a voter that an operator removes; the other one lacks it. Of two voters one
// vote would be enough for a reign.
BOOST_AUTO_TEST_CASE(a_voter_that_is_removed_counts_until_the_others_have_what_it_has) {
  const Story story = [](Stage& s) {
    s.hold_records(1, 2);
    s.write(5, 1, true);
    const auto body = fmt::format(R"({{"action":"remove","node":"{}"}})", s.node(3).name());
    s.admin_later("POST", "/v1/volumes/data/replicas", body, [](engine::AdminReply) {});
    s.run_for(2 * second);
    s.kill(1, Kill::power);
    s.pass_all();
    s.wish(2);
    s.run_for(5 * second);
    s.boot(1);
    s.must(s.read(5), "never_served", "who lacks it reigns, and who has it cannot follow");
  };
  must_hold(story, with(apart(), Mode::sync_quorum, 1));
  must_break(Bug::voter_leaves_at_once,
             {"electable_without", "never_served", "lost_flushed", "committed_fork"}, story,
             with(apart(), Mode::sync_quorum, 1));
}

// C12. The record of best_effort is committed, and that it is so is not heard: until it is, the copies that were
// in the set may be made primary.
BOOST_AUTO_TEST_CASE(until_the_control_plane_has_heard_of_it_the_old_mode_counts) {
  const Story story = [](Stage& s) {
    hold_what_is_in_force(s);
    s.begin_configure(Mode::best_effort, 1);
    s.must(numbered(s, Mode::best_effort), "not_staged", "the primary heard of nothing");
    s.run_for(1 * second);
    s.hold_records(1, 2);
    s.hold_records(1, 3);
    s.later_write(5, true);
    s.run_for(1 * second);
    s.kill(1, Kill::power);
    s.pass_all();
    s.promote_soon(2);
    s.read(5);
  };
  must_hold(story, with(apart(), Mode::sync_all));
  must_break(Bug::mode_change_drops_old_rule,
             {"electable_without", "lost_flushed", "committed_fork"}, story,
             with(apart(), Mode::sync_all));
}

// C12. A quorum has a write, one voter does not. As soon as sync_all is recorded that one may be made primary by an
// operator: so it is in force only when all have the record, or that one is out of the set.
BOOST_AUTO_TEST_CASE(
    sync_all_is_in_force_when_every_copy_of_its_set_has_all_that_a_quorum_committed) {
  const Story story = [](Stage& s) {
    s.hold_records(1, 3);
    s.write(5, 1, true);
    s.begin_configure(Mode::sync_all, 1);
    s.run_until([&] { return !s.configuring(); }, 20 * second);
    s.kill(1, Kill::power);
    s.pass_all();
    s.wish(3);
    s.run_for(10 * second);
    s.read(5);
  };
  must_hold(story, with(apart(), Mode::sync_quorum, 1));
  must_break(Bug::mode_change_drops_new_rule,
             {"electable_without", "lost_flushed", "committed_fork"}, story,
             with(apart(), Mode::sync_quorum, 1));
}

BOOST_AUTO_TEST_CASE(every_crossing_is_carried_out_under_load_and_undone_again) {
  const std::vector<Mode> all{Mode::sync_all, Mode::sync_quorum, Mode::best_effort};
  for (const auto from : all) {
    for (const auto to : all) {
      if (from == to) continue;
      BOOST_TEST_CONTEXT(to_string(from) << " to " << to_string(to)) {
        Good s(with({}, from, from == Mode::best_effort ? 1 : 2));
        BOOST_TEST(s.write(3, 1, true));
        BOOST_TEST(s.configure(to, to == Mode::best_effort ? 1 : 2));
        BOOST_TEST(s.rules() ==
                   fmt::format("{} {}", to_string(to), to == Mode::best_effort ? 1 : 2));
        BOOST_TEST(s.write(4, 1, true));
        BOOST_TEST(s.configure(from, from == Mode::best_effort ? 1 : 3));
        BOOST_TEST(s.write(5));
        BOOST_TEST(s.read(3, 3));
        BOOST_TEST(s.settle());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_change_that_its_primary_did_not_live_to_see_is_carried_out_by_the_next) {
  for (std::uint64_t after = 0; after < 12; ++after) {
    BOOST_TEST_CONTEXT("killed " << after * 400 << " us after it was asked for") {
      const auto from = after % 2 == 0 ? Mode::sync_all : Mode::sync_quorum;
      const auto to = after % 2 == 0 ? Mode::sync_quorum : Mode::sync_all;
      Good s(with({}, from, 2, after + 1));
      BOOST_TEST(s.write(3, 1, true));
      s.begin_configure(to, 2);
      if (after % 4 >= 2) s.begin_resize(400);
      s.run_for(after * 400'000);
      const auto primary = s.primary();
      s.kill(primary, after % 3 == 0 ? Kill::power : Kill::process);
      s.run_for(200 * millisecond);
      s.boot(primary);
      BOOST_TEST(s.run_until([&] { return !s.configuring() && !s.history().resizing(); }));
      BOOST_TEST(s.converge());
      BOOST_TEST(s.rules() == fmt::format("{} 2", to_string(to)));
      BOOST_TEST(s.write(4));
      BOOST_TEST(s.read(3, 2));
      BOOST_TEST(s.settle());
    }
  }
}

BOOST_AUTO_TEST_CASE(rules_survive_the_power_loss_of_all_nodes) {
  Good s(with({}, Mode::sync_all));
  BOOST_TEST(s.configure(Mode::sync_quorum, 3));
  BOOST_TEST(s.write(5, 1, true));
  for (std::uint32_t n = 0; n < 3; ++n) s.kill(n, Kill::power);
  for (std::uint32_t n = 0; n < 3; ++n) s.boot(n);
  BOOST_TEST(s.read(5));
  BOOST_TEST(s.rules() == "sync_quorum 3");
  BOOST_TEST(s.settle());
}

// Writes wait for a copy that will never come; fewer min_copies let them go on at once.
BOOST_AUTO_TEST_CASE(lower_min_copies_free_a_volume_that_waits_for_one_that_is_gone) {
  for (const auto mode : {Mode::sync_all, Mode::sync_quorum}) {
    BOOST_TEST_CONTEXT(to_string(mode)) {
      Good s(with(apart(), mode, 3));
      s.kill(3);
      const auto done = s.later_write(5, true);
      s.run_for(5 * second);
      BOOST_TEST(!*done);
      BOOST_TEST(s.configure(mode, 2));
      BOOST_TEST(*done);
      BOOST_TEST(s.write(6, 1, true));
      s.boot(3);
      BOOST_TEST(s.settle());
    }
  }
}

BOOST_AUTO_TEST_CASE(more_min_copies_than_are_in_line_stop_nothing_and_hold_once_they_are) {
  Good s(with(apart(), Mode::sync_quorum, 2));
  s.kill(3);
  s.begin_configure(Mode::sync_quorum, 3);
  s.run_for(5 * second);
  BOOST_TEST(s.configuring());
  BOOST_TEST(s.write(6, 1, true));
  s.boot(3);
  BOOST_TEST(s.run_until([&] { return !s.configuring(); }));
  BOOST_TEST(s.rules() == "sync_quorum 3");
  BOOST_TEST(s.settle());
}

// A voter that is away would hold sync_all up for ever.
BOOST_AUTO_TEST_CASE(a_quorum_with_one_copy_away_becomes_sync_all_without_it) {
  Good s(with(apart(), Mode::sync_quorum, 2));
  s.kill(3);
  BOOST_TEST(s.write(6, 1, true));
  BOOST_TEST(s.configure(Mode::sync_all, 2));
  BOOST_TEST(!s.in_set(3));
  BOOST_TEST(s.write(7, 1, true));
  s.boot(3);
  BOOST_TEST(s.settle());
}

BOOST_AUTO_TEST_CASE(below_min_copies_a_volume_fails_writes_where_that_is_wanted_and_reads_on) {
  Good s(with(apart(), Mode::sync_all, 2));
  BOOST_TEST(s.write(5, 1, true));
  const auto wanted =
      s.admin("POST", "/v1/volumes/data/configure", R"({"below_min_copies":"fail"})");
  BOOST_TEST(wanted.status == 200);
  s.kill(2);
  s.kill(3);
  auto error = std::make_shared<std::string>();
  s.send({engine::FrontOp::write, {0, sim::cells_per_block}, false, false},
         [error](const auto& e) { *error = e ? std::string(to_string(e->code)) : "ok"; });
  s.run_until([&] { return !error->empty(); }, 20 * second);
  BOOST_TEST(*error == "io_failed");
  BOOST_TEST(s.read(5));
  s.boot(2);
  s.boot(3);
  BOOST_TEST(s.converge());
  BOOST_TEST(s.write(6, 1, true));
  BOOST_TEST(s.settle());
}

// Two of three are connected, and one of them takes nothing.
BOOST_AUTO_TEST_CASE(a_quorum_with_a_stuck_disk_fails_writes_where_that_is_wanted) {
  Good s(with(apart(), Mode::sync_quorum, 2));
  BOOST_TEST(s.write(5, 1, true));
  const auto wanted =
      s.admin("POST", "/v1/volumes/data/configure", R"({"below_min_copies":"fail"})");
  BOOST_TEST(wanted.status == 200);
  s.kill(3);
  s.hold_log(2);
  auto error = std::make_shared<std::string>();
  const auto began = s.now();
  s.send({engine::FrontOp::write, {0, sim::cells_per_block}, true, false},
         [error](const auto& e) { *error = e ? std::string(to_string(e->code)) : "ok"; });
  s.run_until([&] { return !error->empty(); }, 20 * second);
  BOOST_TEST(*error == "io_failed");
  BOOST_TEST((s.now() - began < 3 * second));
  s.let_go(2);
  s.kill(2);
  s.boot(2);
  BOOST_TEST(s.converge());
  BOOST_TEST(s.write(6, 1, true));
  BOOST_TEST(s.settle());
}

BOOST_AUTO_TEST_CASE(a_volume_grows_while_other_rules_wait_for_a_copy) {
  Good s(with(apart(), Mode::sync_all, 2));
  s.kill(3);
  BOOST_TEST(s.write(5, 1, true));
  s.begin_configure(Mode::sync_all, 3);
  s.run_for(1 * second);
  BOOST_TEST(s.resize(512));
  BOOST_TEST(s.configuring());
  BOOST_TEST(s.rules() == "sync_all 2");
  BOOST_TEST(s.write(500, 1, true));
  s.boot(3);
  BOOST_TEST(s.run_until([&] { return !s.configuring(); }));
  BOOST_TEST(s.rules() == "sync_all 3");
  BOOST_TEST(s.read(500));
  BOOST_TEST(s.settle());
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused_and_changes_nothing) {
  Good s(with({}, Mode::sync_all));
  const auto ask = [&](const char* body) {
    return s.admin("POST", "/v1/volumes/data/configure", body).status;
  };
  const auto before = s.view();
  BOOST_TEST(ask(R"({"mode":"sync_some"})") == 400);
  BOOST_TEST(ask(R"({"mode":7})") == 400);
  BOOST_TEST(ask(R"({"min_copies":4})") == 400);
  BOOST_TEST(ask(R"({"min_copies":0})") == 400);
  BOOST_TEST(ask(R"({"min_copies":"two"})") == 400);
  BOOST_TEST(ask(R"({"mode":"best_effort","min_copies":2})") == 400);
  BOOST_TEST(ask(R"({"mode":"sync_quorum","min_copies":1})") == 400);
  BOOST_TEST(ask(R"({"modes":"sync_all"})") == 400);
  BOOST_TEST(ask("{}") == 400);
  BOOST_TEST(ask(R"({"below_min_copies":"panic"})") == 400);
  BOOST_TEST(s.admin("POST", "/v1/volumes/other/configure", R"({"min_copies":1})").status == 404);
  const auto after = s.view();
  BOOST_REQUIRE((before && after));
  BOOST_TEST(after->version == before->version);
  BOOST_TEST(s.rules() == "sync_all 2");
}

BOOST_AUTO_TEST_SUITE_END()
