// What the volume's machine wants done. Effects are collected and leave together at the end of the
// turn: one delivery of answers per client, then one RecordsNumbered per sender and one
// AppendRecords, then the reads behind them.
#include "actors/volume_shell.hpp"

namespace tidemark::actors {

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
  seed.configurations = machine->configurations();
  seed.pace = pace;
  auto sender = spawn_sender(self->home_system(), std::move(seed));
  self->monitor(sender);
  senders[replica] = std::move(sender);
  lives[replica].began = env->clock.now();
}

void VolumeActor::remove_sender(engine::ReplicaId replica) {
  if (const auto life = lives.extract(replica)) env->timers.cancel(life.mapped().successor);
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
  deliver_replies();
  ship();
  tell_latency();
  for (const auto& e : std::exchange(reads, {})) read(e);
  for (const auto& e : std::exchange(allocations, {})) ask_allocation(e);
  finish_stop();
}

void VolumeActor::tell_latency() {
  if (!pace) return;
  if (const auto sample = machine->take_latency(env->clock.now())) {
    self->send(*pace, WritesMeasured{machine->assignment().spec.id, *sample});
  }
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
  }
  // The senders first: the way over a replica is the longer one.
  const bool receipt_wanted = machine->receipt_wanted();
  for (const auto& [replica, sender] : senders) {
    self->send(sender, RecordsNumbered{batch, committed, receipt_wanted});
  }
  if (batch) {
    self->send(store, AppendRecords{std::move(batch), committed});
  } else {
    self->send(store, CommittedAdvanced{committed});
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

}  // namespace tidemark::actors
