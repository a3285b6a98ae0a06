#include "sim/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/checkers/damage.hpp"
#include "sim/checkers/pins.hpp"
#include "sim/faults.hpp"
#include "sim/plan.hpp"
#include "sim/weather.hpp"
#include "sim/workload.hpp"

namespace tidemark::sim {
namespace {

using engine::millisecond;
using engine::second;

constexpr std::size_t events_reported = 200;
/// The kind of source that a client of the plan draws its pauses from.
constexpr std::uint64_t clients_draw = 101;

std::uint64_t answered(const Cluster& cluster) {
  std::uint64_t n = 0;
  for (const auto& client : cluster.clients()) n += client->answered();
  return n;
}

// A fault that lasts would otherwise see all requests of the plan: when a run is ahead of what it is to do, its clients
// think longer.
constexpr std::uint64_t think_when_ahead = 300 * millisecond;
// The longest log (24 MiB and what it is pinned beyond) in pieces of a third of the smallest volume.
constexpr std::uint64_t flood_requests = 100;

/// What the clients of a run share.
struct Pace {
  std::uint64_t allowance = 0;  ///< Requests at full speed.
  std::uint64_t flood = 0;      ///< Requests that fill the log, beside those of the plan.
  std::size_t unfinished = 0;   ///< Clients that have not asked all that they are to ask.
  Begun begun;
};

void begin_load(Cluster& cluster, const Plan& plan, const std::shared_ptr<Pace>& pace) {
  pace->begun.asks.assign(plan.clients.size(), 0);
  for (std::size_t i = 0; i < plan.clients.size(); ++i) {
    const auto& planned = plan.clients[i];
    auto client = cluster.add_client(Random::at(plan.schedule, clients_draw, planned.id));
    client->depth = planned.depth;
    if (!planned.asks.empty()) ++pace->unfinished;
    client->next = [asks = planned.asks, i, pace,
                    think = planned.think_max](Client& self) -> std::optional<Ask> {
      auto& at = pace->begun.asks[i];
      if (pace->flood > 0) {
        --pace->flood;
        self.think_max = 0;
        return flood_ask();
      }
      if (at == asks.size()) return std::nullopt;
      self.think_max = pace->allowance == 0 ? std::max(think, think_when_ahead) : think;
      pace->allowance -= std::min<std::uint64_t>(pace->allowance, 1);
      if (at + 1 == asks.size()) --pace->unfinished;
      return asks[at++];
    };
  }
}

bool idle(const Cluster& cluster) {
  return std::all_of(cluster.clients().begin(), cluster.clients().end(),
                     [](const auto& client) { return client->in_flight() == 0; });
}

void strike(Cluster& cluster, const PlannedFault& planned, Faults& faults) {
  faults.draw_from(Random(planned.draws));
  if (planned.resizes) faults.resize_anywhere();  // What follows meets it.
  if (planned.reconfigures) faults.reconfigure_anyhow();
  faults.inject(planned.fault);
  cluster.world().trace.note(cluster.now(), fmt::format("fault {} is over", planned.id));
}

/// Faults while the load runs, then load until all was asked and answered.
void trouble(Cluster& cluster, const Plan& plan, Faults& faults, Pace& pace) {
  const auto wake = [&cluster] {
    for (const auto& client : cluster.clients()) client->resume();
  };
  faults.make_busy = [&pace, share = plan.share] { pace.allowance = share; };
  faults.flood = [&pace, wake] {
    pace.flood = flood_requests;
    wake();  // Who has asked all of his own is asleep.
  };
  for (const auto& planned : plan.faults) {
    if (cluster.failed()) return;
    ++pace.begun.faults;
    const auto goal = answered(cluster) + planned.after;
    pace.allowance = plan.share + plan.share / 2;
    const auto enough = [&] {
      return answered(cluster) >= goal || (pace.unfinished == 0 && idle(cluster));
    };
    cluster.run_until(enough, 4 * second);
    strike(cluster, planned, faults);
  }
  faults.make_busy = nullptr;
  faults.flood = nullptr;
  pace.flood = 0;
  cluster.heal();
  for (std::uint32_t n = 0; n < cluster.size(); ++n) cluster.boot(n);
  pace.allowance = plan.asks();
  cluster.run_until([&] { return pace.unfinished == 0; }, Cluster::converge_max);
  if (pace.unfinished != 0) {
    cluster.fail("stuck",
                 fmt::format("{} clients could not ask all that they were to ask, {} s after "
                             "everything was healed; {} operations were answered",
                             pace.unfinished, Cluster::converge_max / second, answered(cluster)));
  }
}

void end_load(Cluster& cluster) {
  for (const auto& client : cluster.clients()) client->stop();
  if (!cluster.run_until([&] { return idle(cluster); })) {
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

/// All lose power at once, and what they come back with is whole.
void restart_cold(Cluster& cluster) {
  for (std::uint32_t n = 0; n < cluster.size(); ++n) cluster.kill(n, Kill::power);
  cluster.settle();
}

void judge_pins(Cluster& cluster) {
  for (std::uint32_t n = 0; n < cluster.size(); ++n) {
    const auto local = cluster.admin("GET", "/v1/local", "", n).body;
    if (sessions_with_pins(local) > 0)
      cluster.fail("pinned", fmt::format("at rest node{} still pins its log: {}", n + 1, local));
  }
}

void play(Cluster& cluster, const Plan& plan, Faults& faults, const std::shared_ptr<Pace>& pace) {
  if (!cluster.start()) return;
  begin_load(cluster, plan, pace);
  trouble(cluster, plan, faults, *pace);
  if (!cluster.failed()) end_load(cluster);
  if (!cluster.failed() && plan.rules_at_rest) end_changes(cluster);
  if (!cluster.failed()) show_all(cluster);
  if (!cluster.failed()) cluster.settle();
  if (!cluster.failed() && plan.cold_restart) restart_cold(cluster);
  if (!cluster.failed()) judge_pins(cluster);
  if (planted(engine::Bug::canary)) cluster.fail("canary", "the planted canary is always wrong");
}

/// Where nothing rots, what was copied is what its source holds.
/// And no store ends for want of space: what has its number has its room (C23).
void judge_events(Cluster& cluster) {
  for (std::uint32_t n = 0; n < cluster.size(); ++n) {
    cluster.node(n).on_event = [&cluster](const SimNode&, const engine::Event& event) {
      if (event.name == "base_unequal" && !cluster.rotten())
        cluster.fail("base_unequal", engine::render(event));
      if (damaged_by_itself(event, cluster.damaged_on_purpose()))
        cluster.fail("damaged_by_itself", engine::render(event));
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

Outcome run_plan(const Plan& plan, const RunOptions& options) {
  engine::plant(options.bug);
  forget_reached();
  Outcome outcome;
  outcome.seed = plan.seed;
  outcome.configuration = describe(plan);
  {
    auto setting = cluster_options(plan);
    setting.verbose = options.verbose;
    Cluster cluster(std::move(setting));
    under_way = {&options, &cluster};
    Faults faults(cluster, Random(plan.schedule));
    judge_events(cluster);
    const auto pace = std::make_shared<Pace>();
    play(cluster, plan, faults, pace);
    outcome.begun = pace->begun;
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
    add_to(outcome.faults, cluster.world().net.counts());
    outcome.coverage = reached(cluster.crash_points());
    if (outcome.failure) outcome.last_events = cluster.world().trace.last(events_reported);
    under_way = {};
  }
  engine::plant(engine::Bug::none);
  return outcome;
}

Outcome run_plan_twice(const Plan& plan, const RunOptions& options) {
  auto outcome = run_plan(plan, options);
  if (outcome.failure) return outcome;
  auto silent = options;
  silent.verbose = false;
  const auto again = run_plan(plan, silent);
  if (again.trace != outcome.trace) {
    outcome.failure = Failure{"trace", fmt::format("a second run left trace {:016x}, not {:016x}",
                                                   again.trace, outcome.trace)};
  }
  return outcome;
}

Outcome run_seed(const RunOptions& options) { return run_plan(expand(options.seed), options); }

Outcome run_seed_twice(const RunOptions& options) {
  return run_plan_twice(expand(options.seed), options);
}

std::string command(const RunOptions& options) {
  auto text = options.file.empty() ? fmt::format("tidemark-sim --seed {}", options.seed)
                                   : fmt::format("tidemark-sim run {}", options.file);
  if (options.bug != engine::Bug::none) {
    text += fmt::format(" --plant {}", to_string(options.bug));
  }
  return text;
}

std::vector<std::string> last_events_of_run() {
  if (under_way.cluster == nullptr) return {};
  return under_way.cluster->world().trace.last(events_reported);
}

std::string command_of_run() {
  return under_way.options == nullptr ? std::string() : command(*under_way.options);
}

}  // namespace tidemark::sim
