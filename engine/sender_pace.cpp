// The sender's share of what its node gives away: each read of the base is asked for first.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/sender.hpp"

namespace tidemark::engine::outflow {

// What comes for a session that is over was left with it.
SenderEffects Sender::on(const PaceTold& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "pace_told", out)) return out;
  if (!pace_asked_) return out;
  pace_ = event.standing;
  session_->progressed(at.now);
  if (event.bytes == 0) return out;
  pace_asked_ = false;
  begin_base_read(event.bytes, out);
  pump_base(out);
  return out;
}

void Sender::begin_base_read(std::uint64_t granted, SenderEffects& out) {
  auto* rebuild = std::get_if<Rebuild>(&executor_);
  CHECK(rebuild != nullptr);
  const auto range = rebuild->begin_read();
  CHECK(range);  // What was asked for is still waiting: only reads that are granted take from it.
  if (config_.paced) granted_reads_[range->first] = granted;
  const auto blocks = std::clamp<std::uint64_t>(granted / block_bytes, 1, base_blocks_max);
  out.push_back(ReadBaseRun{session_->id(), *range, static_cast<std::uint32_t>(blocks)});
}

void Sender::base_read(BlockRange asked, const BasePiece& piece, SenderEffects& out) {
  const auto granted = granted_reads_.extract(asked.first);
  if (granted && granted.mapped() != piece.data.size()) {
    out.push_back(TellPaceUsed{granted.mapped(), piece.data.size()});
  }
}

void Sender::leave_pace(SenderEffects& out) {
  if (std::exchange(in_pace_, false)) out.push_back(LeavePace{});
  pace_asked_ = false;
  pace_ = {};
  granted_reads_.clear();
}

/// What waits for the node's pace has not stalled.
std::optional<EndCause> Sender::spent_budget(Moment at) {
  if (pace_asked_) session_->progressed(at.now);
  return session_->over_budget(at.now);
}

void Sender::tell_limits(PeerStatus& status) const {
  if (state_ != PeerState::rebuilding) return;
  status.rebuild_limit = pace_.rate;
  if (pace_.hold != PaceHold::none) status.rebuild_held_by = to_string(pace_.hold);
  if (pace_asked_ && pace_.hold == PaceHold::turn) {
    status.reason = "waits for its turn to be rebuilt";
  }
}

}  // namespace tidemark::engine::outflow
