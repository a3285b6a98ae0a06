#include "storage/wal_recovery.hpp"

#include <algorithm>

#include "engine/sometimes.hpp"
#include "storage/disk_tasks.hpp"
#include "storage/wal_reading.hpp"

namespace tidemark::storage {
namespace {

using engine::Done;
using engine::Result;
using engine::Status;

constexpr std::uint64_t erase_write_bytes = 1u << 20;

Task<Status> remove_unfinished(const WalContext& context, const ReadLog& read) {
  for (const auto& name : read.unfinished) {
    auto removed = co_await remove_file(context.disk, context.directory + "/" + name);
    if (!removed) co_return removed.error();
  }
  co_return Done{};
}

/// Makes spares of all that stands beyond, the last first.
Task<Status> erase_beyond(const WalContext& context, ReadLog& read) {
  auto all = read.doubtful;
  all.insert(all.end(), read.beyond.begin(), read.beyond.end());
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    auto erased = co_await erase_segment_from(context.disk, *it, 0, context.segment_bytes);
    if (!erased) co_return erased.error();
    read.log.spares.push_back(*it);
  }
  co_return Done{};
}

/// Erases what stands behind the end: a torn tail, or what an unfinished truncation left, which is
/// done again whole.
Task<Status> cut_tail(const WalContext& context, ReadLog& read, bool truncating) {
  auto erased = co_await erase_beyond(context, read);
  if (!erased) co_return erased.error();
  const auto upto = truncating ? context.segment_bytes : read.torn_upto;
  if (engine::sometimes(read.tail && upto != 0, engine::Mark::tail_erased)) {
    auto cut = co_await erase_segment_from(context.disk, read.tail, read.tail->used, upto);
    if (!cut) co_return cut.error();
  }
  read.log.cut_torn_tail = read.torn;
  co_return Done{};
}

/// What was read may only sit in the device's cache: made durable before anybody is told.
Task<Status> sync_tail(const WalContext& context, const RecoveredLog& log, engine::Lsn checkpoint) {
  for (const auto& segment : log.log) {
    if (segment->end() <= checkpoint) continue;
    auto synced = co_await sync_file(context.disk, segment->file);
    if (!synced) co_return synced.error();
  }
  co_return Done{};
}

}  // namespace

Task<Result<RecoveredLog>> recover_log(const WalContext& context, RecoveryInput input) {
  auto read = co_await read_log(context, input);
  if (!read) co_return read.error();
  if (!read->refused.empty()) co_return read->refused.front().error;
  auto removed = co_await remove_unfinished(context, *read);
  if (!removed) co_return removed.error();
  auto& log = read->log;
  if (log.damage.empty()) {
    auto cut = co_await cut_tail(context, *read, input.truncate_to.has_value());
    if (!cut) co_return cut.error();
    auto synced = co_await sync_tail(context, log, input.checkpoint);
    if (!synced) co_return synced.error();
  }
  // A spare may be new, its name not durable: the log is to go on in it.
  if (!log.spares.empty()) {
    auto named = co_await sync_directory(context.disk, context.directory);
    if (!named) co_return named.error();
  }
  co_return std::move(log);
}

Task<Status> erase_region(Disk& disk, FilePtr file, std::uint64_t from, std::uint64_t to) {
  while (to > from) {
    const auto bytes = std::min(erase_write_bytes, to - from);
    auto erased = co_await write_file(disk, file, to - bytes, engine::zeros(bytes));
    if (!erased) co_return erased.error();
    to -= bytes;
  }
  co_return Done{};
}

Task<Status> erase_segment_from(Disk& disk, SegmentPtr segment, std::uint64_t from,
                                std::uint64_t to) {
  auto erased = co_await erase_region(disk, segment->file, from, to);
  if (!erased) co_return erased.error();
  auto synced = co_await sync_file(disk, segment->file);
  co_return synced;
}

}  // namespace tidemark::storage
