// Puts frames together from a stream that arrives in pieces of any size.
// Pure: the socket is somebody else's.
//
//   stream -> [ 16 KiB buffer ] -> header judged -> head -> body
//
//   what the buffer holds of head and body is copied; the rest is read straight into their memory
//
// Memory: the buffer, and per frame in progress what its header announced,
// within the bounds of its type.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "engine/buffer.hpp"
#include "engine/result.hpp"
#include "transport/replication/frame.hpp"

namespace tidemark::transport {

class FrameReader {
 public:
  FrameReader() : in_(buffer_bytes) {}

  /// Where the next bytes of the stream belong, in this order; some parts may be empty, never all.
  std::array<std::span<std::byte>, 3> room();
  /// The first `bytes` of room() were written.
  void filled(std::size_t bytes);

  /// The header of the frame at the front once it is there; nothing is allocated for it yet.
  /// nullptr: more is needed. After an error the stream is out of step for good.
  engine::Result<const FrameHeader*> header();

  struct Arrived {
    FrameHeader header;
    std::span<const std::byte> head;  ///< Valid until the next call.
    engine::Slice body;
  };
  /// The frame whose header() was seen, once it is whole.
  std::optional<Arrived> take();

  /// Forgets everything that has come.
  void discard();

  /// What is read ahead of the frame at the front.
  /// Bounds the copying: a body's first part passes through here.
  static constexpr std::size_t buffer_bytes = 16 * 1024;

 private:
  /// A head larger than this is given back to the allocator after its frame.
  static constexpr std::size_t kept_head_bytes = 64 * 1024;

  std::size_t buffered() const { return end_ - begin_; }
  void begin_frame();
  std::size_t drain(std::span<std::byte> to);

  std::vector<std::byte> in_;
  std::size_t begin_ = 0;  ///< Unread bytes are in_[begin_, end_).
  std::size_t end_ = 0;

  std::optional<FrameHeader> header_;
  bool assembling_ = false;  ///< Head and body have their memory.
  std::vector<std::byte> head_;
  std::size_t head_filled_ = 0;
  engine::Buffer body_;
  std::size_t body_filled_ = 0;
};

}  // namespace tidemark::transport
