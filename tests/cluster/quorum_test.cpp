// sync_quorum on the simulated cluster: who is waited for, who may reign, and what that costs.
#define BOOST_TEST_DYN_LINK
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "engine/messages.hpp"
#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using cluster_tests::apart;
using cluster_tests::must_break;
using cluster_tests::must_hold;
using cluster_tests::Story;
using engine::millisecond;
using engine::second;

namespace quorum_scenes {
namespace {

ClusterOptions three(engine::Mode mode = engine::Mode::sync_quorum) {
  ClusterOptions options;
  options.mode = mode;
  return options;
}

/// Nothing is flushed to the extents, so that all that was written stands in the logs.
ClusterOptions all_in_the_log() {
  auto options = three();
  options.tune = [](actors::Settings& s) {
    s.flush_bytes = 1ull << 30;
    s.flush_after = 3600 * second;
  };
  return options;
}

class Scene : public Cluster {
 public:
  explicit Scene(ClusterOptions options = three()) : Cluster(std::move(options)) {
    BOOST_REQUIRE_MESSAGE(start(), why());
  }
  ~Scene() { BOOST_CHECK_MESSAGE(!failed(), why()); }
  std::string why() const {
    return failure() ? failure()->cls + ": " + failure()->text : std::string("it did not fail");
  }
  std::optional<CopyView> copy(std::uint32_t n) {
    const auto v = view();
    if (!v) return std::nullopt;
    for (const auto& c : v->copies) {
      if (c.node == node(n).name()) return c;
    }
    return std::nullopt;
  }
  bool write_durably(std::uint64_t block) { return write(block, 1, true); }
  /// No records between two nodes.
  void part(std::uint32_t a, std::uint32_t b) {
    block(a, b);
    block(b, a);
  }
  /// How long each of so many FUA writes waits, sorted.
  std::vector<std::uint64_t> waits(std::uint64_t writes) {
    std::vector<std::uint64_t> all;
    for (std::uint64_t i = 0; i < writes; ++i) {
      const auto began = now();
      BOOST_TEST(write_durably(i % 64));
      all.push_back(now() - began);
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  /// Of what is sure as long as nothing broke.
  void expects(bool held, const char* what) const {
    if (!failed()) BOOST_TEST(held, what);
  }
};

std::uint64_t at_permille(const std::vector<std::uint64_t>& sorted, std::size_t permille) {
  return sorted[sorted.size() * permille / 1000];
}

double ratio(std::uint64_t a, std::uint64_t b) {
  return static_cast<double>(a) / static_cast<double>(b);
}

/// What a disk of one replica that is 100 times slower costs FUA writes.
struct Cost {
  double p90_of_healthy = 0;
  double p99_of_healthy = 0;
  double p99_of_dead = 0;  ///< Against the same without that replica.
};
/// `calm`: no node ever stands still, as a busy one does for some milliseconds.
Cost cost_of_a_slow_disk(engine::Mode mode, bool calm) {
  constexpr std::uint64_t writes = 1'000;
  const auto weather = [calm](Scene& scene) {
    if (calm) scene.scheduler().time_jump_one_in = 0;
  };
  std::vector<std::uint64_t> healthy, dead;
  {
    Scene scene(three(mode));
    weather(scene);
    healthy = scene.waits(writes);
  }
  {
    Scene scene(three(mode));
    weather(scene);
    scene.kill(2);
    scene.run_for(3 * second);
    dead = scene.waits(writes);
    scene.boot(2);
  }
  Scene scene(three(mode));
  weather(scene);
  scene.node(2).disk().slow_factor = 100;
  const auto slow = scene.waits(writes);
  scene.node(2).disk().slow_factor = 1;
  BOOST_TEST(scene.settle());
  return {ratio(at_permille(slow, 900), at_permille(healthy, 900)),
          ratio(at_permille(slow, 990), at_permille(healthy, 990)),
          ratio(at_permille(slow, 990), at_permille(dead, 990))};
}

/// Flips a bit of the first records of a stopped node's log.
void rot_log(Cluster& cluster, std::uint32_t n) {
  cluster.rot_was_injected();
  Random random(5);
  for (const auto& inode : cluster.files(n, ".seg")) {
    if (inode->written_end() > 4 * page_bytes) inode->rot(page_bytes, 2 * page_bytes, random);
  }
}

/// Committed by the primary 0 and by 2, while 1 is behind; then 2 loses it, and the primary's store ends. Nobody reigns
/// until that one is back; or one that lacks it all does, and is read.
const Story one_lost_it_and_one_is_behind = [](cluster_tests::Stage& s) {
  s.write(1, 1, true);
  s.block(0, 1);
  s.block(1, 0);
  for (std::uint64_t b = 1; b < 9; ++b) s.write(b, 1, true);
  s.kill(2);
  rot_log(s, 2);
  s.boot(2);
  s.run_for(2 * second);
  s.node(0).disk().fail_writes = 1'000'000;
  s.later_write(0, true);  // The primary meets its broken disk.
  s.run_for(1 * second);
  s.heal();
  s.run_for(20 * second);
  if (!s.serving()) {
    s.node(0).disk().fail_writes = 0;
    s.kill(0);
    s.boot(0);
    s.run_until([&] { return s.serving().has_value(); }, 20 * second);
    s.must(s.serving().has_value(), "not_promoted", "nobody reigns though who has it all is back");
    s.must(s.serving() == 0u, "not_promoted", "another one reigns than who has it all");
  }
  s.read(1, 8);
  s.must(s.replace(2), "not_replaced", "who lost it is not replaced");
  s.settle();
};

void wish_for(Scene& scene, std::uint32_t n) {
  const auto body = fmt::format("{{\"node\":\"{}\"}}", scene.node(n).name());
  scene.admin_later("POST", "/v1/volumes/data/promote", body, [](engine::AdminReply) {});
}

/// Node 1 writes 1 MiB to itself only; 2 begins a reign on itself only; 1 reigns again, and a part of
/// what it wrote comes to be on a majority, but not the record of its new epoch; 2 reigns.
void an_older_epochs_records_reach_a_majority(Scene& scene) {
  scene.expects(scene.promote(1), "1 reigns");
  scene.run_for(1 * second);
  auto& net = scene.world().net;
  net.records_lag[0] = net.records_lag[2] = 1'000 * second;
  for (std::uint64_t i = 0; i < 16; ++i) {
    scene.expects(scene.send({engine::FrontOp::write, {i * 128, 128}, false, false}),
                  "its writes are sent");
  }
  scene.run_for(100 * millisecond);
  scene.kill(1);
  wish_for(scene, 2);
  scene.run_for(5 * second);
  scene.expects(scene.view()->primary == scene.node(2).name(), "2 begins a reign");
  scene.expects(scene.view()->waiting_for.find("not committed yet") != std::string::npos,
                "which answers nothing");
  scene.kill(2);
  net.records_lag.clear();

  bool reached = false;
  const auto hear = net.on_delivery;
  net.on_delivery = [&](const Life& receiver, const engine::Message& m) {
    hear(receiver, m);
    const auto* records = std::get_if<engine::Records>(&m);
    if (reached || receiver.node != 0 || records == nullptr || records->records.empty()) return;
    reached = true;
    scene.block(1, 0);
  };
  scene.boot(1);
  scene.run_for(1 * second);
  wish_for(scene, 1);
  scene.expects(scene.run_until([&] { return reached; }, 20 * second), "a part is on a majority");
  scene.run_for(3 * second);
  net.on_delivery = hear;
  scene.kill(1);
  scene.heal();
  scene.boot(2);
  scene.run_for(1 * second);
  wish_for(scene, 2);
  scene.expects(scene.run_until([&] { return scene.serving() == 2U; }, 20 * second),
                "2 reigns again");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(quorum)

BOOST_AUTO_TEST_CASE(a_slow_disk_of_one_replica_does_not_show_in_a_quorum) {
  const auto quorum = cost_of_a_slow_disk(engine::Mode::sync_quorum, true);
  BOOST_TEST(quorum.p99_of_healthy < 1.3);
  BOOST_TEST(quorum.p99_of_dead < 1.3);
  BOOST_TEST(cost_of_a_slow_disk(engine::Mode::sync_all, true).p99_of_healthy > 3.0);
}

// Of three healthy copies the two faster ones answer, so that one's short stall does not show; with a
// slow one as with a dead one it does.
BOOST_AUTO_TEST_CASE(where_nodes_stand_still_a_slow_replica_costs_no_more_than_a_dead_one) {
  const auto quorum = cost_of_a_slow_disk(engine::Mode::sync_quorum, false);
  BOOST_TEST(quorum.p90_of_healthy < 1.3);
  BOOST_TEST(quorum.p99_of_dead < 1.3);
}

BOOST_AUTO_TEST_CASE(a_disk_that_stands_still_delays_only_sync_all_and_only_until_it_is_left_out) {
  for (const auto mode : {engine::Mode::sync_quorum, engine::Mode::sync_all}) {
    Scene scene(three(mode));
    BOOST_TEST(scene.write_durably(0));
    auto& disk = scene.node(2).disk();
    disk.slow_factor = 100'000;
    const auto began = scene.now();
    BOOST_TEST(scene.write_durably(0));
    const auto waited = scene.now() - began;
    const bool quorum = mode == engine::Mode::sync_quorum;
    BOOST_TEST((waited < 100 * millisecond) == quorum);
    BOOST_TEST(waited < 3 * second);
    BOOST_TEST(scene.copy(2)->in_set == quorum);
    disk.slow_factor = 1;
    BOOST_TEST(scene.settle());
    BOOST_TEST(scene.copy(2)->in_set);
  }
}

BOOST_AUTO_TEST_CASE(a_slow_primary_commits_by_the_others_and_loses_nothing_when_it_dies) {
  Scene scene;
  BOOST_TEST(scene.promote(1));
  scene.node(1).disk().slow_factor = 10'000;
  for (std::uint64_t b = 0; b < 8; ++b) BOOST_TEST(scene.write_durably(b));
  scene.kill(1, Kill::power);
  scene.node(1).disk().slow_factor = 1;
  scene.boot(1);
  BOOST_TEST(scene.read(0, 8));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_dead_voter_delays_nothing_and_leaves_nobody_short) {
  Scene scene;
  scene.kill(2);
  const auto began = scene.now();
  for (std::uint64_t b = 0; b < 8; ++b) BOOST_TEST(scene.write_durably(b));
  BOOST_TEST((scene.now() - began) < 100 * millisecond);
  BOOST_TEST(scene.copy(2)->in_set);
  BOOST_TEST(scene.view()->waiting_for == "");
  scene.boot(2);
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(without_a_majority_writes_wait_and_status_says_for_whom) {
  Scene scene;
  scene.kill(1);
  scene.kill(2);
  bool answered = false;
  BOOST_TEST(scene.send({engine::FrontOp::write, {0, 8}, true, false},
                        [&](const auto& error) { answered = !error; }));
  scene.run_for(10 * second);
  BOOST_TEST(!answered);
  const auto v = scene.view();
  BOOST_REQUIRE(v.has_value());
  BOOST_TEST(v->waiting_for.find("2 of the 3 voters") != std::string::npos);
  BOOST_TEST(v->waiting_for.find("is away") != std::string::npos);
  scene.boot(1);
  BOOST_TEST(scene.run_until([&] { return answered; }));
  BOOST_TEST(scene.settle());
}

// C13. Two of three are away. They stay in the count: what the third one has alone is not committed, as they may elect
// one of themselves.
BOOST_AUTO_TEST_CASE(who_is_away_stays_in_the_count) {
  const Story story = [](cluster_tests::Stage& s) {
    s.kill(2);
    s.kill(3);
    s.later_write(3, true);
    s.run_for(2 * second);
    s.kill(1);
    s.boot(2);
    s.boot(3);
    s.promote_soon(2);
    s.read(3);
    s.boot(1);
    s.settle();
  };
  auto options = apart();
  options.mode = engine::Mode::sync_quorum;
  options.min_copies = 1;
  must_hold(story, options);
  must_break(engine::Bug::quorum_shrinks_with_absence,
             {"electable_without", "lost_flushed", "committed_fork"}, story, options);
}

// C13. A voter is rebuilt: its log is durable far, and its image is a half one. What it and the primary alone have is not
// committed by a majority.
BOOST_AUTO_TEST_CASE(a_voter_that_is_rebuilt_commits_nothing) {
  const Story story = [](cluster_tests::Stage& s) {
    s.kill(3);
    s.flood();
    auto durable = std::make_shared<engine::Lsn>();
    s.rule([durable](const cluster_tests::Passage& p) {
      const auto* ack = std::get_if<engine::Ack>(&p.message);
      if (ack != nullptr && p.from == 3) *durable = ack->durable;
      const bool base = std::holds_alternative<engine::BaseBlocks>(p.message);
      return base && p.to == 3 ? sim::Fate::hold : sim::Fate::pass;
    });
    s.boot(3);
    const auto rebuilds = [&] {
      const auto copy = s.copy(3);
      return copy && copy->state == "rebuilding";
    };
    s.run_until(rebuilds, 20 * second);
    s.hold_log(2);
    const auto answered = s.later_write(3, true);
    s.run_for(1 * second);
    const auto v = s.view();
    s.must(v && rebuilds() && durable->value == v->head, "not_staged", "its log is not durable");
    s.must(!*answered, "half_copy_counted", "committed with a copy that is half");
    s.let_go(2);
    s.run_until([&] { return *answered; }, 20 * second);
    s.must(*answered, "never_answered", "a majority has it");
    s.pass_all();
    s.settle();
  };
  auto options = apart();
  options.mode = engine::Mode::sync_quorum;
  must_hold(story, options);
}

BOOST_AUTO_TEST_CASE(when_the_primary_dies_the_longer_of_the_others_reigns_whomever_one_wants) {
  Scene scene;
  BOOST_TEST(scene.promote(1));
  scene.part(1, 2);
  for (std::uint64_t b = 0; b < 20; ++b) BOOST_TEST(scene.write_durably(b));
  scene.kill(1);
  BOOST_TEST(!scene.promote(2));
  BOOST_TEST(scene.run_until([&] { return scene.serving() == 0U; }, 10 * second));
  BOOST_TEST(scene.read(0, 20));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(fewer_votes_than_needed_wait_and_an_operator_changes_nothing) {
  Scene scene;
  BOOST_TEST(scene.write_durably(4));
  for (std::uint32_t n = 0; n < 3; ++n) scene.kill(n);
  scene.boot(0);
  scene.run_for(10 * second);
  BOOST_TEST(!scene.serving().has_value());
  BOOST_TEST(!scene.promote(0));
  BOOST_TEST(!scene.serving().has_value());
  const auto v = scene.view();
  BOOST_REQUIRE(v.has_value());
  BOOST_TEST(v->phase == "fencing");
  scene.boot(2);
  BOOST_TEST(scene.run_until([&] { return scene.serving().has_value(); }, 10 * second));
  BOOST_TEST(scene.read(4));
  BOOST_TEST(scene.settle());
}

// C13.
BOOST_AUTO_TEST_CASE(a_copy_that_lost_data_and_one_behind_do_not_elect) {
  must_hold(one_lost_it_and_one_is_behind, all_in_the_log());
  must_break(engine::Bug::quorum_counts_voteless,
             {"electable_without", "lost_flushed", "committed_fork"}, one_lost_it_and_one_is_behind,
             all_in_the_log());
}

// C3.
BOOST_AUTO_TEST_CASE(an_older_epochs_records_on_a_majority_are_not_committed) {
  Scene scene;
  an_older_epochs_records_reach_a_majority(scene);
  BOOST_TEST(scene.settle());
}

// C4: answered, in the memory of two, on no disk; both go. What is lost is said, never hidden.
BOOST_AUTO_TEST_CASE(two_that_lose_their_memory_lose_the_cache_and_one_does_not) {
  for (const bool both : {false, true}) {
    Scene scene;
    BOOST_TEST(scene.promote(1));
    scene.run_for(2 * second);
    const auto epoch = scene.view()->epoch;
    scene.part(1, 0);
    for (std::uint32_t n : {1U, 2U}) scene.node(n).disk().slow_factor = 20'000;
    BOOST_TEST(scene.write(6));
    scene.kill(1, Kill::power);
    if (both) scene.kill(2, Kill::power);
    for (std::uint32_t n : {1U, 2U}) scene.node(n).disk().slow_factor = 1;
    scene.heal();
    scene.boot(1);
    scene.boot(2);
    BOOST_TEST(scene.run_until([&] { return scene.serving().has_value(); }, 20 * second));
    BOOST_TEST(scene.view()->epoch > epoch);
    BOOST_TEST(scene.read(6));  // judged: lost only where the reign said so
    BOOST_TEST(scene.settle());
  }
}

BOOST_AUTO_TEST_CASE(a_wiped_voter_is_replaced_and_stays_in_the_count_until_then) {
  Scene scene;
  BOOST_TEST(scene.write_durably(0));
  scene.wipe(2);
  scene.run_for(500 * millisecond);
  scene.boot(2);
  BOOST_TEST(scene.replace(2));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_removed_voter_goes_when_the_others_have_all_and_a_new_one_comes) {
  Scene scene;
  const auto path = std::string("/v1/volumes/data/replicas");
  for (std::uint64_t b = 0; b < 8; ++b) BOOST_TEST(scene.write_durably(b));
  const auto body = fmt::format("{{\"action\":\"remove\",\"node\":\"{}\"}}", scene.node(2).name());
  // Of the two that stay both must have what is committed: one of them is behind.
  scene.node(1).disk().slow_factor = 50'000;
  for (std::uint64_t b = 0; b < 8; ++b) BOOST_TEST(scene.write_durably(b));
  bool done = false;
  scene.admin_later("POST", path, body, [&](engine::AdminReply r) { done = r.status == 200; });
  scene.run_for(1 * second);
  BOOST_TEST(!done);
  BOOST_TEST(scene.view()->pending);
  scene.node(1).disk().slow_factor = 1;
  BOOST_TEST(scene.run_until([&] { return done; }, 60 * second));
  BOOST_TEST(scene.write_durably(9));
  const auto back = fmt::format("{{\"action\":\"add\",\"node\":\"{}\"}}", scene.node(2).name());
  BOOST_TEST(scene.admin("POST", path, back).status < 300);
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace quorum_scenes
