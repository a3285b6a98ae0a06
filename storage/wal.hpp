// The log of one replica: appended in memory, durable in groups, readable from memory and disk, cut
// at the end and pruned at the front.
//
//   pruned | retained .... checkpoint .... durable .... end
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "storage/memory_tail.hpp"
#include "storage/wal_history.hpp"
#include "storage/wal_index.hpp"
#include "storage/wal_recovery.hpp"
#include "storage/wal_segments.hpp"
#include "storage/wal_writer.hpp"

namespace tidemark::storage {

struct WalLimits {
  std::uint64_t retention_bytes = 0;
  std::uint64_t reserve_bytes = 0;
  std::uint64_t memory_tail_bytes = 0;
};

/// Whether somebody waits for what is read of a log.
enum class Haste : std::uint8_t { background, waited_for };

class Wal {
 public:
  Wal(WalContext context, WalLimits limits);

  /// A new replica's first segments, before it opens.
  Task<engine::Status> create_first_segments();
  /// Reads what there is from the checkpoint on. Once, before anything below.
  Task<engine::Result<RecoveredLog>> recover(RecoveryInput input);
  /// Goes on behind what recovery found (its log, history and spares are taken over). What was not
  /// read is read now; who asks for it meanwhile waits.
  void start(RecoveredLog& recovered, engine::Lsn committed);

  void append(const std::vector<engine::RecordPtr>& records);
  void set_committed(engine::Lsn committed) { writer_->set_committed(committed); }

  /// Records [from, ...] up to `to` and about `bytes_max`, at least one; memory first.
  Task<engine::Result<std::vector<engine::RecordPtr>>> read(engine::Lsn from, engine::Lsn to,
                                                            std::uint64_t bytes_max);
  /// What a durable write holds for a part of its blocks; from disk.
  Task<engine::Result<engine::Slice>> read_payload(engine::Lsn lsn, engine::BlockRange range);
  /// The record at `lsn` if it is in memory.
  engine::RecordPtr in_memory(engine::Lsn lsn) const { return tail_->find(lsn); }
  /// Digest of the log at `lsn`; nothing outside what is known.
  Task<std::optional<engine::Digest>> digest_at(engine::Lsn lsn);
  /// What the records of (after, to] take on the wire, about; without reading anything.
  std::uint64_t bytes_between(engine::Lsn after, engine::Lsn to) const;
  /// Re-reads about 1 MiB of [from, to] from disk and verifies it; answers where to go on.
  Task<engine::Result<engine::Lsn>> verify(engine::Lsn from, engine::Lsn to,
                                           Haste haste = Haste::waited_for);

  /// Writes the headers of segments again that do not read as they were written; how many. Without one no restart finds
  /// its segment. Not while the log is cut or begun anew: what is erased would come back.
  Task<engine::Result<std::uint64_t>> mend_headers();

  /// True when everything appended is durable. False when no segment can be had for the rest and
  /// nothing is in flight: it was never durable, and never will be, as nothing is issued any more.
  Task<engine::Result<bool>> drain();
  /// Nothing is in flight, nothing is issued until resume(), and what is not durable has no
  /// segment.
  Task<engine::Status> settle();
  void resume() { writer_->resume(); }
  /// Nothing is in flight or issued any more, whatever is not durable.
  Task<engine::Status> halt();
  engine::Lsn issued() const { return writer_->issued(); }
  /// The cut that a truncation to `to` leaves inside a batch, if any; to be recorded before
  /// truncate().
  std::optional<CutMark> cut_for(engine::Lsn to) const;
  /// Forgets what lies behind `to` and was not issued. Settled.
  void cut_unissued(engine::Lsn to, engine::WallTime mono_time);
  /// Forgets and erases what lies behind `to`, whose record ends a chunk or not. Settled, intent
  /// recorded (C15).
  Task<engine::Status> truncate(engine::Lsn to, engine::Digest digest, engine::WallTime mono_time,
                                bool ends_chunk);
  /// Forgets everything: the log begins anew behind `base`.
  /// What stands in the files is void by the new start.
  void restart(engine::Lsn base, engine::Digest digest, engine::WallTime mono_time);

  /// Segments that may go when everything up to `checkpoint` is in the extents,
  /// twice recorded: the new start.
  SegmentSequence prunable_start(engine::Lsn checkpoint) const;
  /// The start is durable: what lies before may be used again.
  void prune(SegmentSequence start);
  SegmentSequence start_sequence() const;
  struct WholeSegment {
    engine::Lsn end;       ///< Its last record.
    SegmentSequence next;  ///< The segment behind it.
  };
  /// The next record begins another segment.
  void roll_soon() { writer_->roll_soon(); }
  /// Where the record at `lsn` is, or is being written; nothing while it has no place, or was not read since the opening.
  std::optional<BatchAddress> batch_of(engine::Lsn lsn) const;
  /// The segment that holds `lsn`, when another follows it.
  std::optional<WholeSegment> segment_of(engine::Lsn lsn) const;
  SegmentSequence next_sequence() const { return writer_->next_sequence(); }

  void pin(std::uint64_t id, engine::Lsn from);
  void unpin(std::uint64_t id) { pins_.erase(id); }
  /// May the log grow beyond its retention to go on? Asked when it would have to wait
  /// for the flusher.
  std::function<bool()> may_grow;
  std::function<void()> on_durable;
  std::function<void(engine::Error)> on_failed;
  /// Rot or a failing disk took what is older than retained() now says: what and where.
  std::function<void(const std::string&)> on_history_lost;
  /// Space was found, or is short: look at the flusher and at free_bytes().
  std::function<void()> on_space;

  const LogEnd& end() const { return writer_->end(); }
  engine::Lsn durable() const { return writer_->durable(); }
  engine::Digest durable_digest() const { return writer_->durable_digest(); }
  engine::Lsn retained() const;
  bool short_of_space() const { return writer_->starved() || pool_.spares() == 0; }
  /// It has all files that are kept for a peer at most.
  bool has_grown_enough() const { return pool_.files() >= pool_.pinned_max(); }
  /// Pruning would give it spares that it lacks.
  bool wants_pruning() const { return pool_.spares() < pool_.spares_wanted(); }
  std::uint64_t free_bytes() const;
  std::uint64_t disk_bytes() const { return pool_.files() * context_.segment_bytes; }
  std::uint64_t memory_bytes() const { return tail_->bytes(); }
  std::uint64_t writes() const { return writer_->writes(); }
  std::uint64_t bytes_written() const { return writer_->bytes_written(); }
  /// Creates missing spares, deletes those too many.
  void top_up();
  /// The flusher lacks space (or not): spares are given up for it.
  void set_thrifty(bool thrifty) { pool_.set_thrifty(thrifty); }
  /// Nothing more is written; files are released once what is being created is done with.
  Task<engine::Status> close();

 private:
  void made_durable();
  void wake_waiting();
  Task<engine::Done> something_moved();
  Task<engine::Done> read_unread();
  Task<engine::Done> read_head();
  Task<engine::Done> read_segment();
  void history_ends(const std::string& damage);
  Task<bool> rest(std::uint64_t bytes);
  void forget_unread();
  Task<engine::Done> known(engine::Lsn lsn, Haste haste = Haste::waited_for);
  void set_base();
  std::size_t segments() const { return history_.segments.size() + index_.segments().size(); }
  const Segment& segment(std::size_t i) const;
  engine::Lsn end_of(std::size_t i) const;
  engine::Error cause_of(engine::Error failure, engine::Lsn lsn) const;
  bool pinned() const;
  Task<engine::Status> erase_behind(engine::Lsn to);

  WalContext context_;
  WalLimits limits_;
  WalIndex index_;
  UnreadHistory
      history_;  ///< Older than what the index has, and contiguous as far as headers tell.
  SegmentPool pool_;
  std::unique_ptr<MemoryTail> tail_;
  std::unique_ptr<WalWriter> writer_;
  std::map<std::uint64_t, engine::Lsn> pins_;
  std::vector<std::function<void(engine::Done)>> waiting_;  ///< For writes or segments.
  std::optional<engine::Error> failure_;
  engine::Lsn base_;  ///< Where the log begins: digest known although no record is.
  engine::Digest base_digest_;
  bool closing_ = false;
  bool reading_ = false;        ///< What was unread.
  bool rested_ = false;         ///< The reading may go on.
  std::uint64_t unrested_ = 0;  ///< Bytes read since it last rested.
  std::size_t askers_ = 0;      ///< Wait for what is being read.
  Lifetime lifetime_;
  Scope scope_;
};

}  // namespace tidemark::storage
