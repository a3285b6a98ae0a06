#include "sim/batch.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

constexpr const char* class_of_crash = "crash";

/// One process that runs every jobs-th seed and writes a line per seed to its pipe:
///   start SEED
///   done SEED TRACE kind:name=count ...
///   begun SEED FAULTS REQUESTS OF EACH CLIENT    of a run that fails
///   fail SEED CLASS TEXT
struct Worker {
  pid_t pid = -1;
  int pipe = -1;
  std::string received;
  std::optional<std::uint64_t> running;  ///< Started and not done.
  std::optional<Begun> begun;
  std::uint64_t next = 0;  ///< First seed that it has not started.
};

void say(int fd, const std::string& line) {
  std::size_t sent = 0;
  while (sent < line.size()) {
    const auto n = ::write(fd, line.data() + sent, line.size() - sent);
    if (n <= 0) std::_Exit(1);  // the parent is gone
    sent += static_cast<std::size_t>(n);
  }
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string tally(std::string_view kind, const std::map<std::string, std::uint64_t>& counts) {
  std::string text;
  for (const auto& [name, n] : counts) text += fmt::format(" {}:{}={}", kind, name, n);
  return text;
}

void run_and_say(const BatchOptions& options, std::uint64_t seed, int fd) {
  say(fd, fmt::format("start {}\n", seed));
  const RunOptions run{seed, options.bug, false, {}};
  const auto plan = options.plan ? options.plan(seed) : expand(seed);
  const auto outcome = options.twice ? run_plan_twice(plan, run) : run_plan(plan, run);
  const bool counts =
      options.only_class.empty() || (outcome.failure && outcome.failure->cls == options.only_class);
  if (outcome.failure && counts) {
    if (!options.quiet) std::fputs(report(run, outcome).c_str(), stderr);
    say(fd, fmt::format("begun {} {} {}\n", seed, outcome.begun.faults,
                        fmt::join(outcome.begun.asks, " ")));
    say(fd, fmt::format("fail {} {} {}\n", seed, outcome.failure->cls,
                        one_line(outcome.failure->text)));
    return;
  }
  say(fd, fmt::format("done {} {}", seed, outcome.trace) +
              tally("sum", {{"operations", outcome.operations},
                            {"crashes_and_cuts", outcome.crashes_and_cuts},
                            {"steps", outcome.steps},
                            {"frames", outcome.frames},
                            {"virtual_ms", outcome.virtual_milliseconds}}) +
              tally("fault", outcome.faults) + tally("ask", outcome.asked) +
              words(outcome.coverage) + "\n");
}

/// Ends a worker, which may be the copy of a process whose static objects are not its own to destroy. A leak is an end
/// with another status.
[[noreturn]] void end_well() {
  std::fflush(nullptr);
#ifdef __SANITIZE_ADDRESS__
  __lsan_do_leak_check();
#endif
  std::_Exit(0);
}

extern "C" void end_silently(int) { std::_Exit(1); }

Worker spawn(const BatchOptions& options, std::uint64_t from) {
  std::array<int, 2> ends{};
  CHECK(::pipe(ends.data()) == 0);
  std::fflush(nullptr);
  const auto pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    ::close(ends[0]);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::signal(SIGINT, SIG_IGN);  // The parent ends them, and says what was done.
    std::signal(SIGTERM, SIG_DFL);
    if (options.quiet) {
      std::signal(SIGABRT, end_silently);
    } else {
      report_aborts();
    }
    const auto end = options.first + options.count;
    for (auto seed = from; seed < end; seed += options.jobs) run_and_say(options, seed, ends[1]);
    end_well();
  }
  ::close(ends[1]);
  Worker worker;
  worker.pid = pid;
  worker.pipe = ends[0];
  worker.next = from;
  return worker;
}

void count_pairs(std::istringstream& words, BatchResult& result) {
  std::string word;
  while (words >> word) {
    if (result.coverage.take(word)) continue;
    const auto equals = word.find('=');
    const auto colon = word.find(':');
    if (equals == std::string::npos || colon == std::string::npos) continue;
    result.tallies[word.substr(0, colon)][word.substr(colon + 1, equals - colon - 1)] +=
        std::strtoull(word.c_str() + equals + 1, nullptr, 10);
  }
}

void take_line(const std::string& line, const BatchOptions& options, Worker& worker,
               BatchResult& result) {
  std::istringstream words(line);
  std::string kind;
  std::uint64_t seed = 0;
  words >> kind >> seed;
  if (kind == "start") {
    worker.running = seed;
    worker.next = seed + options.jobs;
    return;
  }
  if (kind == "begun") {
    auto& begun = worker.begun.emplace();
    words >> begun.faults;
    for (std::uint64_t asks = 0; words >> asks;) begun.asks.push_back(asks);
    return;
  }
  worker.running.reset();
  ++result.done;
  if (kind == "fail") {
    SeedFailure failure;
    failure.begun = std::exchange(worker.begun, std::nullopt);
    failure.seed = seed;
    words >> failure.cls;
    std::getline(words >> std::ws, failure.text);
    result.failures.push_back(failure);
  } else {
    std::uint64_t trace = 0;
    words >> trace;
    result.traces += trace * (2 * seed + 1);
    count_pairs(words, result);
  }
  if (options.progress) options.progress(result);
}

/// False at the end of the pipe.
bool receive(const BatchOptions& options, Worker& worker, BatchResult& result) {
  std::array<char, 65536> buffer;
  const auto n = ::read(worker.pipe, buffer.data(), buffer.size());
  if (n <= 0) return false;
  worker.received.append(buffer.data(), static_cast<std::size_t>(n));
  for (auto end = worker.received.find('\n'); end != std::string::npos;
       end = worker.received.find('\n')) {
    take_line(worker.received.substr(0, end), options, worker, result);
    worker.received.erase(0, end + 1);
  }
  return true;
}

/// The process is over. A seed that it had not finished ended it.
void reap(const BatchOptions& options, Worker& worker, BatchResult& result) {
  ::close(worker.pipe);
  int status = 0;
  CHECK(::waitpid(worker.pid, &status, 0) == worker.pid);
  worker.pid = -1;
  const bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (worker.running) {
    ++result.done;
    const auto how = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                         : fmt::format("status {}", WEXITSTATUS(status));
    const auto seed = *std::exchange(worker.running, std::nullopt);
    if (options.only_class.empty() || options.only_class == class_of_crash) {
      result.failures.push_back({seed, class_of_crash, "the process ended with " + how, {}});
    }
    if (options.progress) options.progress(result);
  } else if (!well && worker.next >= options.first + options.count) {
    result.failures.push_back(
        {options.first, "leak", "a process that ran its seeds ended badly", {}});
  }
}

void kill_all(std::vector<Worker>& workers) {
  for (auto& worker : workers) {
    if (worker.pid < 0) continue;
    ::kill(worker.pid, SIGKILL);
    ::close(worker.pipe);
    ::waitpid(worker.pid, nullptr, 0);
    worker.pid = -1;
  }
}

volatile std::sig_atomic_t interrupted = 0;
extern "C" void interrupt(int) { interrupted = 1; }

/// While it lives, SIGINT and SIGTERM end a batch and not the process.
class Interruptible {
 public:
  Interruptible() {
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = interrupt;  // Without SA_RESTART: poll() returns.
    CHECK(::sigaction(SIGINT, &action, &before_int_) == 0);
    CHECK(::sigaction(SIGTERM, &action, &before_term_) == 0);
  }
  ~Interruptible() {
    ::sigaction(SIGINT, &before_int_, nullptr);
    ::sigaction(SIGTERM, &before_term_, nullptr);
  }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  struct sigaction before_int_ {};
  struct sigaction before_term_ {};
};

extern "C" void print_abort(int) {
  std::signal(SIGABRT, SIG_DFL);
  for (const auto& line : last_events_of_run()) std::fprintf(stderr, "%s\n", line.c_str());
  std::fprintf(stderr, "a CHECK failed (above the events); repeat: %s\n", command_of_run().c_str());
  std::fflush(stderr);
  std::_Exit(1);
}

}  // namespace

// The simulator is one thread and aborts only in its own code, so the handler may print.
void report_aborts() { std::signal(SIGABRT, print_abort); }

std::string report(const RunOptions& options, const Outcome& outcome) {
  std::string text = fmt::format("seed {}: {}\n", options.seed, outcome.configuration);
  for (const auto& line : outcome.last_events) text += line + "\n";
  text += fmt::format("seed {} FAILED: {}: {}\nrepeat: {}\n", options.seed, outcome.failure->cls,
                      outcome.failure->text, command(options));
  return text;
}

std::uint64_t BatchResult::sum(const std::string& name) const {
  const auto kind = tallies.find("sum");
  if (kind == tallies.end()) return 0;
  const auto found = kind->second.find(name);
  return found == kind->second.end() ? 0 : found->second;
}

BatchResult run_batch(const BatchOptions& options) {
  const Interruptible interruptible;
  BatchResult result;
  std::vector<Worker> workers;
  const auto end = options.first + options.count;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(options.jobs, options.count); ++i) {
    workers.push_back(spawn(options, options.first + i));
  }
  while (!workers.empty()) {
    result.interrupted = interrupted != 0;
    const bool over = options.over && options.over();
    if (result.interrupted || over || (options.stop_at_failure && !result.failures.empty())) {
      kill_all(workers);
      break;
    }
    std::vector<pollfd> polls;
    for (const auto& worker : workers) polls.push_back({worker.pipe, POLLIN, 0});
    if (::poll(polls.data(), polls.size(), -1) < 0) {
      CHECK(errno == EINTR);
      continue;
    }
    for (std::size_t i = workers.size(); i-- > 0;) {
      if (polls[i].revents == 0 || receive(options, workers[i], result)) continue;
      reap(options, workers[i], result);
      const auto next = workers[i].next;
      workers.erase(workers.begin() + static_cast<std::ptrdiff_t>(i));
      if (next < end && !options.stop_at_failure) workers.push_back(spawn(options, next));
    }
  }
  std::sort(result.failures.begin(), result.failures.end(),
            [](const auto& a, const auto& b) { return a.seed < b.seed; });
  return result;
}

}  // namespace tidemark::sim
