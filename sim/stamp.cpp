#include "sim/stamp.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

constexpr std::size_t words = cell_bytes / sizeof(std::uint64_t);
constexpr std::uint64_t magic = 0x7469'6465'6d61'726bULL;  // "tidemark"
using Words = std::array<std::uint64_t, words>;

Words expected(std::uint64_t volume, std::uint64_t index, OpId op) {
  Words w;
  w[0] = magic;
  w[1] = volume;
  w[2] = index;
  w[3] = op;
  const auto seed = (op * 0x9e3779b97f4a7c15ULL) ^ (index << 32) ^ volume;
  for (std::size_t i = 4; i < words; ++i) w[i] = (seed + i) * 0xbf58476d1ce4e5b9ULL;
  return w;
}

}  // namespace

void stamp(std::span<std::byte> cell, std::uint64_t volume, std::uint64_t index, OpId op) {
  CHECK(cell.size() == cell_bytes);
  const auto w = expected(volume, index, op);
  std::memcpy(cell.data(), w.data(), cell_bytes);
}

std::optional<OpId> read_stamp(std::span<const std::byte> cell, std::uint64_t volume,
                               std::uint64_t index) {
  CHECK(cell.size() == cell_bytes);
  Words w;
  std::memcpy(w.data(), cell.data(), cell_bytes);
  if (std::all_of(w.begin(), w.end(), [](std::uint64_t x) { return x == 0; })) return 0;
  if (w[0] != magic || w != expected(volume, index, w[3])) return std::nullopt;
  return w[3];
}

OpId named_op(std::span<const std::byte> cell, std::uint64_t volume) {
  CHECK(cell.size() == cell_bytes);
  std::array<std::uint64_t, 4> head;
  std::memcpy(head.data(), cell.data(), sizeof head);
  return head[0] == magic && head[1] == volume ? head[3] : 0;
}

}  // namespace tidemark::sim
