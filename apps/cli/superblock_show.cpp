#include <fmt/format.h>

#include <boost/json.hpp>

#include "apps/cli/client.hpp"
#include "apps/cli/directory.hpp"
#include "apps/cli/render.hpp"
#include "apps/cli/verify.hpp"
#include "engine/record/record.hpp"
#include "engine/units.hpp"

namespace tidemark::cli {

namespace json = boost::json;
using storage::Superblock;

namespace {

std::string marks_of(std::uint8_t marks) {
  std::string words;
  if ((marks & engine::EpochBody::forced) != 0) words += "forced ";
  if ((marks & engine::EpochBody::cache_lost) != 0) words += "cache_lost ";
  if ((marks & engine::EpochStart::mode_changed) != 0) words += "mode_changed ";
  if (words.empty()) return "normal";
  words.pop_back();
  return words;
}

json::array history_of(const Superblock& b) {
  json::array lines;
  for (const auto& s : b.history.starts()) {
    lines.push_back(json::object{{"epoch", s.epoch.value},
                                 {"nonce", fmt::format("{:016x}", s.nonce)},
                                 {"first", s.first.value},
                                 {"marks", marks_of(s.marks)},
                                 {"mode", engine::to_string(s.mode)}});
  }
  return lines;
}

json::array sessions_of(const Superblock& b) {
  json::array lines;
  for (const auto& line : b.sessions) {
    lines.push_back(json::object{{"node_key", fmt::format("{:016x}", line.session.node_key)},
                                 {"incarnation", line.session.incarnation.value},
                                 {"sequence", line.sequence}});
  }
  return lines;
}

json::array cuts_of(const Superblock& b) {
  json::array lines;
  for (const auto& cut : b.cuts) {
    lines.push_back(json::object{
        {"segment", cut.sequence.value}, {"offset", cut.offset}, {"to", cut.to.value}});
  }
  return lines;
}

json::array files_of(const Superblock& b) {
  json::array numbers;
  for (std::uint64_t n = 0; n < b.extent_files.bits.size() * 8; ++n) {
    if (b.extent_files.has(n)) numbers.push_back(n);
  }
  return numbers;
}

json::array configurations_of(const Superblock& b) {
  json::array lines;
  for (const auto& s : b.configurations.starts()) {
    lines.push_back(json::object{{"since", s.first.value},
                                 {"size_bytes", s.configuration.size_bytes},
                                 {"mode", engine::to_string(s.configuration.mode)},
                                 {"min_copies", s.configuration.min_copies}});
  }
  return lines;
}

json::object to_json(const Superblock& b) {
  json::object o{{"generation", b.generation},
                 {"cluster", engine::to_string(b.cluster)},
                 {"volume", b.spec.name},
                 {"volume_id", engine::to_string(b.spec.id)},
                 {"size_bytes", b.spec.size_bytes},
                 {"mode", engine::to_string(b.spec.mode)},
                 {"ack", engine::to_string(b.spec.ack)},
                 {"copies", b.spec.copies},
                 {"min_copies", b.spec.min_copies},
                 {"replica", b.replica.value},
                 {"segment_bytes", b.segment_bytes},
                 {"extent_file_bytes", b.extent_file_bytes},
                 {"checkpoint", b.checkpoint.value},
                 {"checkpoint_digest", engine::to_string(b.checkpoint_digest)},
                 {"checkpoint_time", b.checkpoint_time.value},
                 {"committed", b.committed.value},
                 {"durable", b.durable.value},
                 {"wal_start", b.wal_start.value},
                 {"base", engine::to_string(b.base)},
                 {"damage", b.damage},
                 {"clean_stop", b.clean},
                 {"resetting", b.resetting}};
  if (b.checkpoint_batch) {
    o["checkpoint_batch"] = json::object{{"segment", b.checkpoint_batch->sequence.value},
                                         {"offset", b.checkpoint_batch->offset}};
  }
  if (b.truncate_to) o["truncating_to"] = b.truncate_to->value;
  o["cuts"] = cuts_of(b);
  o["epochs"] = history_of(b);
  o["configurations"] = configurations_of(b);
  o["sessions"] = sessions_of(b);
  o["extent_files"] = b.extent_files.count;
  o["extent_file_numbers"] = files_of(b);
  return o;
}

/// A line for each field, a list's entries below it.
std::string fields(const json::object& o) {
  std::string lines;
  const auto plain = [](const json::value& v) {
    return printable(v.is_string() ? std::string(v.as_string()) : json::serialize(v));
  };
  for (const auto& [key, value] : o) {
    const std::string name(key);
    const bool entries =
        value.is_array() && !value.as_array().empty() && value.as_array().front().is_object();
    if (!entries) {
      lines += fmt::format("    {:<20}{}\n", name, plain(value));
      continue;
    }
    lines += fmt::format("    {}\n", name);
    for (const auto& entry : value.as_array()) {
      std::string words;
      for (const auto& [k, v] : entry.as_object())
        words += fmt::format("  {} {}", std::string_view(k), plain(v));
      lines += fmt::format("    {}\n", words);
    }
  }
  return lines;
}

/// Both slots of one replica; `sound`: both count.
json::object describe(const FoundReplica& replica, bool& sound) {
  json::object o{{"directory", replica.path}};
  if (!replica.slots) {
    sound = false;
    o["error"] = replica.slots.error().text;
    return o;
  }
  const auto in_force = storage::slot_in_force(*replica.slots);
  json::array slots;
  for (std::size_t i = 0; i < storage::superblock_slots; ++i) {
    const auto& slot = (*replica.slots)[i];
    json::object s{{"slot", i}, {"whole", slot.has_value()}, {"in_force", in_force == i}};
    if (slot) s["fields"] = to_json(*slot);
    if (!slot) s["error"] = slot.error().text;
    sound = sound && slot;
    slots.push_back(std::move(s));
  }
  o["slots"] = std::move(slots);
  return o;
}

std::string render(const json::object& replica) {
  auto lines = printable(std::string_view(replica.at("directory").as_string())) + "\n";
  if (const auto* error = replica.if_contains("error"))
    return lines + "  " + printable(std::string_view(error->as_string())) + "\n";
  for (const auto& slot : replica.at("slots").as_array()) {
    const auto& s = slot.as_object();
    const auto number = s.at("slot").to_number<std::uint64_t>();
    if (const auto* error = s.if_contains("error")) {
      lines += fmt::format("  slot {} does not count: {}\n", number,
                           printable(std::string_view(error->as_string())));
    } else {
      lines += fmt::format("  slot {}{}\n", number, s.at("in_force").as_bool() ? ", in force" : "");
      lines += fields(s.at("fields").as_object());
    }
  }
  return lines;
}

}  // namespace

int show_superblock(const std::string& directory, const std::string& volume, bool as_json) {
  const auto node = open_directory(directory);
  if (!node) return cannot(as_json, node.error());
  storage::ReadOnlyDisk disk;
  const auto found = find_replicas(disk, *node, volume);
  if (!found) return cannot(as_json, found.error());
  bool sound = true;
  json::array replicas;
  for (const auto& replica : *found) replicas.push_back(describe(replica, sound));
  if (as_json) {
    fmt::print("{}\n", json::serialize(json::object{{"replicas", replicas}}));
  } else {
    for (const auto& replica : replicas) fmt::print("{}", render(replica.as_object()));
    if (replicas.empty()) fmt::print("{} has no copy of any volume\n", node->path);
  }
  return sound ? ok : failed;
}

}  // namespace tidemark::cli
