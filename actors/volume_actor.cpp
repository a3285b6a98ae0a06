// The shell around engine::VolumeMachine: messages become events. What becomes of the effects
// stands in volume_turn.cpp.
#include "actors/volume_actor.hpp"

#include <algorithm>

#include "actors/volume_shell.hpp"

namespace tidemark::actors {
namespace {

using TickTarget = caf::typed_actor<caf::reacts_to<VolumeTicked>>;
using DueTarget = caf::typed_actor<caf::reacts_to<SenderDue>>;

engine::FrontSession front_session(const Environment& env) {
  engine::FrontSession session;
  for (std::size_t i = 0; i < 8; ++i) {
    session.node_key = session.node_key << 8 | env.node.uuid.bytes[i];
  }
  session.incarnation = env.incarnation;
  return session;
}

engine::VolumeLimits limits_of(const Settings& settings) {
  engine::VolumeLimits limits;
  limits.uncommitted_bytes_max = settings.uncommitted_bytes_max;
  limits.in_sync.leave_after_closed = settings.leave_after_closed;
  limits.in_sync.leave_after_stalled = settings.leave_after_stalled;
  return limits;
}

engine::OpenedLog log_of(StoreFacts facts) {
  engine::OpenedLog log;
  log.end = facts.end;
  log.digest = facts.digest;
  log.committed = facts.committed;
  log.mono_time = facts.mono_time;
  log.chunk_bytes = facts.chunk_bytes;
  log.chunk_bytes_max = facts.chunk_bytes_max;
  log.wal_free_bytes = facts.wal_free_bytes;
  log.history = std::move(facts.history);
  log.configurations = std::move(facts.configurations);
  return log;
}

}  // namespace

void VolumeActor::begin(VolumeSeed seed, SpawnSender spawn) {
  env = std::move(seed.env);
  store = std::move(seed.store);
  node = std::move(seed.node);
  pace = std::move(seed.pace);
  spawn_sender = std::move(spawn);
  shipped = seed.facts.end;
  machine.emplace(limits_of(env->settings));
  self->send(store, SetListener{VolumeShell(self)});
  // Before its senders ask for the first block of a base.
  if (pace) self->send(*pace, VolumeServed{seed.assignment.spec.id});
  handle(engine::RoleOpened{std::move(seed.assignment), log_of(std::move(seed.facts)),
                            front_session(*env), now()});
  arm();
}

void VolumeActor::submit(const Submit& message) {
  auto& batch = *message.batch;
  if (machine->state() == engine::VolumeState::ended) {
    if (auto front = batch.client.lock()) front->on_cut("the volume is no longer served here");
    return;
  }
  const auto key = key_of(batch.client);
  if (batch.requests.empty()) return;
  handle(engine::Requested{key, std::move(batch.requests), now()});
}

engine::ClientKey VolumeActor::key_of(const std::weak_ptr<engine::FrontClient>& front) {
  auto [at, fresh] = keys.try_emplace(front, engine::ClientKey{});
  if (fresh) {
    at->second = engine::ClientKey(++last_client);
    clients[at->second].front = front;
  }
  return at->second;
}

void VolumeActor::forget_gone_clients() {
  std::vector<engine::ClientKey> gone;
  for (const auto& [key, client] : clients) {
    if (client.front.expired()) gone.push_back(key);
  }
  for (const auto key : gone) {
    keys.erase(clients[key].front);
    clients.erase(key);
    handle(engine::ClientGone{key, now()});
  }
}

void VolumeActor::tick() {
  timer = 0;
  forget_gone_clients();
  handle(engine::Ticked{now()});
  tell_latency();
  arm();
}

void VolumeActor::arm() {
  env->timers.cancel(timer);
  timer = 0;
  if (machine->state() == engine::VolumeState::ended) return;
  timer_delay = machine->tick_after();
  timer = env->timers.after(timer_delay, [weak = caf::weak_actor_ptr(self->ctrl())] {
    if (auto strong = weak.lock())
      caf::anon_send(caf::actor_cast<TickTarget>(strong), VolumeTicked{});
  });
}

void VolumeActor::stop(caf::typed_response_promise<RoleStopped> promise,
                       const std::string& reason) {
  handle(engine::RoleStopRequested{reason, now()});
  stopping.push_back(std::move(promise));
  end_turn_soon();
}

/// The store is no longer used once no sender can ask it and every question was answered.
void VolumeActor::finish_stop() {
  if (stopping.empty() || asked > 0 || !leaving.empty()) return;
  for (auto& promise : std::exchange(stopping, {})) {
    promise.deliver(RoleStopped{machine->committed()});
  }
  self->quit();
}

void VolumeActor::sender_went_down(const caf::down_msg& down) {
  if (leaving.erase(down.source) == 0) {
    for (auto at = senders.begin(); at != senders.end(); ++at) {
      if (at->second.address() != down.source) continue;
      env->events.event(engine::Event(engine::Level::error, "sender_died")
                            .with("volume", machine->assignment().spec.name)
                            .with("replica", at->first)
                            .with("why", caf::to_string(down.reason)));
      engine::PeerSeen seen;
      seen.replica = at->first;
      senders.erase(at);
      handle(engine::PeerReported{seen, now()});
      const bool member = machine->assignment().member(seen.replica) != nullptr;
      if (member && machine->state() != engine::VolumeState::ended) replace_sender(seen.replica);
      break;
    }
  }
  end_turn_soon();
}

/// At once, unless the ones before it died young too.
void VolumeActor::replace_sender(engine::ReplicaId replica) {
  const auto& settings = env->settings;
  auto& life = lives[replica];
  if (env->clock.now() - life.began > settings.retry_max) life.backoff = 0;
  const auto wait = life.backoff;
  life.backoff = std::clamp(wait * 2, settings.retry_min, settings.retry_max);
  if (wait == 0) return add_sender(replica);
  life.successor = env->timers.after(wait, [weak = caf::weak_actor_ptr(self->ctrl()), replica] {
    if (auto strong = weak.lock())
      caf::anon_send(caf::actor_cast<DueTarget>(strong), SenderDue{replica});
  });
}

void VolumeActor::sender_due(engine::ReplicaId replica) {
  const auto at = lives.find(replica);
  if (at == lives.end() || at->second.successor == 0) return;
  at->second.successor = 0;
  add_sender(replica);
}

std::vector<engine::PeerStatus> VolumeActor::peers_without_sender() const {
  std::vector<engine::PeerStatus> peers;
  for (const auto& [replica, life] : lives) {
    const auto* member = machine->assignment().member(replica);
    if (life.successor == 0 || member == nullptr) continue;
    engine::PeerStatus peer;
    peer.replica = replica;
    peer.node = member->node;
    peer.endpoint = member->endpoint;
    peer.reason = "its sender died again and again; the next one starts within retry_max";
    peers.push_back(std::move(peer));
  }
  return peers;
}

caf::result<engine::VolumeStatus> VolumeActor::status() {
  if (senders.empty()) return machine->status(peers_without_sender(), env->clock.now());
  struct Gathering {
    caf::typed_response_promise<engine::VolumeStatus> promise;
    std::vector<engine::PeerStatus> peers;
    std::size_t missing = 0;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->promise = self->make_response_promise<engine::VolumeStatus>();
  gathering->peers = peers_without_sender();
  gathering->missing = senders.size();
  const auto one_less = [this, gathering] {
    if (--gathering->missing > 0) return;
    gathering->promise.deliver(machine->status(std::move(gathering->peers), env->clock.now()));
  };
  for (const auto& [replica, sender] : senders) {
    self->request(sender, caf::infinite, AskPeerStatus{})
        .then(
            [gathering, one_less](engine::PeerStatus& peer) {
              gathering->peers.push_back(std::move(peer));
              one_less();
            },
            [one_less](const caf::error&) { one_less(); });
  }
  return gathering->promise;
}

caf::result<PreviewIs> VolumeActor::preview(engine::ReplicaId replica) {
  const auto sender = senders.find(replica);
  if (sender == senders.end()) {
    return PreviewIs{engine::Error{
        engine::Errc::unavailable,
        fmt::format("replica {} has no sender now: nothing is done about it", replica)}};
  }
  return self->delegate(sender->second, AskPreview{replica});
}

namespace {

VolumeShell::behavior_type volume_actor(VolumeShell::stateful_pointer<VolumeActor> self,
                                        std::shared_ptr<VolumeSeed> seed, SpawnSender spawn) {
  auto& state = self->state;
  state.begin(std::move(*seed), std::move(spawn));
  self->set_down_handler([&state](const caf::down_msg& down) { state.sender_went_down(down); });
  return {
      [&state](const Submit& m) { state.submit(m); },
      [&state](const VolumeTurnEnded&) { state.end_turn(); },
      [&state](const StoreProgressed& m) {
        state.handle(engine::StoreAdvanced{m.durable, m.wal_free_bytes, state.now()});
        state.repair(m.damaged);
      },
      [&state](const PeerProgressed& m) {
        engine::PeerSeen seen{m.replica,  m.incarnation, m.state,          m.session, m.proved,
                              m.received, m.durable,     m.wal_free_bytes, m.promised};
        state.handle(engine::PeerReported{seen, state.now()});
      },
      [&state](const VolumeTicked&) { state.tick(); },
      [&state](const SenderDue& m) { state.sender_due(m.replica); },
      [&state](const StoreFailed& m) {
        state.handle(engine::StoreEnded{m.error, state.now()});
      },
      [&state](const Reassigned& m) {
        state.handle(engine::AssignmentArrived{m.assignment, state.now()});
      },
      [&state](const SetAnswered& m) {
        state.handle(engine::SetAnswerArrived{m.decided, state.now()});
      },
      [&state](const AskVolumeStatus&) { return state.status(); },
      [&state](const StopRole& m) -> caf::result<RoleStopped> {
        auto promise = state.self->make_response_promise<RoleStopped>();
        state.stop(promise, m.reason);
        return promise;
      },
      [&state](const AskPreview& m) { return state.preview(m.replica); },
  };
}

}  // namespace

Volume spawn_volume_with(caf::actor_system& system, VolumeSeed seed, SpawnSender spawn) {
  return system.spawn(volume_actor, std::make_shared<VolumeSeed>(std::move(seed)),
                      std::move(spawn));
}

}  // namespace tidemark::actors
