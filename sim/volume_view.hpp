// A volume as its cluster's status tells it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tidemark::sim {

/// One copy as the cluster's status tells it.
struct CopyView {
  std::string node;
  std::string state;
  std::string problem;
  std::string reason;
  bool in_set = false;
  bool exact = false;
  std::uint64_t end = 0;
  std::uint64_t durable = 0;
};
struct VolumeView {
  std::string primary;
  std::string phase;
  std::string waiting_for;
  bool serving = false;
  bool pending = true;
  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  std::uint64_t head = 0;
  std::uint64_t committed = 0;
  std::uint64_t size_bytes = 0;
  std::string mode;
  std::uint64_t min_copies = 0;
  std::vector<CopyView> copies;

  bool whole(std::size_t copies_wanted) const;
  bool alone() const;  ///< The primary is all that counts: best_effort.
};

}  // namespace tidemark::sim
