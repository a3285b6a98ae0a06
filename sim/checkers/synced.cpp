#include "sim/checkers/synced.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "actors/interfaces.hpp"
#include "sim/checkers/known.hpp"
#include "sim/checkers/said.hpp"

namespace tidemark::sim {

using engine::Lsn;

void Synced::observe(const Step& step) {
  if (!step.life || step.life->twin) return;
  if (const auto* append = said<actors::AppendRecords>(step)) {
    stores_[step.sender] = step.receiver;
    for (const auto& record : *append->batch) {
      if (numbered(*record)) writers_[step.life->node] = step.sender;
    }
  } else if (const auto* progress = said<actors::StoreProgressed>(step)) {
    durable_[step.receiver] = progress->durable;
    if (const auto* store = known(stores_, step.receiver)) holds(*store, progress->durable);
  } else if (const auto* set = said<actors::SetListener>(step)) {
    stores_[set->listener.id()] = step.receiver;
  } else if (const auto* opened = said<actors::StoreOpened>(step)) {
    if (!opened->facts) return;
    replicas_[step.sender] = opened->facts->replica;
    holds(step.sender, opened->facts->end);
  }
}

void Synced::holds(caf::actor_id store, Lsn durable) {
  const auto* replica = known(replicas_, store);
  if (replica == nullptr) return;
  auto& held = held_[*replica];
  held = std::max(held, durable);
}

void Synced::set_heard(std::uint32_t node, engine::Epoch epoch, engine::Version version,
                       const std::vector<engine::SetMember>& in_sync) {
  auto& set = sets_[node];
  if (std::pair(epoch, version) < std::pair(set.epoch, set.version)) return;
  set = {epoch, version, in_sync};
}

std::optional<engine::ReplicaId> Synced::lacks(std::uint32_t node, Lsn lsn) const {
  const auto* set = known(sets_, node);
  if (!all_ || set == nullptr) return std::nullopt;
  for (const auto& member : set->members) {
    const auto* held = known(held_, member.replica);
    if (held == nullptr || *held < lsn) return member.replica;
  }
  return std::nullopt;
}

/// The first record that names an op is its own, and every one that has a whole block of it: what merges onto a block has
/// its own stamp in there.
bool Synced::numbered(const engine::Record& record) {
  const auto payload = record.payload().bytes();
  bool names = false;
  OpId last = 0;
  std::uint64_t run = 0;  ///< Cells of that op in a row.
  for (std::size_t at = 0; at + cell_bytes <= payload.size(); at += cell_bytes) {
    const auto op = named_op(payload.subspan(at, cell_bytes), tag_);
    const bool begins_block = at / cell_bytes % cells_per_block == 0;
    run = op == last && !begins_block ? run + 1 : 1;
    last = op;
    if (op == 0) continue;
    names = true;
    const At here{record.lsn(), record.header().epoch};
    auto& own = last_.try_emplace(op, here).first->second;
    if (run == cells_per_block) own = std::max(own, here);
  }
  return names;
}

Lsn Synced::synced(std::uint32_t node) const {
  Lsn most;
  for (const auto& [at, writer] : writers_) {
    const auto* told = known(durable_, writer);
    if (told != nullptr && (quorum_ || at == node)) most = std::max(most, *told);
  }
  return most;
}

Lsn Synced::held(engine::ReplicaId replica) const {
  const auto* held = known(held_, replica);
  return held == nullptr ? Lsn() : *held;
}

Synced::At Synced::answered(OpId op, std::uint32_t node, Reign reign, engine::MonoTime at,
                            bool fua) {
  const auto* own = known(last_, op);
  if (own == nullptr) return {};
  const auto lsn = own->lsn;
  auto& before = answered_[reign];
  if (before.empty() || before.back().second.lsn < lsn) before.emplace_back(at, *own);
  if (!fua) return {};
  if (const auto replica = lacks(node, lsn)) {
    fail_("fua_unsynced",
          fmt::format("op {} (lsn {}) was answered by node{}, and replica {} of the set "
                      "never said that it has it",
                      op, lsn, node + 1, *replica));
  } else if (synced(node) < lsn) {
    fail_("fua_unsynced", fmt::format("op {} (lsn {}) was answered by node{}, where no disk that "
                                      "counts is known to have more than {}",
                                      op, lsn, node + 1, synced(node)));
  }
  return *own;
}

Synced::At Synced::flushed(std::uint32_t node, Reign reign, engine::MonoTime began) {
  const auto& before = answered_[reign];
  const auto behind = std::lower_bound(before.begin(), before.end(), Answered(began, At()));
  if (behind == before.begin()) return {};
  const auto upto = std::prev(behind)->second;
  const auto lsn = upto.lsn;
  if (const auto replica = lacks(node, lsn)) {
    fail_("flush_unsynced",
          fmt::format("a flush was answered by node{}, and replica {} of the set never said "
                      "that it has lsn {}, which was answered before it",
                      node + 1, *replica, lsn));
  } else if (synced(node) < lsn) {
    fail_("flush_unsynced",
          fmt::format("a flush was answered by node{}, where no disk that counts is known to have "
                      "more than {}; lsn {} was answered before it",
                      node + 1, synced(node), lsn));
  }
  return upto;
}

}  // namespace tidemark::sim
