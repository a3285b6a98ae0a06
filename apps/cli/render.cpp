#include "apps/cli/render.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include <cstdint>

#include "apps/cli/table.hpp"
#include "engine/units.hpp"

namespace tidemark::cli {

namespace json = boost::json;

std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    if (c >= ' ' && c <= '~') {
      shown.push_back(c);
    } else {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return shown;
}

namespace {

const json::value* at(const json::value& in, std::string_view key) {
  return in.is_object() ? in.as_object().if_contains(key) : nullptr;
}
std::string text(const json::value& in, std::string_view key, std::string missing = "-") {
  const auto* value = at(in, key);
  if (value == nullptr || value->is_null()) return missing;
  if (value->is_string())
    return value->as_string().empty() ? missing : printable(std::string_view(value->as_string()));
  if (value->is_bool()) return value->as_bool() ? "yes" : "no";
  return printable(json::serialize(*value));
}
std::uint64_t number(const json::value& in, std::string_view key) {
  const auto* value = at(in, key);
  if (value == nullptr) return 0;
  if (value->is_uint64()) return value->as_uint64();
  return value->is_int64() && value->as_int64() >= 0 ? static_cast<std::uint64_t>(value->as_int64())
                                                     : 0;
}
bool flag(const json::value& in, std::string_view key) {
  const auto* value = at(in, key);
  return value != nullptr && value->is_bool() && value->as_bool();
}
const json::array& list(const json::value& in, std::string_view key) {
  static const json::array nothing;
  const auto* value = at(in, key);
  return value != nullptr && value->is_array() ? value->as_array() : nothing;
}
std::string joined(const json::array& values) {
  std::string all;
  for (const auto& value : values) {
    all += (all.empty() ? "" : ", ") +
           printable(value.is_string() ? std::string(value.as_string()) : json::serialize(value));
  }
  return all.empty() ? "-" : all;
}

std::string session_of(const json::value& replica) {
  const auto* session = at(replica, "session");
  if (session == nullptr || !session->is_object()) return "-";
  auto line =
      fmt::format("{} {}", text(*session, "kind"), engine::format_size(number(*session, "bytes")));
  if (const auto all = number(*session, "base_blocks_all"); all != 0) {
    line += fmt::format(
        ", base {:.0f} %",
        100.0 * static_cast<double>(number(*session, "base_blocks")) / static_cast<double>(all));
  }
  line += fmt::format(", {:.2f} s", static_cast<double>(number(*session, "milliseconds")) / 1000.0);
  if (text(replica, "state") != "rebuilding") return line;
  line += fmt::format(", {}/s", engine::format_size(number(*session, "bytes_per_second")));
  if (const auto held = text(*session, "rebuild_held_by", ""); !held.empty()) {
    line += fmt::format(", held by {}", held);
    if (const auto limit = number(*session, "rebuild_limit_bytes_per_second"); limit != 0)
      line += fmt::format(" at {}/s", engine::format_size(limit));
  }
  if (const auto* eta = at(*session, "eta_milliseconds"); eta != nullptr)
    line += fmt::format(", {} s left", number(*session, "eta_milliseconds") / 1000);
  return line;
}

std::string lag_of(const json::value& replica) {
  if (number(replica, "lag_lsns") == 0) return "0";
  return fmt::format("{} records, {}, {:.1f} s", number(replica, "lag_lsns"),
                     engine::format_size(number(replica, "lag_bytes")),
                     static_cast<double>(number(replica, "lag_milliseconds")) / 1000.0);
}

void add_volume(Table& table, const json::value& volume) {
  table.add({text(volume, "name"), engine::format_size(number(volume, "size_bytes")),
             text(volume, "mode"), text(volume, "primary"),
             flag(volume, "serving") ? "serving" : text(volume, "phase"), text(volume, "epoch"),
             text(volume, "head"), text(volume, "committed"), joined(list(volume, "in_sync"))});
}
Table volumes_table() {
  return Table(
      {"VOLUME", "SIZE", "MODE", "PRIMARY", "STATE", "EPOCH", "HEAD", "COMMITTED", "IN SYNC"});
}

std::string replicas_of(const json::value& volume) {
  Table table(
      {"  REPLICA", "NODE", "ROLE", "STATE", "IN SET", "DURABLE", "LAG", "LAST SESSION", "WHY"});
  for (const auto& replica : list(volume, "replicas")) {
    auto why = text(replica, "problem", "");
    if (why.empty()) why = text(replica, "reason", "");
    table.add({"  " + text(replica, "replica"), text(replica, "node"), text(replica, "role"),
               text(replica, "state"),
               flag(replica, "in_set") ? (flag(replica, "exact") ? "exact" : "yes") : "no",
               text(replica, "durable"), lag_of(replica), session_of(replica), why});
  }
  auto lines = table.text();
  if (text(volume, "mode") == "sync_quorum") {
    lines += fmt::format("  quorum: {} of {} voters must have a record\n",
                         number(volume, "required"), list(volume, "in_sync").size());
  }
  if (const auto waiting = text(volume, "waiting_for", ""); !waiting.empty())
    lines += "  waiting: " + waiting + "\n";
  if (!list(volume, "pending").empty())
    lines += "  pending: " + joined(list(volume, "pending")) + "\n";
  return lines;
}

}  // namespace

std::string render_nodes(const json::value& reply) {
  Table table(
      {"NODE", "CONNECTED", "CONTROL", "INCARNATION", "VOLUMES", "REPLICATION", "NBD", "UUID", ""});
  for (const auto& node : list(reply, "nodes")) {
    std::string remark;
    if (const auto stranger = text(node, "stranger", ""); !stranger.empty()) {
      remark = "came back as " + stranger + "; accept it with `tidemark node readmit " +
               text(node, "name") + "`";
    }
    table.add({text(node, "name"), text(node, "connected"),
               flag(node, "hosts_control") ? "host" : "", text(node, "incarnation"),
               text(node, "volumes"), text(node, "replication"), text(node, "nbd"),
               text(node, "uuid"), remark});
  }
  return table.text();
}

std::string render_volumes(const json::value& reply) {
  auto table = volumes_table();
  for (const auto& volume : list(reply, "volumes")) add_volume(table, volume);
  return table.empty() ? "no volumes; `tidemark volume create NAME --size 1GiB` makes one\n"
                       : table.text();
}

std::string render_volume(const json::value& reply) {
  auto table = volumes_table();
  add_volume(table, reply);
  auto lines = table.text() + replicas_of(reply);
  if (const auto uri = text(reply, "nbd_uri", ""); !uri.empty())
    lines += "  mount:   " + uri + "\n";
  return lines;
}

std::string render_status(const json::value& reply) {
  std::string lines;
  if (text(reply, "scope") == "node") {
    lines = "The control plane cannot be reached: this is what one node knows by itself.\n";
  }
  lines += render_nodes(reply);
  for (const auto& volume : list(reply, "volumes")) lines += "\n" + render_volume(volume);
  if (!list(reply, "unreachable").empty())
    lines += "\nunreachable: " + joined(list(reply, "unreachable")) + "\n";
  return lines;
}

std::string render_sessions(const json::value& reply) {
  Table table({"VOLUME", "REPLICA", "STATE", "SESSION", "PHASE", "TARGET", "DONE", "RATE", "ETA",
               "SENT", "LAG", "PINS", "WHY"});
  for (const auto& volume : list(reply, "volumes")) {
    for (const auto& replica : list(volume, "replicas")) {
      const auto* session = at(replica, "session");
      if (text(replica, "role") == "primary" || session == nullptr || !session->is_object())
        continue;
      const auto phase = text(*session, "phase");
      const bool runs = phase != "done" && phase != "ended";
      if (text(replica, "state") == "streaming" && !runs) continue;
      const auto* eta = at(*session, "eta_milliseconds");
      table.add(
          {text(volume, "name"), text(replica, "node"), text(replica, "state"),
           fmt::format("{} {}", text(*session, "kind"), text(*session, "id")), phase,
           text(*session, "target"),
           runs ? fmt::format("{:.1f} %",
                              static_cast<double>(number(*session, "progress_permille")) / 10.0)
                : "-",
           runs ? engine::format_size(number(*session, "bytes_per_second")) + "/s" : "-",
           eta == nullptr || !runs
               ? "-"
               : fmt::format("{:.0f} s",
                             static_cast<double>(number(*session, "eta_milliseconds")) / 1000.0),
           engine::format_size(number(*session, "bytes")), lag_of(replica),
           joined(list(*session, "pins")), text(replica, "reason", "")});
    }
  }
  return table.empty() ? "" : "\n" + table.text();
}

std::string render_compare(const json::value& reply) {
  std::string lines;
  for (const auto& difference : list(reply, "differences"))
    lines += "DIFFERENT: " + printable(json::serialize(difference)) + "\n";
  for (const auto& wrong : list(reply, "wrong_copies"))
    lines += fmt::format("WRONG: block {} of {}, says the record at LSN {}\n", text(wrong, "block"),
                         text(wrong, "node"), text(wrong, "record"));
  for (const auto& block : list(reply, "undecided_blocks"))
    lines += fmt::format("UNDECIDED: which copy of block {} is wrong, no retained record says\n",
                         printable(json::serialize(block)));
  if (!list(reply, "unreachable").empty())
    lines += "not compared: " + joined(list(reply, "unreachable")) + "\n";
  lines += fmt::format("{} of {} copies compared, {} at LSN {}\n", list(reply, "compared").size(),
                       list(reply, "copies").size(),
                       !flag(reply, "equal")             ? "the copies differ"
                       : list(reply, "compared").empty() ? "nothing is known"
                       : flag(reply, "complete")         ? "all are equal"
                                                         : "those are equal",
                       text(reply, "lsn"));
  return lines;
}

std::string render_scrub(const json::value& reply) {
  std::string lines;
  for (const auto& copy : list(reply, "copies")) {
    if (!text(copy, "error", "").empty()) {
      lines += fmt::format("{}: {}\n", text(copy, "node"), text(copy, "error"));
      continue;
    }
    const auto* scrub = copy.is_object() ? copy.as_object().if_contains("scrub") : nullptr;
    if (scrub == nullptr) continue;
    lines += fmt::format(
        "{}: {}, block {} of {}; found {} damaged blocks, {} places in the log; "
        "{} blocks are damaged now, {} were repaired{}{}\n",
        text(copy, "node"), text(*scrub, "state"), text(*scrub, "next_block"),
        text(*scrub, "blocks"), text(*scrub, "damaged_blocks"), text(*scrub, "log_damage"),
        text(copy, "damaged_blocks"), text(copy, "blocks_repaired"),
        text(*scrub, "problem", "").empty() ? "" : ": ", text(*scrub, "problem", ""));
  }
  const auto* round = reply.is_object() ? reply.as_object().if_contains("round") : nullptr;
  if (round == nullptr) return lines;
  lines += fmt::format("comparing copies: {}, block {}; {} differences, {} blocks disproved\n",
                       text(*round, "state"), text(*round, "next_block"),
                       text(*round, "differences"), text(*round, "disproved_blocks"));
  for (const auto& copy : list(*round, "damaged"))
    lines += fmt::format("DAMAGED: {} blocks from {} on, of {}: {}\n", text(copy, "blocks"),
                         text(copy, "block"), text(copy, "node"), text(copy, "cause"));
  if (!list(*round, "waiting_for").empty())
    lines += "waiting for " + joined(list(*round, "waiting_for")) + "\n";
  for (const auto& block : list(*round, "undecided_blocks"))
    lines += fmt::format("UNDECIDED: which copy of block {} is wrong, no retained record says\n",
                         printable(json::serialize(block)));
  return lines;
}

}  // namespace tidemark::cli
