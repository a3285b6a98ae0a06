// What the tests of the touched index share.
#pragma once

#include <vector>

#include "tests/storage/store_world.hpp"

namespace tidemark::tests {

inline void mark(std::vector<bool>& blocks, BlockRange range) {
  for (auto b = range.first.value; b < range.end().value; ++b) blocks.at(b) = true;
}

}  // namespace tidemark::tests
