#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "apps/sim/commands.hpp"
#include "apps/sim/print.hpp"
#include "sim/shrink.hpp"

namespace tidemark::simulator {
namespace {

std::optional<sim::Plan> read_plan(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) {
    fmt::print(stderr, "tidemark-sim: {} cannot be read\n", file);
    return std::nullopt;
  }
  auto plan = sim::parse_plan(text.str());
  if (!plan) {
    fmt::print(stderr, "tidemark-sim: {}: {}\n", file, plan.error().text);
    return std::nullopt;
  }
  return std::move(*plan);
}

bool write_plan(const sim::Plan& plan, const std::string& file) {
  if (file.empty()) {
    fmt::print("{}", sim::to_text(plan));
    return true;
  }
  std::ofstream out(file);
  if (out << sim::to_text(plan) << std::flush) return true;
  fmt::print(stderr, "tidemark-sim: {} cannot be written\n", file);
  return false;
}

/// Of a plan file, or of the plan that a seed expands into.
std::optional<sim::Plan> wanted_plan(const Words& words) {
  return words.file.empty() ? sim::expand(*words.seed) : read_plan(words.file);
}

}  // namespace

int print_plan(const Words& words) {
  return write_plan(sim::expand(*words.seed), words.out) ? ok : usage;
}

int run_file(const Words& words) {
  const auto plan = read_plan(words.file);
  if (!plan) return usage;
  sim::report_aborts();
  const sim::RunOptions run{plan->seed, words.bug, words.verbose, words.file};
  return tell(words.twice ? sim::run_plan_twice(*plan, run) : sim::run_plan(*plan, run), run,
              words);
}

int shrink_plan(const Words& words) {
  const auto plan = wanted_plan(words);
  if (!plan) return usage;
  const Stopwatch watch;
  sim::ShrinkOptions options;
  options.bug = words.bug;
  options.jobs = words.jobs;
  options.over = [&] { return watch.seconds() > words.seconds; };
  if (!words.json) {
    options.progress = [&](const sim::Plan& smallest, std::uint64_t runs) {
      fmt::print(stderr, "{:.0f} s, {} runs: {} faults, {} requests, {} clients, {} knobs\n",
                 watch.seconds(), runs, smallest.faults.size(), smallest.asks(),
                 smallest.clients.size(), smallest.knobs.size());
    };
  }
  const auto shrunk = sim::shrink(*plan, options);
  if (!shrunk) {
    fmt::print(stderr, "tidemark-sim: {}\n", shrunk.error().text);
    return failed;
  }
  if (!write_plan(shrunk->plan, words.out)) return usage;
  const auto& small = shrunk->plan;
  if (words.json) {
    boost::json::object object{
        {"class", shrunk->cls},          {"minimal", shrunk->minimal},
        {"faults", small.faults.size()}, {"faults_before", plan->faults.size()},
        {"requests", small.asks()},      {"requests_before", plan->asks()},
        {"runs", shrunk->runs},          {"seconds", watch.seconds()}};
    fmt::print(words.out.empty() ? stderr : stdout, "{}\n", boost::json::serialize(object));
    return ok;
  }
  fmt::print(stderr, "class={} faults={} of {} requests={} of {} runs={} seconds={:.0f}{}\n",
             shrunk->cls, small.faults.size(), plan->faults.size(), small.asks(), plan->asks(),
             shrunk->runs, watch.seconds(),
             shrunk->minimal ? "" : " (ended before it was minimal)");
  return ok;
}

}  // namespace tidemark::simulator
