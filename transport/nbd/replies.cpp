#include "transport/nbd/replies.hpp"

#include <algorithm>

#include "engine/check.hpp"
#include "transport/nbd/text.hpp"

namespace tidemark::nbd {

namespace {

using Content = engine::FrontReply::Piece;

/// A run of zeros in one iovec: what engine::zeros shares at most.
constexpr std::uint64_t zero_run_bytes_max = std::uint64_t{1} << 20;
/// Sent pieces are dropped in bulk once they are this many, so that a queue that never runs empty
/// does not grow: one memmove per 1024 pieces.
constexpr std::size_t sent_pieces_max = 1024;
/// Memory that an unsent piece may keep, as a multiple of its size (of a block at least).
constexpr std::size_t pinned_factor_max = 8;

std::uint64_t size_of(const Content& piece) { return piece.data.size() + piece.zero_bytes; }

bool is_zero(const Content& piece) { return piece.data.empty(); }

std::uint32_t narrow(std::uint64_t bytes) {
  CHECK(bytes <= UINT32_MAX);
  return static_cast<std::uint32_t>(bytes);
}

std::uint32_t state_of(const engine::Allocation& a) {
  return (a.hole ? state_flag::hole : 0) | (a.zero ? state_flag::zero : 0);
}

struct Extent {
  std::uint64_t length = 0;
  std::uint32_t state = 0;
};

/// Joins neighbours of equal state and cuts at the end of what was asked for.
std::vector<Extent> merge(std::span<const engine::Allocation> allocations, std::uint64_t length) {
  std::vector<Extent> extents;
  for (const auto& a : allocations) {
    const auto part = std::min(a.length, length);
    if (part == 0) continue;
    if (extents.empty() || extents.back().state != state_of(a)) {
      if (extents.size() == extents_max) break;
      extents.push_back({0, state_of(a)});
    }
    extents.back().length += part;
    length -= part;
  }
  return extents;
}

}  // namespace

ErrorCode to_error_code(engine::Errc code) {
  using engine::Errc;
  switch (code) {
    case Errc::no_space:
      return ErrorCode::enospc;
    case Errc::io_failed:
    case Errc::corrupt:
    case Errc::out_of_window:
      return ErrorCode::eio;
    case Errc::invalid:
    case Errc::already_exists:
    case Errc::not_yet:
      return ErrorCode::einval;
    // The volume is not served here any more, or not now. In transmission the session ends instead
    // of saying so: Linux and qemu make an I/O error of ESHUTDOWN too.
    case Errc::not_found:
    case Errc::busy:
    case Errc::stale:
    case Errc::refused:
    case Errc::unavailable:
    case Errc::cancelled:
      return ErrorCode::eshutdown;
  }
  return ErrorCode::eio;
}

void ReplyQueue::add_raw(ByteView bytes) {
  append(arena_, bytes.data(), bytes.size());
  header_run(bytes.size());
}

void ReplyQueue::add_done(const RequestHeader& request, bool structured) {
  if (structured && request.command == Command::read) {
    chunk_header(request, Chunk::none, true, 0);
  } else {
    simple_header(request, ErrorCode::none);
  }
  end_reply();
}

void ReplyQueue::add_error(const RequestHeader& request, bool structured, ErrorCode error,
                           std::string_view why) {
  CHECK(error != ErrorCode::none);
  if (structured) {
    const auto message = presentable(why);
    chunk_header(request, Chunk::error, true, 4 + 2 + message.size());
    field(static_cast<std::uint32_t>(error));
    field(static_cast<std::uint16_t>(message.size()));
    text(message);
  } else {
    simple_header(request, error);
  }
  end_reply();
}

void ReplyQueue::add_read(const RequestHeader& request, bool structured,
                          std::vector<Content> pieces) {
  std::uint64_t total = 0;
  for (const auto& piece : pieces) {
    CHECK(piece.data.empty() || piece.zero_bytes == 0);
    total += size_of(piece);
  }
  CHECK(total == request.length);
  CHECK(total > 0);
  if (!structured) {
    simple_header(request, ErrorCode::none);
    for (auto& piece : pieces) content(std::move(piece));
  } else if (request.has(command_flag::df)) {
    add_one_chunk(request, std::move(pieces));
  } else {
    add_chunks(request, std::move(pieces));
  }
  end_reply();
}

/// Neighbouring pieces of one kind share a chunk: holes travel as 12 bytes.
void ReplyQueue::add_chunks(const RequestHeader& request, std::vector<Content> pieces) {
  std::uint64_t offset = request.offset;
  for (std::size_t i = 0; i < pieces.size();) {
    std::size_t end = i;
    std::uint64_t bytes = 0;
    while (end < pieces.size() && is_zero(pieces[end]) == is_zero(pieces[i])) {
      bytes += size_of(pieces[end++]);
    }
    if (bytes == 0) {  // a piece of nothing says nothing
      i = end;
      continue;
    }
    const bool done = offset + bytes == request.offset + request.length;
    const bool hole = is_zero(pieces[i]);
    chunk_header(request, hole ? Chunk::offset_hole : Chunk::offset_data, done,
                 hole ? 12 : 8 + bytes);
    field(offset);
    if (hole) {
      field(narrow(bytes));
    } else {
      for (; i < end; ++i) content(std::move(pieces[i]));
    }
    offset += bytes;
    i = end;
  }
}

/// "Don't fragment": data and zeros in one chunk; all zeros may still be one hole.
void ReplyQueue::add_one_chunk(const RequestHeader& request, std::vector<Content> pieces) {
  if (std::all_of(pieces.begin(), pieces.end(), is_zero)) {
    add_chunks(request, std::move(pieces));
    return;
  }
  chunk_header(request, Chunk::offset_data, true, std::uint64_t{8} + request.length);
  field(request.offset);
  for (auto& piece : pieces) content(std::move(piece));
}

void ReplyQueue::add_block_status(const RequestHeader& request,
                                  std::span<const engine::Allocation> allocations) {
  auto extents = merge(allocations, request.length);
  CHECK(!extents.empty());
  if (request.has(command_flag::req_one)) extents.resize(1);
  chunk_header(request, Chunk::block_status, true, 4 + extents.size() * extent_bytes);
  field(base_allocation_id);
  for (const auto& extent : extents) {
    field(narrow(extent.length));
    field(extent.state);
  }
  end_reply();
}

std::size_t ReplyQueue::gather(std::span<iovec> out) const {
  std::size_t count = 0;
  std::size_t skip = first_sent_;
  for (std::size_t i = first_; i < pieces_.size() && count < out.size(); ++i) {
    const auto& piece = pieces_[i];
    const auto* start =
        piece.slice.empty() ? arena_.data() + piece.arena_offset : piece.slice.data();
    // sendmsg reads only; iovec has no const form.
    out[count++] = iovec{const_cast<std::byte*>(start + skip), piece.bytes - skip};
    skip = 0;
  }
  return count;
}

void ReplyQueue::sent(std::size_t bytes) {
  CHECK(bytes <= unsent_bytes_);
  unsent_bytes_ -= bytes;
  first_sent_ += bytes;
  while (first_ < pieces_.size() && first_sent_ >= pieces_[first_].bytes) {
    auto& piece = pieces_[first_++];
    first_sent_ -= piece.bytes;
    unsent_replies_ -= piece.replies;
    piece.slice = {};
  }
  forget_sent();
}

void ReplyQueue::unpin() {
  const auto zeros = engine::zeros(zero_run_bytes_max);  // Shared by all, pinned by nobody.
  for (std::size_t i = first_; i < pieces_.size(); ++i) {
    auto& slice = pieces_[i].slice;
    const auto fair = std::max<std::size_t>(slice.size(), engine::block_bytes) * pinned_factor_max;
    if (slice.empty() || slice.memory_bytes() <= fair) continue;
    if (slice.data() >= zeros.data() && slice.data() < zeros.data() + zeros.size()) continue;
    slice = engine::Buffer::copy_of(slice.bytes()).freeze();
  }
}

void ReplyQueue::forget_sent() {
  if (empty()) {
    pieces_.clear();
    arena_.clear();
    first_ = 0;
    return;
  }
  if (first_ < sent_pieces_max) return;
  pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
  const auto header =
      std::find_if(pieces_.begin(), pieces_.end(), [](const Piece& p) { return p.slice.empty(); });
  const auto cut = header == pieces_.end() ? arena_.size() : header->arena_offset;
  arena_.erase(arena_.begin(), arena_.begin() + static_cast<std::ptrdiff_t>(cut));
  for (auto& piece : pieces_) {
    if (piece.slice.empty()) piece.arena_offset -= cut;
  }
}

template <std::unsigned_integral T>
void ReplyQueue::field(T value) {
  put(arena_, value);
  header_run(sizeof value);
}

void ReplyQueue::text(std::string_view value) {
  put(arena_, value);
  header_run(value.size());
}

/// The last `bytes` of the arena join the last piece when that is a header run too.
void ReplyQueue::header_run(std::size_t bytes) {
  unsent_bytes_ += bytes;
  if (!empty() && pieces_.back().slice.empty()) {
    pieces_.back().bytes += bytes;
    return;
  }
  if (bytes != 0) pieces_.push_back({bytes, arena_.size() - bytes, {}, 0});
}

void ReplyQueue::slice(engine::Slice bytes) {
  if (bytes.empty()) return;
  unsent_bytes_ += bytes.size();
  const auto size = bytes.size();
  pieces_.push_back({size, 0, std::move(bytes), 0});
}

void ReplyQueue::zero_bytes(std::uint64_t bytes) {
  while (bytes != 0) {
    const auto part = std::min(bytes, zero_run_bytes_max);
    slice(engine::zeros(static_cast<std::size_t>(part)));
    bytes -= part;
  }
}

void ReplyQueue::content(Content piece) {
  zero_bytes(piece.zero_bytes);
  slice(std::move(piece.data));
}

void ReplyQueue::end_reply() {
  ++pieces_.back().replies;
  ++unsent_replies_;
}

void ReplyQueue::chunk_header(const RequestHeader& request, Chunk type, bool done,
                              std::uint64_t payload) {
  field(structured_reply_magic);
  field(done ? reply_flag_done : std::uint16_t{0});
  field(static_cast<std::uint16_t>(type));
  field(request.cookie);
  field(narrow(payload));
}

void ReplyQueue::simple_header(const RequestHeader& request, ErrorCode error) {
  field(simple_reply_magic);
  field(static_cast<std::uint32_t>(error));
  field(request.cookie);
}

}  // namespace tidemark::nbd
