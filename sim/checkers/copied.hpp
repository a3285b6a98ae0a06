// What copies are made of: the blocks of a base hold nothing that is younger than the LSN that comes with them, for a
// copy that is whole counts as one that has everything up to there and nothing else (C8). A source that takes them from
// its memory brings what nobody may have committed. Of a write of several records the first one's LSN is what counts here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/messages.hpp"
#include "sim/checkers/answers.hpp"

namespace tidemark::sim {

class Copied {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  Copied(const Answers& answers, std::uint64_t volume_tag, OnFailure fail)
      : answers_(answers), tag_(volume_tag), fail_(std::move(fail)) {}

  /// One message that has reached a node.
  void delivered(std::uint32_t node, const engine::Message& message);

 private:
  const Answers& answers_;
  std::uint64_t tag_;
  OnFailure fail_;
};

}  // namespace tidemark::sim
