// Whether a volume's status tells the truth of its copies: a node that has been gone for a while is not shown as one
// that follows or serves, and a copy that somebody knows to be lost is not shown as whole.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "engine/event.hpp"
#include "engine/types.hpp"
#include "sim/life.hpp"

namespace tidemark::sim {

struct VolumeView;

class Truth {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  /// Within it status shows what has happened: a link is silent for 3 s before it is dead, a node's TCP gives up
  /// within 5 s, and a status that could not be asked for is repeated.
  static constexpr std::uint64_t shown_within = 10 * engine::second;

  explicit Truth(OnFailure fail) : fail_(std::move(fail)) {}

  void died(const std::string& node, engine::MonoTime at) { gone_.try_emplace(node, at); }
  /// It runs again, with nothing known of its copy.
  void boots(const std::string& node) {
    gone_.erase(node);
    lost_.erase(node);
  }
  void happened(engine::MonoTime at, const std::string& node, const engine::Event& event);
  void seen(engine::MonoTime at, const VolumeView& view);

 private:
  OnFailure fail_;
  std::map<std::string, engine::MonoTime> gone_;  ///< By node: since when it does not run.
  /// Of nodes that run: since when their store is over, and what told so.
  std::map<std::string, std::pair<engine::MonoTime, std::string>> lost_;
};

}  // namespace tidemark::sim
