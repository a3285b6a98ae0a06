#include <fmt/format.h>

#include "apps/sim/commands.hpp"
#include "apps/sim/print.hpp"

namespace tidemark::simulator {
namespace {

void tell_json(const Words& words, const sim::BatchOptions& batch, const sim::BatchResult& result,
               double seconds) {
  boost::json::array failures;
  for (const auto& f : result.failures) {
    failures.push_back({{"seed", f.seed}, {"class", f.cls}, {"text", f.text}});
  }
  boost::json::object object{{"first", batch.first},
                             {"seeds", result.done},
                             {"failed", result.failures.size()},
                             {"interrupted", result.interrupted},
                             {"seconds", seconds},
                             {"cpu_seconds", cpu_seconds()},
                             {"traces", hex(result.traces)}};
  for (const auto& [kind, counts] : result.tallies) object[kind] = json_of(counts);
  add_coverage(object, result.coverage, words);
  object["failures"] = std::move(failures);
  print(object);
}

void tell_people(const Words& words, const sim::BatchResult& result, double seconds) {
  for (const auto& f : result.failures) {
    fmt::print("seed={} class={} {}\n  {}\n", f.seed, f.cls, f.text,
               sim::command({f.seed, words.bug, false, {}}));
  }
  for (const auto& [kind, counts] : result.tallies) {
    if (kind != "sum") fmt::print("{}:{}\n", kind, pairs(counts));
  }
  const auto rate = [&](std::uint64_t n) { return static_cast<double>(n) / seconds; };
  tell_coverage(result.coverage, words);
  const auto sums = result.tallies.contains("sum") ? result.tallies.at("sum")
                                                   : std::map<std::string, std::uint64_t>{};
  fmt::print("{}seeds={} failed={}{} traces={}\n", result.interrupted ? "interrupted: " : "",
             result.done, result.failures.size(), pairs(sums), hex(result.traces));
  fmt::print(
      "seconds={:.1f} seeds_per_second={:.1f} simulated_to_real={:.0f} events_per_second={:.0f} "
      "events_per_cpu_second={:.0f}\n",
      seconds, rate(result.done), rate(result.sum("virtual_ms")) / 1000, rate(result.sum("steps")),
      static_cast<double>(result.sum("steps")) / cpu_seconds());
}

}  // namespace

int one_seed(const Words& words) {
  sim::report_aborts();
  const sim::RunOptions run{*words.seed, words.bug, words.verbose, {}};
  return tell(words.twice ? sim::run_seed_twice(run) : sim::run_seed(run), run, words);
}

int many_seeds(const Words& words) {
  sim::BatchOptions batch;
  batch.first = words.seed.value_or(1);
  batch.count = *words.seeds;
  batch.jobs = words.jobs;
  batch.bug = words.bug;
  batch.twice = words.twice;
  if (!words.json) batch.progress = Progress(batch.count);
  const Stopwatch watch;
  const auto result = sim::run_batch(batch);
  if (words.json) {
    tell_json(words, batch, result, watch.seconds());
  } else {
    tell_people(words, result, watch.seconds());
  }
  return result.failures.empty() && !result.interrupted ? ok : failed;
}

}  // namespace tidemark::simulator
