// Which messages no judge looks at: those of other volumes than the one whose clients are watched, and those within a
// process that runs on a copy of another node's directory.
#pragma once

#include <caf/all.hpp>
#include <set>
#include <string>

#include "sim/scheduler.hpp"

namespace tidemark::sim {

class Bystanders {
 public:
  explicit Bystanders(std::string volume) : volume_(std::move(volume)) {}

  /// Whether it is one of theirs. Asked of each message, before anybody judges it.
  bool concerned(const Step& step);

 private:
  std::string volume_;
  std::set<caf::actor_id>
      strange_;  ///< Stores of other volumes, and whoever they tell of their progress.
  std::set<caf::actor_id> ours_;  ///< Whom the others tell.
};

}  // namespace tidemark::sim
