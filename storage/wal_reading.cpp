#include "storage/wal_reading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "storage/disk_tasks.hpp"

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
  std::vector<std::string> unfinished;  ///< Names of files that a crash left half created.
  std::vector<RefusedFile> refused;
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
      found.refused.push_back({segment_name(slot), segment, foreign(context, path, *header)});
      co_return Done{};
    }
    if (header) found.highest = std::max(found.highest, header->sequence);
    if (header && header->sequence >= start) {
      segment->header = *header;
      found.with_header.push_back(std::move(segment));
      co_return Done{};
    }
    const auto version = segment_header_version(block->bytes());
    if (version && *version != wal_format_version) {
      Error other{Errc::invalid, fmt::format("open of {}: format {}, this build reads {}", path,
                                             *version, wal_format_version)};
      found.refused.push_back({segment_name(slot), segment, std::move(other)});
      co_return Done{};
    }
    if (engine::sometimes(!header && !all_zero(block->bytes()),
                          engine::Mark::segment_header_doubtful)) {
      found.doubtful.push_back(std::move(segment));
      co_return Done{};
    }
  }
  if (*size == context.segment_bytes) {
    found.others.push_back(std::move(segment));
  } else {
    engine::sometimes(engine::Mark::segment_unfinished);
    found.unfinished.push_back(segment_name(slot));
  }
  co_return Done{};
}

Task<Result<FoundSegments>> find_segments(const WalContext& context, SegmentSequence start) {
  auto names = co_await list_directory(context.disk, context.directory);
  if (!names) co_return names.error();
  FoundSegments found;
  for (const auto& name : *names) {
    const auto slot = slot_of(name);
    if (!slot) {
      Error strange{Errc::invalid,
                    fmt::format("open of {}: {} does not belong there", context.directory, name)};
      found.refused.push_back({name, nullptr, std::move(strange)});
      continue;
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

/// Where an opening begins: at the segment with the checkpoint's record, or the oldest.
std::size_t first_to_read(const std::vector<SegmentPtr>& segments, Lsn checkpoint) {
  std::size_t first = 0;
  for (std::size_t i = 1; i < segments.size(); ++i) {
    if (segments[i]->header.first <= checkpoint) first = i;
  }
  return first;
}

/// Begins with the batch that the superblock names. When its header does not stand there the name says nothing, and all
/// of its segment is read.
Task<Status> begin_at_checkpoint(ScanState& state, Segment& segment) {
  const auto& input = *state.input;
  const auto& named = input.checkpoint_batch;
  if (!named || named->sequence != segment.header.sequence || state.watcher != nullptr) {
    co_return Done{};
  }
  const auto size = state.context->disk.size(segment.file);
  if (!size) co_return size.error();
  if (named->offset % engine::block_bytes != 0) co_return Done{};
  if (named->offset + engine::block_bytes > *size) co_return Done{};
  auto block =
      co_await read_file(state.context->disk, segment.file, named->offset, engine::block_bytes);
  if (!block) co_return block.error();
  const auto header = decode_batch_header(state.context->key, block->bytes(), named->offset);
  const bool there = header && header->sequence == named->sequence &&
                     header->first <= input.checkpoint && input.checkpoint <= header->last();
  if (!engine::sometimes(!there, engine::Mark::named_batch_not_there))
    state.begin_with(segment, *header);
  co_return Done{};
}

bool continues(const ScanState& state, const SegmentHeader& h) {
  const auto& log = state.log;
  return !log.log.empty() && h.first == log.end.lsn.next() && h.before == log.end.digest;
}

/// Walks the segments in order, from the `i`th on; returns the index of the first that does not
/// continue the log.
Task<Result<std::size_t>> scan_from(ScanState& state, const std::vector<SegmentPtr>& segments,
                                    std::size_t i) {
  const auto first_needed = state.input->checkpoint.next();
  for (; i < segments.size() && !state.stopped; ++i) {
    const auto& h = segments[i]->header;
    const bool goes_on = continues(state, h);
    if (!goes_on) {
      // What is missing before it is history; or there is nothing yet, and it begins in time.
      const bool in_time = h.first <= first_needed && state.log.end.lsn < first_needed;
      const bool other_past = h.first == first_needed && h.before != state.input->checkpoint_digest;
      if (!in_time || other_past) break;
      state.begin_with(*segments[i]);
      auto begun = co_await begin_at_checkpoint(state, *segments[i]);
      if (!begun) co_return begun.error();
    }
    if (state.watcher != nullptr) state.watcher->segment(*segments[i], state.log.end, goes_on);
    state.log.log.push_back(segments[i]);
    const auto behind = i + 1 < segments.size() ? segments[i + 1] : nullptr;
    auto scanned = co_await scan_segment(state, segments[i], behind);
    if (!scanned) co_return scanned.error();
  }
  co_return i;
}

void keep_better(Evidence& all, Evidence found) {
  if (found.proves <= all.proves) return;
  all.proves = found.proves;
  all.where = std::move(found.where);
}

/// Everything at and behind the end of the log that could prove it longer;
/// `upto` speaks of the last segment.
Task<Result<Evidence>> gather_evidence(const ScanState& state, const ReadLog& read) {
  const auto& context = *state.context;
  const auto x = state.log.end.lsn.next();
  Evidence all;
  auto newer = state.input->start;
  if (const auto tail = state.tail()) {
    const auto sequence = tail->header.sequence;
    newer = sequence.next();
    // Behind rot of any size the next batch may be anywhere.
    const auto reach =
        tail == state.given_up ? context.segment_bytes : in_flight_reach(state.span_next);
    auto found = co_await find_evidence(context, tail, {sequence, sequence}, tail->used, x, reach);
    if (!found) co_return found.error();
    all = std::move(*found);
  }
  for (const auto& segment : read.beyond) {
    const auto& h = segment->header;
    keep_better(
        all,
        {h.durable,
         fmt::format("the header of segment {} ({})", h.sequence, segment_name(segment->slot)), 0});
    auto found =
        co_await find_evidence(context, segment, {h.sequence, h.sequence},
                               engine::segment_header_bytes, x, in_flight_reach(batch_span_max));
    if (!found) co_return found.error();
    keep_better(all, std::move(*found));
  }
  for (const auto& segment : read.doubtful) {
    const Lives any_newer{newer, SegmentSequence(~std::uint64_t{0})};
    auto found = co_await find_evidence(context, segment, any_newer, engine::segment_header_bytes,
                                        x, in_flight_reach(batch_span_max));
    if (!found) co_return found.error();
    keep_better(all, std::move(*found));
  }
  co_return all;
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
  engine::sometimes(engine::Mark::history_given_up);
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

/// Damage, or the plain end: decides which.
Task<Status> judge_tail(ScanState& state, ReadLog& read) {
  auto& log = state.log;
  const auto x = log.end.lsn.next();
  auto evidence = co_await gather_evidence(state, read);
  if (!evidence) co_return evidence.error();
  engine::sometimes(evidence->proves >= x || state.input->proved_durable >= x,
                    engine::Mark::log_promise_broken);
  auto proves = evidence->proves;
  auto where = evidence->where;
  if (state.input->proved_durable >= proves) {
    proves = state.input->proved_durable;
    where = proves == state.input->checkpoint ? "the checkpoint" : "the superblock";
  }
  read.torn_upto = evidence->upto;
  read.torn = !read.beyond.empty() || evidence->upto != 0;
  bool corrupt = proves >= x;
  if (planted(Bug::torn_tail_is_corruption) && read.torn) corrupt = true;
  if (planted(Bug::corruption_is_torn_tail) && log.end.lsn >= state.input->checkpoint)
    corrupt = false;
  engine::sometimes(read.torn && !corrupt, engine::Mark::torn_tail_found);
  if (corrupt) log.damage = describe_damage(state, proves, where);
  co_return Done{};
}

/// Nothing behind an unfinished truncation counts, so nothing there is judged.
void judge_truncation(ScanState& state) {
  auto& log = state.log;
  engine::sometimes(engine::Mark::truncation_finished_by_start);
  const auto to = *state.input->truncate_to;
  if (log.end.lsn < to) log.damage = describe_damage(state, to, "a truncation");
}

Task<Status> judge(ScanState& state, ReadLog& read) {
  const auto& input = *state.input;
  if (!state.log.damage.empty()) co_return Done{};
  if (input.truncate_to) {
    judge_truncation(state);
    co_return Done{};
  }
  const bool ended_cleanly = input.clean && state.log.end.lsn == input.proved_durable &&
                             read.beyond.empty() && read.doubtful.empty();
  if (ended_cleanly) co_return Done{};
  auto judged = co_await judge_tail(state, read);
  co_return judged;
}

}  // namespace

Task<Result<ReadLog>> read_log(const WalContext& context, const RecoveryInput& input,
                               LogWatcher* watcher) {
  auto found = co_await find_segments(context, input.start);
  if (!found) co_return found.error();
  ReadLog read;
  read.refused = std::move(found->refused);
  read.unfinished = std::move(found->unfinished);
  if (!read.refused.empty() && watcher == nullptr) co_return std::move(read);
  ScanState state;
  state.context = &context;
  state.input = &input;
  state.watcher = watcher;
  auto& log = state.log;
  log.end = end_at_checkpoint(input);
  log.spares = std::move(found->others);
  log.slots_used = found->slots_used;
  // A header lost with a crash may have taken the numbers right behind: leave them out.
  log.next_sequence = std::max(found->highest, input.start) + (1 + 2 * writes_in_flight_max);

  const auto& segments = found->with_header;
  const auto first = watcher != nullptr ? 0 : first_to_read(segments, input.checkpoint);
  auto next = co_await scan_from(state, segments, first);
  if (!next) co_return next.error();
  if (!state.enough) give_up_history(state);
  auto& head = log.history.head;
  const bool leads =
      !log.log.empty() && log.log.front() == segments[first] &&
      log.log.front()->first() == (head ? head->first : segments[first]->header.first);
  if (!leads) head.reset();
  log.history.checkpoint = input.checkpoint;
  log.history.cuts = input.cuts;
  auto& history = leads ? log.history.segments : log.spares;
  history.insert(history.end(), segments.begin(),
                 segments.begin() + static_cast<std::ptrdiff_t>(first));
  log.end.mono_time = std::max(log.end.mono_time, input.checkpoint_time);
  log.committed = std::min(log.committed, log.end.lsn);
  const auto scanned = segments.begin() + static_cast<std::ptrdiff_t>(*next);
  for (auto it = segments.begin() + static_cast<std::ptrdiff_t>(first); it != scanned; ++it) {
    const bool kept = std::find(log.log.begin(), log.log.end(), *it) != log.log.end();
    if (!kept) log.spares.push_back(*it);  // before rot that cut off the history
  }
  read.beyond.assign(scanned, segments.end());
  engine::sometimes(!read.beyond.empty(), engine::Mark::segments_behind_hole);
  read.doubtful = std::move(found->doubtful);
  read.tail = state.tail();
  read.gave_up = state.given_up != nullptr;
  if (!state.enough) {
    auto judged = co_await judge(state, read);
    if (!judged) co_return judged.error();
  }
  read.stop_reason = std::move(state.stop_reason);
  read.log = std::move(state.log);
  co_return std::move(read);
}

}  // namespace tidemark::storage
