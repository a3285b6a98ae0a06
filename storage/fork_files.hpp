// A losing suffix that was committed is sealed before it goes (C18): its records, as they were written,
// in a file of the replica's own that an operator can list, read and drop.
//
//   forks/<epoch>-<parts at>-<end>    head | frame | frame | ...
//
// Written under another name, synced, renamed: a fork is whole or not there. It is bounded in number and
// size, and never in the way: where there is no space beyond the disk's reserve, what fits is kept, and
// the rest is told.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/event.hpp"
#include "engine/record/record.hpp"
#include "storage/disk.hpp"
#include "storage/task.hpp"
#include "storage/wal.hpp"

namespace tidemark::storage {

/// Of one replica; the oldest goes once a new one is there. 4 x 256 MiB: as much as a log keeps by default.
inline constexpr std::size_t forks_max = 4;
/// Payload; of a longer suffix the first records are kept.
inline constexpr std::uint64_t fork_bytes_max = 256ull << 20;
/// Records that are read, and written as one frame.
inline constexpr std::uint64_t fork_frame_bytes = 1ull << 20;
inline constexpr std::uint64_t fork_frame_bytes_max = 64ull << 20;

struct ForkHead {
  engine::VolumeId volume;
  engine::ReplicaId replica;
  engine::Epoch epoch;    ///< Of the log's last record.
  engine::Lsn parts_at;   ///< Where the logs part.
  engine::Lsn end;        ///< Of the log.
  engine::Lsn first;      ///< Sealed; what lies between `parts_at` and it was pruned before.
  engine::Lsn last;       ///< Sealed; below `end` where there was no room.
  engine::Digest digest;  ///< Of the log up to `last`.

  std::string id() const;
  bool complete() const { return first == parts_at.next() && last == end; }
  bool operator==(const ForkHead&) const = default;
};

std::vector<std::byte> encode_fork_head(const ForkHead& head);
/// Errc::corrupt: not the first block of a fork.
engine::Result<ForkHead> decode_fork_head(std::span<const std::byte> block);

class ForkFiles {
 public:
  /// `reserve_bytes`: left free on the disk, for the superblock and the catalog.
  ForkFiles(Disk& disk, engine::EventSink& events, std::string directory,
            std::uint64_t reserve_bytes)
      : disk_(disk),
        events_(events),
        directory_(std::move(directory)),
        reserve_bytes_(reserve_bytes) {}

  /// Durably keeps records [head.first, head.end] of the log, as many as there is room for; fills in
  /// `last` and `digest`. What an earlier attempt sealed of it stays where this one has no more. Only
  /// what would end a store is an error.
  Task<engine::Status> seal(Wal& wal, ForkHead head);

 private:
  Task<engine::Status> seal_to(Wal& wal, ForkHead head, const std::string& path);
  struct Sealed {
    ForkHead head;
    std::string short_of;  ///< Why not all is kept; empty: all is.
    bool empty() const { return head.last < head.first; }
  };
  Task<engine::Result<Sealed>> write(Wal& wal, ForkHead head, FilePtr file);
  /// Of a fork that stands there whole; its records are not looked at.
  Task<std::optional<ForkHead>> head_of(const std::string& path);
  /// Other forks than `kept`, what an earlier attempt sealed of this one, go for it on a full disk.
  Task<engine::Result<std::uint64_t>> append(const FilePtr& file, std::uint64_t at,
                                             const std::vector<engine::RecordPtr>& records,
                                             std::string kept);
  Task<engine::Status> remove_unfinished();
  /// Of this reserve a fork takes nothing.
  engine::Status room_for(std::uint64_t bytes) const;
  /// Until at most `count` are left beside `kept`; other files are not ours. False: there are no more.
  Task<bool> drop_oldest(std::size_t count, std::string kept);
  void tell_sealed(const ForkHead& head, const std::string& why) const;
  void tell_not_sealed(const ForkHead& head, const std::string& why) const;

  Disk& disk_;
  engine::EventSink& events_;
  std::string directory_;
  std::uint64_t reserve_bytes_;
};

/// Reads a fork's records, each verified, from the oldest on.
Task<engine::Result<ForkHead>> read_fork(Disk& disk, std::string path,
                                         std::function<void(const engine::RecordPtr&)> each);

}  // namespace tidemark::storage
