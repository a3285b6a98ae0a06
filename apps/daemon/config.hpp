// The daemon's configuration: strict TOML. What is not understood is refused with file,
// line and what would be right; nothing is guessed and nothing ignored. Every key with
// its default: packaging/tidemark.toml.
#pragma once

#include <string>

#include "actors/environment.hpp"
#include "engine/result.hpp"

namespace tidemark::daemon {

struct Config {
  std::string path;              ///< The file it was read from, for messages.
  std::string directory;         ///< `dir`: made by `tidemarkd init`, absolute.
  engine::Endpoint replication;  ///< `listen.replication`: nodes, control.
  engine::Endpoint nbd;          ///< `listen.nbd`: clients.
  std::string admin;  ///< `listen.admin`: path of a Unix socket; DIR/admin.sock unless given.
  engine::Endpoint control;  ///< `control.address`: of the host of the control plane.
  bool insecure = false;     ///< Allows listening beyond loopback without TLS.
  std::string log_level = "info";
  /// `times.busy_poll`: nanoseconds an idle loop looks for work at most before it sleeps.
  std::uint64_t busy_poll = engine::millisecond / 5;
  actors::Settings settings;
};

/// Reads and checks a file. Errc::invalid: one line per mistake,
/// each `file:line: what; what would be right`.
engine::Result<Config> read_config(const std::string& path);
/// The same from memory; `path` only names it.
engine::Result<Config> parse_config(const std::string& text, const std::string& path);

/// "127.0.0.1:9101" or "[::1]:9101" (a literal address, a port from 1 to 65535).
engine::Status check_endpoint(const std::string& text);

}  // namespace tidemark::daemon
