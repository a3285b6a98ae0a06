#include "sim/hunt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "apps/sim/commands.hpp"
#include "apps/sim/print.hpp"

namespace tidemark::simulator {
namespace {

using engine::Bug;

std::vector<Bug> all_bugs() {
  std::vector<Bug> bugs;
  for (auto i = 1; i < static_cast<int>(Bug::count_); ++i) bugs.push_back(static_cast<Bug>(i));
  return bugs;
}

/// Of all restarts of one bug's hunt.
struct Record {
  bool found = true;  ///< Each time.
  bool interrupted = false;
  std::vector<std::uint64_t> seeds;
  std::vector<double> seconds;
  sim::SeedFailure failure;  ///< Of the first restart that found it.
};

template <class T>
T median(std::vector<T> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Record hunt_one(Bug bug, const Words& words) {
  Record record;
  for (std::uint64_t restart = 0; restart < words.restarts && !record.interrupted; ++restart) {
    const Stopwatch watch;
    sim::HuntOptions options;
    options.bug = bug;
    options.seeds_max = words.seeds.value_or(10'000);
    options.first = words.seed.value_or(1) + restart * options.seeds_max;
    options.jobs = words.jobs;
    if (words.seconds > 0) options.over = [&] { return watch.seconds() > words.seconds; };
    options.on_false_find = [](const sim::SeedFailure& f) {
      fmt::print(stderr, "seed {} fails without a planted bug: {}: {}\n", f.seed, f.cls, f.text);
    };
    const auto hunted = sim::hunt(options);
    record.interrupted = hunted.interrupted;
    record.found = record.found && hunted.found;
    record.seeds.push_back(hunted.seeds);
    record.seconds.push_back(watch.seconds());
    if (hunted.found && record.failure.cls.empty()) record.failure = hunted.failure;
  }
  return record;
}

void tell_one(Bug bug, const Record& record, bool json) {
  const auto seeds = median(record.seeds);
  const auto seconds = median(record.seconds);
  if (json) {
    boost::json::object object{{"bug", to_string(bug)},
                               {"rule", sim::rule_of(bug)},
                               {"found", record.found},
                               {"class", record.failure.cls},
                               {"seeds", seeds},
                               {"seconds", seconds},
                               {"restarts", record.seeds.size()}};
    if (!record.failure.cls.empty()) object["seed"] = record.failure.seed;
    print(object);
  } else {
    fmt::print("bug={} rule={} found={} class={} seeds={} seconds={:.1f}", to_string(bug),
               sim::rule_of(bug), record.found ? "yes" : "no",
               record.failure.cls.empty() ? "none" : record.failure.cls, seeds, seconds);
    if (record.seeds.size() > 1) fmt::print(" restarts={}", record.seeds.size());
    if (!record.failure.cls.empty()) fmt::print(" seed={}", record.failure.seed);
    fmt::print("\n");
  }
  std::fflush(stdout);
}

}  // namespace

int hunt_bugs(const Words& words) {
  const auto bugs = words.bug == Bug::none ? all_bugs() : std::vector<Bug>{words.bug};
  std::size_t found = 0;
  std::size_t looked = 0;
  std::vector<std::uint64_t> seeds;
  const Stopwatch watch;
  for (const auto bug : bugs) {
    const auto record = hunt_one(bug, words);
    if (record.interrupted) break;
    ++looked;
    tell_one(bug, record, words.json);
    if (!record.found) continue;
    ++found;
    seeds.push_back(median(record.seeds));
  }
  const auto few =
      std::count_if(seeds.begin(), seeds.end(), [](std::uint64_t n) { return n <= 500; });
  if (words.json) {
    print({{"bugs", bugs.size()},
           {"looked_for", looked},
           {"found", found},
           {"within_500_seeds", few},
           {"seconds", watch.seconds()}});
  } else if (bugs.size() > 1) {
    fmt::print("bugs={} looked_for={} found={} within_500_seeds={} seconds={:.1f}\n", bugs.size(),
               looked, found, few, watch.seconds());
  }
  return found == bugs.size() ? ok : failed;
}

int list_bugs(const Words& words) {
  for (const auto bug : all_bugs()) {
    if (words.json) {
      print({{"bug", to_string(bug)}, {"rule", sim::rule_of(bug)}});
    } else {
      fmt::print("{} {}\n", to_string(bug), sim::rule_of(bug));
    }
  }
  return ok;
}

}  // namespace tidemark::simulator
