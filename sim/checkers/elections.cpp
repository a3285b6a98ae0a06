#include "sim/checkers/elections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tidemark::sim {

using engine::Mode;

void Elections::told(const engine::Assignment& assignment) {
  const auto at = std::pair(assignment.epoch, assignment.version);
  if (rules_ && at < std::pair(rules_->epoch, rules_->version)) return;
  const bool begins = !rules_ || assignment.epoch > rules_->epoch;
  const bool forced = (assignment.marks & engine::EpochBody::forced) != 0;
  // In best_effort whoever is left goes on with what it has.
  if (begins && (forced || assignment.spec.mode == Mode::best_effort)) flushed_ = {};
  rules_ = assignment;
  whole_ = true;
  judge();
}

void Elections::told(const engine::SetDecided& decided) {
  if (!rules_ || decided.epoch != rules_->epoch || decided.version <= rules_->version) return;
  // Another mode may be on record by a version in between.
  whole_ = whole_ && decided.version.value == rules_->version.value + 1;
  rules_->version = decided.version;
  rules_->in_sync = decided.in_sync;
  judge();
}

void Elections::flushed(engine::Lsn lsn) {
  flushed_ = std::max(flushed_, lsn);
  judge();
}

std::size_t Elections::required() const {
  const auto members = rules_->in_sync.size();
  if (rules_->spec.mode == Mode::sync_all) return members;
  const std::size_t least = rules_->spec.min_copies;
  return std::min(members, std::max(members / 2 + 1, least));
}

void Elections::judge() {
  if (!judged_ || !rules_ || !whole_ || rules_->spec.mode == Mode::best_effort) return;
  std::size_t have = 0;
  std::string others;
  for (const auto& member : rules_->in_sync) {
    const auto held = held_(member.replica);
    if (held >= flushed_) {
      ++have;
    } else {
      others +=
          fmt::format("; replica {} never said that it has more than {}", member.replica, held);
    }
  }
  if (have >= required()) return;
  fail_("electable_without",
        fmt::format("lsn {} was flushed, and by the {} set of epoch {}, version {}, who lacks it "
                    "may reign: {} of {} "
                    "have it, {} are needed{}",
                    flushed_, to_string(rules_->spec.mode), rules_->epoch, rules_->version, have,
                    rules_->in_sync.size(), required(), others));
}

}  // namespace tidemark::sim
