#include "sim/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/knobs.hpp"

namespace tidemark::sim {

std::uint64_t Plan::asks() const {
  std::uint64_t n = 0;
  for (const auto& client : clients) n += client.asks.size();
  return n;
}

ClusterOptions cluster_options(const Plan& plan) {
  ClusterOptions options;
  options.seed = plan.schedule;
  options.nodes = static_cast<std::uint32_t>(plan.nodes);
  options.copies = static_cast<std::uint32_t>(plan.copies);
  options.min_copies = static_cast<std::uint32_t>(plan.min_copies);
  options.mode = plan.mode;
  options.ack = plan.ack;
  options.below_min = plan.below_min;
  options.hosts = plan.hosts;
  options.blocks = plan.blocks;
  const auto turn = [knobs = plan.knobs](const Turned& turned) {
    for (const auto& [name, value] : knobs) find_knob(name)->turn(turned, value);
  };
  actors::Settings unused;
  turn({unused, options.weather});
  auto& w = options.weather;
  w.delay_max = std::max(w.delay_max, w.delay_min);
  options.tune = [turn](actors::Settings& settings) {
    NetworkWeather none;
    turn({settings, none});
    settings.disk_eject_after = std::max(settings.disk_eject_after, settings.disk_degraded_after);
    settings.retry_max = std::max(settings.retry_max, settings.retry_min);
  };
  return options;
}

std::string describe(const Plan& plan) {
  const auto any = [&](auto is) { return std::any_of(plan.faults.begin(), plan.faults.end(), is); };
  const bool resizes = any([](const PlannedFault& f) { return f.resizes; });
  const bool reconfigures = any([](const PlannedFault& f) { return f.reconfigures; });
  return fmt::format(
      "{} nodes, {} copies, {} blocks, {}, min_copies {}, ack {}, {} clients, {} requests, {} "
      "faults{}{}{}{}{}",
      plan.nodes, plan.copies, plan.blocks, to_string(plan.mode), plan.min_copies,
      to_string(plan.ack), plan.clients.size(), plan.asks(), plan.faults.size(),
      plan.knobs.contains("spike_one_in") ? ", spikes" : "",
      plan.knobs.contains("stale_control_one_in") ? ", stale control" : "",
      resizes ? ", resizes" : "", reconfigures ? ", reconfigures" : "",
      plan.cold_restart ? ", cold restart" : "");
}

}  // namespace tidemark::sim
