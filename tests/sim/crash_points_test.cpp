// A process ends exactly between two durable steps: what the step did is there or not, nobody heard
// of it, and nothing of that life happens behind it.
#define BOOST_TEST_DYN_LINK
#include "sim/crash_points.hpp"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <set>

#include "sim/cluster.hpp"
#include "sim/disk.hpp"
#include "sim/kv.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::millisecond;
using engine::second;

namespace {

constexpr auto before = StepMoment::before;
constexpr auto after = StepMoment::after;
const std::string replica = "/node1/volumes/v-1";

engine::Slice page(char c) {
  engine::Buffer b(page_bytes);
  std::memset(b.data(), c, b.size());
  return std::move(b).freeze();
}

/// The one point of a path that a step of this kind has at this moment.
CrashPoint point(DurableStep step, const std::string& where, StepMoment moment) {
  const auto found = crash_point_of(step, where, moment);
  BOOST_REQUIRE(found.has_value());
  return *found;
}

/// A disk and a catalog of node 0, one file open, and a point at which the process ends.
struct OneLife {
  OneLife() : random(7), image(Random(8)) {
    image.format({"/node1", "/node1/volumes", replica, replica + "/wal", replica + "/extents"});
    image.ends_at =
        catalog.ends_at = [this](DurableStep step, std::string_view where, StepMoment moment) {
          return points.ends_at(0, step, where, moment);
        };
    storage::OpenOptions options;
    options.create = true;
    disk.open(path, options, [&](engine::Result<storage::FilePtr> f) { file = *f; });
    run();
  }
  void run() {
    while (!events.empty()) events.fire();
  }
  /// Ends the process at the step's point, and says whether it was told of the step's end.
  bool heard(DurableStep step, StepMoment moment, const std::function<void(storage::Disk&)>& ask,
             const std::string& where) {
    points.arm(0, point(step, where, moment), false);
    ask(disk);
    run();
    BOOST_TEST(!points.armed());
    BOOST_TEST(!life->alive);
    return told;
  }
  std::function<void(engine::Status)> done() {
    return [this](engine::Status) { told = true; };
  }
  char first_byte() const {
    const auto inode = image.inode(path);
    return inode->size() == 0 ? '.' : static_cast<char>(inode->read(0, 1).data()[0]);
  }

  const std::string path = replica + "/wal/00000001.seg";
  Random random;
  Trace trace;
  Events events{random, trace};
  CrashPoints points;
  DiskImage image;
  KvImage catalog;
  LifePtr life = std::make_shared<Life>();
  SimDisk disk{events, trace, image, life};
  storage::FilePtr file;
  bool told = false;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(crash_point_rules)

BOOST_AUTO_TEST_CASE(all_points_are_known_without_being_reached) {
  std::set<std::string> names;
  for (CrashPoint p = 0; p < crash_points(); ++p) {
    BOOST_TEST(names.insert(crash_point_name(p)).second);
    BOOST_TEST(crash_point_name(p).find_first_of(" :=") == std::string::npos);
  }
  BOOST_TEST(names.size() == 104u);
}

BOOST_AUTO_TEST_CASE(a_path_tells_what_kind_of_file_it_is) {
  const auto name = [](DurableStep step, const std::string& where) {
    return crash_point_name(point(step, where, before));
  };
  BOOST_TEST(name(DurableStep::write, replica + "/wal/00000001.seg") == "write/segment/before");
  BOOST_TEST(name(DurableStep::sync, replica + "/extents/00000000.dat") == "sync/blocks/before");
  BOOST_TEST(name(DurableStep::sync, replica + "/extents/00000000.sum") == "sync/checksums/before");
  BOOST_TEST(name(DurableStep::rename, replica + "/missing.new") == "rename/fresh-missing/before");
  BOOST_TEST(name(DurableStep::write, replica + "/forks/2-3-4.new") == "write/fresh-fork/before");
  BOOST_TEST(name(DurableStep::remove, replica + "/forks/2-3-4") == "remove/fork/before");
  BOOST_TEST(name(DurableStep::sync_directory, replica) ==
             "sync_directory/replica-directory/before");
  BOOST_TEST(name(DurableStep::sync_directory, "/node1/volumes") ==
             "sync_directory/volumes-directory/before");
  BOOST_TEST(name(DurableStep::commit, "promise/x") == "commit/role-catalog/before");
  BOOST_TEST(!crash_point_of(DurableStep::write, "/d/f", before).has_value());
  BOOST_TEST(!crash_point_of(DurableStep::commit, "elsewhere", before).has_value());
}

BOOST_AUTO_TEST_CASE(what_a_process_left_is_removed_by_the_next_one) {
  const auto removal = point(DurableStep::remove, replica + "/missing.new", after);
  const auto first = first_end_for(removal);
  BOOST_REQUIRE(first.has_value());
  BOOST_TEST(crash_point_name(*first) == "rename/fresh-missing/before");
  BOOST_TEST(!first_end_for(point(DurableStep::remove, replica + "/missing", after)).has_value());
  BOOST_TEST(!first_end_for(*first).has_value());
}

BOOST_AUTO_TEST_CASE(before_a_write_nothing_of_it_is_there) {
  OneLife one;
  const auto write = [&](storage::Disk& d) { d.write(one.file, 0, {page('x')}, one.done()); };
  BOOST_TEST(!one.heard(DurableStep::write, before, write, one.path));
  BOOST_TEST(one.first_byte() == '.');
  BOOST_TEST(one.disk.in_flight() == 0u);
}

BOOST_AUTO_TEST_CASE(after_a_write_it_is_there_and_nobody_heard_of_it) {
  OneLife one;
  const auto write = [&](storage::Disk& d) { d.write(one.file, 0, {page('x')}, one.done()); };
  BOOST_TEST(!one.heard(DurableStep::write, after, write, one.path));
  BOOST_TEST(one.first_byte() == 'x');
}

BOOST_AUTO_TEST_CASE(a_sync_holds_after_its_point_and_not_before_it) {
  for (const auto moment : {before, after}) {
    OneLife one;
    one.disk.write(one.file, 0, {page('x')}, [](engine::Status) {});
    one.run();
    const auto sync = [&](storage::Disk& d) { d.sync(one.file, one.done()); };
    BOOST_TEST(!one.heard(DurableStep::sync, moment, sync, one.path));
    BOOST_TEST(one.image.inode(one.path)->written_end() == (moment == after ? page_bytes : 0u));
  }
}

BOOST_AUTO_TEST_CASE(names_change_after_the_point_and_not_before_it) {
  for (const auto moment : {before, after}) {
    OneLife one;
    const auto remove = [&](storage::Disk& d) { d.remove(one.path, one.done()); };
    BOOST_TEST(!one.heard(DurableStep::remove, moment, remove, one.path));
    BOOST_TEST(one.image.exists(one.path) == (moment == before));
  }
}

BOOST_AUTO_TEST_CASE(a_removal_of_nothing_is_no_step) {
  OneLife one;
  one.points.arm(0, point(DurableStep::remove, replica + "/missing", after), false);
  one.disk.remove(replica + "/missing", one.done());
  one.run();
  BOOST_TEST(one.told);
  BOOST_TEST(one.points.armed());
}

BOOST_AUTO_TEST_CASE(a_batch_of_the_catalog_is_there_after_its_point) {
  for (const auto moment : {before, after}) {
    OneLife one;
    SimKv kv(one.events, one.trace, one.random.fork(), one.catalog, one.life);
    storage::KvBatch batch;
    batch.put("promise/v", "7");
    one.points.arm(0, point(DurableStep::commit, "promise/v", moment), false);
    kv.commit(std::move(batch), one.done());
    one.run();
    BOOST_TEST(!one.told);
    BOOST_TEST(!one.life->alive);
    BOOST_TEST(one.catalog.pairs.contains("promise/v") == (moment == after));
    kv.process_ended();
  }
}

BOOST_AUTO_TEST_CASE(behind_its_end_a_process_asks_its_disk_in_vain) {
  OneLife one;
  const auto two = [&](storage::Disk& d) {
    d.write(one.file, 0, {page('x')}, one.done());
    d.write(one.file, page_bytes, {page('y')}, one.done());
    d.remove(one.path, one.done());
  };
  BOOST_TEST(!one.heard(DurableStep::write, before, two, one.path));
  BOOST_TEST(one.image.exists(one.path));
  BOOST_TEST(one.image.inode(one.path)->size() == 0u);
}

BOOST_AUTO_TEST_CASE(another_node_or_another_point_goes_by) {
  CrashPoints points;
  const auto here = replica + "/superblock";
  points.arm(1, point(DurableStep::write, here, after), true);
  BOOST_TEST(!points.ends_at(0, DurableStep::write, here, after));
  BOOST_TEST(!points.ends_at(1, DurableStep::write, here, before));
  BOOST_TEST(!points.take_struck().has_value());
  BOOST_TEST(points.ends_at(1, DurableStep::write, here, after));
  BOOST_TEST(!points.ends_at(1, DurableStep::write, here, after));  // once
  const auto struck = points.take_struck();
  BOOST_REQUIRE(struck.has_value());
  BOOST_TEST(struck->node == 1u);
  BOOST_TEST(struck->power);
  BOOST_TEST(points.hits()[struck->point] == 1u);
  BOOST_TEST(!points.take_struck().has_value());
}

BOOST_AUTO_TEST_CASE(any_point_behind_so_many_others_ends_a_process) {
  CrashPoints points;
  points.arm_any(0, 2, false);
  const auto here = replica + "/superblock";
  BOOST_TEST(!points.ends_at(0, DurableStep::write, here, before));
  BOOST_TEST(!points.ends_at(0, DurableStep::write, here, after));
  BOOST_TEST(points.ends_at(0, DurableStep::commit, "touched/x", before));
}

// The cluster's own step ends what is left of the life at once, and its copy comes back.
BOOST_AUTO_TEST_CASE(a_node_ends_at_its_point_and_comes_back) {
  for (const bool power : {false, true}) {
    ClusterOptions options;
    options.seed = 11;
    Cluster cluster(options);
    BOOST_REQUIRE(cluster.start());
    const std::uint32_t node = cluster.primary() == 1 ? 2 : 1;
    const auto life = cluster.node(node).life();
    const auto here =
        point(DurableStep::write, cluster.node(node).directory() + "/volumes/x/superblock", after);
    cluster.crash_points().arm(node, here, power);
    for (std::uint64_t block = 0; block < 200 && cluster.crash_points().armed(); ++block) {
      BOOST_TEST(cluster.write(block));
      cluster.run_for(50 * millisecond);
    }
    BOOST_TEST(!cluster.crash_points().armed());
    BOOST_TEST(!cluster.alive(node));
    BOOST_TEST(cluster.scheduler().actors_of(*life) == 0u);
    BOOST_TEST(cluster.crash_points().hits()[here] == 1u);
    cluster.boot(node);
    BOOST_TEST(cluster.settle());
    if (cluster.failed()) BOOST_ERROR(cluster.failure()->text);
  }
}

// Each time its recovery ends a few steps further on.
BOOST_AUTO_TEST_CASE(a_recovery_that_ends_at_every_step_comes_to_its_end) {
  ClusterOptions options;
  options.seed = 12;
  Cluster cluster(options);
  BOOST_REQUIRE(cluster.start());
  for (std::uint64_t block = 0; block < 30; ++block) BOOST_TEST(cluster.write(block));
  const std::uint32_t node = cluster.primary() == 1 ? 2 : 1;
  cluster.kill(node, Kill::power);
  std::set<CrashPoint> ended_at;
  for (std::uint64_t others = 0; others < 24; ++others) {
    const auto hits = cluster.crash_points().hits();
    cluster.crash_points().arm_any(node, others, others % 2 == 0);
    cluster.boot(node);
    cluster.run_until([&] { return !cluster.crash_points().armed(); }, 2 * second);
    cluster.crash_points().disarm();
    for (CrashPoint p = 0; p < hits.size(); ++p) {
      if (cluster.crash_points().hits()[p] > hits[p]) ended_at.insert(p);
    }
  }
  BOOST_TEST(ended_at.size() >= 6u);
  BOOST_TEST(cluster.settle());
  if (cluster.failed()) BOOST_ERROR(cluster.failure()->text);
}

// What goes first is the superblock, durably: a log that went before it would be one that was lost.
BOOST_AUTO_TEST_CASE(a_copy_that_is_removed_when_power_fails_is_not_taken_for_damaged) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    // Its superblock names records as durable that are not in its extents yet.
    options.tune = [](actors::Settings& s) {
      s.flush_after = 5 * millisecond;
      s.flush_bytes = 16u << 10;
    };
    Cluster cluster(options);
    BOOST_REQUIRE(cluster.start());
    const std::uint32_t node = cluster.primary() == 1 ? 2 : 1;
    bool damaged = false;
    cluster.node(node).on_event = [&damaged](const SimNode&, const engine::Event& event) {
      damaged = damaged || event.name == "log_damaged";
    };
    const auto gone = point(DurableStep::remove, replica + "/extents/00000000.dat", before);
    cluster.crash_points().arm(node, gone, true);
    const auto body =
        fmt::format("{{\"action\":\"remove\",\"node\":\"{}\"}}", cluster.node(node).name());
    for (std::uint64_t block = 0; block < 1000 && cluster.crash_points().armed(); ++block) {
      const CellRange cells{block % 200 * cells_per_block, cells_per_block};
      cluster.send({engine::FrontOp::write, cells, false, false});
      if (block == 60) {
        cluster.admin_later("POST", "/v1/volumes/data/replicas", body, [](engine::AdminReply) {});
      }
      cluster.run_for(1 * millisecond);
    }
    BOOST_TEST(!cluster.crash_points().armed());
    cluster.boot(node);
    cluster.run_for(2 * second);
    BOOST_TEST(!damaged);
  }
}

BOOST_AUTO_TEST_SUITE_END()
