// The primary's extents lost blocks: for each its replicas are asked, one after the other, until the
// store takes what one of them has.
#include "actors/volume_shell.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::actors {

/// Those that the store names first are begun first; more are named when one of them is done.
void VolumeActor::repair(const std::vector<engine::DamagedBlock>& damaged) {
  if (machine->state() == engine::VolumeState::ended) return;
  for (const auto& one : damaged) {
    if (repairing.size() >= engine::repairs_at_once_max) return;
    if (repairing.contains(one.block)) continue;
    std::vector<engine::ReplicaId> candidates;
    for (const auto& [replica, sender] : senders) candidates.push_back(replica);
    repairing.emplace(one.block, engine::RepairRound(one, std::move(candidates)));
    ask_next_copy(one.block);
  }
}

/// A sender whose replica is not in line answers so at once.
void VolumeActor::ask_next_copy(engine::BlockIndex block) {
  auto& round = repairing.at(block);
  while (const auto replica = round.next()) {
    const auto sender = senders.find(*replica);
    if (sender == senders.end()) continue;
    self->request(sender->second, caf::infinite, FetchBlock{round.damaged()})
        .then(
            [this, block](BlockFetched& fetched) {
              const bool usable = fetched.copy && fetched.copy->usable();
              if (usable) return take_copy(std::move(*fetched.copy));
              ask_next_copy(block);
            },
            [this, block](const caf::error&) { ask_next_copy(block); });
    return;
  }
  repairing.erase(block);
  engine::sometimes(engine::Mark::primary_found_no_helper);
  self->send(store, GiveUpBlock{block});  // It names others, or this one later.
}

void VolumeActor::take_copy(engine::BlockCopy copy) {
  ++asked;
  const auto block = copy.block;
  self->request(store, caf::infinite,
                RepairBlock{std::move(copy), repairing.at(block).damaged().at})
      .then(
          [this, block](const StoreDone& done) {
            answered_by_store();
            end_turn_soon();
            if (!done.status) return ask_next_copy(block);
            repairing.erase(block);  // Behind this answer the store tells what else is damaged.
          },
          [this, block](const caf::error&) {
            answered_by_store();
            repairing.erase(block);
            end_turn_soon();
          });
}

}  // namespace tidemark::actors
