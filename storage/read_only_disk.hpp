// A Disk for whoever must not change a thing: files are opened for reading alone, and whatever would
// change something is refused. For tools, not daemons: one thread, and it blocks.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "engine/check.hpp"
#include "engine/timer.hpp"
#include "storage/disk.hpp"
#include "storage/task.hpp"

namespace tidemark::storage {

class ReadOnlyDisk final : public Disk, public engine::Timers {
 public:
  /// Runs a task to its end.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> value;
    Scope scope;
    scope.run(std::move(task), [&value](T v) { value.emplace(std::move(v)); });
    while (!value) CHECK(step());  // else it would wait for ever
    return std::move(*value);
  }

  /// The lock is a shared one: readers do not hinder each other.
  void open(const std::string& path, OpenOptions options, OnOpen done) override;
  void read(const FilePtr& file, std::uint64_t offset, std::size_t bytes, OnRead done) override;
  void list(const std::string& path,
            std::function<void(engine::Result<std::vector<std::string>>)> done) override;
  engine::Result<std::uint64_t> size(const FilePtr& file) override;
  engine::Result<SpaceInfo> space(const std::string& directory) override;

  // Errc::refused.
  void write(const FilePtr& file, std::uint64_t offset, std::vector<engine::Slice> data,
             OnStatus done) override;
  void sync(const FilePtr& file, OnStatus done) override;
  void punch(const FilePtr& file, std::uint64_t offset, std::uint64_t bytes,
             OnStatus done) override;
  void resize(const FilePtr& file, std::uint64_t bytes, OnStatus done) override;
  void rename(const std::string& from, const std::string& to, OnStatus done) override;
  void remove(const std::string& path, OnStatus done) override;
  void make_directory(const std::string& path, OnStatus done) override;
  void sync_directory(const std::string& path, OnStatus done) override;

  engine::TimerId after(std::uint64_t delay, std::function<void()> due) override;
  void cancel(engine::TimerId id) override;

 private:
  /// Completes one operation, or sleeps until a timer is due; false when there is nothing.
  bool step();
  void refuse(const char* what, const std::string& path, OnStatus done);

  std::deque<std::function<void()>> queue_;
  std::map<std::pair<std::uint64_t, engine::TimerId>, std::function<void()>> due_;
  engine::TimerId last_timer_ = 0;
};

}  // namespace tidemark::storage
