// What disks do beside failing for good: sectors that cannot be read, writes that land elsewhere, syncs that fail, no
// space for anything, operations that take seconds, and a disk out of a backup.
#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "sim/faults.hpp"

namespace tidemark::sim {

using engine::Errc;
using engine::millisecond;
using engine::second;

namespace {

bool is_extents(const std::string& path) { return path.ends_with(".dat"); }
bool is_log(const std::string& path) { return path.ends_with(".seg"); }

}  // namespace

void Faults::fail_sync() {
  const auto node = any_node();
  auto& disk = cluster_.node(node).disk();
  (random_.chance(1, 2) ? disk.fail_syncs : disk.fail_writes) = 1;
  cluster_.run_for(pause());
  disk.fail_syncs = 0;
  disk.fail_writes = 0;
  kill_and_boot(node);
}

void Faults::fill_disk() {
  auto& disk = cluster_.node(any_node()).disk();
  disk.capacity_bytes = disk.used_bytes() + random_.below(6u << 20);
  cluster_.run_for(pause());
  disk.capacity_bytes = DiskImage::no_quota;
}

// Half of the time it comes back by itself before its replica is given up; else a restart finds it
// sound. The primary's as often as another's.
void Faults::stick_disk() {
  const auto node = random_.chance(1, 2) ? primary_or_any() : any_node();
  auto& disk = cluster_.node(node).disk();
  const auto eject_after = cluster_.world().settings.disk_eject_after;
  disk.stuck = true;
  if (random_.chance(1, 2)) {
    cluster_.run_for(random_.below(eject_after * 3 / 4));
    disk.stuck = false;
    return;
  }
  cluster_.run_for(random_.below(2 * eject_after));
  if (random_.chance(1, 2)) disk.stuck = false;  // What it took long ago lands in a store given up.
  cluster_.run_for(pause());
  cluster_.kill(node, how());
  disk.stuck = false;
  cluster_.run_for(pause());
  cluster_.boot(node);
}

// Sectors of one copy's blocks, or of their checksums: whoever reads them gets the blocks from another copy, and they
// are written again.
void Faults::unreadable() {
  if (!may_rot()) return;
  if (random_.chance(1, 3)) cluster_.begin_scrub(10'000'000);
  const auto files = cluster_.files(*rotting_, random_.chance(1, 4) ? ".sum" : ".dat");
  if (files.empty() || !cluster_.alive(*rotting_)) return;
  for (auto left = random_.between(1, 12); left > 0; --left) {
    auto& inode = *files[static_cast<std::size_t>(random_.below(files.size()))];
    const auto pages = inode.written_end() / page_bytes;
    if (pages > 0) inode.spoil(random_.below(pages));
  }
  cluster_.run_for(pause());
  if (random_.chance(1, 2)) kill_and_boot(*rotting_);
  cluster_.run_for(pause());
}

// What a restart needs to read, and cannot: no torn tail, and nothing that may be left out. The disk is replaced.
void Faults::unreadable_log() {
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  cluster_.kill(node, how());
  const auto files = cluster_.files(node, random_.chance(1, 4) ? "superblock" : ".seg");
  for (auto left = files.empty() ? 0 : random_.between(1, 6); left > 0; --left) {
    auto& inode = *files[static_cast<std::size_t>(random_.below(files.size()))];
    const auto pages = inode.written_end() / page_bytes;
    if (pages > 0) inode.spoil(pages - 1 - random_.below(std::min<std::uint64_t>(pages, 64)));
  }
  cluster_.run_for(pause());
  cluster_.boot(node);
  cluster_.run_for(pause());
  cluster_.replace(node);
  whole_soon();
}

// A bad cable: operations of some kind fail for a moment, and later ones do not.
void Faults::brief_errors() {
  constexpr std::array<DiskOp, 6> kinds{DiskOp::read,   DiskOp::read,  DiskOp::write,
                                        DiskOp::create, DiskOp::punch, DiskOp::sync_directory};
  if (!whole_soon()) return;
  const auto node = random_.chance(1, 2) ? primary_or_any() : any_node();
  const auto kind = kinds[random_.below(kinds.size())];
  const auto left = std::make_shared<std::uint64_t>(random_.between(1, 3));
  auto& disk = cluster_.node(node).disk();
  disk.fails = [=](DiskOp op, const std::string&) {
    if (op != kind || *left == 0) return std::optional<Errc>();
    --*left;
    return std::optional(Errc::io_failed);
  };
  if (make_busy) make_busy();
  if (kind == DiskOp::read) kill_and_boot(copies_beside(node).front());  // Its log is read.
  cluster_.run_for(pause());
  disk.fails = nullptr;
  kill_and_boot(node);  // Its store may have ended.
}

// A sync fails, and what the next one says of the same pages is worth nothing. Whoever starts again on that page cache
// may take nothing in it for durable.
void Faults::lost_sync() {
  constexpr std::array<FailedSync, 3> all{FailedSync::reverts, FailedSync::looks_clean,
                                          FailedSync::stays_dirty};
  const auto node = random_.chance(1, 2) ? primary_or_any() : any_node();
  auto& disk = cluster_.node(node).disk();
  disk.failed_sync = all[random_.below(all.size())];
  if (make_busy) make_busy();
  disk.fail_syncs = random_.between(1, 2);
  cluster_.run_until([&] { return disk.fail_syncs == 0; }, 3 * second);
  disk.fail_syncs = 0;
  cluster_.run_for(random_.below(400) * millisecond);
  cluster_.kill(node);
  cluster_.run_for(random_.below(100) * millisecond);
  cluster_.boot(node);
  if (random_.chance(1, 2)) {
    // What it believes to be on its disk is all that is left of it.
    cluster_.run_for(random_.below(1'000) * millisecond);
    cluster_.kill(node, Kill::power);
    cluster_.run_for(pause());
    cluster_.boot(node);
  }
  disk.failed_sync = FailedSync::as_the_seed_says;
}

/// Some of the next writes to such files land at another place of the same file that was written before.
void Faults::misdirect(std::uint32_t node, bool (*which)(const std::string&), std::uint64_t count) {
  auto& disk = cluster_.node(node).disk();
  const auto left = std::make_shared<std::uint64_t>(count);
  const auto own = std::make_shared<Random>(random_.fork());
  disk.misdirects = [=, &disk](const std::string& path, std::uint64_t, std::uint64_t bytes) {
    const auto inode = disk.inode(path);
    const bool fits = inode && inode->written_end() >= bytes;
    if (*left == 0 || !which(path) || !fits || own->chance(1, 2))
      return std::optional<std::uint64_t>();
    --*left;
    const auto places = (inode->written_end() - bytes) / page_bytes + 1;
    return std::optional(own->below(places) * page_bytes);
  };
}

// Two places are wrong: where it should be the old content stands, and what was elsewhere is gone.
void Faults::misdirected() {
  if (!may_rot()) return;
  const auto node = *rotting_;
  misdirect(node, is_extents, random_.between(1, 6));
  if (make_busy) make_busy();
  cluster_.run_for(1 * second + pause());
  cluster_.node(node).disk().misdirects = nullptr;
  if (random_.chance(1, 3)) cluster_.begin_scrub(10'000'000);
  if (random_.chance(1, 2)) kill_and_boot(node);
  cluster_.run_for(pause());
}

// It was told that its log has what is not there; the others know what it said.
void Faults::misdirected_log() {
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  cluster_.rot_was_injected();
  misdirect(node, is_log, random_.between(1, 3));
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(500) * millisecond);
  cluster_.node(node).disk().misdirects = nullptr;
  cluster_.kill(node, how());
  cluster_.run_for(pause());
  cluster_.boot(node);
  cluster_.run_for(pause());
  cluster_.replace(node);
  whole_soon();
}

// Somebody else took the reserve too: no name, no directory and no new page can be had.
void Faults::no_space() {
  auto& disk = cluster_.node(random_.chance(1, 2) ? primary_or_any() : any_node()).disk();
  disk.capacity_bytes = disk.used_bytes();
  if (random_.chance(1, 2)) {
    disk.fails = [](DiskOp op, const std::string&) {
      const bool a_name =
          op == DiskOp::create || op == DiskOp::rename || op == DiskOp::make_directory;
      return a_name ? std::optional(Errc::no_space) : std::nullopt;
    };
  }
  if (make_busy) make_busy();
  if (flood && random_.chance(1, 3)) flood();
  cluster_.run_for(pause());
  if (random_.chance(1, 3)) kill_and_boot(primary_or_any());
  cluster_.run_for(pause());
  disk.capacity_bytes = DiskImage::no_quota;
  disk.fails = nullptr;
  cluster_.run_for(pause());
}

// The catalog of a node fails one commit, and takes none any more until it is opened again.
void Faults::catalog_fails() {
  const auto node = any_node();
  cluster_.node(node).kv().fail_commits = 1;
  if (random_.chance(1, 2)) wish(any_node());
  cluster_.run_for(pause());
  if (random_.chance(1, 2)) wish(any_node());
  cluster_.run_for(pause());
  cluster_.node(node).kv().fail_commits = 0;
  kill_and_boot(node);
}

// Most operations are quick, and some take seconds: all is well, and nothing comes in order.
void Faults::slow_operations() {
  const auto node = random_.chance(1, 2) ? primary_or_any() : any_node();
  const auto most = std::min<std::uint64_t>(cluster_.world().settings.disk_eject_after * 3 / 4,
                                            random_.between(200, 6'000) * millisecond);
  const auto one_in = random_.between(2, 60);
  const auto own = std::make_shared<Random>(random_.fork());
  auto& disk = cluster_.node(node).disk();
  disk.delays = [=](DiskOp, const std::string&) {
    return own->chance(1, one_in) ? own->below(most / millisecond) * millisecond : 0;
  };
  if (make_busy) make_busy();
  cluster_.run_for(pause() + pause());
  if (random_.chance(1, 3)) kill_and_boot(random_.chance(1, 2) ? node : primary_or_any());
  cluster_.run_for(pause());
  disk.delays = nullptr;
}

// A snapshot of one node's disks is put back, log, extents, catalog and all: what it said since then to be on its disk
// is not there, and nothing on it tells. The others have all; whoever asks for it as primary must not get it as it is.
void Faults::old_image() {
  if (!whole_soon() || cluster_.configuring()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  const bool stopped = random_.chance(1, 3);
  if (stopped) cluster_.stop(node);
  const auto image = cluster_.node(node).image();
  cluster_.boot(node);
  if (make_busy) make_busy();
  if (flood && random_.chance(1, 4)) flood();
  cluster_.run_for(pause());
  for (auto again = random_.below(3); again > 0; --again) kill_and_boot(node);
  if (!whole_soon()) return;
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(800) * millisecond);
  cluster_.roll_back(node, image);
  cluster_.run_for(random_.below(50) * millisecond);
  cluster_.boot(node);
  cluster_.run_for(random_.below(20) * millisecond);
  if (random_.chance(1, 2)) wish(node);
  healed_by_restarts(node);
}

bool Faults::admitted_soon(std::uint32_t node) {
  for (int i = 0; i < 20 && !cluster_.failed(); ++i) {
    if (cluster_.admitted(node)) return true;
    cluster_.run_for(100 * millisecond);
  }
  return false;
}

/// A node whose incarnation was used before is not let in until it is a later one: an operator starts it again. Others
/// may take a dead process for it meanwhile, and the volume for whole.
void Faults::healed_by_restarts(std::uint32_t node) {
  constexpr int restarts_max = 6;
  for (int again = 0; again < restarts_max && !cluster_.failed(); ++again) {
    if (admitted_soon(node) && whole_soon()) return;
    kill_and_boot(node);
  }
}

}  // namespace tidemark::sim
