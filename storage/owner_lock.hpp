// One daemon per data directory: an exclusive lock on DIR/LOCK,
// in which the owner writes who it is.
//
// The lock of a process that was killed goes with its files, but io_uring may keep files a few
// milliseconds beyond the process. So a busy lock is waited for, but only when the recorded owner
// is no longer alive.
#pragma once

#include <string>
#include <utility>

#include "engine/result.hpp"

namespace tidemark::storage {

class OwnerLock {
 public:
  /// How long a dead owner's files may take to be released.
  static constexpr int wait_seconds = 5;

  /// Errc::busy names the living owner's process; nothing was changed then.
  /// Blocks at most wait_seconds.
  static engine::Result<OwnerLock> take(const std::string& directory);
  /// The same for somebody who only reads: creates and records nothing, and lets others read. No
  /// daemon starts meanwhile.
  static engine::Result<OwnerLock> take_to_read(const std::string& directory);
  OwnerLock(OwnerLock&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  OwnerLock& operator=(OwnerLock&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  OwnerLock(const OwnerLock&) = delete;
  OwnerLock& operator=(const OwnerLock&) = delete;
  ~OwnerLock();

 private:
  explicit OwnerLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace tidemark::storage
