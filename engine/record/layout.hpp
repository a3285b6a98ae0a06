// The byte layout of a record's head (docs/DATA_FORMAT.md, "Record"): offsets, and little-endian
// loads and stores at them. Private to engine/record and its tests.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "engine/record/record.hpp"

namespace tidemark::engine::layout {

static_assert(std::endian::native == std::endian::little,
              "formats are little-endian and stored as the machine holds them");

inline constexpr std::size_t crc_at = 0;
inline constexpr std::size_t kind_at = 4;
inline constexpr std::size_t flags_at = 5;
inline constexpr std::size_t reserved_short_at = 6;
inline constexpr std::size_t epoch_at = 8;
inline constexpr std::size_t lsn_at = 16;
inline constexpr std::size_t first_block_at = 24;
inline constexpr std::size_t block_count_at = 32;
inline constexpr std::size_t session_node_at = 40;
inline constexpr std::size_t session_incarnation_at = 48;
inline constexpr std::size_t sequence_at = 56;
inline constexpr std::size_t raw_time_at = 64;
inline constexpr std::size_t mono_time_at = 72;
inline constexpr std::size_t sums_hash_at = 80;
inline constexpr std::size_t inline_bytes_at = 88;
inline constexpr std::size_t payload_bytes_at = 92;
inline constexpr std::size_t digest_high_at = 96;
inline constexpr std::size_t digest_low_at = 104;
inline constexpr std::size_t reserved_at = 112;
inline constexpr std::size_t reserved_bytes = 16;
static_assert(reserved_at + reserved_bytes == record_header_bytes);
static_assert(digest_low_at + sizeof(std::uint64_t) == reserved_at);
static_assert(payload_bytes_at + sizeof(std::uint32_t) == digest_high_at);
// The chain takes what lies around crc and digest.
inline constexpr std::size_t chained_from = kind_at;
inline constexpr std::size_t chained_bytes = digest_high_at - chained_from;

// Body of an epoch record, offsets within the inline body.
inline constexpr std::size_t epoch_nonce_at = 0;
inline constexpr std::size_t epoch_primary_at = 8;
inline constexpr std::size_t epoch_incarnation_at = 16;
inline constexpr std::size_t epoch_previous_end_at = 24;
inline constexpr std::size_t epoch_mode_at = 32;
inline constexpr std::size_t epoch_marks_at = 33;
inline constexpr std::size_t epoch_member_count_at = 34;
inline constexpr std::size_t epoch_reserved_at = 35;
inline constexpr std::size_t epoch_size_at = 40;
inline constexpr std::size_t epoch_min_copies_at = 48;
inline constexpr std::size_t epoch_reserved_behind_at = 52;
inline constexpr std::size_t epoch_members_at = 56;
inline constexpr std::size_t epoch_body_bytes_max =
    epoch_members_at + epoch_members_max * sizeof(std::uint64_t);

// Body of a configure record.
inline constexpr std::size_t configure_size_at = 0;
inline constexpr std::size_t configure_min_copies_at = 8;
inline constexpr std::size_t configure_mode_at = 12;
inline constexpr std::size_t configure_reserved_at = 13;
inline constexpr std::size_t configure_body_bytes = 16;

/// The largest inline body of a control record.
inline constexpr std::uint32_t inline_bytes_max = 1024;
static_assert(epoch_body_bytes_max <= inline_bytes_max);
static_assert(record_header_bytes + inline_bytes_max <= record_head_bytes_max);

template <class T>
T load(std::span<const std::byte> from, std::size_t at) {
  T value;
  std::memcpy(&value, from.data() + at, sizeof value);
  return value;
}

template <class T>
void store(std::byte* to, std::size_t at, T value) {
  std::memcpy(to + at, &value, sizeof value);
}

/// CRC-32C of a head from behind the crc field to its end, begun with the volume's key folded to 32
/// bits: a head of another volume never verifies.
inline std::uint32_t head_crc(VolumeKey key, std::span<const std::byte> head) {
  const auto seed = static_cast<std::uint32_t>(key.value() ^ (key.value() >> 32));
  return crc32c(head.subspan(kind_at), seed);
}

}  // namespace tidemark::engine::layout
