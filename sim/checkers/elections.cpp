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
  if (begins && (forced || assignment.spec.mode == Mode::best_effort)) {
    flushed_ = {};
    anew_ = assignment.epoch;
  }
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

// A primary that has not heard of such a reign yet may answer on its own.
void Elections::flushed(engine::Lsn lsn, engine::Epoch epoch) {
  if (epoch < anew_) return;
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
        fmt::format("lsn {} was flushed, and the rules of epoch {}, version {} ({}) may let a copy "
                    "reign that lacks it: {} "
                    "of {} have it, {} are needed{}",
                    flushed_, rules_->epoch, rules_->version, to_string(rules_->spec.mode), have,
                    rules_->in_sync.size(), required(), others));
}

}  // namespace tidemark::sim
