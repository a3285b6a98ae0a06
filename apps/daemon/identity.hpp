// Who a data directory belongs to. Written once by `tidemarkd init`, read at every start, never
// changed: a directory that is foreign, swapped, missing or emptied is refused with both values
// named and never adopted.
#pragma once

#include <string>

#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::daemon {

struct Identity {
  engine::ClusterId cluster;
  engine::NodeId node;
  bool hosts_control = false;
};

/// What a joining node must know of the cluster: `tidemark1.<cluster uuid>.<check>`.
std::string make_token(const engine::ClusterId& cluster);
engine::Result<engine::ClusterId> parse_token(const std::string& token);

/// 1 to 32 of [a-z0-9-], beginning with a letter: names of nodes stand in paths, logs and URIs.
engine::Status check_node_name(const std::string& name);

/// Creates `directory` (its parent must exist; an existing directory must be empty) with identity
/// and volumes folder, all synced; init() adds the catalog. Nothing else ever creates one.
engine::Status create_directory(const std::string& directory, const Identity& identity);
/// Errc::not_found: no directory, or one that `tidemarkd init` did not make or that was emptied;
/// Errc::corrupt: damaged.
engine::Result<Identity> read_identity(const std::string& directory);

/// Keys of the catalog that the daemon itself owns.
inline constexpr auto identity_key = "node/identity";
inline constexpr auto incarnation_key = "node/incarnation";
/// How the identity stands in the catalog, to be compared with the file's.
std::string identity_text(const Identity& identity);

}  // namespace tidemark::daemon
