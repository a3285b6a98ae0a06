#include "transport/replication/send_queue.hpp"

#include <utility>

#include "engine/check.hpp"

namespace tidemark::transport {
namespace {

/// Fills `pieces`; joins memory that happens to lie side by side,
/// as the parts of one received body do.
class Gather {
 public:
  Gather(std::span<iovec> pieces, std::size_t skip) : pieces_(pieces), skip_(skip) {}

  /// False when there is no room for more.
  bool add(std::span<const std::byte> bytes) {
    const auto skipped = std::min(skip_, bytes.size());
    skip_ -= skipped;
    bytes = bytes.subspan(skipped);
    if (bytes.empty()) return true;
    auto* data = const_cast<std::byte*>(bytes.data());  // iovec serves reading and writing
    if (used_ > 0 && end_ == data) {
      pieces_[used_ - 1].iov_len += bytes.size();
    } else {
      if (used_ == pieces_.size()) return false;
      pieces_[used_++] = {data, bytes.size()};
    }
    end_ = data + bytes.size();
    return true;
  }
  std::size_t used() const { return used_; }

 private:
  std::span<iovec> pieces_;
  std::size_t skip_;
  std::size_t used_ = 0;
  const std::byte* end_ = nullptr;
};

bool add(Gather& gather, const Frame& frame) {
  if (!gather.add(frame.head)) return false;
  for (const auto& slice : frame.body) {
    if (!gather.add(slice.bytes())) return false;
  }
  return true;
}

}  // namespace

void SendQueue::push(const engine::Message& message) {
  Frame frame;
  if (!spare_.empty()) {
    frame = std::move(spare_.back());
    spare_.pop_back();
  }
  encode(message, frame);
  const auto bytes = frame.bytes();
  if (frames_.empty()) front_bytes_ = bytes;
  bytes_ += bytes;
  frames_.push_back(std::move(frame));
}

std::size_t SendQueue::gather(std::span<iovec> pieces) const {
  Gather gather(pieces, front_written_);
  for (const auto& frame : frames_) {
    if (!add(gather, frame)) break;
  }
  return gather.used();
}

std::size_t SendQueue::written(std::size_t bytes) {
  CHECK(bytes <= bytes_);
  bytes_ -= bytes;
  front_written_ += bytes;
  std::size_t complete = 0;
  while (!frames_.empty() && front_written_ >= front_bytes_) {
    front_written_ -= front_bytes_;
    auto frame = std::move(frames_.front());
    frames_.pop_front();
    frame.body.clear();
    if (spare_.size() < spare_max && frame.head.capacity() <= 64 * 1024)
      spare_.push_back(std::move(frame));
    front_bytes_ = frames_.empty() ? 0 : frames_.front().bytes();
    ++complete;
  }
  return complete;
}

void SendQueue::clear() {
  frames_.clear();
  bytes_ = front_written_ = front_bytes_ = 0;
}

}  // namespace tidemark::transport
