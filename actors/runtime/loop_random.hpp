// Random numbers in a daemon: the kernel's.
#pragma once

#include <array>
#include <cstddef>

#include "engine/timer.hpp"

namespace tidemark::actors {

/// getrandom(2), read in small batches. Aborts where the kernel has none.
class LoopRandom final : public engine::Rng {
 public:
  std::uint64_t next() override;

 private:
  std::array<std::uint64_t, 32> batch_{};
  std::size_t left_ = 0;
};

}  // namespace tidemark::actors
