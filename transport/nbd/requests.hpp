// What a client may ask in transmission, decided from the 28 bytes of a request header alone:
// forward it to the volume, answer it at once, or part company.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/front.hpp"
#include "transport/nbd/wire.hpp"

namespace tidemark::nbd {

/// What was agreed in the handshake; the validity of requests depends on nothing else.
struct Agreement {
  std::uint64_t size_bytes = 0;  ///< Grows with the export.
  bool read_only = false;
  bool structured_replies = false;
  bool base_allocation = false;
};

/// The transmission flags of an export.
std::uint16_t transmission_flags(bool read_only, bool structured_replies);

struct RequestHeader {
  std::uint16_t flags = 0;
  Command command = Command::read;  ///< As sent: may be none of the named ones.
  std::uint64_t cookie = 0;         ///< The client's, returned as it came.
  std::uint64_t offset = 0;         ///< Bytes.
  std::uint32_t length = 0;         ///< Bytes.

  bool has(std::uint16_t flag) const { return (flags & flag) != 0; }
  /// Bytes that follow the header on the wire, whatever becomes of the request.
  std::uint32_t payload_bytes() const { return command == Command::write ? length : 0; }
};

/// Nothing if the magic is wrong: the stream is out of step and can't be trusted again.
std::optional<RequestHeader> decode_request(std::span<const std::byte, request_header_bytes> bytes);

enum class Verdict : std::uint8_t {
  forward,     ///< Valid: the volume's affair.
  answer,      ///< Reply now with `error` (none: there was nothing to do); a payload is drained.
  disconnect,  ///< The client says good-bye: finish what is in flight, then close.
  close,       ///< A breach that allows no reply.
};

struct Judgement {
  Verdict verdict = Verdict::forward;
  ErrorCode error = ErrorCode::none;
  std::string_view text;  ///< Why, for people; static storage.
};

/// Total over all headers. A zero length is answered at once: with success, except for
/// BLOCK_STATUS, which cannot describe nothing (the protocol leaves it open and asks
/// not to disconnect).
Judgement judge(const RequestHeader& request, const Agreement& agreed);

/// The request as a volume sees it, without cookie and data. `request` was judged `forward`.
engine::FrontRequest to_front(const RequestHeader& request);

/// The run of whole blocks that [offset, offset + length) touches, in bytes.
std::uint64_t touched_bytes(std::uint64_t offset, std::uint32_t length);

/// Memory that the request ties up until it is answered and sent, in bytes.
std::uint64_t memory_cost(const RequestHeader& request);

}  // namespace tidemark::nbd
