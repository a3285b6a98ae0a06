// Virtual time, the scheduler, the catalog and the wires: same seed, same run;
// a crash leaves nothing behind.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <set>
#include <vector>

#include "sim/kv.hpp"
#include "sim/network.hpp"
#include "sim/scheduler.hpp"
#include "sim/stamp.hpp"
#include "sim/time.hpp"
#include "tests/sim/line.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using tidemark::sim_tests::Line;

namespace {

using GoAtom = caf::atom_constant<caf::atom("go")>;

struct Toy {
  static inline int alive = 0;
  Toy() { ++alive; }
  ~Toy() { --alive; }
};

caf::behavior toy(caf::stateful_actor<Toy>* self, std::vector<int>* seen) {
  return {[=](GoAtom, int n) {
    seen->push_back(n);
    if (n > 0) self->send(self, GoAtom::value, n - 1);
  }};
}

struct Stage {
  explicit Stage(std::uint64_t seed) : random(seed) {
    SimScheduler::install(config, random, events, trace);
    system = std::make_unique<caf::actor_system>(config);
    system->await_actors_before_shutdown(false);
  }
  ~Stage() {
    events.clear();
    system.reset();
  }
  SimScheduler& scheduler() { return SimScheduler::of(*system); }
  void run() {
    while (scheduler().step(engine::MonoTime(~0ULL))) {
    }
  }
  LifePtr life() {
    auto l = std::make_shared<Life>();
    l->id = ++lives;
    return l;
  }

  std::uint32_t lives = 0;
  Random random;
  Trace trace;
  Events events{random, trace};
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
};

std::pair<std::uint64_t, std::vector<int>> play(std::uint64_t seed) {
  Stage stage(seed);
  std::vector<int> seen;
  for (int i = 0; i < 4; ++i) {
    caf::anon_send(stage.system->spawn(toy, &seen), GoAtom::value, 10 * i);
  }
  for (std::uint64_t t = 1; t < 9; ++t) {
    stage.events.after(t % 3, nullptr, "tick",
                       [&seen, t] { seen.push_back(-static_cast<int>(t)); });
  }
  stage.run();
  return {stage.trace.hash(), seen};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(world)

BOOST_AUTO_TEST_CASE(one_seed_is_one_run_and_seeds_differ) {
  std::set<std::uint64_t> traces;
  std::set<std::vector<int>> orders;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const auto first = play(seed);
    BOOST_TEST((first == play(seed)));
    traces.insert(first.first);
    orders.insert(first.second);
  }
  BOOST_TEST(traces.size() == 50u);
  BOOST_TEST(orders.size() == 50u);
}

BOOST_AUTO_TEST_CASE(a_crash_ends_the_actors_of_one_life_only_and_loses_their_mailboxes) {
  {
    Stage stage(3);
    auto first = stage.life();
    auto second = stage.life();
    std::vector<int> seen;
    caf::actor victim, other;
    stage.scheduler().as(first, [&] { victim = stage.system->spawn(toy, &seen); });
    stage.scheduler().as(second, [&] { other = stage.system->spawn(toy, &seen); });
    caf::anon_send(victim, GoAtom::value, 1000);
    for (int i = 0; i < 20; ++i) stage.scheduler().step(engine::MonoTime(~0ULL));
    first->alive = false;
    stage.scheduler().crash(*first);
    BOOST_TEST(stage.scheduler().actors_of(*first) == 0u);
    BOOST_TEST(stage.scheduler().actors_of(*second) == 1u);
    const auto handled = seen.size();
    caf::anon_send(victim, GoAtom::value, 5);
    stage.run();
    BOOST_TEST(seen.size() == handled);
    caf::anon_send(other, GoAtom::value, 0);
    stage.run();
    BOOST_TEST(seen.size() == handled + 1);
  }
  BOOST_TEST(Toy::alive == 0);
}

BOOST_AUTO_TEST_CASE(timers_of_a_dead_life_never_fire) {
  Stage stage(1);
  auto life = stage.life();
  SimTimers timers(stage.events, life);
  bool fired = false;
  timers.after(10, [&] { fired = true; });
  life->alive = false;
  stage.run();
  BOOST_TEST(!fired);
}

BOOST_AUTO_TEST_CASE(
    a_catalog_batch_is_whole_or_absent_after_a_crash_and_batches_keep_their_order) {
  std::set<std::size_t> kept;
  for (std::uint64_t seed = 1; seed < 30; ++seed) {
    Stage stage(seed);
    KvImage image;
    auto life = stage.life();
    SimKv kv(stage.events, stage.trace, Random(seed), image, life);
    for (int i = 0; i < 3; ++i) {
      storage::KvBatch batch;
      batch.put("a" + std::to_string(i), "1");
      batch.put("b" + std::to_string(i), "1");
      kv.commit(std::move(batch), [](engine::Status) {});
    }
    life->alive = false;
    kv.process_ended();
    BOOST_TEST(image.pairs.size() % 2 == 0u);
    for (std::size_t i = 0; i < image.pairs.size() / 2; ++i) {
      BOOST_TEST(image.pairs.contains("a" + std::to_string(i)));
    }
    kept.insert(image.pairs.size());
  }
  BOOST_TEST(kept.size() > 2u);
}

BOOST_AUTO_TEST_CASE(frames_arrive_in_order_and_the_end_behind_them) {
  Line line(1);
  line.connect();
  BOOST_REQUIRE(line.link);
  for (std::uint64_t i = 1; i <= 50; ++i) line.beat(i);
  line.link->close();
  line.run();
  BOOST_TEST(line.ear_a->heard.size() == 50u);
  BOOST_TEST(std::is_sorted(line.ear_a->heard.begin(), line.ear_a->heard.end()));
  BOOST_TEST(line.ear_a->down == "closed by the peer");
  BOOST_TEST(line.ear_b->down == "");
}

BOOST_AUTO_TEST_CASE(a_refused_hello_comes_back_as_an_error_with_its_text) {
  Line line(1);
  line.refuse = true;
  line.connect();
  BOOST_TEST(!line.link);
  BOOST_TEST(line.error.find("wrong_node: no") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(nothing_is_delivered_behind_a_cut_and_both_ends_hear_of_it) {
  Line line(1);
  line.connect();
  line.beat(1);
  line.net.cut(0, 1);
  line.run();
  BOOST_TEST(line.ear_a->heard.empty());
  BOOST_TEST(line.ear_a->down == "connection reset");
  BOOST_TEST(line.ear_b->down == "connection reset");
}

BOOST_AUTO_TEST_CASE(a_short_block_only_delays) {
  Line line(1);
  line.connect();
  line.net.block(1, 0);
  line.beat(1);
  line.beat(2);
  line.events.after(100 * engine::millisecond, nullptr, "heal", [&] { line.net.open_all(); });
  line.run();
  BOOST_TEST(line.ear_a->heard == (std::vector<std::uint64_t>{1, 2}),
             boost::test_tools::per_element());
  BOOST_TEST(line.ear_a->down == "");
}

BOOST_AUTO_TEST_CASE(a_long_block_breaks_the_connection) {
  Line line(1);
  line.connect();
  line.net.block(0, 1);
  line.run();
  BOOST_TEST(line.ear_a->down != "");
  BOOST_TEST(line.ear_b->down != "");
}

BOOST_AUTO_TEST_CASE(nobody_listens_is_an_error_not_a_silence) {
  Line line(1);
  line.b.connect("nowhere:1", {},
                 [&](transport::Network::Outcome r) { line.error = r ? "" : r.error().text; });
  line.run();
  BOOST_TEST(line.error == "connect to nowhere:1: connection refused");
}

BOOST_AUTO_TEST_CASE(a_stamp_names_its_op_and_its_place_and_nothing_else) {
  std::vector<std::byte> cell(cell_bytes);
  BOOST_TEST((read_stamp(cell, 7, 3) == OpId{0}));
  stamp(cell, 7, 3, 42);
  BOOST_TEST((read_stamp(cell, 7, 3) == OpId{42}));
  BOOST_TEST(!read_stamp(cell, 7, 4).has_value());
  BOOST_TEST(!read_stamp(cell, 8, 3).has_value());
  for (std::size_t i = 0; i < cell_bytes; i += 37) {
    cell[i] ^= std::byte{1};
    BOOST_TEST(!read_stamp(cell, 7, 3).has_value());
    cell[i] ^= std::byte{1};
  }
}

BOOST_AUTO_TEST_SUITE_END()
