#include "apps/cli/directory.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "apps/cli/client.hpp"
#include "apps/cli/render.hpp"
#include "storage/disk_tasks.hpp"

namespace tidemark::cli {

namespace fs = std::filesystem;
namespace json = boost::json;
using engine::Errc;
using engine::Error;
using engine::Result;

namespace {

bool is_node(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / "identity.json", ignored);
}

/// `.` and links named, so that a replica's directory shows what it is in.
fs::path plain(const std::string& path) {
  std::error_code failed;
  auto whole = fs::canonical(path, failed);
  return failed ? fs::path(path) : whole;
}

Result<std::vector<std::string>> directories_in(const fs::path& volumes) {
  std::error_code failed;
  std::vector<std::string> found;
  for (fs::directory_iterator it(volumes, failed), end; !failed && it != end; it.increment(failed))
    found.push_back(it->path().string());
  if (failed) {
    return Error{Errc::io_failed,
                 fmt::format("listing {}: {}", volumes.string(), failed.message())};
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

Result<NodeDirectory> open_directory(const std::string& asked) {
  auto path = plain(asked);
  std::optional<std::string> replica;
  const bool within = path.parent_path().filename() == "volumes";
  if (!is_node(path) && within && is_node(path.parent_path().parent_path())) {
    replica = path.string();
    path = path.parent_path().parent_path();
  }
  const auto identity = daemon::read_identity(path.string());
  if (!identity) return identity.error();
  auto lock = storage::OwnerLock::take_to_read(path.string());
  if (!lock) return lock.error();
  NodeDirectory node{path.string(), *identity, {}, replica.has_value(), std::move(*lock)};
  if (replica) {
    node.replicas.push_back(*replica);
    return node;
  }
  auto replicas = directories_in(path / "volumes");
  if (!replicas) return replicas.error();
  node.replicas = std::move(*replicas);
  return node;
}

const storage::Superblock* FoundReplica::in_force() const {
  if (!slots) return nullptr;
  const auto slot = storage::slot_in_force(*slots);
  return slot ? &*(*slots)[*slot] : nullptr;
}

Result<std::vector<FoundReplica>> find_replicas(storage::ReadOnlyDisk& disk,
                                                const NodeDirectory& node,
                                                const std::string& volume) {
  std::vector<FoundReplica> found;
  std::string known;
  for (const auto& path : node.replicas) {
    FoundReplica replica{path, disk.run(storage::read_slots(disk, disk, path + "/superblock"))};
    const auto* block = replica.in_force();
    if (block != nullptr) known += (known.empty() ? "" : ", ") + block->spec.name;
    const bool wanted = volume.empty() || (block != nullptr && block->spec.name == volume);
    if (wanted) found.push_back(std::move(replica));
  }
  if (!found.empty() || volume.empty()) return found;
  return Error{Errc::not_found, fmt::format("{} has no copy of a volume \"{}\"; it has {}",
                                            node.path, volume, known.empty() ? "none" : known)};
}

int cannot(bool as_json, const Error& error) {
  if (as_json) {
    fmt::print("{}\n", json::serialize(json::object{{"error", error.text},
                                                    {"code", engine::to_string(error.code)}}));
  }
  fmt::print(stderr, "tidemark: {}\n", printable(error.text));
  return usage;
}

}  // namespace tidemark::cli
