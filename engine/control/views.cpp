// What the control plane tells about itself; changes nothing.
#include <algorithm>
#include <tuple>

#include "engine/control/control_plane.hpp"

namespace tidemark::engine::control {

ControlPlane::Volume* ControlPlane::find(const std::string& name) {
  for (auto& [id, volume] : volumes_) {
    if (volume.record.spec.name == name && !volume.record.deleting) return &volume;
  }
  return nullptr;
}

Result<ControlPlane::Volume*> ControlPlane::wished(const std::string& name) {
  auto* found = find(name);
  if (found == nullptr) return Error{Errc::not_found, fmt::format("there is no volume {}", name)};
  return found;
}

const VolumeRecord* ControlPlane::volume(const std::string& name) const {
  for (const auto& [id, volume] : volumes_) {
    if (volume.record.spec.name == name && !volume.record.deleting) return &volume.record;
  }
  return nullptr;
}

const VolumeRecord* ControlPlane::volume(const VolumeId& id) const {
  const auto found = volumes_.find(id);
  return found == volumes_.end() ? nullptr : &found->second.record;
}

std::size_t ControlPlane::volumes_on(const NodeId& node) const {
  return static_cast<std::size_t>(std::count_if(
      volumes_.begin(), volumes_.end(),
      [&](const auto& entry) { return entry.second.record.on_node(node) != nullptr; }));
}

std::vector<NodeView> ControlPlane::nodes() const {
  std::vector<NodeView> views;
  for (const auto& [name, record] : nodes_) {
    NodeView view{record, session_of(record.id) != nullptr, volumes_on(record.id), {}};
    const auto stranger = strangers_.find(name);
    if (stranger != strangers_.end()) view.stranger = stranger->second;
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<VolumeRecord> ControlPlane::volumes() const {
  std::vector<VolumeRecord> all;
  for (const auto& [id, volume] : volumes_) all.push_back(volume.record);
  std::sort(all.begin(), all.end(), [](const VolumeRecord& a, const VolumeRecord& b) {
    return std::tie(a.deleting, a.spec.name, a.spec.id) <
           std::tie(b.deleting, b.spec.name, b.spec.id);
  });
  return all;
}

std::optional<LinkKey> ControlPlane::link_of(const std::string& node) const {
  const auto found = sessions_.find(node);
  if (found == sessions_.end()) return std::nullopt;
  return found->second.link;
}

std::optional<std::string> ControlPlane::node_of(LinkKey link) const {
  const auto* session = session_of(link);
  if (session == nullptr) return std::nullopt;
  return session->node.name;
}

std::string ControlPlane::pending_promotion(const Volume& volume) const {
  const auto& record = volume.record;
  std::string awaited;
  for (const auto& m : record.in_sync) {
    const auto* member = record.member(m.replica);
    if (member == nullptr || volume.promises.contains(m.replica)) continue;
    awaited += (awaited.empty() ? "" : ", ") + member->node.name;
  }
  auto text = fmt::format("epoch {} is being promised", record.fencing);
  if (record.spec.mode == Mode::sync_quorum) {
    const auto poll = count_votes(record, volume.promises);
    text += fmt::format("; {} of the {} votes that {} voters need are there{}", poll.votes,
                        poll.needed, poll.voters, poll.voteless);
  } else if (awaited.empty()) {
    text += ", but no copy that promised may be primary";
  }
  return awaited.empty() ? text : text + "; no answer yet from " + awaited;
}

std::vector<std::string> ControlPlane::pending(const VolumeId& id) const {
  std::vector<std::string> what;
  const auto found = volumes_.find(id);
  if (found == volumes_.end()) return what;
  const auto& volume = found->second;
  for (const auto& p : volume.record.gone) {
    what.push_back(fmt::format("{} has not yet deleted replica {}", p.node.name, p.replica));
  }
  if (!volume.record.settled()) what.push_back(pending_promotion(volume));
  if (const auto* left = volume.record.left_voter()) {
    what.push_back(
        fmt::format("replica {} was removed and still counts among the voters", left->replica));
  }
  if (volume.record.wish) what.push_back(change_text(volume.record) + " is under way");
  for (const auto& member : volume.record.members) {
    const bool connected = session_of(member.node) != nullptr;
    if (!connected && strangers_.contains(member.node.name)) {
      what.push_back(
          fmt::format("{} came back with another data directory; replacing the copy there lets it "
                      "in and rebuilds it",
                      member.node.name));
      continue;
    }
    if (!awaited(volume, member)) continue;
    what.push_back(fmt::format("{} has not yet taken its assignment{}", member.node.name,
                               connected ? "" : " (not connected)"));
  }
  return what;
}

std::vector<std::string> ControlPlane::pending_reachable(const VolumeId& id, bool rules) const {
  std::vector<std::string> what;
  const auto found = volumes_.find(id);
  if (found == volumes_.end()) return what;
  const auto& volume = found->second;
  for (const auto& p : volume.record.gone) {
    if (session_of(p.node) != nullptr) what.push_back(p.node.name);
  }
  if (!volume.record.settled()) what.push_back("a promotion is under way");
  const auto* primary = volume.record.member(volume.record.primary);
  // A primary that is away makes nothing a record.
  const auto& wish = volume.record.wish;
  const bool wished = wish && (rules || wish->size_bytes != volume.record.spec.size_bytes);
  if (wished && primary != nullptr && session_of(primary->node) != nullptr) {
    what.push_back("a change is under way");
  }
  if (volume.record.left_voter() != nullptr && primary != nullptr &&
      session_of(primary->node) != nullptr) {
    what.push_back(primary->node.name);
  }
  for (const auto& member : volume.record.members) {
    if (awaited(volume, member) && session_of(member.node) != nullptr) {
      what.push_back(member.node.name);
    }
  }
  return what;
}

std::string ControlPlane::refused_wish(const VolumeId& id) const {
  const auto found = volumes_.find(id);
  return found == volumes_.end() ? std::string() : found->second.refused_wish;
}

}  // namespace tidemark::engine::control
