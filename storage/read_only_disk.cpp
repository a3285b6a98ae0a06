#include "storage/read_only_disk.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>

namespace tidemark::storage {

using engine::block_bytes;
using engine::Errc;
using engine::Error;

namespace {

Error read_failure(int error, std::string what) {
  const auto code = error == ENOENT        ? Errc::not_found
                    : error == EWOULDBLOCK ? Errc::busy
                                           : Errc::io_failed;
  return {code, fmt::format("{}: {}", what, std::strerror(error))};
}

class ReadFile final : public File {
 public:
  ReadFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~ReadFile() override { ::close(fd_); }
  ReadFile(const ReadFile&) = delete;
  ReadFile& operator=(const ReadFile&) = delete;
  const std::string& path() const override { return path_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  std::string path_;
};

int read_fd(const FilePtr& file) { return static_cast<const ReadFile&>(*file).fd(); }

/// With what the file system and our rights allow: past the page cache (C23), without leaving a time
/// of access.
int open_to_read(const char* path, bool direct) {
  for (const int wish : {O_DIRECT | O_NOATIME, O_DIRECT, O_NOATIME, 0}) {
    if (!direct && (wish & O_DIRECT) != 0) continue;
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC | wish);
    if (fd >= 0 || (errno != EINVAL && errno != EPERM)) return fd;
  }
  return -1;
}

engine::Result<FilePtr> open_read_only(const std::string& path, OpenOptions options) {
  if (options.create) return Error{Errc::refused, "create " + path + ": nothing is written here"};
  const int fd = open_to_read(path.c_str(), options.direct);
  if (fd < 0) return read_failure(errno, fmt::format("opening {}", path));
  auto file = std::make_shared<ReadFile>(fd, path);
  if (options.lock && ::flock(fd, LOCK_SH | LOCK_NB) != 0)
    return read_failure(errno, fmt::format("locking {}", path));
  return FilePtr(std::move(file));
}

engine::Result<engine::Buffer> read_at(const FilePtr& file, std::uint64_t offset,
                                       std::size_t bytes) {
  // A file may end anywhere; a direct read may not.
  engine::Buffer memory((bytes + block_bytes - 1) / block_bytes * block_bytes);
  std::size_t filled = 0;
  while (filled < bytes) {
    const auto n = ::pread(read_fd(file), memory.data() + filled, memory.size() - filled,
                           static_cast<off_t>(offset + filled));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return read_failure(errno, fmt::format("reading {} at {}", file->path(), offset + filled));
    if (n == 0)
      return Error{Errc::not_found, fmt::format("read of {} bytes of {} at {}: beyond its end",
                                                bytes, file->path(), offset)};
    filled += static_cast<std::size_t>(n);
  }
  if (memory.size() == bytes) return memory;
  return engine::Buffer::copy_of(memory.bytes().first(bytes));
}

engine::Result<std::vector<std::string>> names_in(const std::string& path) {
  std::error_code failed;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator it(path, failed), end; !failed && it != end;
       it.increment(failed)) {
    names.push_back(it->path().filename().string());
  }
  if (failed) return read_failure(failed.value(), fmt::format("listing {}", path));
  std::sort(names.begin(), names.end());
  return names;
}

std::uint64_t steady_now() {
  return static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

}  // namespace

bool ReadOnlyDisk::step() {
  if (!queue_.empty()) {
    const auto next = std::move(queue_.front());
    queue_.pop_front();
    next();
    return true;
  }
  if (due_.empty()) return false;
  const auto at = due_.begin()->first.first;
  // This thread is all there is: nothing else can happen before the timer.
  if (const auto time = steady_now(); at > time)
    std::this_thread::sleep_for(std::chrono::nanoseconds(at - time));
  const auto due = std::move(due_.begin()->second);
  due_.erase(due_.begin());
  due();
  return true;
}

void ReadOnlyDisk::open(const std::string& path, OpenOptions options, OnOpen done) {
  queue_.push_back(
      [path, options, done = std::move(done)] { done(open_read_only(path, options)); });
}

void ReadOnlyDisk::read(const FilePtr& file, std::uint64_t offset, std::size_t bytes, OnRead done) {
  queue_.push_back(
      [file, offset, bytes, done = std::move(done)] { done(read_at(file, offset, bytes)); });
}

void ReadOnlyDisk::list(const std::string& path,
                        std::function<void(engine::Result<std::vector<std::string>>)> done) {
  queue_.push_back([path, done = std::move(done)] { done(names_in(path)); });
}

engine::Result<std::uint64_t> ReadOnlyDisk::size(const FilePtr& file) {
  struct stat found {};
  if (::fstat(read_fd(file), &found) != 0)
    return read_failure(errno, fmt::format("size of {}", file->path()));
  return static_cast<std::uint64_t>(found.st_size);
}

engine::Result<SpaceInfo> ReadOnlyDisk::space(const std::string&) { return SpaceInfo{}; }

void ReadOnlyDisk::refuse(const char* what, const std::string& path, OnStatus done) {
  queue_.push_back(
      [text = fmt::format("{} {}: nothing is written here", what, path), done = std::move(done)] {
        done(Error{Errc::refused, text});
      });
}

void ReadOnlyDisk::write(const FilePtr& file, std::uint64_t, std::vector<engine::Slice>,
                         OnStatus done) {
  refuse("write to", file->path(), std::move(done));
}
void ReadOnlyDisk::sync(const FilePtr& file, OnStatus done) {
  refuse("sync of", file->path(), std::move(done));
}
void ReadOnlyDisk::punch(const FilePtr& file, std::uint64_t, std::uint64_t, OnStatus done) {
  refuse("hole in", file->path(), std::move(done));
}
void ReadOnlyDisk::resize(const FilePtr& file, std::uint64_t, OnStatus done) {
  refuse("resize of", file->path(), std::move(done));
}
void ReadOnlyDisk::rename(const std::string& from, const std::string&, OnStatus done) {
  refuse("rename of", from, std::move(done));
}
void ReadOnlyDisk::remove(const std::string& path, OnStatus done) {
  refuse("remove", path, std::move(done));
}
void ReadOnlyDisk::make_directory(const std::string& path, OnStatus done) {
  refuse("make directory", path, std::move(done));
}
void ReadOnlyDisk::sync_directory(const std::string& path, OnStatus done) {
  refuse("sync of", path, std::move(done));
}

engine::TimerId ReadOnlyDisk::after(std::uint64_t delay, std::function<void()> due) {
  due_.emplace(std::pair(steady_now() + delay, ++last_timer_), std::move(due));
  return last_timer_;
}

void ReadOnlyDisk::cancel(engine::TimerId id) {
  std::erase_if(due_, [id](const auto& timer) { return timer.first.second == id; });
}

}  // namespace tidemark::storage
