// A change of mode or min_copies, as the set sees it (C12).
//
//   wanted ──in line──► numbered ──committed by both modes' rules──► told ──recorded──► the new mode alone
//                          └──────────────── both rules stand ────────────────┘
//
// The control plane chooses a primary by the recorded mode alone. Until it has recorded the new one,
// all that was committed is so by the old rule; from then on all of it is so by the new one, for the
// record is, and what came behind it. The recorded set carries over: who was left out of a sync_all
// set is no voter until it has come in; best_effort keeps the primary alone, and begins with it.
#include <algorithm>

#include "engine/in_sync.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine {

void InSync::take_rules(const VolumeSpec& spec, const std::optional<Configuration>& wanted,
                        bool numbered) {
  wanted_ = wanted;
  min_copies_ = numbered && wanted ? wanted->min_copies : spec.min_copies;
  if (mode_ != spec.mode) {
    mode_ = spec.mode;
    blocked_.clear();
    for (auto& peer : peers_) {
      peer.counting = peer.held_in = false;
      peer.barred_below = Lsn{};
      // What it acknowledged once is not what it has (C13).
      if (!peer.proved && peer.state == PeerState::rebuilding) peer.received = peer.durable = Lsn{};
    }
  }
  modes_ = {mode_};
  // The primary's own disk is part of every rule: what best_effort committed is so by its first set's.
  const bool both = numbered && wanted && wanted->mode != mode_ && mode_ != Mode::best_effort;
  if (both && planted(Bug::mode_change_drops_old_rule)) {
    modes_ = {wanted->mode};
  } else if (both && !planted(Bug::mode_change_drops_new_rule)) {
    sometimes(Mark::two_modes_stand);
    modes_.push_back(wanted->mode);
  }
  recount();
}

bool InSync::in_line(const Peer& peer) const {
  return peer.proved && peer.state == PeerState::streaming && peer.incarnation && !peer.full &&
         !left(peer.replica);
}

/// A quorum is to become sync_all: then everybody in the set must have each record.
bool InSync::wants_all() const {
  return mode_ == Mode::sync_quorum && wanted_ && wanted_->mode == Mode::sync_all;
}

/// Once numbered the change cannot be taken back, and both rules stand: whoever it will need is to be
/// there before.
std::string InSync::not_ready_for(const Configuration& next) const {
  if (next.mode == mode_ && next.min_copies <= min_copies_) return {};
  if (next.mode == Mode::best_effort) return {};
  if (sometimes(pending_.has_value(), Mark::mode_waits_for_set)) return "the set is being changed";
  const auto recorded = [&](const Peer& peer) {
    return std::any_of(recorded_.begin(), recorded_.end(),
                       [&](const SetMember& m) { return m.replica == peer.replica; });
  };
  std::size_t there = 1;
  std::string missing;
  for (const auto& peer : peers_) {
    const bool counts = mode_ == Mode::best_effort || recorded(peer);
    if (!counts) continue;
    if (in_line(peer)) {
      ++there;
    } else if (wants_all()) {
      missing += fmt::format("; replica {} ({}) is not in line", peer.replica, peer.node);
    }
  }
  if (sometimes(there < next.min_copies, Mark::mode_waits_for_copies)) {
    return fmt::format("{} copies are in line, and min_copies is to be {}{}", there,
                       next.min_copies, missing);
  }
  if (missing.empty()) return {};
  return fmt::format("sync_all needs every voter{}", missing);
}

std::string InSync::why_voter_leaves(const Peer& peer, const LogNumbers& log, MonoTime now) const {
  if (left(peer.replica)) return {};
  if (!peer.proved && peer.state == PeerState::rebuilding) return "its copy is not whole";
  return why_leave(peer, log, now);
}

/// Voters that sync_all would leave out, left out before it is in force: all that is committed is so
/// by the smaller set's rule as well, and min_copies stay.
std::optional<InSync::Choice> InSync::without_unwell(const LogNumbers& log, MonoTime now) const {
  if (!wants_all()) return std::nullopt;
  Choice choice{{self_}, {}};
  for (const auto& m : recorded_) {
    if (m.replica == self_.replica) continue;
    const auto* peer = find(m.replica);
    const auto why = peer == nullptr ? std::string() : why_voter_leaves(*peer, log, now);
    if (why.empty()) {
      choice.next.push_back(m);
      continue;
    }
    if (!choice.reason.empty()) choice.reason += "; ";
    choice.reason +=
        fmt::format("replica {} ({}) leaves, for sync_all: {}", m.replica, peer->node, why);
  }
  const bool enough = choice.next.size() >= std::max(min_copies_, wanted_->min_copies);
  if (choice.reason.empty() || !enough || !may_stand_alone(choice.next, log)) return std::nullopt;
  sometimes(Mark::voter_left_for_sync_all);
  std::sort(choice.next.begin(), choice.next.end());
  return choice;
}

}  // namespace tidemark::engine
