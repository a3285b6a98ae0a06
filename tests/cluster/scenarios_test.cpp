// Named histories on the simulated cluster: each tells what happened
// and why nothing may be lost by it.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <string>

#include "sim/cluster.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::millisecond;
using engine::second;

namespace {

/// A cluster that must not fail: says what broke.
class Scene : public Cluster {
 public:
  explicit Scene(ClusterOptions options = {}) : Cluster(std::move(options)) {
    BOOST_REQUIRE_MESSAGE(start(), why());
  }
  ~Scene() { BOOST_CHECK_MESSAGE(!failed(), why()); }
  std::string why() const {
    return failure() ? failure()->cls + ": " + failure()->text : std::string("it did not fail");
  }
  std::uint32_t replica(std::uint32_t n = 1) { return (primary() + n) % size(); }
  bool in_set(std::uint32_t n) {
    const auto v = view();
    if (!v) return false;
    for (const auto& copy : v->copies) {
      if (copy.node == node(n).name()) return copy.in_set;
    }
    return false;
  }
  std::uint64_t epoch() {
    const auto v = view();
    return v ? v->epoch : 0;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(cluster)

BOOST_AUTO_TEST_CASE(a_fresh_volume_has_three_copies_at_once_and_reads_zeros) {
  Scene scene;
  BOOST_TEST(scene.read(0, 16));
  for (std::uint32_t n = 0; n < 3; ++n) BOOST_TEST(scene.in_set(n));
}

BOOST_AUTO_TEST_CASE(
    an_answered_write_survives_the_crash_of_the_primary_before_anything_is_flushed) {
  Scene scene;
  BOOST_TEST(scene.write(3));
  const auto primary = scene.primary();
  scene.kill(primary);
  scene.run_for(5 * millisecond);
  scene.boot(primary);
  // Two exact copies were alive: nothing answered may be gone, and the history knows it.
  BOOST_TEST(scene.read(3));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_flushed_write_survives_the_power_loss_of_all_nodes) {
  Scene scene;
  BOOST_TEST(scene.write(1, 4));
  BOOST_TEST(scene.flush());
  for (std::uint32_t n = 0; n < 3; ++n) scene.kill(n, Kill::power);
  for (std::uint32_t n = 0; n < 3; ++n) scene.boot(n);
  BOOST_TEST(scene.read(1, 4));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_restarted_primary_does_not_resume_its_epoch) {
  Scene scene;
  BOOST_TEST(scene.write(0));
  const auto before = scene.epoch();
  const auto primary = scene.primary();
  scene.kill(primary);
  scene.boot(primary);
  BOOST_TEST(scene.write(0));
  BOOST_TEST(scene.epoch() > before);
}

BOOST_AUTO_TEST_CASE(a_dead_replica_delays_writes_only_until_it_has_left_the_set) {
  Scene scene;
  const auto gone = scene.replica();
  scene.kill(gone);
  const auto began = scene.now();
  BOOST_TEST(scene.write(0));
  BOOST_TEST(scene.flush());
  BOOST_TEST((scene.now() - began) < 1 * second);
  BOOST_TEST(!scene.in_set(gone));
  scene.boot(gone);
  BOOST_TEST(scene.converge());
  BOOST_TEST(scene.in_set(gone));
}

BOOST_AUTO_TEST_CASE(the_set_never_shrinks_below_min_copies_and_writes_wait_there) {
  Scene scene;
  const auto first = scene.replica(1);
  const auto second_one = scene.replica(2);
  scene.kill(first);
  BOOST_TEST(scene.write(0));
  scene.kill(second_one);
  bool answered = false;
  BOOST_TEST(scene.send({engine::FrontOp::write, {0, 8}, true, false},
                        [&](const auto& error) { answered = !error; }));
  scene.run_for(5 * second);
  BOOST_TEST(!answered);
  scene.boot(first);
  BOOST_TEST(scene.run_until([&] { return answered; }));
}

BOOST_AUTO_TEST_CASE(a_replica_that_was_down_catches_up_from_the_log) {
  Scene scene;
  const auto late = scene.replica();
  scene.kill(late);
  for (std::uint64_t b = 0; b < 20; ++b) BOOST_TEST(scene.write(b));
  scene.boot(late);
  BOOST_TEST(scene.converge());
  BOOST_TEST(scene.promote(late));
  BOOST_TEST(scene.read(0, 20));
}

BOOST_AUTO_TEST_CASE(a_replica_behind_the_retained_log_is_rebuilt_while_writes_go_on) {
  int rebuilds = 0;
  Scene scene;
  for (std::uint32_t n = 0; n < scene.size(); ++n) {
    scene.node(n).on_event = [&rebuilds](const SimNode&, const engine::Event& event) {
      const bool completed = event.name == "session_completed";
      if (completed && engine::render(event).find("kind=rebuild") != std::string::npos) ++rebuilds;
    };
  }
  const auto late = scene.replica();
  scene.kill(late);
  // More than the four segments of 4 MiB that are kept.
  for (int round = 0; round < 24; ++round) BOOST_TEST(scene.write(0, 256));
  BOOST_TEST(scene.flush());
  scene.run_for(2 * second);
  scene.boot(late);
  for (std::uint64_t b = 0; b < 30; ++b) BOOST_TEST(scene.write(b));
  BOOST_TEST(scene.settle());
  BOOST_TEST(rebuilds >= 1);
}

BOOST_AUTO_TEST_CASE(a_wiped_replica_comes_back_under_a_new_identity) {
  Scene scene;
  BOOST_TEST(scene.write(0, 8));
  std::uint32_t victim = scene.replica();
  if (victim == 0) victim = scene.replica(2);
  scene.wipe(victim);
  scene.run_for(500 * millisecond);
  scene.boot(victim);
  BOOST_TEST(scene.replace(victim));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(an_isolated_primary_loses_no_flushed_write) {
  Scene scene;
  BOOST_TEST(scene.write(5));
  BOOST_TEST(scene.flush());
  scene.isolate(scene.primary());
  scene.run_for(8 * second);
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_promotion_moves_the_volume_and_cuts_nobody_silently) {
  Scene scene;
  BOOST_TEST(scene.write(2));
  const auto to = scene.replica();
  BOOST_TEST(scene.promote(to));
  BOOST_TEST(scene.primary() == to);
  BOOST_TEST(scene.read(2));
  BOOST_TEST(scene.write(2));
}

BOOST_AUTO_TEST_CASE(stale_assignments_change_nothing) {
  ClusterOptions options;
  options.seed = 11;
  options.weather.stale_control_one_in = 1;
  Scene scene(options);
  for (int round = 0; round < 3; ++round) {
    BOOST_TEST(scene.write(static_cast<std::uint64_t>(round)));
    scene.promote(scene.replica());
  }
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(unaligned_neighbours_of_one_block_are_both_kept) {
  Scene scene;
  for (std::uint64_t cell = 0; cell < 8; ++cell) {
    BOOST_TEST(scene.send({engine::FrontOp::write, {cell, 1}, false, false}));
  }
  BOOST_TEST(scene.read(0));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(trimmed_blocks_read_as_zeros_on_every_copy) {
  Scene scene;
  BOOST_TEST(scene.write(0, 16));
  BOOST_TEST(scene.trim(4, 8));
  BOOST_TEST(scene.read(0, 16));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_primary_killed_and_started_again_at_once_waits_for_its_own_late_writes) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    Scene scene(options);
    for (std::uint64_t b = 0; b < 8; ++b) {
      BOOST_TEST(scene.send({engine::FrontOp::write, {b * 8, 8}, false, false}));
    }
    const auto primary = scene.primary();
    scene.kill(primary);
    scene.boot(primary);
    BOOST_TEST(scene.settle());
  }
}

BOOST_AUTO_TEST_CASE(a_volume_that_answers_durable_loses_no_answered_write) {
  ClusterOptions options;
  options.ack = engine::AckPolicy::durable;
  Scene scene(options);
  BOOST_TEST(scene.write(9));
  for (std::uint32_t n = 0; n < 3; ++n) scene.kill(n, Kill::power);
  for (std::uint32_t n = 0; n < 3; ++n) scene.boot(n);
  BOOST_TEST(scene.read(9));
}

BOOST_AUTO_TEST_SUITE_END()
