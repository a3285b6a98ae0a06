// The data directory of a stopped node, held for reading: who it belongs to, and its replicas.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/daemon/identity.hpp"
#include "engine/result.hpp"
#include "storage/owner_lock.hpp"
#include "storage/read_only_disk.hpp"
#include "storage/verify.hpp"

namespace tidemark::cli {

/// No daemon starts on it while this lives.
struct NodeDirectory {
  std::string path;
  daemon::Identity identity;
  std::vector<std::string> replicas;  ///< Paths of their directories; one, where one was asked for.
  bool one_replica = false;
  storage::OwnerLock lock;
};
/// `path` is a node's data directory, or a replica's within one. Errc::busy names the living owner;
/// Errc::not_found: it is neither. Nothing is written.
engine::Result<NodeDirectory> open_directory(const std::string& path);

/// A replica by its superblock.
struct FoundReplica {
  std::string path;
  engine::Result<storage::SuperblockSlots> slots;
  const storage::Superblock* in_force() const;  ///< Null: neither slot counts.
};
/// All of `node`, or those of the volume of that name. Errc::not_found says which volumes there are.
engine::Result<std::vector<FoundReplica>> find_replicas(storage::ReadOnlyDisk& disk,
                                                        const NodeDirectory& node,
                                                        const std::string& volume);

/// Says that nothing could be read or done, and why. Returns the exit code.
int cannot(bool json, const engine::Error& error);

}  // namespace tidemark::cli
