// Bytes on disks that are not what was written.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "sim/faults.hpp"
#include "sim/snapshot.hpp"
#include "storage/wal_format.hpp"

namespace tidemark::sim {

using engine::millisecond;
using engine::second;

bool Faults::rot_a_file(std::uint32_t node) {
  const auto files = cluster_.files(node, random_.chance(2, 3) ? ".seg" : ".dat");
  if (files.empty()) return false;
  const auto inode = files[static_cast<std::size_t>(random_.below(files.size()))];

  // Behind the checkpoint only the end of the log matters:
  // half of the time the last of what was written.
  const auto end = inode->written_end();
  const auto last = random_.chance(1, 2) ? end : std::min<std::uint64_t>(end, 64 * page_bytes);
  return inode->rot(end - last, last, random_);
}

/// Of what later batches prove durable: the last one of a log looks torn, and only other copies
/// could tell (C14). False: there is nothing to damage.
bool Faults::rot_proved_log(std::uint32_t node) {
  const auto header = [](const InodePtr& inode) {
    return storage::decode_segment_header(inode->read(0, page_bytes).bytes());
  };
  const auto files = cluster_.files(node, ".seg");
  const auto newest =
      std::max_element(files.begin(), files.end(), [&](const auto& a, const auto& b) {
        return header(b) && (!header(a) || header(a)->sequence < header(b)->sequence);
      });
  if (newest == files.end() || !header(*newest)) return false;
  auto& inode = **newest;
  const auto segment = *header(*newest);
  std::vector<storage::BatchHeader> batches;
  for (std::uint64_t at = page_bytes; at + page_bytes <= inode.written_end();) {
    const auto batch = storage::decode_batch_header(engine::VolumeKey(segment.volume),
                                                    inode.read(at, page_bytes).bytes(), at);
    if (!batch || batch->sequence != segment.sequence) break;
    at += batch->bytes();
    batches.push_back(*batch);
  }
  // The last ones may be torn by the power loss: their proof does not count.
  constexpr std::size_t doubtful = 4;
  if (batches.size() <= doubtful) return false;
  const auto proved = batches[batches.size() - 1 - doubtful].durable;
  std::erase_if(batches, [&](const auto& batch) { return batch.last() > proved; });
  if (batches.empty()) return false;
  // What the extents have already is not read again: the last one may be beyond that.
  const auto& hit = random_.chance(1, 2)
                        ? batches.back()
                        : batches[static_cast<std::size_t>(random_.below(batches.size()))];
  if (!inode.rot(hit.offset, hit.bytes(), random_)) return false;
  cluster_.log_proves(node, proved);
  return true;
}

// Read while it runs, or met by its recovery.
void Faults::rot() {
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;
  cluster_.rot_was_injected();
  const bool while_dead = random_.chance(2, 3);
  if (!while_dead && !rot_a_file(node)) return;
  cluster_.run_for(pause());
  cluster_.kill(node);
  if (while_dead && !(random_.chance(1, 2) ? rot_proved_log(node) : rot_a_file(node)))
    return cluster_.boot(node);
  cluster_.run_for(pause());
  cluster_.boot(node);
  cluster_.run_for(pause());
  cluster_.replace(node);
  whole_soon();
}

/// By the rules in force: a copy that lost a block finds it with another one, also while one is wiped.
bool Faults::others_have_all() {
  const auto seen = cluster_.view();
  return seen && cluster_.options().copies >= 3 && !cluster_.configuring() &&
         seen->mode == to_string(engine::Mode::sync_all) && seen->min_copies >= 2;
}

/// From now on blocks of one copy may rot, always of the same one; false: nobody would have them then.
bool Faults::may_rot() {
  if (cluster_.options().copies < 3) return false;
  if (!others_have_all() && !cluster_.configure(engine::Mode::sync_all, 2)) return false;
  if (!whole_soon() || !others_have_all()) return false;
  if (!rotting_) rotting_ = copies_beside(cluster_.size()).front();
  cluster_.blocks_rot();
  return true;
}

// Read by clients, by a rebuild or at the end of the run: right, once the others have helped.
void Faults::rot_extents() {
  if (!may_rot()) return;
  if (random_.chance(1, 3)) cluster_.begin_scrub(10'000'000);
  // A rotten checksum is met after a restart, or when a scrub looks.
  const auto files = cluster_.files(*rotting_, random_.chance(1, 4) ? ".sum" : ".dat");
  if (files.empty() || !cluster_.alive(*rotting_)) return;
  for (auto left = random_.between(1, 12); left > 0; --left) {
    auto& inode = *files[static_cast<std::size_t>(random_.below(files.size()))];
    const auto pages = inode.written_end() / page_bytes;
    if (pages > 1 && random_.chance(1, 4)) {
      // A write that was meant for another place.
      const auto page = inode.read(random_.below(pages) * page_bytes, page_bytes).freeze();
      inode.apply_astray(inode.prepare(random_.below(pages) * page_bytes, {page}), true);
    } else {
      inode.rot(0, inode.written_end(), random_);
    }
  }
  cluster_.run_for(pause());
}

// A block is written again and rots where its new content is, before anybody else's extents have that: who is asked for
// it may not give what was there before.
void Faults::rot_ahead() {
  if (!may_rot()) return;
  const auto node = *rotting_;
  const auto flushed = cluster_.world().settings.flush_after + 50 * millisecond;
  const auto hold_others = [&] {
    for (const auto other : copies_beside(node))
      hold_writes(other, [](const std::string& path) { return path.ends_with(".dat"); });
  };
  // What their flushers are held with cannot be read there; what is written behind that is old in their extents.
  if (random_.chance(1, 2)) {
    in_quiet([&] {
      const auto blocks = cluster_.history().size() / cells_per_block;
      const auto block = random_.below(blocks - 1);
      hold_others();
      cluster_.write(block == 0 ? 1 : block - 1, 1, true);
      cluster_.run_for(flushed);
      rot_changed(node, [&] { cluster_.write(block, random_.between(1, 2), true); });
      interregnum(node);
      cluster_.read(block, 2);
    });
  } else {
    hold_others();
    if (make_busy) make_busy();
    if (random_.chance(2, 3)) cluster_.run_for(flushed);
    rot_changed(node, [&] {
      if (make_busy) make_busy();
    });
  }
}

/// What the node flushes of this rots at once, and a scrub finds it before the others have it.
void Faults::rot_changed(std::uint32_t node, const std::function<void()>& write) {
  const Snapshot before(cluster_.files(node, ".dat"));
  write();
  bool rotten = false;
  const auto flushed = cluster_.now() + cluster_.world().settings.flush_after + 1 * second;
  while (cluster_.now() < flushed && !rotten && !cluster_.failed()) {
    cluster_.run_for(10 * millisecond);
    for (const auto& page : before.changed()) {
      if (random_.chance(1, 2)) rotten = page.file->rot(page.offset, page_bytes, random_) || rotten;
    }
  }
  const bool begun = rotten && cluster_.begin_scrub(100'000'000);
  cluster_.run_for(random_.below(500) * millisecond);
  for (const auto other : copies_beside(node)) cluster_.node(other).disk().holds = nullptr;
  if (rotten && !(begun && cluster_.scrub_ended())) {
    cluster_.fail("not_scrubbed", "a scrub does not end though nothing else happens");
  }
}

// Two of three copies have the old content and its checksum: only the log tells that they are wrong, and it does not
// lose the record, as the clients wait for the scrub.
void Faults::lost_writes() {
  cluster_.writes_were_lost();
  if (!whole_soon() || cluster_.configuring() || cluster_.history().resizing()) return;
  const auto primary = cluster_.serving();
  const auto liars = primary ? copies_beside(*primary) : std::vector<std::uint32_t>{};
  if (liars.size() < 2 || rotting_ == primary) return;  // Nobody else would have what it lost.
  in_quiet([&] { lose_writes(*primary, liars); });
}

void Faults::lose_writes(std::uint32_t primary, const std::vector<std::uint32_t>& liars) {
  constexpr auto flushed_within = 5 * second;
  cluster_.run_for(flushed_within);
  std::vector<Snapshot> before;
  for (const auto node : liars) before.push_back(cluster_.extents_now(node));
  const auto blocks = cluster_.history().size() / cells_per_block;
  for (auto left = random_.between(1, 4); left > 0; --left) {
    const auto count = random_.between(1, 8);
    if (!cluster_.write(random_.below(blocks - count), count)) return;
  }
  cluster_.run_for(flushed_within);
  if (cluster_.serving() != primary) return;
  for (const auto node : liars) cluster_.kill(node, how());
  cluster_.run_for(50 * millisecond);  // What was in flight lands first.
  for (const auto& content : before) content.restore();
  for (const auto node : liars) cluster_.boot(node);
  bool whole = false;
  for (int look = 0; look < 20 && !whole && !cluster_.failed(); ++look) whole = whole_soon();
  if (!whole)
    return cluster_.fail("not_converged",
                         "copies do not come back in line though nothing else happens");
  if (!cluster_.begin_scrub(1'000'000'000) || !cluster_.scrub_ended()) {
    cluster_.fail("not_scrubbed", "a scrub does not end though nothing else happens");
  }
}

// What a copy's node keeps beside its blocks: found by a scrub, which makes it good or does without it.
void Faults::rot_running() {
  const auto seen = cluster_.view();
  const bool all_have_all = seen && seen->mode == to_string(engine::Mode::sync_all);
  if (!all_have_all || !whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  const auto roll = random_.below(4);
  if (roll == 0) {
    cluster_.node(node).kv().rotten = true;
  } else {
    const auto files = cluster_.files(node, roll == 1 ? "superblock" : ".seg");
    if (files.empty()) return;
    auto& inode = *files[static_cast<std::size_t>(random_.below(files.size()))];
    if (!inode.rot(0, inode.written_end(), random_)) return;
  }
  if (scrubbed(node)) return;
  // Somebody was away for too long: what a restart would find now is no copy any more.
  cluster_.rot_was_injected();
  cluster_.wipe(node);
  cluster_.boot(node);
  cluster_.replace(node);
  whole_soon();
}

/// A scrub that began after the damage has been through all but the blocks.
bool Faults::scrubbed(std::uint32_t node) {
  const std::string scrub = "\"scrub\":{";
  const auto name = fmt::format("\"node\":\"{}\"", cluster_.node(node).name());
  cluster_.begin_scrub(100'000'000);
  for (int look = 0; look < 120 && !cluster_.failed(); ++look) {
    cluster_.run_for(500 * millisecond);
    const auto body = cluster_.admin("POST", "/v1/volumes/data/scrub", "{}").body;
    for (auto at = body.find(scrub); at != std::string::npos; at = body.find(scrub, at + 1)) {
      const auto end = body.find("\"node\":", at);
      if (end == std::string::npos || body.compare(end, name.size(), name) != 0) continue;
      const auto copy = body.substr(at, end - at);
      for (const auto* state : {"blocks", "repairing", "finished"})
        if (copy.find(fmt::format("\"state\":\"{}\"", state)) != std::string::npos) return true;
    }
  }
  return false;
}

}  // namespace tidemark::sim
