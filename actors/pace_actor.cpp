// The pace's shell: senders become lanes, grants become messages, one timer.
#include <map>
#include <optional>
#include <utility>

#include "actors/link_relay.hpp"
#include "actors/spawn.hpp"

namespace tidemark::actors {
namespace {

struct PaceActor {
  static inline const char* name = "pace";

  ~PaceActor() {
    if (env) env->timers.cancel(timer);
  }

  struct Lane {
    engine::LaneId id;
    PaceListener sender;
    engine::SessionId session;
    bool waits = false;
  };

  void asked(const PaceAsked& m) {
    auto& lane = lanes[m.sender.address()];
    if (!lane.id) {
      lane.id = engine::LaneId(++last_lane);
      lane.sender = m.sender;
      senders[lane.id] = m.sender.address();
      self->monitor(m.sender);
    }
    lane.session = m.session;
    lane.waits = true;
    machine->ask(lane.id, m.bytes, env->clock.now());
    pump();
    // Looked up anew: what waits is told why.
    const auto at = lanes.find(m.sender.address());
    if (at != lanes.end() && at->second.waits) {
      self->send(m.sender, PaceTold{m.session, 0, machine->standing(at->second.id)});
    }
  }

  void left(const caf::actor_addr& sender) {
    const auto lane = lanes.extract(sender);
    if (!lane) return;
    self->demonitor(sender);
    senders.erase(lane.mapped().id);
    machine->leave(lane.mapped().id, env->clock.now());
    pump();
  }

  void pump() {
    for (const auto& grant : machine->grant(env->clock.now())) {
      const auto sender = senders.find(grant.lane);
      if (sender == senders.end()) continue;  // Left, with a planted bug.
      auto& lane = lanes.at(sender->second);
      lane.waits = false;
      self->send(lane.sender, PaceTold{lane.session, grant.bytes, machine->standing(grant.lane)});
    }
    rearm();
  }

  void rearm() {
    const auto due = machine->wake_at();
    if (!due || (armed_for && *armed_for <= *due)) return;
    env->timers.cancel(timer);
    armed_for = due;
    timer = env->timers.after(
        *due - env->clock.now(),
        [owner = self->address(), number = ++arming] { tell<Pace>(owner, PaceDue{number}); });
  }

  void due(const PaceDue& m) {
    if (m.arming != arming) return;
    armed_for.reset();
    pump();
  }

  Pace::pointer self = nullptr;
  EnvironmentPtr env;
  std::optional<engine::BasePace> machine;
  std::map<caf::actor_addr, Lane> lanes;  ///< Looked up, never walked.
  std::map<engine::LaneId, caf::actor_addr> senders;
  std::uint64_t last_lane = 0;
  engine::TimerId timer = 0;
  std::optional<engine::MonoTime> armed_for;
  std::uint64_t arming = 0;
};

Pace::behavior_type pace_actor(Pace::stateful_pointer<PaceActor> self, const EnvironmentPtr& env) {
  auto& s = self->state;
  s.self = self;
  s.env = env;
  s.machine.emplace(engine::PaceLimits{env->settings.rebuild_lanes, env->settings.rebuild_rate});
  self->set_down_handler([&s](const caf::down_msg& down) { s.left(down.source); });
  return {
      [&s](const PaceAsked& m) { s.asked(m); },
      [&s](const PaceUsed& m) {
        s.machine->used(m.granted, m.used);
        s.pump();
      },
      [&s](const PaceLeft& m) { s.left(m.sender); },
      [&s](const VolumeServed& m) {
        s.machine->served(m.volume, s.env->clock.now());
        s.pump();
      },
      [&s](const WritesMeasured& m) {
        s.machine->measured(m.volume, m.sample);
        s.pump();
      },
      [&s](const SetRebuildRate& m) {
        s.machine->set_cap(m.bytes_per_second, s.env->clock.now());
        s.env->events.event(engine::Event(engine::Level::info, "rebuild_rate_set")
                                .with("bytes_per_second", m.bytes_per_second));
        s.pump();
      },
      [&s](const PaceDue& m) { s.due(m); },
  };
}

}  // namespace

Pace spawn_pace(caf::actor_system& system, EnvironmentPtr env) {
  return system.spawn(pace_actor, std::move(env));
}

}  // namespace tidemark::actors
