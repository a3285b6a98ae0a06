// Endpoints as people write them: "127.0.0.1:9101" and "[::1]:9101". Numeric only: a name would
// have to be looked up, which blocks.
#pragma once

#include <cstdint>
#include <string>

#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::transport {

struct HostPort {
  std::string host;  ///< Without brackets.
  std::uint16_t port = 0;
  bool v6 = false;
  bool loopback = false;  ///< 127.0.0.0/8 or ::1.
  bool operator==(const HostPort&) const = default;
};
/// Errc::invalid says what is wrong and what would be right.
/// Port 0 is taken: a listener's free choice.
engine::Result<HostPort> parse_endpoint(const engine::Endpoint& text);
engine::Endpoint to_endpoint(const HostPort& address);

}  // namespace tidemark::transport
