// What the in-sync set should become: who leaves and why, who may join,
// and what min_copies forbids.
#include <algorithm>

#include "engine/in_sync.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine {
namespace {

bool holds(const std::vector<SetMember>& set, ReplicaId replica) {
  return std::any_of(set.begin(), set.end(),
                     [&](const SetMember& m) { return m.replica == replica; });
}

std::uint64_t milliseconds(std::uint64_t duration) { return duration / millisecond; }

void add_reason(std::string& reason, const std::string& more) {
  if (!reason.empty()) reason += "; ";
  reason += more;
}

}  // namespace

/// A streaming, proved replica begins to count so that its witness is of a moment from
/// which it counted. One that stalls meanwhile is dropped: nothing was asked for yet, so
/// nobody else counts it.
void InSync::update_counting(const LogNumbers& log, MonoTime now) {
  if (mode_ == Mode::sync_quorum) return update_joining(log, now);
  bool changed = false;
  for (auto& peer : peers_) {
    const bool in_line = peer.proved && peer.state == PeerState::streaming && peer.incarnation &&
                         !peer.full && peer.received >= log.committed &&
                         peer.durable >= peer.barred_below;
    const bool recorded_here = holds(recorded_, peer.replica) && recorded_exact(peer);
    const bool stalled =
        peer.durable < log.head && now - peer.progress_at >= limits_.leave_after_stalled;
    if (sometimes(peer.counting && stalled, Mark::joining_copy_stalled))
      peer.barred_below = log.head;
    const bool count = !recorded_here && in_line && !stalled;
    if (count && !peer.counting && peer.durable >= log.head) peer.progress_at = now;
    changed |= peer.counting != count;
    peer.counting = count;
  }
  if (changed) recount();
}

/// The witness of C11: it holds all that is committed on disk, in a log of this reign, and all that
/// was answered in memory; and it counted when that was seen.
bool InSync::witnessed(const Peer& peer, const LogNumbers& log) const {
  return peer.counting && peer.durable >= std::max(log.committed, log.epoch_record) &&
         peer.received >= log.answerable;
}

std::string InSync::why_leave(const Peer& peer, const LogNumbers& log, MonoTime now) const {
  if (sometimes(peer.full, Mark::member_leaves_full)) return "its disk is full";
  const auto gone = now - peer.away_since;
  if (is_away(peer.state) && peer.was_linked && gone >= limits_.leave_after_closed) {
    sometimes(Mark::member_leaves_gone);
    return fmt::format("its connection closed {} ms ago", milliseconds(gone));
  }
  const auto idle = now - peer.progress_at;
  if (peer.durable < log.head && idle >= limits_.leave_after_stalled) {
    sometimes(Mark::member_leaves_stalled);
    return fmt::format("no durable progress for {} ms, durable {} of {}", milliseconds(idle),
                       peer.durable, log.head);
  }
  return {};
}

/// Nobody has a reason to come or go: what is true nearly always, asked with every moved number.
bool InSync::content(const LogNumbers& log, MonoTime now) const {
  if (mode_ == Mode::sync_quorum) return !voters_change() && !wants_all();
  if (!blocked_.empty()) return false;
  if (std::find(recorded_.begin(), recorded_.end(), self_) == recorded_.end()) return false;
  return std::none_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    const bool stalls =
        peer.durable < log.head && now - peer.progress_at >= limits_.leave_after_stalled;
    const bool unwell = peer.full || is_away(peer.state) || stalls;
    return (unwell && counts(peer)) || witnessed(peer, log);
  });
}

InSync::Choice InSync::choose(const LogNumbers& log, MonoTime now) {
  Choice choice;
  std::vector<SetMember> leaving;
  choice.next.push_back(self_);
  for (auto& peer : peers_) {
    peer.held_in = false;
    const auto at = std::find_if(recorded_.begin(), recorded_.end(),
                                 [&](const SetMember& m) { return m.replica == peer.replica; });
    const bool recorded = at != recorded_.end();
    const auto why = recorded ? why_leave(peer, log, now) : std::string();
    const auto who = [&peer] { return fmt::format("replica {} ({})", peer.replica, peer.node); };
    if (!why.empty()) {
      leaving.push_back(*at);
      add_reason(choice.reason, fmt::format("{} leaves: {}", who(), why));
    } else if (witnessed(peer, log)) {
      choice.next.push_back({peer.replica, peer.incarnation});
      add_reason(choice.reason,
                 fmt::format("{} {}: durable {}, committed {}", who(),
                             recorded ? "is exact again" : "joins", peer.durable, log.committed));
    } else if (recorded) {
      choice.next.push_back(*at);
    }
  }
  keep_to_min_copies(choice, std::move(leaving));
  std::sort(choice.next.begin(), choice.next.end());
  return choice;
}

/// Puts back who should leave until there are min_copies, the most durable first. A set that never
/// had as many may not shrink either.
void InSync::keep_to_min_copies(Choice& choice, std::vector<SetMember> leaving) {
  const auto floor = std::min<std::size_t>(min_copies_, recorded_.size());
  std::stable_sort(leaving.begin(), leaving.end(), [&](const SetMember& a, const SetMember& b) {
    return find(a.replica)->durable > find(b.replica)->durable;
  });
  std::string held;
  for (const auto& member : leaving) {
    if (choice.next.size() >= floor) break;
    choice.next.push_back(member);
    sometimes(Mark::min_copies_forbids_leaving);
    find(member.replica)->held_in = true;
    add_reason(held, fmt::format("replica {} ({}) stays: min_copies {} forbids leaving it out",
                                 member.replica, find(member.replica)->node, min_copies_));
  }
  if (held == blocked_) return;
  if (held.empty()) {
    events_.push_back(Event(Level::info, "set_unblocked").with("set", set_text(recorded_)));
  } else {
    events_.push_back(
        Event(Level::warning, "set_blocked").with("set", set_text(recorded_)).with("reason", held));
  }
  blocked_ = held;
}

std::string InSync::waiting_for(const LogNumbers& log) const {
  for (const auto mode : modes_) {
    std::string text;
    if (mode == Mode::sync_quorum) text = quorum_waiting_for(log);
    if (mode == Mode::sync_all) text = all_waiting_for(log);
    if (text.empty()) continue;
    return mode == mode_ ? text : fmt::format("it is to become {}: {}", to_string(mode), text);
  }
  return {};
}

std::string InSync::all_waiting_for(const LogNumbers& log) const {
  std::string text;
  for (const auto& peer : peers_) {
    if (!counts(peer)) continue;
    const bool lacks = peer.durable < log.head || is_away(peer.state) || peer.full;
    if (!lacks) continue;
    add_reason(text,
               fmt::format("replica {} ({}) {}", peer.replica, peer.node, why_waiting(peer, log)));
  }
  if (text.empty()) return text;
  return fmt::format("in-sync set {}: {}", set_text(recorded_), text);
}

std::string InSync::why_waiting(const Peer& peer, const LogNumbers& log) const {
  std::string what = fmt::format("has {} of {} on its disk", peer.durable, log.head);
  if (peer.full) {
    what = "has a full disk";
  } else if (is_away(peer.state)) {
    what = "is away";
  } else if (!peer.proved) {
    what = fmt::format("is {}", to_string(peer.state));
  }
  if (peer.held_in) {
    return fmt::format("{} and min_copies {} forbids leaving it out", what, min_copies_);
  }
  if (standing(peer.replica) == Standing::leaving) {
    return what + "; the control plane has not yet agreed to leave it out";
  }
  return what;
}

}  // namespace tidemark::engine
