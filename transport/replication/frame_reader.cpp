#include "transport/replication/frame_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::transport {

std::array<std::span<std::byte>, 3> FrameReader::room() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (in_.size() - end_ < frame_header_bytes) {
    std::memmove(in_.data(), in_.data() + begin_, buffered());
    end_ = buffered();
    begin_ = 0;
  }
  const auto ahead = std::span(in_).subspan(end_);
  if (!assembling_) return {std::span<std::byte>{}, std::span<std::byte>{}, ahead};
  return {std::span(head_).subspan(head_filled_), body_.bytes().subspan(body_filled_), ahead};
}

void FrameReader::filled(std::size_t bytes) {
  if (assembling_) {
    const auto to_head = std::min(bytes, head_.size() - head_filled_);
    head_filled_ += to_head;
    bytes -= to_head;
    const auto to_body = std::min(bytes, body_.size() - body_filled_);
    body_filled_ += to_body;
    bytes -= to_body;
  }
  CHECK(bytes <= in_.size() - end_);
  end_ += bytes;
}

engine::Result<const FrameHeader*> FrameReader::header() {
  if (header_) return &*header_;
  if (buffered() < frame_header_bytes) return nullptr;
  const auto bytes = std::span<const std::byte>(in_).subspan(begin_).first<frame_header_bytes>();
  auto header = decode_header(bytes);
  if (!header) return header.error();
  begin_ += frame_header_bytes;
  header_ = *header;
  return &*header_;
}

std::size_t FrameReader::drain(std::span<std::byte> to) {
  const auto bytes = std::min(to.size(), buffered());
  if (bytes > 0) std::memcpy(to.data(), in_.data() + begin_, bytes);
  begin_ += bytes;
  return bytes;
}

void FrameReader::begin_frame() {
  if (head_.capacity() > kept_head_bytes) head_ = {};
  head_.resize(header_->head_bytes);
  if (header_->body_bytes > 0) body_ = engine::Buffer(header_->body_bytes);
  head_filled_ = drain(head_);
  body_filled_ = drain(body_.bytes());
  assembling_ = true;
}

std::optional<FrameReader::Arrived> FrameReader::take() {
  CHECK(header_);
  if (!assembling_) begin_frame();
  if (head_filled_ < head_.size() || body_filled_ < body_.size()) return std::nullopt;
  assembling_ = false;
  const auto header = *std::exchange(header_, std::nullopt);
  return Arrived{header, head_, std::exchange(body_, {}).freeze()};
}

void FrameReader::discard() {
  begin_ = end_ = 0;
  header_.reset();
  assembling_ = false;
  body_ = {};
}

}  // namespace tidemark::transport
