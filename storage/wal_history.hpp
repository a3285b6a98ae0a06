// The part of a log that no opening waits for: what lies below the checkpoint. It is read behind the
// opening, the youngest first, so that a restart takes as long whatever is retained; and no faster
// than leaves the disk to others, unless somebody waits for it.
//
//   unread | unread ..... | unread head . checkpoint ....... end
//       <-- then      <-- then      <-- first   ^ where the opening began
#pragma once

#include <string>
#include <vector>

#include "storage/wal_scan.hpp"

namespace tidemark::storage {

/// What one segment of the history came to.
struct HistorySegment {
  bool leads = false;  ///< It reaches to where the one behind it begins; some of it can be read.
  bool whole = false;  ///< From its first record on: what lies before it counts as well.
  std::string damage;  ///< Where it is not whole, and why.
};

/// Fills in the batches of `segment`, whose header is known, up to `behind`.
Task<HistorySegment> read_history(const WalContext& context, const UnreadHistory& history,
                                  SegmentPtr segment, SegmentPtr behind, Rest rest);
/// Fills in the batches that stand before the head's first record into `segment`, which is to know its header alone.
Task<HistorySegment> read_history_head(const WalContext& context, const UnreadHistory& history,
                                       SegmentPtr segment, Rest rest);

}  // namespace tidemark::storage
