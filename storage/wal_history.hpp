// The part of a log that no opening waits for: the segments below the one with the checkpoint. They
// are read behind it, the youngest first, so that a restart takes as long whatever is retained.
//
//   unread ..... unread | read ..... read | checkpoint ....... end
//                     <-- next            ^ where the opening began
#pragma once

#include <string>
#include <vector>

#include "storage/wal_recovery.hpp"

namespace tidemark::storage {

/// What one segment of the history came to.
struct HistorySegment {
  bool leads = false;  ///< It reaches to where the one behind it begins; some of it can be read.
  bool whole = false;  ///< From its first record on: what lies before it counts as well.
  std::string damage;  ///< Where it is not whole, and why.
};

/// Fills in the batches of `segment`, whose header is known, up to `behind`.
Task<HistorySegment> read_history(const WalContext& context, const UnreadHistory& history,
                                  SegmentPtr segment, SegmentPtr behind);

}  // namespace tidemark::storage
