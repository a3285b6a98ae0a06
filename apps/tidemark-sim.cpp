// tidemark-sim: the shipped actors in a world of one seed. See --help.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "apps/sim/commands.hpp"
#include "sim/exhaust.hpp"

namespace {

using namespace tidemark;
using simulator::Words;
using Action = std::function<int(const Words&)>;

constexpr const char* about =
    R"(Runs the replication engine in a simulated world: three nodes or four, disks that lose and tear, a network that
delays and breaks, clients that check every answer. Equal seeds give equal runs.

  tidemark-sim --seed N [--verbose]         one seed: a summary and trace=HASH
  tidemark-sim --seeds N [--jobs J]         N seeds: sums, and traces=HASH, one number for all their traces
  tidemark-sim plan --seed N                all that the seed decides before it begins, as JSON
  tidemark-sim run PLAN                     runs such a file
  tidemark-sim shrink --seed N --out FILE   leaves out of a failing plan what the failure does not need
  tidemark-sim hunt [--plant BUG]           plants every known bug in turn, and looks for it
  tidemark-sim bugs                         their names, and the rules that they break
  tidemark-sim exhaust                      small worlds, walked through whole; see its own --help

Exit status: 0 all is well, 1 something failed (or a planted bug was not found), 2 the command line is wrong.)";

void seed_option(CLI::App* app, Words& words, const char* text) {
  app->add_option("--seed", words.seed, text)->type_name("N");
}
void seeds_option(CLI::App* app, Words& words, const char* text) {
  app->add_option("--seeds", words.seeds, text)
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
}
void jobs_option(CLI::App* app, Words& words) {
  app->add_option("--jobs", words.jobs, "Processes; default 1")
      ->type_name("J")
      ->check(CLI::Range(1, 256));
}
void plant_option(CLI::App* app, Words& words, const char* text) {
  app->add_option_function<std::string>(
         "--plant",
         [&words](const std::string& name) {
           const auto bug = engine::parse_bug(name);
           if (!bug)
             throw CLI::ValidationError("--plant",
                                        "wants one of the names that `tidemark-sim bugs` prints");
           words.bug = *bug;
         },
         text)
      ->type_name("BUG");
}
void json_option(CLI::App* app, Words& words) {
  app->add_flag("--json", words.json, "Print results as JSON");
}
void run_options(CLI::App* app, Words& words) {
  plant_option(app, words, "Run with a planted bug: a run that notices it fails");
  app->add_flag("--verbose", words.verbose, "Print every event as it happens; one run only");
  app->add_flag("--twice", words.twice, "Run twice; both must leave the same trace");
  app->add_flag("--coverage", words.coverage,
                "Print each rare branch, transition and crash point, and how often it was reached");
  json_option(app, words);
}

CLI::Option* plan_file(CLI::App* app, Words& words) {
  return app->add_option("PLAN", words.file, "A plan's file");
}

void plan_command(CLI::App& app, Words& words, Action& action) {
  auto* plan = app.add_subcommand("plan", "Print the plan of a seed");
  plan->add_option("--seed", words.seed, "The seed")->type_name("N")->required();
  plan->add_option("--out", words.out, "Write it to FILE instead")->type_name("FILE");
  plan->callback([&] { action = simulator::print_plan; });
}

void run_command(CLI::App& app, Words& words, Action& action) {
  auto* run = app.add_subcommand("run", "Run a plan");
  plan_file(run, words)->required();
  run_options(run, words);
  run->callback([&] { action = simulator::run_file; });
}

void shrink_command(CLI::App& app, Words& words, Action& action) {
  auto* shrink =
      app.add_subcommand("shrink", "Leave out of a failing plan what the failure does not need");
  plan_file(shrink, words);
  seed_option(shrink, words, "The plan of this seed, instead of a file");
  plant_option(shrink, words, "With a planted bug");
  shrink->add_option("--out", words.out, "Write it to FILE, instead of to standard output")
      ->type_name("FILE");
  shrink->add_option("--seconds", words.seconds, "Stop then, with what there is; default 600")
      ->type_name("S")
      ->check(CLI::PositiveNumber);
  jobs_option(shrink, words);
  json_option(shrink, words);
  shrink->callback([&] {
    if (words.file.empty() == !words.seed)
      throw CLI::ValidationError("shrink", "wants a plan's file or --seed N, one of both");
    if (words.seconds == 0) words.seconds = 600;
    action = simulator::shrink_plan;
  });
}

void hunt_command(CLI::App& app, Words& words, Action& action) {
  auto* hunt = app.add_subcommand("hunt", "Plant bugs and look for them");
  plant_option(hunt, words, "This one alone");
  seed_option(hunt, words, "First seed; default 1");
  seeds_option(hunt, words, "At most N seeds for each; default 10000");
  hunt->add_option("--seconds", words.seconds, "At most so long for each")
      ->type_name("S")
      ->check(CLI::PositiveNumber);
  hunt->add_option("--restarts", words.restarts,
                   "N times with other seeds, and print medians; default 1")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  jobs_option(hunt, words);
  json_option(hunt, words);
  hunt->callback([&] { action = simulator::hunt_bugs; });
}

void bugs_command(CLI::App& app, Words& words, Action& action) {
  auto* bugs = app.add_subcommand("bugs", "List the planted bugs and their rules");
  json_option(bugs, words);
  bugs->callback([&] { action = simulator::list_bugs; });
}

/// What goes without a command: one seed, or many.
void seeds_itself(CLI::App& app, Words& words, Action& action) {
  seed_option(&app, words, "The seed, or with --seeds the first one; default 1");
  seeds_option(&app, words, "So many seeds");
  jobs_option(&app, words);
  run_options(&app, words);
  app.callback([&] {
    if (action) return;
    if (!words.seed && !words.seeds)
      throw CLI::ValidationError("nothing to do", "say --seed N, --seeds N or a command");
    if (app.count("--jobs") != 0 && !words.seeds)
      throw CLI::ValidationError("--jobs", "goes with --seeds");
    if (words.verbose && words.seeds)
      throw CLI::ValidationError("--verbose", "goes with one seed, not with --seeds");
    action = words.seeds ? simulator::many_seeds : simulator::one_seed;
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> given(argv + 1, argv + argc);
  if (!given.empty() && given.front() == "exhaust") {
    return sim::exhaust_main({given.begin() + 1, given.end()});
  }
  CLI::App app{about, "tidemark-sim"};
  Words words;
  Action action;
  plan_command(app, words, action);
  run_command(app, words, action);
  shrink_command(app, words, action);
  hunt_command(app, words, action);
  bugs_command(app, words, action);
  seeds_itself(app, words, action);
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    fmt::print(stderr, "tidemark-sim: {}\nSee tidemark-sim --help.\n", error.what());
    return simulator::usage;
  }
  return action(words);
}
