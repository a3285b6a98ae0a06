#include "actors/runtime/loop_random.hpp"

#include <sys/random.h>

#include "engine/check.hpp"

namespace tidemark::actors {

std::uint64_t LoopRandom::next() {
  if (left_ == 0) {
    // Up to 256 bytes come whole and are never interrupted (getrandom(2)).
    static_assert(sizeof batch_ <= 256);
    CHECK(getrandom(batch_.data(), sizeof batch_, 0) == static_cast<ssize_t>(sizeof batch_));
    left_ = batch_.size();
  }
  return batch_[--left_];
}

}  // namespace tidemark::actors
