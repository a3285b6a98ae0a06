// The append path: records gather while writes are in flight,
// the next write takes them all (group commit).
//
//   appended:  1 2 3 4 5 6 7 8 9        memory tail
//   slots:     [1 2][3 4 5]             in flight, at most writes_in_flight_max
//   durable:   the end of the contiguous prefix of completed slots (C23)
//
// A slot is a batch or the header of a new segment; no batch of a segment is issued before its
// header is durable, so a lost header can hide no batch. Plain callbacks: one record costs no
// allocation here, one write two.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "storage/lifetime.hpp"
#include "storage/memory_tail.hpp"
#include "storage/wal_index.hpp"
#include "storage/wal_segments.hpp"

namespace tidemark::storage {

/// Batches in flight. Two: one is written while the next gathers.
/// Recovery looks this far behind a torn batch.
inline constexpr std::size_t writes_in_flight_max = 2;

/// Where a log ends, and what it needs to go on.
struct LogEnd {
  engine::Lsn lsn;
  engine::Digest digest;
  engine::WallTime mono_time;
  engine::Lsn chunk_first;        ///< Of the open chunk: lsn + 1 when it is empty.
  std::uint64_t chunk_bytes = 0;  ///< Worst cost of the open chunk's records.
};

class WalWriter {
 public:
  WalWriter(const WalContext& context, WalIndex& index, SegmentPool& pool, MemoryTail& tail,
            LogEnd end, SegmentSequence next_sequence);

  /// Takes what was appended to the memory tail since the last call.
  void append(const engine::RecordPtr& record);
  /// Issues what can be issued and does not gather. Called once after the appends of a turn,
  /// and by itself after completions.
  void pump();
  void set_committed(engine::Lsn committed) { committed_ = committed; }

  const LogEnd& end() const { return end_; }
  engine::Lsn durable() const { return durable_.lsn; }
  engine::Digest durable_digest() const { return durable_.digest; }
  bool in_flight() const { return !slots_.empty(); }
  /// Of what was handed to the disk; durable when nothing is in flight.
  engine::Lsn issued() const { return issued_; }
  /// Issues nothing more until resume().
  void pause() { paused_ = true; }
  void resume() {
    paused_ = false;
    pump();
  }
  bool drained() const { return slots_.empty() && durable_.lsn == end_.lsn; }
  /// The next record begins a segment, wherever its chunk is: what was written is to be given up.
  void roll_soon() { roll_wanted_ = true; }
  /// Waits for a segment file that the pool does not have.
  bool starved() const { return starved_; }
  /// Worst cost of what may still be appended and of what is not durable yet,
  /// given the spare files.
  std::uint64_t free_bytes(std::uint64_t spare_segments) const;
  std::uint64_t writes() const { return writes_; }
  std::uint64_t bytes_written() const { return bytes_written_; }

  /// Forgets what lies behind `to`, which was not issued; `mono_time` is that of the record at
  /// `to`. Nothing in flight.
  void cut_unissued(engine::Lsn to, engine::WallTime mono_time);
  /// Nothing in flight and cut behind `end`, by the truncation that erased the rest.
  void restart(LogEnd end, bool after_chunk_end);
  /// Never reused: what recovery and truncation leave behind in files stays void.
  SegmentSequence next_sequence() const { return next_sequence_; }

  std::function<void()> on_durable;
  std::function<void()> on_starved;
  std::function<void(engine::Error)> on_failed;

 private:
  struct Slot {
    engine::Lsn last;
    engine::Digest digest;
    std::uint32_t records = 0;
    std::uint64_t cost = 0;  ///< Worst cost of its records.
    bool header = false;
    bool done = false;
  };
  /// Whether the next batch waits for the one in flight.
  bool gathers() const;
  /// Of what was appended and not handed to the disk: worst.
  std::uint64_t unissued_cost() const;
  bool must_roll(const engine::Record& next) const;
  bool roll();
  void issue();
  BatchHeader collect();
  std::uint64_t promise(const BatchHeader& batch);
  void write(std::uint64_t offset, std::vector<engine::Slice> data, Slot slot);
  void written(std::uint64_t id, engine::Status status);
  void retire_done();

  const WalContext& context_;
  WalIndex& index_;
  SegmentPool& pool_;
  MemoryTail& tail_;
  LogEnd end_;          ///< Of what was appended.
  LogEnd durable_;      ///< Only lsn and digest are kept up.
  engine::Lsn issued_;  ///< Of what was handed to the disk.
  engine::Digest issued_digest_;
  engine::Lsn committed_;
  SegmentSequence next_sequence_;
  bool after_chunk_end_ = false;  ///< The last issued record was a chunk_end.
  bool roll_wanted_ = false;      ///< Nothing more goes into the last segment.
  bool header_in_flight_ = false;
  bool starved_ = false;
  bool paused_ = false;
  bool failed_ = false;
  engine::Lsn issued_chunk_first_;  ///< Chunk of the next record to be issued.
  std::uint64_t issued_chunk_bytes_ = 0;
  std::uint64_t undurable_cost_ = 0;
  /// What the last two batches promised of those behind; what a log that was found promised is no less.
  std::array<std::uint64_t, writes_in_flight_max> promised_{batch_span_min, batch_span_min};
  std::uint32_t large_for_ = 0;  ///< So many more batches are promised to be large.
  std::deque<Slot> slots_;
  std::uint64_t first_slot_ = 0;          ///< Id of slots_.front().
  std::vector<engine::RecordPtr> batch_;  ///< Scratch of collect().
  std::uint64_t writes_ = 0;
  std::uint64_t bytes_written_ = 0;
  Lifetime lifetime_;
};

}  // namespace tidemark::storage
