#include "storage/wal_writer.hpp"

#include <algorithm>
#include <utility>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::storage {

using engine::Lsn;
using engine::RecordKind;

namespace {

// A write costs processor time and a flush of the disk whether it carries one record or sixteen.
// One of many records in flight tells of many clients, and their rate counts: the next waits for
// it, or for as much as is worth its cost (docs/decisions/0011-group-commit-gathers.md).
constexpr std::uint32_t many_records = 4;
constexpr std::uint64_t worth_a_write_bytes = 128u << 10;  ///< Sixteen records of one block.
// Who streams goes on to: for so many batches behind a large one others may be as large.
constexpr std::uint32_t large_batches = 16;

}  // namespace

WalWriter::WalWriter(const WalContext& context, WalIndex& index, SegmentPool& pool,
                     MemoryTail& tail, LogEnd end, SegmentSequence next_sequence)
    : context_(context),
      index_(index),
      pool_(pool),
      tail_(tail),
      end_(end),
      durable_(end),
      issued_(end.lsn),
      issued_digest_(end.digest),
      next_sequence_(next_sequence),
      after_chunk_end_(!index.empty() && index.back().ends_chunk),
      issued_chunk_first_(end.chunk_first),
      issued_chunk_bytes_(end.chunk_bytes) {}

void WalWriter::restart(LogEnd end, bool after_chunk_end) {
  CHECK(slots_.empty());
  end_ = durable_ = end;
  issued_ = end.lsn;
  issued_digest_ = end.digest;
  after_chunk_end_ = after_chunk_end;
  header_in_flight_ = false;
  starved_ = false;
  issued_chunk_first_ = end.chunk_first;
  issued_chunk_bytes_ = end.chunk_bytes;
  undurable_cost_ = 0;
  promised_.fill(batch_span_min);
}

void WalWriter::cut_unissued(Lsn to, engine::WallTime mono_time) {
  engine::sometimes(engine::Mark::unissued_records_cut);
  CHECK(slots_.empty());
  CHECK(issued_ <= to);
  CHECK(to <= end_.lsn);
  end_ = {issued_, issued_digest_, mono_time,
          after_chunk_end_ ? issued_.next() : issued_chunk_first_,
          after_chunk_end_ ? 0 : issued_chunk_bytes_};
  undurable_cost_ = 0;
  for (auto lsn = issued_.next(); lsn <= to; lsn = lsn.next()) append(tail_.find(lsn));
  starved_ = starved_ && issued_ < to;
}

void WalWriter::append(const engine::RecordPtr& record) {
  const auto& h = record->header();
  const auto cost = engine::chunk_cost(*record);
  undurable_cost_ += cost;
  end_.lsn = h.lsn;
  end_.digest = h.digest;
  end_.mono_time = h.mono_time;
  if (h.kind == RecordKind::epoch && end_.chunk_first < h.lsn) {
    end_.chunk_first = h.lsn;
    end_.chunk_bytes = 0;
  }
  end_.chunk_bytes += cost;
  if (h.kind == RecordKind::chunk_end) {
    end_.chunk_first = h.lsn.next();
    end_.chunk_bytes = 0;
  }
}

void WalWriter::pump() {
  while (!failed_ && !paused_ && !header_in_flight_ && issued_ < end_.lsn &&
         slots_.size() < writes_in_flight_max) {
    if (must_roll(*tail_.find(issued_.next()))) {
      if (!roll()) return;
    } else if (gathers()) {
      return;  // pumped again by the next append or completion
    } else {
      issue();
    }
  }
}

bool WalWriter::gathers() const {
  if (slots_.empty()) return false;
  return slots_.back().records >= many_records && unissued_cost() < worth_a_write_bytes;
}

std::uint64_t WalWriter::unissued_cost() const {
  auto cost = undurable_cost_;
  for (const auto& slot : slots_) cost -= slot.cost;
  return cost;
}

bool WalWriter::must_roll(const engine::Record& next) const {
  if (index_.empty() || after_chunk_end_ || roll_wanted_) return true;
  const auto& segment = index_.back();
  if (next.header().kind == RecordKind::epoch && !segment.batches.empty()) return true;
  // A cut batch (truncation) wastes so much that a chunk needs a second segment; rot makes it, too.
  return segment.used + engine::chunk_cost(next) > context_.segment_bytes;
}

bool WalWriter::roll() {
  auto segment = pool_.take();
  starved_ = segment == nullptr;
  if (engine::sometimes(starved_, engine::Mark::log_starved)) {
    if (on_starved) on_starved();
    return false;
  }
  const auto next = tail_.find(issued_.next());
  const bool new_chunk = after_chunk_end_ || next->header().kind == RecordKind::epoch;
  segment->header = {context_.volume,
                     context_.replica,
                     next_sequence_,
                     issued_.next(),
                     issued_digest_,
                     new_chunk ? issued_.next() : issued_chunk_first_,
                     new_chunk ? 0 : issued_chunk_bytes_,
                     durable_.lsn,
                     context_.segment_bytes};
  next_sequence_ = next_sequence_.next();
  issued_chunk_first_ = segment->header.chunk_first;
  issued_chunk_bytes_ = segment->header.chunk_bytes;
  after_chunk_end_ = roll_wanted_ = false;
  header_in_flight_ = true;
  auto block = encode_segment_header(segment->header);
  index_.push(std::move(segment));
  Slot slot;
  slot.last = issued_;
  slot.digest = issued_digest_;
  slot.header = true;
  write(0, {std::move(block).freeze()}, slot);
  pool_.top_up(false);
  return true;
}

// What goes into the next batch: all there is, up to a chunk's end, a new epoch, or the limits.
BatchHeader WalWriter::collect() {
  const auto& segment = index_.back();
  if (tail_.find(issued_.next())->header().kind == RecordKind::epoch) {
    issued_chunk_first_ = issued_.next();
    issued_chunk_bytes_ = 0;
  }
  BatchHeader h;
  h.sequence = segment.header.sequence;
  h.offset = segment.used;
  h.first = issued_.next();
  h.durable = durable_.lsn;
  h.committed = committed_;
  h.before = issued_digest_;
  h.chunk_first = issued_chunk_first_;
  h.chunk_bytes = issued_chunk_bytes_;
  batch_.clear();
  const auto span_max = *std::min_element(promised_.begin(), promised_.end());
  while (h.first + h.count <= end_.lsn && h.count < batch_records_max &&
         h.bytes() < batch_bytes_max) {
    auto record = tail_.find(h.first + h.count);
    const auto kind = record->header().kind;
    if (kind == RecordKind::epoch && (h.count > 0 || !segment.batches.empty())) break;
    auto grown = h;
    grown.head_bytes += static_cast<std::uint32_t>(record->head().size());
    grown.payload_bytes += record->payload().size();
    if (h.offset + grown.bytes() > context_.segment_bytes) break;
    if (grown.bytes() > span_max) break;
    ++grown.count;
    h = grown;
    batch_.push_back(std::move(record));
    if (kind == RecordKind::chunk_end) break;
  }
  CHECK(h.count > 0);
  h.span_next = promise(h);
  return h;
}

/// How large the two batches behind this one may be at most: recovery reads as much behind the end of the log.
std::uint64_t WalWriter::promise(const BatchHeader& batch) {
  const auto waiting = unissued_cost() - std::min(unissued_cost(), batch.bytes());
  const bool large = batch.bytes() > batch_span_min / 2 || waiting > batch_span_min / 2;
  if (large) large_for_ = large_batches;
  const auto span = large_for_ > 0 ? batch_span_max : batch_span_min;
  if (large_for_ > 0) --large_for_;
  promised_ = {promised_.back(), span};
  return span;
}

void WalWriter::issue() {
  const auto h = collect();
  Slot slot;
  slot.last = h.last();
  slot.records = h.count;
  slot.digest = batch_.back()->header().digest;
  std::vector<engine::Slice> data;
  data.reserve(batch_.size() + 1);
  data.push_back(encode_batch_head(context_.key, h, batch_).freeze());
  for (const auto& record : batch_) {
    slot.cost += engine::chunk_cost(*record);
    if (!record->payload().empty()) data.push_back(record->payload());
  }
  auto& segment = index_.back();
  segment.batches.push_back(place_of(h));
  segment.used += h.bytes();
  segment.ends_chunk = after_chunk_end_ = batch_.back()->header().kind == RecordKind::chunk_end;
  issued_ = slot.last;
  issued_digest_ = slot.digest;
  issued_chunk_bytes_ += slot.cost;
  batch_.clear();
  write(h.offset, std::move(data), slot);
}

void WalWriter::write(std::uint64_t offset, std::vector<engine::Slice> data, Slot slot) {
  for (const auto& slice : data) bytes_written_ += slice.size();
  ++writes_;
  const auto id = first_slot_ + slots_.size();
  slots_.push_back(slot);
  context_.disk.write(
      index_.back().file, offset, std::move(data),
      lifetime_.guard([this, id](engine::Status status) { written(id, std::move(status)); }));
}

void WalWriter::written(std::uint64_t id, engine::Status status) {
  if (failed_) return;
  if (!status && !engine::planted(engine::Bug::failed_write_counts)) {
    engine::sometimes(engine::Mark::log_write_failed);
    failed_ = true;  // durable stays where it is; what completes behind the gap does not count
    if (on_failed) on_failed(status.error());
    return;
  }
  if (engine::planted(engine::Bug::durable_passes_a_gap)) {
    if (id < first_slot_) return pump();
    for (auto before = first_slot_; before < id; ++before) slots_[before - first_slot_].done = true;
  }
  slots_[id - first_slot_].done = true;
  retire_done();
  pump();
}

void WalWriter::retire_done() {
  const auto before = durable_.lsn;
  while (!slots_.empty() && slots_.front().done) {
    const auto& slot = slots_.front();
    durable_.lsn = slot.last;
    durable_.digest = slot.digest;
    undurable_cost_ -= slot.cost;
    if (slot.header) header_in_flight_ = false;
    slots_.pop_front();
    ++first_slot_;
  }
  // A header moves no LSN, but whoever waits for nothing in flight must hear of it.
  if ((durable_.lsn != before || slots_.empty()) && on_durable) on_durable();
}

std::uint64_t WalWriter::free_bytes(std::uint64_t spare_segments) const {
  const auto per_segment = engine::chunk_bytes_max(context_.segment_bytes);
  auto bytes = spare_segments * per_segment + undurable_cost_;
  if (!index_.empty() && !after_chunk_end_ && !roll_wanted_) {
    const auto open = per_segment - std::min(per_segment, index_.back().used);
    bytes += open;
  }
  // Appended and not in a segment yet.
  const auto unissued = issued_ < end_.lsn ? unissued_cost() : 0;
  return bytes - std::min(bytes, unissued);
}

}  // namespace tidemark::storage
