#include "apps/cli/directory_commands.hpp"

#include <string>

#include "apps/cli/verify.hpp"

namespace tidemark::cli {
namespace {

/// What was sealed of committed records that a volume lost.
void fork_commands(CLI::App& app, Common& common, std::function<int()>& action) {
  static ForkWords words;
  auto* fork = app.add_subcommand(
      "fork", "Committed records that a volume lost, sealed in the directory of a stopped node");
  fork->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, bool one,
                       int (*run)(const ForkWords&, bool)) {
    auto* command = fork->add_subcommand(name, help);
    command->add_option("DIR", words.directory, "A node's data directory, or a replica's within it")
        ->required();
    if (one) command->add_option("ID", words.id, "The fork, as `fork list` names it")->required();
    command->add_option("--volume", words.volume, "The volume, where the node holds several")
        ->check(name_word);
    command->callback([&common, &action, run] {
      common.offline = true;
      action = [&common, run] { return run(words, common.json); };
    });
    return command;
  };
  add("list", "What was sealed", false, list_forks);
  add("show", "Print its records; exit 1 where it is damaged", true, show_fork);
  add("export", "Write the blocks it holds to a new sparse file, each at its place", true,
      export_fork)
      ->add_option("FILE", words.file, "The file, which must not exist")
      ->required();
  add("drop", "Delete it for good", true, drop_fork);
}

}  // namespace

void directory_commands(CLI::App& app, Common& common, std::function<int()>& action) {
  static std::string directory, volume;
  static DumpWords dump;
  const auto offline = [&](CLI::App* command, std::string& to, std::function<int()> run) {
    command->add_option("DIR", to, "A node's data directory, or a replica's within it")->required();
    command->callback([&common, &action, run = std::move(run)] {
      common.offline = true;
      action = run;
    });
  };
  offline(
      app.add_subcommand("verify",
                         "Check all of a stopped node's directory against its checksums, "
                         "without writing; exit 1 if something is wrong, 2 if it can't be read"),
      directory, [&] { return verify(directory, common.json); });

  auto* wal = app.add_subcommand("wal", "Look into the log of a stopped node's replica");
  wal->require_subcommand(1);
  auto* dumped = wal->add_subcommand(
      "dump",
      "Print its retained records; exit 1 where it is torn or damaged, 2 if it can't be read");
  offline(dumped, dump.directory, [&] { return dump_log(dump, common.json); });
  dumped->add_option("--volume", dump.volume, "The volume, where the node holds several")
      ->check(name_word);
  dumped->add_option("--from", dump.from, "The first LSN")->check(CLI::PositiveNumber);
  dumped->add_option("--to", dump.to, "The last LSN")->check(CLI::PositiveNumber);
  dumped->add_option("--limit", dump.limit, "Print at most so many")->check(CLI::PositiveNumber);
  dumped->add_flag("--batches", dump.batches, "Print the headers of the batches too");

  fork_commands(app, common, action);

  auto* superblock = app.add_subcommand("superblock", "Look into a stopped node's superblocks");
  superblock->require_subcommand(1);
  auto* shown = superblock->add_subcommand(
      "show", "Print both slots, and which one is in force; exit 1 if one does not count");
  offline(shown, directory, [&] { return show_superblock(directory, volume, common.json); });
  shown->add_option("--volume", volume, "Of this volume alone")->check(name_word);
}

}  // namespace tidemark::cli
