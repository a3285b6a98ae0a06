// Each kind of fault of disks, processes and operators by itself, under load, in each mode that loses nothing: afterwards
// all is whole, every copy shows what was answered, and nothing has to be excused that was not done on purpose.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <string>

#include "sim/faults.hpp"
#include "sim/workload.hpp"
#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;
using sim::Fault;

namespace {

/// Twice in a run, with clients that write, read and flush all the while.
void survives(Fault fault, sim::ClusterOptions options, std::uint64_t seed) {
  options.seed = seed;
  Stage stage(options);
  sim::Random random(seed);
  sim::WorkloadShape shape = sim::draw_shape(random);
  BOOST_REQUIRE(stage.start());
  for (int i = 0; i < 2; ++i) {
    const auto client = stage.add_client();
    client->depth = 4;
    client->think_max = 100 * millisecond;
    client->next = [shape, own = random.fork()](sim::Client&) mutable {
      return std::optional<sim::Ask>(sim::draw_ask(shape, own));
    };
  }
  sim::Faults faults(stage, random.fork());
  for (int i = 0; i < 2 && !stage.failed(); ++i) {
    stage.run_for(1 * second);
    faults.inject(fault);
  }
  for (const auto& client : stage.clients()) client->stop();
  if (!stage.failed()) stage.converge();
  const auto settled = [&] { return !stage.history().resizing() && !stage.configuring(); };
  stage.must(stage.run_until(settled), "not_settled", "what was asked for is not in force");
  stage.must(stage.settle(), "not_settled", "it does not settle");
  if (stage.failure()) {
    BOOST_ERROR(fmt::format("{} with seed {}: {}: {}", to_string(fault), seed, stage.failure()->cls,
                            stage.failure()->text));
  }
}

void all_survive(Fault first, Fault last) {
  auto quorum = apart();
  quorum.mode = engine::Mode::sync_quorum;
  for (auto i = static_cast<int>(first); i <= static_cast<int>(last); ++i) {
    survives(static_cast<Fault>(i), apart(), 1);
    survives(static_cast<Fault>(i), {}, 2);
    survives(static_cast<Fault>(i), quorum, 3);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(each_fault)

BOOST_AUTO_TEST_CASE(of_disks_is_survived) { all_survive(Fault::unreadable, Fault::old_image); }
BOOST_AUTO_TEST_CASE(of_processes_is_survived) { all_survive(Fault::paused, Fault::twin); }
BOOST_AUTO_TEST_CASE(of_operators_is_survived) {
  all_survive(Fault::senseless_commands, Fault::verified);
}

BOOST_AUTO_TEST_SUITE_END()
