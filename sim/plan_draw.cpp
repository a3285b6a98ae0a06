// How a seed expands into a plan.
#include <algorithm>

#include "sim/knobs.hpp"
#include "sim/plan.hpp"
#include "sim/random.hpp"
#include "sim/workload.hpp"

namespace tidemark::sim {
namespace {

using engine::millisecond;
using engine::second;

/// What a source of chance is for; each kind has its own, so that none shifts another's draws.
enum Kind : std::uint64_t {
  of_volume = 1,
  of_rules,
  of_places,
  of_settings,
  of_weather,
  of_streams,
  of_shape,
  of_clients,
  of_asks,
  of_faults,
  of_fault,
  of_end,
  of_schedule,
};

void draw_volume(Plan& plan) {
  auto random = Random::at(plan.seed, of_volume, 0);
  if (random.chance(1, 8)) plan.mode = engine::Mode::best_effort;
  if (plan.mode == engine::Mode::best_effort) plan.min_copies = 1;
  if (random.chance(1, 4)) plan.ack = engine::AckPolicy::durable;
  if (random.chance(1, 3)) plan.below_min = engine::BelowMin::fail;
}

void draw_rules(Plan& plan) {
  auto random = Random::at(plan.seed, of_rules, 0);
  if (plan.mode != engine::Mode::sync_all || !random.chance(2, 5)) return;
  plan.mode = engine::Mode::sync_quorum;
  if (random.chance(1, 4)) plan.min_copies = random.chance(1, 2) ? 1 : 3;
}

/// Where the copies are: on all nodes, or beside one that has the control plane alone; there are three, or two. And how
/// many of them are enough.
void draw_places(Plan& plan) {
  auto random = Random::at(plan.seed, of_places, 0);
  const bool alone = plan.mode == engine::Mode::best_effort;
  switch (random.below(6)) {
    case 0:
    case 1:
      plan.nodes = 4;
      plan.hosts = {1, 2, 3};
      break;
    case 2:
      if (plan.mode == engine::Mode::sync_quorum)
        break;  // Two have no majority without each other.
      plan.hosts = {1, 2};
      plan.copies = 2;
      plan.min_copies = alone || random.chance(2, 3) ? 1 : 2;
      break;
    default:
      break;
  }
  if (plan.mode == engine::Mode::sync_all && random.chance(1, 4)) plan.min_copies = 1;
}

void draw_settings(Plan& plan) {
  auto random = Random::at(plan.seed, of_settings, 0);
  auto& knobs = plan.knobs;
  const auto draw = [&](const char* name, std::uint64_t low, std::uint64_t high,
                        std::uint64_t unit) {
    return knobs[name] = draw_knob(random, low, high) * unit;
  };
  constexpr std::uint64_t kib = 1 << 10;
  constexpr std::uint64_t mib = 1 << 20;
  draw("memory_tail_bytes", 16, 1024, kib);
  draw("sender_credit_bytes", 1100, 4096, kib);
  draw("uncommitted_bytes_max", 2, 8, mib);
  draw("flush_bytes", 16, 1024, kib);
  draw("flush_after", 10, 1000, millisecond);
  draw("wal_retention_bytes", 4, 6, 4 * mib);  // Segments of 4 MiB.
  draw("retry_max", 100, 1000, millisecond);
  const auto degraded = draw("disk_degraded_after", 200, 2000, millisecond);
  knobs["disk_eject_after"] = degraded + random.between(1, 12) * second;
  draw("rebuild_lanes", 1, 3, 1);
  // A volume of 1 to 2 MiB: some seconds at the least of it.
  if (random.chance(1, 3)) draw("rebuild_rate", 256, 4096, kib);
}

void draw_weather(Plan& plan) {
  auto random = Random::at(plan.seed, of_weather, 0);
  auto& knobs = plan.knobs;
  knobs["delay_min"] = draw_knob(random, 5, 100) * 1'000;
  knobs["delay_max"] = knobs["delay_min"] + draw_knob(random, 10, 2'000) * 1'000;
  if (random.chance(1, 3)) {
    knobs["spike_one_in"] = random.between(20, 400);
    knobs["spike_max"] = random.between(5, 400) * millisecond;
  }
  knobs["bytes_per_microsecond"] = draw_knob(random, 50, 2'000);
  if (random.chance(1, 2)) knobs["stale_control_one_in"] = random.between(2, 8);
}

/// How connections fare as streams of bytes: byte mode in most plans, and in some of them cuts, flips, and ends that are
/// not heard.
void draw_streams(Plan& plan) {
  auto random = Random::at(plan.seed, of_streams, 0);
  auto& knobs = plan.knobs;
  if (random.chance(1, 2)) knobs["shared_capacity"] = 1;
  if (random.chance(1, 3)) knobs["narrow_max"] = random.between(2, 10);
  if (!random.chance(4, 5)) return;
  knobs["bytes"] = 1;
  if (random.chance(1, 2)) {
    knobs["fragment_one_in"] = random.chance(1, 4) ? random.between(2, 4) : random.between(5, 60);
  }
  // A thousand frames or two pass in a run: none, one or some of them.
  if (random.chance(1, 4)) knobs["flip_one_in"] = random.between(200, 4'000);
  if (random.chance(1, 2)) knobs["drains"] = 1;
  if (random.chance(1, 4)) knobs["unheard_one_in"] = random.between(2, 6);
}

void draw_clients(Plan& plan) {
  auto random = Random::at(plan.seed, of_shape, 0);
  const auto shape = draw_shape(random);
  // Else a part of what is asked lies beyond the end until the volume has grown.
  plan.blocks = random.chance(2, 3) ? shape.blocks : 256;
  const auto think_max = random.chance(1, 2) ? random.below(30) * millisecond : 0;
  const auto depth_max = random.between(1, 12);
  const auto count = random.between(2, 4);
  const auto asks = random.between(asks_min, asks_max);
  for (std::uint64_t id = 1; id <= count; ++id) {
    auto own = Random::at(plan.seed, of_clients, id);
    PlannedClient client{id, own.between(1, depth_max), think_max, {}};
    for (std::uint64_t i = 0; i < (asks + count - 1) / count; ++i) {
      auto each = Random::at(plan.seed, of_asks, id << 32 | i);
      client.asks.push_back(draw_ask(shape, each));
    }
    plan.clients.push_back(std::move(client));
  }
}

bool any_chance(Random& random, bool on) { return on && random.chance(1, 3); }

/// Four to nine, of all kinds; one seed in three has a deck of a few kinds only, which so meet each other more often.
void draw_faults(Plan& plan) {
  auto random = Random::at(plan.seed, of_faults, 0);
  const auto count = random.between(crashes_min + 1, 9);
  const bool resizes = random.chance(1, 2);
  const bool reconfigures = plan.rules_at_rest = random.chance(1, 2);
  std::vector<Fault> few;
  if (random.chance(1, 3)) {
    for (auto n = random.between(2, 4); n > 0; --n) few.push_back(draw_fault(random, false));
  }
  // Half of all requests is left for while the faults last, and for behind them.
  plan.share = plan.asks() / (2 * (count + 1));
  for (std::uint64_t id = 1; id <= count; ++id) {
    auto own = Random::at(plan.seed, of_fault, id);
    PlannedFault planned;
    planned.id = id;
    const bool crash = count - id < crashes_min || own.chance(1, 3);
    planned.fault = crash || few.empty() ? draw_fault(own, crash)
                                         : few[static_cast<std::size_t>(own.below(few.size()))];
    planned.draws = own.next() >> 16;  // Readable, and exact in any JSON.
    planned.after = own.between(2, plan.share);
    planned.resizes = any_chance(own, resizes);
    planned.reconfigures = any_chance(own, reconfigures);
    plan.faults.push_back(planned);
  }
  // The crashes that every run has do not always come last.
  for (std::size_t i = plan.faults.size(); i > 1; --i) {
    std::swap(plan.faults[i - 1].fault,
              plan.faults[static_cast<std::size_t>(random.below(i))].fault);
  }
}

}  // namespace

Plan expand(std::uint64_t seed) {
  Plan plan;
  plan.seed = seed;
  plan.schedule = Random::at(seed, of_schedule, 0).next() >> 16;
  draw_volume(plan);
  draw_rules(plan);
  draw_places(plan);
  draw_settings(plan);
  draw_weather(plan);
  draw_streams(plan);
  draw_clients(plan);
  draw_faults(plan);
  plan.cold_restart = Random::at(seed, of_end, 0).chance(1, 16);
  return plan;
}

}  // namespace tidemark::sim
