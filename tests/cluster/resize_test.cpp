// The histories of C24 and C12 for a size: it is what the log says, on every copy, whoever has heard of
// it and whoever has not.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;
using namespace tidemark::sim;

namespace {

ClusterOptions with(std::uint64_t blocks, std::uint64_t seed = 1) {
  ClusterOptions options;
  options.seed = seed;
  options.blocks = blocks;
  return options;
}

class Scene : public Cluster {
 public:
  explicit Scene(ClusterOptions options = {}) : Cluster(std::move(options)) {
    BOOST_REQUIRE_MESSAGE(start(), why());
  }
  std::string why() const {
    return failure() ? failure()->cls + ": " + failure()->text : std::string("it did not fail");
  }
  /// What a request to `block` is answered: "" is success.
  std::string answer(engine::FrontOp op, std::uint64_t block) {
    auto text = std::make_shared<std::optional<std::string>>();
    send({op, {block * cells_per_block, cells_per_block}, false, false},
         [text](const auto& e) { *text = e ? std::string(to_string(e->code)) : std::string(); });
    run_until([&] { return text->has_value(); });
    return text->value_or("no answer");
  }
  std::uint64_t blocks() {
    const auto v = view();
    return v ? v->size_bytes / engine::block_bytes : 0;
  }
  /// More than the others' logs keep.
  void outlive_the_log() {
    for (int i = 0; i < 60 && !failed(); ++i) write(0, 100);
    flush();
    run_for(2 * second);
  }
};

struct Good : Scene {
  using Scene::Scene;
  ~Good() { BOOST_CHECK_MESSAGE(!failed(), why()); }
};

const Story grown_behind_a_replicas_back = [](Stage& s) {
  s.block(0, 2);
  s.run_for(100 * millisecond);
  s.must(s.begin_resize(512), "not_staged", "the size is not wanted");
  // Before the replica's link to the control plane is found dead.
  auto answered = std::make_shared<bool>(false);
  for (int look = 0; look < 40 && !*answered; ++look) {
    answered = s.later_write(400);
    s.run_for(50 * millisecond);
  }
  s.must(*answered, "never_grown", "a write beyond the old end is not answered");
  s.flush();
  s.must(s.in_set(2), "refused_beyond_the_end", "a replica does not follow beyond the old end");
  s.kill(1, Kill::power);
  s.heal();
  s.run_until([&] { return !s.history().resizing(); });
  s.promote_soon(2);
  s.read(400);
  const auto seen = s.view();
  s.must(seen && seen->size_bytes == 512 * engine::block_bytes, "other_size",
         "the next primary has another size");
  s.settle();
};

const Story shrunk_and_grown_again = [](Stage& s) {
  s.write(300, 20);
  s.flush();
  s.resize(256);
  s.resize(512);
  s.read(300, 20);
  s.settle();
};

}  // namespace

BOOST_AUTO_TEST_SUITE(resize)

// C24. A volume grows while a replica hears nothing of the control plane, and is written beyond the old end. Then that
// replica is the primary.
BOOST_AUTO_TEST_CASE(a_replica_takes_a_write_beyond_the_old_end_before_it_hears_of_the_new_one) {
  must_hold(grown_behind_a_replicas_back, apart());
  must_break(Bug::resize_outside_log, {"refused_beyond_the_end"}, grown_behind_a_replicas_back,
             apart());
}

// C24. What was cut off does not come back with the next growth.
BOOST_AUTO_TEST_CASE(what_was_cut_off_reads_as_zeros_on_every_copy_when_the_volume_grows_again) {
  must_hold(shrunk_and_grown_again, with(512), 2);
  must_break(Bug::shrink_keeps_cut_blocks, {"lost_flushed", "corrupt"}, shrunk_and_grown_again, with(512));
}

BOOST_AUTO_TEST_CASE(requests_beyond_the_end_are_refused_and_those_within_are_not) {
  Good scene(with(384));
  BOOST_TEST(scene.answer(engine::FrontOp::write, 400) == "no_space");
  BOOST_TEST(scene.answer(engine::FrontOp::read, 400) == "invalid");
  BOOST_TEST(scene.resize(512));
  BOOST_TEST(scene.answer(engine::FrontOp::write, 400) == "");
  BOOST_TEST(scene.resize(300));
  BOOST_TEST(scene.answer(engine::FrontOp::write, 400) == "no_space");
  BOOST_TEST(scene.answer(engine::FrontOp::write, 300) == "no_space");
  BOOST_TEST(scene.answer(engine::FrontOp::read, 300) == "invalid");
  BOOST_TEST(scene.answer(engine::FrontOp::trim, 300) == "invalid");
  BOOST_TEST(scene.answer(engine::FrontOp::write, 299) == "");
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_size_survives_the_power_loss_of_all_nodes) {
  Good scene;
  BOOST_TEST(scene.resize(512));
  BOOST_TEST(scene.write(500));
  BOOST_TEST(scene.flush());
  for (std::uint32_t n = 0; n < 3; ++n) scene.kill(n, Kill::power);
  for (std::uint32_t n = 0; n < 3; ++n) scene.boot(n);
  BOOST_TEST(scene.read(500));
  BOOST_TEST(scene.blocks() == 512u);
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_resize_that_its_primary_did_not_live_to_see_is_carried_out_by_the_next) {
  for (std::uint64_t after = 0; after < 12; ++after) {
    BOOST_TEST_CONTEXT("killed " << after * 500 << " us after it was asked for") {
      Good scene(with(256, after + 1));
      BOOST_TEST(scene.begin_resize(after % 2 == 0 ? 512 : 384));
      scene.run_for(after * 500'000);
      const auto primary = scene.primary();
      scene.kill(primary, after % 3 == 0 ? Kill::power : Kill::process);
      scene.run_for(200 * millisecond);
      scene.boot(primary);
      BOOST_TEST(scene.run_until([&] { return !scene.history().resizing(); }));
      BOOST_TEST(scene.write(300));
      BOOST_TEST(scene.settle());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_copy_that_was_away_gets_the_size_from_the_log) {
  Good scene(with(512));
  BOOST_TEST(scene.write(300, 20));
  BOOST_TEST(scene.flush());
  const auto away = (scene.primary() + 1) % 3;
  scene.kill(away);
  BOOST_TEST(scene.resize(256));
  BOOST_TEST(scene.resize(512));
  BOOST_TEST(scene.write(310));
  scene.boot(away);
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_copy_that_was_away_longer_than_the_log_reaches_lacks_what_was_cut) {
  for (const bool grown : {false, true}) {
    BOOST_TEST_CONTEXT((grown ? "grown again" : "shrunk")) {
      Good scene(with(512));
      BOOST_TEST(scene.write(300, 20));
      BOOST_TEST(scene.flush());
      scene.run_for(2 * second);  // It is in the extents of all.
      const auto away = scene.primary() == 2 ? 1u : 2u;
      scene.kill(away);
      BOOST_TEST(scene.resize(280));
      if (grown) BOOST_TEST(scene.resize(400));
      scene.outlive_the_log();
      scene.boot(away);
      BOOST_TEST(scene.converge());
      BOOST_TEST(scene.resize(512));
      BOOST_TEST(scene.settle());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_new_copy_is_made_while_the_volume_shrinks_and_grows) {
  Good scene(with(512));
  BOOST_TEST(scene.write(250, 200));
  BOOST_TEST(scene.flush());
  scene.run_for(2 * second);
  const auto fresh = scene.primary() == 2 ? 1u : 2u;
  scene.wipe(fresh);
  scene.boot(fresh);
  scene.node(fresh).disk().slow_factor = 100;
  BOOST_TEST(scene.replace(fresh));
  BOOST_TEST(scene.resize(300));
  BOOST_TEST(scene.write(290, 10));
  BOOST_TEST(scene.resize(500));
  BOOST_TEST(scene.write(400, 50));
  scene.node(fresh).disk().slow_factor = 1;
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(one_change_at_a_time_and_nothing_is_cut_by_mistake) {
  Good scene(with(384));
  const auto resize = [&](std::uint64_t blocks, const char* shrink) {
    return scene.admin("POST", "/v1/volumes/data/resize",
                       "{\"size_bytes\":" + std::to_string(blocks * 4096) + shrink + "}");
  };
  BOOST_TEST(resize(256, "").status == 409);
  BOOST_TEST(resize(100, ",\"shrink\":true").status == 400);
  BOOST_TEST(resize(384, "").status == 200);
  BOOST_TEST(scene.blocks() == 384u);
  // Nobody can make it a record while the primary is away.
  BOOST_TEST(scene.promote_soon(1));
  scene.kill(1);
  BOOST_TEST(scene.begin_resize(512));
  scene.run_for(100 * millisecond);
  BOOST_TEST(resize(400, "").status == 409);
  BOOST_TEST(scene.settle());
  BOOST_TEST(scene.blocks() == 512u);
}

BOOST_AUTO_TEST_SUITE_END()
