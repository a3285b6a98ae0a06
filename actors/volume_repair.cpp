// The primary's extents lost a block: its replicas are asked for it, one after the other, until the
// store takes what one of them has.
#include "actors/volume_shell.hpp"

namespace tidemark::actors {

void VolumeActor::repair(const std::optional<engine::DamagedBlock>& damaged) {
  if (!damaged || repairing || machine->state() == engine::VolumeState::ended) return;
  std::vector<engine::ReplicaId> candidates;
  for (const auto& [replica, sender] : senders) candidates.push_back(replica);
  repairing.emplace(*damaged, std::move(candidates));
  ask_next_copy();
}

/// A sender whose replica is not in line answers so at once.
void VolumeActor::ask_next_copy() {
  const auto damaged = repairing->damaged();
  while (const auto replica = repairing->next()) {
    const auto sender = senders.find(*replica);
    if (sender == senders.end()) continue;
    self->request(sender->second, caf::infinite, FetchBlock{damaged})
        .then(
            [this](BlockFetched& fetched) {
              const bool usable = fetched.copy && fetched.copy->usable();
              if (usable) return take_copy(std::move(*fetched.copy));
              ask_next_copy();
            },
            [this](const caf::error&) { ask_next_copy(); });
    return;
  }
  repairing.reset();
  self->send(store, GiveUpBlock{damaged.block});  // It names the next one, or this one later.
}

void VolumeActor::take_copy(engine::BlockCopy copy) {
  ++asked;
  self->request(store, caf::infinite, RepairBlock{std::move(copy), repairing->damaged().at})
      .then(
          [this](const StoreDone& done) {
            answered_by_store();
            end_turn_soon();
            if (!done.status) return ask_next_copy();
            repairing.reset();  // Behind this answer the store tells what else is damaged.
          },
          [this](const caf::error&) {
            answered_by_store();
            repairing.reset();
            end_turn_soon();
          });
}

}  // namespace tidemark::actors
