// What repair, scrub and a copy that begins anew need of the extents beside reading and writing: single blocks whose guard
// is held, the checksum files against what is in memory, and that nothing is left.
#include <fmt/format.h>

#include <algorithm>

#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "storage/disk_tasks.hpp"
#include "storage/extents.hpp"

namespace tidemark::storage {
namespace {

using engine::BlockIndex;
using engine::BlockRange;
using engine::BlockSum;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Result;
using engine::Status;

const BlockRange only_sync{BlockIndex(), 1};

}  // namespace

Status Extents::verify(const ExtentPiece& piece) const {
  if (engine::planted(engine::Bug::checksum_not_compared)) return Done{};
  const auto wrong = first_mismatch(key_, piece.range.first, piece.data.bytes(), piece.sums);
  if (!wrong) return Done{};
  return Error{
      Errc::corrupt,
      fmt::format("read of block {} ({}): its content has checksum {:016x}, {:016x} was written",
                  wrong->block, layout_.path_of(number_of(wrong->block), "dat"), wrong->found,
                  wrong->written)};
}

Task<Result<ExtentPiece>> Extents::read_held(BlockIndex block) {
  auto piece = co_await read_piece({block, 1}, 1);
  if (!piece) co_return piece.error();
  auto whole = verify(*piece);
  if (!whole) co_return whole.error();
  co_return piece;
}

Task<Result<BlockSum>> Extents::sum_held(BlockIndex block) {
  auto found = co_await file_at(number_of(block), false);
  if (!found) co_return found.error();
  const auto* file = *found;
  co_return file == nullptr ? engine::no_block : file->table[index_of(block)];
}

Task<Status> Extents::correct_sum_held(BlockIndex block, BlockSum sum) {
  CHECK(sum != engine::no_block);
  auto found = co_await file_at(number_of(block), true);
  if (!found) co_return found.error();
  auto* file = *found;
  file->table[index_of(block)] = sum;
  file->dirty_pages.insert(index_of(block) / sums_per_page);
  co_return Done{};
}

Task<Result<std::uint64_t>> Extents::rewrite_rotten_sums() {
  std::uint64_t rotten = 0;
  {
    const auto turn = co_await sync_turn_.acquire(only_sync, RangeGuard::Use::write);
    std::vector<FileNumber> loaded;
    for (const auto& [number, file] : files_) {
      if (file.loaded) loaded.push_back(number);
    }
    for (const auto number : loaded) {
      auto noted = co_await note_rotten_sums(number);
      if (!noted) co_return noted.error();
      rotten += *noted;
    }
  }
  if (!engine::sometimes(rotten != 0, engine::Mark::checksums_rewritten)) co_return rotten;
  // Held: no file may go while its table is written.
  const BlockRange all{engine::BlockIndex(), engine::volume_blocks_max};
  const auto held = co_await guard_.acquire(all, RangeGuard::Use::read);
  auto synced = co_await sync();
  if (!synced) co_return synced.error();
  co_return rotten;
}

/// With the turn to sync: nobody else writes them, and what waits to be written is left out.
Task<Result<std::uint64_t>> Extents::note_rotten_sums(FileNumber number) {
  auto found = files_.find(number);
  if (found == files_.end()) co_return std::uint64_t{0};
  const auto handle = found->second.sums;
  const auto pages = layout_.sum_pages(number);
  auto on_disk = co_await read_sum_table(disk_, handle, pages);
  std::uint64_t rotten = 0;
  if (!on_disk && on_disk.error().code != Errc::io_failed) co_return on_disk.error();
  found = files_.find(number);
  if (found == files_.end() || found->second.sums != handle) co_return rotten;  // gone meanwhile
  auto& file = found->second;
  for (std::uint64_t page = 0; page < pages; ++page) {
    const auto first = static_cast<std::ptrdiff_t>(page * sums_per_page);
    const auto last = first + static_cast<std::ptrdiff_t>(sums_per_page);
    const bool same = on_disk && std::equal(file.table.begin() + first, file.table.begin() + last,
                                            on_disk->begin() + first);
    if (same || file.dirty_pages.contains(page)) continue;
    file.dirty_pages.insert(page);
    ++rotten;
  }
  co_return rotten;
}

Task<Status> Extents::clear() {
  files_.clear();
  damaged_.clear();
  present_ = durable_files_ = {};
  auto names = co_await list_directory(disk_, layout_.directory);
  if (!names) co_return names.error();
  for (const auto& name : *names) {
    auto removed = co_await remove_file(disk_, layout_.directory + "/" + name);
    if (!removed) co_return removed.error();
  }
  auto durable = co_await sync_directory(disk_, layout_.directory);
  co_return durable;
}

}  // namespace tidemark::storage
