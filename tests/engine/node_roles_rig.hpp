// A node's part in one volume on the bench: what it asks for, as text.
#pragma once

#include <string>

#include "engine/node_roles.hpp"
#include "tests/support/print_strong.hpp"

namespace tidemark::engine::roles::test {

inline const VolumeId volume = make_uuid(5, 5);
inline const NodeId me{"node2", make_uuid(2, 2)};

struct Rendered {
  std::string operator()(const Persist& e) const {
    std::string keys;
    for (const auto& [key, value] : e.changes)
      keys += " " + key.substr(0, key.find('/')) + (value ? "" : "=gone");
    return "persist" + keys;
  }
  std::string operator()(const OpenStore& e) const {
    return fmt::format("open r{}{}{}", e.replica, e.create ? " create" : "",
                       e.incomplete ? " incomplete" : "");
  }
  std::string operator()(const StartRole& e) const {
    return fmt::format("start {} e{} v{}{}", to_string(e.assignment.role), e.assignment.epoch,
                       e.assignment.version,
                       e.forgotten ? fmt::format(" e{} forgot", e.forgotten) : "");
  }
  std::string operator()(const StopRole&) const { return "stop"; }
  std::string operator()(const Reassign& e) const {
    return fmt::format("reassign v{}", e.assignment.version);
  }
  std::string operator()(const TellPrimary& e) const {
    return fmt::format("tell primary v{}", e.decided.version);
  }
  std::string operator()(const FenceReceiver& e) const {
    return fmt::format("fence receiver e{}", e.epoch);
  }
  std::string operator()(const DestroyStore&) const { return "destroy"; }
  std::string operator()(const Reply& e) const {
    auto text = "say " + std::string(name(e.message));
    if (const auto* p = std::get_if<Promise>(&e.message)) {
      text += fmt::format(" {}e{} ({}, {}) {}",
                          p->ended      ? "ended "
                          : p->accepted ? ""
                                        : "refused ",
                          p->epoch, p->last_epoch, p->end, to_string(p->base));
    }
    if (const auto* a = std::get_if<AssignAck>(&e.message))
      text += fmt::format(" e{} v{}", a->epoch, a->version);
    if (const auto* a = std::get_if<UnassignAck>(&e.message))
      text += fmt::format(" r{}", a->replica);
    return text;
  }
  std::string operator()(const Report&) const { return {}; }
};

inline std::string render(const Effects& effects) {
  std::string text;
  for (const auto& effect : effects) {
    const auto line = std::visit(Rendered{}, effect);
    if (!line.empty()) text += (text.empty() ? "" : "; ") + line;
  }
  return text;
}

inline Assignment assignment(Role role, std::uint64_t epoch = 1, std::uint64_t version = 1,
                             std::uint64_t self = 2) {
  Assignment a;
  a.spec = VolumeSpec{volume, "v", 1 << 20, Mode::sync_all, AckPolicy::received, 3, 2};
  a.epoch = Epoch(epoch);
  a.version = Version(version);
  a.self = ReplicaId(self);
  a.role = role;
  a.primary = role == Role::primary ? a.self : ReplicaId(1);
  a.primary_incarnation = Incarnation(7);
  a.members = {{ReplicaId(1), {"node1", make_uuid(1, 1)}, "h:1", "h:2"},
               {a.self, me, "h:3", "h:4"}};
  a.in_sync = {{ReplicaId(1), Incarnation(1)}, {a.self, Incarnation(7)}};
  return a;
}
inline Held held(std::uint64_t end, std::uint64_t last = 1) {
  Held h;
  h.end = Lsn(end);
  h.last_epoch = Epoch(last);
  return h;
}
inline ReplicaRole role_in(std::uint64_t incarnation = 7) {
  return ReplicaRole(me, Incarnation(incarnation), volume);
}

/// Assigned, created, playing.
inline ReplicaRole playing(Role role) {
  auto r = role_in();
  r.on_assign(assignment(role));
  r.on_opened(held(0));
  return r;
}
inline Fence fence(std::uint64_t epoch, std::uint64_t replica = 2) {
  return {volume, ReplicaId(replica), Epoch(epoch)};
}

}  // namespace tidemark::engine::roles::test
