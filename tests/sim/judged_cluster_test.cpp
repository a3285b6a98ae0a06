// What a whole cluster at rest is held against: that a cycle of load leaves nothing behind, and no rot is left.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <string>

#include "sim/cluster.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::second;

namespace {

ClusterOptions one_seed() {
  ClusterOptions options;
  options.seed = 3;
  return options;
}

/// Three copies at rest, with some content in their extents.
struct AtRest {
  Cluster cluster{one_seed()};

  AtRest() {
    BOOST_TEST_REQUIRE(cluster.start());
    BOOST_TEST_REQUIRE(cluster.write(0, 40));
    BOOST_TEST_REQUIRE(cluster.flush());
    cluster.run_for(2 * second);
  }
  std::string breach() const { return cluster.failure() ? cluster.failure()->cls : ""; }
  InodePtr block_file(std::uint32_t node) {
    for (const auto& file : cluster.files(node, ".dat")) {
      if (file->written_end() != 0) return file;
    }
    return nullptr;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(judged_cluster)

BOOST_FIXTURE_TEST_CASE(a_cycle_of_load_leaves_nothing_behind, AtRest) {
  BOOST_TEST(cluster.nothing_leaks());
  BOOST_TEST(breach() == "");
}

BOOST_FIXTURE_TEST_CASE(a_timer_that_each_session_leaves_behind_is_noticed, AtRest) {
  auto& world = cluster.world();
  for (std::uint32_t n = 0; n < cluster.size(); ++n) {
    cluster.node(n).on_event = [&world](const SimNode& node, const engine::Event& event) {
      if (event.name == "session_started")
        world.events.after(1'000 * second, node.life(), "left behind", [] {});
    };
  }
  BOOST_TEST(!cluster.nothing_leaks());
  BOOST_TEST(breach() == "leak");
}

// Each wire that a fault had slowed down ends as late as what went over it then.
BOOST_FIXTURE_TEST_CASE(a_connection_whose_end_is_heard_of_late_is_no_leak, AtRest) {
  auto& world = cluster.world();
  cluster.node(1).on_event = [&world](const SimNode& node, const engine::Event& event) {
    if (event.name == "receiver_state_changed")
      world.events.after(1'000 * second, node.life(), "closed", [] {});
  };
  BOOST_TEST(cluster.nothing_leaks());
  BOOST_TEST(breach() == "");
}

BOOST_FIXTURE_TEST_CASE(a_file_that_one_node_leaves_open_with_each_connection_is_noticed, AtRest) {
  cluster.node(1).on_event = [this](const SimNode&, const engine::Event& event) {
    const bool back = event.name == "receiver_state_changed" &&
                      engine::render(event).find("to=following") != std::string::npos;
    if (back) ++*cluster.node(1).disk().open_files;
  };
  BOOST_TEST(!cluster.nothing_leaks());
  BOOST_TEST(breach() == "leak");
}

BOOST_FIXTURE_TEST_CASE(a_block_that_rots_is_written_again, AtRest) {
  const auto file = block_file(1);
  BOOST_TEST_REQUIRE(file != nullptr);
  cluster.blocks_rot();
  BOOST_TEST_REQUIRE(file->rot(0, file->written_end(), cluster.world().random));
  BOOST_TEST(file->rotten_pages().size() == 1U);
  BOOST_TEST(cluster.rot_is_mended());
  BOOST_TEST(file->rotten_pages().empty());
  BOOST_TEST(breach() == "");
}

BOOST_FIXTURE_TEST_CASE(what_was_damaged_on_purpose_may_be_found_when_errors_are_excused_no_more,
                        AtRest) {
  BOOST_TEST(!cluster.damaged_on_purpose());
  cluster.blocks_rot();
  BOOST_TEST(cluster.rotten());
  BOOST_TEST_REQUIRE(cluster.settle());
  BOOST_TEST(!cluster.rotten());
  BOOST_TEST(cluster.damaged_on_purpose());
}

BOOST_FIXTURE_TEST_CASE(writes_that_a_disk_lost_excuse_no_error, AtRest) {
  cluster.writes_were_lost();
  BOOST_TEST(!cluster.rotten());
  BOOST_TEST(cluster.damaged_on_purpose());
}

BOOST_FIXTURE_TEST_CASE(rot_that_no_scrub_finds_is_noticed, AtRest) {
  // As if a copy had forgotten one of its files.
  auto& disk = cluster.node(1).disk();
  const auto known = cluster.files(1, ".dat").front();
  const auto file = *disk.open(cluster.node(1).directory() + "/volumes/forgotten.dat", true);
  file->apply(file->prepare(0, {known->read(0, page_bytes).freeze()}), true);
  cluster.blocks_rot();
  BOOST_TEST_REQUIRE(file->rot(0, page_bytes, cluster.world().random));
  BOOST_TEST(!cluster.rot_is_mended());
  BOOST_TEST(breach() == "rot_not_found");
}

BOOST_AUTO_TEST_SUITE_END()
