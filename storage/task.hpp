// Coroutines for work that is a sequence of disk operations: recovery, flush, truncation. The
// append path has none.
//
//   Task<Status> f() { auto s = co_await write(...); if (!s) co_return s.error(); ... }
//   scope.run(f(), [](Status s) { ... });
//
// A Task is lazy and owned: by the coroutine that awaits it, or by a Scope. Destroying the Scope
// destroys every frame that is suspended in it; a completion that comes later finds nobody and does
// nothing. A Scope must not be destroyed from within one of its own tasks.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "engine/result.hpp"

namespace tidemark::storage {

template <class T>
class [[nodiscard]] Task {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  struct promise_type {
    std::coroutine_handle<> waiter;  ///< Nobody yet, while the task runs for the first time.
    std::optional<T> value;

    Task get_return_object() { return Task(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Resume {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(Handle done) noexcept {
          const auto next = done.promise().waiter;
          return next ? next : std::noop_coroutine();
        }
        void await_resume() noexcept {}
      };
      return Resume{};
    }
    void return_value(T v) { value.emplace(std::move(v)); }
    void unhandled_exception() { std::terminate(); }
  };

  Task(Task&& o) noexcept : handle_(std::exchange(o.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  /// Runs the task; one that ends without having waited does not suspend its waiter. So a loop over
  /// such tasks takes no deeper stack, whatever the compiler makes of tail calls.
  bool await_suspend(std::coroutine_handle<> waiter) noexcept {
    handle_.resume();
    if (handle_.done()) return false;
    handle_.promise().waiter = waiter;
    return true;
  }
  T await_resume() { return std::move(*handle_.promise().value); }

 private:
  explicit Task(Handle handle) : handle_(handle) {}
  Handle handle_;
};

/// Awaits a callback: `start` is called with the function to call once, later, with the result.
template <class T, class Start>
class [[nodiscard]] CallbackAwaiter {
 public:
  explicit CallbackAwaiter(Start start) : start_(std::move(start)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    state_ = std::make_shared<State>();
    state_->handle = handle;
    start_([weak = std::weak_ptr<State>(state_)](T value) {
      auto state = weak.lock();
      if (!state) return;  // the coroutine was destroyed meanwhile
      state->value.emplace(std::move(value));
      state->handle.resume();
    });
  }
  T await_resume() { return std::move(*state_->value); }

 private:
  struct State {
    std::coroutine_handle<> handle;
    std::optional<T> value;
  };
  Start start_;
  std::shared_ptr<State> state_;
};

template <class T, class Start>
CallbackAwaiter<T, Start> callback(Start start) {
  return CallbackAwaiter<T, Start>(std::move(start));
}

/// Owns running tasks.
class Scope {
 public:
  Scope() = default;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() {
    auto roots = std::move(roots_);
    for (auto& [id, root] : roots) root.destroy();
  }

  /// Starts `task` now; `done` gets its value and may start others.
  template <class T, class Done>
  void run(Task<T> task, Done done) {
    const auto id = ++last_;
    auto root = drive(*this, id, std::move(task), std::move(done));
    roots_.emplace(id, root.handle);
    root.handle.resume();
  }
  bool idle() const { return roots_.empty(); }

 private:
  struct Root {
    struct promise_type;
    std::coroutine_handle<promise_type> handle;

    struct promise_type {
      template <class T, class Done>
      promise_type(Scope& s, std::uint64_t i, Task<T>&, Done&) : scope(s), id(i) {}
      Scope& scope;
      std::uint64_t id;

      Root get_return_object() {
        return {std::coroutine_handle<promise_type>::from_promise(*this)};
      }
      std::suspend_always initial_suspend() noexcept { return {}; }
      auto final_suspend() noexcept {
        struct Forget {
          bool await_ready() noexcept { return false; }
          void await_suspend(std::coroutine_handle<promise_type> h) noexcept {
            h.promise().scope.roots_.erase(h.promise().id);
            h.destroy();
          }
          void await_resume() noexcept {}
        };
        return Forget{};
      }
      void return_void() {}
      void unhandled_exception() { std::terminate(); }
    };
  };

  template <class T, class Done>
  static Root drive(Scope&, std::uint64_t, Task<T> task, Done done) {
    T value = co_await task;
    done(std::move(value));
  }

  std::map<std::uint64_t, std::coroutine_handle<Root::promise_type>> roots_;
  std::uint64_t last_ = 0;
};

}  // namespace tidemark::storage
