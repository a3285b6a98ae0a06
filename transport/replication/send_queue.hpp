// Frames on their way out, in order, and what of the first one has gone already. Pure: it says
// which memory is next; somebody else writes it.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "transport/replication/codec.hpp"

namespace tidemark::transport {

class SendQueue {
 public:
  /// Encodes behind what is queued.
  void push(const engine::Message& message);
  bool empty() const { return frames_.empty(); }
  /// Not yet written.
  std::size_t bytes() const { return bytes_; }
  /// The next pieces of memory to write, neighbours joined; returns how many of `pieces` are set.
  std::size_t gather(std::span<iovec> pieces) const;
  /// The first `bytes` of what gather() named were written.
  /// Returns how many frames are complete by that.
  std::size_t written(std::size_t bytes);
  void clear();

 private:
  /// Frames whose memory waits for reuse: a loop turn seldom sends more per link.
  static constexpr std::size_t spare_max = 4;

  std::deque<Frame> frames_;
  std::vector<Frame> spare_;
  std::size_t front_written_ = 0;  ///< Bytes of frames_.front() that have gone.
  std::size_t front_bytes_ = 0;    ///< Its size; 0 when there is none.
  std::size_t bytes_ = 0;
};

}  // namespace tidemark::transport
