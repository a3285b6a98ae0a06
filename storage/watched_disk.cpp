#include "storage/watched_disk.hpp"

#include <algorithm>
#include <utility>

#include "engine/check.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::storage {
namespace {

// A quarter of the shorter limit: an operation is judged at most that much late.
std::uint64_t tick_of(const StuckLimits& limits) {
  return std::max<std::uint64_t>(limits.degraded_after / 4, 1);
}

}  // namespace

WatchedDisk::WatchedDisk(Disk& disk, engine::Timers& timers, StuckLimits limits)
    : disk_(disk), timers_(timers), limits_(limits), tick_length_(tick_of(limits)) {
  CHECK(limits.degraded_after > 0 && limits.degraded_after <= limits.eject_after);
  watch_->owner = this;
}

WatchedDisk::~WatchedDisk() {
  watch_->owner = nullptr;
  timers_.cancel(timer_);
}

void WatchedDisk::Watch::completed(std::uint64_t cell) {
  CHECK(cell >= first && cell - first < cells.size() && cells[cell - first] > 0);
  --cells[cell - first];
  while (cells.size() > 1 && cells.front() == 0) {
    cells.pop_front();
    ++first;
  }
  if (owner != nullptr && owner->stuck_) owner->judge();
}

// The count first: what `done` submits is judged for itself.
template <class Answer>
std::function<void(Answer)> WatchedDisk::watched(std::function<void(Answer)> done) {
  ++watch_->cells.back();
  if (timer_ == 0) arm();
  const auto cell = watch_->first + watch_->cells.size() - 1;
  return [watch = watch_, cell, done = std::move(done)](Answer answer) {
    watch->completed(cell);
    done(std::move(answer));
  };
}

void WatchedDisk::arm() {
  timer_ = timers_.after(tick_length_, [this] { tick(); });
}

void WatchedDisk::tick() {
  timer_ = 0;
  if (watch_->idle()) return;
  auto& cells = watch_->cells;
  cells.push_back(0);
  while (cells.size() > 1 && cells.front() == 0) {
    cells.pop_front();
    ++watch_->first;
  }
  arm();
  judge();
}

// Whole ticks that went by since the one in which it was submitted: never more than its age.
std::uint64_t WatchedDisk::oldest() const {
  const auto& cells = watch_->cells;
  return cells.size() < 2 ? 0 : (cells.size() - 2) * tick_length_;
}

std::uint64_t WatchedDisk::stuck_for() const { return stuck_ ? oldest() : 0; }

void WatchedDisk::judge() {
  const auto age = oldest();
  const bool now = age >= limits_.degraded_after;
  if (now != std::exchange(stuck_, now)) {
    if (engine::sometimes(now, engine::Mark::disk_stuck) && on_stuck) on_stuck(age);
    if (engine::sometimes(!now, engine::Mark::disk_unstuck) && on_recovered) on_recovered();
  }
  if (age < limits_.eject_after || std::exchange(ejected_, true)) return;
  if (on_ejected) on_ejected(age);
}

void WatchedDisk::open(const std::string& path, OpenOptions options, OnOpen done) {
  disk_.open(path, options, watched(std::move(done)));
}

void WatchedDisk::write(const FilePtr& file, std::uint64_t offset, std::vector<engine::Slice> data,
                        OnStatus done) {
  disk_.write(file, offset, std::move(data), watched(std::move(done)));
}

void WatchedDisk::read(const FilePtr& file, std::uint64_t offset, std::size_t bytes, OnRead done) {
  disk_.read(file, offset, bytes, watched(std::move(done)));
}

void WatchedDisk::sync(const FilePtr& file, OnStatus done) {
  disk_.sync(file, watched(std::move(done)));
}

void WatchedDisk::punch(const FilePtr& file, std::uint64_t offset, std::uint64_t bytes,
                        OnStatus done) {
  disk_.punch(file, offset, bytes, watched(std::move(done)));
}

void WatchedDisk::resize(const FilePtr& file, std::uint64_t bytes, OnStatus done) {
  disk_.resize(file, bytes, watched(std::move(done)));
}

void WatchedDisk::rename(const std::string& from, const std::string& to, OnStatus done) {
  disk_.rename(from, to, watched(std::move(done)));
}

void WatchedDisk::remove(const std::string& path, OnStatus done) {
  disk_.remove(path, watched(std::move(done)));
}

void WatchedDisk::make_directory(const std::string& path, OnStatus done) {
  disk_.make_directory(path, watched(std::move(done)));
}

void WatchedDisk::sync_directory(const std::string& path, OnStatus done) {
  disk_.sync_directory(path, watched(std::move(done)));
}

void WatchedDisk::list(const std::string& path,
                       std::function<void(engine::Result<std::vector<std::string>>)> done) {
  disk_.list(path, watched(std::move(done)));
}

}  // namespace tidemark::storage
