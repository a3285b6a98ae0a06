// What the tables of checksums come to: a sum in which each checksum counts with its place, so that a
// block that stands elsewhere shows as much as one that is not there. No block is read for it.
#include "storage/extents.hpp"

namespace tidemark::storage {
namespace {

/// The finaliser of splitmix64 (Steele et al. 2014) over both.
std::uint64_t mixed(engine::BlockIndex block, engine::BlockSum sum) {
  auto z = sum + block.value * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

}  // namespace

Task<engine::Result<std::uint64_t>> Extents::sum_of(engine::BlockRange range) {
  // Held: the table may not go while it is looked at.
  const auto held = co_await guard_.acquire(range, RangeGuard::Use::read);
  std::uint64_t sum = 0;
  while (!range.empty()) {
    const auto part = within_file(range);
    auto found = co_await file_at(number_of(range.first), false);
    if (!found) co_return found.error();
    const auto* file = *found;
    const auto last = file == nullptr ? part.first : part.end();
    // The last file of a volume has a shorter table.
    for (auto b = part.first; b < last && index_of(b) < file->table.size(); b = b.next()) {
      if (!hole_at(*file, b)) sum += mixed(b, file->table[index_of(b)]);
    }
    range = {part.end(), range.count - part.count};
  }
  co_return sum;
}

}  // namespace tidemark::storage
