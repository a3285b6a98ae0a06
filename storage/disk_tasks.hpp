// Disk operations as things to await.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/timer.hpp"
#include "storage/disk.hpp"
#include "storage/task.hpp"

namespace tidemark::storage {

inline auto open_file(Disk& disk, std::string path, OpenOptions options) {
  return callback<engine::Result<FilePtr>>([&disk, path = std::move(path), options](auto done) {
    disk.open(path, options, std::move(done));
  });
}
/// Waits for the lock of a file whose last owner is gone but whose writes are still landing (C15):
/// the ring keeps files alive for some milliseconds past their process. Who owns the directory is
/// settled before (its LOCK file), so nobody living is waited for.
inline constexpr std::uint64_t lock_wait_max = 5 * engine::second;
Task<engine::Result<FilePtr>> open_when_unlocked(Disk& disk, engine::Timers& timers,
                                                 std::string path, OpenOptions options);
inline auto write_file(Disk& disk, FilePtr file, std::uint64_t offset,
                       std::vector<engine::Slice> data) {
  return callback<engine::Status>(
      [&disk, file = std::move(file), offset, data = std::move(data)](auto done) mutable {
        disk.write(file, offset, std::move(data), std::move(done));
      });
}
inline auto write_file(Disk& disk, FilePtr file, std::uint64_t offset, engine::Slice data) {
  return write_file(disk, std::move(file), offset, std::vector<engine::Slice>{std::move(data)});
}
inline auto read_file(Disk& disk, FilePtr file, std::uint64_t offset, std::size_t bytes) {
  return callback<engine::Result<engine::Buffer>>(
      [&disk, file = std::move(file), offset, bytes](auto done) {
        // std::function wants copyable callables; Result<Buffer> itself is only moved through it.
        disk.read(file, offset, bytes, std::move(done));
      });
}
inline auto sync_file(Disk& disk, FilePtr file) {
  return callback<engine::Status>(
      [&disk, file = std::move(file)](auto done) { disk.sync(file, std::move(done)); });
}
inline auto punch_file(Disk& disk, FilePtr file, std::uint64_t offset, std::uint64_t bytes) {
  return callback<engine::Status>([&disk, file = std::move(file), offset, bytes](auto done) {
    disk.punch(file, offset, bytes, std::move(done));
  });
}
inline auto resize_file(Disk& disk, FilePtr file, std::uint64_t bytes) {
  return callback<engine::Status>([&disk, file = std::move(file), bytes](auto done) {
    disk.resize(file, bytes, std::move(done));
  });
}
inline auto rename_file(Disk& disk, std::string from, std::string to) {
  return callback<engine::Status>([&disk, from = std::move(from), to = std::move(to)](auto done) {
    disk.rename(from, to, std::move(done));
  });
}
inline auto remove_file(Disk& disk, std::string path) {
  return callback<engine::Status>(
      [&disk, path = std::move(path)](auto done) { disk.remove(path, std::move(done)); });
}
inline auto make_directory(Disk& disk, std::string path) {
  return callback<engine::Status>(
      [&disk, path = std::move(path)](auto done) { disk.make_directory(path, std::move(done)); });
}
inline auto sync_directory(Disk& disk, std::string path) {
  return callback<engine::Status>(
      [&disk, path = std::move(path)](auto done) { disk.sync_directory(path, std::move(done)); });
}
inline auto list_directory(Disk& disk, std::string path) {
  return callback<engine::Result<std::vector<std::string>>>(
      [&disk, path = std::move(path)](auto done) { disk.list(path, std::move(done)); });
}

}  // namespace tidemark::storage
