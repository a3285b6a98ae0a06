#include "engine/configuration.hpp"

#include <algorithm>

#include "engine/check.hpp"
#include "engine/planted.hpp"

namespace tidemark::engine {

BlockRange cut_blocks(const Configuration& from, const Configuration& to) {
  if (to.blocks() >= from.blocks() || planted(Bug::shrink_keeps_cut_blocks)) return {};
  return {BlockIndex(to.blocks()), from.blocks() - to.blocks()};
}

void ConfigurationHistory::begin(Lsn lsn, const Configuration& next) {
  if (!starts_.empty() && starts_.back().configuration == next) return;
  CHECK(starts_.empty() || starts_.back().first < lsn);
  starts_.push_back({next, lsn});
}

void ConfigurationHistory::truncate(Lsn end) {
  // The first one is what the log began with, or all that is known.
  while (starts_.size() > 1 && starts_.back().first > end) starts_.pop_back();
}

void ConfigurationHistory::forget_before(Lsn lsn) {
  auto spare =
      starts_.size() > configuration_history_max ? starts_.size() - configuration_history_max : 0;
  // What is in force at `lsn` is kept, and all behind it.
  const auto behind = std::find_if(starts_.begin(), starts_.end(),
                                   [lsn](const ConfigurationStart& s) { return s.first > lsn; });
  const auto upto = static_cast<std::size_t>(behind - starts_.begin());
  spare = std::min(spare, upto == 0 ? 0 : upto - 1);
  starts_.erase(starts_.begin(), starts_.begin() + static_cast<std::ptrdiff_t>(spare));
}

std::optional<Configuration> ConfigurationHistory::at(Lsn lsn) const {
  for (auto start = starts_.rbegin(); start != starts_.rend(); ++start) {
    if (start->first <= lsn) return start->configuration;
  }
  return std::nullopt;
}

std::uint64_t ConfigurationHistory::blocks_from(Lsn lsn) const {
  auto blocks = current().blocks();
  for (auto start = starts_.rbegin(); start != starts_.rend(); ++start) {
    blocks = std::min(blocks, start->configuration.blocks());
    if (start->first <= lsn) break;
  }
  return blocks;
}

const ConfigurationStart& ConfigurationHistory::last() const {
  CHECK(!starts_.empty());
  return starts_.back();
}

}  // namespace tidemark::engine
