// What a replica must know before it reads anything else: whose it is, how far its
// extents are, and what it was in the middle of. Two slots in one pre-written file; a
// write goes to the slot that does not hold the newest state, so a torn write costs
// nothing (docs/DATA_FORMAT.md, "Superblock").
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/epoch_history.hpp"
#include "engine/messages.hpp"
#include "storage/disk.hpp"
#include "storage/extent_files.hpp"
#include "storage/task.hpp"
#include "storage/wal_recovery.hpp"

namespace tidemark::storage {

/// The last sequence the log holds of one front-end session (C5).
struct SessionLine {
  engine::FrontSession session;
  std::uint64_t sequence = 0;
};
/// Batches that truncations cut in two. When more are needed the oldest goes: it lies below the
/// checkpoint, where a batch that seems not to continue the log costs history only.
inline constexpr std::size_t cut_marks_max = 64;

/// Older lines fall out; a front end that is not found begins anew.
/// 128 x 24 bytes fit a slot with room.
inline constexpr std::size_t session_table_max = 128;

struct Superblock {
  std::uint64_t generation = 0;
  // Fixed at creation.
  engine::ClusterId cluster;
  engine::VolumeSpec spec;
  engine::ReplicaId replica;
  std::uint64_t segment_bytes = 0;
  std::uint64_t extent_file_bytes = 0;
  // The checkpoint: everything up to here is in the extents, synced.
  engine::Lsn checkpoint;
  engine::Digest checkpoint_digest;
  engine::WallTime checkpoint_time;  ///< Monotone time of the record at the checkpoint.
  /// Where the log has that record; nothing: not known. It says where to begin reading, and is believed no further.
  std::optional<BatchAddress> checkpoint_batch;
  engine::Lsn committed;
  engine::Lsn durable;                          ///< A lower bound when this was written (C14).
  SegmentSequence wal_start;                    ///< Segments below are pruned.
  engine::EpochHistory history;                 ///< Up to the checkpoint.
  engine::ConfigurationHistory configurations;  ///< Up to the checkpoint; `spec` has the last one.
  std::vector<SessionLine> sessions;            ///< As of the checkpoint.
  ExtentFileSet extent_files;                   ///< Durable at the checkpoint; there may be more.
  // State and intents.
  engine::BaseState base = engine::BaseState::complete;
  std::string damage;      ///< base == damaged: what and where.
  bool resetting = false;  ///< Extents and log of the past are being discarded.
  std::optional<engine::Lsn> truncate_to;
  std::vector<CutMark> cuts;  ///< Of batches still in the log, oldest first.
  bool clean = false;         ///< Stopped cleanly; the log ends at `durable`.
};

inline constexpr std::size_t superblock_slot_bytes = 16384;
inline constexpr std::size_t superblock_slots = 2;

/// Exactly one slot.
engine::Buffer encode_superblock(const Superblock& block);
engine::Result<Superblock> decode_superblock(std::span<const std::byte> slot);

/// How many bytes of a whole slot its content takes; the rest is zero.
std::size_t superblock_used_bytes(std::span<const std::byte> slot);
/// Which of both slots is in force: the newest whole one; nothing when neither is whole.
std::optional<std::size_t> slot_in_force(
    const std::array<engine::Result<Superblock>, superblock_slots>& slots);
/// What recovery needs to know of a superblock.
RecoveryInput recovery_input(const Superblock& block);

/// Refuses a superblock of another cluster, volume or replica, naming both values. The size is none
/// of its affair: it is what the log says.
engine::Status check_identity(const Superblock& found, const engine::ClusterId& cluster,
                              const engine::VolumeSpec& spec, engine::ReplicaId replica,
                              const std::string& path);

class SuperblockFile {
 public:
  SuperblockFile(Disk& disk, engine::Timers& timers, std::string path)
      : disk_(disk), timers_(timers), path_(std::move(path)) {}

  /// Creates the file whole or not at all.
  Task<engine::Status> create(Superblock first);
  /// The newest whole slot; when neither is, an error with both reasons.
  Task<engine::Result<Superblock>> open();
  /// How many slots are not what was written there.
  Task<engine::Result<std::size_t>> rotten_slots();
  /// Durably replaces the older slot. One write at a time; the caller sees to it.
  Task<engine::Status> write(Superblock block);
  void close() { file_.reset(); }

 private:
  Disk& disk_;
  engine::Timers& timers_;
  std::string path_;
  FilePtr file_;
  std::uint64_t generation_ = 0;
};

}  // namespace tidemark::storage
