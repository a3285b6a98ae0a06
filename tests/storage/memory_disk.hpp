// A disk in memory whose operations complete one by one when told, and that can lose
// power in between: what was not durable is then lost, kept or torn by a seed. And timers
// that run when told.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/timer.hpp"
#include "storage/disk.hpp"

namespace tidemark::tests {

/// splitmix64.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    auto z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) { return next() % n; }

 private:
  std::uint64_t state_;
};

/// What a file holds: as readers see it, and as it stands if power goes now.
struct MemoryFile {
  struct Change {
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes;
  };
  std::vector<std::byte> seen;
  std::vector<std::byte> durable;
  std::vector<Change> unsynced;
  std::vector<bool> held;  ///< Pages that take space.
  bool locked = false;
};
using MemoryFiles = std::map<std::string, std::shared_ptr<MemoryFile>>;  ///< Directories: null.

/// A name that came, went or changed since its directory was synced.
struct MemoryNameChange {
  std::string from;  ///< That goes; empty: none.
  std::string to;    ///< That comes; empty: none.
  std::shared_ptr<MemoryFile> file;
  std::string directory() const {
    const auto& name = to.empty() ? from : to;
    return name.substr(0, name.rfind('/'));
  }
  void apply(MemoryFiles& files) const {
    if (!from.empty()) files.erase(from);
    if (!to.empty()) files[to] = file;
  }
};

class MemoryDisk final : public storage::Disk {
 public:
  explicit MemoryDisk(MemoryFiles files);
  ~MemoryDisk() override;

  /// Completes the oldest operation; false when there is none.
  bool step();
  /// Completes everything, also what follows from it.
  void settle() {
    while (step()) {
    }
  }
  /// Something else that completes in its turn among the operations.
  void later(std::function<void()> complete) {
    queue_.push_back({std::move(complete), nullptr, {}});
  }
  std::size_t in_flight() const { return queue_.size(); }

  enum class Loss { power, process };
  /// The files as a crash now would leave them. The process's crash keeps what completed.
  MemoryFiles crash(Loss loss, Dice& dice) const;
  MemoryFiles& files() { return files_; }
  std::uint64_t used_bytes() const;

  std::uint64_t capacity_bytes = ~std::uint64_t{0};
  /// Called with each file that is to be created; an error makes it fail.
  std::function<engine::Status(const std::string& path)> on_create;
  /// Called with each write before it is queued; an error makes it fail.
  std::function<engine::Status(const std::string& path, std::uint64_t offset)> on_write;
  /// Called with each read; an error makes it fail.
  std::function<engine::Status(const std::string& path, std::uint64_t offset, std::size_t bytes)>
      on_read;
  /// Called with each sync of a file or a directory.
  std::function<engine::Status(const std::string& path)> on_sync;
  std::uint64_t writes = 0;
  std::uint64_t bytes_read = 0;
  std::set<std::string> paths_opened;    ///< Whatever was, by its path.
  std::set<std::string> paths_buffered;  ///< Those that were opened without O_DIRECT.

  void open(const std::string& path, storage::OpenOptions options, OnOpen done) override;
  void write(const storage::FilePtr& file, std::uint64_t offset, std::vector<engine::Slice> data,
             OnStatus done) override;
  void read(const storage::FilePtr& file, std::uint64_t offset, std::size_t bytes,
            OnRead done) override;
  void sync(const storage::FilePtr& file, OnStatus done) override;
  void punch(const storage::FilePtr& file, std::uint64_t offset, std::uint64_t bytes,
             OnStatus done) override;
  void resize(const storage::FilePtr& file, std::uint64_t bytes, OnStatus done) override;
  void rename(const std::string& from, const std::string& to, OnStatus done) override;
  void remove(const std::string& path, OnStatus done) override;
  void make_directory(const std::string& path, OnStatus done) override;
  void sync_directory(const std::string& path, OnStatus done) override;
  void list(const std::string& path,
            std::function<void(engine::Result<std::vector<std::string>>)> done) override;
  engine::Result<std::uint64_t> size(const storage::FilePtr& file) override;
  engine::Result<storage::SpaceInfo> space(const std::string& directory) override;

 private:
  struct Opened;
  struct Operation {
    std::function<void()> complete;
    std::shared_ptr<MemoryFile> written;  ///< A write in flight.
    MemoryFile::Change change;
  };
  static void put(std::vector<std::byte>& bytes, const MemoryFile::Change& change);
  static void put_torn(std::vector<std::byte>& bytes, const MemoryFile::Change& change, Dice& dice);
  engine::Status hold(MemoryFile& file, std::uint64_t offset, std::uint64_t bytes);
  engine::Status land(MemoryFile& file, MemoryFile::Change change, bool dsync);

  void change_name(MemoryNameChange change);
  MemoryFiles names_after_power_loss(Dice& dice) const;

  MemoryFiles files_;
  MemoryFiles durable_names_;
  std::vector<MemoryNameChange> unsynced_names_;  ///< In order, as a journal has them.
  std::deque<Operation> queue_;
};

class ManualTimers final : public engine::Timers {
 public:
  engine::TimerId after(std::uint64_t delay, std::function<void()> due) override {
    due_.emplace(std::pair(now_ + delay, ++last_), std::move(due));
    return last_;
  }
  void cancel(engine::TimerId id) override {
    std::erase_if(due_, [id](const auto& t) { return t.first.second == id; });
  }
  /// Moves time on and runs what has become due, in order.
  std::uint64_t now() const { return now_; }
  void advance(std::uint64_t nanoseconds) {
    now_ += nanoseconds;
    while (!due_.empty() && due_.begin()->first.first <= now_) {
      auto due = std::move(due_.begin()->second);
      due_.erase(due_.begin());
      due();
    }
  }

  std::size_t armed() const { return due_.size(); }

 private:
  std::uint64_t now_ = 0;
  engine::TimerId last_ = 0;
  std::map<std::pair<std::uint64_t, engine::TimerId>, std::function<void()>> due_;
};

}  // namespace tidemark::tests
