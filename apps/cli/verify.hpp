// The commands on the directory of a stopped node. Each prints, and returns the exit code: 0 sound,
// 1 something is wrong, 2 it cannot be read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tidemark::cli {

/// `tidemark verify`: everything against its checksums, by the rules of recovery.
int verify(const std::string& directory, bool json);

struct DumpWords {
  std::string directory;
  std::string volume;  ///< Empty: the only one.
  std::optional<std::uint64_t> from, to, limit;
  bool batches = false;
};
/// `tidemark wal dump`: the retained log, a line for each record.
int dump_log(const DumpWords& words, bool json);

/// `tidemark superblock show`: both slots of each replica, or of that of `volume`.
int show_superblock(const std::string& directory, const std::string& volume, bool json);

/// `tidemark fork ...`: what was sealed of committed records that the volume lost (C18).
struct ForkWords {
  std::string directory;
  std::string volume;  ///< Empty: the only one.
  std::string id;
  std::string file;
};
int list_forks(const ForkWords& words, bool json);
/// A line for each record.
int show_fork(const ForkWords& words, bool json);
/// The blocks as the fork's last record left them, each at its place in a sparse file of the volume's
/// size; an existing file is refused.
int export_fork(const ForkWords& words, bool json);
int drop_fork(const ForkWords& words, bool json);

}  // namespace tidemark::cli
