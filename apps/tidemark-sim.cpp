// tidemark-sim: the shipped actors in a world of one seed. See --help.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/planted.hpp"
#include "sim/batch.hpp"
#include "sim/run.hpp"

namespace {

using namespace tidemark;
using engine::Bug;

constexpr std::string_view usage =
    R"(Runs the replication engine in a simulated world: three nodes or four, disks that lose and tear, a network that
delays and breaks, clients that check every answer. Equal seeds give equal runs.

  tidemark-sim --seed N [--verbose] [--twice]   one seed; prints a summary and trace=HASH
  tidemark-sim --seeds N [--seed FIRST] [--jobs J] [--twice]
                                                N seeds from FIRST on in J processes; prints sums and traces=HASH, one
                                                number for all their traces
  tidemark-sim --hunt [--seeds N] [--seed FIRST] [--jobs J]
                                                plants every known bug in turn, or that of --plant alone, and looks for
                                                it in at most N seeds from FIRST on
  tidemark-sim --list-bugs                      their names

  --seed FIRST  with --seeds and --hunt: default 1
  --seeds N     with --hunt: default 10000
  --jobs J      default 1
  --plant BUG   run with a planted bug: a seed that notices it fails
  --verbose     print every event of the one seed as it happens
  --twice       run each seed twice; both must leave the same trace; not with --hunt
  --json        print results as JSON
  --help        this text

Exit status: 0 all is well, 1 a seed failed (or a planted bug was not found), 2 the command line is wrong.
)";

struct Arguments {
  std::optional<std::uint64_t> seed;
  std::optional<std::uint64_t> seeds;
  std::uint64_t jobs = 1;
  bool jobs_given = false;
  Bug bug = Bug::none;
  bool verbose = false;
  bool twice = false;
  bool json = false;
  bool hunt = false;
  bool list = false;
  bool help = false;
};

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Why these options do not go together, or nothing: none is there without effect.
std::optional<std::string> misfit(const Arguments& a, std::size_t words) {
  if (a.help) return std::nullopt;
  if (a.list && words > 1) return "--list-bugs goes alone";
  if (a.list) return std::nullopt;
  const bool many = a.seeds || a.hunt;
  if (!many && !a.seed) return "nothing to do: say --seed N, --seeds N, --hunt or --list-bugs";
  if (a.jobs_given && !many) return "--jobs goes with --seeds or --hunt";
  if (a.verbose && many) return "--verbose goes with one seed, not with --seeds or --hunt";
  if (a.twice && a.hunt) return "--twice goes with --seed or --seeds, not with --hunt";
  return std::nullopt;
}

/// Why the command line is wrong, or nothing.
std::optional<std::string> parse(const std::vector<std::string_view>& words, Arguments& out) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto word = words[i];
    const auto number = [&](std::uint64_t least) -> std::optional<std::uint64_t> {
      if (i + 1 >= words.size()) return std::nullopt;
      const auto value = parse_number(words[++i]);
      return value && *value >= least ? value : std::nullopt;
    };
    if (word == "--seed") {
      if (!(out.seed = number(0))) return "--seed wants a whole number";
    } else if (word == "--seeds") {
      if (!(out.seeds = number(1))) return "--seeds wants a whole number from 1";
    } else if (word == "--jobs") {
      const auto jobs = number(1);
      if (!jobs || *jobs > 256) return "--jobs wants a whole number from 1 to 256";
      out.jobs = *jobs;
      out.jobs_given = true;
    } else if (word == "--plant") {
      const auto bug = i + 1 < words.size() ? engine::parse_bug(words[++i]) : std::nullopt;
      if (!bug) return "--plant wants one of the names that --list-bugs prints";
      out.bug = *bug;
    } else if (word == "--verbose") {
      out.verbose = true;
    } else if (word == "--twice") {
      out.twice = true;
    } else if (word == "--json") {
      out.json = true;
    } else if (word == "--hunt") {
      out.hunt = true;
    } else if (word == "--list-bugs") {
      out.list = true;
    } else if (word == "--help" || word == "-h") {
      out.help = true;
    } else {
      return fmt::format("unknown argument {}", word);
    }
  }
  return misfit(out, words.size());
}

std::vector<Bug> all_bugs() {
  std::vector<Bug> bugs;
  for (auto i = 1; i < static_cast<int>(Bug::count_); ++i) bugs.push_back(static_cast<Bug>(i));
  return bugs;
}

std::string pairs(const std::map<std::string, std::uint64_t>& counts, bool json) {
  std::string text;
  for (const auto& [kind, n] : counts) {
    text += json ? fmt::format("{}\"{}\":{}", text.empty() ? "" : ",", kind, n)
                 : fmt::format(" {}={}", kind, n);
  }
  return text;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c < ' ' ? ' ' : c;
  }
  return out + "\"";
}

int one_seed(const Arguments& arguments) {
  sim::report_aborts();
  const sim::RunOptions run{*arguments.seed, arguments.bug, arguments.verbose};
  const auto outcome = arguments.twice ? sim::run_seed_twice(run) : sim::run_seed(run);
  if (outcome.failure) std::fputs(sim::report(run, outcome).c_str(), stderr);
  if (arguments.json) {
    fmt::print(
        "{{\"seed\":{},\"ok\":{},\"trace\":\"{:016x}\",\"operations\":{},\"steps\":{},"
        "\"frames\":{},\"records\":{},\"virtual_ms\":{},\"crashes_and_cuts\":{},"
        "\"asked\":{{{}}},\"faults\":{{{}}},\"class\":{},\"repeat\":{}}}\n",
        outcome.seed, !outcome.failure, outcome.trace, outcome.operations, outcome.steps,
        outcome.frames, outcome.records, outcome.virtual_milliseconds, outcome.crashes_and_cuts,
        pairs(outcome.asked, true), pairs(outcome.faults, true),
        quoted(outcome.failure ? outcome.failure->cls : ""), quoted(sim::command(run)));
  } else {
    fmt::print("seed={} {}\n", outcome.seed, outcome.configuration);
    fmt::print("asked:{}\n", pairs(outcome.asked, false));
    fmt::print("answered={} errors={} unknown={} connections={} cuts={}\n", outcome.counts.answered,
               outcome.counts.errors, outcome.counts.unknown, outcome.counts.connections,
               outcome.counts.cuts);
    fmt::print("faults:{}\n", pairs(outcome.faults, false));
    fmt::print("crashes_and_cuts={} steps={} frames={} records={} virtual_ms={}\n",
               outcome.crashes_and_cuts, outcome.steps, outcome.frames, outcome.records,
               outcome.virtual_milliseconds);
    fmt::print("{} trace={:016x}\n", outcome.failure ? "FAILED" : "ok", outcome.trace);
  }
  return outcome.failure ? 1 : 0;
}

/// One line that is rewritten on a terminal; elsewhere a line per tenth.
auto progress_line(std::uint64_t count) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  return [=](std::uint64_t done, std::uint64_t failed) {
    if (terminal) {
      fmt::print(stderr, "\r{}/{} seeds, {} failed{}", done, count, failed,
                 done == count ? "\n" : "");
    } else if (count >= 20 && done % (count / 10) == 0) {
      fmt::print(stderr, "{}/{} seeds, {} failed\n", done, count, failed);
    }
  };
}

sim::BatchOptions batch_of(const Arguments& arguments, std::uint64_t count) {
  sim::BatchOptions batch;
  batch.first = arguments.seed.value_or(1);
  batch.count = count;
  batch.jobs = static_cast<std::uint32_t>(arguments.jobs);
  batch.bug = arguments.bug;
  batch.twice = arguments.twice;
  return batch;
}

int many_seeds(const Arguments& arguments) {
  auto batch = batch_of(arguments, *arguments.seeds);
  if (!arguments.json) batch.progress = progress_line(batch.count);
  const auto began = std::chrono::steady_clock::now();
  const auto result = sim::run_batch(batch);
  const auto seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (arguments.json) {
    std::string failures;
    for (const auto& f : result.failures) {
      failures += fmt::format("{}{{\"seed\":{},\"class\":{},\"text\":{}}}",
                              failures.empty() ? "" : ",", f.seed, quoted(f.cls), quoted(f.text));
    }
    fmt::print(
        "{{\"first\":{},\"seeds\":{},\"failed\":{},\"operations\":{},\"crashes_and_cuts\":{},"
        "\"traces\":\"{:016x}\",\"seconds\":{:.1f},\"failures\":[{}]}}\n",
        batch.first, result.done, result.failures.size(), result.operations,
        result.crashes_and_cuts, result.traces, seconds, failures);
  } else {
    for (const auto& f : result.failures) {
      fmt::print("seed={} class={} {}\n  {}\n", f.seed, f.cls, f.text,
                 sim::command({f.seed, arguments.bug, false}));
    }
    fmt::print("asked:{}\nfaults:{}\n", pairs(result.asked, false), pairs(result.faults, false));
    fmt::print(
        "seeds={} failed={} operations={} crashes_and_cuts={} steps={} seconds={:.1f} "
        "seeds_per_second={:.1f} traces={:016x}\n",
        result.done, result.failures.size(), result.operations, result.crashes_and_cuts,
        result.steps, seconds, static_cast<double>(result.done) / seconds, result.traces);
  }
  return result.failures.empty() ? 0 : 1;
}

/// A seed that fails without the bug as well finds nothing of the bug.
bool fails_anyway(std::uint64_t seed) {
  sim::BatchOptions clean;
  clean.first = seed;
  clean.count = 1;
  clean.quiet = true;
  return !sim::run_batch(clean).failures.empty();
}

void print_hunted(Bug bug, bool json, std::uint64_t seeds, const sim::SeedFailure* found) {
  const auto cls = found != nullptr ? found->cls : std::string();
  if (json) {
    fmt::print("{{\"bug\":\"{}\",\"found\":{},\"seeds\":{},\"class\":{}}}\n", to_string(bug),
               found != nullptr, seeds, quoted(cls));
  } else if (found != nullptr) {
    fmt::print("bug={} found=yes seeds={} class={} seed={}\n", to_string(bug), seeds, cls,
               found->seed);
  } else {
    fmt::print("bug={} found=no seeds={}\n", to_string(bug), seeds);
  }
  std::fflush(stdout);
}

/// Looks for one bug; whether it was found.
bool hunt_for(Bug bug, const Arguments& arguments) {
  auto batch = batch_of(arguments, arguments.seeds.value_or(10000));
  batch.bug = bug;
  batch.stop_at_failure = true;
  batch.quiet = true;
  const auto first = batch.first;
  const auto end = batch.first + batch.count;
  while (batch.first < end) {
    batch.count = end - batch.first;
    const auto result = sim::run_batch(batch);
    if (result.failures.empty()) break;
    const auto& failure = result.failures.front();
    if (!fails_anyway(failure.seed)) {
      print_hunted(bug, arguments.json, failure.seed - first + 1, &failure);
      return true;
    }
    fmt::print(stderr, "seed {} fails without a planted bug: {}: {}\n", failure.seed, failure.cls,
               failure.text);
    batch.first = failure.seed + 1;
  }
  print_hunted(bug, arguments.json, end - first, nullptr);
  return false;
}

int hunt(const Arguments& arguments) {
  const auto bugs = arguments.bug == Bug::none ? all_bugs() : std::vector<Bug>{arguments.bug};
  int missed = 0;
  for (const auto bug : bugs) missed += hunt_for(bug, arguments) ? 0 : 1;
  return missed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (const auto wrong = parse(words, arguments)) {
    fmt::print(stderr, "tidemark-sim: {}\nSee tidemark-sim --help.\n", *wrong);
    return 2;
  }
  if (arguments.help) {
    fmt::print("{}", usage);
    return 0;
  }
  if (arguments.list) {
    for (const auto bug : all_bugs()) fmt::print("{}\n", to_string(bug));
    return 0;
  }
  if (arguments.hunt) return hunt(arguments);
  return arguments.seeds ? many_seeds(arguments) : one_seed(arguments);
}
