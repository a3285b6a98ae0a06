// Messages to frames and back. Pure and total: every message becomes a frame, any bytes become a
// message or an Error. Payload is never copied: a frame refers to the records' memory, and decoded
// records are parts of the body they came in.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "engine/buffer.hpp"
#include "engine/messages.hpp"
#include "engine/result.hpp"
#include "transport/replication/frame.hpp"

namespace tidemark::transport {

/// A message ready to be gathered onto a connection.
struct Frame {
  std::vector<std::byte> head;      ///< Frame header and head, contiguous.
  std::vector<engine::Slice> body;  ///< Whole blocks, in order; none is empty.

  std::size_t body_bytes() const;
  std::size_t bytes() const { return head.size() + body_bytes(); }
};

/// CHECKs what only our own mistake can break: names and lists within their bounds, Records dense
/// in size (1 to 1024 records, payload up to records_frame_bytes_max), BaseBlocks with a sum per
/// block. Texts for people are cut at text_bytes_max. An AdminReply beyond admin_body_bytes_max
/// becomes one of status 500 that says so.
Frame encode(const engine::Message& message);
/// The same into `frame`, whose memory is used again.
void encode(const engine::Message& message, Frame& frame);

/// `head` and `body` are exactly what `header` announced. `volume` is that of the connection's
/// Hello; without one no frame with a body is taken. Errc::invalid: malformed. Errc::corrupt: a
/// checksum of a record or block does not hold (or another code of engine::decode_record).
engine::Result<engine::Message> decode(const FrameHeader& header, std::span<const std::byte> head,
                                       engine::Slice body, std::optional<engine::VolumeKey> volume);

/// The body of a frame as one slice, as a receiver holds it:
/// itself when it is one piece, else a copy.
engine::Slice joined(const std::vector<engine::Slice>& body);

/// What the other end of a perfect connection would get for `frame`. For the simulator and tests.
engine::Result<engine::Message> decode(const Frame& frame, std::optional<engine::VolumeKey> volume);

}  // namespace tidemark::transport
