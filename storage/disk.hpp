// Files as a seam: asynchronous, explicit about durability, replaceable by the simulator's disk.
//
// Completions run on the loop, never inside the call. A buffer lives until its completion ran: it
// is owned by the completion. Short reads and writes, EINTR and EAGAIN are continued inside; only
// errors come out (C23). Destroying a Disk drops completions that did not run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/buffer.hpp"
#include "engine/result.hpp"

namespace tidemark::storage {

/// An open file with its exclusive lock, released when the last reference goes
/// and nothing is in flight.
class File {
 public:
  virtual ~File() = default;
  virtual const std::string& path() const = 0;
};
using FilePtr = std::shared_ptr<File>;

struct OpenOptions {
  bool create = false;  ///< Create; an existing file is an error (Errc::already_exists).
  bool direct = true;   ///< O_DIRECT: offsets, lengths and memory are multiples of 4096.
  bool dsync = false;   ///< O_DSYNC: a completed write is durable.
  bool lock = true;     ///< Exclusive lock on this very file description (C15); busy -> Errc::busy.
};

struct SpaceInfo {
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
};

class Disk {
 public:
  using OnStatus = std::function<void(engine::Status)>;
  using OnRead = std::function<void(engine::Result<engine::Buffer>)>;
  using OnOpen = std::function<void(engine::Result<FilePtr>)>;

  virtual ~Disk() = default;

  virtual void open(const std::string& path, OpenOptions options, OnOpen done) = 0;
  /// Writes the slices one behind the other from `offset`.
  virtual void write(const FilePtr& file, std::uint64_t offset, std::vector<engine::Slice> data,
                     OnStatus done) = 0;
  /// Reads exactly `bytes`; beyond the end of the file is Errc::not_found.
  virtual void read(const FilePtr& file, std::uint64_t offset, std::size_t bytes, OnRead done) = 0;
  /// fdatasync. An error is final for everything written to the file since it was opened (C23).
  virtual void sync(const FilePtr& file, OnStatus done) = 0;
  /// Gives back the space of a range; it reads as zeros.
  virtual void punch(const FilePtr& file, std::uint64_t offset, std::uint64_t bytes,
                     OnStatus done) = 0;
  /// Sets the size (sparse growth, or cut).
  virtual void resize(const FilePtr& file, std::uint64_t bytes, OnStatus done) = 0;
  virtual void rename(const std::string& from, const std::string& to, OnStatus done) = 0;
  /// A file, or an empty directory.
  virtual void remove(const std::string& path, OnStatus done) = 0;
  virtual void make_directory(const std::string& path, OnStatus done) = 0;
  /// Makes creations, renames and removals in `path` durable.
  virtual void sync_directory(const std::string& path, OnStatus done) = 0;
  /// Names in a directory, sorted.
  virtual void list(const std::string& path,
                    std::function<void(engine::Result<std::vector<std::string>>)> done) = 0;
  /// Size in bytes of an open file.
  virtual engine::Result<std::uint64_t> size(const FilePtr& file) = 0;
  virtual engine::Result<SpaceInfo> space(const std::string& directory) = 0;
};

}  // namespace tidemark::storage
