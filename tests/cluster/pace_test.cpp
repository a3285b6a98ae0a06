// Copies that are rebuilt take turns and keep to what they are allowed; a disk that is stuck holds
// up nobody for long.
#define BOOST_TEST_DYN_LINK
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::millisecond;
using engine::second;

namespace {

namespace json = boost::json;

/// A copy that is being brought in line, as its primary tells it.
struct Peer {
  std::string state, reason, held_by;
  std::uint64_t copied = 0;
};

/// Four reads of the base: 1 MiB each.
constexpr std::uint64_t volume_blocks = 1024;

void fill(Cluster& cluster) {
  for (std::uint64_t b = 0; b < cluster.options().blocks; b += 256) cluster.write(b, 256);
  cluster.flush();
}

/// The host of the control plane, the one node that is never lost, is the primary of a full volume.
bool begin(Cluster& cluster) {
  if (cluster.primary() != 0 && !cluster.promote_soon(0)) return false;
  fill(cluster);
  return !cluster.failed();
}

/// They are away until the log no longer reaches back to them, and come back at once.
void leave_behind(Cluster& cluster, std::vector<std::uint32_t> nodes) {
  for (const auto n : nodes) cluster.kill(n);
  // More than the four segments of 4 MiB that are kept.
  for (int round = 0; round < 6; ++round) fill(cluster);
  cluster.run_for(2 * second);
  for (const auto n : nodes) cluster.boot(n);
}

Peer peer(Cluster& cluster, std::uint32_t n) {
  const auto reply = cluster.admin("GET", "/v1/local");
  const auto volumes = json::parse(reply.body).at("volumes").as_array();
  Peer found;
  if (volumes.empty() || !volumes.at(0).as_object().contains("status")) return found;
  for (const auto& p : volumes.at(0).at("status").at("peers").as_array()) {
    if (p.at("node").as_string() != cluster.node(n).name()) continue;
    found.state = p.at("state").as_string();
    found.reason = p.at("reason").as_string();
    if (const auto* session = p.as_object().if_contains("session")) {
      found.copied = session->at("base_blocks").to_number<std::uint64_t>();
      if (const auto* held = session->as_object().if_contains("rebuild_held_by"))
        found.held_by = held->as_string();
    }
  }
  return found;
}

bool waits_for_turn(Cluster& cluster, std::uint32_t n) {
  const auto p = peer(cluster, n);
  return p.state == "rebuilding" && p.held_by == "turn" &&
         p.reason == "waits for its turn to be rebuilt";
}

class Stage : public Cluster {
 public:
  explicit Stage(ClusterOptions options) : Cluster(std::move(options)) {
    BOOST_REQUIRE_MESSAGE(start(), why());
    BOOST_REQUIRE_MESSAGE(begin(*this), why());
  }
  ~Stage() { BOOST_CHECK_MESSAGE(!failed(), why()); }
  std::string why() const {
    return failure() ? failure()->cls + ": " + failure()->text : std::string("it did not fail");
  }
  CopyView copy(std::uint32_t n) {
    const auto v = view();
    for (const auto& c : v ? v->copies : std::vector<CopyView>{}) {
      if (c.node == node(n).name()) return c;
    }
    return {};
  }
};

/// The first read at once, then one each two seconds.
ClusterOptions paced(std::uint32_t lanes) {
  ClusterOptions options;
  options.min_copies = 1;
  options.blocks = volume_blocks;
  options.tune = [lanes](actors::Settings& s) {
    s.rebuild_lanes = lanes;
    s.rebuild_rate = 512 << 10;
  };
  return options;
}

ClusterOptions three() {
  ClusterOptions options;
  options.blocks = 256;
  return options;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pace)

BOOST_AUTO_TEST_CASE(of_two_copies_rebuilt_at_once_one_waits_for_its_turn_and_both_come_in) {
  Stage stage(paced(1));
  leave_behind(stage, {1, 2});
  BOOST_TEST(stage.run_until([&] { return waits_for_turn(stage, 1) || waits_for_turn(stage, 2); }));
  const std::uint32_t late = waits_for_turn(stage, 1) ? 1 : 2;
  const auto early = 3 - late;
  BOOST_TEST(stage.run_until([&] { return peer(stage, early).copied > 256; }));
  BOOST_TEST(peer(stage, late).copied == 0u);
  BOOST_TEST(waits_for_turn(stage, late));
  // Clients do not wait for either.
  const auto began = stage.now();
  BOOST_TEST(stage.write(3));
  BOOST_TEST(stage.flush());
  BOOST_TEST((stage.now() - began) < 100 * millisecond);
  BOOST_TEST(stage.run_until([&] { return peer(stage, late).copied > 0; }));
  BOOST_TEST(peer(stage, early).state == "streaming");
  BOOST_TEST(stage.settle());
}

BOOST_AUTO_TEST_CASE(with_two_places_both_are_copied_at_once) {
  Stage stage(paced(2));
  leave_behind(stage, {1, 2});
  BOOST_TEST(stage.run_until([&] {
    return peer(stage, 1).state == "rebuilding" && peer(stage, 1).copied > 0 &&
           peer(stage, 2).state == "rebuilding" && peer(stage, 2).copied > 0;
  }));
  BOOST_TEST(stage.settle());
}

BOOST_AUTO_TEST_CASE(a_copy_that_dies_in_its_turn_makes_room_for_the_next) {
  const cluster_tests::Story story = [](cluster_tests::Stage& s) {
    s.must(begin(s), "not_staged", "the volume is not full");
    leave_behind(s, {1, 2});
    s.run_until([&] { return waits_for_turn(s, 1) || waits_for_turn(s, 2); });
    const std::uint32_t late = waits_for_turn(s, 1) ? 1 : 2;
    s.must(waits_for_turn(s, late), "not_staged", "nobody waits for a turn");
    s.kill(3 - late);
    s.must(s.run_until([&] { return peer(s, late).copied > 0; }, 5 * second), "waits_for_ever",
           "who waits gets no turn though the other one is gone");
    s.settle();
  };
  cluster_tests::must_hold(story, paced(1));
  cluster_tests::must_break(engine::Bug::lane_keeps_its_place, {"waits_for_ever"}, story, paced(1));
}

BOOST_AUTO_TEST_CASE(a_cap_holds_and_a_session_that_waits_for_it_has_not_stalled) {
  auto options = paced(2);
  // Each read waits for 32 s, longer than the half minute after which a session that does not move is
  // given up.
  options.tune = [](actors::Settings& s) { s.rebuild_rate = 32 << 10; };
  Stage stage(options);
  leave_behind(stage, {1});
  BOOST_TEST(stage.run_until([&] { return peer(stage, 1).state == "rebuilding"; }));
  const auto began = stage.now();
  BOOST_TEST(stage.run_until([&] { return peer(stage, 1).state == "streaming"; }, 200 * second));
  BOOST_TEST((stage.now() - began) >= 90 * second);
  // In one session: nothing was given up.
  BOOST_TEST(peer(stage, 1).copied == volume_blocks);
  BOOST_TEST(stage.settle());
}

BOOST_AUTO_TEST_CASE(the_cap_changes_while_a_copy_is_rebuilt_and_a_senseless_one_changes_nothing) {
  auto options = paced(2);
  options.tune = [](actors::Settings& s) { s.rebuild_rate = 32 << 10; };
  Stage stage(options);
  leave_behind(stage, {1});
  BOOST_TEST(stage.run_until([&] { return peer(stage, 1).held_by == "cap"; }));
  const auto set = [&](const std::string& body) {
    return stage.admin("POST", "/v1/local/rebuild_rate", body).status;
  };
  BOOST_TEST(set("{\"bytes_per_second\":1000}") == 400u);
  BOOST_TEST(set("{\"rate\":1048576}") == 400u);
  BOOST_TEST(set("{}") == 400u);
  BOOST_TEST(stage.admin("GET", "/v1/local").body.find("\"rebuild_rate_bytes_per_second\":32768") !=
             std::string::npos);
  BOOST_TEST(set("{\"bytes_per_second\":0}") == 200u);
  BOOST_TEST(stage.run_until([&] { return peer(stage, 1).state == "streaming"; }, 5 * second));
}

BOOST_AUTO_TEST_CASE(a_stuck_replica_delays_a_flush_until_it_is_left_out_and_nobody_else_at_all) {
  Stage stage(three());
  const std::uint32_t stuck = 1, other = 2;
  stage.node(stuck).disk().stuck = true;
  const auto began = stage.now();
  // In memory it still takes what comes.
  for (std::uint64_t b = 0; b < 50; ++b) BOOST_TEST(stage.write(b));
  BOOST_TEST((stage.now() - began) < 1 * second);
  // Numbered, and durable at the other copy, while the flush waits for this one.
  bool flushed = false;
  stage.send({engine::FrontOp::flush, {}, false, false}, [&](const auto& e) { flushed = !e; });
  stage.run_for(1 * second);
  BOOST_TEST(!flushed);
  BOOST_TEST(stage.copy(other).durable == stage.view()->head);
  BOOST_TEST(stage.run_until([&] { return flushed; }, 2 * second));
  BOOST_TEST(!stage.copy(stuck).in_set);
  // Out of the set it delays nothing any more.
  const auto without = stage.now();
  for (std::uint64_t b = 0; b < 50; ++b) BOOST_TEST(stage.write(b, 1, true));
  BOOST_TEST((stage.now() - without) < 1 * second);
  BOOST_TEST(stage.run_until([&] { return stage.copy(stuck).problem.find("disk stuck") == 0; },
                             1 * second));
  stage.node(stuck).disk().stuck = false;
  BOOST_TEST(stage.settle());
  BOOST_TEST(stage.copy(stuck).problem == "");
}

BOOST_AUTO_TEST_CASE(what_a_stuck_replica_holds_in_memory_is_bounded_by_its_credit) {
  Stage stage(three());
  const std::uint32_t stuck = 1;
  stage.node(stuck).disk().stuck = true;
  // More than the 64 MiB that may be unacknowledged.
  for (int round = 0; round < 80; ++round) BOOST_TEST(stage.write(0, 256));
  BOOST_TEST(stage.flush());
  const auto reply = stage.admin("GET", "/v1/local", "", stuck);
  const auto store = json::parse(reply.body).at("volumes").at(0).at("store");
  BOOST_TEST(store.at("memory_bytes").to_number<std::uint64_t>() <= 66u << 20);
  stage.node(stuck).disk().stuck = false;
  BOOST_TEST(stage.settle());
}

BOOST_AUTO_TEST_CASE(
    a_replica_whose_disk_stays_stuck_gives_itself_up_and_a_restart_brings_it_back) {
  Stage stage(three());
  const std::uint32_t stuck = 1;
  stage.node(stuck).disk().stuck = true;
  BOOST_TEST(stage.write(0));
  stage.run_for(29 * second);
  BOOST_TEST(stage.copy(stuck).problem.find("the store failed") == std::string::npos);
  stage.run_for(4 * second);
  BOOST_TEST(stage.copy(stuck).problem.find("the store failed: disk stuck") == 0u);
  BOOST_TEST(stage.write(1, 1, true));
  // What it took long ago may land now: nobody counts it any more.
  stage.node(stuck).disk().stuck = false;
  stage.run_for(2 * second);
  BOOST_TEST(!stage.copy(stuck).in_set);
  stage.kill(stuck);
  stage.boot(stuck);
  BOOST_TEST(stage.settle());
}

BOOST_AUTO_TEST_CASE(
    a_primary_whose_disk_stays_stuck_ends_its_role_and_another_serves_what_was_answered) {
  Stage stage(three());
  BOOST_TEST(stage.promote_soon(1));
  BOOST_TEST(stage.write(7));
  stage.node(1).disk().stuck = true;
  BOOST_TEST(stage.write(8));
  const auto began = stage.now();
  BOOST_TEST(
      stage.run_until([&] { return stage.serving() && *stage.serving() != 1; }, 60 * second));
  BOOST_TEST((stage.now() - began) >= 25 * second);
  BOOST_TEST((stage.now() - began) <= 35 * second);
  BOOST_TEST(stage.read(7, 2));
  BOOST_TEST(stage.write(9, 1, true));
  stage.kill(1);
  stage.node(1).disk().stuck = false;
  stage.boot(1);
  BOOST_TEST(stage.settle());
}

BOOST_AUTO_TEST_SUITE_END()
