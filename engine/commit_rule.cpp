#include "engine/commit_rule.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/quorum.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine {
namespace {

/// Copies of an answered write that one lost node must leave at least one of.
constexpr std::size_t answer_copies_min = 2;

bool in_reign(Lsn lsn, Lsn epoch_record) {
  if (planted(Bug::commit_counts_old_epoch)) return true;
  return lsn >= epoch_record;
}

/// What `required` of the voters have reached: the `required`-th greatest of their numbers.
Lsn reached(const QuorumRule& rule, Lsn own, Lsn Voter::*number) {
  CHECK(rule.required > 0);
  const auto voters = rule.others.size() + 1;
  CHECK(voters <= voters_max);
  if (rule.required > voters) return {};
  std::array<Lsn, voters_max> at;
  at[0] = own;
  for (std::size_t i = 0; i < rule.others.size(); ++i) at[i + 1] = rule.others[i].*number;
  std::sort(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(voters), std::greater<>());
  return at[rule.required - 1];
}

}  // namespace

Lsn quorum_durable(const QuorumRule& rule, Lsn own_durable) {
  return reached(rule, own_durable, &Voter::durable);
}

Lsn quorum_counted(const QuorumRule& rule, Lsn head) {
  return reached(rule, head, &Voter::counted);
}

Lsn committed(const CommitInputs& in) {
  Lsn own = in.own_durable;
  if (planted(Bug::flush_acked_before_local_sync)) own = in.head;
  Lsn limit = own;
  if (in.mode == Mode::sync_all) {
    const bool unsynced = planted(Bug::flush_counts_received);
    for (const auto& copy : in.others)
      limit = std::min(limit, unsynced ? copy.received : copy.durable);
  } else if (in.mode == Mode::sync_quorum) {
    CHECK(!in.rules.empty());
    limit = in.head;
    for (const auto& rule : in.rules) limit = std::min(limit, quorum_durable(rule, own));
  }
  limit = std::min(limit, in.head);
  return in_reign(limit, in.epoch_record) ? limit : Lsn{};
}

Lsn answerable(const CommitInputs& in, Lsn committed) {
  if (committed == Lsn{} || !in_reign(committed, in.epoch_record)) return Lsn{};
  if (in.ack == AckPolicy::durable || in.mode == Mode::best_effort) return committed;
  Lsn floor = in.head;
  if (in.mode == Mode::sync_quorum) {
    for (const auto& rule : in.rules) {
      // Alone it is no second copy that one lost node would leave.
      if (sometimes(rule.required < answer_copies_min, Mark::quorum_of_one)) return committed;
      floor = std::min(floor, quorum_counted(rule, in.head));
    }
    return std::max(committed, floor);
  }
  std::size_t copies = 1;
  for (const auto& copy : in.others) {
    if (copy.exact) ++copies;
    if (copy.must_receive) floor = std::min(floor, copy.received);
  }
  if (planted(Bug::one_copy_answers_on_receipt)) copies = answer_copies_min;
  const bool alone = sometimes(copies < answer_copies_min, Mark::answer_waits_for_second_copy);
  return alone ? committed : std::max(committed, floor);
}

}  // namespace tidemark::engine
