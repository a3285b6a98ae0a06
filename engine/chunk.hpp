// How the log is cut into chunks. A chunk is one WAL segment on every replica; the primary decides
// where it ends and says so in the log, so that all replicas roll at the same record and their
// chunks compare (C17).
//
// Replicas batch differently, so a chunk's size is counted at the worst batching: every record
// alone in its batch. A chunk also ends before every epoch record: a new primary need not know how
// full its predecessor's was.
#pragma once

#include <cstdint>

#include "engine/record/record.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// Bytes of the header that a batch of records begins with in the WAL (docs/DATA_FORMAT.md).
inline constexpr std::uint64_t batch_header_bytes = 128;
/// The first block of a segment describes it.
inline constexpr std::uint64_t segment_header_bytes = block_bytes;
/// Segments below this could not hold two of the largest records.
inline constexpr std::uint64_t segment_bytes_min = 4ull << 20;

constexpr std::uint64_t whole_blocks(std::uint64_t bytes) {
  return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

/// What a record takes in a segment when it is alone in its batch.
constexpr std::uint64_t chunk_cost(std::uint64_t head_bytes, std::uint64_t payload_bytes) {
  return whole_blocks(batch_header_bytes + head_bytes) + payload_bytes;
}
inline std::uint64_t chunk_cost(const Record& record) {
  return chunk_cost(record.head().size(), record.payload().size());
}

/// What the records of a chunk may cost together, so that the chunk_end record still fits.
constexpr std::uint64_t chunk_bytes_max(std::uint64_t segment_bytes) {
  return segment_bytes - segment_header_bytes - chunk_cost(record_header_bytes, 0);
}

}  // namespace tidemark::engine
