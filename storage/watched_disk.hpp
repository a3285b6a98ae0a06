// A disk that is told on when it takes an operation and does not complete it.
//
//     submitted in tick:   3  4  5  6          one cell per tick, a count of what is under way each
//     under way:           1  0  2  1
//     oldest: 3 ticks      ▲
//
// No clock and no list: an operation's age is known to a tick, which is what a judgement about seconds
// needs. The timer runs only while something is under way.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "engine/timer.hpp"
#include "storage/disk.hpp"

namespace tidemark::storage {

/// How long an operation may take. Both are far beyond a slow disk's and a full queue's: what takes
/// two seconds is an error that the device still works on, or a path that is gone.
struct StuckLimits {
  /// Said to be stuck. As long as a replica may stay without durable progress before it is left out:
  /// the reason is there when that happens.
  std::uint64_t degraded_after = 2 * engine::second;
  /// Given up. Linux ends a command of a SCSI disk after 30 s and then resets its way there: what has
  /// not come back by then is worth less than a replica that catches up after a restart.
  std::uint64_t eject_after = 30 * engine::second;
};

class WatchedDisk final : public Disk {
 public:
  WatchedDisk(Disk& disk, engine::Timers& timers, StuckLimits limits);
  ~WatchedDisk() override;
  WatchedDisk(const WatchedDisk&) = delete;
  WatchedDisk& operator=(const WatchedDisk&) = delete;

  /// Nanoseconds that the oldest operation under way has taken, once beyond degraded_after; else 0.
  std::uint64_t stuck_for() const;
  bool ejected() const { return ejected_; }
  /// Something has taken degraded_after; and nothing takes so long any more. In turn.
  std::function<void(std::uint64_t stuck_for)> on_stuck;
  std::function<void()> on_recovered;
  /// Once: something has taken eject_after.
  std::function<void(std::uint64_t stuck_for)> on_ejected;

  void open(const std::string& path, OpenOptions options, OnOpen done) override;
  void write(const FilePtr& file, std::uint64_t offset, std::vector<engine::Slice> data,
             OnStatus done) override;
  void read(const FilePtr& file, std::uint64_t offset, std::size_t bytes, OnRead done) override;
  void sync(const FilePtr& file, OnStatus done) override;
  void punch(const FilePtr& file, std::uint64_t offset, std::uint64_t bytes,
             OnStatus done) override;
  void resize(const FilePtr& file, std::uint64_t bytes, OnStatus done) override;
  void rename(const std::string& from, const std::string& to, OnStatus done) override;
  void remove(const std::string& path, OnStatus done) override;
  void make_directory(const std::string& path, OnStatus done) override;
  void sync_directory(const std::string& path, OnStatus done) override;
  void list(const std::string& path,
            std::function<void(engine::Result<std::vector<std::string>>)> done) override;
  engine::Result<std::uint64_t> size(const FilePtr& file) override { return disk_.size(file); }
  engine::Result<SpaceInfo> space(const std::string& directory) override {
    return disk_.space(directory);
  }

 private:
  /// Outlives the store with the operations that hold it.
  struct Watch {
    std::deque<std::uint32_t> cells{0};  ///< The last one is of the tick that runs.
    std::uint64_t first = 0;             ///< Number of the first cell.
    WatchedDisk* owner = nullptr;        ///< Null once that is gone.

    bool idle() const { return cells.size() == 1 && cells.front() == 0; }
    void completed(std::uint64_t cell);
  };

  template <class Answer>
  std::function<void(Answer)> watched(std::function<void(Answer)> done);
  void arm();
  void tick();
  void judge();
  std::uint64_t oldest() const;

  Disk& disk_;
  engine::Timers& timers_;
  StuckLimits limits_;
  std::uint64_t tick_length_;
  std::shared_ptr<Watch> watch_ = std::make_shared<Watch>();
  engine::TimerId timer_ = 0;
  bool stuck_ = false;
  bool ejected_ = false;
};

}  // namespace tidemark::storage
