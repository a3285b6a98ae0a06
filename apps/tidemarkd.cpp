// tidemarkd: one node. `init` makes its directory, `run` runs it in the foreground,
// `check` reads its configuration.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <functional>
#include <string>

#include "apps/daemon/config.hpp"
#include "apps/daemon/daemon.hpp"

namespace {

using namespace tidemark;

int with_config(const std::string& path, bool json,
                const std::function<int(const daemon::Config&)>& then) {
  const auto config = daemon::read_config(path);
  if (config) return then(*config);
  if (json) {
    fmt::print("{}\n", boost::json::serialize(boost::json::object{
                           {"config", path}, {"good", false}, {"error", config.error().text}}));
  }
  fmt::print(stderr, "{}\n", config.error().text);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A node of a Tidemark cluster.\nExit codes: 0 ended as asked, 1 failed, 2 mistyped.",
               "tidemarkd"};
  app.require_subcommand(1);

  daemon::InitWish wish;
  auto* init = app.add_subcommand("init", "Create a node's data directory; nothing else ever does");
  bool control = false;
  init->add_option("--dir", wish.directory, "The directory: new, or empty")->required();
  init->add_option("--node", wish.node, "The node's name: a-z, 0-9 and '-'")->required();
  auto* host =
      init->add_flag("--control", control,
                     "This node hosts the control plane of a new cluster; prints its join token");
  auto* join = init->add_option("--join", wish.token, "Join the cluster of this token");
  init->add_flag("--json", wish.json, "Print the result as JSON");
  host->excludes(join);

  std::string path;
  auto* run = app.add_subcommand("run", "Run the node in the foreground until SIGTERM");
  run->add_option("--config", path, "Its configuration (see packaging/tidemark.toml)")->required();
  auto* check =
      app.add_subcommand("check", "Read a configuration, say what is wrong with it, and end");
  check->add_option("--config", path, "The configuration")->required();
  bool check_json = false;
  check->add_flag("--json", check_json, "Print the result as JSON");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (init->parsed()) {
    if (control == !wish.token.empty()) {
      fmt::print(stderr,
                 "tidemarkd init: give --control for the first node of a cluster, or --join TOKEN "
                 "for the others\n");
      return 2;
    }
    return daemon::init(wish);
  }
  if (check->parsed()) {
    return with_config(path, check_json, [check_json](const daemon::Config& config) {
      if (check_json) {
        fmt::print("{}\n", boost::json::serialize(
                               boost::json::object{{"config", config.path}, {"good", true}}));
      } else {
        fmt::print("{}: good\n", config.path);
      }
      return 0;
    });
  }
  return with_config(path, false, daemon::run);
}
