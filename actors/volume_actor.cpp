// The shell around engine::VolumeMachine. Messages become events; effects are collected and leave
// together at the end of the turn: one AppendRecords, one RecordsNumbered per sender, then the
// reads behind them, then one delivery of answers per client.
#include "actors/volume_actor.hpp"

#include <map>
#include <utility>

#include "engine/check.hpp"
#include "engine/volume.hpp"

namespace tidemark::actors {

/// Volume -> itself: the messages of this turn are handled.
struct VolumeTurnEnded {};
/// Timer -> Volume.
struct VolumeTicked {};

}  // namespace tidemark::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::VolumeTurnEnded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::VolumeTicked)

namespace tidemark::actors {
namespace {

using VolumeShell = Volume::extend<caf::reacts_to<VolumeTurnEnded>, caf::reacts_to<VolumeTicked>>;
using TickTarget = caf::typed_actor<caf::reacts_to<VolumeTicked>>;

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
  return log;
}

struct VolumeActor {
  static inline const char* name = "volume";

  explicit VolumeActor(VolumeShell::pointer actor) : self(actor) {}
  ~VolumeActor() {
    if (env) env->timers.cancel(timer);
  }

  engine::Moment now() const { return {env->clock.now(), env->clock.wall()}; }

  void begin(VolumeSeed seed, SpawnSender spawn_sender);
  void submit(const Submit& message);
  void tick();
  void end_turn();
  void stop(caf::typed_response_promise<RoleStopped> promise, const std::string& reason);
  void sender_went_down(const caf::down_msg& down);
  caf::result<engine::VolumeStatus> status();

  template <class Event>
  void handle(Event event) {
    run(machine->on(std::move(event)));
  }
  void run(engine::VolumeEffects effects);

 private:
  struct Client {
    std::weak_ptr<engine::FrontClient> front;
    std::vector<engine::FrontReply> replies;  ///< Of this turn.
  };

  void perform(engine::Append& e);
  void perform(engine::ReadFromStore& e) { reads.push_back(e); }
  void perform(engine::AskStoreAllocation& e) { allocations.push_back(e); }
  void perform(engine::Reply& e);
  void perform(engine::MoveCommitted&) { committed_moved = true; }
  void perform(engine::Propose& e) { self->send(node, SetProposed{std::move(e.proposal)}); }
  void perform(engine::ChangeSender& e);
  void perform(engine::CutClients& e);
  void perform(engine::EndRole& e);
  void perform(engine::Log& e);

  void add_sender(engine::ReplicaId replica);
  void remove_sender(engine::ReplicaId replica);
  void end_turn_soon();
  void ship();
  void read(const engine::ReadFromStore& e);
  void ask_allocation(const engine::AskStoreAllocation& e);
  void deliver_replies();
  void answered_by_store() {
    CHECK(asked > 0);
    --asked;
  }
  engine::ClientKey key_of(const std::weak_ptr<engine::FrontClient>& front);
  void forget_gone_clients();
  void arm();
  void finish_stop();

 public:
  VolumeShell::pointer self;
  EnvironmentPtr env;
  std::optional<engine::VolumeMachine> machine;

 private:
  Store store;
  Node node;
  SpawnSender spawn_sender;
  std::map<engine::ReplicaId, Sender> senders;
  std::map<caf::actor_addr, engine::ReplicaId> leaving;  ///< Looked up, never walked.

  // Collected in this turn.
  std::vector<engine::RecordPtr> numbered;
  engine::RecordBatch only_batch;  ///< The turn's one batch as it came, when there was one.
  std::vector<engine::ReadFromStore> reads;
  std::vector<engine::AskStoreAllocation> allocations;
  std::vector<engine::ClientKey> answered;
  bool committed_moved = false;
  bool turn_pending = false;

  engine::Lsn shipped;  ///< Head of what senders were given.
  std::map<std::weak_ptr<engine::FrontClient>, engine::ClientKey, std::owner_less<>>
      keys;  ///< By identity; looked up, never walked.
  std::map<engine::ClientKey, Client> clients;
  std::uint64_t last_client = 0;
  std::size_t asked = 0;  ///< Questions to the store that have no answer yet.
  engine::TimerId timer = 0;
  std::uint64_t timer_delay = 0;
  std::vector<caf::typed_response_promise<RoleStopped>> stopping;
};

void VolumeActor::begin(VolumeSeed seed, SpawnSender spawn) {
  env = std::move(seed.env);
  store = std::move(seed.store);
  node = std::move(seed.node);
  spawn_sender = std::move(spawn);
  shipped = seed.facts.end;
  machine.emplace(limits_of(env->settings));
  self->send(store, SetListener{VolumeShell(self)});
  handle(engine::RoleOpened{std::move(seed.assignment), log_of(std::move(seed.facts)),
                            front_session(*env), now()});
  arm();
}

void VolumeActor::run(engine::VolumeEffects effects) {
  for (auto& effect : effects) {
    std::visit([this](auto& e) { perform(e); }, effect);
  }
  if (!effects.empty()) end_turn_soon();
  // A member that went away, or a proposal, can't wait for an idle tick.
  if (machine->unsettled() && timer_delay > machine->tick_after()) arm();
}

void VolumeActor::perform(engine::Append& e) {
  only_batch = numbered.empty() ? e.batch : nullptr;
  numbered.insert(numbered.end(), e.batch->begin(), e.batch->end());
}

void VolumeActor::perform(engine::Reply& e) {
  const auto at = clients.find(e.client);
  if (at == clients.end()) return;  // gone
  if (at->second.replies.empty()) answered.push_back(e.client);
  at->second.replies.push_back(std::move(e.reply));
}

void VolumeActor::perform(engine::ChangeSender& e) {
  using Kind = engine::SenderChange::Kind;
  const auto replica = e.change.replica;
  if (e.change.kind == Kind::add) return add_sender(replica);
  if (e.change.kind == Kind::remove) return remove_sender(replica);
  if (const auto at = senders.find(replica); at != senders.end()) {
    self->send(at->second, PeerReassigned{machine->assignment()});
  }
}

void VolumeActor::add_sender(engine::ReplicaId replica) {
  SenderSeed seed;
  seed.env = env;
  seed.assignment = machine->assignment();
  seed.peer = replica;
  seed.store = store;
  seed.volume = VolumeShell(self);
  seed.head = shipped;
  seed.committed = machine->committed();
  seed.history = machine->history();
  auto sender = spawn_sender(self->home_system(), std::move(seed));
  self->monitor(sender);
  senders[replica] = std::move(sender);
}

void VolumeActor::remove_sender(engine::ReplicaId replica) {
  const auto at = senders.find(replica);
  if (at == senders.end()) return;
  leaving[at->second.address()] = replica;
  self->send(at->second, StopSender{});
  senders.erase(at);
}

void VolumeActor::perform(engine::CutClients& e) {
  deliver_replies();
  auto cut = std::exchange(clients, {});
  keys.clear();
  for (auto& [key, client] : cut) {
    if (auto front = client.front.lock()) front->on_cut(e.reason);
  }
}

void VolumeActor::perform(engine::EndRole& e) {
  const auto& in_force = machine->assignment();
  self->send(node, RoleEnded{in_force.spec.id, in_force.epoch, e.reason});
}

void VolumeActor::perform(engine::Log& e) {
  e.event.fields.insert(e.event.fields.begin(), {"volume", machine->assignment().spec.name});
  env->events.event(e.event);
}

void VolumeActor::end_turn_soon() {
  if (std::exchange(turn_pending, true)) return;
  self->send(self, VolumeTurnEnded{});
}

void VolumeActor::end_turn() {
  turn_pending = false;
  ship();
  for (const auto& e : std::exchange(reads, {})) read(e);
  for (const auto& e : std::exchange(allocations, {})) ask_allocation(e);
  deliver_replies();
  finish_stop();
}

/// Records to the store and to every sender, before any of it is durable anywhere.
void VolumeActor::ship() {
  if (numbered.empty() && !committed_moved) return;
  const auto committed = machine->committed();
  engine::RecordBatch batch;
  if (!numbered.empty()) {
    batch = only_batch
                ? std::move(only_batch)
                : std::make_shared<const std::vector<engine::RecordPtr>>(std::move(numbered));
    CHECK(batch->front()->lsn() == shipped.next());
    shipped = batch->back()->lsn();
    self->send(store, AppendRecords{batch, committed});
  } else {
    self->send(store, CommittedAdvanced{committed});
  }
  for (const auto& [replica, sender] : senders) {
    self->send(sender, RecordsNumbered{batch, committed, machine->durable()});
  }
  numbered.clear();
  only_batch = nullptr;
  committed_moved = false;
}

void VolumeActor::read(const engine::ReadFromStore& e) {
  ++asked;
  const auto id = e.id;
  self->request(store, caf::infinite, ReadBlocks{e.range})
      .then(
          [this, id](BlocksRead& answer) {
            answered_by_store();
            handle(engine::BlocksArrived{id, std::move(answer.pieces), now()});
            end_turn_soon();
          },
          [this, id](const caf::error&) {
            answered_by_store();
            handle(engine::BlocksArrived{
                id, engine::Error{engine::Errc::unavailable, "read of blocks: the store is gone"},
                now()});
            end_turn_soon();
          });
}

void VolumeActor::ask_allocation(const engine::AskStoreAllocation& e) {
  ++asked;
  const auto id = e.id;
  self->request(store, caf::infinite, AskAllocation{e.range})
      .then(
          [this, id](AllocationIs& answer) {
            answered_by_store();
            handle(engine::AllocationArrived{id, std::move(answer.runs), now()});
            end_turn_soon();
          },
          [this, id](const caf::error&) {
            answered_by_store();
            handle(engine::AllocationArrived{
                id, engine::Error{engine::Errc::unavailable, "block status: the store is gone"},
                now()});
            end_turn_soon();
          });
}

void VolumeActor::deliver_replies() {
  for (const auto key : std::exchange(answered, {})) {
    const auto at = clients.find(key);
    if (at == clients.end()) continue;
    auto replies = std::exchange(at->second.replies, {});
    if (auto front = at->second.front.lock()) front->on_replies(std::move(replies));
  }
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
      break;
    }
  }
  end_turn_soon();
}

caf::result<engine::VolumeStatus> VolumeActor::status() {
  if (senders.empty()) return machine->status({}, env->clock.now());
  struct Gathering {
    caf::typed_response_promise<engine::VolumeStatus> promise;
    std::vector<engine::PeerStatus> peers;
    std::size_t missing = 0;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->promise = self->make_response_promise<engine::VolumeStatus>();
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
      },
      [&state](const PeerProgressed& m) {
        engine::PeerSeen seen{m.replica,  m.incarnation, m.state,          m.session, m.proved,
                              m.received, m.durable,     m.wal_free_bytes, m.promised};
        state.handle(engine::PeerReported{seen, state.now()});
      },
      [&state](const VolumeTicked&) { state.tick(); },
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
  };
}

}  // namespace

Volume spawn_volume_with(caf::actor_system& system, VolumeSeed seed, SpawnSender spawn) {
  return system.spawn(volume_actor, std::make_shared<VolumeSeed>(std::move(seed)),
                      std::move(spawn));
}

}  // namespace tidemark::actors
