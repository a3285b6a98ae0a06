// The growing end of a volume's log on its primary: gives each record its LSN, moment, chunk and
// digest, and remembers of the uncommitted tail which blocks it touched and what it costs.
//
//   committed ........ tail: (range, cost so far, bytes so far) per LSN ........ head
//
// Nothing here waits for a disk or a peer.
#pragma once

#include <vector>

#include "engine/chunk.hpp"
#include "engine/epoch_history.hpp"
#include "engine/record/record.hpp"
#include "engine/ring.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// What the store of a new primary holds; all of it is durable.
struct OpenedLog {
  Lsn end;
  Digest digest;
  Lsn committed;
  WallTime mono_time;             ///< Of the last record.
  std::uint64_t chunk_bytes = 0;  ///< Cost of the open chunk's records so far.
  std::uint64_t chunk_bytes_max = 0;
  std::uint64_t wal_free_bytes = 0;
  EpochHistory history;
  ConfigurationHistory configurations;  ///< Empty: as the assignment says.
};

class LogHead {
 public:
  LogHead(VolumeKey key, Epoch epoch, const OpenedLog& log);

  /// The reign's own record. It begins a chunk by itself (C17).
  Lsn number_epoch(const EpochBody& body, WallTime wall);
  /// A write of at most record_blocks_max blocks.
  Lsn number_write(BlockRange range, Slice payload, FrontSession session, std::uint64_t sequence,
                   WallTime wall);
  /// A trim or write_zeroes.
  Lsn number_zero(RecordKind kind, std::uint8_t flags, BlockRange range, FrontSession session,
                  std::uint64_t sequence, WallTime wall);
  Lsn number_configure(const Configuration& next, BlockRange cut, WallTime wall);
  /// What was numbered since the last call, in order.
  std::vector<RecordPtr> take() { return std::exchange(fresh_, {}); }
  bool has_fresh() const { return !fresh_.empty(); }

  Lsn end() const { return builder_.end(); }
  /// The newest record beyond `above` that touches `range`; Lsn{} if none does.
  Lsn newest(BlockRange range, Lsn above) const;
  /// Bytes (heads and payload) and worst-case log space of the records beyond `lsn`.
  std::uint64_t bytes_after(Lsn lsn) const { return total_.bytes - sum_at(lsn).bytes; }
  std::uint64_t cost_after(Lsn lsn) const { return total_.cost - sum_at(lsn).cost; }
  /// What lies at or below `upto` is not asked for again.
  void forget(Lsn upto);

  /// Log space that `blocks` blocks of payload in `records` records take at most, chunk ends
  /// included, but for the one chunk that is open now: slack() is to be left over for that.
  std::uint64_t cost_max(std::uint64_t blocks, std::uint64_t records) const;
  static std::uint64_t slack();

 private:
  struct Sum {
    std::uint64_t cost = 0;
    std::uint64_t bytes = 0;
  };
  struct Entry {
    BlockRange range;
    Sum sum;  ///< Up to and including this record.
  };

  RecordBuilder::Origin origin(FrontSession session, std::uint64_t sequence, WallTime wall);
  void make_room(std::uint64_t cost, WallTime wall);
  Lsn add(RecordPtr record, std::uint64_t waste = 0);
  Sum sum_at(Lsn lsn) const;

  RecordBuilder builder_;
  Epoch epoch_;
  WallTime mono_time_;  ///< Strictly rising over the whole log (C25).
  std::uint64_t chunk_bytes_;
  std::uint64_t chunk_bytes_max_;
  Lsn forgotten_;  ///< tail_[0] is the record behind it.
  Sum forgotten_sum_;
  Sum total_;
  Ring<Entry> tail_;
  std::vector<RecordPtr> fresh_;
};

}  // namespace tidemark::engine
