// Reading a log without changing anything: what its files hold, where it ends, and whether that is
// a torn tail or damage (C14). Recovery carries out what is said here; `tidemark verify` only tells.
#pragma once

#include <string>
#include <vector>

#include "storage/wal_scan.hpp"

namespace tidemark::storage {

/// A file with which no log is opened, and why.
struct RefusedFile {
  std::string name;    ///< In the log's directory.
  SegmentPtr segment;  ///< Null: it is none.
  engine::Error error;
};

struct ReadLog {
  RecoveredLog log;  ///< `cut_torn_tail` is left to whoever cuts.
  std::vector<RefusedFile> refused;
  std::vector<std::string> unfinished;  ///< Names of files that a crash left half created.
  std::vector<SegmentPtr> beyond;       ///< Their header does not continue the log. By sequence.
  std::vector<SegmentPtr> doubtful;     ///< Their header is neither empty nor whole.
  SegmentPtr tail;                      ///< What lies behind its `used` was not taken; null: none.
  std::uint64_t torn_upto = 0;  ///< End of the last batch that stands there; 0: none was found.
  bool torn = false;            ///< Without damage: something behind the end is to be cut.
  bool gave_up = false;         ///< Rot below the checkpoint took all that leads to it.
  std::string stop_reason;      ///< What stood where the next batch was expected.
};

/// Reads all segments of `context.directory`. Errors only where the disk itself fails. Somebody who
/// looks on gets all batches whole, also where files are refused; else these are named alone.
Task<engine::Result<ReadLog>> read_log(const WalContext& context, const RecoveryInput& input,
                                       LogWatcher* watcher = nullptr);

}  // namespace tidemark::storage
