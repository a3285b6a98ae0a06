#include "storage/wal_segments.hpp"

#include <algorithm>

#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "storage/disk_tasks.hpp"

namespace tidemark::storage {
namespace {

using engine::Done;
using engine::Errc;
using engine::Status;

constexpr std::size_t zero_write_bytes = 1u << 20;
constexpr std::uint64_t segment_retry = engine::second;
// One file in eight stands by, so that a writer never waits for the oldest one to be given up; more
// than this are filled no faster than they become free.
constexpr std::uint64_t retained_per_spare = 8;
constexpr std::uint64_t spares_max = 8;

void forget_life(Segment& segment) {
  segment.batches.clear();
  segment.used = engine::segment_header_bytes;
  segment.ends_chunk = false;
}

}  // namespace

SegmentPool::SegmentPool(const WalContext& context, SegmentLimits limits)
    : context_(context), limits_(limits) {}

SegmentPool::~SegmentPool() {
  if (retry_ != 0) context_.timers.cancel(retry_);
}

void SegmentPool::adopt_spares(std::vector<SegmentPtr> spares, std::uint32_t slots_used,
                               std::size_t in_log) {
  spares_ = std::move(spares);
  for (auto& segment : spares_) forget_life(*segment);  // some were read as history
  next_slot_ = slots_used;
  in_log_ = in_log;
}

std::uint64_t SegmentPool::target() const {
  return std::max(segments_min, limits_.retention_bytes / context_.segment_bytes);
}

std::uint64_t SegmentPool::spares_wanted() const {
  return std::clamp<std::uint64_t>(target() / retained_per_spare, 1, spares_max);
}

SegmentPtr SegmentPool::take() {
  collect_retired();
  if (spares_.empty()) return nullptr;
  auto segment = std::move(spares_.back());
  spares_.pop_back();
  ++in_log_;
  return segment;
}

void SegmentPool::give_back(SegmentPtr segment) {
  CHECK(in_log_ > 0);
  --in_log_;
  retiring_.push_back(std::move(segment));
  collect_retired();
}

void SegmentPool::collect_retired() {
  for (auto it = retiring_.begin(); it != retiring_.end();) {
    if (it->use_count() > 1) {
      ++it;
      continue;
    }
    forget_life(**it);
    spares_.push_back(std::move(*it));
    it = retiring_.erase(it);
  }
}

void SegmentPool::look_at_space() {
  creatable_ = 0;
  const auto space = context_.disk.space(context_.directory);
  if (!space || space->free_bytes < limits_.reserve_bytes) return;
  creatable_ = (space->free_bytes - limits_.reserve_bytes) / context_.segment_bytes;
}

bool SegmentPool::wants_more() const {
  const bool wanted = may_grow_ || (pinned_ && retiring_.empty() && files() < pinned_max());
  if (spares_.empty() && wanted) return true;
  return !thrifty_ && files() < target();
}

bool SegmentPool::has_too_many() const {
  if (thrifty_) return spares_.size() > 1;
  return spares_.size() > spares_wanted() && files() > target();
}

void SegmentPool::top_up(bool may_grow) {
  may_grow_ = may_grow;
  look_at_space();
  if (busy_ || stopped_) return;
  collect_retired();
  const auto done = [this](Status status) { done_with_one(std::move(status)); };
  if (engine::sometimes(has_too_many(), engine::Mark::spare_segment_deleted)) {
    busy_ = true;
    return scope_.run(delete_one(), done);
  }
  if (creatable() < target()) look_again_later();
  if (full_ || !wants_more()) return;
  if (engine::sometimes(creatable() == 0, engine::Mark::segments_stop_at_reserve)) return;
  busy_ = true;
  scope_.run(create_one(), done);
}

void SegmentPool::done_with_one(Status status) {
  busy_ = false;
  if (quiet_) return std::exchange(quiet_, nullptr)(Done{});
  if (engine::sometimes(!status && status.error().code == Errc::no_space,
                        engine::Mark::segment_not_created_for_space)) {
    full_ = true;
    look_again_later();
    if (on_spare) on_spare();
    return;
  }
  if (!status) {
    if (on_failed) on_failed(status.error());
    return;
  }
  if (on_spare) on_spare();
  top_up(may_grow_);
}

// The one that was used longest ago. Should a crash bring its name back, it is a spare again.
Task<Status> SegmentPool::delete_one() {
  auto segment = std::move(spares_.front());
  spares_.erase(spares_.begin());
  const auto path = context_.directory + "/" + segment_name(segment->slot);
  segment.reset();
  auto removed = co_await remove_file(context_.disk, path);
  co_return removed;
}

// Space freed by others brings no message, so a disk that is short of it is looked at again each second, be no file
// wanted: who asks for room in an idle log is told what was seen last.
void SegmentPool::look_again_later() {
  if (retry_ != 0) return;
  retry_ = context_.timers.after(segment_retry, lifetime_.guard([this] {
    retry_ = 0;
    full_ = false;
    if (stopped_) return;
    look_at_space();
    if (on_spare) on_spare();
    top_up(may_grow_);
  }));
}

Task<Status> SegmentPool::create_one() {
  auto segment = std::make_shared<Segment>();
  segment->slot = next_slot_++;
  const auto path = context_.directory + "/" + segment_name(segment->slot);
  OpenOptions options;
  options.create = true;
  options.dsync = true;
  auto file = co_await open_file(context_.disk, path, options);
  if (!file) co_return file.error();
  segment->file = *file;
  auto written = co_await write_zeros(segment->file);
  if (!written && !engine::planted(engine::Bug::half_made_segment_is_used)) {
    segment->file.reset();
    auto removed = co_await remove_file(context_.disk, path);
    if (!removed) co_return removed.error();
    co_return written.error();
  }
  if (!engine::planted(engine::Bug::directory_not_synced)) {
    auto synced = co_await sync_directory(context_.disk, context_.directory);
    if (!synced) co_return synced.error();
  }
  spares_.push_back(std::move(segment));
  co_return Done{};
}

Task<Status> SegmentPool::stop() {
  stopped_ = true;
  if (busy_) {
    co_await callback<Done>([this](auto done) { quiet_ = std::move(done); });
  }
  spares_.clear();
  retiring_.clear();
  co_return Done{};
}

Task<Status> SegmentPool::write_zeros(FilePtr file) {
  for (std::uint64_t at = 0; at < context_.segment_bytes; at += zero_write_bytes) {
    if (stopped_)
      co_return engine::Error{Errc::cancelled, "creation of a segment: the store stops"};
    const auto bytes = std::min<std::uint64_t>(zero_write_bytes, context_.segment_bytes - at);
    auto written = co_await write_file(context_.disk, file, at, engine::zeros(bytes));
    if (!written) co_return written.error();
  }
  co_return Done{};
}

}  // namespace tidemark::storage
