#include "storage/rocks_kv.hpp"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace tidemark::storage {

using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Status;

namespace {

rocksdb::Options options_of(RocksKv::Mode mode) {
  rocksdb::Options options;
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
  Impl(std::string directory, std::unique_ptr<rocksdb::DB> db, Post post)
      : directory_(std::move(directory)), db_(std::move(db)), post_(std::move(post)) {}

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
    db_->Close();
  }

  void commit(KvBatch batch, OnStatus done) {
    {
      std::lock_guard guard(mutex_);
      queue_.push_back({std::move(batch), std::move(done)});
    }
    wake_.notify_one();
  }

  Pairs pairs_;

 private:
  struct Job {
    KvBatch batch;
    OnStatus done;
  };

  void work() {
    for (;;) {
      std::unique_lock guard(mutex_);
      wake_.wait(guard, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Job job = std::move(queue_.front());
      queue_.pop_front();
      guard.unlock();
      auto status = write(job.batch);
      // The owner may be gone when the loop comes to it; then nobody is told.
      post_([weak = weak_from_this(), job = std::move(job), status = std::move(status)] {
        if (const auto self = weak.lock()) self->finish(job, status);
      });
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
    const auto status = db_->Write(synced, &writes);
    if (!status.ok()) return failed("writing", directory_, status);
    return Done{};
  }

  void finish(const Job& job, const Status& status) {
    if (status) {
      for (const auto& [key, value] : job.batch.changes) {
        if (value) {
          pairs_[key] = *value;
        } else {
          pairs_.erase(key);
        }
      }
    }
    if (job.done) job.done(status);
  }

  std::string directory_;
  std::unique_ptr<rocksdb::DB> db_;
  Post post_;
  std::thread worker_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  bool stopping_ = false;
};

RocksKv::RocksKv(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

RocksKv::~RocksKv() { impl_->stop(); }

engine::Result<std::unique_ptr<RocksKv>> RocksKv::open(const std::string& directory, Mode mode,
                                                       Post post) {
  if (mode == existing && !is_there(directory)) return no_catalog(directory);
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(options_of(mode), directory, &db);
  if (!status.ok()) return failed("opening", directory, status);
  auto impl = std::make_shared<Impl>(directory, std::unique_ptr<rocksdb::DB>(db), std::move(post));
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

engine::Result<Pairs> read_catalog(const std::string& directory) {
  if (!is_there(directory)) return no_catalog(directory);
  auto options = options_of(RocksKv::existing);
  options.info_log = std::make_shared<SilentLog>();
  rocksdb::DB* opened = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(options, directory, &opened);
  if (!status.ok()) return failed("reading", directory, status);
  const std::unique_ptr<rocksdb::DB> db(opened);
  return all_of(*db, directory);
}

}  // namespace tidemark::storage
