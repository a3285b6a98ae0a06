#include "storage/owner_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <thread>

namespace tidemark::storage {

using engine::Errc;
using engine::Error;

namespace {

// A process is told from a later one of the same number by when it started
// (proc(5), stat, field 22).
struct Owner {
  long pid = 0;
  std::string started;
};

std::optional<std::string> start_of(long pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::size_t at = name_end + 1;
  for (int field = 3; field <= 22; ++field) {
    at = text.find_first_not_of(' ', at);
    if (at == std::string::npos) return std::nullopt;
    const auto end = text.find(' ', at);
    if (field == 3 && (text[at] == 'Z' || text[at] == 'X'))
      return std::nullopt;  // dead, not yet reaped
    if (field == 22) return text.substr(at, end - at);
    at = end;
  }
  return std::nullopt;
}

Owner read_owner(int fd) {
  std::array<char, 128> buffer{};
  const auto n = ::pread(fd, buffer.data(), buffer.size() - 1, 0);
  Owner owner;
  if (n <= 0) return owner;
  char* end = nullptr;
  owner.pid = std::strtol(buffer.data(), &end, 10);
  while (*end == ' ') ++end;
  owner.started = std::string(end, std::strcspn(end, "\n"));
  return owner;
}

bool alive(const Owner& owner) { return owner.pid > 0 && start_of(owner.pid) == owner.started; }

// Overwritten in place at a fixed length: a full disk must not keep a node from starting.
engine::Status record_owner(int fd, const std::string& path) {
  const auto owner = fmt::format("{} {}\n", ::getpid(), start_of(::getpid()).value_or("unknown"));
  const auto text = fmt::format("{:<64}", owner);
  if (::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size())) {
    return engine::Done{};
  }
  return Error{errno == ENOSPC ? Errc::no_space : Errc::io_failed,
               fmt::format("writing {}: {}", path, std::strerror(errno))};
}

Error not_opened(const std::string& path) {
  return {Errc::io_failed, fmt::format("opening {}: {}", path, std::strerror(errno))};
}

engine::Status wait_for(int fd, int how, const std::string& directory) {
  const auto path = directory + "/LOCK";
  constexpr auto wait = OwnerLock::wait_seconds;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(wait);
  while (::flock(fd, how | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return Error{Errc::io_failed, fmt::format("locking {}: {}", path, std::strerror(errno))};
    const auto owner = read_owner(fd);
    if (alive(owner)) {
      return Error{Errc::busy,
                   fmt::format("{} belongs to process {}, which is running. Nothing was changed",
                               directory, owner.pid)};
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return Error{Errc::busy,
                   fmt::format("{} is still locked {} s after its owner, process {}, ended; does a "
                               "`tidemark verify` read it? Nothing was changed",
                               path, wait, owner.pid)};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return engine::Done{};
}

}  // namespace

engine::Result<OwnerLock> OwnerLock::take(const std::string& directory) {
  const auto path = directory + "/LOCK";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return not_opened(path);
  OwnerLock lock(fd);
  if (auto locked = wait_for(fd, LOCK_EX, directory); !locked) return locked.error();
  if (auto recorded = record_owner(fd, path); !recorded) return recorded.error();
  return lock;
}

engine::Result<OwnerLock> OwnerLock::take_to_read(const std::string& directory) {
  const auto path = directory + "/LOCK";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return OwnerLock(-1);  // no daemon ever ran here
  if (fd < 0) return not_opened(path);
  OwnerLock lock(fd);
  if (auto locked = wait_for(fd, LOCK_SH, directory); !locked) return locked.error();
  return lock;
}

OwnerLock::~OwnerLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace tidemark::storage
