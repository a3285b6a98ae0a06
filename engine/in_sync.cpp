#include "engine/in_sync.hpp"

#include <algorithm>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/quorum.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine {
namespace {

const SetMember* in(const std::vector<SetMember>& set, ReplicaId replica) {
  const auto at = std::find_if(set.begin(), set.end(),
                               [&](const SetMember& m) { return m.replica == replica; });
  return at == set.end() ? nullptr : &*at;
}

}  // namespace

bool is_away(PeerState state) {
  return state == PeerState::disconnected || state == PeerState::connecting ||
         state == PeerState::refused || state == PeerState::stopped;
}

std::string set_text(const std::vector<SetMember>& set) {
  std::string text = "{";
  for (const auto& m : set) text += fmt::format("{}{}", text.size() > 1 ? "," : "", m.replica);
  return text + "}";
}

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::outside:
      return "outside";
    case Standing::counting:
      return "counting";
    case Standing::joining:
      return "joining";
    case Standing::member:
      return "member";
    case Standing::leaving:
      return "leaving";
  }
  return "unknown";
}

InSync::InSync(const Assignment& assignment, InSyncLimits limits, MonoTime now)
    : limits_(limits),
      volume_(assignment.spec.id),
      mode_(assignment.spec.mode),
      modes_{mode_},
      min_copies_(assignment.spec.min_copies),
      epoch_(assignment.epoch),
      self_{assignment.self, assignment.primary_incarnation} {
  CHECK(assignment.in_set(assignment.self) != nullptr);
  own_well_at_ = now;
  take_members(assignment, now);
  take_set(assignment.in_sync, assignment.version);
}

void InSync::see(const PeerSeen& seen, MonoTime now) {
  auto* peer = find(seen.replica);
  if (peer == nullptr) return;
  if (seen.incarnation && seen.incarnation < peer->incarnation) return;
  if (lacks_nothing(*peer, head_)) peer->well_at = now;  // Until this very moment.
  if (seen.incarnation > peer->incarnation) {
    peer->incarnation = seen.incarnation;
    peer->received = Lsn{};
    peer->counting = false;
  }
  if (is_away(seen.state) && !is_away(peer->state)) {
    peer->away_since = now;
    peer->received = std::min(peer->received, peer->durable);
  }
  if (!is_away(seen.state)) peer->was_linked = true;
  peer->state = seen.state;
  peer->proved = seen.proved;
  if (seen.durable > peer->reported) {
    peer->reported = seen.durable;
    peer->progress_at = peer->well_at = now;
  }
  const bool voteless =
      !seen.proved && (seen.state == PeerState::preparing || seen.state == PeerState::rebuilding ||
                       seen.state == PeerState::refused);
  const bool takes_all = stands(Mode::sync_quorum) && planted(Bug::quorum_counts_voteless);
  if (seen.proved || (voteless && takes_all)) {
    peer->received = seen.received;
    peer->durable = seen.durable;
  } else if (voteless && stands(Mode::sync_quorum)) {
    // What it acknowledged once is not what it has: it stays a voter that holds nothing (C13).
    peer->received = peer->durable = Lsn{};
  }
  // Zero is also what a sender says of a replica that it has not heard of yet.
  if (seen.wal_free_bytes > 0) peer->had_room = true;
  peer->full = seen.wal_free_bytes == 0 && (peer->had_room || seen.proved);
  if (peer->state != PeerState::streaming || !peer->proved) peer->counting = false;
  recount();
}

void InSync::numbered(Lsn head_before, MonoTime now) {
  for (auto& peer : peers_) {
    if (peer.durable >= head_before) peer.progress_at = now;
    if (lacks_nothing(peer, head_before)) peer.well_at = now;
  }
  if (own_durable_ >= head_before) own_well_at_ = now;
  head_ = std::max(head_, head_before.next());
}

std::optional<ProposeSet> InSync::propose(const LogNumbers& log, MonoTime now) {
  if (mode_ == Mode::best_effort) return std::nullopt;
  update_counting(log, now);
  if (pending_) {
    if (now - sent_at_ < limits_.propose_again_after) return std::nullopt;
    sometimes(Mark::proposal_repeated);
  } else {
    if (now < quiet_until_ || content(log, now)) return std::nullopt;
    auto choice = mode_ == Mode::sync_quorum ? choose_voters(log, now) : choose(log, now);
    if (choice.next == recorded_) return std::nullopt;
    pending_ = std::move(choice.next);
    pending_reason_ = std::move(choice.reason);
    ++number_;
    recount();
    events_.push_back(Event(Level::info, "set_proposed")
                          .with("from", set_text(recorded_))
                          .with("to", set_text(*pending_))
                          .with("reason", pending_reason_));
  }
  sent_at_ = now;
  return proposal();
}

bool InSync::decide(const SetDecided& decided, MonoTime now) {
  if (decided.epoch != epoch_ || decided.volume != volume_) return false;
  if (sometimes(decided.version < version_, Mark::set_answer_stale)) return false;
  if (decided.version == version_) {
    if (decided.accepted || !pending_ || decided.number != number_) return false;
    sometimes(Mark::set_refused);
    events_.push_back(Event(Level::warning, "set_refused")
                          .with("proposed", set_text(*pending_))
                          .with("stands", set_text(recorded_))
                          .with("reason", decided.reason));
    pending_.reset();
    quiet_until_ = now + limits_.propose_again_after;
    recount();
    return false;
  }
  // A newer version stands, ours or another's: what was proposed
  // on the old one can't be accepted any more.
  if (in(decided.in_sync, self_.replica) == nullptr) return false;
  sometimes(pending_ && !decided.accepted, Mark::proposal_overtaken);
  take_set(decided.in_sync, decided.version);
  return true;
}

bool InSync::reassign(const Assignment& assignment, MonoTime now) {
  if (assignment.epoch != epoch_ || assignment.version < version_) return false;
  if (assignment.in_set(self_.replica) == nullptr) return false;
  take_members(assignment, now);
  if (assignment.version == version_) {
    // A decision told the set of this version before its assignment came, but not its members.
    // What was proposed since then stands.
    keep_recorded();
    recount();
    return false;
  }
  take_set(assignment.in_sync, assignment.version);
  return true;
}

void InSync::take_members(const Assignment& assignment, MonoTime now) {
  std::vector<Peer> peers;
  members_.clear();
  for (const auto& member : assignment.members) {
    members_.push_back(member.replica);
    if (member.replica == self_.replica) continue;
    Peer peer;
    if (const auto* known = find(member.replica)) {
      peer = *known;
    } else {
      peer.replica = member.replica;
      peer.away_since = peer.progress_at = peer.well_at = now;
    }
    peer.node = member.node.name;
    peers.push_back(std::move(peer));
  }
  peers_ = std::move(peers);
}

void InSync::take_set(std::vector<SetMember> in_sync, Version version) {
  if (version_) {
    events_.push_back(Event(Level::info, "set_changed")
                          .with("from", set_text(recorded_))
                          .with("to", set_text(in_sync))
                          .with("version", version));
  }
  recorded_ = std::move(in_sync);
  version_ = version;
  keep_recorded();
  pending_.reset();
  for (auto& peer : peers_) {
    peer.held_in = false;
    const bool came_in = in(recorded_, peer.replica) != nullptr && recorded_exact(peer);
    if (mode_ == Mode::sync_quorum && came_in) peer.counting = false;
  }
  recount();
}

/// A set that names more than the members does not lose whom it names: it waits for it.
void InSync::keep_recorded() {
  for (const auto& m : recorded_) {
    if (m.replica == self_.replica || find(m.replica) != nullptr) continue;
    sometimes(Mark::set_names_no_member);
    Peer stranger;
    stranger.replica = m.replica;
    peers_.push_back(std::move(stranger));
  }
}

void InSync::recount() {
  counted_.clear();
  rules_.clear();
  if (stands(Mode::sync_quorum)) recount_rules();
  if (stands(Mode::sync_all)) recount_copies();
}

bool InSync::stands(Mode mode) const {
  return std::find(modes_.begin(), modes_.end(), mode) != modes_.end();
}

void InSync::recount_copies() {
  for (const auto& peer : peers_) {
    if (!counts(peer)) continue;
    if (is_away(peer.state) && planted(Bug::absent_copy_is_not_waited_for)) continue;
    const auto* asked = pending_ ? in(*pending_, peer.replica) : nullptr;
    const bool stays = !pending_ || (asked != nullptr && asked->incarnation == peer.incarnation);
    const bool asked_here = asked != nullptr && asked->incarnation == peer.incarnation;
    CountedCopy copy;
    copy.received = peer.received;
    copy.durable = peer.durable;
    copy.exact = recorded_exact(peer) && peer.incarnation && stays;
    copy.must_receive = recorded_exact(peer) || asked_here || peer.counting;
    counted_.push_back(copy);
  }
  const bool alone = std::all_of(peers_.begin(), peers_.end(),
                                 [](const Peer& peer) { return is_away(peer.state); });
  if (alone && planted(Bug::alone_is_enough)) counted_.clear();
}

bool InSync::counts(const Peer& peer) const {
  const bool recorded = in(recorded_, peer.replica) != nullptr;
  const bool asked = pending_ && in(*pending_, peer.replica) != nullptr;
  if (planted(Bug::member_leaves_before_cas) && pending_ && !asked) return false;
  if (planted(Bug::joins_without_counting)) return recorded;
  return recorded || asked || peer.counting;
}

/// Recorded where it runs, as far as is known: a member that was not seen yet may still be exact,
/// and a promotion would believe it.
bool InSync::recorded_exact(const Peer& peer) const {
  const auto* member = in(recorded_, peer.replica);
  return member != nullptr && (!peer.incarnation || member->incarnation == peer.incarnation);
}

ProposeSet InSync::proposal() const {
  ProposeSet p;
  p.volume = volume_;
  p.epoch = epoch_;
  p.version = version_;
  p.in_sync = *pending_;
  p.reason = pending_reason_;
  p.number = number_;
  return p;
}

Standing InSync::standing(ReplicaId replica) const {
  const auto* peer = find(replica);
  const bool recorded = in(recorded_, replica) != nullptr;
  const bool asked = pending_ && in(*pending_, replica) != nullptr;
  if (recorded) return pending_ && !asked ? Standing::leaving : Standing::member;
  if (asked) return Standing::joining;
  return peer != nullptr && peer->counting ? Standing::counting : Standing::outside;
}

bool InSync::exact(ReplicaId replica) const {
  if (replica == self_.replica) return true;
  const auto* peer = find(replica);
  return peer != nullptr && peer->incarnation && recorded_exact(*peer);
}

bool InSync::unsettled() const {
  if (pending_) return true;
  if (mode_ == Mode::sync_quorum && quorum_unsettled()) return true;
  return stands(Mode::sync_all) && std::any_of(peers_.begin(), peers_.end(), [&](const Peer& p) {
           return counts(p) && (is_away(p.state) || p.full || !p.proved);
         });
}

std::size_t InSync::required() const {
  if (mode_ != Mode::sync_quorum) return recorded_.size();
  return required_voters(recorded_.size(), min_copies_);
}

bool InSync::full_member_stays() const {
  if (mode_ == Mode::sync_quorum) return quorum_is_full();
  return std::any_of(peers_.begin(), peers_.end(),
                     [](const Peer& p) { return p.full && p.held_in; });
}

std::vector<Event> InSync::take_events() { return std::exchange(events_, {}); }

InSync::Peer* InSync::find(ReplicaId replica) {
  const auto at = std::find_if(peers_.begin(), peers_.end(),
                               [&](const Peer& p) { return p.replica == replica; });
  return at == peers_.end() ? nullptr : &*at;
}

const InSync::Peer* InSync::find(ReplicaId replica) const {
  return const_cast<InSync*>(this)->find(replica);
}

}  // namespace tidemark::engine
