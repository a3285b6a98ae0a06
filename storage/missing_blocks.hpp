// What a copy under way still lacks: the durable side of a rebuild that can be broken off at any
// moment and go on (C6, C9).
//
//   missing  a file of the replica's, replaced whole: what was missing at a moment whose writes are
//            synced. It may name more than is missing, never less.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>

#include "engine/timer.hpp"
#include "engine/types.hpp"
#include "storage/block_set.hpp"
#include "storage/disk.hpp"
#include "storage/task.hpp"

namespace tidemark::storage {

struct MissingBlocks {
  engine::Epoch epoch;    ///< Of the reign in which blocks were last copied.
  engine::Lsn flush_lsn;  ///< The highest LSN whose content any copied block may hold.
  BlockSet blocks;
  /// All that this copy ever lacked, in whole groups of base_group_blocks_min: what is compared with
  /// the source at its end. Nothing: not known, so all of it.
  std::optional<BlockSet> lacked{};

  /// Before anything of it is copied: what is missing now was lacking.
  void note_lacked();
};

class MissingFile {
 public:
  MissingFile(Disk& disk, engine::Timers& timers, std::string path, engine::VolumeId volume,
              engine::ReplicaId replica)
      : disk_(disk), timers_(timers), path_(std::move(path)), volume_(volume), replica_(replica) {}

  /// Of a volume of `blocks`. Nothing: there is no such file, or none that is whole and this
  /// replica's; then all may be missing. An error of the disk passes through.
  Task<engine::Result<std::optional<MissingBlocks>>> load(std::uint64_t blocks);
  /// Durably replaces the file. One at a time; the caller sees to it.
  Task<engine::Status> save(const MissingBlocks& missing);
  /// Of the file as it was last saved.
  std::uint64_t bytes() const { return bytes_; }
  /// Durably. No file is no error.
  Task<engine::Status> remove();

 private:
  std::optional<MissingBlocks> decode(std::span<const std::byte> bytes, std::uint64_t blocks) const;

  Disk& disk_;
  engine::Timers& timers_;
  std::string path_;
  engine::VolumeId volume_;
  engine::ReplicaId replica_;
  std::uint64_t bytes_ = 0;
};

}  // namespace tidemark::storage
