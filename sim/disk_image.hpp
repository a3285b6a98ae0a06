// The bytes of a node's disk, as they survive its processes: what the page cache shows, what the
// platter has, and what lies between the two.
//
//   current   what a read returns                    (survives a killed process)
//   durable   what a power loss leaves for certain
//   unsynced  completed changes in between: each is kept, lost or torn by the seed
//
// Content is kept as pages of 4 KiB that share the writer's memory; an empty page reads as zeros,
// so pre-written segments cost nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/buffer.hpp"
#include "engine/result.hpp"
#include "sim/crash_points.hpp"
#include "sim/random.hpp"

namespace tidemark::sim {

inline constexpr std::size_t page_bytes = 4096;
inline constexpr std::size_t sector_bytes = 512;

using Page = engine::Slice;  ///< Empty: zeros.

/// What a page cache shows once a sync has failed. On Linux the pages are clean then, and what they show
/// differs between file systems ("Can applications recover from fsync failures?", ATC 2020).
enum class FailedSync : std::uint8_t {
  as_the_seed_says,  ///< The first or the second of the others.
  reverts,           ///< What is durable; the next sync succeeds.
  looks_clean,       ///< What was written; the next sync succeeds, and it is not durable.
  stays_dirty,       ///< What was written; the next sync makes it durable.
};

/// A file's content without its name.
class Inode {
 public:
  /// A completed change to whole pages. `resize` when `resize_to` is set.
  struct Change {
    std::uint64_t sequence = 0;
    std::uint64_t page = 0;
    std::vector<Page> pages;
    bool punch = false;
    bool resize = false;
    std::uint64_t size = 0;  ///< File size after a resize, or the end of a write.
  };

  std::uint64_t size() const { return size_; }
  std::uint64_t allocated_pages() const { return allocated_; }
  /// Bytes [offset, offset + bytes), which lie within the file.
  engine::Buffer read(std::uint64_t offset, std::size_t bytes) const;

  /// Pages that a write of `data` at `offset` touches,
  /// merged with what stands there when it is unaligned.
  Change prepare(std::uint64_t offset, const std::vector<engine::Slice>& data) const;
  /// How many pages of a change are not allocated yet.
  std::uint64_t missing(const Change& change) const;
  /// Shows the change to readers; `dsync`: durable as well.
  void apply(Change change, bool dsync);
  /// The same of what was meant for another place: where nobody wrote it is nobody's loss, and does not rot.
  void apply_astray(Change change, bool dsync);
  /// The last change that a sync issued now covers.
  std::uint64_t sequence() const { return sequence_; }
  void synced(std::uint64_t upto);
  /// A sync failed: what it covered is gone from the cache, or stays there and looks clean or dirty.
  void sync_failed(FailedSync keeps);
  /// Power is lost: each unsynced change is kept, lost or torn.
  void power_loss(Random& random);
  /// The change reaches the platter as power is lost:
  /// all, nothing, a prefix or single sectors of it.
  void land_torn(Change change, Random& random);
  /// The same, and each sector of it does so or does not.
  void land_in_sectors(const Change& change, Random& random);
  /// A page cannot be read any more until it is written again, or its space given back.
  void spoil(std::uint64_t page) { unreadable_.insert(page); }
  bool readable(std::uint64_t offset, std::uint64_t bytes) const;
  /// Flips a bit of a page that was synced, is not zeros and has not rotted yet; false when there is none.
  bool rot(std::uint64_t offset, std::uint64_t bytes, Random& random);
  /// Pages that rotted and are still as rot left them.
  std::vector<std::uint64_t> rotten_pages() const;
  /// Behind the last page that is not zeros.
  std::uint64_t written_end() const;

  std::string path;  ///< Last name, for traces.
  bool locked = false;

 private:
  /// The page is as it was left there.
  bool is_still(const std::map<std::uint64_t, Page>& pages, std::uint64_t at) const;
  static void put(std::vector<Page>& pages, const Change& change);
  static Page torn(const Page& before, const Page& after, Random& random);
  void make_current_of_durable();

  std::vector<Page> current_;
  std::vector<Page> durable_;
  std::vector<bool> held_;  ///< Pages with space allocated.
  std::uint64_t allocated_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t durable_size_ = 0;
  std::uint64_t sequence_ = 0;
  std::vector<Change> unsynced_;
  std::map<std::uint64_t, Page> rotten_;  ///< As rot left them.
  std::map<std::uint64_t, Page> astray_;
  std::set<std::uint64_t> unreadable_;  ///< Pages.
};
using InodePtr = std::shared_ptr<Inode>;

enum class DiskOp : std::uint8_t {
  write,
  read,
  sync,
  punch,
  resize,
  open,
  create,
  rename,
  remove,
  make_directory,
  sync_directory,
};
/// What becomes of writes in flight when their process or machine ends.
enum class LateWrites : std::uint8_t {
  as_the_seed_says,
  all_land,
  all_lost,
  all_torn,  ///< Power loss alone: of each write some sectors, drawn one by one.
};

/// Names and inodes of one disk. Metadata of a directory reaches the platter in order, by
/// sync_directory at the latest.
class DiskImage {
 public:
  static constexpr std::uint64_t no_quota = ~0ULL;

  explicit DiskImage(Random random) : random_(random) {}

  engine::Result<InodePtr> open(const std::string& path, bool create);
  engine::Status rename(const std::string& from, const std::string& to);
  engine::Status remove(const std::string& path);
  engine::Status make_directory(const std::string& path);
  engine::Status sync_directory(const std::string& path);
  engine::Result<std::vector<std::string>> list(const std::string& path) const;
  bool exists(const std::string& path) const;
  /// Paths of files below a directory, sorted.
  std::vector<std::string> files(const std::string& below) const;
  InodePtr inode(const std::string& path) const;

  std::uint64_t used_bytes() const;
  /// Everything the power took is gone; in-flight writes were decided by the caller.
  void power_loss();
  /// Every byte is gone and only `directories` exist, durably: a new disk.
  void format(const std::vector<std::string>& directories);
  /// Content and names alone, as they stand and with what is not durable: for a copy that is put somewhere or back.
  DiskImage copy_of_content() const;
  /// Takes the place of everything that is there.
  void put_content(const DiskImage& from);

  Random& random() { return random_; }

  /// Nothing is slow, full, failing or held on purpose.
  bool sound() const {
    return capacity_bytes == no_quota && slow_factor == 1 && fail_writes == 0 && fail_syncs == 0 &&
           !stuck && !holds;
  }

  /// How many files are open, by whatever process.
  std::shared_ptr<std::uint64_t> open_files = std::make_shared<std::uint64_t>(0);
  std::uint64_t capacity_bytes = no_quota;
  std::uint64_t slow_factor = 1;  ///< Multiplies every latency.
  std::uint64_t fail_writes = 0;  ///< So many next writes end with EIO.
  std::uint64_t fail_syncs = 0;
  bool stuck = false;  ///< Takes operations and completes none.
  /// Operations of which this says true do not complete until it says false; null: none.
  std::function<bool(DiskOp, const std::string& path)> holds;
  EndsAt ends_at;  ///< Null: processes end between steps only when they are told to.
  /// An operation for which this names an error ends with that and has done nothing; null: none does.
  std::function<std::optional<engine::Errc>(DiskOp, const std::string& path)> fails;
  /// Where in its file a write lands that says to have landed where it was meant to; null, or nothing: there.
  std::function<std::optional<std::uint64_t>(const std::string& path, std::uint64_t offset,
                                             std::uint64_t bytes)>
      misdirects;
  /// So many nanoseconds longer an operation takes; null: none.
  std::function<std::uint64_t(DiskOp, const std::string& path)> delays;
  FailedSync failed_sync = FailedSync::as_the_seed_says;
  /// What a killed process had submitted lands within so many nanoseconds, or never.
  std::uint64_t late_landing_max = 4'000'000;
  LateWrites late_writes = LateWrites::as_the_seed_says;
  /// Told of each change that an operation makes, as it takes effect, and of each write as it is submitted; null:
  /// nobody. `kind` is a word of the source.
  std::function<void(const char* kind, const std::string& path)> on_effect;
  void effect(const char* kind, const std::string& path) const {
    if (on_effect) on_effect(kind, path);
  }

 private:
  // A name's new inode; null: removed. Directories stand under their own name
  // with a null inode and `directory`.
  struct Entry {
    InodePtr inode;
    bool directory = false;
  };
  /// One atomic step: names and what they stand for from then on; nothing removes.
  using Meta = std::vector<std::pair<std::string, std::optional<Entry>>>;
  using Names = std::map<std::string, Entry>;

  static std::string parent(const std::string& path);
  bool full() const { return capacity_bytes != no_quota && used_bytes() >= capacity_bytes; }
  bool has_directory(const std::string& path) const;
  void record(const std::string& directory, Meta meta);
  static void apply(Names& names, const Meta& meta);

  Random random_;
  Names current_;
  Names durable_;
  std::map<std::string, std::vector<Meta>> unsynced_;  ///< By directory, in order.
};

}  // namespace tidemark::sim
