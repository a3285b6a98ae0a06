#include "sim/disk_image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

using engine::Buffer;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Slice;

bool is_shared_zeros(const Slice& slice) { return slice.data() == engine::zeros(1).data(); }

std::uint64_t page_of(std::uint64_t offset) { return offset / page_bytes; }
std::uint64_t pages_in(std::uint64_t bytes) { return (bytes + page_bytes - 1) / page_bytes; }

void copy_page(std::byte* to, const Page& page) {
  if (page.empty()) {
    std::memset(to, 0, page_bytes);
  } else {
    std::memcpy(to, page.data(), page_bytes);
  }
}

const Page& page_at(const std::vector<Page>& pages, std::uint64_t i) {
  static const Page none;
  return i < pages.size() ? pages[i] : none;
}

}  // namespace

Buffer Inode::read(std::uint64_t offset, std::size_t bytes) const {
  CHECK(offset + bytes <= size_);
  Buffer out(bytes);
  std::size_t done = 0;
  while (done < bytes) {
    const auto at = offset + done;
    const auto within = at % page_bytes;
    const auto n = std::min(page_bytes - within, bytes - done);
    const auto& page = page_at(current_, page_of(at));
    if (page.empty()) {
      std::memset(out.data() + done, 0, n);
    } else {
      std::memcpy(out.data() + done, page.data() + within, n);
    }
    done += n;
  }
  return out;
}

Inode::Change Inode::prepare(std::uint64_t offset, const std::vector<Slice>& data) const {
  Change change;
  change.page = page_of(offset);
  std::uint64_t bytes = 0;
  bool aligned = offset % page_bytes == 0;
  for (const auto& slice : data) {
    bytes += slice.size();
    aligned = aligned && slice.size() % page_bytes == 0;
  }
  change.size = offset + bytes;
  if (aligned) {
    for (const auto& slice : data) {
      const bool zero = is_shared_zeros(slice);
      for (std::size_t at = 0; at < slice.size(); at += page_bytes) {
        change.pages.push_back(zero ? Page() : slice.part(at, page_bytes));
      }
    }
    return change;
  }
  const auto count = pages_in(offset % page_bytes + bytes);
  Buffer merged(count * page_bytes);
  for (std::uint64_t i = 0; i < count; ++i) {
    copy_page(merged.data() + i * page_bytes, page_at(current_, change.page + i));
  }
  auto at = offset % page_bytes;
  for (const auto& slice : data) {
    if (!slice.empty()) std::memcpy(merged.data() + at, slice.data(), slice.size());
    at += slice.size();
  }
  const auto whole = std::move(merged).freeze();
  for (std::uint64_t i = 0; i < count; ++i) {
    change.pages.push_back(whole.part(i * page_bytes, page_bytes));
  }
  return change;
}

std::uint64_t Inode::missing(const Change& change) const {
  std::uint64_t n = 0;
  for (std::uint64_t i = 0; i < change.pages.size(); ++i) {
    const auto page = change.page + i;
    if (page >= held_.size() || !held_[page]) ++n;
  }
  return n;
}

void Inode::put(std::vector<Page>& pages, const Change& change) {
  if (change.resize) {
    // Growth is sparse: pages beyond the vector read as zeros.
    if (pages.size() > pages_in(change.size)) pages.resize(pages_in(change.size));
    return;
  }
  if (pages.size() < change.page + change.pages.size()) {
    pages.resize(change.page + change.pages.size());
  }
  std::copy(change.pages.begin(), change.pages.end(),
            pages.begin() + static_cast<std::ptrdiff_t>(change.page));
}

void Inode::apply(Change change, bool dsync) {
  change.sequence = ++sequence_;
  put(current_, change);
  held_.resize(current_.size());
  for (std::uint64_t i = 0; i < change.pages.size(); ++i) {
    held_[change.page + i] = !change.punch;
  }
  allocated_ = static_cast<std::uint64_t>(std::count(held_.begin(), held_.end(), true));
  const auto end = change.resize ? unreadable_.end()
                                 : unreadable_.lower_bound(change.page + change.pages.size());
  unreadable_.erase(unreadable_.lower_bound(change.resize ? pages_in(change.size) : change.page),
                    end);
  size_ = change.resize ? change.size : change.punch ? size_ : std::max(size_, change.size);
  if (!dsync) {
    unsynced_.push_back(std::move(change));
    return;
  }
  put(durable_, change);
  durable_size_ = std::max(durable_size_, change.size);
}

void Inode::apply_astray(Change change, bool dsync) {
  for (std::uint64_t i = 0; i < change.pages.size(); ++i)
    astray_[change.page + i] = change.pages[i];
  apply(std::move(change), dsync);
}

void Inode::synced(std::uint64_t upto) {
  auto it = unsynced_.begin();
  for (; it != unsynced_.end() && it->sequence <= upto; ++it) {
    put(durable_, *it);
    durable_size_ = it->resize  ? it->size
                    : it->punch ? durable_size_
                                : std::max(durable_size_, it->size);
  }
  unsynced_.erase(unsynced_.begin(), it);
}

// The kernel marks pages clean after a failed write-back:
// they look written and are not (fsyncgate).
void Inode::sync_failed(FailedSync keeps) {
  CHECK(keeps != FailedSync::as_the_seed_says);
  if (keeps == FailedSync::stays_dirty) return;
  unsynced_.clear();
  if (keeps == FailedSync::reverts) make_current_of_durable();
}

bool Inode::readable(std::uint64_t offset, std::uint64_t bytes) const {
  const auto bad = unreadable_.lower_bound(page_of(offset));
  return bad == unreadable_.end() || *bad >= pages_in(offset + bytes);
}

void Inode::make_current_of_durable() {
  current_ = durable_;
  size_ = durable_size_;
  held_.assign(current_.size(), true);
  allocated_ = current_.size();
}

Page Inode::torn(const Page& before, const Page& after, Random& random) {
  Buffer mixed(page_bytes);
  Buffer fresh(page_bytes);
  copy_page(mixed.data(), before);
  copy_page(fresh.data(), after);
  for (std::size_t at = 0; at < page_bytes; at += sector_bytes) {
    if (random.chance(1, 2)) std::memcpy(mixed.data() + at, fresh.data() + at, sector_bytes);
  }
  return std::move(mixed).freeze();
}

void Inode::power_loss(Random& random) {
  for (auto& change : std::exchange(unsynced_, {})) land_torn(std::move(change), random);
  make_current_of_durable();
}

void Inode::land_torn(Change change, Random& random) {
  const auto fate = random.below(8);
  if (fate < 3) return;
  if (change.resize || fate < 5) {
    put(durable_, change);
  } else if (fate == 5) {  // a prefix, cut within a sector run
    const auto whole = random.below(change.pages.size() + 1);
    for (std::uint64_t i = 0; i < whole; ++i) {
      if (durable_.size() <= change.page + i) durable_.resize(change.page + i + 1);
      durable_[change.page + i] = change.pages[i];
    }
  } else {  // single pages, some of them torn
    for (std::uint64_t i = 0; i < change.pages.size(); ++i) {
      const auto at = change.page + i;
      if (durable_.size() <= at) durable_.resize(at + 1);
      const auto what = random.below(3);
      if (what == 0) continue;
      durable_[at] = what == 1 ? change.pages[i] : torn(durable_[at], change.pages[i], random);
    }
  }
  if (change.resize) {
    durable_size_ = change.size;
  } else if (!change.punch) {
    durable_size_ = std::max(durable_size_, change.size);
  }
}

void Inode::land_in_sectors(const Change& change, Random& random) {
  CHECK(!change.punch && !change.resize);
  for (std::uint64_t i = 0; i < change.pages.size(); ++i) {
    const auto at = change.page + i;
    if (durable_.size() <= at) durable_.resize(at + 1);
    durable_[at] = torn(durable_[at], change.pages[i], random);
  }
  durable_size_ = std::max(durable_size_, change.size);
}

std::uint64_t Inode::written_end() const {
  auto pages = durable_.size();
  while (pages > 0 && durable_[pages - 1].empty()) --pages;
  return pages * page_bytes;
}

bool Inode::rot(std::uint64_t offset, std::uint64_t bytes, Random& random) {
  const auto first = page_of(offset);
  const auto count =
      std::min<std::uint64_t>(pages_in(bytes), durable_.size() - std::min(first, durable_.size()));
  if (count == 0) return false;
  const auto start = random.below(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto at = first + (start + i) % count;
    if (durable_[at].empty() || at >= current_.size()) continue;
    // What rotted already could be made good again.
    if (is_still(astray_, at) || is_still(rotten_, at)) continue;
    Buffer bad(page_bytes);
    copy_page(bad.data(), durable_[at]);
    // Among the bytes that are not padding, so that something notices.
    std::uint64_t byte = random.below(page_bytes);
    while (byte > 0 && bad.data()[byte] == std::byte{0}) --byte;
    bad.data()[byte] ^= static_cast<std::byte>(1u << random.below(8));
    durable_[at] = std::move(bad).freeze();
    current_[at] = durable_[at];
    rotten_[at] = durable_[at];
    return true;
  }
  return false;
}

// Whoever writes a page puts other memory in its place.
bool Inode::is_still(const std::map<std::uint64_t, Page>& pages, std::uint64_t at) const {
  const auto found = pages.find(at);
  return found != pages.end() && at < current_.size() &&
         current_[at].data() == found->second.data();
}

std::vector<std::uint64_t> Inode::rotten_pages() const {
  std::vector<std::uint64_t> pages;
  for (const auto& [at, bad] : rotten_) {
    if (is_still(rotten_, at)) pages.push_back(at);
  }
  return pages;
}

std::string DiskImage::parent(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

bool DiskImage::has_directory(const std::string& path) const {
  if (path == "/") return true;
  const auto found = current_.find(path);
  return found != current_.end() && found->second.directory;
}

void DiskImage::apply(Names& names, const Meta& meta) {
  for (const auto& [path, entry] : meta) {
    if (entry) {
      names[path] = *entry;
    } else {
      names.erase(path);
    }
  }
}

void DiskImage::record(const std::string& directory, Meta meta) {
  apply(current_, meta);
  unsynced_[directory].push_back(std::move(meta));
}

engine::Result<InodePtr> DiskImage::open(const std::string& path, bool create) {
  const auto found = current_.find(path);
  if (!create) {
    if (found == current_.end() || found->second.directory) {
      return Error{Errc::not_found, fmt::format("open {}: no such file", path)};
    }
    return found->second.inode;
  }
  if (found != current_.end()) {
    return Error{Errc::already_exists, fmt::format("create {}: it exists", path)};
  }
  if (!has_directory(parent(path))) {
    return Error{Errc::not_found, fmt::format("create {}: no such directory", path)};
  }
  if (full()) return Error{Errc::no_space, fmt::format("create {}: no space left", path)};
  auto inode = std::make_shared<Inode>();
  inode->path = path;
  record(parent(path), {{path, Entry{inode, false}}});
  effect("create", path);
  return inode;
}

engine::Status DiskImage::rename(const std::string& from, const std::string& to) {
  const auto found = current_.find(from);
  if (found == current_.end()) {
    return Error{Errc::not_found, fmt::format("rename {} to {}: no such file", from, to)};
  }
  const auto entry = found->second;
  CHECK(!entry.directory);  // nobody renames directories
  if (!has_directory(parent(to))) {
    return Error{Errc::not_found, fmt::format("rename {} to {}: no such directory", from, to)};
  }
  if (entry.inode) entry.inode->path = to;
  // One step of one directory's journal, so that no crash shows both names or neither.
  CHECK(parent(from) == parent(to));
  record(parent(to), {{to, entry}, {from, std::nullopt}});
  effect("rename", to);
  return Done{};
}

engine::Status DiskImage::remove(const std::string& path) {
  const auto found = current_.find(path);
  if (found == current_.end()) {
    return Error{Errc::not_found, fmt::format("remove {}: no such file", path)};
  }
  if (found->second.directory) {
    const auto next = std::next(found);
    if (next != current_.end() && next->first.starts_with(path + "/")) {
      return Error{Errc::busy, fmt::format("remove {}: the directory is not empty", path)};
    }
  }
  record(parent(path), {{path, std::nullopt}});
  effect("unlink", path);
  return Done{};
}

engine::Status DiskImage::make_directory(const std::string& path) {
  if (current_.contains(path)) {
    return Error{Errc::already_exists, fmt::format("create directory {}: it exists", path)};
  }
  if (!has_directory(parent(path))) {
    return Error{Errc::not_found, fmt::format("create directory {}: no parent", path)};
  }
  if (full()) return Error{Errc::no_space, fmt::format("create directory {}: no space left", path)};
  record(parent(path), {{path, Entry{nullptr, true}}});
  effect("make_directory", path);
  return Done{};
}

engine::Status DiskImage::sync_directory(const std::string& path) {
  if (!has_directory(path)) {
    return Error{Errc::not_found, fmt::format("sync directory {}: no such directory", path)};
  }
  for (const auto& meta : std::exchange(unsynced_[path], {})) apply(durable_, meta);
  effect("sync_directory", path);
  return Done{};
}

engine::Result<std::vector<std::string>> DiskImage::list(const std::string& path) const {
  if (!has_directory(path)) {
    return Error{Errc::not_found, fmt::format("list {}: no such directory", path)};
  }
  std::vector<std::string> names;
  for (const auto& [name, entry] : current_) {
    if (parent(name) == path) names.push_back(name.substr(name.rfind('/') + 1));
  }
  return names;
}

bool DiskImage::exists(const std::string& path) const { return current_.contains(path); }

std::vector<std::string> DiskImage::files(const std::string& below) const {
  std::vector<std::string> paths;
  for (const auto& [name, entry] : current_) {
    if (!entry.directory && name.starts_with(below + "/")) paths.push_back(name);
  }
  return paths;
}

InodePtr DiskImage::inode(const std::string& path) const {
  const auto found = current_.find(path);
  return found == current_.end() ? nullptr : found->second.inode;
}

std::uint64_t DiskImage::used_bytes() const {
  std::uint64_t pages = 0;
  for (const auto& [name, entry] : current_) {
    if (entry.inode) pages += entry.inode->allocated_pages();
  }
  return pages * page_bytes;
}

void DiskImage::power_loss() {
  for (auto& [directory, metas] : std::exchange(unsynced_, {})) {
    const auto kept = random_.below(metas.size() + 1);
    for (std::size_t i = 0; i < kept; ++i) apply(durable_, metas[i]);
  }
  // What lies below a directory that was lost went with it.
  for (auto it = durable_.begin(); it != durable_.end();) {
    const auto up = parent(it->first);
    it = up == "/" || durable_.contains(up) ? std::next(it) : durable_.erase(it);
  }
  current_ = durable_;
  std::set<const Inode*> seen;
  for (const auto& [name, entry] : current_) {
    if (entry.inode && seen.insert(entry.inode.get()).second) entry.inode->power_loss(random_);
  }
}

DiskImage DiskImage::copy_of_content() const {
  DiskImage copy(random_);
  copy.put_content(*this);
  return copy;
}

// An inode has one copy, whatever names it has now and had when they were durable last.
void DiskImage::put_content(const DiskImage& from) {
  std::map<const Inode*, InodePtr> copies;
  const auto copied = [&copies](Entry entry) {
    if (!entry.inode) return entry;
    auto& copy = copies[entry.inode.get()];  // Looked up only.
    if (!copy) copy = std::make_shared<Inode>(*entry.inode);
    copy->locked = false;
    return Entry{copy, entry.directory};
  };
  Names current;
  Names durable;
  std::map<std::string, std::vector<Meta>> unsynced;
  for (const auto& [name, entry] : from.current_) current[name] = copied(entry);
  for (const auto& [name, entry] : from.durable_) durable[name] = copied(entry);
  for (const auto& [directory, metas] : from.unsynced_) {
    for (auto meta : metas) {
      for (auto& [name, entry] : meta) {
        if (entry) entry = copied(*entry);
      }
      unsynced[directory].push_back(std::move(meta));
    }
  }
  current_ = std::move(current);
  durable_ = std::move(durable);
  unsynced_ = std::move(unsynced);
}

void DiskImage::format(const std::vector<std::string>& directories) {
  current_.clear();
  unsynced_.clear();
  for (const auto& path : directories) current_[path] = Entry{nullptr, true};
  durable_ = current_;
}

}  // namespace tidemark::sim
