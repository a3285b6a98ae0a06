#include "sim/checkers/synced.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "actors/interfaces.hpp"

namespace tidemark::sim {

using engine::Lsn;

void Synced::observe(const Step& step) {
  const auto& content = step.content;
  if (!step.life || step.life->twin || content.size() != 1) return;
  if (content.match_element<actors::AppendRecords>(0)) {
    stores_[step.sender] = step.receiver;
    for (const auto& record : *content.get_as<actors::AppendRecords>(0).batch) {
      if (numbered(*record)) writers_[step.life->node] = step.sender;
    }
  } else if (content.match_element<actors::StoreProgressed>(0)) {
    durable_[step.receiver] = content.get_as<actors::StoreProgressed>(0).durable;
    const auto store = stores_.find(step.receiver);
    if (store != stores_.end()) holds(store->second, durable_[step.receiver]);
  } else if (content.match_element<actors::SetListener>(0)) {
    stores_[content.get_as<actors::SetListener>(0).listener.id()] = step.receiver;
  } else if (content.match_element<actors::StoreOpened>(0)) {
    const auto& facts = content.get_as<actors::StoreOpened>(0).facts;
    if (!facts) return;
    replicas_[step.sender] = facts->replica;
    holds(step.sender, facts->end);
  }
}

void Synced::holds(caf::actor_id store, Lsn durable) {
  const auto replica = replicas_.find(store);
  if (replica == replicas_.end()) return;
  auto& held = held_[replica->second];
  held = std::max(held, durable);
}

void Synced::set_heard(std::uint32_t node, engine::Epoch epoch, engine::Version version,
                       const std::vector<engine::SetMember>& in_sync) {
  auto& set = sets_[node];
  if (std::pair(epoch, version) < std::pair(set.epoch, set.version)) return;
  set = {epoch, version, in_sync};
}

std::optional<engine::ReplicaId> Synced::lacks(std::uint32_t node, Lsn lsn) const {
  const auto set = sets_.find(node);
  if (!all_ || set == sets_.end()) return std::nullopt;
  for (const auto& member : set->second.members) {
    const auto held = held_.find(member.replica);
    if (held == held_.end() || held->second < lsn) return member.replica;
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
    auto [known, fresh] = last_.try_emplace(op, record.lsn());
    if (!fresh && run == cells_per_block) known->second = std::max(known->second, record.lsn());
  }
  return names;
}

Lsn Synced::synced(std::uint32_t node) const {
  Lsn most;
  for (const auto& [at, writer] : writers_) {
    const auto told = durable_.find(writer);
    if (told != durable_.end() && (quorum_ || at == node)) most = std::max(most, told->second);
  }
  return most;
}

void Synced::answered(OpId op, std::uint32_t node, Reign reign, engine::MonoTime at, bool fua) {
  const auto found = last_.find(op);
  if (found == last_.end()) return;
  const auto lsn = found->second;
  auto& before = answered_[reign];
  if (before.empty() || before.back().second < lsn) before.emplace_back(at, lsn);
  if (!fua) return;
  if (const auto replica = lacks(node, lsn)) {
    return fail_("fua_unsynced",
                 fmt::format("op {} (lsn {}) was answered by node{}, and replica {} of the set "
                             "never said that it has it",
                             op, lsn, node + 1, *replica));
  }
  if (synced(node) >= lsn) return;
  fail_("fua_unsynced", fmt::format("op {} (lsn {}) was answered by node{}, where no disk that "
                                    "counts is known to have more than {}",
                                    op, lsn, node + 1, synced(node)));
}

void Synced::flushed(std::uint32_t node, Reign reign, engine::MonoTime began) {
  const auto& before = answered_[reign];
  const auto behind = std::lower_bound(before.begin(), before.end(), Answered(began, Lsn()));
  if (behind == before.begin()) return;
  const auto lsn = std::prev(behind)->second;
  if (const auto replica = lacks(node, lsn)) {
    return fail_("flush_unsynced",
                 fmt::format("a flush was answered by node{}, and replica {} of the set never said "
                             "that it has lsn {}, which was answered before it",
                             node + 1, *replica, lsn));
  }
  if (synced(node) >= lsn) return;
  fail_("flush_unsynced",
        fmt::format("a flush was answered by node{}, where no disk that counts is known to have "
                    "more than {}; lsn {} was answered before it",
                    node + 1, synced(node), lsn));
}

}  // namespace tidemark::sim
