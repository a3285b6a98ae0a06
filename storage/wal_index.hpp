// Where each retained record stands on disk: segments in log order, batches in segments. 24 bytes a
// batch; a record within a batch is found by reading the batch's head.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/timer.hpp"
#include "storage/disk.hpp"
#include "storage/wal_format.hpp"

namespace tidemark::storage {

/// What the parts of the log share: whose it is and where.
struct WalContext {
  Disk& disk;
  engine::Timers& timers;
  engine::VolumeKey key;
  engine::VolumeId volume;
  engine::ReplicaId replica;
  std::string directory;  ///< The replica's wal/.
  std::uint64_t segment_bytes = 0;
};

struct BatchPlace {
  engine::Lsn first;
  std::uint32_t count = 0;
  std::uint32_t offset_blocks = 0;
  std::uint32_t head_blocks = 0;
  std::uint32_t payload_blocks = 0;

  engine::Lsn last() const { return first + (count - 1); }
  std::uint64_t offset() const { return std::uint64_t{offset_blocks} * engine::block_bytes; }
  std::uint64_t head_bytes() const { return std::uint64_t{head_blocks} * engine::block_bytes; }
  std::uint64_t bytes() const {
    return (std::uint64_t{head_blocks} + payload_blocks) * engine::block_bytes;
  }
  std::uint64_t end_offset() const { return offset() + bytes(); }
};
BatchPlace place_of(const BatchHeader& header);

/// One segment file. Shared: whoever reads from it keeps it from being recycled.
struct Segment {
  std::uint32_t slot = 0;  ///< Names the file.
  FilePtr file;
  SegmentHeader header;
  std::vector<BatchPlace> batches;
  std::uint64_t used = engine::segment_header_bytes;  ///< Where the next batch goes.
  bool ends_chunk = false;                            ///< Its last record is a chunk_end.

  engine::Lsn first() const { return batches.empty() ? header.first : batches.front().first; }
  engine::Lsn end() const {
    return batches.empty() ? header.first.previous() : batches.back().last();
  }
};
using SegmentPtr = std::shared_ptr<Segment>;

/// Name of a segment file.
std::string segment_name(std::uint32_t slot);

class WalIndex {
 public:
  void push(SegmentPtr segment) { log_.push_back(std::move(segment)); }
  bool empty() const { return log_.empty(); }
  Segment& back() const { return *log_.back(); }
  /// The lowest readable LSN; `end` + 1 when nothing is.
  engine::Lsn retained(engine::Lsn end) const {
    return log_.empty() ? end.next() : log_.front()->first();
  }
  const std::deque<SegmentPtr>& segments() const { return log_; }
  std::deque<SegmentPtr>& segments() { return log_; }

  struct Place {
    SegmentPtr segment;     ///< Null: not on disk.
    std::size_t batch = 0;  ///< Index in segment->batches.
  };
  /// The batch that holds `lsn`.
  Place find(engine::Lsn lsn) const;

 private:
  std::deque<SegmentPtr> log_;
};

}  // namespace tidemark::storage
