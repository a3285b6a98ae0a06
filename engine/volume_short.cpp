// Fewer copies than min_copies have what is numbered or come nearer to it, so nothing is committed:
// writes wait, or are answered with an error where an operator wants that.
//
// An error says that nobody knows: what was numbered may be committed when a copy comes back. Reads go
// on, but for those that would show it (C20).
#include <algorithm>

#include "engine/sometimes.hpp"
#include "engine/volume.hpp"

namespace tidemark::engine {
namespace {

/// `who`: the copies that are waited for. There is none where all have everything but the primary's own disk, or where
/// those that count are fewer than there have to be.
std::string what_is_short(std::string who, LogNumbers log, std::uint32_t min_copies) {
  if (!who.empty()) return who;
  if (log.own_durable < log.head)
    return fmt::format("the primary's disk has {} of {}", log.own_durable, log.head);
  return fmt::format("min_copies is {}, and fewer copies count", min_copies);
}

}  // namespace

void VolumeMachine::watch_copies(Moment at) {
  if (state_ == VolumeState::ended) return;
  if (committed_ != moved_to_) {
    moved_to_ = committed_;
    moved_at_ = at.now;
  }
  // As long as a copy that stalls is waited for: a restart, or a new reign, fails nothing.
  const auto patience = limits_.in_sync.leave_after_stalled;
  const auto since = in_sync_->too_few_since(numbers(), at.now);
  const bool fails = assignment_.spec.below_min == BelowMin::fail &&
                     at.now - std::max(since, moved_at_) >= patience;
  if (fails != failing_) {
    failing_ = fails;
    auto event = fails ? Event(Level::warning, "writes_fail")
                             .with("reason", what_is_short(in_sync_->waiting_for(numbers()),
                                                           numbers(), assignment_.spec.min_copies))
                       : Event(Level::info, "writes_go_on");
    effects_.push_back(Log{std::move(event)});
  }
  if (sometimes(failing_, Mark::writes_fail_below_min)) fail_waiting();
}

Error VolumeMachine::too_few_copies() const {
  return {Errc::io_failed, fmt::format("volume {} has too few copies, and is to fail then: {}",
                                       assignment_.spec.name,
                                       what_is_short(in_sync_->waiting_for(numbers()), numbers(),
                                                     assignment_.spec.min_copies))};
}

void VolumeMachine::fail_waiting() {
  const auto error = too_few_copies();
  while (!on_received_.empty()) {
    const auto waiting = on_received_.pop_front();
    refuse(waiting.client, waiting.cookie, error.code, error.text);
  }
  while (!on_commit_.empty()) {
    const auto waiting = on_commit_.pop_front();
    refuse(waiting.client, waiting.cookie, error.code, error.text);
  }
  for (const auto& change : queued_) {
    refuse(change.client, change.request.cookie, error.code, error.text);
  }
  queued_.clear();
  queued_bytes_ = 0;
  for (const auto& [client, request] : early_) {
    refuse(client, request.cookie, error.code, error.text);
  }
  early_.clear();
  for (auto& change : merging_) {
    if (!change.done) refuse(change.client, change.request.cookie, error.code, error.text);
    change.done = true;
  }
  for (const auto& [at, held] : held_) {
    refuse(held.client, held.reply.cookie, error.code, error.text);
  }
  held_.clear();
}

}  // namespace tidemark::engine
