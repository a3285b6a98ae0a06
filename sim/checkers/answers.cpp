#include "sim/checkers/answers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "actors/interfaces.hpp"
#include "sim/checkers/said.hpp"

namespace tidemark::sim {

void Answers::observe(const Step& step) {
  if (!step.life) return;
  const auto node = step.life->node;
  if (const auto* append = said<actors::AppendRecords>(step)) {
    const auto& batch = *append->batch;
    got(node, batch);
    if (!batch.empty()) ends_[node] = batch.back()->lsn();
  } else if (const auto* progress = said<actors::StoreProgressed>(step)) {
    // Said before a cut, it may be heard behind it.
    durable(node, std::min(progress->durable, ends_[node]));
  } else if (const auto* truncate = said<actors::TruncateLog>(step)) {
    cut(node, truncate->to);
  } else if (const auto* reset = said<actors::BeginBase>(step)) {
    if (reset->scope != engine::BaseScope::rest) begins_at(node, reset->log.base);
  } else if (const auto* opened = said<actors::StoreOpened>(step)) {
    if (opened->facts) begins_at(node, opened->facts->end);
  }
}

void Answers::delivered(std::uint32_t node, const engine::Message& message) {
  if (const auto* sent = std::get_if<engine::Records>(&message)) got(node, sent->records);
}

void Answers::got(std::uint32_t node, const std::vector<engine::RecordPtr>& records) {
  for (const auto& record : records) {
    const auto payload = record->payload().bytes();
    OpId last = 0;  // Of the cell before: most records are one op's. 0: none's, and nobody asks.
    for (std::size_t at = 0; at + cell_bytes <= payload.size(); at += cell_bytes) {
      const auto op = named_op(payload.subspan(at, cell_bytes), tag_);
      if (op == last) continue;
      last = op;
      auto [held, fresh] = held_.try_emplace(op);
      if (fresh) {
        held->second.lsn = record->lsn();
        held->second.epoch = record->header().epoch;
      }
      held->second.nodes.insert(node);
    }
  }
}

std::optional<Answers::Place> Answers::place(OpId op) const {
  const auto found = held_.find(op);
  if (found == held_.end() || !found->second.lsn) return std::nullopt;
  return Place{found->second.epoch, found->second.lsn};
}

void Answers::durable(std::uint32_t node, engine::Lsn lsn) {
  auto& known = durable_[node];
  known = std::max(known, lsn);
}

void Answers::cut(std::uint32_t node, engine::Lsn end) {
  ends_[node] = std::min(ends_[node], end);
  durable_[node] = std::min(durable_[node], end);
}

void Answers::begins_at(std::uint32_t node, engine::Lsn end) {
  ends_[node] = end;
  durable_[node] = std::min(durable_[node], end);
}

// Who answers has it, be it still on its way to its own store.
void Answers::answered(OpId op, std::uint32_t node) {
  auto& held = held_[op];
  held.nodes.insert(node);
  if (held.nodes.size() >= 2) return;
  if (held.lsn && durable_[node] >= held.lsn) return;
  fail_(
      "answered_from_memory",
      fmt::format("op {} (lsn {}) was answered by node{}, which alone has it, on its disk up to {}",
                  op, held.lsn, node + 1, durable_[node]));
}

}  // namespace tidemark::sim
