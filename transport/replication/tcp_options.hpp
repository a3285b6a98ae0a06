// Limits and counters of the TCP links. Every bound of this transport has its name here.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "engine/messages.hpp"
#include "engine/types.hpp"

namespace tidemark::transport {

struct TcpLimits {
  /// Accepted connections whose Hello is not answered yet. One more drops the oldest, so that
  /// silent strangers cannot keep peers out.
  std::size_t handshakes_max = 64;
  /// From accepting a connection to its answered Hello.
  std::chrono::milliseconds hello_wait{5'000};
  /// From connect() to HelloOk.
  std::chrono::milliseconds connect_wait{3'000};
  /// A machine that acknowledges nothing for so long is gone (TCP_USER_TIMEOUT and keepalive).
  std::chrono::milliseconds dead_peer{3'000};
  /// How long a closed link may take to send what it still holds.
  std::chrono::milliseconds linger{1'000};
  /// What a link holds unsent. Far beyond any sender's credit: a link that reaches it is cut.
  std::size_t queued_bytes_max = std::size_t{64} << 20;
};

struct TcpOptions {
  engine::Endpoint listen;    ///< Port 0: any free one.
  engine::ClusterId cluster;  ///< What an incoming Hello must name.
  TcpLimits limits;
};

inline constexpr std::size_t refusal_codes =
    static_cast<std::size_t>(engine::RefusalCode::not_yet) + 1;

/// Since the start. Bytes are those of frames, headers included.
struct TcpCounters {
  std::uint64_t frames_sent = 0;
  std::uint64_t frames_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t sendmsg_calls = 0;
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_made = 0;
  std::uint64_t handshakes_dropped =
      0;  ///< No answered Hello in time, or pushed out by newer ones.
  std::array<std::uint64_t, refusal_codes> refusals_sent{};      ///< By RefusalCode.
  std::array<std::uint64_t, refusal_codes> refusals_received{};  ///< By RefusalCode.
};

}  // namespace tidemark::transport
