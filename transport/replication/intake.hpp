// What arrives on a connection, as messages: frames are put together, judged by the phase of the
// connection before a byte is allocated for them, and decoded. Pure: the socket is somebody else's,
// of TCP or of the simulated network.
//
//   stream -> [ FrameReader ] -> may it come here now? -> [ codec ] -> message
//                                        \-> no, or damaged: a Breach, and the connection is over
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "transport/replication/frame_reader.hpp"
#include "transport/replication/phase.hpp"

namespace tidemark::transport {

/// What the greeting of a connection has settled so far; of either side.
struct Terms {
  Phase phase = Phase::greeting;
  engine::Purpose purpose = engine::Purpose::control;  ///< Means something from the Hello on.
  std::optional<engine::VolumeKey> volume;             ///< Of the Hello.

  /// Takes what a message, sent or received, says of the connection.
  void learn(const engine::Message& message);
};

/// The peer does what it may not, or its bytes are damaged.
struct Breach {
  engine::RefusalCode code = engine::RefusalCode::protocol;  ///< What it is to be told.
  std::string text;
};

class Intake {
 public:
  /// `from` is the peer's side.
  explicit Intake(Direction from) : from_(from) {}

  /// Where the next bytes of the stream belong, in this order; some parts may be empty, never all.
  std::array<std::span<std::byte>, 3> room() { return reader_.room(); }
  /// The first `bytes` of room() were written.
  void filled(std::size_t bytes) { reader_.filled(bytes); }

  /// monostate: more bytes are needed. After a Breach nothing more is to be asked for.
  using Next = std::variant<std::monostate, engine::Message, Breach>;
  /// The caller learns each message before it asks for the next one.
  Next next(const Terms& terms);

  /// Forgets everything that has come.
  void discard() { reader_.discard(); }

 private:
  const Direction from_;
  FrameReader reader_;
  bool header_judged_ = false;  ///< The type of the frame at the front may come.
};

}  // namespace tidemark::transport
