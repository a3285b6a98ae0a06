#include "engine/control/control_plane.hpp"

#include <algorithm>
#include <set>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::control {

ControlPlane::ControlPlane(NodeId host, ClusterId cluster, std::uint64_t promise_wait)
    : host_(std::move(host)), cluster_(cluster), promise_wait_(promise_wait) {}

Status ControlPlane::load(const std::vector<std::pair<std::string, std::string>>& records) {
  const auto senseless = [](const std::string& key) {
    return Error{
        Errc::corrupt,
        fmt::format("load the control plane's state: the value of {} makes no sense", key)};
  };
  for (const auto& [key, value] : records) {
    if (key == counters_key) {
      const auto next = decode_counters(value);
      if (!next) return senseless(key);
      next_replica_ = *next;
    } else if (key.starts_with(node_prefix)) {
      const auto node = decode_node(value);
      if (!node || key_of(*node) != key) return senseless(key);
      nodes_[node->id.name] = *node;
    } else if (key.starts_with(volume_prefix)) {
      const auto volume = decode_volume(value);
      if (!volume || key_of(*volume) != key) return senseless(key);
      volumes_[volume->spec.id].record = *volume;
    } else {
      return senseless(key);
    }
  }
  return Done{};
}

// --- nodes come and go ---------------------------------------------------------------------------

std::optional<Refused> ControlPlane::unwelcome(const Register& m) const {
  const auto known = nodes_.find(m.node.name);
  if (known == nodes_.end()) {
    if (nodes_.size() < nodes_max) return std::nullopt;
    return Refused{RefusalCode::wrong_node,
                   fmt::format("the cluster has {} nodes, its maximum", nodes_max),
                   {}};
  }
  const auto& node = known->second;
  if (node.id == m.node) {
    // No process changes its address: two of them call themselves by the same number.
    if (m.incarnation == node.incarnation && m.replication != node.replication) {
      return Refused{
          RefusalCode::stale_incarnation,
          fmt::format("incarnation {} of {} is at {}, and registers from {} too: was its "
                      "data directory copied, or put back?",
                      m.incarnation, m.node.name, node.replication, m.replication),
          {}};
    }
    if (m.incarnation >= node.incarnation) return std::nullopt;
    return Refused{RefusalCode::stale_incarnation,
                   fmt::format("incarnation {} of {} registers, but {} did before", m.incarnation,
                               m.node.name, node.incarnation),
                   {}};
  }
  sometimes(!node.readmit, Mark::wiped_node_refused);
  const bool admitted = node.readmit && (!node.readmit_uuid || node.readmit_uuid == m.node.uuid);
  if (admitted && session_of(node.id) == nullptr) return std::nullopt;
  return Refused{RefusalCode::wrong_node,
                 fmt::format("{} is known under UUID {}, not {}: a node with a new data directory "
                             "needs an operator's `tidemark replica replace` or `node readmit`",
                             m.node.name, to_string(node.id.uuid), to_string(m.node.uuid)),
                 {}};
}

/// Says whether others must hear of a new address.
bool ControlPlane::remember_node(const Register& m, Effects& out) {
  auto& node = nodes_[m.node.name];
  const auto before = node;
  if (node.id.uuid && node.id != m.node) {
    // The former holder of the name never comes back: nobody waits for its directories any more.
    for (auto& [id, volume] : volumes_) {
      const auto was = volume.record.gone.size();
      std::erase_if(volume.record.gone, [&](const Placement& p) { return p.node == before.id; });
      if (volume.record.gone.size() != was) persist(volume, out);
    }
  }
  node = NodeRecord{.id = m.node,
                    .replication = m.replication,
                    .nbd = m.nbd,
                    .incarnation = m.incarnation,
                    .readmit = node.id == m.node && node.readmit,
                    .readmit_uuid = node.id == m.node ? node.readmit_uuid : Uuid{}};
  strangers_.erase(m.node.name);
  if (node == before) return false;
  out.push_back(Persist{{{key_of(node), encode(node)}}});
  return before.id != node.id || before.replication != node.replication || before.nbd != node.nbd;
}

Effects ControlPlane::on_register(LinkKey link, const Register& m, const Moment& at) {
  if (const auto refused = unwelcome(m)) {
    const auto known = nodes_.find(m.node.name);
    if (known != nodes_.end() && known->second.id != m.node) strangers_[m.node.name] = m.node.uuid;
    return {Drop{link, *refused}, Report{{},
                                         Event(Level::warning, "node_refused")
                                             .with("node", m.node.name)
                                             .with("uuid", to_string(m.node.uuid))
                                             .with("reason", refused->text)}};
  }
  Effects out;
  const auto older = sessions_.find(m.node.name);
  if (older != sessions_.end() && older->second.link != link) {
    out.push_back(Drop{older->second.link,
                       Refused{RefusalCode::stale_session, "a newer connection took over", {}}});
  }
  sessions_[m.node.name] = Session{link, m.node};
  const bool moved = remember_node(m, out);
  out.push_back(Send{link, Registered{cluster_}});
  out.push_back(Report{{},
                       Event(Level::info, "node_registered")
                           .with("node", m.node.name)
                           .with("incarnation", m.incarnation)
                           .with("replication", m.replication)});
  for (auto& [id, volume] : volumes_) {
    const bool member = volume.record.on_node(m.node) != nullptr;
    if (moved && member && !volume.record.deleting) {
      volume.record.version = Version(volume.record.version.value + 1);
      persist(volume, out);
      if (volume.record.settled()) assign_all(volume, out);
    }
    tell_node(volume, m.node, at, out);
  }
  return out;
}

void ControlPlane::tell_node(Volume& volume, const NodeId& node, const Moment& at, Effects& out) {
  unassign_gone(volume, node, out);
  const auto* self = volume.record.on_node(node);
  if (self == nullptr || volume.record.deleting) return;
  const auto incarnation = nodes_.at(node.name).incarnation;
  const bool reign_over = self->replica == volume.record.primary &&
                          volume.record.primary_incarnation < incarnation &&
                          !planted(Bug::primary_resumes_epoch);
  if (volume.record.settled() && reign_over) {
    begin_fencing(volume, volume.record.epoch, "the primary's node was started again", at, out);
    return;
  }
  if (volume.record.settled()) return assign(volume, *self, out);
  // A promise of an incarnation that is over says too little about exactness: it is given again.
  const auto promise = volume.promises.find(self->replica);
  if (promise != volume.promises.end() && promise->second.incarnation < incarnation) {
    volume.promises.erase(promise);
  }
  ask_promises(volume, out);
}

Effects ControlPlane::on_link_down(LinkKey link) {
  const auto* session = session_of(link);
  if (session == nullptr) return {};
  const auto name = session->node.name;
  // Who is out of reach is not chosen: what it promised is asked again when it is back.
  for (auto& [id, volume] : volumes_) {
    const auto* member = volume.record.on_node(session->node);
    if (member != nullptr) volume.promises.erase(member->replica);
  }
  sessions_.erase(name);
  return {Report{{}, Event(Level::warning, "node_disconnected").with("node", name)}};
}

// --- what nodes answer ---------------------------------------------------------------------------

Effects ControlPlane::on_message(LinkKey link, const AssignAck& m) {
  const auto* session = session_of(link);
  auto* volume = find(m.volume);
  if (session == nullptr || volume == nullptr) return {};
  const auto* member = volume->record.on_node(session->node);
  if (member == nullptr) return {};
  auto& acked = volume->acked[member->replica];
  acked = std::max(acked, Acked{m.epoch, m.version});
  return {};
}

Effects ControlPlane::on_message(LinkKey link, const UnassignAck& m) {
  const auto* session = session_of(link);
  auto* volume = find(m.volume);
  if (session == nullptr || volume == nullptr) return {};
  auto& gone = volume->record.gone;
  const auto was = gone.size();
  std::erase_if(
      gone, [&](const Placement& p) { return p.replica == m.replica && p.node == session->node; });
  if (gone.size() == was) return {};
  Effects out;
  if (volume->record.deleting && gone.empty()) {
    out.push_back(Persist{{{key_of(volume->record), std::nullopt}}});
    report(*volume, Event(Level::info, "volume_forgotten"), out);
    volumes_.erase(m.volume);
    return out;
  }
  persist(*volume, out);
  return out;
}

std::string ControlPlane::objection(const Volume& volume, const Session& from,
                                    const ProposeSet& m) const {
  const auto& record = volume.record;
  const auto* self = record.on_node(from.node);
  if (record.deleting) return "the volume is being deleted";
  if (sometimes(!record.settled(), Mark::set_proposed_amid_promotion))
    return "a promotion is under way";
  if (sometimes(m.epoch != record.epoch || m.version != record.version, Mark::cas_lost)) {
    return fmt::format("(epoch {}, version {}) was to be replaced, but ({}, {}) stands", m.epoch,
                       m.version, record.epoch, record.version);
  }
  const auto incarnation = nodes_.at(from.node.name).incarnation;
  if (self == nullptr || self->replica != record.primary ||
      incarnation != record.primary_incarnation) {
    return fmt::format("{} is not the primary in the incarnation that reigns", from.node.name);
  }
  std::set<ReplicaId> seen;
  bool primary_in = false;
  for (const auto& entry : m.in_sync) {
    const auto* member = record.member(entry.replica);
    const auto* stands = record.in_set(entry.replica);
    if (!seen.insert(entry.replica).second)
      return fmt::format("replica {} stands twice", entry.replica);
    if (member == nullptr && stands != nullptr && *stands == entry)
      continue;  // It left: see leave().
    if (member == nullptr) return fmt::format("replica {} is no member", entry.replica);
    const auto node = nodes_.find(member->node.name);
    const bool known = node != nodes_.end() && node->second.id == member->node;
    // Between the primary's witness and this request the member may have started again (KIP-903).
    const bool unchanged = stands != nullptr && *stands == entry;
    const bool again = !unchanged && known && entry.incarnation < node->second.incarnation;
    if (sometimes(again, Mark::member_started_again)) {
      return fmt::format("{} has started again since, as incarnation {}", member->node.name,
                         node->second.incarnation);
    }
    if (entry.replica == record.primary)
      primary_in = entry.incarnation == record.primary_incarnation;
  }
  if (!primary_in) return "the primary in its incarnation must be in the set";
  if (record.spec.mode == Mode::best_effort && m.in_sync.size() != 1) {
    return "in best_effort the primary alone counts";
  }
  // On the way to sync_all the primary leaves out whom that would wait for.
  const bool to_all = record.wish && record.wish->mode == Mode::sync_all;
  if (record.spec.mode == Mode::sync_quorum && !to_all) {
    for (const auto& voter : record.in_sync) {
      if (seen.contains(voter.replica) || record.member(voter.replica) == nullptr) continue;
      return fmt::format("replica {} is a voter until an operator removes it", voter.replica);
    }
  }
  const auto floor = std::min<std::size_t>(record.spec.min_copies, record.in_sync.size());
  if (m.in_sync.size() < floor) {
    return fmt::format("{} copies would be fewer than min_copies = {}", m.in_sync.size(),
                       record.spec.min_copies);
  }
  return {};
}

Effects ControlPlane::on_message(LinkKey link, const ProposeSet& m) {
  const auto* session = session_of(link);
  auto* volume = find(m.volume);
  if (session == nullptr) return {};
  Effects out;
  if (volume == nullptr) return out;
  const auto why_not = objection(*volume, *session, m);
  if (!why_not.empty()) {
    decided(link, *volume, m, false, why_not, out);
    return out;
  }
  auto& record = volume->record;
  record.version = Version(record.version.value + 1);
  record.in_sync = m.in_sync;
  std::sort(record.in_sync.begin(), record.in_sync.end());
  retire_replaced(*volume, out);
  persist(*volume, out);
  std::string set;
  for (const auto& entry : record.in_sync) {
    const auto* member = record.member(entry.replica);
    set += (set.empty() ? "" : ",") + (member == nullptr ? "?" : member->node.name);
  }
  report(*volume,
         Event(Level::info, "set_changed")
             .with("in_sync", set)
             .with("version", record.version)
             .with("reason", m.reason),
         out);
  decided(link, *volume, m, true, m.reason, out);
  assign_all(*volume, out);
  return out;
}

void ControlPlane::decided(LinkKey link, const Volume& volume, const ProposeSet& asked,
                           bool accepted, const std::string& reason, Effects& out) const {
  const auto& r = volume.record;
  out.push_back(Send{
      link, SetDecided{r.spec.id, accepted, r.epoch, r.version, r.in_sync, reason, asked.number}});
}

// --- time ----------------------------------------------------------------------------------------

Effects ControlPlane::on_tick(const Moment& at) {
  Effects out;
  for (auto& [id, volume] : volumes_) {
    for (const auto& [name, session] : sessions_) unassign_gone(volume, session.node, out);
    if (volume.record.deleting) continue;
    if (!volume.record.settled()) {
      if (!volume.fencing_since) volume.fencing_since = at.now;  // Loaded: the wait begins anew.
      ask_promises(volume, out);
      choose_when_ready(volume, at, out);
      continue;
    }
    for (const auto& member : volume.record.members) {
      if (awaited(volume, member)) assign(volume, member, out);
    }
  }
  return out;
}

bool ControlPlane::awaited(const Volume& volume, const Placement& member) const {
  const auto acked = volume.acked.find(member.replica);
  const Acked wanted{volume.record.epoch, volume.record.version};
  return acked == volume.acked.end() || acked->second < wanted;
}

// --- shared by the handlers ----------------------------------------------------------------------

void ControlPlane::persist(const Volume& volume, Effects& out) const {
  out.push_back(Persist{{{key_of(volume.record), encode(volume.record)}}});
}

void ControlPlane::report(const Volume& volume, Event event, Effects& out) const {
  auto named = std::move(event).with("volume", volume.record.spec.name);
  out.push_back(Report{volume.record.spec.id, std::move(named)});
}

void ControlPlane::assign(const Volume& volume, const Placement& to, Effects& out) const {
  const auto* session = session_of(to.node);
  if (session == nullptr) return;  // Told when it registers.
  out.push_back(Send{session->link, Assign{assignment_for(volume.record, to, nodes_)}});
}

void ControlPlane::assign_all(const Volume& volume, Effects& out) const {
  for (const auto& member : volume.record.members) assign(volume, member, out);
}

void ControlPlane::unassign_gone(const Volume& volume, const NodeId& node, Effects& out) const {
  const auto* session = session_of(node);
  if (session == nullptr) return;
  for (const auto& p : volume.record.gone) {
    if (p.node == node)
      out.push_back(Send{session->link, Unassign{volume.record.spec.id, p.replica}});
  }
}

/// Out of members and set; its node is told until it says that the directory is gone. A voter of
/// sync_quorum stays in the set, without data or vote, until the primary asks for the set without it:
/// only the primary knows that all it committed is so by the smaller set's rule too (C12).
void ControlPlane::leave(Volume& volume, ReplicaId replica) const {
  auto& record = volume.record;
  const auto* member = record.member(replica);
  CHECK(member != nullptr);
  const auto known = nodes_.find(member->node.name);
  const bool may_come = known != nodes_.end() && known->second.id == member->node;
  if (may_come) record.gone.push_back(*member);
  const bool votes = record.spec.mode == Mode::sync_quorum && !record.deleting;
  sometimes(votes && record.in_set(replica) != nullptr, Mark::voter_removed);
  if (!votes || planted(Bug::voter_leaves_at_once)) {
    std::erase_if(record.in_sync, [&](const SetMember& m) { return m.replica == replica; });
  }
  std::erase_if(record.members, [&](const Placement& p) { return p.replica == replica; });
  // Whom it was to replace stays.
  for (auto& p : record.members) {
    if (p.replaced_by == replica) p.replaced_by = ReplicaId{};
  }
  volume.acked.erase(replica);
}

/// A replica that is to be replaced leaves once it no longer counts, or its replacement does.
void ControlPlane::retire_replaced(Volume& volume, Effects& out) const {
  std::vector<ReplicaId> leaving;
  for (const auto& p : volume.record.members) {
    if (!p.replaced_by || p.replica == volume.record.primary) continue;
    const bool counts = volume.record.in_set(p.replica) != nullptr;
    if (!counts || volume.record.in_set(p.replaced_by) != nullptr) leaving.push_back(p.replica);
  }
  for (const auto replica : leaving) {
    report(volume, Event(Level::info, "replica_left").with("replica", replica), out);
    leave(volume, replica);
  }
}

const ControlPlane::Session* ControlPlane::session_of(LinkKey link) const {
  for (const auto& [name, session] : sessions_) {
    if (session.link == link) return &session;
  }
  return nullptr;
}

const ControlPlane::Session* ControlPlane::session_of(const NodeId& node) const {
  const auto found = sessions_.find(node.name);
  return found != sessions_.end() && found->second.node == node ? &found->second : nullptr;
}

ControlPlane::Volume* ControlPlane::find(const VolumeId& id) {
  const auto found = volumes_.find(id);
  return found == volumes_.end() ? nullptr : &found->second;
}

}  // namespace tidemark::engine::control
