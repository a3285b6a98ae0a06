// One request to a node's admin socket, and what can be said when it fails.
#pragma once

#include <boost/json/value.hpp>

#include <cstdint>
#include <string>

#include "engine/result.hpp"

namespace tidemark::cli {

struct Client {
  std::string socket;                  ///< Path of the node's admin socket.
  std::uint64_t timeout_seconds = 70;  ///< A node gives the control plane 60 s.

  struct Answer {
    unsigned status = 0;  ///< 202: begun, and not complete yet.
    boost::json::value body;
  };

  /// The reply's JSON. Errors carry the node's own sentence, or why it could not be reached.
  engine::Result<Answer> ask(const std::string& method, const std::string& path,
                             const boost::json::value& body = nullptr) const;
};

/// Exit codes of the program, as docs and --help state them.
enum ExitCode : int { ok = 0, failed = 1, usage = 2 };

}  // namespace tidemark::cli
