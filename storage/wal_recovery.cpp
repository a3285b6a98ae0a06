#include "storage/wal_recovery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/planted.hpp"
#include "storage/disk_tasks.hpp"
#include "storage/wal_scan.hpp"

namespace tidemark::storage {
namespace {

using engine::Bug;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::planted;
using engine::Result;
using engine::Status;

constexpr std::uint64_t erase_write_bytes = 1u << 20;

std::optional<std::uint32_t> slot_of(const std::string& name) {
  if (name.size() != 12 || !name.ends_with(".seg")) return std::nullopt;
  std::uint32_t slot = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + 8, slot, 16);
  if (parsed.ec != std::errc() || name != segment_name(slot)) return std::nullopt;
  return slot;
}

struct FoundSegments {
  std::vector<SegmentPtr> with_header;  ///< Of this replica, at or above the start; by sequence.
  std::vector<SegmentPtr> doubtful;     ///< Their header is neither empty nor whole.
  std::vector<SegmentPtr> others;       ///< Whole files that hold nothing of the log.
  std::uint32_t slots_used = 0;
  SegmentSequence highest;  ///< Of any header, pruned ones included.
};

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

Error foreign(const WalContext& context, const std::string& path, const SegmentHeader& h) {
  return {Errc::refused,
          fmt::format("open of {}: it belongs to volume {} replica {}, not to volume {} replica {}",
                      path, engine::to_string(h.volume), h.replica,
                      engine::to_string(context.volume), context.replica)};
}

Task<Status> look_at(const WalContext& context, SegmentSequence start, std::uint32_t slot,
                     FoundSegments& found) {
  const auto path = context.directory + "/" + segment_name(slot);
  OpenOptions options;
  options.dsync = true;
  auto file = co_await open_when_unlocked(context.disk, context.timers, path, options);
  if (!file) co_return file.error();
  auto segment = std::make_shared<Segment>();
  segment->slot = slot;
  segment->file = *file;
  const auto size = context.disk.size(*file);
  if (!size) co_return size.error();
  if (*size >= engine::segment_header_bytes) {
    auto block = co_await read_file(context.disk, *file, 0, engine::segment_header_bytes);
    if (!block) co_return block.error();
    const auto header = decode_segment_header(block->bytes());
    if (header && (header->volume != context.volume || header->replica != context.replica)) {
      co_return foreign(context, path, *header);
    }
    if (header) found.highest = std::max(found.highest, header->sequence);
    if (header && header->sequence >= start) {
      segment->header = *header;
      found.with_header.push_back(std::move(segment));
      co_return Done{};
    }
    const auto version = segment_header_version(block->bytes());
    if (version && *version != wal_format_version) {
      co_return Error{Errc::invalid, fmt::format("open of {}: format {}, this build reads {}", path,
                                                 *version, wal_format_version)};
    }
    if (!header && !all_zero(block->bytes())) {
      found.doubtful.push_back(std::move(segment));
      co_return Done{};
    }
  }
  if (*size == context.segment_bytes) {
    found.others.push_back(std::move(segment));
    co_return Done{};
  }
  // A crash while it was being created.
  segment.reset();
  *file = nullptr;
  auto removed = co_await remove_file(context.disk, path);
  co_return removed;
}

Task<Result<FoundSegments>> find_segments(const WalContext& context, SegmentSequence start) {
  auto names = co_await list_directory(context.disk, context.directory);
  if (!names) co_return names.error();
  FoundSegments found;
  for (const auto& name : *names) {
    const auto slot = slot_of(name);
    if (!slot) {
      co_return Error{Errc::invalid,
                      fmt::format("open of {}: {} does not belong there", context.directory, name)};
    }
    found.slots_used = std::max(found.slots_used, *slot + 1);
    auto looked = co_await look_at(context, start, *slot, found);
    if (!looked) co_return looked.error();
  }
  std::sort(found.with_header.begin(), found.with_header.end(),
            [](const SegmentPtr& a, const SegmentPtr& b) {
              return a->header.sequence < b->header.sequence;
            });
  co_return found;
}

void begin_with(ScanState& state, const SegmentHeader& h) {
  auto& log = state.log;
  log.log.clear();
  log.end.lsn = h.first.previous();
  log.end.digest = h.before;
  log.end.chunk_first = h.chunk_first;
  log.end.chunk_bytes = h.chunk_bytes;
}

bool continues(const ScanState& state, const SegmentHeader& h) {
  const auto& log = state.log;
  return !log.log.empty() && h.first == log.end.lsn.next() && h.before == log.end.digest;
}

/// Walks the segments in order; returns the index of the first that does not continue the log.
Task<Result<std::size_t>> scan_all(ScanState& state, const std::vector<SegmentPtr>& segments) {
  const auto first_needed = state.input->checkpoint.next();
  std::size_t i = 0;
  for (; i < segments.size() && !state.stopped; ++i) {
    const auto& h = segments[i]->header;
    if (!continues(state, h)) {
      // What is missing before it is history; or there is nothing yet, and it begins in time.
      const bool in_time = h.first <= first_needed && state.log.end.lsn < first_needed;
      const bool other_past = h.first == first_needed && h.before != state.input->checkpoint_digest;
      if (!in_time || other_past) break;
      begin_with(state, h);
    }
    state.log.log.push_back(segments[i]);
    const auto behind = i + 1 < segments.size() ? segments[i + 1] : nullptr;
    auto scanned = co_await scan_segment(state, segments[i], behind);
    if (!scanned) co_return scanned.error();
  }
  co_return i;
}

/// What stands in the files beyond the end of the log.
struct Beyond {
  std::vector<SegmentPtr> segments;  ///< With a header, by sequence.
  std::vector<SegmentPtr> doubtful;
};

void keep_better(Evidence& all, Evidence found) {
  if (found.proves <= all.proves) return;
  all.proves = found.proves;
  all.where = std::move(found.where);
}

/// Everything at and behind the end of the log that could prove it longer;
/// `upto` speaks of the last segment.
Task<Result<Evidence>> gather_evidence(const ScanState& state, const Beyond& beyond) {
  const auto& context = *state.context;
  const auto x = state.log.end.lsn.next();
  Evidence all;
  auto newer = state.input->start;
  if (const auto tail = state.tail()) {
    const auto sequence = tail->header.sequence;
    newer = sequence.next();
    const auto reach = tail == state.given_up ? Reach::whole_file : Reach::in_flight;
    auto found = co_await find_evidence(context, tail, {sequence, sequence}, tail->used, x, reach);
    if (!found) co_return found.error();
    all = std::move(*found);
  }
  for (const auto& segment : beyond.segments) {
    const auto& h = segment->header;
    keep_better(
        all,
        {h.durable,
         fmt::format("the header of segment {} ({})", h.sequence, segment_name(segment->slot)), 0});
    auto found = co_await find_evidence(context, segment, {h.sequence, h.sequence},
                                        engine::segment_header_bytes, x);
    if (!found) co_return found.error();
    keep_better(all, std::move(*found));
  }
  for (const auto& segment : beyond.doubtful) {
    const Lives any_newer{newer, SegmentSequence(~std::uint64_t{0})};
    auto found =
        co_await find_evidence(context, segment, any_newer, engine::segment_header_bytes, x);
    if (!found) co_return found.error();
    keep_better(all, std::move(*found));
  }
  co_return all;
}

/// Makes spares of all that stands beyond, the last first.
Task<Status> erase_beyond(const WalContext& context, const Beyond& beyond,
                          std::vector<SegmentPtr>& spares) {
  auto all = beyond.doubtful;
  all.insert(all.end(), beyond.segments.begin(), beyond.segments.end());
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    auto erased = co_await erase_segment_from(context.disk, *it, 0, context.segment_bytes);
    if (!erased) co_return erased.error();
    spares.push_back(*it);
  }
  co_return Done{};
}

LogEnd end_at_checkpoint(const RecoveryInput& input) {
  return {input.checkpoint, input.checkpoint_digest, input.checkpoint_time, input.checkpoint.next(),
          0};
}

/// Rot took what leads to the checkpoint: the extents have all of that, and the log begins anew
/// behind it.
void give_up_history(ScanState& state) {
  auto& log = state.log;
  if (!log.damage.empty() || log.end.lsn >= state.input->checkpoint) return;
  state.given_up = log.log.back();
  log.log.clear();
  log.end = end_at_checkpoint(*state.input);
}

std::string describe_damage(const ScanState& state, Lsn proves, const std::string& where) {
  const auto& log = state.log;
  std::string place = "no segment holds it";
  if (const auto tail = state.tail()) {
    place = fmt::format("segment {}, {}, offset {}: {}", tail->header.sequence,
                        segment_name(tail->slot), tail->used,
                        state.stop_reason.empty() ? "the log ends" : state.stop_reason);
  }
  return fmt::format("the log is damaged at lsn {} ({}), but {} proves it durable up to lsn {}",
                     log.end.lsn.next(), place, where, proves);
}

/// Damage, or the plain end: decides which, and cuts what is torn.
Task<Status> settle_tail(ScanState& state, const Beyond& beyond) {
  auto& log = state.log;
  const auto x = log.end.lsn.next();
  auto evidence = co_await gather_evidence(state, beyond);
  if (!evidence) co_return evidence.error();
  auto proves = evidence->proves;
  auto where = evidence->where;
  if (state.input->proved_durable >= proves) {
    proves = state.input->proved_durable;
    where = proves == state.input->checkpoint ? "the checkpoint" : "the superblock";
  }
  const bool met_garbage = !beyond.segments.empty() || evidence->upto != 0;
  bool corrupt = proves >= x;
  if (planted(Bug::torn_tail_is_corruption) && met_garbage) corrupt = true;
  if (planted(Bug::corruption_is_torn_tail) && log.end.lsn >= state.input->checkpoint)
    corrupt = false;
  if (corrupt) {
    log.damage = describe_damage(state, proves, where);
    co_return Done{};
  }
  auto erased = co_await erase_beyond(*state.context, beyond, log.spares);
  if (!erased) co_return erased.error();
  if (evidence->upto != 0) {
    const auto tail = state.tail();
    auto cut = co_await erase_segment_from(state.context->disk, tail, tail->used, evidence->upto);
    if (!cut) co_return cut.error();
  }
  log.cut_torn_tail = met_garbage;
  co_return Done{};
}

/// An unfinished truncation is done again, whole:
/// nothing behind it counts, so nothing there is judged.
Task<Status> redo_truncation(ScanState& state, const Beyond& beyond) {
  auto& log = state.log;
  if (log.end.lsn < *state.input->truncate_to) {
    log.damage = describe_damage(state, *state.input->truncate_to, "a truncation");
    co_return Done{};
  }
  auto erased = co_await erase_beyond(*state.context, beyond, log.spares);
  const auto tail = state.tail();
  if (!erased || !tail) co_return erased;
  auto cut = co_await erase_segment_from(state.context->disk, tail, tail->used,
                                         state.context->segment_bytes);
  co_return cut;
}

/// What was read may only sit in the device's cache: made durable before anybody is told.
Task<Status> sync_tail(const ScanState& state) {
  for (const auto& segment : state.log.log) {
    if (segment->end() <= state.input->checkpoint) continue;
    auto synced = co_await sync_file(state.context->disk, segment->file);
    if (!synced) co_return synced.error();
  }
  co_return Done{};
}

}  // namespace

Task<Result<RecoveredLog>> recover_log(const WalContext& context, RecoveryInput input) {
  auto found = co_await find_segments(context, input.start);
  if (!found) co_return found.error();
  ScanState state;
  state.context = &context;
  state.input = &input;
  auto& log = state.log;
  log.end = end_at_checkpoint(input);
  log.spares = std::move(found->others);
  log.slots_used = found->slots_used;
  // A header lost with a crash may have taken the numbers right behind: leave them out.
  log.next_sequence = std::max(found->highest, input.start) + (1 + 2 * writes_in_flight_max);

  auto next = co_await scan_all(state, found->with_header);
  if (!next) co_return next.error();
  give_up_history(state);
  log.end.mono_time = std::max(log.end.mono_time, input.checkpoint_time);
  log.committed = std::min(log.committed, log.end.lsn);
  const auto scanned = found->with_header.begin() + static_cast<std::ptrdiff_t>(*next);
  for (auto it = found->with_header.begin(); it != scanned; ++it) {
    const bool kept = std::find(log.log.begin(), log.log.end(), *it) != log.log.end();
    if (!kept) log.spares.push_back(*it);  // before rot that cut off the history
  }
  const Beyond beyond{{scanned, found->with_header.end()}, std::move(found->doubtful)};
  const bool ended_cleanly = input.clean && log.end.lsn == input.proved_durable &&
                             beyond.segments.empty() && beyond.doubtful.empty();
  if (log.damage.empty() && input.truncate_to) {
    auto redone = co_await redo_truncation(state, beyond);
    if (!redone) co_return redone.error();
  } else if (log.damage.empty() && !ended_cleanly) {
    auto settled = co_await settle_tail(state, beyond);
    if (!settled) co_return settled.error();
  }
  if (log.damage.empty()) {
    auto synced = co_await sync_tail(state);
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
