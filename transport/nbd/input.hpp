// Where bytes of the socket land: a read-ahead for headers and small payloads, and, while a large
// payload is under way, the payload's own buffer in front of it, so that one read fills both.
#pragma once

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "engine/check.hpp"
#include "transport/nbd/wire.hpp"

namespace tidemark::nbd {

class Input {
 public:
  explicit Input(std::size_t capacity) : memory_(capacity) {}

  ByteView ahead() const { return ByteView(memory_).subspan(begin_, end_ - begin_); }

  void drop(std::size_t bytes) {
    CHECK(bytes <= end_ - begin_);
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  /// Grows the read-ahead; what was read stays.
  void grow(std::size_t capacity) { memory_.resize(std::max(capacity, memory_.size())); }

  /// Fills `target` first from what was read ahead; the rest comes with the next reads.
  void expect(std::span<std::byte> target) {
    CHECK(payload_.empty());
    const auto bytes = std::min(target.size(), end_ - begin_);
    if (bytes != 0) std::memcpy(target.data(), memory_.data() + begin_, bytes);
    drop(bytes);
    payload_ = target.subspan(bytes);
  }
  bool payload_missing() const { return !payload_.empty(); }

  /// Where the next read goes.
  std::array<boost::asio::mutable_buffer, 2> targets() {
    if (begin_ != 0) {  // what is left of a header moves to the front
      std::memmove(memory_.data(), memory_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    auto room = memory_.size() - end_;
    // Behind a large payload comes most likely another: reading far ahead would only copy it twice.
    if (payload_.size() >= large_payload_bytes) room = std::min(room, ahead_of_large_bytes);
    return {boost::asio::mutable_buffer(payload_.data(), payload_.size()),
            boost::asio::mutable_buffer(memory_.data() + end_, room)};
  }

  /// `bytes` were read into targets().
  void filled(std::size_t bytes) {
    const auto direct = std::min(bytes, payload_.size());
    payload_ = payload_.subspan(direct);
    end_ += bytes - direct;
    CHECK(end_ <= memory_.size());
  }

 private:
  // Copying 64 KiB costs some 8 us, ten times a system call:
  // from there on reads go where they belong.
  static constexpr std::size_t large_payload_bytes = 65536;
  static constexpr std::size_t ahead_of_large_bytes = 512;

  Bytes memory_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::span<std::byte> payload_;  ///< What is missing of the payload under way.
};

}  // namespace tidemark::nbd
