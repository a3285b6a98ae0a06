// The two sums of a volume: one 64-bit checksum per block, the same in WAL, extents, base frames
// and compare; and the CRC of headers. XXH3 (xxhash.com) and CRC-32C (RFC 3720, appendix B.4).
#pragma once

#include <cstdint>
#include <span>

#include "engine/types.hpp"

namespace tidemark::engine {

/// A block's checksum over (volume, block address, content). Never 0: 0 stands for "no such block"
/// in tables of checksums.
using BlockSum = std::uint64_t;
inline constexpr BlockSum no_block = 0;

/// What is constant per volume in every checksum; computed once.
class VolumeKey {
 public:
  explicit VolumeKey(const VolumeId& volume);
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_;
};

/// `content` is exactly one block.
BlockSum block_sum(VolumeKey key, BlockIndex block, std::span<const std::byte> content);
/// The checksum of a block of zeros at `block`, without reading any.
BlockSum zero_block_sum(VolumeKey key, BlockIndex block);

/// CRC-32C of `bytes`, continued from `seed` (0 to begin).
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed = 0);
/// The same by table: what CPUs without SSE4.2 run.
/// Public so that a test can hold both against each other.
std::uint32_t crc32c_portable(std::span<const std::byte> bytes, std::uint32_t seed = 0);

}  // namespace tidemark::engine
