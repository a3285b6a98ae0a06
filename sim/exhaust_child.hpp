// Processes of the exhaustive tier. A world is one thread and shares nothing, so fork() copies it as it stands: a child
// goes on from there, and what it does to its world, or dies of, concerns nobody else.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace tidemark::sim {

/// How a child ended.
struct ChildEnd {
  std::string said;  ///< What its function returned.
  std::string
      died;  ///< Empty: it came to its end. Else the signal or status, and what it wrote to standard error last.
};

/// One child. It is killed, and reaped, when its handle goes; it ends as well when its parent does.
class Child {
 public:
  using Work = std::function<std::string()>;

  /// `seconds_max` of real time, then it is killed.
  static Child start(const Work& work, unsigned seconds_max);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  int pipe() const { return pipe_; }
  /// Takes what it has said; false when that was all.
  bool receive();
  /// Waits for its end.
  ChildEnd end();

 private:
  Child() = default;

  pid_t pid_ = -1;
  int pipe_ = -1;
  int errors_ = -1;
  std::string said_;
};

/// One child from its start to its end.
ChildEnd in_child(const Child::Work& work, unsigned seconds_max);

/// Tasks [0, count) in children, `jobs` at once. `take` gets their ends in order, whichever was first, and says
/// whether to go on. False: it said no, or the user did (see interrupted()).
bool run_in_order(std::size_t count, std::size_t jobs, unsigned seconds_max,
                  const std::function<std::string(std::size_t)>& task,
                  const std::function<bool(std::size_t, const ChildEnd&)>& take);

/// From here on SIGINT and SIGTERM end run_in_order() and nothing else.
void take_interrupts();
bool interrupted();

}  // namespace tidemark::sim
