// What a judge says, as its tests read it.
#pragma once

#include <functional>
#include <string>

#include "sim/life.hpp"

namespace tidemark::sim {

/// Classes of failure, a line each.
struct Found {
  std::string found;
  std::string words;  ///< Of the last one.
  std::function<void(std::string, std::string)> fail = [this](const std::string& cls,
                                                              const std::string& why) {
    found += cls + "\n";
    words = why;
  };
  Life life{1, 0, "node1/1"};
};

}  // namespace tidemark::sim
