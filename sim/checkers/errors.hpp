// Whether a client that is answered with an error had to be. Every error that a volume has for its clients is known
// here, with what must have gone wrong lately for it; there is no other.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "engine/front.hpp"

namespace tidemark::sim {

class Errors {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  /// What is known of the world when the client hears it.
  struct World {
    std::uint64_t calm = 0;  ///< Nanoseconds since anything was last wrong.
    bool may_fail =
        false;            ///< The volume is, or was of late, to fail below min_copies, not to wait.
    bool rotten = false;  ///< Blocks were damaged on purpose.
  };
  /// What was answered by earlier rules may be heard so much later.
  static constexpr std::uint64_t aftermath = 10 * engine::second;
  /// What was in the way takes so long to go: a copy is made again at the slowest pace, and its comparison waits 5 s for a commit
  /// that may need that copy.
  static constexpr std::uint64_t recovery = 20 * engine::second;

  explicit Errors(OnFailure fail) : fail_(std::move(fail)) {}

  /// A node is told what the volume is to do below min_copies: it answers by that.
  void told(std::uint32_t node, bool to_fail, engine::MonoTime now);
  bool may_fail(engine::MonoTime now) const;
  void refused(engine::FrontOp op, const engine::Error& error, const World& world);

 private:
  OnFailure fail_;
  std::set<std::uint32_t> to_fail_;          ///< Nodes.
  std::optional<engine::MonoTime> changed_;  ///< When the last one was told to wait from now on.
};

}  // namespace tidemark::sim
