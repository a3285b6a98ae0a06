#include "sim/checkers/copied.hpp"

#include <fmt/format.h>

#include <variant>

namespace tidemark::sim {

void Copied::delivered(std::uint32_t node, const engine::Message& message) {
  const auto* base = std::get_if<engine::BaseBlocks>(&message);
  if (base == nullptr) return;
  const auto bytes = base->data.bytes();
  OpId before = 0;
  for (std::size_t at = 0; at + cell_bytes <= bytes.size(); at += cell_bytes) {
    const auto op = named_op(bytes.subspan(at, cell_bytes), tag_);
    if (op == before) continue;
    before = op;
    const auto place = answers_.place(op);
    if (!place || place->lsn <= base->flush_lsn) continue;
    return fail_(
        "base_beyond",
        fmt::format("node{} gets block {} of a base that holds what the log said up to lsn {}: "
                    "op {} is in there, whose record is lsn {}",
                    node + 1, base->range.first.value + at / engine::block_bytes, base->flush_lsn,
                    op, place->lsn));
  }
}

}  // namespace tidemark::sim
