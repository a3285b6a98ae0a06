#include "sim/exhaust_child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

volatile std::sig_atomic_t interrupt_seen = 0;

extern "C" void note_interrupt(int) { interrupt_seen = 1; }

/// Ends the process: its handlers and destructors are those of a world that goes on elsewhere.
[[noreturn]] void work_in_child(const Child::Work& work, pid_t parent, int pipe, int errors,
                                unsigned seconds_max) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGABRT, SIG_DFL);
  std::signal(SIGALRM, SIG_DFL);
  ::dup2(errors, STDERR_FILENO);
  ::alarm(seconds_max);
  const auto said = work();
  std::size_t sent = 0;
  while (sent < said.size()) {
    const auto n = ::write(pipe, said.data() + sent, said.size() - sent);
    if (n <= 0) ::_exit(1);
    sent += static_cast<std::size_t>(n);
  }
  std::fflush(nullptr);
  ::_exit(0);
}

/// The last line of what a child wrote to standard error.
std::string last_line(int fd) {
  std::array<char, 4096> text{};
  const auto size = ::lseek(fd, 0, SEEK_END);
  const auto from = std::max<off_t>(0, size - static_cast<off_t>(text.size()));
  const auto n = ::pread(fd, text.data(), text.size(), from);
  std::string line(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  const auto start = line.rfind('\n');
  return start == std::string::npos ? line : line.substr(start + 1);
}

}  // namespace

Child Child::start(const Work& work, unsigned seconds_max) {
  Child child;
  std::array<int, 2> ends{};
  CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
  child.errors_ = ::memfd_create("errors", MFD_CLOEXEC);
  CHECK(child.errors_ >= 0);
  std::fflush(nullptr);
  const auto parent = ::getpid();
  child.pid_ = ::fork();
  CHECK(child.pid_ >= 0);
  if (child.pid_ == 0) work_in_child(work, parent, ends[1], child.errors_, seconds_max);
  ::close(ends[1]);
  child.pipe_ = ends[0];
  return child;
}

Child::Child(Child&& other) noexcept { *this = std::move(other); }

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pipe_, other.pipe_);
  std::swap(errors_, other.errors_);
  std::swap(said_, other.said_);
  return *this;
}

Child::~Child() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (pipe_ >= 0) ::close(pipe_);
  if (errors_ >= 0) ::close(errors_);
}

bool Child::receive() {
  std::array<char, 65536> buffer;
  const auto n = ::read(pipe_, buffer.data(), buffer.size());
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) return false;
  said_.append(buffer.data(), static_cast<std::size_t>(n));
  return true;
}

ChildEnd Child::end() {
  while (receive()) {
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) CHECK(errno == EINTR);
  pid_ = -1;
  ChildEnd end{std::move(said_), ""};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return end;
  const auto how = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                       : fmt::format("status {}", WEXITSTATUS(status));
  end.died = fmt::format("{} {}", how, last_line(errors_));
  return end;
}

ChildEnd in_child(const Child::Work& work, unsigned seconds_max) {
  return Child::start(work, seconds_max).end();
}

bool run_in_order(std::size_t count, std::size_t jobs, unsigned seconds_max,
                  const std::function<std::string(std::size_t)>& task,
                  const std::function<bool(std::size_t, const ChildEnd&)>& take) {
  // Ends that wait for an earlier one are kept: no more than this many.
  const auto ahead_max = 16 * jobs;
  std::map<std::size_t, Child> running;
  std::map<std::size_t, ChildEnd> ended;
  std::size_t next = 0;
  std::size_t taken = 0;
  while (taken < count) {
    if (interrupted()) return false;
    while (running.size() < jobs && next < count && next < taken + ahead_max) {
      running.emplace(next, Child::start([&, next] { return task(next); }, seconds_max));
      ++next;
    }
    std::vector<pollfd> polls;
    for (const auto& [i, child] : running) polls.push_back({child.pipe(), POLLIN, 0});
    if (::poll(polls.data(), polls.size(), -1) < 0) continue;
    std::size_t at = 0;
    for (auto it = running.begin(); it != running.end(); ++at) {
      if (polls[at].revents == 0 || it->second.receive()) {
        ++it;
        continue;
      }
      ended.emplace(it->first, it->second.end());
      it = running.erase(it);
    }
    for (auto it = ended.find(taken); it != ended.end(); it = ended.find(taken)) {
      if (!take(taken, it->second)) return false;
      ended.erase(it);
      ++taken;
    }
  }
  return true;
}

void take_interrupts() {
  struct sigaction action {};
  action.sa_handler = note_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return interrupt_seen != 0; }

}  // namespace tidemark::sim
