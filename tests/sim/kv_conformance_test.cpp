// The simulated catalog against the one that daemons have: the same random commits, reads and restarts, and what is left
// when a process is killed amid commits.
#define BOOST_TEST_DYN_LINK
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "sim/kv.hpp"
#include "storage/rocks_kv.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using storage::KvBatch;
using storage::RocksKv;
using Pairs = std::map<std::string, std::string>;

namespace {

/// The loop that a catalog completes on.
class Loop {
 public:
  void post(std::function<void()> f) {
    const std::lock_guard guard(mutex_);
    queue_.push_back(std::move(f));
    posted_.notify_one();
  }
  void run_one() {
    std::unique_lock guard(mutex_);
    posted_.wait(guard, [this] { return !queue_.empty(); });
    const auto f = std::move(queue_.front());
    queue_.pop_front();
    guard.unlock();
    f();
  }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> queue_;
};

struct Folder {
  explicit Folder(const std::string& name)
      : path(std::filesystem::temp_directory_path() /
             fmt::format("tidemark-{}-{}", name, ::getpid())) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directory(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string db() const { return (path / "db").string(); }
  std::filesystem::path path;
};

std::unique_ptr<RocksKv> open_real(const Folder& folder, RocksKv::Mode mode, Loop& loop,
                                   rocksdb::Env* files = nullptr) {
  auto opened = RocksKv::open(
      folder.db(), mode, [&loop](auto f) { loop.post(std::move(f)); }, nullptr, files);
  BOOST_REQUIRE(opened.has_value());
  return std::move(opened).value();
}

/// The files of a database on a machine that may lose power: then files end somewhere between what was synced of them
/// and what was written, and names that were not are not there. Renames and removals are durable at once.
class LossyFiles final : public rocksdb::FileSystemWrapper {
 public:
  LossyFiles() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "LossyFiles"; }

  /// Nothing is written any more from here on.
  void power_goes() {
    const std::lock_guard guard(mutex_);
    off_ = true;
  }
  /// When nobody has the files open: what is left of them.
  void settle(Random& random) {
    for (const auto& [path, bytes] : files_) {
      if (!std::filesystem::exists(path)) continue;
      if (unnamed_.contains(path) && random.chance(1, 2)) {
        std::filesystem::remove(path);
      } else {
        std::filesystem::resize_file(path, random.between(bytes.synced, bytes.written));
      }
    }
  }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    if (off()) return rocksdb::IOStatus::IOError("no power");
    const auto status = FileSystemWrapper::NewWritableFile(path, options, file, debug);
    if (!status.ok()) return status;
    const std::lock_guard guard(mutex_);
    files_[path] = {};
    unnamed_.insert(path);
    *file = std::make_unique<Writer>(std::move(*file), *this, path);
    return status;
  }
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override {
    const auto status = FileSystemWrapper::NewDirectory(path, options, directory, debug);
    if (status.ok()) *directory = std::make_unique<Names>(std::move(*directory), *this);
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (off()) return rocksdb::IOStatus::IOError("no power");
    const std::lock_guard guard(mutex_);
    if (const auto found = files_.extract(from)) files_[to] = found.mapped();
    unnamed_.erase(from);
    return FileSystemWrapper::RenameFile(from, to, options, debug);
  }
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (off()) return rocksdb::IOStatus::IOError("no power");
    return FileSystemWrapper::DeleteFile(path, options, debug);
  }

 private:
  struct Bytes {
    std::uint64_t written = 0;
    std::uint64_t synced = 0;
  };
  class Writer final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    Writer(std::unique_ptr<rocksdb::FSWritableFile>&& file, LossyFiles& all, std::string path)
        : FSWritableFileOwnerWrapper(std::move(file)), all_(all), path_(std::move(path)) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      const std::lock_guard guard(all_.mutex_);
      if (all_.off_) return rocksdb::IOStatus::IOError("no power");
      all_.files_[path_].written += data.size();
      return target()->Append(data, options, debug);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo&,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
      const std::lock_guard guard(all_.mutex_);
      if (all_.off_) return rocksdb::IOStatus::IOError("no power");
      auto& bytes = all_.files_[path_];
      bytes.synced = bytes.written;
      return target()->Flush(options, debug);
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* debug) override {
      return Sync(options, debug);
    }

   private:
    LossyFiles& all_;
    std::string path_;
  };
  class Names final : public rocksdb::FSDirectoryWrapper {
   public:
    Names(std::unique_ptr<rocksdb::FSDirectory>&& directory, LossyFiles& all)
        : FSDirectoryWrapper(std::move(directory)), all_(all) {}
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
      const std::lock_guard guard(all_.mutex_);
      if (all_.off_) return rocksdb::IOStatus::IOError("no power");
      all_.unnamed_.clear();
      return rocksdb::IOStatus::OK();
    }
    rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options,
                                          rocksdb::IODebugContext* debug,
                                          const rocksdb::DirFsyncOptions&) override {
      return Fsync(options, debug);
    }

   private:
    LossyFiles& all_;
  };

  bool off() {
    const std::lock_guard guard(mutex_);
    return off_;
  }

  std::mutex mutex_;
  bool off_ = false;
  std::map<std::string, Bytes> files_;
  std::set<std::string> unnamed_;  ///< Their directory was not synced since they came.
};

/// Few keys, so that they are written over, removed and empty; some values are larger than a block of a table.
KvBatch draw_batch(Random& random) {
  KvBatch batch;
  for (auto left = random.between(0, 5); left > 0; --left) {
    const auto key = fmt::format("{}/{}", random.chance(1, 2) ? "node" : "volume", random.below(8));
    if (random.chance(1, 4)) {
      batch.remove(key);
    } else {
      const auto size = random.chance(1, 10) ? random.below(20'000) : random.below(40);
      batch.put(key, std::string(size, static_cast<char>('a' + random.below(26))));
    }
  }
  return batch;
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

Pairs all_of(const storage::Kv& kv) {
  Pairs pairs;
  for (auto& [key, value] : kv.scan("")) pairs.emplace(key, value);
  return pairs;
}

/// The simulated one, over lives.
struct Simulated {
  explicit Simulated(std::uint64_t seed) : random(seed) { boot(); }
  void boot() {
    life = std::make_shared<Life>();
    kv = std::make_unique<SimKv>(events, trace, random.fork(), image, life);
  }
  void kill() {
    life->alive = false;
    events.drop(*life);
    kv->process_ended();
  }
  void run() {
    while (!events.empty()) events.fire();
  }
  Random random;
  Trace trace;
  Events events{random, trace};
  KvImage image;
  LifePtr life;
  std::unique_ptr<SimKv> kv;
};

/// Which of the states that these batches lead through it is; the last one that fits.
std::optional<std::size_t> state_of(const Pairs& pairs, const std::vector<KvBatch>& batches) {
  std::optional<std::size_t> found;
  Pairs state;
  for (std::size_t i = 0;; ++i) {
    if (state == pairs) found = i;
    if (i == batches.size()) return found;
    apply(batches[i], state);
  }
}

/// Commits in a process of its own, which tells each that is done by a byte, and is killed after so many of them.
std::size_t commit_until_killed(const Folder& folder, const std::vector<KvBatch>& batches,
                                std::size_t until) {
  int ends[2];
  BOOST_REQUIRE(::pipe(ends) == 0);
  const auto child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    Loop loop;
    auto kv = RocksKv::open(folder.db(), RocksKv::create, [&](auto f) { loop.post(std::move(f)); });
    if (!kv) ::_exit(1);
    for (const auto& batch : batches) {
      (*kv)->commit(batch, [&](engine::Status s) {
        if (!s || ::write(ends[1], "k", 1) != 1) ::_exit(1);
      });
    }
    for (;;) loop.run_one();
  }
  ::close(ends[1]);
  std::size_t heard = 0;
  char byte = 0;
  while (heard < until && ::read(ends[0], &byte, 1) == 1) ++heard;
  ::kill(child, SIGKILL);
  while (::read(ends[0], &byte, 1) == 1) ++heard;
  ::close(ends[0]);
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_REQUIRE(WIFSIGNALED(status));
  return heard;
}

/// What stands in the database, as state_of() tells it. In a process of its own too: threads of RocksDB that this one had
/// would not be in those that it forks.
std::optional<std::size_t> state_left(const Folder& folder, const std::vector<KvBatch>& batches) {
  constexpr int none = 255;
  const auto child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    const auto read = storage::read_catalog(folder.db());
    const auto state = state_of(read ? *read : Pairs(), batches);
    ::_exit(state ? static_cast<int>(*state) : none);
  }
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_REQUIRE(WIFEXITED(status));
  const auto code = WEXITSTATUS(status);
  return code == none ? std::nullopt : std::optional(static_cast<std::size_t>(code));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kv_conformance)

// Before this process has threads of RocksDB.
BOOST_AUTO_TEST_CASE(a_kill_leaves_what_was_done_and_a_beginning_of_the_rest_in_both) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Random random(seed);
    std::vector<KvBatch> batches;
    for (int i = 0; i < 60; ++i) {
      batches.push_back(draw_batch(random));
      batches.back().put("count", std::to_string(i));  // No two states are equal.
    }
    const auto until = static_cast<std::size_t>(random.below(50));

    Folder folder("kv-killed");
    const auto told = commit_until_killed(folder, batches, until);
    const auto real = state_left(folder, batches);
    BOOST_REQUIRE(real.has_value());
    BOOST_TEST(*real >= told);

    Simulated simulated(seed);
    std::size_t done = 0;
    for (const auto& batch : batches) simulated.kv->commit(batch, [&done](auto) { ++done; });
    while (done < until) simulated.events.fire();
    simulated.kill();
    simulated.boot();
    const auto model = state_of(all_of(*simulated.kv), batches);
    BOOST_REQUIRE(model.has_value());
    BOOST_TEST(*model >= done);
  }
}

BOOST_AUTO_TEST_CASE(both_answer_the_same_whatever_is_committed_read_and_reopened) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Folder folder("kv");
    Loop loop;
    auto real = open_real(folder, RocksKv::create, loop);
    Simulated simulated(seed);
    Random random(seed);
    for (int step = 0; step < 150; ++step) {
      // Several at once: they are completed in the order of the calls, and seen by then and not before.
      std::vector<std::size_t> order[2];
      const auto before = all_of(*real);
      const auto count = static_cast<std::size_t>(random.between(1, 4));
      for (std::size_t i = 0; i < count; ++i) {
        const auto batch = draw_batch(random);
        real->commit(batch, [&order, i](engine::Status s) {
          if (s) order[0].push_back(i);
        });
        simulated.kv->commit(batch, [&order, i](engine::Status s) {
          if (s) order[1].push_back(i);
        });
      }
      BOOST_TEST((all_of(*real) == before));
      BOOST_TEST((all_of(*simulated.kv) == before));
      while (order[0].size() < count) loop.run_one();
      simulated.run();
      BOOST_TEST(order[0] == order[1], boost::test_tools::per_element());
      BOOST_REQUIRE((all_of(*real) == all_of(*simulated.kv)));
      for (const auto* prefix : {"", "node/", "volume/1", "nothing"})
        BOOST_TEST((real->scan(prefix) == simulated.kv->scan(prefix)), prefix);
      const auto key = fmt::format("node/{}", random.below(9));
      BOOST_TEST((real->get(key) == simulated.kv->get(key)));
      if (!random.chance(1, 8)) continue;
      real.reset();
      real = open_real(folder, RocksKv::existing, loop);
      simulated.kill();
      simulated.boot();
      BOOST_REQUIRE((all_of(*real) == all_of(*simulated.kv)));
    }
  }
}

BOOST_AUTO_TEST_CASE(power_takes_nothing_that_was_done_and_leaves_no_gap_in_the_rest) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    Folder folder("kv-power");
    std::vector<KvBatch> batches;
    for (int i = 0; i < 120; ++i) {
      batches.push_back(draw_batch(random));
      batches.back().put("count", std::to_string(i));
    }
    const auto files = std::make_shared<LossyFiles>();
    const auto env = rocksdb::NewCompositeEnv(files);
    std::size_t told = 0;
    {
      Loop loop;
      const auto real = open_real(folder, RocksKv::create, loop, env.get());
      bool off = false;
      for (const auto& batch : batches) {
        real->commit(batch, [&](engine::Status s) {
          if (s && !off) ++told;
        });
      }
      const auto until = 1 + random.below(100);
      while (told < until) loop.run_one();
      files->power_goes();
      off = true;
    }
    files->settle(random);
    Loop loop;
    const auto left = open_real(folder, RocksKv::existing, loop);
    const auto state = state_of(all_of(*left), batches);
    BOOST_REQUIRE(state.has_value());
    BOOST_TEST(*state >= told);
  }
}

BOOST_AUTO_TEST_SUITE_END()
