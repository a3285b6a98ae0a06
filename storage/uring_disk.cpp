#include "storage/uring_disk.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <variant>

#include "storage/disk_worker.hpp"

namespace tidemark::storage {

namespace asio = boost::asio;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Status;

namespace {

// What one vectored request may carry (UIO_MAXIOV);
// the rest follows as if the write had been short.
constexpr std::size_t vectors_max = 1024;

Errc code_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:  // others give descriptors back, as they do space: waited for, no failure
    case ENFILE:
      return Errc::no_space;
    case ENOENT:
      return Errc::not_found;
    case EEXIST:
      return Errc::already_exists;
    case EWOULDBLOCK:
      return Errc::busy;
    default:
      return Errc::io_failed;
  }
}

Error failure(int error, std::string what) {
  return Error{code_of(error), fmt::format("{}: {}", what, std::strerror(error))};
}

class UringFile final : public File {
 public:
  UringFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~UringFile() override { ::close(fd_); }
  UringFile(const UringFile&) = delete;
  UringFile& operator=(const UringFile&) = delete;
  const std::string& path() const override { return path_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  std::string path_;
};

int fd_of(const FilePtr& file) { return static_cast<const UringFile&>(*file).fd(); }

}  // namespace

// One request under way: it owns file, memory and completion until the kernel is done with them.
struct Request {
  enum class Kind : std::uint8_t { write, read, sync, punch };

  Kind kind = Kind::write;
  FilePtr file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  ///< Still to go.
  std::vector<engine::Slice> data;
  std::vector<iovec> vectors;
  std::size_t first_vector = 0;
  engine::Buffer memory;
  std::size_t filled = 0;
  std::variant<std::monostate, Disk::OnStatus, Disk::OnRead> done;

  void reset() {
    file.reset();
    data.clear();
    vectors.clear();
    first_vector = 0;
    memory = {};
    filled = 0;
    done = std::monostate{};
  }
};

class UringDisk::Ring {
 public:
  explicit Ring(asio::io_context& loop) : loop_(loop), descriptor_(loop) {
    io_uring_params params{};
    params.flags = IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER;
    int failed = io_uring_queue_init_params(ring_entries, &ring_, &params);
    if (failed == -EINVAL) {  // a kernel before 6.0
      params = {};
      failed = io_uring_queue_init_params(ring_entries, &ring_, &params);
    }
    if (failed < 0) throw std::system_error(-failed, std::system_category(), "io_uring_setup");
    descriptor_.assign(::dup(ring_.ring_fd));
  }

  ~Ring() {
    settle(std::nullopt);
    io_uring_queue_exit(&ring_);
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// Until nothing is in flight, or no longer than that.
  bool settle(std::optional<std::chrono::milliseconds> wait_max) {
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now();
    dropped_ = true;
    while (in_flight_ > 0) {
      flush();  // what the kernel refused before, it takes once others are done
      __kernel_timespec* limit = nullptr;
      __kernel_timespec rest{};
      if (wait_max) {
        const auto left = std::chrono::nanoseconds(*wait_max) - (Clock::now() - began);
        if (left <= left.zero()) return false;
        constexpr long long second = 1'000'000'000;
        rest = {left.count() / second, left.count() % second};
        limit = &rest;
      }
      io_uring_cqe* completion = nullptr;
      io_uring_submit_and_wait_timeout(&ring_, &completion, 1, limit, nullptr);
      reap();
    }
    return true;
  }

  Request* take(Request::Kind kind, const FilePtr& file) {
    if (idle_.empty()) {
      requests_.emplace_back();
      idle_.push_back(&requests_.back());
    }
    auto* request = idle_.back();
    idle_.pop_back();
    request->kind = kind;
    request->file = file;
    return request;
  }

  // Submissions gather until the end of the turn.
  void submit(Request* request) {
    waiting_.push_back(request);
    ++in_flight_;
    post_flush();
  }

 private:
  void post_flush() {
    if (flush_posted_ || dropped_) return;
    flush_posted_ = true;
    asio::post(loop_, [this, alive = std::weak_ptr<char>(alive_)] {
      if (alive.expired()) return;
      flush_posted_ = false;
      flush();
      watch();
    });
  }

  void flush() {
    while (!waiting_.empty()) {
      auto* entry = io_uring_get_sqe(&ring_);
      if (entry == nullptr) {
        io_uring_submit(&ring_);
        entry = io_uring_get_sqe(&ring_);
        if (entry == nullptr) break;  // the rest leaves after the next completions
      }
      prepare(entry, *waiting_.front());
      io_uring_sqe_set_data(entry, waiting_.front());
      waiting_.pop_front();
    }
    // Short of memory or requests, the kernel takes none or some: the rest is handed in again.
    if (io_uring_submit(&ring_) < 0 || io_uring_sq_ready(&ring_) > 0) post_flush();
  }

  static void prepare(io_uring_sqe* entry, Request& r) {
    const int fd = fd_of(r.file);
    switch (r.kind) {
      case Request::Kind::write: {
        const auto count = std::min(r.vectors.size() - r.first_vector, vectors_max);
        io_uring_prep_writev(entry, fd, &r.vectors[r.first_vector], static_cast<unsigned>(count),
                             r.offset);
        return;
      }
      case Request::Kind::read:
        io_uring_prep_read(entry, fd, r.memory.data() + r.filled, static_cast<unsigned>(r.bytes),
                           r.offset);
        return;
      case Request::Kind::sync:
        io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
        return;
      case Request::Kind::punch:
        io_uring_prep_fallocate(entry, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                static_cast<off_t>(r.offset), static_cast<off_t>(r.bytes));
        return;
    }
  }

  // The ring's own descriptor is readable while it holds completions.
  void watch() {
    if (watching_ || in_flight_ == 0) return;
    watching_ = true;
    descriptor_.async_wait(
        asio::posix::descriptor_base::wait_read,
        [this, alive = std::weak_ptr<char>(alive_)](boost::system::error_code failed) {
          if (alive.expired() || failed) return;
          watching_ = false;
          reap();
          if (alive.expired()) return;
          if (!waiting_.empty()) flush();
          watch();
        });
  }

  void reap() {
    const std::weak_ptr<char> alive = alive_;
    io_uring_cqe* completion = nullptr;
    while (io_uring_peek_cqe(&ring_, &completion) == 0) {
      auto* request = static_cast<Request*>(io_uring_cqe_get_data(completion));
      const int result = completion->res;
      io_uring_cqe_seen(&ring_, completion);
      --in_flight_;
      completed(request, result);
      if (alive.expired()) return;
    }
  }

  void completed(Request* r, int result) {
    if (result == -EINTR || result == -EAGAIN) return again(r);
    if (result < 0) return finish(r, failure(-result, describe(*r)));
    if (r->kind == Request::Kind::sync || r->kind == Request::Kind::punch) return finish(r, Done{});
    const auto moved = static_cast<std::uint64_t>(result);
    if (moved == 0 && r->bytes > 0) {
      const bool reading = r->kind == Request::Kind::read;
      return finish(
          r, Error{reading ? Errc::not_found : Errc::io_failed,
                   describe(*r) + (reading ? ": the file ends there" : ": nothing was written")});
    }
    r->offset += moved;
    r->bytes -= moved;
    if (r->kind == Request::Kind::read) r->filled += moved;
    if (r->bytes == 0) return finish(r, Done{});
    if (r->kind == Request::Kind::write) skip(*r, moved);
    again(r);
  }

  static void skip(Request& r, std::uint64_t written) {
    while (written > 0) {
      auto& vector = r.vectors[r.first_vector];
      if (written < vector.iov_len) {
        vector.iov_base = static_cast<std::byte*>(vector.iov_base) + written;
        vector.iov_len -= written;
        return;
      }
      written -= vector.iov_len;
      ++r.first_vector;
    }
  }

  void again(Request* r) {
    if (!dropped_) return submit(r);
    recycle(r);
  }

  static std::string describe(const Request& r) {
    static constexpr const char* verbs[] = {"writing", "reading", "syncing",
                                            "punching a hole into"};
    return fmt::format("{} {} at {}, {} bytes to go", verbs[static_cast<int>(r.kind)],
                       r.file->path(), r.offset, r.bytes);
  }

  void finish(Request* r, Status status) {
    auto done = std::move(r->done);
    auto memory = std::move(r->memory);
    recycle(r);
    if (dropped_) return;
    if (auto* on_status = std::get_if<OnStatus>(&done)) {
      (*on_status)(std::move(status));
    } else if (auto* on_read = std::get_if<OnRead>(&done)) {
      if (status) {
        (*on_read)(std::move(memory));
      } else {
        (*on_read)(status.error());
      }
    }
  }

  void recycle(Request* r) {
    r->reset();
    idle_.push_back(r);
  }

  asio::io_context& loop_;
  asio::posix::stream_descriptor descriptor_;
  io_uring ring_{};
  std::deque<Request> requests_;  ///< All that were ever needed at once; addresses stay.
  std::vector<Request*> idle_;
  std::deque<Request*> waiting_;  ///< Not yet handed to the kernel.
  std::size_t in_flight_ = 0;     ///< Handed in and not finished, waiting ones included.
  bool flush_posted_ = false;
  bool watching_ = false;
  bool dropped_ = false;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

namespace {

engine::Result<FilePtr> open_now(const std::string& path, OpenOptions options) {
  int flags = O_RDWR | O_CLOEXEC;
  if (options.create) flags |= O_CREAT | O_EXCL;
  if (options.direct) flags |= O_DIRECT;
  if (options.dsync) flags |= O_DSYNC;
  const int fd = ::open(path.c_str(), flags, 0600);
  if (fd < 0) return failure(errno, fmt::format("opening {}", path));
  auto file = std::make_shared<UringFile>(fd, path);
  if (options.lock && ::flock(fd, LOCK_EX | LOCK_NB) != 0)
    return failure(errno, fmt::format("locking {}", path));
  return FilePtr(std::move(file));
}

// A call that returns 0 or sets errno, as a Status.
template <class Call>
Status checked(std::string what, Call call) {
  if (call() != 0) return failure(errno, std::move(what));
  return Done{};
}

Status sync_directory_now(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failure(errno, fmt::format("opening the directory {}", path));
  auto status =
      checked(fmt::format("syncing the directory {}", path), [fd] { return ::fsync(fd); });
  ::close(fd);
  return status;
}

engine::Result<std::vector<std::string>> list_now(const std::string& path) {
  std::error_code failed;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator it(path, failed), end; !failed && it != end;
       it.increment(failed)) {
    names.push_back(it->path().filename().string());
  }
  if (failed)
    return Error{code_of(failed.value()), fmt::format("listing {}: {}", path, failed.message())};
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

UringDisk::UringDisk(asio::io_context& loop)
    : ring_(std::make_unique<Ring>(loop)), worker_(std::make_unique<DiskWorker>(loop)) {}

UringDisk::~UringDisk() = default;

bool UringDisk::settle(std::chrono::milliseconds wait_max) {
  return ring_->settle(wait_max) && worker_->settle(wait_max);
}

void UringDisk::open(const std::string& path, OpenOptions options, OnOpen done) {
  worker_->run([path, options] { return open_now(path, options); }, std::move(done));
}

void UringDisk::write(const FilePtr& file, std::uint64_t offset, std::vector<engine::Slice> data,
                      OnStatus done) {
  auto* request = ring_->take(Request::Kind::write, file);
  request->offset = offset;
  request->bytes = 0;
  request->data = std::move(data);
  for (const auto& slice : request->data) {
    if (slice.empty()) continue;
    request->bytes += slice.size();
    // The kernel only reads from it; iovec has no const form.
    request->vectors.push_back({const_cast<std::byte*>(slice.data()), slice.size()});
  }
  CHECK(request->bytes > 0);
  request->done = std::move(done);
  ring_->submit(request);
}

void UringDisk::read(const FilePtr& file, std::uint64_t offset, std::size_t bytes, OnRead done) {
  auto* request = ring_->take(Request::Kind::read, file);
  request->offset = offset;
  request->bytes = bytes;
  request->memory = engine::Buffer(bytes);
  request->done = std::move(done);
  ring_->submit(request);
}

void UringDisk::sync(const FilePtr& file, OnStatus done) {
  auto* request = ring_->take(Request::Kind::sync, file);
  request->offset = 0;
  request->bytes = 0;
  request->done = std::move(done);
  ring_->submit(request);
}

void UringDisk::punch(const FilePtr& file, std::uint64_t offset, std::uint64_t bytes,
                      OnStatus done) {
  auto* request = ring_->take(Request::Kind::punch, file);
  request->offset = offset;
  request->bytes = bytes;
  request->done = std::move(done);
  ring_->submit(request);
}

void UringDisk::resize(const FilePtr& file, std::uint64_t bytes, OnStatus done) {
  worker_->run(
      [file, bytes] {
        return checked(fmt::format("resizing {} to {} bytes", file->path(), bytes),
                       [&] { return ::ftruncate(fd_of(file), static_cast<off_t>(bytes)); });
      },
      std::move(done));
}

void UringDisk::rename(const std::string& from, const std::string& to, OnStatus done) {
  worker_->run(
      [from, to] {
        return checked(fmt::format("renaming {} to {}", from, to),
                       [&] { return ::rename(from.c_str(), to.c_str()); });
      },
      std::move(done));
}

void UringDisk::remove(const std::string& path, OnStatus done) {
  worker_->run(
      [path] {
        return checked(fmt::format("removing {}", path), [&] { return ::remove(path.c_str()); });
      },
      std::move(done));
}

void UringDisk::make_directory(const std::string& path, OnStatus done) {
  worker_->run(
      [path] {
        return checked(fmt::format("creating {}", path),
                       [&] { return ::mkdir(path.c_str(), 0700); });
      },
      std::move(done));
}

void UringDisk::sync_directory(const std::string& path, OnStatus done) {
  worker_->run([path] { return sync_directory_now(path); }, std::move(done));
}

void UringDisk::list(const std::string& path,
                     std::function<void(engine::Result<std::vector<std::string>>)> done) {
  worker_->run([path] { return list_now(path); }, std::move(done));
}

engine::Result<std::uint64_t> UringDisk::size(const FilePtr& file) {
  struct stat info {};
  if (::fstat(fd_of(file), &info) != 0)
    return failure(errno, fmt::format("asking the size of {}", file->path()));
  return static_cast<std::uint64_t>(info.st_size);
}

engine::Result<SpaceInfo> UringDisk::space(const std::string& directory) {
  struct statvfs info {};
  if (::statvfs(directory.c_str(), &info) != 0)
    return failure(errno, fmt::format("asking the free space of {}", directory));
  return SpaceInfo{info.f_bavail * info.f_frsize, info.f_blocks * info.f_frsize};
}

}  // namespace tidemark::storage
