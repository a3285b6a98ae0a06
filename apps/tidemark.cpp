// tidemark: the operator's command. A command is one request to a node's admin socket; any node
// forwards what is not its own. Those on the directory of a stopped node only read its files.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>

#include "apps/cli/client.hpp"
#include "apps/cli/common.hpp"
#include "apps/cli/directory_commands.hpp"
#include "apps/cli/recovery.hpp"
#include "apps/cli/render.hpp"
#include "engine/types.hpp"
#include "engine/units.hpp"

namespace {

namespace json = boost::json;
using namespace tidemark;
using cli::Client;
using cli::Common;
using cli::name_word;
using Render = std::string (*)(const json::value&);

int complain(const Common& common, const engine::Error& error) {
  if (common.json) {
    fmt::print("{}\n", json::serialize(json::object{{"error", error.text},
                                                    {"code", engine::to_string(error.code)}}));
  }
  fmt::print(stderr, "tidemark: {}\n", cli::printable(error.text));
  return cli::failed;
}

int show(const Common& common, const engine::Result<Client::Answer>& reply, Render render) {
  if (!reply) return complain(common, reply.error());
  if (common.json) {
    fmt::print("{}\n", json::serialize(reply->body));
  } else {
    fmt::print("{}", render(reply->body));
  }
  if (reply->status == 202) {
    fmt::print(
        stderr,
        "tidemark: begun, but not complete yet; what is pending stands in the reply. It goes "
        "on by itself: look again with `tidemark status`\n");
  }
  return cli::ok;
}

// What a command answers when it is done: the volume as it now is, or what was done in a few words.
std::string render_done(const json::value& reply) {
  if (!reply.is_object()) return "done\n";
  if (reply.as_object().contains("replicas")) return cli::render_volume(reply);
  std::string words;
  for (const auto& [key, value] : reply.as_object()) {
    if (value.is_string())
      words += fmt::format("{} {}\n", std::string_view(key),
                           cli::printable(std::string_view(value.as_string())));
  }
  return words.empty() ? "done\n" : words;
}

int compare(const Common& common, const std::string& volume, bool repair) {
  auto patient = common.client;
  patient.timeout_seconds = 3600;
  const auto reply = patient.ask("POST", fmt::format("/v1/volumes/{}/compare", volume),
                                 json::object{{"repair", repair}});
  const int code = show(common, reply, cli::render_compare);
  if (code != cli::ok) return code;
  const auto says = [&](const char* key) {
    const auto* value =
        reply->body.is_object() ? reply->body.as_object().if_contains(key) : nullptr;
    return value != nullptr && value->is_bool() && value->as_bool();
  };
  return says("equal") && says("complete") ? cli::ok : cli::failed;
}

struct CreateWords {
  std::string name, size, mode = "sync_all", ack = "received", below = "block";
  std::uint32_t copies = 3;
  std::optional<std::uint32_t> min_copies;
  std::vector<std::string> nodes;
};

int create(const Common& common, const CreateWords& words) {
  const auto bytes = engine::parse_size(words.size);
  if (!bytes) return complain(common, bytes.error());
  json::object body{{"name", words.name},     {"size_bytes", *bytes},
                    {"copies", words.copies}, {"mode", words.mode},
                    {"ack", words.ack},       {"below_min_copies", words.below}};
  if (words.min_copies) body["min_copies"] = *words.min_copies;
  if (!words.nodes.empty()) {
    json::array nodes;
    for (const auto& node : words.nodes) nodes.emplace_back(node);
    body["nodes"] = std::move(nodes);
  }
  return show(common, common.client.ask("POST", "/v1/volumes", body), render_done);
}

struct ResizeWords {
  std::string name, size;
  bool shrink = false;
  bool no_wait = false;
};

/// What a volume's status says is still to happen.
std::string pending_of(const json::value& volume) {
  std::string text;
  const auto* pending = volume.is_object() ? volume.as_object().if_contains("pending") : nullptr;
  if (pending == nullptr || !pending->is_array()) return text;
  for (const auto& what : pending->as_array()) {
    if (!what.is_string()) continue;
    text += (text.empty() ? "" : "; ") + cli::printable(std::string_view(what.as_string()));
  }
  return text;
}

/// Waits until it is in force, however long a primary is away: the wish stays.
int change(const Common& common, const std::string& path, const json::object& body, bool no_wait) {
  for (;;) {
    const auto reply = common.client.ask("POST", path, body);
    const bool waits = reply && reply->status == 202;
    if (!waits) return show(common, reply, render_done);
    if (common.json || no_wait) return show(common, reply, render_done);
    fmt::print(stderr, "still waiting: {}\n", pending_of(reply->body));
  }
}

int resize(const Common& common, const ResizeWords& words) {
  const auto bytes = engine::parse_size(words.size);
  if (!bytes) return complain(common, bytes.error());
  const json::object body{{"size_bytes", *bytes}, {"shrink", words.shrink}};
  return change(common, fmt::format("/v1/volumes/{}/resize", words.name), body, words.no_wait);
}

struct SetWords {
  std::string name;
  std::optional<std::string> mode, below;
  std::optional<std::uint32_t> min_copies;
  bool no_wait = false;
};

int configure(const Common& common, const SetWords& words) {
  json::object body;
  if (words.mode) body["mode"] = *words.mode;
  if (words.min_copies) body["min_copies"] = *words.min_copies;
  if (words.below) body["below_min_copies"] = *words.below;
  return change(common, fmt::format("/v1/volumes/{}/configure", words.name), body, words.no_wait);
}

void volume_commands(CLI::App& app, Common& common, std::function<int()>& action) {
  auto* volume = app.add_subcommand("volume", "Create, show, compare and delete volumes");
  volume->require_subcommand(1);

  static CreateWords words;
  auto* made =
      volume->add_subcommand("create", "Create a volume; returns when its copies are ready");
  made->add_option("NAME", words.name, "Its name")->required()->check(name_word);
  made->add_option("--size", words.size, "Its size, such as 1GiB (binary: 2G = 2GiB)")->required();
  made->add_option("--copies", words.copies, "How many nodes hold a copy")->capture_default_str();
  made->add_option("--mode", words.mode, "sync_all, sync_quorum or best_effort")
      ->capture_default_str();
  made->add_option("--ack", words.ack,
                   "A write is answered when received by all copies, or when durable")
      ->capture_default_str();
  made->add_option("--min-copies", words.min_copies,
                   "With fewer copies writes do what --below-min-copies says (default 2, or 1 with "
                   "best_effort or one copy)");
  made->add_option("--below-min-copies", words.below,
                   "What writes do then: block (they wait), or fail with an I/O error")
      ->capture_default_str();
  made->add_option("--nodes", words.nodes, "Where; the first becomes primary (default: chosen)");
  made->callback([&] { action = [&] { return create(common, words); }; });

  auto* list = volume->add_subcommand("list", "All volumes");
  list->callback([&] {
    action = [&] {
      return show(common, common.client.ask("GET", "/v1/volumes"), cli::render_volumes);
    };
  });

  static ResizeWords resized;
  auto* other = volume->add_subcommand(
      "resize", "Give a volume another size, online; returns when that is in force");
  other->add_option("NAME", resized.name, "The volume")->required()->check(name_word);
  other->add_option("SIZE", resized.size, "Its new size, such as 2GiB")->required();
  other->add_flag("--shrink", resized.shrink,
                  "It may become smaller: what stands beyond the new end is gone for good");
  other->add_flag("--no-wait", resized.no_wait,
                  "Return after 30 s at most, whether it is in force or not");
  other->callback([&] { action = [&] { return resize(common, resized); }; });

  static SetWords rules;
  auto* set = volume->add_subcommand(
      "set", "Give a volume another mode or min_copies, online; returns when that is in force");
  set->add_option("NAME", rules.name, "The volume")->required()->check(name_word);
  set->add_option("--mode", rules.mode, "sync_all, sync_quorum or best_effort");
  set->add_option("--min-copies", rules.min_copies,
                  "With fewer copies writes do what --below-min-copies says; a lower one holds at "
                  "once (1 with best_effort)");
  set->add_option("--below-min-copies", rules.below,
                  "What writes do then: block (they wait), or fail with an I/O error");
  set->add_flag("--no-wait", rules.no_wait,
                "Return after 30 s at most, whether it is in force or not");
  set->callback([&] { action = [&] { return configure(common, rules); }; });

  static std::string name;
  const auto on = [&](const char* command, const char* help, std::function<int()> run) {
    auto* sub = volume->add_subcommand(command, help);
    sub->add_option("NAME", name, "The volume")->required()->check(name_word);
    sub->callback([&action, run] { action = run; });
    return sub;
  };
  static bool repair = false;
  on("show", "One volume with its replicas", [&] {
    return show(common, common.client.ask("GET", "/v1/volumes/" + name), cli::render_volume);
  });
  on("delete", "Delete a volume and all its copies, for good", [&] {
    return show(common,
                common.client.ask("DELETE", "/v1/volumes/" + name, json::object{{"name", name}}),
                render_done);
  });
  on("compare", "Compare all copies at one LSN, also under load; exit 1 unless all are equal", [&] {
    return compare(common, name, repair);
  })->add_flag("--repair", repair, "Repair blocks of a copy that the log contradicts");
  on("events", "The volume's recovery log", [&] {
    return cli::events(common.client, {name, {}, false}, common.json);
  });
}

void scrub_command(CLI::App& app, Common& common, std::function<int()>& action) {
  static std::string volume, rate;
  static bool only_status = false, stop = false;
  auto* scrub = app.add_subcommand(
      "scrub", "Read every copy in the background and repair what rotted; without options, starts");
  scrub->add_option("VOLUME", volume, "The volume")->required()->check(name_word);
  auto* paced = scrub->add_option("--rate", rate, "Bytes per second and copy, such as 50MiB");
  auto* asked =
      scrub->add_flag("--status", only_status, "How far the copies are, and what was found");
  auto* halted = scrub->add_flag("--stop", stop, "Stop it");
  asked->excludes(paced)->excludes(halted);
  halted->excludes(paced);
  scrub->callback([&] {
    action = [&] {
      json::object body{{"action", stop ? "stop" : only_status ? "status" : "start"}};
      if (!rate.empty()) {
        const auto bytes = engine::parse_size(rate);
        if (!bytes) return complain(common, bytes.error());
        body["rate"] = *bytes;
      }
      return show(common, common.client.ask("POST", "/v1/volumes/" + volume + "/scrub", body),
                  cli::render_scrub);
    };
  });
}

void replica_commands(CLI::App& app, Common& common, std::function<int()>& action) {
  auto* replica = app.add_subcommand("replica", "Add, remove and replace copies");
  replica->require_subcommand(1);
  static std::string volume, node, new_node;
  const auto post = [&](const char* what) {
    json::object body{{"action", what}, {"node", node}};
    if (!new_node.empty()) body["new_node"] = new_node;
    return show(common, common.client.ask("POST", "/v1/volumes/" + volume + "/replicas", body),
                render_done);
  };
  const auto on = [&](const char* command, const char* help) {
    auto* sub = replica->add_subcommand(command, help);
    sub->add_option("VOLUME", volume, "The volume")->required()->check(name_word);
    sub->add_option("NODE", node, "The node of the copy")->required()->check(name_word);
    sub->callback([&action, post, command] { action = [post, command] { return post(command); }; });
    return sub;
  };
  on("add", "Add a copy on a node; it is rebuilt before it counts");
  on("remove", "Remove a node's copy");
  on("replace", "Put a new, empty copy in place of a node's, which lost its disk")
      ->add_option("NEW_NODE", new_node, "Where the new copy goes (default: the same node)")
      ->check(name_word);
}

int set_rebuild_rate(const Common& common, const std::string& rate) {
  std::uint64_t bytes = 0;
  if (rate != "none") {
    const auto parsed = engine::parse_size(rate);
    if (!parsed) return complain(common, parsed.error());
    bytes = *parsed;
    if (bytes == 0) {
      return complain(common, {engine::Errc::invalid,
                               "a rate of 0 would stop all rebuilds; \"none\" lifts the cap"});
    }
  }
  return show(common,
              common.client.ask("POST", "/v1/local/rebuild_rate",
                                json::object{{"bytes_per_second", bytes}}),
              render_done);
}

void other_commands(CLI::App& app, Common& common, std::function<int()>& action) {
  static bool watch = false;
  static double interval = 1;
  auto* state = app.add_subcommand("status", "Nodes, volumes, replicas, sessions and lag");
  auto* again = state->add_flag("--watch", watch, "Again and again, with the sessions that run");
  state->add_option("--interval", interval, "Seconds between two looks")
      ->needs(again)
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  state->callback([&] {
    action = [&] {
      if (watch) return cli::watch(common.client, interval, common.json);
      return show(common, common.client.ask("GET", "/v1/status"), cli::render_status);
    };
  });

  auto* node = app.add_subcommand("node", "List, readmit and pace nodes");
  node->require_subcommand(1);
  node->add_subcommand("list", "All nodes")->callback([&] {
    action = [&] { return show(common, common.client.ask("GET", "/v1/nodes"), cli::render_nodes); };
  });
  static std::string readmitted;
  auto* readmit =
      node->add_subcommand("readmit", "Accept a node that came back under another UUID");
  readmit->add_option("NODE", readmitted, "Its name")->required()->check(name_word);
  readmit->callback([&] {
    action = [&] {
      return show(common,
                  common.client.ask("POST", "/v1/nodes/" + readmitted + "/readmit", json::object{}),
                  render_done);
    };
  });

  static std::string rate;
  auto* paced = node->add_subcommand(
      "rebuild-rate", "Cap what the asked node gives to rebuilds, until it restarts");
  paced->add_option("RATE", rate, "Per second, such as 50MiB; or none")->required();
  paced->callback([&] { action = [&] { return set_rebuild_rate(common, rate); }; });

  static std::string volume, to;
  static bool force = false;
  auto* promote = app.add_subcommand("promote", "Make a node the primary of a volume");
  promote->add_option("VOLUME", volume, "The volume")->required()->check(name_word);
  promote->add_option("NODE", to, "The node, which must hold everything")
      ->required()
      ->check(name_word);
  promote->add_flag("--force", force,
                    "Also if it lacks committed writes: they are lost to the volume");
  promote->callback([&] {
    action = [&] {
      return show(common,
                  common.client.ask("POST", "/v1/volumes/" + volume + "/promote",
                                    force ? json::object{{"node", to}, {"force", true}}
                                          : json::object{{"node", to}}),
                  render_done);
    };
  });
}

void recovery_commands(CLI::App& app, Common& common, std::function<int()>& action) {
  static std::string volume, replica;
  auto* plan = app.add_subcommand(
      "plan", "What recovery of a replica would do now and why, without doing it");
  plan->add_option("VOLUME", volume, "The volume")->required()->check(name_word);
  plan->add_option("REPLICA", replica, "The node of the copy, or the replica's number")
      ->required()
      ->check(name_word);
  plan->callback([&] {
    action = [&] {
      return show(common, common.client.ask("GET", "/v1/volumes/" + volume + "/plan/" + replica),
                  cli::render_plan);
    };
  });
  static cli::EventWords words;
  auto* events = app.add_subcommand("events", "A volume's recovery log, from all who keep a part");
  events->add_option("VOLUME", words.volume, "The volume")->required()->check(name_word);
  events->add_flag("--follow", words.follow, "Go on with what happens, until interrupted");
  events->add_option("--since", words.since,
                     "Only what follows event N of each source, or of one: NODE:N");
  events->callback(
      [&] { action = [&] { return cli::events(common.client, words, common.json); }; });
}

/// CLI11 says of a mistyped command only that some command is required:
/// name the word, and what there is.
std::string why_mistyped(const CLI::App& app, const CLI::ParseError& error) {
  const auto* within = &app;
  while (!within->get_subcommands().empty()) within = within->get_subcommands().front();
  const auto words = app.remaining(true);
  if (dynamic_cast<const CLI::RequiredError*>(&error) == nullptr || words.empty())
    return error.what();
  std::string known;
  for (const auto* command : within->get_subcommands([](const CLI::App*) { return true; }))
    known += (known.empty() ? "" : ", ") + command->get_name();
  if (known.empty()) return error.what();
  return fmt::format("unknown command \"{}\"; known are {}", words.front(), known);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Operates a Tidemark cluster through any of its nodes.\nExit codes: 0 done, 1 failed (or "
      "copies differ, or files are damaged), 2 mistyped.",
      "tidemark"};
  app.require_subcommand(1);
  app.fallthrough();
  Common common;
  app.add_option("--node", common.client.socket, "A node's admin socket (DIR/admin.sock)")
      ->envname("TIDEMARK_NODE");
  app.add_flag("--json", common.json, "Print the reply as JSON");
  std::function<int()> action;
  scrub_command(app, common, action);
  volume_commands(app, common, action);
  replica_commands(app, common, action);
  other_commands(app, common, action);
  recovery_commands(app, common, action);
  cli::directory_commands(app, common, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    fmt::print(stderr, "tidemark: {}\nRun `tidemark --help` for more.\n", why_mistyped(app, error));
    return cli::usage;
  }
  if (!common.offline && common.client.socket.empty()) {
    fmt::print(stderr,
               "tidemark: which node? Give --node DIR/admin.sock, or set TIDEMARK_NODE to it\n");
    return cli::usage;
  }
  return action();
}
