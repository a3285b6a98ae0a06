// The volume actor's inside: its clients, its senders, and what this turn has collected. Private to
// volume_actor.cpp (messages and life) and volume_turn.cpp (effects).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/volume_actor.hpp"
#include "engine/check.hpp"
#include "engine/volume.hpp"

namespace tidemark::actors {

/// Volume -> itself: the messages of this turn are handled.
struct VolumeTurnEnded {};
/// Timer -> Volume.
struct VolumeTicked {};
/// Timer -> Volume: a dead sender's successor has waited long enough. One that comes late finds
/// none that waits.
struct SenderDue {
  engine::ReplicaId replica;
};

}  // namespace tidemark::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::VolumeTurnEnded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::VolumeTicked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::SenderDue)

namespace tidemark::actors {

using VolumeShell = Volume::extend<caf::reacts_to<VolumeTurnEnded>, caf::reacts_to<VolumeTicked>,
                                   caf::reacts_to<SenderDue>>;

/// The volume actor's state.
struct VolumeActor {
  static inline const char* name = "volume";

  explicit VolumeActor(VolumeShell::pointer actor) : self(actor) {}
  ~VolumeActor() {
    if (env) env->timers.cancel(timer);
    for (const auto& [replica, life] : lives) env->timers.cancel(life.successor);
  }

  engine::Moment now() const { return {env->clock.now(), env->clock.wall()}; }

  void begin(VolumeSeed seed, SpawnSender spawn_sender);
  void submit(const Submit& message);
  void tick();
  void end_turn();
  void stop(caf::typed_response_promise<RoleStopped> promise, const std::string& reason);
  void sender_went_down(const caf::down_msg& down);
  void sender_due(engine::ReplicaId replica);
  caf::result<engine::VolumeStatus> status();
  caf::result<PreviewIs> preview(engine::ReplicaId replica);

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
  /// How a replica's senders fare: those that keep dying are not started as fast as they die.
  struct SenderLife {
    engine::MonoTime began;         ///< Of the last one.
    std::uint64_t backoff = 0;      ///< How long the next one waits, should this one die young.
    engine::TimerId successor = 0;  ///< Waits; 0: there is a sender.
  };

  void perform(engine::Append& e);
  void perform(engine::ReadFromStore& e) { reads.push_back(e); }
  void perform(engine::AskStoreAllocation& e) { allocations.push_back(e); }
  void perform(engine::Reply& e);
  void perform(engine::MoveCommitted&) { committed_moved = true; }
  void perform(engine::TellConfigured& e) {
    self->send(node, ConfigurationCommitted{std::move(e.configured)});
  }
  void perform(engine::Propose& e) { self->send(node, SetProposed{std::move(e.proposal)}); }
  void perform(engine::ChangeSender& e);
  void perform(engine::CutClients& e);
  void perform(engine::EndRole& e);
  void perform(engine::Log& e);

  void add_sender(engine::ReplicaId replica);
  void remove_sender(engine::ReplicaId replica);
  void replace_sender(engine::ReplicaId replica);
  std::vector<engine::PeerStatus> peers_without_sender() const;
  void end_turn_soon();
  void ship();
  void tell_latency();
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
  void repair(const std::vector<engine::DamagedBlock>& damaged);

 private:
  void ask_next_copy(engine::BlockIndex block);
  void take_copy(engine::BlockCopy copy);

 public:
  VolumeShell::pointer self;
  EnvironmentPtr env;
  std::optional<engine::VolumeMachine> machine;

 private:
  Store store;
  Node node;
  std::optional<Pace> pace;
  SpawnSender spawn_sender;
  std::map<engine::ReplicaId, Sender> senders;
  std::map<engine::ReplicaId, SenderLife> lives;
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
  std::map<engine::BlockIndex, engine::RepairRound> repairing;  ///< At most repairs_at_once_max.
  std::size_t asked = 0;  ///< Questions to the store that have no answer yet.
  engine::TimerId timer = 0;
  std::uint64_t timer_delay = 0;
  std::vector<caf::typed_response_promise<RoleStopped>> stopping;
};

}  // namespace tidemark::actors
