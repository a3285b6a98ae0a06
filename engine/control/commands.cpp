// What operators ask for: volumes made and deleted, copies added, taken away and replaced,
// nodes let in again.
#include <algorithm>
#include <set>
#include <tuple>

#include "engine/catalog_codec.hpp"
#include "engine/check.hpp"
#include "engine/control/control_plane.hpp"
#include "engine/text.hpp"

namespace tidemark::engine::control {
namespace {

/// The same volume was asked for before; its id is not part of a wish.
bool same_wish(const VolumeSpec& a, VolumeSpec b) {
  b.id = a.id;
  return a == b;
}

/// Former copies are remembered until their nodes say that the directory is gone; the record holds so many.
std::optional<std::string> too_many_gone(const VolumeRecord& record) {
  if (record.gone.size() + record.members.size() < catalog_list_max) return std::nullopt;
  return fmt::format(
      "{} former copies are still to be deleted on nodes that are away; start these nodes or "
      "readmit "
      "their names first",
      record.gone.size());
}

/// In sync_quorum voters leave one at a time: each step must be safe with all that may fail in it.
std::optional<std::string> voter_is_leaving(const VolumeRecord& record) {
  const auto* left = record.left_voter();
  if (left == nullptr) return std::nullopt;
  return fmt::format(
      "replica {} was removed and still counts among the voters until the primary has all that is "
      "committed on enough of the others; try again when it no longer stands under `pending`",
      left->replica);
}

/// What is in force, or what it is to become if that is more.
std::uint32_t min_copies_of(const VolumeRecord& record) {
  return std::max(record.spec.min_copies, record.wish ? record.wish->min_copies : 0);
}

}  // namespace

std::optional<Error> flaw(const CreateVolume& wish) {
  const auto& spec = wish.spec;
  const auto wrong = [&](std::string text) {
    return Error{Errc::invalid, fmt::format("create volume \"{}\": {}", spec.name, text)};
  };
  if (!is_name(spec.name)) {
    return wrong("a name is 1 to 64 of A-Z a-z 0-9 . _ - and starts with a letter or digit");
  }
  if (const auto text = flaw_of_size(spec.size_bytes)) return wrong(*text);
  if (spec.copies < 1 || spec.copies > copies_max) {
    return wrong(fmt::format("copies {} is not between 1 and {}", spec.copies, copies_max));
  }
  if (spec.min_copies < 1 || spec.min_copies > spec.copies) {
    return wrong(fmt::format("min_copies {} is not between 1 and copies = {}", spec.min_copies,
                             spec.copies));
  }
  if (spec.mode == Mode::best_effort && spec.min_copies != 1) {
    return wrong(fmt::format("mode best_effort implies min_copies = 1, not {}", spec.min_copies));
  }
  if (!wish.nodes.empty() && wish.nodes.size() != spec.copies) {
    return wrong(fmt::format("{} nodes are named for {} copies", wish.nodes.size(), spec.copies));
  }
  if (std::set<std::string>(wish.nodes.begin(), wish.nodes.end()).size() != wish.nodes.size()) {
    return wrong("a node is named twice");
  }
  return std::nullopt;
}

Result<std::vector<NodeRecord>> ControlPlane::choose_nodes(const CreateVolume& wish) const {
  const auto tried = fmt::format("create volume \"{}\": ", wish.spec.name);
  std::vector<NodeRecord> chosen;
  for (const auto& name : wish.nodes) {
    const auto node = nodes_.find(name);
    if (node == nodes_.end()) return Error{Errc::not_found, tried + "there is no node " + name};
    if (session_of(node->second.id) == nullptr) {
      return Error{Errc::unavailable, tried + "node " + name + " is not connected"};
    }
    chosen.push_back(node->second);
  }
  if (!chosen.empty()) return chosen;
  for (const auto& [name, session] : sessions_) chosen.push_back(nodes_.at(name));
  if (chosen.size() < wish.spec.copies) {
    const auto code = nodes_.size() < wish.spec.copies ? Errc::invalid : Errc::unavailable;
    return Error{code,
                 tried + fmt::format("{} copies need as many connected nodes; {} of {} known are",
                                     wish.spec.copies, chosen.size(), nodes_.size())};
  }
  std::stable_sort(chosen.begin(), chosen.end(), [&](const NodeRecord& a, const NodeRecord& b) {
    return std::tuple(volumes_on(a.id), a.id.name) < std::tuple(volumes_on(b.id), b.id.name);
  });
  chosen.resize(wish.spec.copies);
  return chosen;
}

/// A new replica, behind all others: ids are never reused, so members stay ordered.
void ControlPlane::place(Volume& volume, const NodeRecord& node, Effects& out) {
  const ReplicaId replica(next_replica_++);
  out.push_back(Persist{{{std::string(counters_key), encode_counters(next_replica_)}}});
  volume.record.members.push_back(Placement{replica, node.id, {}});
}

Result<Effects> ControlPlane::create(const CreateVolume& wish, const Moment& at) {
  if (auto wrong = flaw(wish)) return *wrong;
  const auto* known = volume(wish.spec.name);
  if (known != nullptr) {
    if (same_wish(known->spec, wish.spec)) return Effects{};  // Asked twice: waits for the same.
    return Error{
        Errc::already_exists,
        fmt::format("create volume \"{}\": there is another one of that name", wish.spec.name)};
  }
  if (volumes_.size() >= volumes_max) {
    return Error{Errc::refused,
                 fmt::format("create volume \"{}\": the cluster has {} volumes, its maximum",
                             wish.spec.name, volumes_max)};
  }
  const auto nodes = choose_nodes(wish);
  if (!nodes) return nodes.error();
  Effects out;
  Volume made;
  auto& record = made.record;
  record.spec = wish.spec;
  record.spec.id = make_uuid(at.random[1], at.random[2]);
  record.epoch = Epoch(1);
  record.version = Version(1);
  record.begin_reign(false);
  record.nonce = at.random[0];
  for (const auto& node : *nodes) place(made, node, out);
  record.primary = record.members.front().replica;
  record.primary_incarnation = nodes->front().incarnation;
  // All logs are empty, so all members hold the same, exactly; best_effort counts the primary only.
  for (std::size_t i = 0; i < nodes->size(); ++i) {
    if (i > 0 && record.spec.mode == Mode::best_effort) break;
    record.in_sync.push_back(SetMember{record.members[i].replica, (*nodes)[i].incarnation});
  }
  const auto& volume = volumes_.emplace(record.spec.id, std::move(made)).first->second;
  persist(volume, out);
  report(volume,
         Event(Level::info, "volume_created")
             .with("size_bytes", volume.record.spec.size_bytes)
             .with("copies", volume.record.spec.copies)
             .with("primary", nodes->front().id.name),
         out);
  assign_all(volume, out);
  return out;
}

Result<Effects> ControlPlane::remove(const std::string& name) {
  auto found = wished(name);
  if (!found) return found.error();
  auto& volume = **found;
  Effects out;
  volume.record.deleting = true;
  volume.record.fencing = Epoch();
  const auto members = volume.record.members;
  for (const auto& member : members) leave(volume, member.replica);
  report(volume, Event(Level::info, "volume_deleted"), out);
  if (volume.record.gone.empty()) {
    out.push_back(Persist{{{key_of(volume.record), std::nullopt}}});
    volumes_.erase(volume.record.spec.id);
    return out;
  }
  persist(volume, out);
  for (const auto& [node, session] : sessions_) unassign_gone(volume, session.node, out);
  return out;
}

Result<Effects> ControlPlane::add_replica(const std::string& name, const std::string& node) {
  auto found = wished(name);
  if (!found) return found.error();
  auto& volume = **found;
  const auto tried = fmt::format("add a copy of volume {} on {}: ", name, node);
  const auto known = nodes_.find(node);
  if (known == nodes_.end()) return Error{Errc::not_found, tried + "there is no such node"};
  if (const auto* there = volume.record.on_node(node)) {
    if (!there->replaced_by) return Effects{};  // It has one.
    return Error{
        Errc::refused,
        tried + "the copy there is being replaced; it can get a new one when that has left"};
  }
  if (auto full = too_many_gone(volume.record)) return Error{Errc::refused, tried + *full};
  if (volume.record.members.size() >= copies_max) {
    return Error{Errc::refused, tried + fmt::format("it has {} copies, the maximum", copies_max)};
  }
  Effects out;
  place(volume, known->second, out);
  volume.record.version = Version(volume.record.version.value + 1);
  persist(volume, out);
  report(volume, Event(Level::info, "replica_added").with("node", node), out);
  if (volume.record.settled()) assign_all(volume, out);
  return out;
}

Result<Effects> ControlPlane::remove_replica(const std::string& name, const std::string& node) {
  auto found = wished(name);
  if (!found) return found.error();
  auto& volume = **found;
  auto& record = volume.record;
  const auto tried = fmt::format("remove the copy of volume {} on {}: ", name, node);
  const auto* member = record.on_node(node);
  if (member == nullptr) return Error{Errc::not_found, tried + "there is none"};
  if (!record.settled()) return Error{Errc::unavailable, tried + "a promotion is under way"};
  if (member->replica == record.primary) {
    return Error{Errc::refused, tried + "it is the primary; promote another node first"};
  }
  const bool counts = record.in_set(member->replica) != nullptr;
  if (auto leaving = voter_is_leaving(record); leaving && counts) {
    return Error{Errc::unavailable, tried + *leaving};
  }
  if (counts && record.in_sync.size() <= min_copies_of(record)) {
    return Error{
        Errc::refused,
        tried + fmt::format(
                    "the in-sync set has {} copies and min_copies is {}; add one elsewhere first",
                    record.in_sync.size(), min_copies_of(record))};
  }
  Effects out;
  const auto left = member->node;
  leave(volume, member->replica);
  record.version = Version(record.version.value + 1);
  persist(volume, out);
  report(volume, Event(Level::info, "replica_removed").with("node", node), out);
  unassign_gone(volume, left, out);
  assign_all(volume, out);
  return out;
}

Result<Effects> ControlPlane::replace_replica(const std::string& name, const std::string& node,
                                              const std::string& new_node) {
  auto found = wished(name);
  if (!found) return found.error();
  auto& volume = **found;
  auto& record = volume.record;
  const auto tried = fmt::format("replace the copy of volume {} on {}: ", name, node);
  const auto target = new_node.empty() ? node : new_node;
  if (target == host_.name && node == host_.name) {
    return Error{Errc::refused,
                 tried +
                     "this node hosts the control plane, whose state is on its disk; it cannot be "
                     "wiped or replaced in this build"};
  }
  const auto* old = record.on_node(node);
  if (old == nullptr) return Error{Errc::not_found, tried + "there is none"};
  if (!record.settled()) return Error{Errc::unavailable, tried + "a promotion is under way"};
  if (old->replica == record.primary) {
    return Error{Errc::refused, tried + "it is the primary; promote another node first"};
  }
  if (old->replaced_by) {
    return Error{Errc::refused, tried + fmt::format("it is being replaced by replica {} already",
                                                    old->replaced_by)};
  }
  if (target != node && record.on_node(target) != nullptr) {
    return Error{Errc::refused, tried + target + " has a copy already"};
  }
  if (auto full = too_many_gone(record)) return Error{Errc::refused, tried + *full};
  if (auto leaving = voter_is_leaving(record); leaving && record.in_set(old->replica) != nullptr) {
    return Error{Errc::unavailable, tried + *leaving};
  }
  if (!nodes_.contains(target)) return Error{Errc::not_found, tried + "there is no node " + target};
  Effects out;
  if (target == node && strangers_.contains(node) && session_of(old->node) == nullptr) {
    auto let_in = readmit(node, strangers_.at(node));
    if (!let_in) return let_in.error();
    // The stranger's next knock is answered; what it will hold is decided now.
    out = std::move(*let_in);
  }
  auto home = nodes_.at(target);
  if (home.readmit && home.readmit_uuid) home.id.uuid = home.readmit_uuid;
  // Admitted whoever it is: until it came, the name still means the node that is gone.
  if (home.readmit && !home.readmit_uuid && session_of(home.id) == nullptr) {
    return Error{Errc::unavailable,
                 tried + target + " was readmitted and has not come yet; try again when it has"};
  }
  const bool same_home = home.id == old->node;
  const bool counts = record.in_set(old->replica) != nullptr;
  // In sync_quorum its voice stays until the new copy counts: the set does not shrink.
  const bool shrinks = same_home && counts && record.spec.mode != Mode::sync_quorum;
  if (shrinks && record.in_sync.size() <= min_copies_of(record)) {
    return Error{
        Errc::refused,
        tried + fmt::format("it counts, the in-sync set has {} copies and min_copies is {}; "
                            "add one elsewhere first",
                            record.in_sync.size(), min_copies_of(record))};
  }
  const auto replaced = old->replica;
  place(volume, home, out);
  const auto fresh = record.members.back().replica;
  for (auto& p : record.members) {
    // A replacement that is replaced itself hands on whose place it was to take.
    if (p.replica == replaced || p.replaced_by == replaced) p.replaced_by = fresh;
  }
  if (same_home) leave(volume, replaced);
  retire_replaced(volume, out);
  record.version = Version(record.version.value + 1);
  persist(volume, out);
  report(volume,
         Event(Level::info, "replica_replaced")
             .with("node", target)
             .with("old", replaced)
             .with("new", fresh),
         out);
  for (const auto& [unused, session] : sessions_) unassign_gone(volume, session.node, out);
  assign_all(volume, out);
  return out;
}

Result<Effects> ControlPlane::readmit(const std::string& name, const std::optional<Uuid>& uuid) {
  const auto tried = fmt::format("readmit node {}: ", name);
  const auto node = nodes_.find(name);
  if (node == nodes_.end()) return Error{Errc::not_found, tried + "there is no such node"};
  if (name == host_.name) {
    return Error{
        Errc::refused,
        tried + "it hosts the control plane; it cannot be wiped or replaced in this build"};
  }
  if (session_of(node->second.id) != nullptr) {
    return Error{Errc::refused, tried + fmt::format("it is connected under its UUID {}",
                                                    to_string(node->second.id.uuid))};
  }
  auto& record = node->second;
  const auto wanted = uuid.value_or(Uuid{});
  if (record.readmit && record.readmit_uuid == wanted) return Effects{};
  record.readmit = true;
  record.readmit_uuid = wanted;
  return Effects{Persist{{{key_of(record), encode(record)}}},
                 Report{{}, Event(Level::info, "node_readmitted").with("node", name)}};
}

}  // namespace tidemark::engine::control
