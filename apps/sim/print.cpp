#include "apps/sim/print.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace tidemark::simulator {

std::string pairs(const std::map<std::string, std::uint64_t>& counts) {
  std::string text;
  for (const auto& [kind, n] : counts) text += fmt::format(" {}={}", kind, n);
  return text;
}

boost::json::object json_of(const std::map<std::string, std::uint64_t>& counts) {
  boost::json::object object;
  for (const auto& [kind, n] : counts) object[kind] = n;
  return object;
}

std::string hex(std::uint64_t trace) { return fmt::format("{:016x}", trace); }

void print(const boost::json::object& object) {
  fmt::print("{}\n", boost::json::serialize(object));
}

double cpu_seconds() {
  double seconds = 0;
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    ::getrusage(who, &used);
    for (const auto& time : {used.ru_utime, used.ru_stime})
      seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  }
  return seconds;
}

void tell_coverage(const sim::Coverage& coverage, const Words& words) {
  if (words.coverage) fmt::print("{}", sim::listing(coverage));
  fmt::print("{}\n", sim::summary(coverage));
}

void add_coverage(boost::json::object& object, const sim::Coverage& coverage, const Words& words) {
  for (auto& [kind, counts] : sim::json_of(coverage, words.coverage)) object[kind] = counts;
}

int tell(const sim::Outcome& outcome, const sim::RunOptions& run, const Words& words) {
  if (outcome.failure) std::fputs(sim::report(run, outcome).c_str(), stderr);
  if (words.json) {
    boost::json::object object{{"seed", outcome.seed},
                               {"ok", !outcome.failure},
                               {"trace", hex(outcome.trace)},
                               {"operations", outcome.operations},
                               {"steps", outcome.steps},
                               {"frames", outcome.frames},
                               {"records", outcome.records},
                               {"virtual_ms", outcome.virtual_milliseconds},
                               {"crashes_and_cuts", outcome.crashes_and_cuts},
                               {"asked", json_of(outcome.asked)},
                               {"faults", json_of(outcome.faults)},
                               {"class", outcome.failure ? outcome.failure->cls : ""},
                               {"text", outcome.failure ? outcome.failure->text : ""},
                               {"repeat", sim::command(run)}};
    add_coverage(object, outcome.coverage, words);
    print(object);
    return outcome.failure ? failed : ok;
  }
  fmt::print("seed={} {}\n", outcome.seed, outcome.configuration);
  fmt::print("asked:{}\n", pairs(outcome.asked));
  fmt::print("answered={} errors={} unknown={} connections={} cuts={}\n", outcome.counts.answered,
             outcome.counts.errors, outcome.counts.unknown, outcome.counts.connections,
             outcome.counts.cuts);
  fmt::print("faults:{}\n", pairs(outcome.faults));
  fmt::print("crashes_and_cuts={} steps={} frames={} records={} virtual_ms={}\n",
             outcome.crashes_and_cuts, outcome.steps, outcome.frames, outcome.records,
             outcome.virtual_milliseconds);
  tell_coverage(outcome.coverage, words);
  fmt::print("{} trace={}\n", outcome.failure ? "FAILED" : "ok", hex(outcome.trace));
  return outcome.failure ? failed : ok;
}

void Progress::operator()(const sim::BatchResult& result) {
  constexpr double refresh = 0.2;  // Seconds.
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  const auto seconds = watch_.seconds();
  const bool last = result.done == count_;
  const bool due = terminal ? last || seconds - told_ >= refresh
                            : count_ >= 20 && result.done % (count_ / 10) == 0;
  if (!due) return;
  told_ = seconds;
  const auto per_second = [&](const char* name) {
    return static_cast<double>(result.sum(name)) / seconds;
  };
  fmt::print(stderr,
             "{}{}/{} seeds, {} failed, {:.1f} seeds/s, {:.0f} events/s, simulated {:.0f} times "
             "as fast as it happens{}",
             terminal ? "\r" : "", result.done, count_, result.failures.size(),
             static_cast<double>(result.done) / seconds, per_second("steps"),
             per_second("virtual_ms") / 1000, terminal && !last ? "  " : "\n");
}

}  // namespace tidemark::simulator
