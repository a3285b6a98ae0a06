#include "sim/exhaust.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/exhaust_child.hpp"
#include "sim/exhaust_crash.hpp"
#include "sim/exhaust_order.hpp"

namespace tidemark::sim {

bool ExhaustResult::failed() const {
  return std::any_of(parts.begin(), parts.end(), [](const auto& p) { return !p.failures.empty(); });
}

bool ExhaustResult::complete() const {
  return std::all_of(parts.begin(), parts.end(), [](const auto& p) { return p.complete; });
}

ExhaustResult run_exhaust(const ExhaustOptions& options) {
  engine::plant(options.bug);
  ExhaustResult result;
  if (options.part != "order") result.parts.push_back(every_crash(options));
  if (options.part != "crash" && !interrupted()) result.parts.push_back(every_order(options));
  engine::plant(engine::Bug::none);
  return result;
}

std::optional<CaseFailure> play_case(const std::string& id, engine::Bug bug, bool verbose) {
  engine::plant(bug);
  auto outcome =
      id.starts_with("crash/") ? play_crash_case(id, verbose) : play_order_case(id, verbose);
  engine::plant(engine::Bug::none);
  return outcome;
}

std::string command_of_case(const std::string& id, engine::Bug bug) {
  auto text = fmt::format("tidemark-sim exhaust --case {}", id);
  if (bug != engine::Bug::none) text += fmt::format(" --plant {}", to_string(bug));
  return text;
}

}  // namespace tidemark::sim
