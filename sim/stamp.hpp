// What clients write: every cell of 512 bytes says who wrote it and where it belongs, and
// the rest of it follows from that. So a cell that is read names one write, or nothing, or
// is proof of damage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tidemark::sim {

inline constexpr std::size_t cell_bytes = 512;
inline constexpr std::size_t cells_per_block = 8;

/// Names a client's write for ever. 0: zeros, whoever wrote them.
using OpId = std::uint64_t;

/// Fills one cell.
void stamp(std::span<std::byte> cell, std::uint64_t volume, std::uint64_t index, OpId op);
/// The op that wrote the cell, 0 for zeros; nothing where the bytes are neither,
/// or belong elsewhere.
std::optional<OpId> read_stamp(std::span<const std::byte> cell, std::uint64_t volume,
                               std::uint64_t index);

/// The op that a cell of the volume names, whatever else stands in it; 0: none.
OpId named_op(std::span<const std::byte> cell, std::uint64_t volume);

}  // namespace tidemark::sim
