#include "storage/rocks_kv.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>
#include <stdio.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::storage {

using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Status;

namespace {

rocksdb::Options options_of(RocksKv::Mode mode, rocksdb::Env* files) {
  rocksdb::Options options;
  if (files != nullptr) options.env = files;
  options.create_if_missing = mode == RocksKv::create;
  options.error_if_exists = mode == RocksKv::create;
  options.max_bgerror_resume_count = 0;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  options.paranoid_checks = true;
  options.write_buffer_size = 4 << 20;  // all but touched indexes is far smaller
  options.max_background_jobs = 1;
  options.max_open_files = 64;
  options.keep_log_file_num = 2;
  options.max_manifest_file_size = 1 << 20;
  options.stats_dump_period_sec = 0;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  return options;
}

Error failed(const std::string& what, const std::string& directory, const rocksdb::Status& status) {
  auto code = Errc::io_failed;
  if (status.IsCorruption()) code = Errc::corrupt;
  if (status.IsNoSpace()) code = Errc::no_space;
  return Error{code, fmt::format("{} the catalog {}: {}", what, directory, status.ToString())};
}

Error no_catalog(const std::string& directory) {
  return {Errc::not_found, fmt::format("there is no catalog in {}: its disk is not mounted, "
                                       "or somebody removed it. Nothing was changed",
                                       directory)};
}

bool is_there(const std::string& directory) {
  std::error_code ignored;
  return std::filesystem::exists(directory + "/CURRENT", ignored);
}

using Pairs = std::map<std::string, std::string>;
engine::Result<Pairs> all_of(rocksdb::DB& db, const std::string& directory) {
  Pairs pairs;
  const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(rocksdb::ReadOptions()));
  for (it->SeekToFirst(); it->Valid(); it->Next())
    pairs.emplace(it->key().ToString(), it->value().ToString());
  if (!it->status().ok()) return failed("reading", directory, it->status());
  return pairs;
}

void apply(const KvBatch& batch, Pairs& pairs) {
  for (const auto& [key, value] : batch.changes) {
    if (value) {
      pairs[key] = *value;
    } else {
      pairs.erase(key);
    }
  }
}

/// Size of all its files, which the page cache has forgotten: a reader comes to the disk.
std::uint64_t forget_cached(const std::string& directory) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
    bytes += entry.file_size(ignored);
  }
  return bytes;
}

std::string how_they_differ(const Pairs& memory, const Pairs& disk) {
  for (const auto& [key, value] : memory) {
    const auto found = disk.find(key);
    if (found == disk.end()) return fmt::format("{} is not there", key);
    if (found->second != value) return fmt::format("{} has another value", key);
  }
  return disk.size() == memory.size() ? "" : "it has what was removed";
}

Status sync_folder(const std::string& path) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && ::fsync(folder) == 0;
  if (folder >= 0) ::close(folder);
  if (!synced) return Error{Errc::io_failed, fmt::format("sync of the directory {}", path)};
  return Done{};
}

Status exchange_names(const std::string& a, const std::string& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) != 0)
    return Error{Errc::io_failed, fmt::format("{} and {} could not be swapped", a, b)};
  return sync_folder(std::filesystem::path(b).parent_path().string());
}

/// Says nothing: else even a reader would begin a log file.
class SilentLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

}  // namespace

// Map and queue are touched on the loop, the database on the worker;
// the queue's lock is all that they share.
class RocksKv::Impl : public std::enable_shared_from_this<RocksKv::Impl> {
 public:
  Impl(std::string directory, std::unique_ptr<rocksdb::DB> db, Post post, Exchange exchange,
       rocksdb::Env* files)
      : directory_(std::move(directory)),
        db_(std::move(db)),
        post_(std::move(post)),
        exchange_(exchange ? std::move(exchange) : exchange_names),
        files_(files) {}

  Status load() {
    auto pairs = all_of(*db_, directory_);
    if (!pairs) return pairs.error();
    pairs_ = std::move(*pairs);
    return Done{};
  }

  void start() {
    worker_ = std::thread([this] { work(); });
  }

  void stop() {
    {
      std::lock_guard guard(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (worker_.joinable()) worker_.join();
    if (db_) db_->Close();
  }

  void commit(KvBatch batch, OnStatus done) {
    push({Work::commit, std::move(batch), std::move(done), {}, {}});
  }

  /// One at a time: whoever asks meanwhile is told what the one under way finds.
  void check(OnCheck done) {
    checkers_.push_back(std::move(done));
    if (checkers_.size() == 1) push({Work::check, {}, {}, {}, {}});
  }

  Pairs pairs_;

 private:
  enum class Work { commit, check, rewrite, forget };
  struct Job {
    Work work = Work::commit;
    KvBatch batch;
    OnStatus done;
    OnCheck checked;
    Pairs anew;  ///< What a rewrite begins with.
  };

  void push(Job job) {
    {
      std::lock_guard guard(mutex_);
      queue_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

  void work() {
    for (;;) {
      std::unique_lock guard(mutex_);
      wake_.wait(guard, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Job job = std::move(queue_.front());
      queue_.pop_front();
      guard.unlock();
      perform(std::move(job));
    }
  }

  /// The owner may be gone when the loop comes to what is posted; then nobody is told.
  void perform(Job job) {
    switch (job.work) {
      case Work::commit: {
        auto status = write(job.batch);
        if (status && since_) since_->push_back(job.batch);
        return post_([weak = weak_from_this(), job = std::move(job), status = std::move(status)] {
          if (const auto self = weak.lock()) self->finish(job, status);
        });
      }
      case Work::check:
        since_.emplace();
        return post_([weak = weak_from_this(), read = reread()] {
          if (const auto self = weak.lock()) self->compare(read);
        });
      case Work::rewrite: {
        CHECK(since_.has_value());
        for (const auto& batch : *since_) apply(batch, job.anew);
        since_.reset();
        return post_(
            [weak = weak_from_this(), done = std::move(job.checked), status = rewrite(job.anew)] {
              const auto self = weak.lock();
              if (!self) return;
              if (!status) return done(status.error());
              done(KvCheck());
            });
      }
      case Work::forget:
        since_.reset();
        return;
    }
  }

  Status write(const KvBatch& batch) {
    rocksdb::WriteBatch writes;
    for (const auto& [key, value] : batch.changes) {
      if (value) {
        writes.Put(key, *value);
      } else {
        writes.Delete(key);
      }
    }
    rocksdb::WriteOptions synced;
    synced.sync = true;
    if (dead_ || !db_)
      return Error{Errc::io_failed, fmt::format("the catalog {} failed before", directory_)};
    const auto status = db_->Write(synced, &writes);
    if (status.ok()) return Done{};
    dead_ = true;
    return failed("writing", directory_, status);
  }

  void finish(const Job& job, const Status& status) {
    if (status) apply(job.batch, pairs_);
    if (job.done) job.done(status);
  }

  // --- check: worker reads, loop compares, worker writes anew ------------------------------------

  struct Read {
    std::uint64_t bytes = 0;
    engine::Result<Pairs> pairs = Pairs();
  };

  /// As a restart would find it.
  Read reread() {
    if (!db_) return {0, Error{Errc::io_failed, fmt::format("the catalog {} is gone", directory_)}};
    db_->PauseBackgroundWork();
    Read read;
    read.bytes = forget_cached(directory_);
    read.pairs = read_catalog(directory_);
    db_->ContinueBackgroundWork();
    return read;
  }

  /// What was committed before the check is in pairs_, what was committed behind it is not.
  void compare(const Read& read) {
    const auto damage = read.pairs ? how_they_differ(pairs_, *read.pairs) : read.pairs.error().text;
    if (damage.empty()) {
      push({Work::forget, {}, {}, {}, {}});
      return tell_checkers(KvCheck{read.bytes, {}});
    }
    // Called by the loop while this is there.
    const auto found = [this, damage, bytes = read.bytes](engine::Result<KvCheck> check) {
      if (!check) return tell_checkers(check.error());
      tell_checkers(KvCheck{bytes, damage});
    };
    push({Work::rewrite, {}, {}, found, pairs_});
  }

  void tell_checkers(const engine::Result<KvCheck>& result) {
    for (const auto& done : std::exchange(checkers_, {})) done(result);
  }

  /// A new database beside the old one takes its place in one step: a crash leaves the one or the other.
  /// Where the step fails nobody knows which: nothing may be built on either.
  Status rewrite(const Pairs& pairs) {
    if (dead_ || !db_)
      return Error{Errc::io_failed, fmt::format("the catalog {} failed before", directory_)};
    const auto beside = directory_ + ".new";
    std::error_code ignored;
    std::filesystem::remove_all(beside, ignored);
    auto made = fill(beside, pairs, files_);
    if (!made) return made;
    db_->Close();
    db_.reset();
    dead_ = true;
    auto swapped = exchange_(beside, directory_);
    if (!swapped) return swapped;
    rocksdb::DB* opened = nullptr;
    const auto status = rocksdb::DB::Open(options_of(existing, files_), directory_, &opened);
    if (!status.ok()) return failed("opening", directory_, status);
    db_.reset(opened);
    dead_ = false;
    std::filesystem::remove_all(beside, ignored);
    return Done{};
  }

  static Status fill(const std::string& directory, const Pairs& pairs, rocksdb::Env* files) {
    rocksdb::DB* opened = nullptr;
    auto status = rocksdb::DB::Open(options_of(create, files), directory, &opened);
    if (!status.ok()) return failed("making", directory, status);
    const std::unique_ptr<rocksdb::DB> db(opened);
    rocksdb::WriteBatch writes;
    for (const auto& [key, value] : pairs) writes.Put(key, value);
    rocksdb::WriteOptions synced;
    synced.sync = true;
    status = db->Write(synced, &writes);
    if (status.ok()) status = db->Close();
    if (!status.ok()) return failed("writing", directory, status);
    return sync_folder(directory);
  }

  std::string directory_;
  std::unique_ptr<rocksdb::DB> db_;
  Post post_;
  Exchange exchange_;
  rocksdb::Env* files_;
  std::thread worker_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  bool stopping_ = false;
  // Of the worker alone.
  bool dead_ = false;  ///< A write failed, or a replacement: nothing is built on what is there.
  std::vector<OnCheck> checkers_;              ///< Of the loop: who waits for the check under way.
  std::optional<std::vector<KvBatch>> since_;  ///< What was committed since a check read all.
};

RocksKv::RocksKv(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

RocksKv::~RocksKv() { impl_->stop(); }

engine::Result<std::unique_ptr<RocksKv>> RocksKv::open(const std::string& directory, Mode mode,
                                                       Post post, Exchange exchange,
                                                       rocksdb::Env* files) {
  if (mode == existing && !is_there(directory)) return no_catalog(directory);
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(options_of(mode, files), directory, &db);
  if (!status.ok()) return failed("opening", directory, status);
  auto impl = std::make_shared<Impl>(directory, std::unique_ptr<rocksdb::DB>(db), std::move(post),
                                     std::move(exchange), files);
  if (auto loaded = impl->load(); !loaded) return loaded.error();
  impl->start();
  return std::unique_ptr<RocksKv>(new RocksKv(std::move(impl)));
}

std::optional<std::string> RocksKv::get(const std::string& key) const {
  const auto found = impl_->pairs_.find(key);
  if (found == impl_->pairs_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::pair<std::string, std::string>> RocksKv::scan(const std::string& prefix) const {
  std::vector<std::pair<std::string, std::string>> found;
  for (auto it = impl_->pairs_.lower_bound(prefix);
       it != impl_->pairs_.end() && it->first.starts_with(prefix); ++it)
    found.push_back(*it);
  return found;
}

void RocksKv::commit(KvBatch batch, OnStatus done) {
  impl_->commit(std::move(batch), std::move(done));
}

void RocksKv::check(OnCheck done) { impl_->check(std::move(done)); }

engine::Result<Pairs> read_catalog(const std::string& directory) {
  if (!is_there(directory)) return no_catalog(directory);
  auto options = options_of(RocksKv::existing, nullptr);
  options.info_log = std::make_shared<SilentLog>();
  rocksdb::DB* opened = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(options, directory, &opened);
  if (!status.ok()) return failed("reading", directory, status);
  const std::unique_ptr<rocksdb::DB> db(opened);
  return all_of(*db, directory);
}

}  // namespace tidemark::storage
