// Virtual time and everything that waits for it: timers, disk completions, deliveries, faults.
// One heap, so all of them share one order; what is due at the same moment fires in an order
// drawn from the seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "engine/types.hpp"
#include "sim/life.hpp"
#include "sim/random.hpp"
#include "sim/trace.hpp"

namespace tidemark::sim {

using EventId = std::uint64_t;  ///< 0 is none.

class Events {
 public:
  Events(Random& random, Trace& trace) : random_(random), trace_(trace) {}

  engine::MonoTime now() const { return now_; }

  /// `kind` is a word of the source, for the trace. An event of a life that ended is dropped.
  /// `life` null: the world's own.
  /// Events of one life and lane fire in order of their times whoever chooses what is next; where no lane is said each
  /// kind is one.
  EventId at(engine::MonoTime when, LifePtr life, const char* kind, std::function<void()> due,
             std::uint64_t lane = 0);
  EventId after(std::uint64_t delay, LifePtr life, const char* kind, std::function<void()> due) {
    return at(now_ + delay, std::move(life), kind, std::move(due));
  }
  /// Harmless for an event that fired.
  void cancel(EventId id);
  /// Drops everything that waits for `life`.
  void drop(const Life& life);
  /// What comes due for a life that is paused is kept; once it goes on all of that fires at once, in
  /// the order in which it was due: as with a stopped process, or a machine that its host did not run.
  void go_on(const Life& life);
  void clear();

  /// What waits for a life, by kind. For checkers.
  std::map<std::string, std::uint64_t> pending_of(const Life& life) const;

  bool empty() const { return pending_.empty(); }
  std::size_t size() const { return pending_.size(); }
  /// How many are the world's own.
  std::size_t of_the_world() const;
  /// The moment of the next event, in the past for what waited for its life; CHECKs that there is one.
  engine::MonoTime next_due() const;
  /// Moves time to the next event and runs it.
  void fire();

  /// The first event of one lane.
  struct Head {
    EventId id = 0;
    engine::MonoTime due;
    std::uint32_t life = 0;  ///< 0: the world's own.
    std::string_view kind;
    std::uint64_t lane = 0;
  };
  /// Those that are due no later than `limit`, in order of time and then of id.
  std::vector<Head> heads(engine::MonoTime limit) const;
  /// Runs a pending event out of turn: what was due before it is late, and time does not go back.
  void fire(EventId id);
  /// Moves time, when nothing is due before.
  void advance_to(engine::MonoTime when);

  /// Whose event is running now; null between events.
  const LifePtr& current() const { return current_; }

 private:
  using Key = std::tuple<engine::MonoTime, std::uint32_t, EventId>;
  struct Event {
    LifePtr life;
    const char* kind;
    std::function<void()> due;
    std::uint64_t lane = 0;
  };
  using Pending = std::map<Key, Event>;

  void run(Pending::node_type node);

  Random& random_;
  Trace& trace_;
  engine::MonoTime now_{1};
  EventId last_id_ = 0;
  Pending pending_;
  Pending kept_;                           ///< Came due while their lives stood still.
  std::unordered_map<EventId, Key> keys_;  ///< For cancel; never iterated.
  LifePtr current_;
};

}  // namespace tidemark::sim
