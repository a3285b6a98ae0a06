#include "storage/block_set.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/check.hpp"
#include "engine/record/checksum.hpp"
#include "storage/bytes.hpp"

namespace tidemark::storage {

using engine::BlockIndex;
using engine::BlockRange;
using engine::Errc;
using engine::Error;
using engine::Result;

namespace {

constexpr std::uint64_t piece_blocks = 65536;
constexpr std::size_t set_head_bytes = 8;

Error broken(std::string_view how) {
  return Error{Errc::corrupt, fmt::format("bytes of a set of blocks: {}", how)};
}

}  // namespace

BlockSet::BlockSet(std::uint64_t blocks) : blocks_(blocks) {
  CHECK(blocks <= block_set_blocks_max);
}

BlockRange BlockSet::within(BlockRange range) const {
  const auto first = std::min(range.first.value, blocks_);
  return {BlockIndex(first), std::min(range.count, blocks_ - first)};
}

void BlockSet::add(BlockRange range) {
  const auto part = within(range);
  if (!part.empty()) set_.addRange(part.first.value, part.end().value);
}

void BlockSet::remove(BlockRange range) {
  const auto part = within(range);
  if (part.empty()) return;
  roaring_bitmap_remove_range(&set_.roaring, part.first.value, part.end().value);
}

void BlockSet::merge(const BlockSet& other) {
  CHECK(blocks_ == other.blocks_);
  set_ |= other.set_;
}

bool BlockSet::has(BlockIndex block) const {
  return block.value < blocks_ && set_.contains(static_cast<std::uint32_t>(block.value));
}

std::optional<BlockRange> BlockSet::next_run(BlockIndex from, std::uint64_t blocks_max) const {
  if (from.value >= blocks_) return std::nullopt;
  auto member = set_.begin();
  member.equalorlarger(static_cast<std::uint32_t>(from.value));
  if (!member.i.has_value) return std::nullopt;
  const std::uint64_t first = *member;
  const auto limit = first + std::min(blocks_max, blocks_ - first);
  for (auto at = first; at < limit;) {
    // Within one piece: CRoaring 0.2 may take a later piece for one that is missing.
    const auto upto = std::min(limit, (at / piece_blocks + 1) * piece_blocks);
    if (set_.containsRange(at, upto)) {
      at = upto;
      continue;
    }
    std::uint64_t holds = 0;
    for (auto fails = upto - at; fails - holds > 1;) {
      const auto length = std::min(std::max<std::uint64_t>(1, holds * 2), (holds + fails) / 2);
      (set_.containsRange(at, at + length) ? holds : fails) = length;
    }
    return BlockRange{BlockIndex(first), at + holds - first};
  }
  return BlockRange{BlockIndex(first), limit - first};
}

std::vector<std::byte> BlockSet::serialise() const {
  auto packed = set_;
  packed.runOptimize();
  const auto size = packed.getSizeInBytes();
  std::vector<std::byte> bytes(set_head_bytes + size);
  const auto body = std::span(bytes).subspan(set_head_bytes);
  CHECK(packed.write(reinterpret_cast<char*>(body.data())) == size);
  ByteWriter head;
  head.put(engine::crc32c(body));
  head.put(static_cast<std::uint32_t>(size));
  std::copy(head.bytes().begin(), head.bytes().end(), bytes.begin());
  return bytes;
}

std::optional<std::size_t> BlockSet::serialised_bytes(std::span<const std::byte> bytes) {
  ByteReader head(bytes);
  head.get<std::uint32_t>();  // its checksum
  const std::size_t size = head.get<std::uint32_t>();
  if (!head.whole() || bytes.size() - set_head_bytes < size) return std::nullopt;
  return set_head_bytes + size;
}

Result<BlockSet> BlockSet::deserialise(std::uint64_t blocks, std::span<const std::byte> bytes) {
  ByteReader head(bytes);
  const auto crc = head.get<std::uint32_t>();
  const auto size = head.get<std::uint32_t>();
  if (!head.whole() || bytes.size() - set_head_bytes != size) return broken("of another length");
  const auto body = bytes.subspan(set_head_bytes);
  if (engine::crc32c(body) != crc) return broken("they do not match their checksum");
  auto* read =
      roaring_bitmap_portable_deserialize_safe(reinterpret_cast<const char*>(body.data()), size);
  if (read == nullptr) return broken("no Roaring bitmap");
  BlockSet set(blocks);
  set.set_ = Roaring(read);
  if (!set.empty() && set.set_.maximum() >= blocks) return broken("a block beyond the volume");
  return set;
}

}  // namespace tidemark::storage
