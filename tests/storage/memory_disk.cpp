#include "tests/storage/memory_disk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace tidemark::tests {

using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Status;

namespace {
constexpr std::uint64_t page_bytes = 4096;
constexpr std::size_t sector_bytes = 512;
}  // namespace

struct MemoryDisk::Opened final : storage::File {
  Opened(std::shared_ptr<MemoryFile> f, std::string p, storage::OpenOptions o)
      : file(std::move(f)), name(std::move(p)), options(o) {
    if (options.lock) file->locked = true;
  }
  ~Opened() override {
    if (options.lock) file->locked = false;
  }
  const std::string& path() const override { return name; }

  std::shared_ptr<MemoryFile> file;
  std::string name;
  storage::OpenOptions options;
};

MemoryDisk::MemoryDisk(MemoryFiles files) : files_(std::move(files)), durable_names_(files_) {}
MemoryDisk::~MemoryDisk() = default;

bool MemoryDisk::step() {
  if (queue_.empty()) return false;
  auto operation = std::move(queue_.front());
  queue_.pop_front();
  operation.complete();
  return true;
}

void MemoryDisk::put(std::vector<std::byte>& bytes, const MemoryFile::Change& change) {
  if (bytes.size() < change.offset + change.bytes.size())
    bytes.resize(change.offset + change.bytes.size());
  std::memcpy(bytes.data() + change.offset, change.bytes.data(), change.bytes.size());
}

// Whole, nothing, a prefix, or single sectors.
void MemoryDisk::put_torn(std::vector<std::byte>& bytes, const MemoryFile::Change& change,
                          Dice& dice) {
  const auto how = dice.below(4);
  const auto sectors = (change.bytes.size() + sector_bytes - 1) / sector_bytes;
  const auto prefix = dice.below(sectors + 1);
  for (std::size_t i = 0; i < sectors; ++i) {
    const bool lands = how == 0 || (how == 2 && i < prefix) || (how == 3 && dice.below(2) == 0);
    if (!lands) continue;
    const auto at = i * sector_bytes;
    const auto n = std::min(sector_bytes, change.bytes.size() - at);
    const auto from = change.bytes.begin() + static_cast<std::ptrdiff_t>(at);
    put(bytes, {change.offset + at, {from, from + static_cast<std::ptrdiff_t>(n)}});
  }
}

MemoryFiles MemoryDisk::crash(Loss loss, Dice& dice) const {
  std::map<const MemoryFile*, std::vector<std::byte>> left;
  for (const auto& [path, file] : files_) {
    if (!file) continue;
    auto& bytes = left[file.get()];
    bytes = loss == Loss::process ? file->seen : file->durable;
    if (loss == Loss::process) continue;
    for (const auto& change : file->unsynced) put_torn(bytes, change, dice);
    if (dice.below(2) == 0) bytes.resize(file->seen.size());  // a size is durable with a sync
  }
  for (const auto& operation : queue_) {
    if (operation.written) put_torn(left[operation.written.get()], operation.change, dice);
  }
  MemoryFiles after;
  for (const auto& [path, file] : loss == Loss::process ? files_ : names_after_power_loss(dice)) {
    if (!file) {
      after[path] = nullptr;
      continue;
    }
    auto fresh = std::make_shared<MemoryFile>();
    fresh->seen = fresh->durable = left[file.get()];
    fresh->held = file->held;
    after[path] = std::move(fresh);
  }
  return after;
}

void MemoryDisk::change_name(MemoryNameChange change) {
  change.apply(files_);
  unsynced_names_.push_back(std::move(change));
}

// What a journal had: a prefix of the changes. What stands in a directory that is not there is not
// there.
MemoryFiles MemoryDisk::names_after_power_loss(Dice& dice) const {
  auto names = durable_names_;
  const auto kept = dice.below(unsynced_names_.size() + 1);
  for (std::size_t i = 0; i < kept; ++i) unsynced_names_[i].apply(names);
  std::erase_if(names, [&names](const auto& entry) {
    const auto& path = entry.first;
    const auto directory = path.substr(0, path.rfind('/'));
    return !directory.empty() && !names.contains(directory);
  });
  return names;
}

std::uint64_t MemoryDisk::used_bytes() const {
  std::uint64_t pages = 0;
  for (const auto& [path, file] : files_) {
    if (file)
      pages += static_cast<std::uint64_t>(std::count(file->held.begin(), file->held.end(), true));
  }
  return pages * page_bytes;
}

void MemoryDisk::open(const std::string& path, storage::OpenOptions options, OnOpen done) {
  paths_opened.insert(path);
  if (!options.direct) paths_buffered.insert(path);
  later([this, path, options, done = std::move(done)] {
    const auto found = files_.find(path);
    if (options.create && found != files_.end()) {
      return done(Error{Errc::already_exists, fmt::format("create {}: it exists", path)});
    }
    if (!options.create && (found == files_.end() || !found->second)) {
      return done(Error{Errc::not_found, fmt::format("open {}: no such file", path)});
    }
    if (options.create && on_create) {
      if (auto allowed = on_create(path); !allowed) return done(allowed.error());
    }
    if (options.create) change_name({"", path, std::make_shared<MemoryFile>()});
    const auto& file = files_[path];
    if (options.lock && file->locked)
      return done(Error{Errc::busy, fmt::format("lock {}: it is held", path)});
    done(storage::FilePtr(std::make_shared<Opened>(file, path, options)));
  });
}

Status MemoryDisk::hold(MemoryFile& file, std::uint64_t offset, std::uint64_t bytes) {
  const auto first = offset / page_bytes;
  const auto end = (offset + bytes + page_bytes - 1) / page_bytes;
  if (file.held.size() < end) file.held.resize(end, false);
  std::uint64_t missing = 0;
  for (auto p = first; p < end; ++p) missing += file.held[p] ? 0u : 1u;
  if (missing > 0 && used_bytes() + missing * page_bytes > capacity_bytes) {
    return Error{Errc::no_space, "write: no space left"};
  }
  for (auto p = first; p < end; ++p) file.held[p] = true;
  return Done{};
}

Status MemoryDisk::land(MemoryFile& file, MemoryFile::Change change, bool dsync) {
  auto held = hold(file, change.offset, change.bytes.size());
  if (!held) return held;
  put(file.seen, change);
  if (dsync) {
    // A synced write over an unsynced one: the older may not come back over it.
    put(file.durable, change);
  } else {
    file.unsynced.push_back(std::move(change));
  }
  return Done{};
}

void MemoryDisk::write(const storage::FilePtr& file, std::uint64_t offset,
                       std::vector<engine::Slice> data, OnStatus done) {
  auto& opened = static_cast<Opened&>(*file);
  Status fate = on_write ? on_write(opened.name, offset) : Status(Done{});
  ++writes;
  MemoryFile::Change change{offset, {}};
  for (const auto& slice : data)
    change.bytes.insert(change.bytes.end(), slice.bytes().begin(), slice.bytes().end());
  CHECK(!opened.options.direct ||
        (offset % page_bytes == 0 && change.bytes.size() % page_bytes == 0));
  auto operation = Operation{nullptr, opened.file, change};
  operation.complete = [this, file, change = std::move(change), done = std::move(done), fate] {
    auto& o = static_cast<Opened&>(*file);
    done(fate ? land(*o.file, change, o.options.dsync) : fate);
  };
  queue_.push_back(std::move(operation));
}

void MemoryDisk::read(const storage::FilePtr& file, std::uint64_t offset, std::size_t bytes,
                      OnRead done) {
  bytes_read += bytes;
  const Status fate = on_read ? on_read(file->path(), offset, bytes) : Status(Done{});
  later([file, offset, bytes, fate, done = std::move(done)] {
    if (!fate) return done(fate.error());
    const auto& from = static_cast<Opened&>(*file).file->seen;
    if (offset + bytes > from.size()) {
      return done(Error{Errc::not_found,
                        fmt::format("read {} at {}: beyond its end", file->path(), offset)});
    }
    done(engine::Buffer::copy_of(std::span(from).subspan(offset, bytes)));
  });
}

void MemoryDisk::sync(const storage::FilePtr& file, OnStatus done) {
  const Status fate = on_sync ? on_sync(file->path()) : Status(Done{});
  // What is written meanwhile is not covered.
  const auto covered = static_cast<Opened&>(*file).file->unsynced.size();
  later([file, covered, fate, done = std::move(done)] {
    auto& f = *static_cast<Opened&>(*file).file;
    if (fate) {
      const auto end =
          f.unsynced.begin() + static_cast<std::ptrdiff_t>(std::min(covered, f.unsynced.size()));
      for (auto it = f.unsynced.begin(); it != end; ++it) put(f.durable, *it);
      f.unsynced.erase(f.unsynced.begin(), end);
      if (f.durable.size() < f.seen.size()) f.durable.resize(f.seen.size());
    }
    done(fate);
  });
}

void MemoryDisk::punch(const storage::FilePtr& file, std::uint64_t offset, std::uint64_t bytes,
                       OnStatus done) {
  later([this, file, offset, bytes, done = std::move(done)] {
    auto& f = *static_cast<Opened&>(*file).file;
    const auto end = std::min<std::uint64_t>(offset + bytes, f.seen.size());
    if (offset >= end) return done(Done{});
    auto landed = land(f, {offset, std::vector<std::byte>(end - offset)}, false);
    for (auto p = offset / page_bytes; p < end / page_bytes; ++p) f.held[p] = false;
    done(landed);
  });
}

void MemoryDisk::resize(const storage::FilePtr& file, std::uint64_t bytes, OnStatus done) {
  later([file, bytes, done = std::move(done)] {
    auto& f = *static_cast<Opened&>(*file).file;
    f.seen.resize(bytes);
    if (f.durable.size() > bytes) f.durable.resize(bytes);
    done(Done{});
  });
}

void MemoryDisk::rename(const std::string& from, const std::string& to, OnStatus done) {
  later([this, from, to, done = std::move(done)] {
    const auto found = files_.find(from);
    if (found == files_.end())
      return done(Error{Errc::not_found, fmt::format("rename {}: no such file", from)});
    change_name({from, to, found->second});
    done(Done{});
  });
}

void MemoryDisk::remove(const std::string& path, OnStatus done) {
  later([this, path, done = std::move(done)] {
    if (!files_.contains(path))
      return done(Error{Errc::not_found, fmt::format("remove {}: no such file", path)});
    change_name({path, "", nullptr});
    done(Done{});
  });
}

void MemoryDisk::make_directory(const std::string& path, OnStatus done) {
  later([this, path, done = std::move(done)] {
    if (files_.contains(path)) {
      return done(Error{Errc::already_exists, fmt::format("make directory {}: it exists", path)});
    }
    change_name({"", path, nullptr});
    done(Done{});
  });
}

void MemoryDisk::sync_directory(const std::string& path, OnStatus done) {
  const Status fate = on_sync ? on_sync(path) : Status(Done{});
  later([this, path, fate, done = std::move(done)] {
    if (!fate) return done(fate);
    std::erase_if(unsynced_names_, [&](const MemoryNameChange& change) {
      if (change.directory() != path) return false;
      change.apply(durable_names_);
      return true;
    });
    done(fate);
  });
}

void MemoryDisk::list(const std::string& path,
                      std::function<void(engine::Result<std::vector<std::string>>)> done) {
  later([this, path, done = std::move(done)] {
    if (!files_.contains(path))
      return done(Error{Errc::not_found, fmt::format("list {}: no such directory", path)});
    std::vector<std::string> names;
    for (const auto& [name, file] : files_) {
      const bool inside =
          name.starts_with(path + "/") && name.find('/', path.size() + 1) == std::string::npos;
      if (inside) names.push_back(name.substr(path.size() + 1));
    }
    done(std::move(names));
  });
}

engine::Result<std::uint64_t> MemoryDisk::size(const storage::FilePtr& file) {
  return std::uint64_t{static_cast<Opened&>(*file).file->seen.size()};
}

engine::Result<storage::SpaceInfo> MemoryDisk::space(const std::string&) {
  const auto used = used_bytes();
  return storage::SpaceInfo{capacity_bytes > used ? capacity_bytes - used : 0, capacity_bytes};
}

}  // namespace tidemark::tests
