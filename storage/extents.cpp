#include "storage/extents.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "storage/disk_tasks.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::BlockIndex;
using engine::BlockRange;
using engine::BlockSum;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Result;
using engine::Status;

const BlockRange sync_alone{BlockIndex(), 1};

BlockRange between(BlockIndex first, BlockIndex end) { return {first, end - first}; }

Task<Status> sync_one(Disk& disk, FilePtr file) {
  auto synced = co_await sync_file(disk, file);
  const bool again = !synced && engine::planted(engine::Bug::failed_sync_is_tried_again);
  if (again) synced = co_await sync_file(disk, file);
  co_return synced;
}

}  // namespace

Extents::Extents(Disk& disk, engine::Timers& timers, std::string directory, engine::VolumeKey key,
                 std::uint64_t volume_blocks, std::uint64_t file_bytes, std::uint64_t reserve_bytes)
    : disk_(disk),
      timers_(timers),
      layout_{std::move(directory), volume_blocks, file_bytes / block_bytes},
      key_(key),
      reserve_bytes_(reserve_bytes) {}

BlockRange Extents::within_file(BlockRange range) const {
  const auto left = layout_.file_blocks - range.first.value % layout_.file_blocks;
  return {range.first, std::min(range.count, left)};
}

Error Extents::not_whole(FileNumber number, std::string_view why) const {
  return {Errc::corrupt, fmt::format("open of {}: {}", layout_.path_of(number, "dat"), why)};
}

Task<Status> Extents::open(ExtentFileSet expected) {
  auto names = co_await list_directory(disk_, layout_.directory);
  if (!names) co_return names.error();
  for (const auto& name : *names) {
    const auto named = layout_.parse(name);
    if (!named) {
      co_return Error{Errc::invalid,
                      fmt::format("open of {}: {} does not belong there", layout_.directory, name)};
    }
    auto& file = files_[named->number];
    (named->data ? file.has_data : file.has_sums) = true;
  }
  for (const auto& [number, file] : files_) {
    if (file.has_data && file.has_sums) present_.add(number);
  }
  for (auto& [number, file] : files_) file.on_record = expected.has(number);
  created_files_ = !files_.empty();  // of a process that ended before it synced their names
  durable_files_ = expected;
  co_return check_files();
}

/// All that must be there is.
Status Extents::check_files() const {
  const auto& expected = durable_files_;
  for (FileNumber number = 0; number < expected.bits.size() * 8; ++number) {
    if (!expected.has(number) || present_.has(number)) continue;
    return Error{
        Errc::corrupt,
        fmt::format("open of {}: {} extent files are on record and {} are there: {:08x}.dat "
                    "or its .sum is missing",
                    layout_.directory, expected.count, present_.count, number)};
  }
  if (present_.count < expected.count) {
    return Error{Errc::corrupt, fmt::format("open of {}: {} extent files are on record and {} are "
                                            "there",
                                            layout_.directory, expected.count, present_.count)};
  }
  return Done{};
}

Task<Result<Extents::ExtentFile*>> Extents::file_at(FileNumber number, bool create) {
  auto found = files_.find(number);
  if (found == files_.end() && !create) co_return static_cast<ExtentFile*>(nullptr);
  auto& file = files_[number];
  while (file.loading) {
    co_await callback<Done>([&file](auto done) { file.waiting.push_back(std::move(done)); });
  }
  if (file.loaded) co_return &file;
  if (file.damage) co_return *file.damage;
  if (!create && !file.has_sums && !file.has_data) co_return static_cast<ExtentFile*>(nullptr);
  file.loading = true;
  auto opening =
      file.has_sums || file.has_data ? load_file(number, file) : create_file(number, file);
  auto status = co_await opening;
  file.loading = false;
  file.loaded = status.has_value();
  if (!status && status.error().code == Errc::corrupt) file.damage = status.error();
  auto waiting = std::move(file.waiting);
  file.waiting.clear();
  for (auto& wake : waiting) wake(Done{});
  // Only what was never made whole needs space to be opened, and there is nothing in it.
  const bool no_room = !status && status.error().code == Errc::no_space;
  if (engine::sometimes(no_room && !create, engine::Mark::extent_file_without_room))
    co_return static_cast<ExtentFile*>(nullptr);
  if (!status) co_return status.error();
  co_return &file;
}

Task<Status> Extents::create_file(FileNumber number, ExtentFile& file) {
  OpenOptions options;
  options.create = true;
  auto sums = co_await open_file(disk_, layout_.path_of(number, "sum"), options);
  if (!sums) co_return sums.error();
  file.sums = *sums;
  file.has_sums = true;
  auto finished = co_await finish_creation(number, file);
  co_return finished;
}

// Checksums first and durably, name and size: a data file without them is a loss, not a crash.
Task<Status> Extents::finish_creation(FileNumber number, ExtentFile& file) {
  auto sized = co_await resize_file(disk_, file.sums, layout_.sum_pages(number) * block_bytes);
  if (!sized) co_return sized.error();
  auto durable = co_await sync_file(disk_, file.sums);
  if (!durable) co_return durable.error();
  auto named = co_await sync_directory(disk_, layout_.directory);
  if (!named) co_return named.error();
  OpenOptions options;
  options.create = true;
  auto data = co_await open_file(disk_, layout_.path_of(number, "dat"), options);
  if (!data) co_return data.error();
  file.data = *data;
  file.has_data = true;
  created_files_ = true;
  file.unsynced = true;
  present_.add(number);
  file.table.assign(static_cast<std::size_t>(layout_.sum_pages(number) * sums_per_page),
                    engine::no_block);
  auto grown = co_await resize_file(disk_, file.data, layout_.blocks_in(number) * block_bytes);
  file.unsynced = true;  // a sync may have passed meanwhile
  co_return grown;
}

Task<Status> Extents::load_file(FileNumber number, ExtentFile& file) {
  file.sums.reset();  // of an attempt that ran out of space
  file.data.reset();
  if (engine::sometimes(!file.has_sums, engine::Mark::extent_file_missing))
    co_return not_whole(number, "its checksum file is missing");
  auto sums =
      co_await open_when_unlocked(disk_, timers_, layout_.path_of(number, "sum"), OpenOptions());
  if (!sums) co_return sums.error();
  file.sums = *sums;
  if (engine::sometimes(!file.has_data,
                        engine::Mark::extent_file_half_created)) {  // a crash during creation
    auto finished = co_await finish_creation(number, file);
    co_return finished;
  }
  auto loaded = co_await load_sums(number, file);
  if (!loaded) co_return loaded.error();
  auto data =
      co_await open_when_unlocked(disk_, timers_, layout_.path_of(number, "dat"), OpenOptions());
  if (!data) co_return data.error();
  file.data = *data;
  const auto size = disk_.size(file.data);
  if (!size) co_return size.error();
  const auto whole = layout_.blocks_in(number) * block_bytes;
  if (*size == whole && file.on_record) co_return Done{};
  if (*size > whole || file.on_record) {
    co_return not_whole(number, fmt::format("it has {} bytes, not {}", *size, whole));
  }
  // A crash during creation; or its size was never durable, and a sync that failed forgot it.
  file.unsynced = true;
  auto grown = co_await resize_file(disk_, file.data, whole);
  file.unsynced = true;  // a sync may have passed meanwhile
  co_return grown;
}

std::vector<ExtentRun> Extents::split(std::vector<ExtentRun> runs) const {
  std::vector<ExtentRun> out;
  for (auto& run : runs) {
    CHECK(run.hole() || run.sums.size() == run.range.count);
    auto rest = run.range;
    std::size_t slice = 0;
    std::size_t used = 0;  // of the slice
    while (!rest.empty()) {
      auto part = within_file(rest);
      if (!run.hole()) part.count = std::min(part.count, extent_run_blocks_max);
      ExtentRun piece;
      piece.range = part;
      auto need = run.hole() ? std::size_t{0} : static_cast<std::size_t>(part.count) * block_bytes;
      while (need > 0) {
        const auto take = std::min(need, run.data[slice].size() - used);
        piece.data.push_back(run.data[slice].part(used, take));
        need -= take;
        used += take;
        if (used == run.data[slice].size()) {
          ++slice;
          used = 0;
        }
      }
      if (!run.hole()) {
        const auto from =
            run.sums.begin() + static_cast<std::ptrdiff_t>(part.first - run.range.first);
        piece.sums.assign(from, from + static_cast<std::ptrdiff_t>(part.count));
      }
      out.push_back(std::move(piece));
      rest = between(part.end(), rest.end());
    }
  }
  return out;
}

Task<Status> Extents::write(std::vector<ExtentRun> runs) {
  return write_each(std::move(runs), &Extents::write_run);
}

Task<Status> Extents::write_held(std::vector<ExtentRun> runs) {
  return write_each(std::move(runs), &Extents::write_run_held);
}

Task<Status> Extents::write_each(std::vector<ExtentRun> runs, WriteRun write_one) {
  auto pieces = split(std::move(runs));
  auto room = co_await room_for(pieces);
  if (!room) co_return room.error();
  std::vector<Task<Status>> tasks;
  for (auto& run : pieces) tasks.push_back((this->*write_one)(std::move(run)));
  auto status = co_await fan_.all(std::move(tasks));
  co_return status;
}

/// Pieces of single files. Blocks that are written over take no new space.
Task<Status> Extents::room_for(std::span<const ExtentRun> runs) {
  std::uint64_t blocks = 0;
  for (const auto& run : runs) {
    if (run.hole()) continue;
    auto found = co_await file_at(number_of(run.range.first), false);
    if (!found) co_return found.error();
    for (auto b = run.range.first; b < run.range.end(); b = b.next())
      blocks += *found == nullptr || hole_at(**found, b) ? 1u : 0u;
  }
  if (blocks == 0) co_return Done{};
  const auto space = disk_.space(layout_.directory);
  if (!space) co_return space.error();
  if (engine::sometimes(space->free_bytes < reserve_bytes_ + blocks * block_bytes,
                        engine::Mark::extents_full)) {
    co_return Error{
        Errc::no_space,
        fmt::format("write of {} new blocks in {}: no space left, {} bytes are free and {} "
                    "are kept in reserve",
                    blocks, layout_.directory, space->free_bytes, reserve_bytes_)};
  }
  co_return Done{};
}

Task<Status> Extents::write_run(ExtentRun run) {
  const auto held = co_await guard_.acquire(run.range, RangeGuard::Use::write);
  auto written = co_await write_run_held(std::move(run));
  co_return written;
}

Task<Status> Extents::write_run_held(ExtentRun run) {
  auto found = co_await file_at(number_of(run.range.first), !run.hole());
  if (!found) co_return found.error();
  auto* file = *found;
  if (file == nullptr) {  // a hole in nothing
    damaged_.written(run.range);
    co_return Done{};
  }
  const auto index = index_of(run.range.first);
  const auto count = static_cast<std::size_t>(run.range.count);
  const auto offset = index * std::uint64_t{block_bytes};
  file->unsynced = true;
  if (run.hole()) {
    auto punched = co_await punch_file(disk_, file->data, offset, count * block_bytes);
    if (!punched) co_return punched.error();
    std::fill_n(file->table.begin() + static_cast<std::ptrdiff_t>(index), count, engine::no_block);
  } else {
    auto written = co_await write_file(disk_, file->data, offset, std::move(run.data));
    if (!written) co_return written.error();
    std::copy(run.sums.begin(), run.sums.end(),
              file->table.begin() + static_cast<std::ptrdiff_t>(index));
    bytes_written_ += count * block_bytes;
  }
  file->unsynced = true;  // a sync may have passed meanwhile
  for (auto page = index / sums_per_page; page <= (index + count - 1) / sums_per_page; ++page) {
    file->dirty_pages.insert(page);
  }
  damaged_.written(run.range);
  co_return Done{};
}

Task<Status> Extents::sync() {
  const auto turn = co_await sync_turn_.acquire(sync_alone, RangeGuard::Use::write);
  // Files that nobody touched since they were found stay as they were recorded: one may be half made.
  auto covered = durable_files_;
  for (const auto& [number, file] : files_) {
    if (file.loaded && !covered.has(number)) covered.add(number);
  }
  if (created_files_) {
    created_files_ = false;  // a file that is created meanwhile sets it again
    auto named = co_await sync_directory(disk_, layout_.directory);
    if (!named) created_files_ = true;
    if (!named) co_return named.error();
  }
  std::vector<ExtentFile*> files;
  for (auto& [number, file] : files_) {
    if (!file.unsynced && file.dirty_pages.empty()) continue;
    file.unsynced = false;  // a write that ends meanwhile sets it again
    files.push_back(&file);
  }
  auto synced = co_await sync_all(files);
  if (!synced) {
    for (auto* file : files) file->unsynced = true;
    co_return synced.error();
  }
  durable_files_ = std::move(covered);
  co_return Done{};
}

Task<Status> Extents::sync_all(std::vector<ExtentFile*> files) {
  std::vector<Task<Status>> tasks;
  for (auto* file : files) tasks.push_back(write_sums(*file));
  auto written = co_await fan_.all(std::move(tasks));
  if (!written) co_return written.error();
  tasks.clear();
  for (auto* file : files) {
    tasks.push_back(sync_one(disk_, file->data));
    tasks.push_back(sync_one(disk_, file->sums));
  }
  auto synced = co_await fan_.all(std::move(tasks));
  co_return synced;
}

Task<Result<ExtentPiece>> Extents::read_piece(BlockRange range, std::uint64_t blocks_max) {
  ExtentPiece piece;
  piece.range = within_file(range);
  auto found = co_await file_at(number_of(range.first), false);
  if (!found) co_return found.error();
  auto* file = *found;
  if (file == nullptr) co_return piece;
  (void)co_await read_unread(*file, piece.range);
  const auto index = index_of(range.first);
  const bool hole = file->table[index] == engine::no_block;
  std::uint64_t count = 1;
  const auto limit = hole ? piece.range.count : std::min(piece.range.count, blocks_max);
  while (count < limit && (file->table[index + count] == engine::no_block) == hole) ++count;
  piece.range.count = count;
  if (hole) co_return piece;
  auto bytes = co_await read_file(disk_, file->data, index * std::uint64_t{block_bytes},
                                  count * block_bytes);
  if (!bytes) co_return bytes.error();
  const auto from = file->table.begin() + static_cast<std::ptrdiff_t>(index);
  piece.sums.assign(from, from + static_cast<std::ptrdiff_t>(count));
  piece.data = std::move(*bytes).freeze();
  co_return piece;
}

Task<Result<std::vector<ExtentPiece>>> Extents::read(BlockRange range) {
  const auto held = co_await guard_.acquire(range, RangeGuard::Use::read);
  std::vector<ExtentPiece> pieces;
  while (!range.empty()) {
    auto piece = co_await read_piece(range, extent_run_blocks_max);
    if (!piece) co_return piece.error();
    auto whole = verify(*piece);
    if (!whole && !engine::planted(engine::Bug::unreadable_block_is_zeros)) co_return whole.error();
    if (!whole) piece->data = {};
    range = between(piece->range.end(), range.end());
    pieces.push_back(std::move(*piece));
  }
  co_return pieces;
}

Task<Result<ExtentPiece>> Extents::read_run(BlockIndex first, std::uint64_t blocks_max,
                                            std::uint64_t hole_max) {
  auto range = between(first, BlockIndex(layout_.volume_blocks));
  range.count = std::min(range.count, std::max(blocks_max, hole_max));
  const auto held =
      co_await guard_.acquire({first, std::min(range.count, blocks_max)}, RangeGuard::Use::read);
  auto piece = co_await read_piece(range, blocks_max);
  if (!piece) co_return piece.error();
  auto whole = verify(*piece);
  if (!whole) co_return whole.error();
  co_return piece;
}

Task<Result<std::vector<engine::Allocation>>> Extents::allocation(BlockRange range,
                                                                  std::size_t runs_max) {
  // Held: the table may not go while it is looked at.
  const auto held = co_await guard_.acquire(range, RangeGuard::Use::read);
  std::vector<engine::Allocation> runs;
  while (!range.empty()) {
    const auto part = within_file(range);
    auto found = co_await file_at(number_of(range.first), false);
    if (!found) co_return found.error();
    const auto* file = *found;
    for (std::uint64_t i = 0; i < part.count;) {
      const bool hole = file == nullptr || hole_at(*file, part.first + i);
      auto end = file == nullptr ? part.count : i + 1;
      while (end < part.count && hole_at(*file, part.first + end) == hole) ++end;
      if (runs.empty() || runs.back().hole != hole) {
        if (runs.size() == runs_max) co_return runs;
        runs.push_back({0, hole, hole});
      }
      runs.back().length += (end - i) * block_bytes;
      i = end;
    }
    range = between(part.end(), range.end());
  }
  co_return runs;
}

Task<Status> Extents::cut(std::uint64_t end) {
  const auto held = co_await guard_.acquire(
      between(BlockIndex(), BlockIndex(layout_.volume_blocks)), RangeGuard::Use::write);
  auto done = co_await cut_held(end);
  co_return done;
}

Task<Status> Extents::cut_held(std::uint64_t end) {
  std::vector<ExtentRun> runs;
  std::vector<FileNumber> numbers;
  for (const auto& [number, file] : files_) {
    if (number >= end / layout_.file_blocks) numbers.push_back(number);
  }
  for (const auto number : numbers) {
    auto found = co_await file_at(number, false);
    if (!found) co_return found.error();
    if (*found == nullptr) continue;  // It was never made whole, and there is nothing in it.
    const auto begin = number * layout_.file_blocks;
    const auto first = BlockIndex(std::max(end, begin));
    const auto behind = BlockIndex(begin + layout_.blocks_in(number));
    auto block = first;
    while (block < behind && hole_at(**found, block)) block = block.next();
    if (block < behind) runs.push_back({between(block, behind), {}, {}});
  }
  if (runs.empty()) co_return Done{};
  engine::sometimes(engine::Mark::extents_cut);
  auto punched = co_await write_held(std::move(runs));
  if (!punched) co_return punched;
  auto synced = co_await sync();
  co_return synced;
}

}  // namespace tidemark::storage
