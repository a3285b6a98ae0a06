#include "engine/epoch_history.hpp"

#include <algorithm>

#include "engine/check.hpp"

namespace tidemark::engine {
namespace {

bool follows(const EpochStart& before, const EpochStart& after) {
  return after.epoch > before.epoch && after.first > before.first;
}

// (epoch, nonce) names a reign, and a reign begins in one place: a history that disagrees on it is
// not to be believed for the common part.
bool same_reign(const EpochStart& a, const EpochStart& b) {
  return a.epoch == b.epoch && a.nonce == b.nonce && a.first == b.first;
}

}  // namespace

EpochHistory::EpochHistory(std::vector<EpochStart> starts) {
  for (const auto& start : starts) CHECK(begin(start));
}

bool EpochHistory::begin(const EpochStart& start) {
  if (!start.epoch || !start.first) return false;
  if (!starts_.empty() && !follows(starts_.back(), start)) return false;
  if (starts_.size() == epoch_history_max) starts_.erase(starts_.begin());
  starts_.push_back(start);
  return true;
}

void EpochHistory::configured(Mode mode) {
  if (starts_.empty()) return;
  auto& reign = starts_.back();
  const bool changed = (mode == Mode::best_effort) != (reign.mode == Mode::best_effort);
  if (changed) reign.marks |= EpochStart::mode_changed;
}

void put_in_force(const RecordHeader& header, const Configuration& said,
                  ConfigurationHistory& configurations, EpochHistory& history) {
  configurations.begin(header.lsn, said);
  if (header.kind == RecordKind::configure) history.configured(said.mode);
}

void EpochHistory::truncate(Lsn end) {
  while (!starts_.empty() && starts_.back().first > end) starts_.pop_back();
}

std::optional<EpochStart> EpochHistory::at(Lsn lsn) const {
  const auto beyond = std::upper_bound(starts_.begin(), starts_.end(), lsn,
                                       [](Lsn l, const EpochStart& s) { return l < s.first; });
  if (beyond == starts_.begin()) return std::nullopt;
  return *std::prev(beyond);
}

std::optional<EpochStart> EpochHistory::last() const {
  if (starts_.empty()) return std::nullopt;
  return starts_.back();
}

Lsn common_point(const EpochHistory& a, Lsn end_a, const EpochHistory& b, Lsn end_b) {
  auto lsn = std::min(end_a, end_b);
  while (lsn) {
    const auto in_a = a.at(lsn);
    const auto in_b = b.at(lsn);
    if (!in_a || !in_b) return Lsn{};
    if (same_reign(*in_a, *in_b)) return lsn;
    // From here down to where the younger of the two reigns begins the logs differ everywhere.
    lsn = std::max(in_a->first, in_b->first).previous();
  }
  return Lsn{};
}

}  // namespace tidemark::engine
