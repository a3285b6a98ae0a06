// What operators do that is no fault of anybody else: the same twice, at two nodes at once, what makes no sense, all of
// it at the same time, and another volume beside the one that is in use.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "engine/check.hpp"
#include "sim/faults.hpp"

namespace tidemark::sim {

using engine::AdminReply;
using engine::millisecond;
using engine::second;

namespace {

struct Command {
  const char* path;
  const char* body;
  std::uint16_t status;  ///< With which it is refused.
  const char* method = "POST";
};

/// None of them may change anything, whatever goes on. Names of nodes and volumes are those of the simulator.
constexpr std::array<Command, 24> senseless{{
    {"/v1/volumes/nosuch/promote", R"({"node":"node2"})", 404},
    {"/v1/volumes/nosuch/resize", R"({"size_bytes":2097152})", 404},
    {"/v1/volumes/nosuch/configure", R"({"mode":"sync_all"})", 404},
    {"/v1/volumes/nosuch/scrub", R"({"action":"start"})", 404},
    {"/v1/volumes/nosuch", R"({"name":"nosuch"})", 404, "DELETE"},
    {"/v1/volumes/data/promote", R"({"node":"node77"})", 404},
    {"/v1/volumes/data/promote", R"({})", 400},
    {"/v1/volumes/data/promote", R"({"node":"node2","forced":true})", 400},
    {"/v1/volumes/data/resize", R"({"size_bytes":0,"shrink":true})", 400},
    {"/v1/volumes/data/resize", R"({"size_bytes":1048577,"shrink":true})", 400},
    {"/v1/volumes/data/resize", R"({"size_bytes":-4096,"shrink":true})", 400},
    {"/v1/volumes/data/resize", R"({"size_bytes":36028797018963968})", 400},
    {"/v1/volumes/data/configure", R"({})", 400},
    {"/v1/volumes/data/configure", R"({"mode":"sync_most"})", 400},
    {"/v1/volumes/data/configure", R"({"min_copies":9})", 400},
    {"/v1/volumes/data/configure", R"({"mode":"best_effort","min_copies":2})", 400},
    {"/v1/volumes/data/replicas", R"({"action":"remove","node":"node77"})", 404},
    {"/v1/volumes/data/replicas", R"({"action":"add","node":"node77"})", 404},
    {"/v1/volumes/data/replicas", R"({"action":"swap","node":"node2"})", 400},
    {"/v1/volumes/data", R"({"name":"date"})", 400, "DELETE"},
    {"/v1/volumes/data", "", 400, "DELETE"},
    {"/v1/volumes", R"({"name":"data","size_bytes":4194304,"copies":1})", 409},
    {"/v1/volumes", R"({"name":"../data","size_bytes":4194304})", 400},
    {"/v1/nodes/node77/readmit", "{}", 404},
}};

/// Whoever cannot be reached, or is busy with something else, may say so instead.
bool is_no(const AdminReply& reply) {
  return reply.status == 409 || reply.status == 503 || reply.status == 504;
}

bool explains(const AdminReply& reply) {
  return reply.body.find("\"error\":\"") != std::string::npos;
}

/// What none of those commands may change.
std::string what_stays(const VolumeView& view) {
  auto text = fmt::format("{} {} {}", view.mode, view.min_copies, view.size_bytes);
  for (const auto& copy : view.copies) text += " " + copy.node;
  return text;
}

}  // namespace

void Faults::happen_elsewhere(Fault fault) {
  switch (fault) {
    case Fault::unreadable:
      return unreadable();
    case Fault::unreadable_log:
      return unreadable_log();
    case Fault::brief_errors:
      return brief_errors();
    case Fault::lost_sync:
      return lost_sync();
    case Fault::misdirected:
      return misdirected();
    case Fault::misdirected_log:
      return misdirected_log();
    case Fault::no_space:
      return no_space();
    case Fault::catalog_fails:
      return catalog_fails();
    case Fault::slow_operations:
      return slow_operations();
    case Fault::old_image:
      return old_image();
    case Fault::paused:
      return paused();
    case Fault::paused_reign:
      return paused_reign();
    case Fault::clock_steps:
      return clock_steps();
    case Fault::crash_loop:
      return crash_loop();
    case Fault::moved:
      return moved();
    case Fault::twin:
      return twin();
    case Fault::senseless_commands:
      return senseless_commands();
    case Fault::asked_twice:
      return asked_twice();
    case Fault::all_at_once:
      return all_at_once();
    case Fault::second_volume:
      return second_volume();
    case Fault::verified:
      return verified();
    case Fault::power_amid_writes:
      return power_amid_writes();
    case Fault::cramped_copy:
      return cramped_copy();
    case Fault::emptied_copy:
      return emptied_copy();
    case Fault::foreign_copy:
      return foreign_copy();
    default:
      CHECK(false);  // Faults::happen() does the others.
  }
}

void Faults::senseless_commands() {
  if (!whole_soon() || cluster_.configuring() || cluster_.history().resizing()) return;
  const auto before = cluster_.view();
  const auto open = std::make_shared<std::uint64_t>(0);
  for (auto left = random_.between(4, 12); left > 0; --left) {
    const auto& command = senseless[static_cast<std::size_t>(random_.below(senseless.size()))];
    ++*open;
    cluster_.admin_later(
        command.method, command.path, command.body,
        [this, &command, open](const AdminReply& reply) {
          --*open;
          if ((reply.status == command.status || is_no(reply)) && explains(reply)) return;
          cluster_.fail("operator",
                        fmt::format("{} {} {} answers {}: {}", command.method, command.path,
                                    command.body, reply.status, reply.body));
        },
        any_node());
  }
  cluster_.run_until([&] { return *open == 0; }, 60 * second);
  const auto after = cluster_.view();
  if (*open != 0 && !cluster_.failed()) cluster_.fail("operator", "a command is not answered");
  if (before && after && what_stays(*before) != what_stays(*after) && !cluster_.failed())
    cluster_.fail("operator", fmt::format("senseless commands changed {} to {}",
                                          what_stays(*before), what_stays(*after)));
}

/// Asks at a node and does not wait; how many are not answered yet is in `open`.
void Faults::ask(const std::string& path, const std::string& body, std::uint32_t at,
                 const std::shared_ptr<std::uint64_t>& open) {
  ++*open;
  cluster_.admin_later(
      "POST", path, body,
      [this, path, body, open](const AdminReply& reply) {
        --*open;
        const bool done = reply.status == 200 || reply.status == 201 || reply.status == 202;
        const bool refused = reply.status == 400 || reply.status == 404 || is_no(reply);
        if (!done && !(refused && explains(reply)))
          cluster_.fail("operator",
                        fmt::format("{} {} answers {}: {}", path, body, reply.status, reply.body));
      },
      at);
}

// The same command at two nodes, and commands of one kind that contradict each other.
void Faults::asked_twice() {
  const auto open = std::make_shared<std::uint64_t>(0);
  const std::string volume = "/v1/volumes/data";
  const auto promote = [](const std::string& node) {
    return fmt::format("{{\"node\":\"{}\"}}", node);
  };
  for (auto left = random_.between(1, 4); left > 0; --left) {
    const auto first = any_node();
    const auto other = any_node();
    switch (random_.below(4)) {
      case 0: {
        const auto same = promote(cluster_.node(any_node()).name());
        ask(volume + "/promote", same, first, open);
        ask(volume + "/promote", same, other, open);
        break;
      }
      case 1:
        for (std::uint32_t n = 0; n < cluster_.size(); ++n)
          ask(volume + "/promote", promote(cluster_.node(n).name()), any_node(), open);
        break;
      case 2:
        ask(volume + "/scrub", R"({"action":"start","rate":100000000})", first, open);
        ask(volume + "/scrub", R"({"action":"stop"})", other, open);
        ask(volume + "/scrub", R"({"action":"start"})", first, open);
        break;
      default:
        ask(volume + "/compare", "{}", first, open);
        ask(volume + "/compare", R"({"repair":true})", other, open);
        break;
    }
    cluster_.run_for(random_.below(100) * millisecond);
  }
  if (random_.chance(1, 2)) kill_and_boot(random_.chance(1, 2) ? primary_or_any() : any_node());
  cluster_.run_until([&] { return *open == 0; }, 60 * second);
}

// Another size, other rules, another primary, a new copy, a scrub and a comparison, at once.
void Faults::all_at_once() {
  if (random_.chance(2, 3) && !whole_soon()) return;
  const auto open = std::make_shared<std::uint64_t>(0);
  const std::string volume = "/v1/volumes/data";
  const auto node = copies_beside(primary_or_any()).front();
  std::array<std::uint32_t, 6> order{0, 1, 2, 3, 4, 5};
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<std::size_t>(random_.below(i))]);
  for (const auto what : order) {
    if (random_.chance(1, 4)) continue;
    if (what == 0) resize_anywhere();
    if (what == 1) reconfigure_anyhow();
    if (what == 2) wish(any_node());
    if (what == 3 && node != 0 && random_.chance(1, 2)) {
      const auto body =
          fmt::format("{{\"action\":\"replace\",\"node\":\"{}\"}}", cluster_.node(node).name());
      ask(volume + "/replicas", body, any_node(), open);
    }
    if (what == 4)
      ask(volume + "/scrub", R"({"action":"start","rate":10000000})", any_node(), open);
    if (what == 5) ask(volume + "/compare", "{}", any_node(), open);
    if (random_.chance(1, 2)) cluster_.run_for(random_.below(30) * millisecond);
  }
  if (make_busy) make_busy();
  cluster_.run_for(pause());
  if (random_.chance(1, 2)) kill_and_boot(random_.chance(1, 2) ? primary_or_any() : any_node());
  cluster_.run_until([&] { return *open == 0; }, 60 * second);
  whole_soon();
}

// Made and deleted while the first one is in use and nodes come and go; its name is said again, or nothing is deleted.
void Faults::second_volume() {
  const auto copies = random_.between(1, std::min<std::uint64_t>(cluster_.size(), 3));
  const auto body =
      fmt::format("{{\"name\":\"other\",\"size_bytes\":{},\"copies\":{},\"min_copies\":1}}",
                  random_.between(1, 4) << 20, copies);
  const auto open = std::make_shared<std::uint64_t>(0);
  ask("/v1/volumes", body, any_node(), open);
  if (random_.chance(1, 2)) ask("/v1/volumes", body, any_node(), open);
  if (make_busy) make_busy();
  cluster_.run_for(pause());
  if (random_.chance(1, 2)) kill_and_boot(random_.chance(1, 2) ? primary_or_any() : any_node());
  cluster_.run_until([&] { return *open == 0; }, 60 * second);
  const auto named_wrongly = cluster_.admin("DELETE", "/v1/volumes/other", R"({"name":"data"})");
  if (named_wrongly.status == 200)
    cluster_.fail("operator", "a volume is deleted though another name was said");
  for (int attempt = 0; attempt < 80 && !cluster_.failed(); ++attempt) {
    const auto reply = cluster_.admin("DELETE", "/v1/volumes/other", R"({"name":"other"})",
                                      attempt % 2 == 0 ? 0 : any_node());
    if (reply.status == 404) return;
    if (reply.status != 200 && !is_no(reply))
      cluster_.fail("operator", fmt::format("delete answers {}: {}", reply.status, reply.body));
    cluster_.run_for(500 * millisecond);
    if (attempt == 2 && random_.chance(1, 2)) kill_and_boot(any_node());
  }
  if (!cluster_.failed()) cluster_.fail("operator", "a volume is not deleted within a minute");
}

// Between two lives of a node its copies are looked at: what a kill leaves is nothing that is wrong.
void Faults::verified() {
  const auto node = random_.chance(1, 3) ? primary_or_any() : replica_node();
  if (random_.chance(1, 2)) {
    cluster_.stop(node);
  } else {
    cluster_.kill(node);
  }
  cluster_.run_for(random_.below(200) * millisecond);
  const auto wrong = cluster_.verify(node);
  if (!wrong.empty() && !cluster_.rotten())
    cluster_.fail("verify", fmt::format("of {}: {}", cluster_.node(node).name(), wrong.front()));
  cluster_.run_for(pause());
  cluster_.boot(node);
}

}  // namespace tidemark::sim
