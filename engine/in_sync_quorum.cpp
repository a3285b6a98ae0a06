// The voters of sync_quorum: whose rules stand, who joins, who leaves, and why nothing is committed.
#include <algorithm>

#include "engine/in_sync.hpp"
#include "engine/planted.hpp"
#include "engine/quorum.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine {
namespace {

bool holds_replica(const std::vector<SetMember>& set, ReplicaId replica) {
  return std::any_of(set.begin(), set.end(),
                     [&](const SetMember& m) { return m.replica == replica; });
}

bool same_replicas(const std::vector<SetMember>& a, const std::vector<SetMember>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const SetMember& x, const SetMember& y) { return x.replica == y.replica; });
}

void add_part(std::string& reason, const std::string& more) {
  if (!reason.empty()) reason += "; ";
  reason += more;
}

}  // namespace

/// A voter is exact under the incarnation that this set names; any other has what its disk has.
QuorumRule InSync::rule_of(const std::vector<SetMember>& voters) const {
  QuorumRule rule;
  std::size_t count = voters.size();
  for (const auto& m : voters) {
    if (m.replica == self_.replica) continue;
    const auto* peer = find(m.replica);
    if (planted(Bug::quorum_shrinks_with_absence) && (peer == nullptr || is_away(peer->state))) {
      --count;
      continue;
    }
    Voter voter;
    if (peer != nullptr && !left(m.replica)) {
      voter.durable = peer->durable;
      voter.counted = peer->incarnation == m.incarnation ? peer->received : peer->durable;
    }
    rule.others.push_back(voter);
  }
  const auto floor = planted(Bug::quorum_shrinks_with_absence) ? std::size_t{1} : min_copies_;
  rule.required = required_voters(count, floor);
  return rule;
}

/// An operator took it out of the members; it is a voter until the set is recorded without it.
bool InSync::left(ReplicaId replica) const {
  return std::find(members_.begin(), members_.end(), replica) == members_.end();
}

bool InSync::voters_change() const {
  return std::find(recorded_.begin(), recorded_.end(), self_) == recorded_.end() ||
         std::any_of(recorded_.begin(), recorded_.end(),
                     [&](const SetMember& m) { return left(m.replica); }) ||
         std::any_of(peers_.begin(), peers_.end(), [](const Peer& p) { return p.counting; });
}

void InSync::recount_rules() {
  rules_.push_back(rule_of(recorded_));
  if (pending_) {
    sometimes(Mark::two_quorum_rules_stand);
    rules_.push_back(rule_of(*pending_));
  } else if (mode_ == Mode::sync_quorum && voters_change()) {
    rules_.push_back(rule_of(next_voters(true, true, false)));
  }
}

/// Whoever is to join counts from now, in the next rule: what is committed from here on is so with
/// it, and it is asked for once it has all from before. One that stalls is dropped; a voter that is
/// only to be exact again holds nobody up, however slow it is.
void InSync::update_joining(const LogNumbers& log, MonoTime now) {
  bool changed = false;
  for (auto& peer : peers_) {
    const bool recorded = holds_replica(recorded_, peer.replica);
    const bool in_line = peer.proved && peer.state == PeerState::streaming && peer.incarnation &&
                         !left(peer.replica);
    const bool stalled =
        peer.durable < log.head && now - peer.progress_at >= limits_.leave_after_stalled;
    if (sometimes(peer.counting && stalled && !recorded, Mark::joining_voter_stalled))
      peer.barred_below = log.head;
    const bool joins = !peer.full && !stalled && peer.received >= log.committed &&
                       peer.durable >= peer.barred_below;
    const bool keeps = peer.counting && !peer.full && !stalled;
    const bool count =
        in_line && !(recorded && recorded_exact(peer)) && (recorded || joins || keeps);
    if (count && !peer.counting) {
      if (peer.durable >= log.head) peer.progress_at = now;
      peer.joins_durable = std::max(log.committed, log.epoch_record);
      peer.joins_received = std::max({log.answerable, log.committed, log.epoch_record});
    }
    changed |= peer.counting != count;
    peer.counting = count;
  }
  // The second rule of nobody's change goes with the last of it.
  if (changed) recount();
}

/// The witness of C11. What was answered before it began to count it has received, and a new voter
/// has on disk what was committed; what came since needs no memory of its (C4).
bool InSync::may_join(const Peer& peer) const {
  const bool recorded = holds_replica(recorded_, peer.replica);
  return peer.counting && peer.received >= peer.joins_received &&
         (recorded || peer.durable >= peer.joins_durable);
}

/// The recorded set with the primary in its incarnation and voters that are exact again;
/// `join`: and new ones, `leave`: and without those that are no members any more.
std::vector<SetMember> InSync::next_voters(bool join, bool leave, bool only_witnessed) const {
  std::vector<SetMember> next{self_};
  for (const auto& m : recorded_) {
    if (m.replica == self_.replica || (leave && left(m.replica))) continue;
    const auto* peer = find(m.replica);
    const bool again =
        peer != nullptr && (only_witnessed ? may_join(*peer) : peer->counting) && !left(m.replica);
    next.push_back(again ? SetMember{m.replica, peer->incarnation} : m);
  }
  for (const auto& peer : peers_) {
    const bool comes = only_witnessed ? may_join(peer) : peer.counting;
    if (join && comes && !holds_replica(recorded_, peer.replica)) {
      next.push_back({peer.replica, peer.incarnation});
    }
  }
  std::sort(next.begin(), next.end());
  return next;
}

/// All that earlier rules committed and answered is so by this one's: it may be in force alone.
bool InSync::may_stand_alone(const std::vector<SetMember>& voters, const LogNumbers& log) const {
  const auto rule = rule_of(voters);
  return quorum_durable(rule, log.own_durable) >= std::max(log.committed, log.epoch_record) &&
         quorum_counted(rule, log.head) >= log.answerable;
}

InSync::Choice InSync::choose_voters(const LogNumbers& log, MonoTime now) const {
  if (auto choice = without_unwell(log, now)) return std::move(*choice);
  struct Step {
    bool join;
    bool leave;
  };
  for (const auto step : {Step{true, true}, Step{false, true}, Step{true, false}}) {
    auto next = next_voters(step.join, step.leave, true);
    if (next == recorded_) continue;
    const bool alone = same_replicas(next, recorded_) || may_stand_alone(next, log);
    if (!sometimes(!alone, Mark::smaller_quorum_not_yet)) {
      auto reason = why_change(next, log);
      return {std::move(next), std::move(reason)};
    }
  }
  auto next = next_voters(false, false, true);
  auto reason = why_change(next, log);
  return {std::move(next), std::move(reason)};
}

std::string InSync::why_change(const std::vector<SetMember>& next, const LogNumbers& log) const {
  std::string reason;
  for (const auto& m : next) {
    const auto* peer = find(m.replica);
    if (peer == nullptr || std::find(recorded_.begin(), recorded_.end(), m) != recorded_.end()) {
      continue;
    }
    add_part(reason, fmt::format("replica {} ({}) {}: received {}, durable {}, committed {}",
                                 m.replica, peer->node,
                                 holds_replica(recorded_, m.replica) ? "is exact again" : "joins",
                                 peer->received, peer->durable, log.committed));
  }
  for (const auto& m : recorded_) {
    if (holds_replica(next, m.replica)) continue;
    sometimes(Mark::removed_voter_left);
    add_part(reason, fmt::format("replica {} was removed, and {} is committed without it",
                                 m.replica, log.committed));
  }
  return reason;
}

bool InSync::quorum_unsettled() const {
  if (voters_change()) return true;
  const auto away = std::count_if(recorded_.begin(), recorded_.end(), [&](const SetMember& m) {
    const auto* peer = find(m.replica);
    return m.replica != self_.replica &&
           (peer == nullptr || is_away(peer->state) || peer->full || !peer->proved);
  });
  return recorded_.size() - static_cast<std::size_t>(away) < required();
}

bool InSync::quorum_is_full() const {
  const auto full = std::count_if(recorded_.begin(), recorded_.end(), [&](const SetMember& m) {
    const auto* peer = find(m.replica);
    return peer != nullptr && peer->full;
  });
  return full > 0 && recorded_.size() - static_cast<std::size_t>(full) < required();
}

std::string InSync::quorum_waiting_for(const LogNumbers& log) const {
  auto text = missing_of(recorded_, log);
  if (!text.empty() || (!pending_ && !voters_change())) return text;
  const auto next = pending_ ? *pending_ : next_voters(true, true, false);
  text = missing_of(next, log);
  return text.empty() ? text : fmt::format("the set is to become {}: {}", set_text(next), text);
}

/// Empty when the rule of these voters has committed the head.
std::string InSync::missing_of(const std::vector<SetMember>& voters, const LogNumbers& log) const {
  const auto rule = rule_of(voters);
  if (quorum_durable(rule, log.own_durable) >= log.head && !quorum_is_full()) return {};
  std::string text;
  if (log.own_durable < log.head) {
    text = fmt::format("the primary's disk has {} of {}", log.own_durable, log.head);
  }
  for (const auto& m : voters) {
    const auto* peer = find(m.replica);
    if (m.replica == self_.replica || peer == nullptr) continue;
    if (left(m.replica)) {
      add_part(text, fmt::format("replica {} was removed and still counts", m.replica));
    } else if (peer->durable < log.head || is_away(peer->state) || peer->full) {
      add_part(text,
               fmt::format("replica {} ({}) {}", m.replica, peer->node, why_waiting(*peer, log)));
    }
  }
  if (rule.required > voters.size()) {
    add_part(text, fmt::format("{} more must come in line", rule.required - voters.size()));
  }
  return fmt::format("{} of the {} voters {} must have it: {}", rule.required, voters.size(),
                     set_text(voters), text);
}

}  // namespace tidemark::engine
