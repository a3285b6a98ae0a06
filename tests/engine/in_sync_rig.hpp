// The in-sync set of three copies with verbs for its world. Time stands unless a test moves it.
#pragma once

#include <boost/test/unit_test.hpp>

#include <string>
#include <utility>
#include <vector>

#include "engine/in_sync.hpp"
#include "tests/support/print_strong.hpp"

namespace tidemark::engine::set_story {

inline Assignment assignment(std::uint32_t min_copies = 2) {
  Assignment a;
  a.spec.id = make_uuid(1, 2);
  a.spec.name = "vol";
  a.spec.size_bytes = 64 * block_bytes;
  a.spec.min_copies = min_copies;
  a.epoch = Epoch(5);
  a.version = Version(7);
  a.self = a.primary = ReplicaId(1);
  a.primary_incarnation = Incarnation(10);
  a.role = Role::primary;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    Member member;
    member.replica = ReplicaId(id);
    member.node.name = fmt::format("node{}", id);
    a.members.push_back(member);
    a.in_sync.push_back({ReplicaId(id), Incarnation(10 * id)});
  }
  return a;
}

inline MonoTime at(std::uint64_t milliseconds) { return MonoTime(milliseconds * millisecond); }

/// A set whose members stream, all durable up to the epoch record at 1.
struct Story {
  explicit Story(Assignment a = assignment()) : set(a, {}, at(0)) {
    streams(2, 1, 1);
    streams(3, 1, 1);
  }

  PeerSeen report(std::uint64_t replica) {
    PeerSeen seen;
    seen.replica = ReplicaId(replica);
    seen.incarnation = Incarnation(10 * replica);
    seen.session = SessionId(1);
    seen.wal_free_bytes = 1u << 30;
    return seen;
  }
  void streams(std::uint64_t replica, std::uint64_t received, std::uint64_t durable,
               std::uint64_t incarnation = 0) {
    auto seen = report(replica);
    if (incarnation != 0) seen.incarnation = Incarnation(incarnation);
    seen.state = PeerState::streaming;
    seen.proved = true;
    seen.received = Lsn(received);
    seen.durable = Lsn(durable);
    set.see(seen, now);
  }
  void closes(std::uint64_t replica) {
    auto seen = report(replica);
    seen.state = PeerState::disconnected;
    set.see(seen, now);
  }
  void full(std::uint64_t replica, std::uint64_t durable) {
    auto seen = report(replica);
    seen.state = PeerState::streaming;
    seen.proved = true;
    seen.received = seen.durable = Lsn(durable);
    seen.wal_free_bytes = 0;
    set.see(seen, now);
  }
  void wait(std::uint64_t milliseconds) { now = now + milliseconds * millisecond; }

  /// The proposal as text, or "nothing".
  std::string proposes() {
    const auto p = set.propose(log, now);
    if (!p) return "nothing";
    number = p->number;
    std::string members;
    for (const auto& m : p->in_sync) members += fmt::format(" {}@{}", m.replica, m.incarnation);
    return fmt::format("v{}{}", p->version, members);
  }
  bool answer(bool accepted, std::uint64_t version, std::vector<SetMember> stands) {
    SetDecided d;
    d.volume = make_uuid(1, 2);
    d.accepted = accepted;
    d.epoch = Epoch(5);
    d.version = Version(version);
    d.in_sync = std::move(stands);
    d.number = number;
    return set.decide(d, now);
  }
  SetMember member(std::uint64_t replica, std::uint64_t incarnation = 0) {
    return {ReplicaId(replica), Incarnation(incarnation == 0 ? 10 * replica : incarnation)};
  }

  MonoTime now = at(1000);
  std::uint64_t number = 0;  ///< Of the last proposal: answer() answers it.
  LogNumbers log{Lsn(1), Lsn(1), Lsn(1), Lsn(1)};
  InSync set;
};

/// What happened since the last look, by name, one per line.
inline std::string events(InSync& set) {
  std::string text;
  for (const auto& e : set.take_events()) text += e.name + "\n";
  return text;
}

}  // namespace tidemark::engine::set_story
