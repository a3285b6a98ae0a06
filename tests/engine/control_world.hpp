// A control plane, its catalog and its nodes for story tests: effects are rendered one per line,
// and the catalog keeps what was persisted, so that a crash is `restart()`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/control/control_plane.hpp"
#include "tests/support/print_strong.hpp"

namespace tidemark::engine::control::test {

inline Uuid uuid(std::uint64_t n) { return make_uuid(n, n); }
inline NodeId node_id(int n) {
  return {fmt::format("node{}", n), uuid(static_cast<std::uint64_t>(n))};
}

inline std::string set_text(const std::vector<SetMember>& set) {
  std::string text;
  for (const auto& m : set) {
    text += fmt::format("{}{}@{}", text.empty() ? "" : ",", m.replica, m.incarnation);
  }
  return text;
}

struct Rendered {
  std::string operator()(const Persist& e) const {
    std::string keys;
    for (const auto& [key, value] : e.changes) {
      const auto shown =
          key.starts_with(volume_prefix) ? std::string("volume") : key.substr(key_prefix.size());
      keys += " " + shown + (value ? "" : "=gone");
    }
    return "persist" + keys;
  }
  std::string operator()(const Send& e) const {
    std::string text = fmt::format("to {}: {}", e.link, name(e.message));
    if (const auto* m = std::get_if<Assign>(&e.message)) {
      const auto& a = m->assignment;
      text += fmt::format(" r{} {} e{} v{} set {}{}", a.self, to_string(a.role), a.epoch, a.version,
                          set_text(a.in_sync), a.marks != 0 ? " cache_lost" : "");
    }
    if (const auto* m = std::get_if<Fence>(&e.message))
      text += fmt::format(" r{} e{}", m->replica, m->epoch);
    if (const auto* m = std::get_if<Unassign>(&e.message)) text += fmt::format(" r{}", m->replica);
    if (const auto* m = std::get_if<SetDecided>(&e.message)) {
      text += fmt::format(" {} e{} v{} set {}", m->accepted ? "accepted" : "refused", m->epoch,
                          m->version, set_text(m->in_sync));
    }
    return text;
  }
  std::string operator()(const Drop& e) const {
    return fmt::format("drop {}: {}", e.link, to_string(e.why.code));
  }
  std::string operator()(const Report&) const { return {}; }
};

struct World {
  World() : plane(node_id(1), uuid(99), 1 * second) {}

  /// Applies and renders; reports are left out.
  std::string play(const Effects& effects) {
    std::string text;
    for (const auto& effect : effects) {
      if (const auto* p = std::get_if<Persist>(&effect)) keep(*p);
      const auto line = std::visit(Rendered{}, effect);
      if (!line.empty()) text += line + "\n";
    }
    return text;
  }
  void keep(const Persist& p) {
    for (const auto& [key, value] : p.changes) {
      if (value)
        catalog[key] = *value;
      else
        catalog.erase(key);
    }
  }
  Moment at() { return {now, {1000 + ++entropy, 2000 + entropy, 3000 + entropy}}; }

  std::string node_in(int n, std::uint64_t incarnation = 1, LinkKey link = 0) {
    return play(plane.on_register(link == 0 ? static_cast<LinkKey>(n) : link,
                                  registration(n, incarnation), at()));
  }
  Register registration(int n, std::uint64_t incarnation) {
    return {node_id(n), Incarnation(incarnation), fmt::format("10.0.0.{}:9101", n),
            fmt::format("10.0.0.{}:10809", n), false};
  }
  std::string create(std::uint32_t copies = 3, Mode mode = Mode::sync_all,
                     std::uint32_t min_copies = 2) {
    CreateVolume wish;
    wish.spec = VolumeSpec{{}, "v", 1 << 20, mode, AckPolicy::received, copies, min_copies};
    auto made = plane.create(wish, at());
    if (!made) return made.error().text;
    return play(*made);
  }
  const VolumeRecord& v() const { return *plane.volume("v"); }
  /// The member on that node says it has what was decided.
  void take(int n) {
    play(plane.on_message(static_cast<LinkKey>(n), AssignAck{v().spec.id, v().epoch, v().version}));
  }
  Promise promise(int n, Epoch epoch, Epoch last, Lsn end, std::uint64_t incarnation = 1) {
    Promise p;
    p.volume = v().spec.id;
    p.replica = v().on_node(node_id(n))->replica;
    p.epoch = epoch;
    p.accepted = true;
    p.last_epoch = last;
    p.end = end;
    p.incarnation = Incarnation(incarnation);
    return p;
  }
  std::string promised(int n, const Promise& p) {
    return play(plane.on_message(static_cast<LinkKey>(n), p, at()));
  }
  std::string tick(std::uint64_t milliseconds) {
    now = now + milliseconds * millisecond;
    return play(plane.on_tick(at()));
  }
  /// Kill -9 of the host: what was persisted is all there is, every link is gone.
  void restart() {
    plane = ControlPlane(node_id(1), uuid(99), 1 * second);
    const std::vector<std::pair<std::string, std::string>> all(catalog.begin(), catalog.end());
    CHECK(plane.load(all).has_value());
  }

  ControlPlane plane;
  std::map<std::string, std::string> catalog;
  MonoTime now{1};
  std::uint64_t entropy = 0;
};

/// Three nodes and a volume that all have taken.
inline World three_nodes_and_a_volume() {
  World w;
  for (int n = 1; n <= 3; ++n) w.node_in(n);
  w.create();
  for (int n = 1; n <= 3; ++n) w.take(n);
  return w;
}

}  // namespace tidemark::engine::control::test
