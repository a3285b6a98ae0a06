// Bytes on disks that are not what was written.
#include <algorithm>

#include "sim/faults.hpp"
#include "storage/wal_format.hpp"

namespace tidemark::sim {

using engine::millisecond;

std::vector<InodePtr> Faults::files_of(std::uint32_t node, std::string_view kind) {
  auto& disk = cluster_.node(node).disk();
  std::vector<InodePtr> inodes;
  for (const auto& path : disk.files(cluster_.node(node).directory() + "/volumes")) {
    if (path.ends_with(kind)) inodes.push_back(disk.inode(path));
  }
  return inodes;
}

bool Faults::rot_a_file(std::uint32_t node) {
  const auto files = files_of(node, random_.chance(2, 3) ? ".seg" : ".dat");
  if (files.empty()) return false;
  const auto inode = files[static_cast<std::size_t>(random_.below(files.size()))];

  // Behind the checkpoint only the end of the log matters:
  // half of the time the last of what was written.
  const auto end = inode->written_end();
  const auto last = random_.chance(1, 2) ? end : std::min<std::uint64_t>(end, 64 * page_bytes);
  return inode->rot(end - last, last, random_);
}

/// Of what later batches prove durable: the last one of a log looks torn, and only other copies
/// could tell (C14).
bool Faults::rot_proved_log(std::uint32_t node) {
  const auto header = [](const InodePtr& inode) {
    return storage::decode_segment_header(inode->read(0, page_bytes).bytes());
  };
  const auto files = files_of(node, ".seg");
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
  const auto& hit = batches[static_cast<std::size_t>(random_.below(batches.size()))];
  return inode.rot(hit.offset, hit.bytes(), random_);
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
  if (while_dead && !rot_a_file(node)) return cluster_.boot(node);
  cluster_.run_for(pause());
  cluster_.boot(node);
  cluster_.run_for(pause());
  cluster_.replace(node);
  whole_soon();
}

// Read by clients, by a rebuild or at the end of the run: right, once the others have helped.
void Faults::rot_extents() {
  const auto& rules = cluster_.options();
  const bool others_have_all = rules.mode == engine::Mode::sync_all && rules.min_copies >= 2;
  if (!others_have_all || !whole_soon()) return;
  if (!rotting_) rotting_ = copies_beside(cluster_.size()).front();
  cluster_.blocks_rot();
  if (random_.chance(1, 3)) {
    cluster_.admin_later("POST", "/v1/volumes/data/scrub",
                         "{\"action\":\"start\",\"rate\":10000000}", [](engine::AdminReply) {});
  }
  // A rotten checksum is met after a restart, or when a scrub looks.
  const auto files = files_of(*rotting_, random_.chance(1, 4) ? ".sum" : ".dat");
  if (files.empty() || !cluster_.alive(*rotting_)) return;
  for (auto left = random_.between(1, 12); left > 0; --left) {
    auto& inode = *files[static_cast<std::size_t>(random_.below(files.size()))];
    const auto pages = inode.written_end() / page_bytes;
    if (pages > 1 && random_.chance(1, 4)) {
      // A write that was meant for another place.
      const auto page = inode.read(random_.below(pages) * page_bytes, page_bytes).freeze();
      inode.apply(inode.prepare(random_.below(pages) * page_bytes, {page}), true);
    } else {
      inode.rot(0, inode.written_end(), random_);
    }
  }
  cluster_.run_for(pause());
}

// What a copy's node keeps beside its blocks: found by a scrub, which makes it good or does without it.
void Faults::rot_running() {
  if (cluster_.options().mode != engine::Mode::sync_all || !whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  const auto roll = random_.below(4);
  if (roll == 0) {
    cluster_.node(node).kv().rotten = true;
  } else {
    const auto files = files_of(node, roll == 1 ? "superblock" : ".seg");
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
  const std::string path = "/v1/volumes/data/scrub";
  const std::string scrub = "\"scrub\":{";
  const auto name = fmt::format("\"node\":\"{}\"", cluster_.node(node).name());
  cluster_.admin("POST", path, "{\"action\":\"stop\"}");
  cluster_.admin("POST", path, "{\"action\":\"start\",\"rate\":100000000}");
  for (int look = 0; look < 120 && !cluster_.failed(); ++look) {
    cluster_.run_for(500 * millisecond);
    const auto body = cluster_.admin("POST", path, "{}").body;
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
