#include "sim/pipe.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::sim {

std::size_t Pipe::write(const engine::Message& message) {
  CHECK(!end_written_);
  const auto before = queue_.bytes();
  queue_.push(message);
  const auto bytes = queue_.bytes() - before;
  frames_.push_back(bytes);
  sent_.push_back({transport::type_of(message)});
  written_ += bytes;
  return bytes;
}

void Pipe::damage(std::uint64_t bit) {
  CHECK(!frames_.empty());
  CHECK(bit < 8 * frames_.back());
  flips_.push_back(8 * std::uint64_t{written_ - frames_.back()} + bit);
  sent_.back().damaged = true;
}

std::size_t Pipe::front_bytes() const {
  if (!recalled_.empty()) return recalled_.front().bytes.size();
  return frames_.empty() ? 0 : frames_.front();
}

Pipe::Piece Pipe::recalled_part(std::size_t bytes) {
  auto& front = recalled_.front();
  Piece part;
  if (front.bytes.size() <= bytes) {
    part = std::move(front);
    recalled_.pop_front();
  } else {
    const auto cut = front.bytes.begin() + static_cast<std::ptrdiff_t>(bytes);
    part.bytes.assign(front.bytes.begin(), cut);
    front.bytes.erase(front.bytes.begin(), cut);
  }
  recalled_bytes_ -= part.bytes.size();
  return part;
}

void Pipe::copy_out(std::size_t bytes, std::vector<std::byte>& to) {
  to.reserve(bytes);
  std::array<iovec, 64> pieces;
  while (to.size() < bytes) {
    const auto before = to.size();
    const auto count = queue_.gather(pieces);
    for (std::size_t i = 0; i < count && to.size() < bytes; ++i) {
      const auto* data = static_cast<const std::byte*>(pieces[i].iov_base);
      to.insert(to.end(), data, data + std::min(pieces[i].iov_len, bytes - to.size()));
    }
    queue_.written(to.size() - before);
  }
  for (auto gone = bytes; gone > 0;) {
    const auto part = std::min(gone, frames_.front());
    gone -= part;
    frames_.front() -= part;
    if (frames_.front() == 0) frames_.pop_front();
  }
}

void Pipe::apply_damage(std::vector<std::byte>& bytes) {
  while (!flips_.empty() && flips_.front() / 8 < left_ + bytes.size()) {
    const auto bit = std::exchange(flips_.front(), 0);
    flips_.pop_front();
    bytes[static_cast<std::size_t>(bit / 8) - left_] ^= std::byte{1} << static_cast<int>(bit % 8);
  }
}

Pipe::Piece Pipe::next(std::size_t bytes) {
  CHECK(waits());
  bytes = std::max<std::size_t>(bytes, 1);
  if (!recalled_.empty()) return recalled_part(bytes);
  Piece piece;
  if (queue_.empty()) {
    end_left_ = true;
    piece.end = true;
    return piece;
  }
  piece.bytes = std::exchange(spare_, {});
  piece.bytes.clear();
  copy_out(std::min(bytes, queue_.bytes()), piece.bytes);
  apply_damage(piece.bytes);
  left_ += piece.bytes.size();
  return piece;
}

void Pipe::chop(std::size_t bytes) {
  const bool end_recalled = end_waits();
  std::deque<Piece> kept;
  std::size_t kept_bytes = 0;
  while (kept_bytes < bytes && waiting_bytes() > 0) {
    auto piece = next(bytes - kept_bytes);
    kept_bytes += piece.bytes.size();
    kept.push_back(std::move(piece));
  }
  if (end_recalled) end_left_ = false;
  queue_.clear();
  frames_.clear();
  flips_.clear();
  recalled_ = std::move(kept);
  recalled_bytes_ = kept_bytes;
}

std::size_t Pipe::flying_bytes() const {
  std::size_t sum = 0;
  for (const auto& piece : flying_) sum += piece.bytes.size();
  return sum;
}

void Pipe::recall(std::size_t first) {
  while (flying_.size() > first) {
    recalled_bytes_ += flying_.back().bytes.size();
    recalled_.push_front(std::move(flying_.back()));
    flying_.pop_back();
  }
}

void Pipe::lose_behind(std::size_t bytes) {
  std::size_t kept = 0;
  while (kept < flying_.size() && bytes > 0) {
    auto& piece = flying_[kept].bytes;
    if (piece.size() > bytes) piece.resize(bytes);
    bytes -= piece.size();
    ++kept;
  }
  flying_.resize(kept);
}

std::optional<Pipe::Piece> Pipe::land(engine::MonoTime now) {
  if (flying_.empty() || flying_.front().due > now) return std::nullopt;
  auto piece = std::move(flying_.front());
  flying_.pop_front();
  arrived_ += piece.bytes.size();
  return piece;
}

void Pipe::reuse(std::vector<std::byte> bytes) {
  constexpr std::size_t kept_bytes_max = 256
                                         << 10;  // Frames of a few blocks; many pipes are there.
  if (bytes.capacity() <= kept_bytes_max) spare_ = std::move(bytes);
}

std::size_t Pipe::feed(std::span<const std::byte> bytes) {
  std::size_t fed = 0;
  for (const auto& part : intake_.room()) {
    const auto count = std::min(part.size(), bytes.size() - fed);
    if (count > 0) std::memcpy(part.data(), bytes.data() + fed, count);
    fed += count;
  }
  CHECK(fed > 0);
  intake_.filled(fed);
  return fed;
}

const Pipe::Sent& Pipe::front() const {
  CHECK(!sent_.empty());
  return sent_.front();
}

}  // namespace tidemark::sim
