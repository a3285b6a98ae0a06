// Runs the actors of all nodes in one thread: each step handles one message of one actor, drawn by
// the seed, or lets virtual time reach its next event. The actors are the ones that daemons run on
// the loop; only this scheduler module of CAF differs.
#pragma once

#include <caf/all.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <typeinfo>
#include <unordered_map>
#include <vector>

#include "actors/runtime/caf_parts.hpp"
#include "sim/events.hpp"
#include "sim/life.hpp"
#include "sim/random.hpp"
#include "sim/trace.hpp"

namespace tidemark::sim {

/// What a message is where it is one thing and nothing else; null if not, or if it is one of CAF's own.
inline const std::type_info* type_alone(const caf::type_erased_tuple& content) {
  return content.size() == 1 ? content.type(0).second : nullptr;
}

/// One message as it is about to be handled.
struct Step {
  LifePtr life;  ///< Of the receiver; null for an actor of the world.
  caf::actor_id receiver = 0;
  caf::actor_id sender = 0;  ///< 0: none.
  const caf::type_erased_tuple& content;
  const char* actor = "";     ///< The receiver's kind.
  std::uint64_t waiting = 0;  ///< Messages in its mailbox, this one among them.
  const std::type_info* type = type_alone(content);
};

class SimScheduler final : public caf::scheduler::abstract_coordinator {
 public:
  SimScheduler(caf::actor_system& system, Random& random, Events& events, Trace& trace);

  static void install(caf::actor_system_config& config, Random& random, Events& events,
                      Trace& trace);
  static SimScheduler& of(caf::actor_system& system);

  /// Handles one message or fires one event that is due no later than `limit`.
  /// False: nothing to do.
  bool step(engine::MonoTime limit);
  /// Ends all actors of a life at once, their mailboxes lost: a crash. Sends nothing to anybody.
  void crash(const Life& life);
  /// Until it goes on nothing of a life happens: messages wait, and so does what comes due.
  void pause(Life& life);
  void go_on(Life& life);
  /// Runs `f` so that actors spawned inside belong to `life`.
  void as(const LifePtr& life, const std::function<void()>& f);

  std::uint64_t steps() const { return steps_; }
  std::size_t ready() const { return ready_.size(); }

  // --- for whoever decides in place of the seed what is next

  /// An actor that has something to do.
  struct Ready {
    caf::actor_id actor = 0;
    std::uint32_t life = 0;     ///< 0: the world's own.
    std::uint64_t waiting = 0;  ///< Senders and types of all that is in its mailbox, in order.
    std::uint64_t next = 0;     ///< The same of the first of them.
  };
  /// In the order in which they became ready, as long as nobody draws.
  std::vector<Ready> ready_actors();
  /// Lets the `i`th of them handle one message.
  void handle(std::size_t i);
  /// Fires one event.
  void fire(EventId id);
  /// Of a life: how many of its actors have not ended.
  std::size_t actors_of(const Life& life) const;

  /// In 1 of this many steps time moves although actors are ready: timers and completions race with
  /// messages, and a node now and then stands still for some milliseconds. 0: never.
  std::uint64_t time_jump_one_in = 48;
  std::function<void(const Step&)> on_step;  ///< Before each message is handled.
  actors::OnPrint on_print;  ///< What CAF has to say: an actor that died of an exception.

  caf::actor_clock& clock() noexcept override { return clock_; }
  bool detaches_utility_actors() const override { return false; }

 protected:
  void start() override;
  void stop() override;
  void enqueue(caf::resumable* job) override { push(job); }

 private:
  struct Unit final : caf::execution_unit {
    Unit(caf::actor_system& system, SimScheduler& parent)
        : caf::execution_unit(&system), parent_(parent) {}
    void exec_later(caf::resumable* job) override { parent_.push(job); }
    SimScheduler& parent_;
  };
  struct Owned {
    LifePtr life;
    caf::weak_actor_ptr actor;
  };

  void push(caf::resumable* job);
  const LifePtr& life_of(caf::resumable* job) const;
  /// Takes the jobs of a life out of a list.
  std::vector<caf::resumable*> take(std::vector<caf::resumable*>& jobs, const Life& life) const;
  void adopt(caf::scheduled_actor& actor);
  const LifePtr& life_of(caf::actor_id id) const;
  caf::resumable* draw();
  void resume(caf::resumable* job);
  std::uint64_t identity(const caf::mailbox_element& element);
  void observe(caf::scheduled_actor& actor);
  std::uint64_t type_hash(const caf::rtti_pair& type);
  void end(caf::scheduled_actor& actor, caf::error why);

  Random& random_;
  Events& events_;
  Trace& trace_;
  actors::NoTimersClock clock_;
  Unit unit_;
  std::vector<caf::resumable*>
      ready_;  ///< Each holds a reference; its order is a function of the seed.
  std::vector<caf::resumable*> waiting_;  ///< Of paused lives; each holds a reference.
  std::map<caf::actor_id, Owned> owned_;
  std::unordered_map<const void*, std::uint64_t> type_hashes_;  ///< Looked up only.
  LifePtr current_;  ///< Whose actor or event is running.
  std::uint64_t steps_ = 0;
};

}  // namespace tidemark::sim
