// A world whose order is decided from outside: what is next, what waits, and which state it is in.
//
// The base order: actors handle their messages in the order in which they became ready, and only when none is ready the
// earliest event fires. A departure from it lets what would be next wait until nothing else is left to do for
// `patience`; then all that waits goes on. What one connection carries, and what one kind of disk operation of one
// process completes, waits as a whole and stays in order.
//
// State: two orders lead to one state when every actor has handled the same messages in the same order and has the same
// ones before it, every process has seen the same completions, timers and frames in the same order, and every disk and
// catalog the same operations with the same makers (a Mazurkiewicz trace whose shared seams are actors too). Of a
// process that crashed counts what it left: its disk, and what it had sent, by its makers' pasts. Left out are virtual
// time and what chance draws from: orders that lead to one state may differ in delays, and in what a crash tears.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "sim/cluster.hpp"

namespace tidemark::sim {

/// One thing that can happen.
struct Next {
  bool message = false;  ///< An actor handles one; else an event fires.
  std::size_t ready = 0;
  std::uint64_t identity = 0;  ///< Of the message, or of the event's kind and lane.
  std::uint64_t who = 0;       ///< The actor or the life.
  EventId event = 0;
  std::uint64_t track = 0;  ///< What waits when this is to wait.
  std::uint32_t life = 0;
  bool frame = false;  ///< Something arrives over a connection.
  bool only = false;   ///< Nothing else could happen instead.
};

class Walk {
 public:
  static constexpr std::uint64_t patience = 3 * engine::millisecond;
  /// Over when nothing is due any more within `length` of now.
  Walk(Cluster& cluster, std::uint64_t length);
  ~Walk();
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  /// What is next in the base order; nothing: the walk is over.
  std::optional<Next> next();
  void perform(const Next& next);
  /// Over `length` from now, or never before.
  void over_in(std::uint64_t length) { end_ = cluster_.now() + length; }
  void wait(const Next& next) { waiting_.insert(next.track); }
  void crashed(std::uint32_t node, std::uint64_t how);
  void cut(std::uint64_t how) { cut_ = how; }

  std::uint64_t state();
  /// What a crash of the node would leave, and clients have seen: equal values, equal outcomes of a crash.
  std::uint64_t left_by(std::uint32_t node) const;
  /// Writes to the node's disk are in flight.
  bool in_flight(std::uint32_t node) const;

 private:
  struct Past {
    std::uint32_t life = 0;
    std::uint64_t hash = 0;
  };

  void effect(std::uint32_t node, std::string_view kind, std::string_view what);
  std::optional<Next> next_of(engine::MonoTime limit);
  std::optional<std::uint32_t> node_of(std::uint32_t life) const;

  Cluster& cluster_;
  engine::MonoTime end_;
  std::set<std::uint64_t> waiting_;
  std::map<caf::actor_id, Past> actors_;
  std::map<std::uint32_t, std::uint64_t> events_;   ///< By life; 0: the world's own.
  std::map<std::uint32_t, std::uint64_t> disks_;    ///< By node: operations and their makers.
  std::map<std::uint32_t, std::uint64_t> sent_;     ///< By node: what left it, by its makers.
  std::map<std::uint32_t, std::uint64_t> flying_;   ///< By node: writes in flight.
  std::uint64_t maker_ = 0;                         ///< The past of whoever is running.
  std::map<std::uint32_t, std::uint64_t> crashed_;  ///< By node: how, and what it left.
  std::uint64_t cut_ = 0;
};

}  // namespace tidemark::sim
