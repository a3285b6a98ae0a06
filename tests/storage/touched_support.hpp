// What the tests of the touched index share.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/storage/store_world.hpp"

namespace tidemark::tests {

inline void mark(std::vector<bool>& blocks, BlockRange range) {
  for (auto b = range.first.value; b < range.end().value; ++b) blocks.at(b) = true;
}

inline bool told(const CountedEvents& events, const std::string& name) {
  return std::find(events.names.begin(), events.names.end(), name) != events.names.end();
}

}  // namespace tidemark::tests
