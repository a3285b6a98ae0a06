// One request to a node's admin socket, for the command line:
// blocks until the answer is there or time is up.
#pragma once

#include <chrono>
#include <string>

#include "engine/result.hpp"

namespace tidemark::http {

struct Reply {
  unsigned status = 0;
  std::string content_type;
  std::string body;
};

/// Answers longer than this are an error.
inline constexpr std::size_t reply_bytes_max = std::size_t{64} << 20;

/// `method` is one of GET, POST, PUT, DELETE; `path` begins with '/'. Any status is a Reply.
/// Errc::unavailable: nobody listens at `socket_path` (it is missing, or its owner is dead).
/// Errc::cancelled: no answer within `timeout`. Errc::invalid: the request itself. Errc::io_failed:
/// the connection broke, or no HTTP came back.
engine::Result<Reply> request(const std::string& socket_path, const std::string& method,
                              const std::string& path, const std::string& body,
                              std::chrono::milliseconds timeout);

}  // namespace tidemark::http
