// What a volume says of itself.
#include <algorithm>

#include "engine/volume.hpp"

namespace tidemark::engine {

VolumeStatus VolumeMachine::status(std::vector<PeerStatus> peers, MonoTime now) const {
  auto status = counters_;
  status.assignment = assignment_;
  status.serving = state_ == VolumeState::serving;
  status.head = head();
  status.durable = durable_;
  status.committed = committed_;
  status.waiting_requests = on_received_.size() + on_commit_.size() + queued_.size() +
                            early_.size() + merging_.size() + held_.size();
  status.waiting_for = why_waiting(now);
  status.peers = std::move(peers);
  std::sort(status.peers.begin(), status.peers.end(),
            [](const PeerStatus& a, const PeerStatus& b) { return a.replica < b.replica; });
  if (!in_sync_) return status;
  status.required = in_sync_->required();
  // A request that waits now has stalled for as long as it waits.
  const auto waited = longest_wait(now) / millisecond;
  status.stall_milliseconds_max = std::max(status.stall_milliseconds_max, waited);
  for (auto& peer : status.peers) {
    const auto standing = in_sync_->standing(peer.replica);
    peer.in_set = standing == Standing::member || standing == Standing::leaving;
    peer.exact = peer.in_set && in_sync_->exact(peer.replica);
  }
  return status;
}

std::optional<LatencySample> VolumeMachine::take_latency(MonoTime now) {
  if (state_ != VolumeState::serving) return std::nullopt;
  return latency_.take(now, longest_wait(now));
}

std::uint64_t VolumeMachine::longest_wait(MonoTime now) const {
  std::uint64_t longest = 0;
  if (!on_received_.empty()) longest = now - on_received_.front().since;
  if (!on_commit_.empty()) longest = std::max(longest, now - on_commit_.front().since);
  if (!queued_.empty()) longest = std::max(longest, now - queued_.front().since);
  return longest;
}

/// Empty when healthy: a request on its ordinary way does not "wait".
std::string VolumeMachine::why_waiting(MonoTime now) const {
  if (state_ == VolumeState::ended) return fmt::format("not served here: {}", ended_because_);
  if (!in_sync_) return "the store is being opened";
  auto who = in_sync_->waiting_for(numbers());
  const bool opening = state_ == VolumeState::opening;
  const bool stuck = longest_wait(now) >= limits_.in_sync.leave_after_closed;
  if (!opening && !stuck && !in_sync_->unsettled()) return {};
  if (who.empty() && durable_ < head()) {
    who = fmt::format("the local disk has {} of {}", durable_, head());
  }
  if (opening) {
    return fmt::format("the record of epoch {} (LSN {}) is not committed yet{}{}",
                       assignment_.epoch, epoch_record_, who.empty() ? "" : ": ", who);
  }
  if (!early_.empty() || (!queued_.empty() && waits_for_size(queued_.front().request))) {
    return fmt::format(
        "the size {} is recorded, the log has lost its record, and it is not in force again "
        "yet{}{}",
        size_to_come(), who.empty() ? "" : ": ", who);
  }
  if (queued_.empty()) return who;
  return fmt::format("{} requests wait behind {} uncommitted bytes{}{}", queued_.size(),
                     log_->bytes_after(std::min(committed_, durable_)), who.empty() ? "" : ": ",
                     who);
}

}  // namespace tidemark::engine
