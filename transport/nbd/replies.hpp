// Replies on their way out: small headers in one arena, payload as counted slices, gathered for
// sendmsg without copying a byte of payload.
//
//   pieces   [ hdr hdr hdr ][ slice ][ hdr ][ slice ] ...      <- iovecs
//               arena         pool     arena   pool
//
// Headers that follow each other are one piece: 32 answered writes leave as one run of 512 bytes.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/front.hpp"
#include "transport/nbd/requests.hpp"
#include "transport/nbd/wire.hpp"

namespace tidemark::nbd {

/// Most extents of one BLOCK_STATUS reply: 32 KiB.
/// A client asks on from the first byte not covered.
inline constexpr std::size_t extents_max = 4096;

/// The NBD error for a volume's error; never `none`.
ErrorCode to_error_code(engine::Errc code);

/// Bounded by the session: it forwards no further request while too much is in flight or unsent.
class ReplyQueue {
 public:
  /// Bytes as they stand (the handshake's). Not counted as a reply.
  void add_raw(ByteView bytes);
  /// Success without content, for any command;
  /// in structured mode a READ needs its own kind of reply.
  void add_done(const RequestHeader& request, bool structured);
  /// `text` travels only in structured mode.
  void add_error(const RequestHeader& request, bool structured, ErrorCode error,
                 std::string_view text);
  /// The answer to a READ; CHECKs that the pieces are exactly the bytes asked for.
  void add_read(const RequestHeader& request, bool structured,
                std::vector<engine::FrontReply::Piece> pieces);
  /// The answer to a BLOCK_STATUS; CHECKs that it describes at least one byte.
  void add_block_status(const RequestHeader& request,
                        std::span<const engine::Allocation> allocations);

  bool empty() const { return first_ == pieces_.size(); }
  std::uint64_t unsent_bytes() const { return unsent_bytes_; }
  /// Replies that have not left whole.
  std::uint32_t unsent_replies() const { return unsent_replies_; }

  /// Fills `out` from the front of what is unsent; returns how many entries. Valid until the next
  /// call of anything that is not const.
  std::size_t gather(std::span<iovec> out) const;
  /// `bytes` of what gather() gave have left.
  void sent(std::size_t bytes);
  /// The client is slow: small pieces of much larger memory are copied, so that a queue does not
  /// hold more than a small multiple of what it counts.
  void unpin();

 private:
  struct Piece {
    std::size_t bytes = 0;
    std::size_t arena_offset = 0;  ///< Where a header run starts; unused with a slice.
    engine::Slice slice;           ///< Empty: a header run.
    std::uint32_t replies = 0;     ///< How many end within this piece.
  };

  template <std::unsigned_integral T>
  void field(T value);
  void text(std::string_view value);
  void header_run(std::size_t bytes);
  void slice(engine::Slice bytes);
  void zero_bytes(std::uint64_t bytes);
  void end_reply();
  void chunk_header(const RequestHeader& request, Chunk type, bool done, std::uint64_t payload);
  void simple_header(const RequestHeader& request, ErrorCode error);
  void add_chunks(const RequestHeader& request, std::vector<engine::FrontReply::Piece> pieces);
  void add_one_chunk(const RequestHeader& request, std::vector<engine::FrontReply::Piece> pieces);
  void content(engine::FrontReply::Piece piece);
  void forget_sent();

  Bytes arena_;
  std::vector<Piece> pieces_;
  std::size_t first_ = 0;       ///< First piece not wholly sent.
  std::size_t first_sent_ = 0;  ///< Bytes of it that have left.
  std::uint64_t unsent_bytes_ = 0;
  std::uint32_t unsent_replies_ = 0;
};

}  // namespace tidemark::nbd
