// The end of a copy: source and replica say what their tables of checksums come to, at one LSN and group
// by group, for all that was ever copied. What differs is missing again.
//
//   replica: hold the flusher, at = what its extents may hold up to
//   source:  flush to `at` or behind it, sum; answers with where it stood
//   replica: flush to exactly there, sum, compare, let go
#include <fmt/format.h>

#include <algorithm>

#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "storage/replica_store.hpp"

namespace tidemark::storage {

using engine::BaseQuestion;
using engine::BlockIndex;
using engine::BlockRange;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::Result;
using engine::Status;

namespace {

// 2 MiB of a table, some 300 us: then others have their turn.
constexpr std::uint64_t sum_blocks_at_once = 1u << 18;

// A new reign may still have to commit what its predecessor flushed.
constexpr std::uint64_t commit_wait_max = 5 * engine::second;
constexpr std::uint64_t commit_look_again = 100 * engine::millisecond;

/// Groups of `size` blocks that `lacked` has blocks of; nothing where there are too many.
std::optional<std::vector<std::uint32_t>> groups_of(const BlockSet& lacked, std::uint64_t size) {
  std::vector<std::uint32_t> groups;
  for (auto run = lacked.next_run(BlockIndex()); run;) {
    const auto last = (run->end().value - 1) / size;
    for (auto group = run->first.value / size; group <= last; ++group) {
      if (groups.size() == engine::base_sums_max) return std::nullopt;
      groups.push_back(static_cast<std::uint32_t>(group));
    }
    run = lacked.next_run(BlockIndex((last + 1) * size));
  }
  return groups;
}

BlockRange blocks_of(const BaseQuestion& question, std::size_t i) {
  return {BlockIndex(question.groups[i] * question.group_blocks), question.group_blocks};
}

Status well_formed(const BaseQuestion& q) {
  const bool sized = q.group_blocks >= engine::base_group_blocks_min &&
                     q.group_blocks <= engine::volume_blocks_max;
  const auto groups = sized ? engine::volume_blocks_max / q.group_blocks : 0;
  for (const auto group : q.groups) {
    if (group < groups) continue;
    return Error{Errc::invalid, fmt::format("sum of group {} of {} blocks: no volume has it", group,
                                            q.group_blocks)};
  }
  return Done{};
}

}  // namespace

Task<Result<BaseQuestion>> ReplicaStore::prepare_comparison() {
  auto held = co_await hold_for_comparison();
  if (!held) co_return held.error();
  if (!missing_) {
    release_flush();
    co_return Error{Errc::refused, "comparison of a copy: no rebuild is under way"};
  }
  BaseQuestion question;
  // Committed records stand for blocks that are not copied: they are to be in the extents by then.
  question.at = std::max({flusher_->ceiling(), committed_, missing_->flush_lsn});
  BlockSet all(engine::volume_blocks_max);
  if (!missing_->lacked) all.add({BlockIndex(), configurations_.current().blocks()});
  const auto& lacked = missing_->lacked ? *missing_->lacked : all;
  for (question.group_blocks = engine::base_group_blocks_min;; question.group_blocks *= 2) {
    auto groups = groups_of(lacked, question.group_blocks);
    if (!groups) continue;
    question.groups = std::move(*groups);
    break;
  }
  co_return question;
}

Task<Result<engine::GroupSums>> ReplicaStore::sum_groups(BaseQuestion question) {
  auto allowed = readable();
  if (allowed) allowed = well_formed(question);
  if (!allowed) co_return allowed.error();
  // What a crash caught amid a round is at one LSN again once that round was made anew.
  const auto needed = [this, &question] { return std::max(question.at, flusher_->ceiling()); };
  for (std::uint64_t waited = 0; committed_ < needed() && waited < commit_wait_max;
       waited += commit_look_again) {
    co_await callback<Done>([this](auto done) {
      config_.timers.after(commit_look_again,
                           lifetime_.guard([done = std::move(done)] { done(Done{}); }));
    });
  }
  if (committed_ < needed()) {
    co_return Error{Errc::unavailable, fmt::format("sum of blocks at lsn {}: committed up to {}",
                                                   needed(), committed_)};
  }
  constexpr int tries_max = 8;
  for (int tries = 0; tries < tries_max; ++tries) {
    // Flushing on would spoil an operator's comparison.
    while (hold_timer_ != 0) {
      co_await callback<Done>([this](auto done) { after_hold_.push_back(std::move(done)); });
    }
    auto ready = co_await flusher_->hold();
    const auto at = needed();
    if (ready) ready = co_await flusher_->flush_to(at);
    Result<std::vector<std::uint64_t>> sums = std::vector<std::uint64_t>();
    if (ready) sums = co_await sums_of(question);
    const bool stood = flusher_->checkpoint().lsn == at && flusher_->ceiling() == at;
    // Else who holds it as well lets it go.
    if (hold_timer_ == 0 && !changing_) flusher_->release();
    if (!ready) co_return ready.error();
    if (!sums) co_return sums.error();
    if (!engine::sometimes(!stood, engine::Mark::comparison_spoiled))
      co_return engine::GroupSums{at, std::move(*sums)};
  }
  co_return Error{Errc::unavailable, "sum of blocks: the flusher went on meanwhile"};
}

Task<Result<std::vector<BlockRange>>> ReplicaStore::compare_base(Lsn lsn, BaseQuestion question,
                                                                 std::vector<std::uint64_t> sums) {
  const auto hold = holds_;
  Status ready = well_formed(question);
  if (hold_timer_ == 0) ready = Error{Errc::refused, "comparison of a copy: its hold is over"};
  if (ready) ready = still_held(hold);
  if (ready) ready = co_await flusher_->flush_to(lsn);
  if (ready) ready = still_held(hold);
  if (ready && (flusher_->ceiling() != lsn || !missing_)) {
    ready = Error{Errc::refused, fmt::format("comparison of a copy at lsn {}: the extents hold {}",
                                             lsn, flusher_->ceiling())};
  }
  Result<std::vector<std::uint64_t>> own = std::vector<std::uint64_t>();
  if (ready) own = co_await sums_of(question);
  if (ready && !own) ready = own.error();
  if (ready) ready = still_held(hold);
  std::vector<BlockRange> unequal;
  if (ready && missing_) unequal = note_unequal(question, *own, sums);
  if (!unequal.empty()) ready = co_await save_missing();
  if (!ready && ready.error().code == Errc::no_space && !unequal.empty()) ready = Done{};
  if (holds_ == hold) release_flush();
  if (!ready) co_return ready.error();
  co_return unequal;
}

/// Groups with other sums are missing again.
std::vector<BlockRange> ReplicaStore::note_unequal(const BaseQuestion& question,
                                                   const std::vector<std::uint64_t>& own,
                                                   const std::vector<std::uint64_t>& theirs) {
  const auto volume_blocks = configurations_.current().blocks();
  std::vector<BlockRange> unequal;
  for (std::size_t i = 0; i < own.size() && i < theirs.size(); ++i) {
    if (own[i] == theirs[i]) continue;
    auto range = blocks_of(question, i);
    range.count = std::min(range.count, volume_blocks - std::min(volume_blocks, range.first.value));
    if (range.empty()) continue;
    missing_->blocks.add(range);
    unequal.push_back(range);
  }
  return unequal;
}

Task<Result<std::vector<std::uint64_t>>> ReplicaStore::sums_of(const BaseQuestion& question) {
  std::vector<std::uint64_t> sums;
  std::uint64_t looked_at = 0;
  for (std::size_t i = 0; i < question.groups.size(); ++i) {
    std::uint64_t sum = 0;
    auto rest = blocks_of(question, i);
    while (!rest.empty()) {
      const BlockRange part{rest.first, std::min(rest.count, sum_blocks_at_once)};
      auto found = co_await extents_->sum_of(part);
      if (!found) co_return found.error();
      sum += *found;
      rest = {part.end(), rest.count - part.count};
      looked_at += part.count;
      if (looked_at < sum_blocks_at_once) continue;
      looked_at = 0;
      co_await callback<Done>([this](auto done) {
        config_.timers.after(0, lifetime_.guard([done = std::move(done)] { done(Done{}); }));
      });
    }
    sums.push_back(sum);
  }
  co_return sums;
}

}  // namespace tidemark::storage
