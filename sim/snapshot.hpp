// What files of a simulated disk held at some time: to see what was written since, or to lose it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "sim/disk_image.hpp"

namespace tidemark::sim {

/// Of files at rest: what is not durable yet counts as a hole, and a file that comes later as nothing.
class Snapshot {
 public:
  /// A page that reads differently now.
  struct Changed {
    InodePtr file;
    std::uint64_t offset = 0;
    engine::Slice before;
  };

  explicit Snapshot(std::vector<InodePtr> files);

  std::vector<Changed> changed() const;
  /// As if the disk had never done what it was given since, and had said that it did.
  void restore() const;

 private:
  std::vector<std::pair<InodePtr, engine::Slice>> held_;
};

}  // namespace tidemark::sim
