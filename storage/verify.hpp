// What `tidemark verify` says of a replica's directory, without changing a byte of it: both slots of
// the superblock, the retained log by the rules of recovery (C14), every block of the extents.
//
//   superblock -> log (its end, what lies above the checkpoint) -> extents
//
// A finding is something that no crash explains. What the store itself heals when it opens or
// flushes is information: a torn tail, half a file, a block that a crash left half written and that
// the log still has above the checkpoint.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/timer.hpp"
#include "storage/disk.hpp"
#include "storage/superblock.hpp"
#include "storage/task.hpp"

namespace tidemark::storage {

struct Finding {
  bool information = false;  ///< Nothing is wrong.
  std::string file;          ///< Its path; a directory where no file is to be named.
  std::optional<std::uint64_t> offset;
  std::optional<engine::Lsn> lsn;
  std::optional<engine::BlockIndex> block;
  std::string what;
};
/// One line: file, place, what is wrong.
std::string to_string(const Finding& finding);

/// Both slots as they stand; an error says why one does not count.
using SuperblockSlots = std::array<engine::Result<Superblock>, superblock_slots>;
/// Errc::corrupt: the file has another size than a superblock.
Task<engine::Result<SuperblockSlots>> read_slots(Disk& disk, engine::Timers& timers,
                                                 std::string path);

/// How much was looked at.
struct Checked {
  std::uint64_t segments = 0;
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t log_blocks = 0;  ///< Of payload in the log.
  std::uint64_t extent_files = 0;
  std::uint64_t blocks = 0;  ///< Allocated in the extents.
  std::uint64_t bytes = 0;   ///< Read of log and extents.
};

struct ReplicaVerdict {
  std::string directory;
  std::optional<Superblock> superblock;  ///< The one in force.
  engine::Lsn retained;                  ///< The first LSN of the log; behind `end`: none.
  engine::Lsn end;
  Checked checked;
  std::vector<Finding> findings;

  std::uint64_t count(bool information) const;
};

/// Whose the replica must be; without, its superblock is believed.
struct ExpectedReplica {
  engine::ClusterId cluster;
  engine::VolumeSpec spec;
  engine::ReplicaId replica;
};

/// Told while work goes on.
struct VerifyWatch {
  std::function<void(const Finding&)> found;
  /// What is being read, and how much was checked; often.
  std::function<void(const std::string& what, const Checked&)> progress;
};

/// Only reads. Never fails: what cannot be read is a finding too.
Task<ReplicaVerdict> verify_replica(Disk& disk, engine::Timers& timers, std::string directory,
                                    std::optional<ExpectedReplica> expected, VerifyWatch watch);

}  // namespace tidemark::storage
