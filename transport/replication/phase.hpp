// Which messages may travel on which connection, in which direction and when. A breach ends the
// connection with Refused{protocol}: nothing of the frame is read beyond its header.
//
//   connector                         acceptor
//      Hello        -- greeting -->
//                  <-- answering --   HelloOk or Refused
//      purpose's own messages  <-- open -->  purpose's own messages, or Refused
#pragma once

#include "transport/replication/frame.hpp"

namespace tidemark::transport {

enum class Direction : std::uint8_t {
  from_connector,  ///< From the side that opened the connection.
  from_acceptor,
};
constexpr Direction opposite(Direction d) {
  return d == Direction::from_connector ? Direction::from_acceptor : Direction::from_connector;
}

enum class Phase : std::uint8_t {
  greeting,   ///< Nothing has come: the connector's Hello is awaited.
  answering,  ///< Hello was read; its answer is awaited.
  open,       ///< HelloOk was sent.
};

/// In the phases before `open` the purpose does not matter.
constexpr std::uint16_t travels_bit(engine::Purpose purpose, Direction from, Phase phase) {
  const bool connector = from == Direction::from_connector;
  switch (phase) {
    case Phase::greeting:
      return connector ? greeting_connector : greeting_acceptor;
    case Phase::answering:
      return connector ? 0 : answering_acceptor;
    case Phase::open:
      break;
  }
  switch (purpose) {
    case engine::Purpose::records:
      return connector ? records_connector : records_acceptor;
    case engine::Purpose::bulk:
      return connector ? bulk_connector : bulk_acceptor;
    case engine::Purpose::control:
      return connector ? control_connector : control_acceptor;
  }
  return 0;
}

constexpr bool allowed(engine::Purpose purpose, Direction from, Phase phase, FrameType type) {
  return (rule_of(type).travels & travels_bit(purpose, from, phase)) != 0;
}

}  // namespace tidemark::transport
