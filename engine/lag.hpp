// How far a replica is behind, in bytes and in time: marks are set along the log while it is
// numbered, and read off at the LSN that the replica has.
#pragma once

#include <cstdint>
#include <deque>

#include "engine/types.hpp"

namespace tidemark::engine {

class LagMarks {
 public:
  /// Beyond it every second mark is dropped and new ones are set half as often:
  /// a long lag is told less exactly.
  static constexpr std::size_t marks_max = 512;
  /// Marks closer to each other than this tell nothing new.
  static constexpr std::uint64_t spacing = 5 * millisecond;

  /// Records up to `head`, of `bytes` together, were numbered at `now`.
  void numbered(Lsn head, std::uint64_t bytes, MonoTime now);
  /// Nothing up to `lsn` is asked for again.
  void forget(Lsn lsn);
  /// Bytes numbered beyond `lsn`, as far back as marks go.
  std::uint64_t bytes_beyond(Lsn lsn) const;
  /// Age of the oldest record beyond `lsn` in milliseconds; 0 when nothing is missing.
  std::uint64_t milliseconds_behind(Lsn lsn, MonoTime now) const;

 private:
  struct Mark {
    Lsn upto;                        ///< The last record this mark speaks of.
    std::uint64_t bytes_before = 0;  ///< Numbered before its first record.
    MonoTime at;                     ///< When its first record was numbered.
  };
  const Mark* covering(Lsn lsn) const;

  std::deque<Mark> marks_;  ///< Ordered, dense: each begins behind the one before.
  std::uint64_t bytes_ = 0;
  std::uint64_t spacing_ = spacing;
};

}  // namespace tidemark::engine
