#include "engine/commit_rule.hpp"

#include <algorithm>

#include "engine/planted.hpp"

namespace tidemark::engine {
namespace {

/// Copies of an answered write that one lost node must leave at least one of.
constexpr std::size_t answer_copies_min = 2;

bool in_reign(Lsn lsn, Lsn epoch_record) {
  if (planted(Bug::commit_counts_old_epoch)) return true;
  return lsn >= epoch_record;
}

}  // namespace

Lsn committed(const CommitInputs& in) {
  Lsn limit = in.own_durable;
  if (planted(Bug::flush_acked_before_local_sync)) limit = in.head;
  if (in.mode != Mode::best_effort) {
    for (const auto& copy : in.others) limit = std::min(limit, copy.durable);
  }
  limit = std::min(limit, in.head);
  return in_reign(limit, in.epoch_record) ? limit : Lsn{};
}

Lsn answerable(const CommitInputs& in, Lsn committed) {
  if (committed == Lsn{} || !in_reign(committed, in.epoch_record)) return Lsn{};
  if (in.ack == AckPolicy::durable || in.mode == Mode::best_effort) return committed;
  std::size_t copies = 1;
  Lsn floor = in.head;
  for (const auto& copy : in.others) {
    if (copy.exact) ++copies;
    if (copy.must_receive) floor = std::min(floor, copy.received);
  }
  if (planted(Bug::one_copy_answers_on_receipt)) copies = answer_copies_min;
  return copies < answer_copies_min ? committed : std::max(committed, floor);
}

}  // namespace tidemark::engine
