#include "storage/wal.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "storage/disk_tasks.hpp"
#include "storage/wal_reader.hpp"

namespace tidemark::storage {
namespace {

using engine::Digest;
using engine::Done;
using engine::Error;
using engine::Lsn;
using engine::RecordPtr;
using engine::Result;
using engine::Status;

// A new replica opens with room to roll once; the rest follows in the background.
constexpr int first_segments = 2;
constexpr std::uint64_t verify_bytes = 1u << 20;

Error cut_meanwhile(Lsn lsn) {
  return {engine::Errc::out_of_window,
          fmt::format("read of the log at lsn {}: it was cut meanwhile", lsn)};
}

}  // namespace

Wal::Wal(WalContext context, WalLimits limits)
    : context_(std::move(context)),
      limits_(limits),
      pool_(context_, {limits.retention_bytes, limits.reserve_bytes}) {
  pool_.on_spare = [this] {
    if (writer_) writer_->pump();
    wake_waiting();
    if (on_space) on_space();
  };
  pool_.on_failed = [this](Error error) {
    failure_ = error;
    wake_waiting();
    if (on_failed) on_failed(std::move(error));
  };
}

Task<Status> Wal::create_first_segments() {
  for (int i = 0; i < first_segments; ++i) {
    auto created = co_await pool_.create_one();
    if (!created) co_return created.error();
  }
  co_return Done{};
}

Task<Result<RecoveredLog>> Wal::recover(RecoveryInput input) {
  auto recovered = co_await recover_log(context_, std::move(input));
  co_return recovered;
}

void Wal::start(RecoveredLog& recovered, Lsn committed) {
  for (auto& segment : recovered.log) index_.push(std::move(segment));
  history_ = std::move(recovered.history);
  pool_.adopt_spares(std::move(recovered.spares), recovered.slots_used,
                     history_.segments.size() + index_.segments().size());
  const auto& end = recovered.end;
  base_ = end.lsn;
  base_digest_ = end.digest;
  set_base();
  tail_ = std::make_unique<MemoryTail>(end.lsn, limits_.memory_tail_bytes);
  writer_ =
      std::make_unique<WalWriter>(context_, index_, pool_, *tail_, end, recovered.next_sequence);
  writer_->set_committed(committed);
  writer_->on_durable = [this] { made_durable(); };
  writer_->on_starved = [this] { top_up(); };
  writer_->on_failed = [this](Error error) {
    failure_ = error;
    wake_waiting();
    if (on_failed) on_failed(std::move(error));
  };
  if (history_.empty()) return;
  reading_ = true;
  scope_.run(read_unread(), [this](Done) {
    reading_ = false;
    wake_waiting();
    if (closing_) return;
    top_up();  // What was given up meanwhile was held by the reading.
    writer_->pump();
  });
}

void Wal::append(const std::vector<RecordPtr>& records) {
  for (const auto& record : records) {
    tail_->append(record);
    writer_->append(record);
  }
  writer_->pump();
}

void Wal::made_durable() {
  tail_->forget(durable());
  if (!writer_->in_flight()) wake_waiting();
  if (on_durable) on_durable();
}

void Wal::wake_waiting() {
  auto waiting = std::move(waiting_);
  waiting_.clear();
  for (auto& wake : waiting) wake(Done{});
}

Task<Result<std::vector<RecordPtr>>> Wal::read(Lsn from, Lsn to, std::uint64_t bytes_max) {
  CHECK(from);
  std::vector<RecordPtr> records;
  if (!history_.empty()) co_await known(from);
  if (from < tail_->first()) {
    const auto on_disk = std::min(to, tail_->first().previous());
    auto read = co_await read_records(context_, index_, from, on_disk, bytes_max);
    if (!read) co_return cause_of(read.error(), from);
    co_return read;
  }
  std::uint64_t taken = 0;
  for (; from <= to && (records.empty() || taken < bytes_max); from = from.next()) {
    auto record = tail_->find(from);
    if (!record) co_return cut_meanwhile(from);
    records.push_back(std::move(record));
    taken += records.back()->bytes();
  }
  co_return records;
}

Task<Result<engine::Slice>> Wal::read_payload(Lsn lsn, engine::BlockRange range) {
  auto read = co_await storage::read_payload(context_, index_, lsn, range);
  if (!read) co_return cause_of(read.error(), lsn);
  co_return read;
}

/// What a truncation erased under the reader is not damaged.
engine::Error Wal::cause_of(engine::Error failure, Lsn lsn) const {
  const bool cut = failure.code == engine::Errc::corrupt && !index_.find(lsn).segment;
  if (engine::sometimes(cut, engine::Mark::log_cut_under_reader)) return cut_meanwhile(lsn);
  return failure;
}

Task<std::optional<Digest>> Wal::digest_at(Lsn lsn) {
  if (!lsn) co_return Digest{};
  if (lsn == end().lsn) co_return end().digest;
  if (lsn == base_) co_return base_digest_;
  if (lsn > end().lsn) co_return std::nullopt;
  if (const auto record = tail_->find(lsn)) co_return record->header().digest;
  co_await known(lsn);
  for (const auto& segment : index_.segments()) {
    if (segment->header.first.previous() == lsn) co_return segment->header.before;
  }
  auto header = co_await read_header(context_, index_, lsn);
  if (!header) co_return std::nullopt;
  co_return header->digest;
}

Task<Result<Lsn>> Wal::verify(Lsn from, Lsn to, Haste haste) {
  co_await known(from, haste);
  auto records = co_await read_records(context_, index_, from, to, verify_bytes);
  if (!records) co_return records.error();
  co_return records->back()->lsn().next();
}

Task<Result<std::uint64_t>> Wal::mend_headers() {
  // Held, none of them is recycled.
  std::vector<SegmentPtr> all(history_.segments.begin(), history_.segments.end());
  all.insert(all.end(), index_.segments().begin(), index_.segments().end());
  std::uint64_t mended = 0;
  for (const auto& segment : all) {
    if (segment->header.first > durable()) break;  // It may be on its way.
    auto written = encode_segment_header(segment->header).freeze();
    auto found = co_await read_file(context_.disk, segment->file, 0, written.size());
    if (found && std::ranges::equal(found->bytes(), written.bytes())) continue;
    auto again = co_await write_file(context_.disk, segment->file, 0, std::move(written));
    if (!again) co_return again.error();
    engine::sometimes(engine::Mark::segment_header_mended);
    ++mended;
  }
  co_return mended;
}

Task<Done> Wal::something_moved() {
  // Named: g++ 12 destroys a closure's captures twice when it is a temporary of a co_await.
  auto moved = callback<Done>([this](auto done) { waiting_.push_back(std::move(done)); });
  co_await moved;
  co_return Done{};
}

Task<Result<bool>> Wal::drain() {
  while (!failure_ && !writer_->drained()) {
    const bool stuck = writer_->starved() && !writer_->in_flight() && !pool_.hopeful();
    if (stuck && (!may_grow || may_grow())) {
      engine::sometimes(engine::Mark::stopped_with_full_log);
      writer_->pause();
      co_return false;
    }
    co_await something_moved();
  }
  if (failure_) co_return *failure_;
  co_return true;
}

Task<Status> Wal::settle() {
  while (!failure_ && (writer_->in_flight() || !(writer_->drained() || writer_->starved()))) {
    co_await something_moved();
  }
  writer_->pause();
  if (failure_) co_return *failure_;
  co_return Done{};
}

Task<Status> Wal::halt() {
  writer_->pause();
  while (!failure_ && writer_->in_flight()) co_await something_moved();
  co_return Done{};
}

void Wal::cut_unissued(Lsn to, engine::WallTime mono_time) {
  tail_->truncate(to);
  writer_->cut_unissued(to, mono_time);
}

std::optional<CutMark> Wal::cut_for(Lsn to) const {
  const auto place = index_.find(to);
  if (!place.segment) return std::nullopt;
  const auto& batch = place.segment->batches[place.batch];
  // A batch that was cut to end at `to` has a mark already.
  if (batch.last() == to) return std::nullopt;
  return CutMark{place.segment->header.sequence, batch.offset(), to};
}

Task<Status> Wal::truncate(Lsn to, Digest digest, engine::WallTime mono_time, bool ends_chunk) {
  tail_->truncate(to);
  auto erased = co_await erase_behind(to);
  if (!erased) co_return erased.error();
  LogEnd end{to, digest, mono_time, to.next(), 0};
  if (!index_.empty()) {
    auto& last = index_.back();
    last.ends_chunk = ends_chunk;
    if (!ends_chunk) {
      end.chunk_first = last.header.chunk_first;
      end.chunk_bytes = last.header.chunk_bytes;
      // At most: a batch that was cut still counts with all its payload, and what is not known with all its place.
      if (last.first() > last.header.first) {
        end.chunk_bytes += last.batches.front().offset();
        end.chunk_bytes += (last.first() - last.header.first) * engine::block_bytes;
      }
      for (const auto& batch : last.batches) {
        end.chunk_bytes +=
            (std::uint64_t{batch.payload_blocks} + batch.count) * engine::block_bytes;
      }
    }
  }
  writer_->restart(end, ends_chunk);
  co_return Done{};
}

// Out of the index first: who reads meanwhile finds nothing, not what is half erased.
Task<Status> Wal::erase_behind(Lsn to) {
  const bool forgets_to_erase = engine::planted(engine::Bug::truncated_tail_returns);
  auto& log = index_.segments();
  while (!log.empty() && log.back()->header.first > to) {
    engine::sometimes(engine::Mark::segments_cut_by_truncation);
    auto segment = log.back();
    log.pop_back();
    if (!forgets_to_erase) {
      auto erased = co_await erase_segment_from(context_.disk, segment, 0, segment->used);
      if (!erased) co_return erased.error();
    }
    pool_.give_back(std::move(segment));
  }
  if (log.empty()) co_return Done{};
  auto segment = log.back();
  const auto old_used = segment->used;
  auto& batches = segment->batches;
  while (!batches.empty() && batches.back().first > to) {
    segment->used = batches.back().offset();
    batches.pop_back();
  }
  if (!batches.empty() && batches.back().last() > to) {
    batches.back().count = static_cast<std::uint32_t>(to - batches.back().first + 1);
  }
  if (forgets_to_erase) co_return Done{};
  auto erased = co_await erase_segment_from(context_.disk, segment, segment->used, old_used);
  co_return erased;
}

void Wal::restart(Lsn base, Digest digest, engine::WallTime mono_time) {
  forget_unread();
  auto& log = index_.segments();
  while (!log.empty()) {
    auto segment = std::move(log.front());
    log.pop_front();
    pool_.give_back(std::move(segment));
  }
  base_ = base;
  base_digest_ = digest;
  *tail_ = MemoryTail(base, limits_.memory_tail_bytes);  // in place: the writer knows it
  writer_->restart({base, digest, mono_time, base.next(), 0}, false);
}

SegmentSequence Wal::start_sequence() const {
  if (!history_.segments.empty()) return history_.segments.front()->header.sequence;
  return index_.empty() ? writer_->next_sequence() : index_.segments().front()->header.sequence;
}

std::optional<BatchAddress> Wal::batch_of(Lsn lsn) const {
  const auto place = index_.find(lsn);
  if (!place.segment) return std::nullopt;
  return BatchAddress{place.segment->header.sequence, place.segment->batches[place.batch].offset()};
}

std::optional<Wal::WholeSegment> Wal::segment_of(Lsn lsn) const {
  const auto& log = index_.segments();
  for (std::size_t i = 0; i + 1 < log.size(); ++i) {
    if (log[i]->first() <= lsn && lsn <= log[i]->end())
      return WholeSegment{log[i]->end(), log[i + 1]->header.sequence};
  }
  return std::nullopt;
}

// Keeps the retention; what is pinned stays twice as long,
// so that one lost peer can't fill the disk.
SegmentSequence Wal::prunable_start(Lsn checkpoint) const {
  auto keep_from = checkpoint.next();
  auto pinned_from = keep_from;
  for (const auto& [id, from] : pins_) pinned_from = std::min(pinned_from, from);
  const auto retained_max = pool_.retained_max();
  auto start = start_sequence();
  for (std::size_t i = 0; i + 1 < segments(); ++i) {
    const auto left = segments() - i;
    const bool needed = end_of(i) >= keep_from;
    const bool pinned = end_of(i) >= pinned_from && left <= 2 * retained_max;
    if (needed || pinned || left <= retained_max) break;
    start = segment(i + 1).header.sequence;
  }
  return start;
}

void Wal::prune(SegmentSequence start) {
  auto& unread = history_.segments;
  while (!unread.empty() && unread.front()->header.sequence < start) {
    pool_.give_back(std::move(unread.front()));
    unread.erase(unread.begin());
  }
  auto& log = index_.segments();
  while (log.size() > 1 && log.front()->header.sequence < start) {
    history_.head.reset();
    auto segment = std::move(log.front());
    log.pop_front();
    pool_.give_back(std::move(segment));
  }
  set_base();
  writer_->pump();
  top_up();
}

void Wal::pin(std::uint64_t id, Lsn from) {
  auto [it, fresh] = pins_.try_emplace(id, from);
  it->second = std::max(it->second, from);
}

std::uint64_t Wal::free_bytes() const {
  return writer_->free_bytes(pool_.spares() + pool_.creatable());
}

void Wal::top_up() {
  pool_.set_pinned(pinned());
  pool_.top_up(writer_->starved() && may_grow && may_grow());
  wake_waiting();
}

/// Does a peer keep more than the retention?
bool Wal::pinned() const {
  if (segments() <= pool_.retained_max()) return false;
  return std::any_of(pins_.begin(), pins_.end(),
                     [this](const auto& pin) { return pin.second <= end_of(0); });
}

Task<Status> Wal::close() {
  closing_ = true;
  forget_unread();
  wake_waiting();
  while (reading_) co_await something_moved();
  auto quiet = co_await pool_.stop();
  index_.segments().clear();
  co_return quiet;
}

}  // namespace tidemark::storage
