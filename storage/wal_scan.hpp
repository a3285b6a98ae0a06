// One pass over one segment: which batches continue the log. Part of recovery.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "storage/wal_recovery.hpp"

namespace tidemark::storage {

/// Done behind each read of a file that nobody waits for, so that the disk is left to others; with how many bytes were
/// read. Answers whether to go on.
using Rest = std::function<Task<bool>(std::uint64_t)>;

/// Reads a file front to back through a window.
class SegmentWindow {
 public:
  /// `rest` may be empty: the next read follows at once.
  SegmentWindow(Disk& disk, FilePtr file, std::uint64_t file_bytes, Rest rest = nullptr)
      : disk_(disk), file_(std::move(file)), file_bytes_(file_bytes), rest_(std::move(rest)) {}

  /// The bytes [offset, offset + bytes), fewer at the end of the file. Valid until the next call.
  Task<engine::Result<std::span<const std::byte>>> at(std::uint64_t offset, std::uint64_t bytes);
  std::uint64_t file_bytes() const { return file_bytes_; }

 private:
  Disk& disk_;
  FilePtr file_;
  std::uint64_t file_bytes_;
  Rest rest_;
  std::uint64_t offset_ = 0;
  std::uint64_t window_ = 0;  ///< Bytes of the read that brought the buffer, at least.
  engine::Buffer buffer_;
};

/// Somebody who looks on while a log is read, batch by batch. It changes nothing of what recovery
/// makes of the log.
class LogWatcher {
 public:
  virtual ~LogWatcher() = default;
  /// A batch that continues the log.
  struct Batch {
    const Segment& segment;
    const BatchHeader& header;
    const std::vector<RecordPlace>& records;
    std::uint32_t count;               ///< That many of the records count.
    std::span<const std::byte> bytes;  ///< Shorter than the header says where the file ends.
  };
  /// The batches of this segment come next; `continues`: it goes on where the one before ended.
  virtual void segment(const Segment& segment, const LogEnd& end, bool continues) = 0;
  /// Returns whether to go on: false ends the reading, and nothing behind is judged.
  virtual bool batch(const Batch& batch) = 0;
  /// Rot at or below the checkpoint: the log is not whole at `lsn`.
  virtual void broken(const Segment& segment, std::uint64_t offset, engine::Lsn lsn,
                      const std::string& why) = 0;
};

/// Where a scan of the log stands.
struct ScanState {
  const WalContext* context = nullptr;
  const RecoveryInput* input = nullptr;
  LogWatcher* watcher = nullptr;  ///< Null: nobody looks on.
  Rest rest;                      ///< Empty: somebody waits for the reading.
  RecoveredLog log;
  bool stopped = false;     ///< Damage or the end was met beyond the checkpoint.
  bool enough = false;      ///< The watcher wants no more.
  std::string stop_reason;  ///< What stood where the next batch was expected.
  std::uint64_t span_next =
      batch_span_max;  ///< As the last batch says; the most where it is not known.
  /// The segment in which rot ended what leads to the checkpoint: a spare by now.
  SegmentPtr given_up;

  /// Takes the log for one that begins with this segment.
  void begin_with(const Segment& segment);
  /// Takes the log for one of which no more is asked for the time being than what begins with this batch of `segment`.
  void begin_with(Segment& segment, const BatchHeader& batch);
  /// Where batches may stand that the log was not read up to; null when there are none.
  SegmentPtr tail() const { return log.log.empty() ? given_up : log.log.back(); }
};

/// Takes the batches of `segment` that continue the log.
/// The segment's header is known to continue it.
/// `behind`: the segment behind it, or null.
Task<engine::Status> scan_segment(ScanState& state, SegmentPtr segment, SegmentPtr behind);

/// The first block of a record's payload that does not match its checksum. `payload` is that of the
/// batch.
std::optional<engine::BlockIndex> rotten_block(engine::VolumeKey key, const RecordPlace& place,
                                               std::span<const std::byte> payload);

/// What stands behind a scan's stop.
struct Evidence {
  engine::Lsn proves;      ///< The highest durable-at-issue found.
  std::string where;       ///< Of that proof.
  std::uint64_t upto = 0;  ///< End of the last batch found; 0: none.
};
/// Which lives of a segment count.
struct Lives {
  SegmentSequence from;
  SegmentSequence to;
  bool contain(SegmentSequence s) const { return from <= s && s <= to; }
};
/// How far writes in flight reach behind a torn batch, of which none takes more than `span`: so many batches less one,
/// and the torn one's own place.
constexpr std::uint64_t in_flight_reach(std::uint64_t span) {
  return writes_in_flight_max * span + engine::block_bytes;
}
/// Looks for batches of `lives` at or behind LSN `x` in `reach` bytes from `offset` on.
Task<engine::Result<Evidence>> find_evidence(const WalContext& context, SegmentPtr segment,
                                             Lives lives, std::uint64_t offset, engine::Lsn x,
                                             std::uint64_t reach);

}  // namespace tidemark::storage
