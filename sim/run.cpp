#include "sim/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/faults.hpp"
#include "sim/workload.hpp"

namespace tidemark::sim {
namespace {

using engine::millisecond;
using engine::second;

/// What a seed decides before anything runs.
struct Draft {
  ClusterOptions cluster;
  WorkloadShape shape;
  std::size_t clients = 2;
  std::size_t depth_max = 4;
  std::uint64_t think_max = 0;
  std::uint64_t faults = 3;
  bool resizes = false;
  bool reconfigures = false;
  std::uint64_t operations = operations_min;
};

void draw_settings(actors::Settings& s, Random random) {
  s.memory_tail_bytes = random.between(16, 1024) << 10;
  s.sender_credit_bytes = random.between(1100, 4096) << 10;
  s.uncommitted_bytes_max = random.between(2, 8) << 20;
  s.flush_bytes = random.between(16, 1024) << 10;
  s.flush_after = random.between(10, 1000) * millisecond;
  s.wal_retention_bytes = random.between(4, 6) * s.segment_bytes;
  s.retry_max = random.between(100, 1000) * millisecond;
  s.disk_degraded_after = random.between(200, 2000) * millisecond;
  s.disk_eject_after = s.disk_degraded_after + random.between(1, 12) * second;
  s.rebuild_lanes = static_cast<std::uint32_t>(random.between(1, 3));
  // A volume of 1 to 2 MiB: some seconds at the least of it.
  if (random.chance(1, 3)) s.rebuild_rate = random.between(256, 4096) << 10;
}

NetworkWeather draw_weather(Random& random) {
  NetworkWeather w;
  w.delay_min = random.between(5, 100) * 1'000;
  w.delay_max = w.delay_min + random.between(10, 2'000) * 1'000;
  if (random.chance(1, 3)) {
    w.spike_one_in = random.between(20, 400);
    w.spike_max = random.between(5, 400) * millisecond;
  }
  w.bytes_per_microsecond = random.between(50, 2'000);
  if (random.chance(1, 2)) w.stale_control_one_in = random.between(2, 8);
  return w;
}

/// Of its own source, so that what else a seed draws is the same in every mode.
void draw_rules(Draft& d) {
  auto& options = d.cluster;
  Random random(options.seed * 0x9e3779b97f4a7c15ULL + 5);
  Random policies(options.seed * 0x9e3779b97f4a7c15ULL + 6);
  d.reconfigures = policies.chance(1, 2);
  if (policies.chance(1, 3)) options.below_min = engine::BelowMin::fail;
  if (options.mode != engine::Mode::sync_all || !random.chance(2, 5)) return;
  options.mode = engine::Mode::sync_quorum;
  if (random.chance(1, 4)) options.min_copies = random.chance(1, 2) ? 1 : 3;
}

/// Where the copies are: on all nodes, or beside one that has the control plane alone; there are three, or two. And how
/// many of them are enough, of its own source as well.
void draw_places(Draft& d) {
  auto& options = d.cluster;
  Random random(options.seed * 0x9e3779b97f4a7c15ULL + 7);
  const bool alone = options.mode == engine::Mode::best_effort;
  switch (random.below(6)) {
    case 0:
    case 1:
      options.nodes = 4;
      options.hosts = {1, 2, 3};
      break;
    case 2:
      if (options.mode == engine::Mode::sync_quorum)
        break;  // Two have no majority without each other.
      options.hosts = {1, 2};
      options.copies = 2;
      options.min_copies = alone || random.chance(2, 3) ? 1 : 2;
      break;
    default:
      break;
  }
  if (options.mode == engine::Mode::sync_all && random.chance(1, 4)) options.min_copies = 1;
}

Draft draw(const RunOptions& options) {
  Random random(options.seed * 0x2545f4914f6cdd1dULL + 1);
  Draft d;
  d.shape = draw_shape(random);
  d.cluster.seed = options.seed;
  d.cluster.verbose = options.verbose;
  // Else a part of what is asked lies beyond the end until the volume has grown.
  d.cluster.blocks = random.chance(2, 3) ? d.shape.blocks : 256;
  if (random.chance(1, 8)) d.cluster.mode = engine::Mode::best_effort;
  if (d.cluster.mode == engine::Mode::best_effort) d.cluster.min_copies = 1;
  draw_rules(d);
  draw_places(d);
  if (random.chance(1, 4)) d.cluster.ack = engine::AckPolicy::durable;
  d.cluster.weather = draw_weather(random);
  d.cluster.tune = [fork = random.fork()](actors::Settings& s) { draw_settings(s, fork); };
  d.clients = random.between(2, 4);
  d.depth_max = random.between(1, 12);
  d.think_max = random.chance(1, 2) ? random.below(30) * millisecond : 0;
  d.faults = random.between(crashes_min, 7);
  d.resizes = random.chance(1, 2);
  d.operations = operations_min + random.below(200);
  return d;
}

std::string describe(const Draft& d) {
  return fmt::format(
      "{} nodes, {} copies, {} blocks, {}, min_copies {}, ack {}, {} clients, depth {}, think {} "
      "ms, {} "
      "faults{}{}{}{}{}{}{}{}",
      d.cluster.nodes, d.cluster.copies, d.shape.blocks, to_string(d.cluster.mode),
      d.cluster.min_copies, to_string(d.cluster.ack), d.clients, d.depth_max,
      d.think_max / millisecond, d.faults, d.shape.unaligned ? ", unaligned" : "",
      d.shape.trim ? ", trim" : "", d.shape.zeroes ? ", zeroes" : "",
      d.shape.big_one_in != 0 ? ", big" : "", d.cluster.weather.spike_one_in != 0 ? ", spikes" : "",
      d.cluster.weather.stale_control_one_in != 0 ? ", stale control" : "",
      d.resizes ? ", resizes" : "", d.reconfigures ? ", reconfigures" : "");
}

std::uint64_t answered(const Cluster& cluster) {
  std::uint64_t n = 0;
  for (const auto& client : cluster.clients()) n += client->answered();
  return n;
}

// A fault that lasts would otherwise see tens of thousands of requests: when a run is ahead of what
// it is to do, its clients think longer.
constexpr std::uint64_t think_when_ahead = 300 * millisecond;

struct Pace {
  std::uint64_t allowance = 0;  ///< Requests at full speed.
  std::uint64_t flood = 0;      ///< Requests that fill the log.
};
// The longest log (24 MiB and what it is pinned beyond) in pieces of a third of the smallest volume.
constexpr std::uint64_t flood_requests = 100;

void begin_load(Cluster& cluster, const Draft& d, std::shared_ptr<Pace> pace, Random random) {
  for (std::size_t i = 0; i < d.clients; ++i) {
    auto client = cluster.add_client();
    client->depth = random.between(1, d.depth_max);
    client->next = [shape = d.shape, own = random.fork(), pace,
                    think = d.think_max](Client& self) mutable {
      if (pace->flood > 0) {
        --pace->flood;
        self.think_max = 0;
        return std::optional<Ask>(flood_ask(shape));
      }
      self.think_max = pace->allowance == 0 ? std::max(think, think_when_ahead) : think;
      pace->allowance -= std::min<std::uint64_t>(pace->allowance, 1);
      return std::optional<Ask>(draw_ask(shape, own));
    };
  }
}

/// Faults while the load runs, then load until enough was answered.
void trouble(Cluster& cluster, const Draft& d, Faults& faults, Pace& pace, Random random) {
  const auto share = d.operations / (d.faults + 1);
  faults.make_busy = [&pace, share] { pace.allowance = share; };
  faults.flood = [&pace] { pace.flood = flood_requests; };
  for (std::uint64_t i = 0; i < d.faults && !cluster.failed(); ++i) {
    const auto goal = answered(cluster) + random.between(2, share);
    pace.allowance = share + share / 2;
    cluster.run_until([&] { return answered(cluster) >= goal; }, 4 * second);
    const auto missing = crashes_min - std::min(crashes_min, faults.crashes_and_cuts());
    if (d.resizes && random.chance(1, 3)) faults.resize_anywhere();  // What follows meets it.
    if (d.reconfigures && random.chance(1, 3)) faults.reconfigure_anyhow();
    faults.inject(faults.draw(d.faults - i <= missing || random.chance(1, 2)));
  }
  faults.make_busy = nullptr;
  faults.flood = nullptr;
  pace.flood = 0;
  cluster.heal();
  for (std::uint32_t n = 0; n < cluster.size(); ++n) cluster.boot(n);
  pace.allowance = d.operations;
  cluster.run_until([&] { return answered(cluster) >= d.operations; }, Cluster::converge_max);
  if (answered(cluster) < d.operations) {
    cluster.fail("stuck",
                 fmt::format("{} operations were answered, {} were wanted, {} s after "
                             "everything was healed",
                             answered(cluster), d.operations, Cluster::converge_max / second));
  }
}

void end_load(Cluster& cluster) {
  for (const auto& client : cluster.clients()) client->stop();
  const auto idle = [&] {
    return std::all_of(cluster.clients().begin(), cluster.clients().end(),
                       [](const auto& c) { return c->in_flight() == 0; });
  };
  if (!cluster.run_until(idle)) {
    cluster.fail("unanswered", "requests wait for ever though everything is healed");
  }
}

/// What is wanted comes to be in force; and then every copy can be shown in turn, whatever the mode was.
void end_changes(Cluster& cluster) {
  if (!cluster.run_until([&] { return !cluster.configuring(); })) {
    cluster.fail("not_configured", "other rules are not in force though everything is healed");
  }
  const auto seen = cluster.view();
  const bool alone = seen && seen->alone();
  const auto last =
      alone || cluster.options().copies < 3 ? engine::Mode::sync_all : engine::Mode::sync_quorum;
  if (!cluster.failed() && !cluster.configure(last, 2)) {
    cluster.fail("not_configured", "the volume's rules cannot be changed at rest");
  }
}

/// What is under way ends; and what was cut off is shown again, on every copy in turn.
void show_all(Cluster& cluster) {
  const auto settled = [&] { return !cluster.history().resizing(); };
  if (!cluster.run_until(settled)) {
    cluster.fail("not_resized", "a resize is not in force though everything is healed");
  }
  const auto most = cluster.options().blocks_max;
  const bool whole = cluster.history().size() == most * cells_per_block;
  if (!whole && cluster.failure() == std::nullopt && !cluster.resize(most)) {
    cluster.fail("not_resized", "the volume does not grow at rest");
  }
}

void play(Cluster& cluster, const Draft& d, Faults& faults, Random random) {
  if (!cluster.start()) return;
  const auto pace = std::make_shared<Pace>();
  begin_load(cluster, d, pace, random.fork());
  trouble(cluster, d, faults, *pace, random.fork());
  if (!cluster.failed()) end_load(cluster);
  if (!cluster.failed() && d.reconfigures) end_changes(cluster);
  if (!cluster.failed()) show_all(cluster);
  if (!cluster.failed()) cluster.settle();
  if (planted(engine::Bug::canary)) cluster.fail("canary", "the planted canary is always wrong");
}

/// Where nothing rots, what was copied is what its source holds.
/// And no store ends for want of space: what has its number has its room (C23).
void judge_events(Cluster& cluster) {
  for (std::uint32_t n = 0; n < cluster.size(); ++n) {
    cluster.node(n).on_event = [&cluster](const SimNode&, const engine::Event& event) {
      if (event.name == "base_unequal" && !cluster.rotten())
        cluster.fail("base_unequal", engine::render(event));
      if (event.name != "store_lost") return;
      const auto told = engine::render(event);
      if (told.find("no space left") != std::string::npos)
        cluster.fail("store_lost_to_full_disk", told);
    };
  }
}

/// The run that is under way, for the report of a failed CHECK.
struct UnderWay {
  const RunOptions* options = nullptr;
  Cluster* cluster = nullptr;
};
UnderWay under_way;

}  // namespace

Outcome run_seed(const RunOptions& options) {
  engine::plant(options.bug);
  const auto draft = draw(options);
  Outcome outcome;
  outcome.seed = options.seed;
  outcome.configuration = describe(draft);
  {
    Cluster cluster(draft.cluster);
    under_way = {&options, &cluster};
    Random random(options.seed ^ 0x6a09e667f3bcc909ULL);
    Faults faults(cluster, random.fork());
    judge_events(cluster);
    play(cluster, draft, faults, random.fork());
    outcome.trace = cluster.trace();
    outcome.failure = cluster.failure();
    outcome.steps = cluster.scheduler().steps();
    outcome.frames = cluster.world().net.frames();
    outcome.records = cluster.logs().records();
    outcome.virtual_milliseconds = cluster.now().value / millisecond;
    outcome.operations = answered(cluster);
    outcome.crashes_and_cuts = faults.crashes_and_cuts();
    outcome.counts = cluster.counts();
    outcome.asked = outcome.counts.asked;
    outcome.faults = faults.counts();
    if (outcome.failure) outcome.last_events = cluster.world().trace.last(110);
    under_way = {};
  }
  engine::plant(engine::Bug::none);
  return outcome;
}

Outcome run_seed_twice(const RunOptions& options) {
  auto outcome = run_seed(options);
  if (outcome.failure) return outcome;
  const auto again = run_seed({options.seed, options.bug, false});
  if (again.trace != outcome.trace) {
    outcome.failure = Failure{"trace", fmt::format("a second run left trace {:016x}, not {:016x}",
                                                   again.trace, outcome.trace)};
  }
  return outcome;
}

std::string command(const RunOptions& options) {
  auto text = fmt::format("tidemark-sim --seed {}", options.seed);
  if (options.bug != engine::Bug::none) {
    text += fmt::format(" --plant {}", to_string(options.bug));
  }
  return text;
}

std::vector<std::string> last_events_of_run() {
  if (under_way.cluster == nullptr) return {};
  return under_way.cluster->world().trace.last(110);
}

std::string command_of_run() {
  return under_way.options == nullptr ? std::string() : command(*under_way.options);
}

}  // namespace tidemark::sim
