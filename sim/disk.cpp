#include "sim/disk.hpp"

#include <fmt/format.h>

#include <utility>

#include "engine/check.hpp"

namespace tidemark::sim {

using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Status;

/// The lock is that of the open file description: it goes when nobody refers to it any more, a
/// write in flight included.
class SimDisk::OpenFile final : public storage::File {
 public:
  OpenFile(InodePtr inode, std::string path, storage::OpenOptions options,
           std::shared_ptr<std::uint64_t> open_files)
      : inode_(std::move(inode)),
        path_(std::move(path)),
        options_(options),
        open_files_(std::move(open_files)) {
    if (options_.lock) inode_->locked = true;
    ++*open_files_;
  }
  ~OpenFile() override {
    --*open_files_;
    if (options_.lock) inode_->locked = false;
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  const std::string& path() const override { return path_; }
  Inode& inode() { return *inode_; }
  bool dsync() const { return options_.dsync; }
  bool direct() const { return options_.direct; }

 private:
  InodePtr inode_;
  std::string path_;
  storage::OpenOptions options_;
  std::shared_ptr<std::uint64_t> open_files_;  ///< Of the disk, which may be gone first.
};

SimDisk::OpenFile& SimDisk::opened(const storage::FilePtr& file) {
  CHECK(file != nullptr);
  return static_cast<OpenFile&>(*file);
}

std::uint64_t SimDisk::latency(std::uint64_t low, std::uint64_t high) {
  return image_.random().between(low, high) * 1000 * image_.slow_factor;
}

Status SimDisk::fate(DiskOp op, const char* what, const std::string& path) {
  const auto code = image_.fails ? image_.fails(op, path) : std::nullopt;
  if (!code) return Done{};
  const bool full = *code == Errc::no_space;
  return Error{*code,
               fmt::format("{} {}: {}", what, path, full ? "no space left" : "input/output error")};
}

std::uint64_t SimDisk::longer(DiskOp op, const std::string& path) const {
  return image_.delays ? image_.delays(op, path) : 0;
}

std::string SimDisk::failed(const char* what, const std::string& path, std::uint64_t offset) const {
  return fmt::format("{} of {} at {}: input/output error", what, path, offset);
}

void SimDisk::note(const char* kind, const std::string& path, std::uint64_t offset,
                   std::uint64_t bytes) {
  trace_.mix(std::string_view(kind));
  trace_.mix(std::string_view(path));
  trace_.mix(offset);
  trace_.mix(bytes);
  if (trace_.verbose) {
    trace_.note(events_.now(), fmt::format("  disk {} {} {}+{}", kind, path, offset, bytes));
  }
}

// The shared zeros of pre-written segments are told by their address, not hashed:
// content all the same.
void SimDisk::note_content(const std::vector<engine::Slice>& data) {
  for (const auto& slice : data) {
    trace_.mix(slice.size());
    if (slice.data() != engine::zeros(1).data()) trace_.mix(slice.bytes());
  }
}

void SimDisk::complete(std::uint64_t delay, const char* kind, std::function<void()> due) {
  if (!life_->alive) return;
  if (image_.stuck) {
    events_.after(stuck_look, life_, "stuck", [this, delay, kind, due = std::move(due)]() mutable {
      complete(delay, kind, std::move(due));
    });
    return;
  }
  events_.after(delay, life_, kind, std::move(due));
}

void SimDisk::complete_unless_held(std::uint64_t delay, DiskOp op, storage::FilePtr file,
                                   std::function<void()> due) {
  constexpr std::uint64_t look_again = 1 * engine::millisecond;
  complete(delay, op == DiskOp::write ? "written" : "read",
           [this, op, file = std::move(file), due = std::move(due)]() mutable {
             if (!image_.holds || !image_.holds(op, file->path())) return due();
             complete_unless_held(look_again, op, std::move(file), std::move(due));
           });
}

bool SimDisk::ends(DurableStep step, const std::string& path, StepMoment moment) {
  if (!image_.ends_at || !image_.ends_at(step, path, moment)) return false;
  life_->alive = false;
  return true;
}

void SimDisk::change_names(DurableStep step, const std::string& path, bool does, const char* kind,
                           const std::function<Status()>& change, OnStatus done) {
  if (does && ends(step, path, StepMoment::before)) return;
  complete(latency(20, 80), kind, [this, step, path, status = change(), done = std::move(done)] {
    if (status && ends(step, path, StepMoment::after)) return;
    done(status);
  });
}

void SimDisk::open(const std::string& path, storage::OpenOptions options, OnOpen done) {
  if (!life_->alive) return;
  const bool creates = options.create && !image_.exists(path);
  if (creates && ends(DurableStep::create, path, StepMoment::before)) return;
  note(options.create ? "create" : "open", path, options.dsync, options.lock);
  const auto op = options.create ? DiskOp::create : DiskOp::open;
  engine::Result<storage::FilePtr> result = Error{Errc::busy, ""};
  const auto allowed = fate(op, options.create ? "create" : "open", path);
  auto inode =
      allowed ? image_.open(path, options.create) : engine::Result<InodePtr>(allowed.error());
  if (!inode) {
    result = inode.error();
  } else if (options.lock && (*inode)->locked) {
    result = Error{Errc::busy, fmt::format("lock {}: somebody else holds it", path)};
  } else {
    result = storage::FilePtr(std::make_shared<OpenFile>(*inode, path, options, image_.open_files));
  }
  complete(latency(5, 50) + longer(op, path), "opened",
           [this, creates, path, result = std::move(result), done = std::move(done)] {
             const bool created = creates && result;
             if (created && ends(DurableStep::create, path, StepMoment::after)) return;
             done(result);
           });
}

void SimDisk::write(const storage::FilePtr& file, std::uint64_t offset,
                    std::vector<engine::Slice> data, OnStatus done) {
  if (!life_->alive) return;
  auto& open = opened(file);
  std::uint64_t bytes = 0;
  for (const auto& slice : data) {
    if (open.direct()) CHECK(slice.size() % page_bytes == 0);
    bytes += slice.size();
  }
  if (open.direct()) CHECK(offset % page_bytes == 0);
  if (ends(DurableStep::write, open.path(), StepMoment::before)) return;
  note("write", open.path(), offset, bytes);
  note_content(data);
  const auto id = ++last_write_;
  image_.effect("submit", open.path());
  writing_.emplace(id, Writing{std::static_pointer_cast<OpenFile>(file), offset, std::move(data)});
  const auto transfer = bytes / 2 * image_.slow_factor;  // 2 GB/s
  const auto delay = transfer + (open.dsync() ? latency(60, 250) : latency(15, 60)) +
                     longer(DiskOp::write, open.path());
  complete_unless_held(delay, DiskOp::write, file, [this, id, done = std::move(done)] {
    const auto writing = std::move(writing_.extract(id).mapped());
    auto landed = land(writing);
    if (landed && ends(DurableStep::write, writing.file->path(), StepMoment::after)) return;
    done(std::move(landed));
  });
}

Status SimDisk::land(const Writing& writing) {
  auto& inode = writing.file->inode();
  if (image_.fail_writes > 0) {
    --image_.fail_writes;
    return Error{Errc::io_failed, failed("write", writing.file->path(), writing.offset)};
  }
  if (auto allowed = fate(DiskOp::write, "write of", writing.file->path()); !allowed)
    return allowed;
  const auto at = place(writing);
  auto change = inode.prepare(at, writing.data);
  // What has its room is written on the fullest disk.
  const auto grows = inode.missing(change) * page_bytes;
  if (grows != 0 && image_.capacity_bytes != DiskImage::no_quota &&
      image_.used_bytes() + grows > image_.capacity_bytes) {
    return Error{Errc::no_space, fmt::format("write of {} at {}: no space left",
                                             writing.file->path(), writing.offset)};
  }
  if (at == writing.offset) {
    inode.apply(std::move(change), writing.file->dsync());
  } else {
    inode.apply_astray(std::move(change), writing.file->dsync());
  }
  image_.effect("write", writing.file->path());
  return Done{};
}

/// Where a write lands: nearly always where it was meant to.
std::uint64_t SimDisk::place(const Writing& writing) const {
  if (!image_.misdirects) return writing.offset;
  std::uint64_t bytes = 0;
  for (const auto& slice : writing.data) bytes += slice.size();
  return image_.misdirects(writing.file->path(), writing.offset, bytes).value_or(writing.offset);
}

void SimDisk::read(const storage::FilePtr& file, std::uint64_t offset, std::size_t bytes,
                   OnRead done) {
  if (!life_->alive) return;
  note("read", opened(file).path(), offset, bytes);
  const auto delay = latency(40, 150) + bytes / 2 + longer(DiskOp::read, file->path());
  complete_unless_held(
      delay, DiskOp::read, file, [this, file, offset, bytes, done = std::move(done)] {
        auto& inode = opened(file).inode();
        const auto allowed = fate(DiskOp::read, "read of", file->path());
        if (!allowed || !inode.readable(offset, bytes)) {
          done(allowed ? Error{Errc::io_failed, failed("read", file->path(), offset)}
                       : allowed.error());
        } else if (offset + bytes > inode.size()) {
          done(Error{Errc::not_found, fmt::format("read of {} at {}: beyond its end at {}",
                                                  file->path(), offset, inode.size())});
        } else {
          done(inode.read(offset, bytes));
        }
      });
}

void SimDisk::sync(const storage::FilePtr& file, OnStatus done) {
  if (!life_->alive) return;
  if (ends(DurableStep::sync, file->path(), StepMoment::before)) return;
  note("sync", opened(file).path(), 0, 0);
  const auto upto = opened(file).inode().sequence();
  const auto delay = latency(100, 600) + longer(DiskOp::sync, file->path());
  complete(delay, "synced", [this, file, upto, done = std::move(done)] {
    auto& inode = opened(file).inode();
    auto allowed = fate(DiskOp::sync, "sync of", file->path());
    if (allowed && image_.fail_syncs > 0) {
      --image_.fail_syncs;
      allowed = Error{Errc::io_failed, failed("sync", file->path(), 0)};
    }
    if (allowed) {
      inode.synced(upto);
      image_.effect("sync", file->path());
      if (ends(DurableStep::sync, file->path(), StepMoment::after)) return;
    } else {
      const bool reverts = image_.random().chance(1, 2);
      inode.sync_failed(image_.failed_sync != FailedSync::as_the_seed_says ? image_.failed_sync
                        : reverts                                          ? FailedSync::reverts
                                  : FailedSync::looks_clean);
    }
    done(allowed);
  });
}

void SimDisk::punch(const storage::FilePtr& file, std::uint64_t offset, std::uint64_t bytes,
                    OnStatus done) {
  if (!life_->alive) return;
  CHECK(offset % page_bytes == 0);
  CHECK(bytes % page_bytes == 0);
  if (ends(DurableStep::punch, file->path(), StepMoment::before)) return;
  note("punch", opened(file).path(), offset, bytes);
  complete(latency(20, 100), "punched", [this, file, offset, bytes, done = std::move(done)] {
    auto& open = opened(file);
    if (const auto allowed = fate(DiskOp::punch, "punch of", file->path()); !allowed)
      return done(allowed);
    Inode::Change change;
    change.page = offset / page_bytes;
    change.pages.resize(bytes / page_bytes);
    change.punch = true;
    open.inode().apply(std::move(change), open.dsync());
    image_.effect("punch", file->path());
    if (ends(DurableStep::punch, file->path(), StepMoment::after)) return;
    done(Done{});
  });
}

void SimDisk::resize(const storage::FilePtr& file, std::uint64_t bytes, OnStatus done) {
  if (!life_->alive) return;
  if (ends(DurableStep::resize, file->path(), StepMoment::before)) return;
  note("resize", opened(file).path(), 0, bytes);
  complete(latency(10, 50), "resized", [this, file, bytes, done = std::move(done)] {
    auto& open = opened(file);
    if (const auto allowed = fate(DiskOp::resize, "resize of", file->path()); !allowed)
      return done(allowed);
    Inode::Change change;
    change.resize = true;
    change.size = bytes;
    open.inode().apply(std::move(change), open.dsync());
    image_.effect("resize", file->path());
    if (ends(DurableStep::resize, file->path(), StepMoment::after)) return;
    done(Done{});
  });
}

void SimDisk::rename(const std::string& from, const std::string& to, OnStatus done) {
  if (!life_->alive) return;
  note("rename", from + " " + to, 0, 0);
  const auto allowed = fate(DiskOp::rename, "rename to", to);
  change_names(
      DurableStep::rename, from, allowed && image_.exists(from), "renamed",
      [&] { return allowed ? image_.rename(from, to) : allowed; }, std::move(done));
}

void SimDisk::remove(const std::string& path, OnStatus done) {
  if (!life_->alive) return;
  note("remove", path, 0, 0);
  const auto allowed = fate(DiskOp::remove, "remove", path);
  change_names(
      DurableStep::remove, path, allowed && image_.exists(path), "removed",
      [&] { return allowed ? image_.remove(path) : allowed; }, std::move(done));
}

void SimDisk::make_directory(const std::string& path, OnStatus done) {
  if (!life_->alive) return;
  note("make_directory", path, 0, 0);
  const auto allowed = fate(DiskOp::make_directory, "create directory", path);
  change_names(
      DurableStep::make_directory, path, allowed && !image_.exists(path), "made_directory",
      [&] { return allowed ? image_.make_directory(path) : allowed; }, std::move(done));
}

void SimDisk::sync_directory(const std::string& path, OnStatus done) {
  if (!life_->alive) return;
  if (ends(DurableStep::sync_directory, path, StepMoment::before)) return;
  note("sync_directory", path, 0, 0);
  complete(latency(100, 600), "synced_directory", [this, path, done = std::move(done)] {
    const auto allowed = fate(DiskOp::sync_directory, "sync of directory", path);
    auto synced = allowed ? image_.sync_directory(path) : allowed;
    if (synced && ends(DurableStep::sync_directory, path, StepMoment::after)) return;
    done(std::move(synced));
  });
}

void SimDisk::list(const std::string& path,
                   std::function<void(engine::Result<std::vector<std::string>>)> done) {
  if (!life_->alive) return;
  note("list", path, 0, 0);
  complete(latency(10, 50), "listed",
           [this, path, done = std::move(done)] { done(image_.list(path)); });
}

engine::Result<std::uint64_t> SimDisk::size(const storage::FilePtr& file) {
  return opened(file).inode().size();
}

engine::Result<storage::SpaceInfo> SimDisk::space(const std::string&) {
  constexpr std::uint64_t plenty = 1ull << 40;
  if (image_.capacity_bytes == DiskImage::no_quota) return storage::SpaceInfo{plenty, plenty};
  const auto used = image_.used_bytes();
  const auto total = image_.capacity_bytes;
  return storage::SpaceInfo{total > used ? total - used : 0, total};
}

void SimDisk::process_killed() {
  CHECK(!life_->alive);
  auto& random = image_.random();
  for (auto& [id, writing] : std::exchange(writing_, {})) {
    const bool drawn = random.chance(1, 2);
    const bool lands = image_.late_writes == LateWrites::as_the_seed_says
                           ? drawn
                           : image_.late_writes == LateWrites::all_land;
    const auto delay = random.below(image_.late_landing_max);
    // The image outlives its processes; this object does not.
    events_.after(delay, nullptr, "late_write", [image = &image_, lands, w = std::move(writing)] {
      if (!lands) return;
      auto& inode = w.file->inode();
      auto change = inode.prepare(w.offset, w.data);
      if (image->capacity_bytes == DiskImage::no_quota || inode.missing(change) == 0) {
        inode.apply(std::move(change), w.file->dsync());
      }
    });
  }
}

void SimDisk::power_lost() {
  CHECK(!life_->alive);
  for (auto& [id, writing] : std::exchange(writing_, {})) {
    if (image_.late_writes == LateWrites::all_lost) continue;
    auto& inode = writing.file->inode();
    auto change = inode.prepare(writing.offset, writing.data);
    if (image_.late_writes == LateWrites::all_land) {
      inode.apply(std::move(change), true);
    } else if (image_.late_writes == LateWrites::all_torn) {
      inode.land_in_sectors(change, image_.random());
    } else {
      inode.land_torn(std::move(change), image_.random());
    }
  }
  image_.power_loss();
}

}  // namespace tidemark::sim
