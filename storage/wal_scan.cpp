#include "storage/wal_scan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/sometimes.hpp"
#include "storage/disk_tasks.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::Done;
using engine::Lsn;
using engine::RecordKind;
using engine::Result;
using engine::Status;

// A window grows while it is read front to back, and begins small where payloads are skipped: of
// history only the heads are read.
constexpr std::uint64_t window_bytes_min = 64u << 10;
constexpr std::uint64_t window_bytes_max = 4u << 20;
// Of a reading that leaves the disk to others: who wants it waits for one such read at most.
constexpr std::uint64_t resting_window_bytes_max = 1u << 20;

/// What was found at an offset where a batch may stand.
struct FoundBatch {
  BatchHeader header;
  std::vector<RecordPlace> places;   ///< Within `bytes`.
  std::span<const std::byte> bytes;  ///< Of the window: valid until it moves.
  std::vector<ReplayedRecord> records;
  std::vector<std::uint64_t> costs;
};

ReplayedRecord replayed(const RecordPlace& place) {
  const auto body = place.head.subspan(engine::record_header_bytes);
  ReplayedRecord r{place.header, std::nullopt, configuration_of(place.header.kind, body)};
  if (place.header.kind == RecordKind::epoch) {
    auto reign = engine::decode_epoch(body);
    if (reign) r.epoch = std::move(*reign);
  }
  return r;
}

Status verify_payloads(engine::VolumeKey key, const std::vector<RecordPlace>& places,
                       std::span<const std::byte> payload, Lsn above) {
  for (const auto& place : places) {
    if (place.header.lsn <= above) continue;
    const auto rotten = rotten_block(key, place, payload);
    if (!rotten) continue;
    return engine::Error{engine::Errc::corrupt,
                         fmt::format("block {} of the record at lsn {} does not match its checksum",
                                     *rotten, place.header.lsn)};
  }
  return Done{};
}

void take_record(ScanState& state, const ReplayedRecord& record, std::uint64_t cost,
                 Segment& segment) {
  auto& end = state.log.end;
  const auto& h = record.header;
  if (h.kind == RecordKind::epoch && end.chunk_first < h.lsn) {
    end.chunk_first = h.lsn;
    end.chunk_bytes = 0;
  }
  end.lsn = h.lsn;
  end.digest = h.digest;
  end.mono_time = h.mono_time;
  end.chunk_bytes += cost;
  segment.ends_chunk = h.kind == RecordKind::chunk_end;
  if (segment.ends_chunk) {
    end.chunk_first = h.lsn.next();
    end.chunk_bytes = 0;
  }
  if (h.lsn > state.input->checkpoint) state.log.replay.push_back(record);
}

/// The batch at `offset`, verified as a whole; nothing, with the reason in `why`,
/// if none stands there.
Task<Result<std::optional<FoundBatch>>> read_batch(const ScanState& state, SegmentWindow& window,
                                                   const Segment& segment, std::uint64_t offset,
                                                   std::string& why) {
  const auto key = state.context->key;
  auto block = co_await window.at(offset, block_bytes);
  if (!block) co_return block.error();
  const auto header = decode_batch_header(key, *block, offset);
  if (!header || header->sequence != segment.header.sequence) {
    why = "no batch of this segment's life";
    co_return std::optional<FoundBatch>();
  }
  const bool verify_all = header->last() > state.input->checkpoint;
  const bool whole_batch = verify_all || state.watcher != nullptr;
  auto bytes = co_await window.at(offset, whole_batch ? header->bytes() : header->head_area());
  if (!bytes) co_return bytes.error();
  if (bytes->size() < header->head_area()) {
    why = "a batch that passes the end of its file";
    co_return std::optional<FoundBatch>();
  }
  auto places = decode_batch_heads(key, *header, bytes->first(header->head_area()));
  if (engine::sometimes(!places, engine::Mark::batch_heads_torn)) {
    why = places.error().text;
    co_return std::optional<FoundBatch>();
  }
  if (verify_all) {
    if (bytes->size() < header->bytes()) {
      why = "a batch that passes the end of its file";
      co_return std::optional<FoundBatch>();
    }
    auto whole =
        verify_payloads(key, *places, bytes->subspan(header->head_area()), state.input->checkpoint);
    if (engine::sometimes(!whole, engine::Mark::batch_payload_torn)) {
      why = whole.error().text;
      co_return std::optional<FoundBatch>();
    }
  }
  FoundBatch found;
  found.header = *header;
  for (const auto& place : *places) {
    found.records.push_back(replayed(place));
    found.costs.push_back(engine::chunk_cost(place.head.size(), place.header.payload_bytes));
  }
  found.places = std::move(*places);
  found.bytes = *bytes;
  co_return std::optional<FoundBatch>(std::move(found));
}

/// How many of the batch's records count: an unfinished or finished truncation may have cut it.
std::uint32_t records_that_count(const ScanState& state, const BatchHeader& h) {
  auto last = h.last();
  for (const auto& cut : state.input->cuts) {
    if (cut.sequence == h.sequence && cut.offset == h.offset) last = std::min(last, cut.to);
  }
  if (state.input->truncate_to) last = std::min(last, *state.input->truncate_to);
  return last < h.first ? 0 : static_cast<std::uint32_t>(last - h.first + 1);
}

/// Rot below the checkpoint: the next batch of the segment that begins at
/// or below the first needed record.
Task<Result<std::uint64_t>> next_batch_after(const ScanState& state, SegmentWindow& window,
                                             const Segment& segment, std::uint64_t offset) {
  for (offset += block_bytes; offset + block_bytes <= window.file_bytes(); offset += block_bytes) {
    auto block = co_await window.at(offset, block_bytes);
    if (!block) co_return block.error();
    const auto header = decode_batch_header(state.context->key, *block, offset);
    if (!header || header->sequence != segment.header.sequence) continue;
    if (header->first > state.log.end.lsn && header->first <= state.input->checkpoint.next())
      co_return offset;
  }
  co_return std::uint64_t{0};
}

/// The log ends here because the next segment takes over.
bool goes_on_with(const ScanState& state, const SegmentPtr& next) {
  const auto& end = state.log.end;
  return next && next->header.first == end.lsn.next() && next->header.before == end.digest;
}

}  // namespace

void ScanState::begin_with(const Segment& segment) {
  const auto& h = segment.header;
  log.log.clear();
  span_next = batch_span_max;
  log.end.lsn = h.first.previous();
  log.end.digest = h.before;
  log.end.chunk_first = h.chunk_first;
  log.end.chunk_bytes = h.chunk_bytes;
}

void ScanState::begin_with(Segment& segment, const BatchHeader& batch) {
  log.log.clear();
  span_next = batch_span_max;
  segment.used = batch.offset;
  log.end.lsn = batch.first.previous();
  log.end.digest = batch.before;
  log.end.chunk_first = batch.chunk_first;
  log.end.chunk_bytes = batch.chunk_bytes;
  if (batch.first > segment.header.first) log.history.head = UnreadHead{batch.first, batch.before};
}

std::optional<engine::BlockIndex> rotten_block(engine::VolumeKey key, const RecordPlace& place,
                                               std::span<const std::byte> payload) {
  for (std::uint64_t i = 0; i < place.header.payload_bytes / block_bytes; ++i) {
    const auto block = place.header.range.first + i;
    const auto content = payload.subspan(place.payload_offset + i * block_bytes, block_bytes);
    if (engine::block_sum(key, block, content) != engine::head_sum(place.head, i)) return block;
  }
  return std::nullopt;
}

Task<Result<std::span<const std::byte>>> SegmentWindow::at(std::uint64_t offset,
                                                           std::uint64_t bytes) {
  const auto end = std::min(offset + bytes, file_bytes_);
  if (offset >= end) co_return std::span<const std::byte>();
  const auto window_end = offset_ + buffer_.size();
  if (offset < offset_ || end > window_end) {
    const bool goes_on = offset >= offset_ && offset <= window_end + window_;
    window_ = goes_on ? 2 * window_ : 0;
    window_ =
        std::clamp(window_, window_bytes_min, rest_ ? resting_window_bytes_max : window_bytes_max);
    const auto want = std::min(std::max(end - offset, window_), file_bytes_ - offset);
    auto read = co_await read_file(disk_, file_, offset, want);
    if (!read) co_return read.error();
    buffer_ = std::move(*read);
    offset_ = offset;
    if (rest_) {
      auto resting = rest_(buffer_.size());
      const bool wanted = co_await resting;
      if (!wanted) co_return engine::Error{engine::Errc::cancelled, "nobody wants it any more"};
    }
  }
  co_return std::span<const std::byte>(buffer_.data() + (offset - offset_), end - offset);
}

Task<Status> scan_segment(ScanState& state, SegmentPtr segment, SegmentPtr behind) {
  const auto size = state.context->disk.size(segment->file);
  if (!size) co_return size.error();
  SegmentWindow window(state.context->disk, segment->file, *size, state.rest);
  auto& log = state.log;
  while (!state.stopped) {
    std::string why;
    auto batch = co_await read_batch(state, window, *segment, segment->used, why);
    if (!batch) co_return batch.error();
    bool continues = batch->has_value();
    if (continues) {
      const auto& h = (*batch)->header;
      continues = h.first == log.end.lsn.next() && h.before == log.end.digest;
      if (engine::sometimes(!continues, engine::Mark::batch_of_another_past))
        why = "a batch of another past: it is not chained to the record before";
    }
    if (!continues) {
      if (log.end.lsn < state.input->checkpoint && !goes_on_with(state, behind)) {
        // History only: go on behind the rot, as far back as the log is whole from there.
        log.history_lost = fmt::format(
            "the log is damaged at lsn {} (segment {}, {}, offset {}): {}", log.end.lsn.next(),
            segment->header.sequence, segment_name(segment->slot), segment->used, why);
        if (state.watcher != nullptr)
          state.watcher->broken(*segment, segment->used, log.end.lsn.next(), why);
        auto next = co_await next_batch_after(state, window, *segment, segment->used);
        if (!next) co_return next.error();
        if (*next != 0) {
          auto block = co_await window.at(*next, block_bytes);
          if (!block) co_return block.error();
          const auto header = decode_batch_header(state.context->key, *block, *next);
          segment->used = *next;
          segment->batches.clear();
          log.log.clear();
          log.log.push_back(segment);
          state.span_next = batch_span_max;  // What was promised is not known.
          log.end.lsn = header->first.previous();
          log.end.digest = header->before;
          continue;
        }
      }
      state.stop_reason = std::move(why);
      break;
    }
    const auto count = records_that_count(state, (*batch)->header);
    if (count == 0) {
      state.stopped = true;
      break;
    }
    if (state.watcher != nullptr) {
      const auto& b = **batch;
      state.enough = !state.watcher->batch({*segment, b.header, b.places, count, b.bytes});
      state.stopped = state.enough;
    }
    auto place = place_of((*batch)->header);
    engine::sometimes(count < (*batch)->header.count, engine::Mark::cut_batch_read);
    place.count = count;
    segment->batches.push_back(place);
    segment->used += place.bytes();
    log.committed = std::max(log.committed, (*batch)->header.committed);
    state.span_next = (*batch)->header.span_next;
    for (std::uint32_t i = 0; i < count; ++i) {
      take_record(state, (*batch)->records[i], (*batch)->costs[i], *segment);
      if (log.end.lsn == state.input->checkpoint &&
          log.end.digest != state.input->checkpoint_digest) {
        log.damage =
            fmt::format("the log's digest at the checkpoint, lsn {}, is {}; the superblock says {}",
                        log.end.lsn, engine::to_string(log.end.digest),
                        engine::to_string(state.input->checkpoint_digest));
        state.stopped = true;
      }
    }
    if (state.input->truncate_to && log.end.lsn >= *state.input->truncate_to) state.stopped = true;
  }
  co_return Done{};
}

Task<Result<Evidence>> find_evidence(const WalContext& context, SegmentPtr segment, Lives lives,
                                     std::uint64_t offset, Lsn x, std::uint64_t reach) {
  Evidence found;
  const auto size = context.disk.size(segment->file);
  if (!size) co_return size.error();
  const auto end = *size - std::min(*size, offset) < reach ? *size : offset + reach;
  SegmentWindow window(context.disk, segment->file, end);
  for (auto at = offset; at + block_bytes <= end; at += block_bytes) {
    auto block = co_await window.at(at, block_bytes);
    if (!block) co_return block.error();
    const auto header = decode_batch_header(context.key, *block, at);
    if (!header || !lives.contain(header->sequence) || header->first < x) continue;
    found.upto = std::min(*size, at + header->bytes());
    // The batch at the damage itself proves nothing about it:
    // it was issued before it could be durable.
    if (header->durable > found.proves) {
      found.proves = header->durable;
      found.where = fmt::format("the batch at lsn {} ({}, offset {})", header->first,
                                segment_name(segment->slot), at);
    }
  }
  co_return found;
}

}  // namespace tidemark::storage
