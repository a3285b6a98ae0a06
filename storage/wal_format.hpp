// The bytes of the log on disk (docs/DATA_FORMAT.md, "WAL segment" and "Batch").
//
//   segment = header block | batch | batch | ... | zeros or a former life
//   batch   = header (128 bytes) + record heads, padded to a block | payload blocks
//
// A batch is bound to its volume, its segment's sequence number and its offset: what a recycled
// segment held in a former life, or what a client stored as data, is never taken for a batch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/chunk.hpp"
#include "engine/record/record.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::storage {

inline constexpr std::uint32_t wal_format_version = 2;

/// Names a life of a segment file; rises with each, never reused within a replica.
using SegmentSequence = engine::Position<struct SegmentTag>;

/// The first block of a segment: written, and durable, before its first batch is issued.
struct SegmentHeader {
  engine::VolumeId volume;
  engine::ReplicaId replica;
  SegmentSequence sequence;
  engine::Lsn first;        ///< Of its first record.
  engine::Digest before;    ///< Of the log up to the record before.
  engine::Lsn chunk_first;  ///< Of the chunk that is open when the segment begins.
  std::uint64_t chunk_bytes =
      0;  ///< Cost of that chunk's records in earlier segments (0, but for a forced roll).
  engine::Lsn durable;              ///< Durable when this header was issued (C14).
  std::uint64_t segment_bytes = 0;  ///< Size of the file, pinned at the replica's creation.
};
/// What a header takes of its block; the rest is zero.
inline constexpr std::size_t segment_header_used_bytes = 104;
/// Exactly one block.
engine::Buffer encode_segment_header(const SegmentHeader& header);
/// Nothing for any block that is no such header.
std::optional<SegmentHeader> decode_segment_header(std::span<const std::byte> block);

/// The format version of a block that begins as a segment header does, whole or not.
std::optional<std::uint32_t> segment_header_version(std::span<const std::byte> block);

/// What stands before the heads of a batch's records.
struct BatchHeader {
  SegmentSequence sequence;
  std::uint64_t offset = 0;  ///< Of the batch in its segment.
  engine::Lsn first;
  std::uint32_t count = 0;
  std::uint32_t head_bytes = 0;  ///< All record heads, unpadded.
  std::uint64_t payload_bytes = 0;
  engine::Lsn durable;      ///< Durable here when the batch was issued (C14).
  engine::Lsn committed;    ///< Locally committed when it was issued (C10).
  engine::Digest before;    ///< Of the log up to the record before `first`.
  engine::Lsn chunk_first;  ///< Of the chunk that is open when the batch begins.
  std::uint64_t chunk_bytes =
      0;  ///< Worst cost of that chunk's records before `first`; behind a cut, at most.
  /// Neither of the two batches behind it takes more; so far does recovery look for proof when the next is torn (C14).
  /// Whole blocks, batch_span_min to batch_span_max.
  std::uint64_t span_next = 0;

  engine::Lsn last() const { return first + (count - 1); }
  std::uint64_t head_area() const {
    return engine::whole_blocks(engine::batch_header_bytes + head_bytes);
  }
  std::uint64_t bytes() const { return head_area() + payload_bytes; }
};

/// One write: at most this many records, and about as many bytes.
/// 4 MiB amortise a device flush to nothing.
inline constexpr std::uint32_t batch_records_max =
    1000;  // with the head below IOV_MAX (1024) slices
inline constexpr std::uint64_t batch_bytes_max = 4ull << 20;
/// The last record may pass batch_bytes_max: what a batch can take at most.
inline constexpr std::uint64_t batch_span_max = batch_bytes_max + engine::record_payload_bytes_max +
                                                engine::whole_blocks(engine::record_head_bytes_max);
/// What a batch may always take: any record fits.
inline constexpr std::uint64_t batch_span_min =
    engine::record_payload_bytes_max +
    engine::whole_blocks(engine::batch_header_bytes + engine::record_head_bytes_max);
static_assert(batch_bytes_max >= engine::record_payload_bytes_max);

/// Header, heads and padding of a batch whose numbers `header` holds;
/// `records` are those of the batch.
engine::Buffer encode_batch_head(engine::VolumeKey key, const BatchHeader& header,
                                 std::span<const engine::RecordPtr> records);
/// The header alone, from the first bytes of `block`; nothing if it is none of this volume.
/// `offset` is where it was read.
std::optional<BatchHeader> decode_batch_header(engine::VolumeKey key,
                                               std::span<const std::byte> block,
                                               std::uint64_t offset);

/// One record of a batch, by position.
struct RecordPlace {
  engine::RecordHeader header;
  std::span<const std::byte> head;   ///< Within the decoded area.
  std::uint64_t payload_offset = 0;  ///< Behind the start of the batch's payload.
};
/// The records of a batch from its whole head area, each head verified and chained to the one
/// before; or what is wrong.
engine::Result<std::vector<RecordPlace>> decode_batch_heads(engine::VolumeKey key,
                                                            const BatchHeader& header,
                                                            std::span<const std::byte> area);

}  // namespace tidemark::storage
