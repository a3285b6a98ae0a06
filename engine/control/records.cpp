#include "engine/control/records.hpp"

#include <algorithm>

#include "engine/catalog_codec.hpp"
#include "engine/check.hpp"

namespace tidemark::engine::control {
namespace {

template <class List, class Is>
auto first(const List& list, Is is) -> decltype(list.data()) {
  const auto found = std::find_if(list.begin(), list.end(), is);
  return found == list.end() ? nullptr : &*found;
}

void put(CatalogWriter& to, const Placement& p) {
  to.number(p.replica.value);
  to.node(p.node);
  to.number(p.replaced_by.value);
}

Placement get_placement(CatalogReader& from) {
  Placement p;
  p.replica = ReplicaId(from.number());
  p.node = from.node();
  p.replaced_by = ReplicaId(from.number());
  return p;
}

}  // namespace

const Placement* VolumeRecord::member(ReplicaId replica) const {
  return first(members, [&](const Placement& p) { return p.replica == replica; });
}
const Placement* VolumeRecord::on_node(const NodeId& node) const {
  return first(members, [&](const Placement& p) { return p.node == node; });
}
const Placement* VolumeRecord::on_node(const std::string& name) const {
  const auto stays = [&](const Placement& p) { return p.node.name == name && !p.replaced_by; };
  const auto there = [&](const Placement& p) { return p.node.name == name; };
  const auto* found = first(members, stays);
  return found != nullptr ? found : first(members, there);
}
const SetMember* VolumeRecord::left_voter() const {
  const auto found = std::find_if(in_sync.begin(), in_sync.end(), [this](const SetMember& m) {
    return member(m.replica) == nullptr;
  });
  return found == in_sync.end() ? nullptr : &*found;
}

void VolumeRecord::begin_reign(bool forced) {
  if (reigns.size() == reigns_max) reigns.erase(reigns.begin());
  reigns.push_back(Reign{epoch, version, forced});
}

const SetMember* VolumeRecord::in_set(ReplicaId replica) const {
  return first(in_sync, [&](const SetMember& m) { return m.replica == replica; });
}

std::string key_of(const NodeRecord& node) { return std::string(node_prefix) + node.id.name; }
std::string key_of(const VolumeRecord& volume) {
  return std::string(volume_prefix) + to_string(volume.spec.id);
}

std::string encode(const NodeRecord& node) {
  CatalogWriter to(CatalogKind::control_node);
  to.node(node.id);
  to.text(node.replication);
  to.text(node.nbd);
  to.number(node.incarnation.value);
  to.byte(node.readmit);
  to.uuid(node.readmit_uuid);
  return to.take();
}

std::optional<NodeRecord> decode_node(std::string_view bytes) {
  CatalogReader from(bytes, CatalogKind::control_node);
  NodeRecord node;
  node.id = from.node();
  node.replication = from.text();
  node.nbd = from.text();
  node.incarnation = Incarnation(from.number());
  node.readmit = from.flag();
  node.readmit_uuid = from.uuid();
  if (!from.done()) return std::nullopt;
  return node;
}

std::string encode(const VolumeRecord& volume) {
  CatalogWriter to(CatalogKind::control_volume);
  to.spec(volume.spec);
  to.number(volume.epoch.value);
  to.number(volume.nonce);
  to.number(volume.version.value);
  to.number(volume.primary.value);
  to.number(volume.primary_incarnation.value);
  to.byte(volume.marks);
  to.list(volume.members, [&](const Placement& p) { put(to, p); });
  to.set(volume.in_sync);
  to.list(volume.gone, [&](const Placement& p) { put(to, p); });
  to.number(volume.fencing.value);
  to.text(volume.fencing_reason.substr(0, catalog_string_bytes_max));
  to.number(volume.wanted.value);
  to.byte(volume.deleting);
  to.wanted(volume.wish);
  to.reigns(volume.reigns);
  return to.take();
}

std::optional<VolumeRecord> decode_volume(std::string_view bytes) {
  CatalogReader from(bytes, CatalogKind::control_volume);
  VolumeRecord v;
  v.spec = from.spec();
  v.epoch = Epoch(from.number());
  v.nonce = from.number();
  v.version = Version(from.number());
  v.primary = ReplicaId(from.number());
  v.primary_incarnation = Incarnation(from.number());
  v.marks = from.byte();
  v.members = from.list([&] { return get_placement(from); });
  v.in_sync = from.set();
  v.gone = from.list([&] { return get_placement(from); });
  v.fencing = Epoch(from.number());
  v.fencing_reason = from.text();
  v.wanted = ReplicaId(from.number());
  v.deleting = from.flag();
  v.wish = from.wanted();
  v.reigns = from.reigns();
  if (!from.done()) return std::nullopt;
  return v;
}

std::string encode_counters(std::uint64_t next_replica) {
  CatalogWriter to(CatalogKind::control_counters);
  to.number(next_replica);
  return to.take();
}

std::optional<std::uint64_t> decode_counters(std::string_view bytes) {
  CatalogReader from(bytes, CatalogKind::control_counters);
  const auto next = from.number();
  if (!from.done() || next == 0) return std::nullopt;
  return next;
}

Assignment assignment_for(const VolumeRecord& volume, const Placement& self, const Nodes& nodes) {
  Assignment a;
  a.spec = volume.spec;
  a.epoch = volume.epoch;
  a.nonce = volume.nonce;
  a.version = volume.version;
  a.self = self.replica;
  a.role = self.replica == volume.primary ? Role::primary : Role::replica;
  a.primary = volume.primary;
  a.primary_incarnation = volume.primary_incarnation;
  a.marks = volume.marks;
  a.in_sync = volume.in_sync;
  a.wanted = volume.wish;
  a.reigns = volume.reigns;
  for (const auto& p : volume.members) {
    Member m{.replica = p.replica, .node = p.node, .endpoint = {}, .nbd = {}};
    const auto node = nodes.find(p.node.name);
    if (node != nodes.end() && node->second.id == p.node) {
      m.endpoint = node->second.replication;
      m.nbd = node->second.nbd;
    }
    a.members.push_back(std::move(m));
  }
  return a;
}

}  // namespace tidemark::engine::control
