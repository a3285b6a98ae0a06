// Runs many small tasks at a bounded depth and waits for all of them.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "storage/task.hpp"

namespace tidemark::storage {

/// Long-lived: must outlive the coroutine that awaits it by more than
/// that coroutine's own end (see Scope).
class Fan {
 public:
  explicit Fan(std::size_t depth) : depth_(depth) {}

  /// Done when every task has ended; the first error. After an error no further task is started.
  Task<engine::Status> all(std::vector<Task<engine::Status>> tasks) {
    auto job = std::make_shared<Job>();
    job->tasks = std::move(tasks);
    for (std::size_t i = 0; i < depth_; ++i) start_next(job);
    if (job->running > 0) {
      // Named: g++ 12 destroys a closure's captures twice when it is a temporary of a co_await.
      auto finished = callback<engine::Done>([job](auto done) { job->finished = std::move(done); });
      co_await finished;
    }
    co_return job->status;
  }

 private:
  struct Job {
    std::vector<Task<engine::Status>> tasks;
    std::size_t next = 0;
    std::size_t running = 0;
    engine::Status status = engine::Done{};
    std::function<void(engine::Done)> finished;
  };

  void start_next(const std::shared_ptr<Job>& job) {
    if (job->next == job->tasks.size() || !job->status) return;
    ++job->running;
    scope_.run(std::move(job->tasks[job->next++]), [this, job](engine::Status status) {
      --job->running;
      if (!status && job->status) job->status = std::move(status);
      start_next(job);
      if (job->running == 0 && job->finished) std::exchange(job->finished, nullptr)(engine::Done{});
    });
  }

  std::size_t depth_;
  Scope scope_;
};

}  // namespace tidemark::storage
