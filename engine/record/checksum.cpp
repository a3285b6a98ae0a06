#include "engine/record/checksum.hpp"

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <array>
#include <cstring>

#include "engine/check.hpp"
#include "engine/record/xxh3.hpp"

namespace tidemark::engine {
namespace {

// The finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection, so that binding a
// block to its place loses nothing of the content's hash.
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

std::uint64_t place(VolumeKey key, BlockIndex block) {
  return mix(key.value() + (block.value + 1) * 0x9e3779b97f4a7c15u);
}

BlockSum bind(std::uint64_t content_hash, VolumeKey key, BlockIndex block) {
  const auto sum = mix(content_hash ^ place(key, block));
  return sum == no_block ? 1 : sum;
}

constexpr std::uint32_t crc_polynomial = 0x82f63b78;  // Castagnoli, reflected

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? crc_polynomial : 0);
    table[i] = crc;
  }
  return table;
}
constexpr auto crc_table = make_crc_table();

std::uint32_t crc_by_table(const std::byte* at, std::size_t bytes, std::uint32_t crc) {
  for (; bytes > 0; ++at, --bytes) {
    crc = (crc >> 8) ^ crc_table[(crc ^ static_cast<std::uint32_t>(*at)) & 0xff];
  }
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc_by_instruction(const std::byte* at,
                                                                   std::size_t bytes,
                                                                   std::uint32_t crc) {
  std::uint64_t wide = crc;
  for (; bytes >= 8; at += 8, bytes -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  auto narrow = static_cast<std::uint32_t>(wide);
  for (; bytes > 0; ++at, --bytes) {
    narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(*at));
  }
  return narrow;
}
#endif

using CrcFunction = std::uint32_t (*)(const std::byte*, std::size_t, std::uint32_t);

CrcFunction choose_crc() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2")) return crc_by_instruction;
#endif
  return crc_by_table;
}

}  // namespace

VolumeKey::VolumeKey(const VolumeId& volume)
    : value_(XXH3_64bits(volume.bytes.data(), volume.bytes.size())) {}

BlockSum block_sum(VolumeKey key, BlockIndex block, std::span<const std::byte> content) {
  CHECK(content.size() == block_bytes);
  return bind(xxh3(content), key, block);
}

BlockSum zero_block_sum(VolumeKey key, BlockIndex block) {
  static const std::uint64_t zero_hash = [] {
    const std::array<std::byte, block_bytes> zero{};
    return XXH3_64bits(zero.data(), zero.size());
  }();
  return bind(zero_hash, key, block);
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed) {
  static const CrcFunction chosen = choose_crc();
  return ~chosen(bytes.data(), bytes.size(), ~seed);
}

std::uint32_t crc32c_portable(std::span<const std::byte> bytes, std::uint32_t seed) {
  return ~crc_by_table(bytes.data(), bytes.size(), ~seed);
}

}  // namespace tidemark::engine
