#include "storage/flusher.hpp"

#include <algorithm>

#include "engine/planted.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::Done;
using engine::Error;
using engine::FlushKind;
using engine::Lsn;
using engine::Status;

constexpr std::uint64_t full_disk_retry = engine::second;
constexpr std::uint64_t zero_piece_blocks = extent_run_blocks_max;

/// What a record's flush writes.
std::uint64_t written_bytes(const engine::RecordHeader& h) {
  const bool zeros =
      h.kind == engine::RecordKind::write_zeroes && (h.flags & engine::flag_no_hole) != 0;
  return zeros ? h.range.count * block_bytes : h.payload_bytes;
}

/// At least one record.
void keep_a_rounds_worth(std::vector<engine::RecordPtr>& records) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (bytes >= flush_round_bytes_max) return records.resize(i);
    bytes += written_bytes(records[i]->header());
  }
}

/// Data of records, or a hole.
ExtentRun copied_run(const engine::FlushRun& planned) {
  ExtentRun run{planned.range, {}, {}};
  for (const auto& part : planned.parts) {
    const auto skipped = part.range.first - part.record->header().range.first;
    run.data.push_back(
        part.record->payload().part(skipped * block_bytes, part.range.count * block_bytes));
    for (std::uint64_t i = 0; i < part.range.count; ++i)
      run.sums.push_back(part.record->sum(skipped + i));
  }
  return run;
}

}  // namespace

Flusher::Flusher(Wal& wal, Extents& extents, DirtyMap& dirty, engine::VolumeKey key,
                 engine::Timers& timers, FlushLimits limits, CheckpointState at, Lsn ceiling,
                 Checkpointed checkpointed)
    : wal_(wal),
      extents_(extents),
      dirty_(dirty),
      key_(key),
      timers_(timers),
      limits_(limits),
      at_(at),
      ceiling_(std::max(at.lsn, ceiling)),
      checkpointed_(std::move(checkpointed)),
      committed_(at.lsn) {}

Flusher::~Flusher() {
  if (age_timer_ != 0) timers_.cancel(age_timer_);
  if (retry_timer_ != 0) timers_.cancel(retry_timer_);
}

void Flusher::set_committed(Lsn committed) {
  if (committed <= committed_) return;
  committed_ = committed;
  poke();
}

Lsn Flusher::limit() const { return engine::flush_limit(committed_, wal_.durable()); }

bool Flusher::due() const {
  const auto limit = this->limit();
  if (limit <= at_.lsn) return false;
  if (target_ > at_.lsn || aged_ > at_.lsn || wal_.short_of_space()) return true;
  // Records are of unlike size; their count times a block is near enough to say when a round pays.
  return (limit - at_.lsn) * block_bytes >= limits_.flush_bytes;
}

void Flusher::poke() {
  if (!waiting_.empty()) wake(waiting_);
  if (stopped_ || running_ || retry_timer_ != 0 || failure_) return;
  if (held_ && target_ <= at_.lsn) return;
  if (due()) return start_round(held_ ? std::min(limit(), target_) : limit());
  arm_age_timer();
}

void Flusher::arm_age_timer() {
  if (age_timer_ != 0 || wal_.end().lsn <= at_.lsn) return;
  aging_ = wal_.end().lsn;
  age_timer_ = timers_.after(limits_.flush_after, lifetime_.guard([this] {
    age_timer_ = 0;
    aged_ = aging_;
    poke();
  }));
}

void Flusher::start_round(Lsn to) {
  if (to <= at_.lsn) return;
  running_ = true;
  scope_.run(round(to), [this](Status status) { round_done(std::move(status)); });
}

Task<Status> Flusher::round(Lsn to) {
  auto records = co_await wal_.read(at_.lsn.next(), to, flush_round_bytes_max);
  if (!records) co_return records.error();
  keep_a_rounds_worth(*records);
  const auto& last = records->back()->header();
  ceiling_ = std::max(ceiling_, last.lsn);
  if (before_writing) before_writing(*records);
  const auto plan = engine::plan_flush(*records, extent_run_blocks_max);
  for (PlanPlace at; at.run < plan.size();) {
    auto written = co_await extents_.write(next_runs(plan, at));
    if (!written) co_return written.error();
  }
  const bool early = engine::planted(engine::Bug::checkpoint_before_sync);
  if (!early) {
    auto synced = co_await extents_.sync();
    if (!synced) co_return synced.error();
  }
  const CheckpointState next{last.lsn, last.digest, last.mono_time};
  auto recorded = co_await checkpointed_(next, *records);
  if (!recorded) co_return recorded.error();
  if (early) {
    auto synced = co_await extents_.sync();
    if (!synced) co_return synced.error();
  }
  at_ = next;
  for (const auto& record : *records) dirty_.flushed(record->header());
  ++rounds_;
  co_return Done{};
}

void Flusher::round_done(Status status) {
  running_ = false;
  if (!status && status.error().code == engine::Errc::no_space) {
    engine::sometimes(engine::Mark::flush_paused_for_space);
    pause(status.error());
  } else if (!status) {
    engine::sometimes(engine::Mark::flush_failed);
    failure_ = status.error();
    if (on_failed) on_failed(status.error());
  } else {
    problem_.clear();
  }
  if (on_progress) on_progress();
  poke();
}

// Space freed by others brings no message: tried again each second.
void Flusher::pause(const Error& error) {
  problem_ = "flush paused: " + error.text;
  retry_timer_ = timers_.after(full_disk_retry, lifetime_.guard([this] {
    retry_timer_ = 0;
    problem_.clear();
    target_ = std::max(target_, at_.lsn.next());
    poke();
  }));
}

Task<Status> Flusher::flush_to(Lsn target) {
  target_ = std::max(target_, target);
  while (at_.lsn < target) {
    if (failure_) co_return *failure_;
    if (!problem_.empty()) co_return Error{engine::Errc::no_space, problem_};
    poke();
    co_await callback<Done>([this](auto done) { waiting_.push_back(std::move(done)); });
  }
  co_return Done{};
}

Task<Status> Flusher::hold() {
  held_ = true;
  while (running_) {
    co_await callback<Done>([this](auto done) { waiting_.push_back(std::move(done)); });
  }
  if (failure_) co_return *failure_;
  co_return Done{};
}

void Flusher::release() {
  held_ = false;
  poke();
}

void Flusher::truncated(Lsn end) {
  CHECK(!running_);
  committed_ = std::min(committed_, end);
  aged_ = std::min(aged_, end);
  aging_ = std::min(aging_, end);
  target_ = std::min(target_, end);
  // What could have been flushed is not behind what was cut: nothing uncommitted ever was.
  ceiling_ = std::max(at_.lsn, std::min(ceiling_, end));
}

void Flusher::restart(CheckpointState at) {
  CHECK(!running_);
  stopped_ = false;  // a damaged store did not flush
  at_ = at;
  ceiling_ = at.lsn;
  committed_ = at.lsn;
  aged_ = aging_ = target_ = Lsn();
}

void Flusher::wake(std::vector<std::function<void(Done)>>& waiting) {
  auto all = std::move(waiting);
  waiting.clear();
  for (auto& each : all) each(Done{});
}

/// The next runs of a plan, as much as a round's bytes allow.
std::vector<ExtentRun> Flusher::next_runs(const std::vector<engine::FlushRun>& plan,
                                          PlanPlace& at) const {
  std::vector<ExtentRun> runs;
  for (std::uint64_t bytes = 0; at.run < plan.size() && bytes < flush_round_bytes_max;) {
    const auto& planned = plan[at.run];
    if (planned.kind == FlushKind::zeros) {
      const auto count = std::min(zero_piece_blocks, planned.range.count - at.blocks);
      runs.push_back(zeros_run({planned.range.first + at.blocks, count}));
      at.blocks += count;
      bytes += count * block_bytes;
    } else {
      runs.push_back(copied_run(planned));
      at.blocks = planned.range.count;
      if (planned.kind == FlushKind::data) bytes += planned.range.count * block_bytes;
    }
    if (at.blocks == planned.range.count) at = {at.run + 1, 0};
  }
  return runs;
}

ExtentRun Flusher::zeros_run(engine::BlockRange range) const {
  ExtentRun run{range, {engine::zeros(range.count * block_bytes)}, {}};
  for (std::uint64_t i = 0; i < range.count; ++i)
    run.sums.push_back(engine::zero_block_sum(key_, range.first + i));
  return run;
}

}  // namespace tidemark::storage
