#include "sim/lost_copies.hpp"

#include <algorithm>

#include "engine/check.hpp"
#include "storage/superblock.hpp"

namespace tidemark::sim {

void lose_files(Cluster& cluster, std::uint32_t node) {
  CHECK(!cluster.alive(node));
  auto& disk = cluster.node(node).disk();
  for (const auto& path : disk.files(cluster.node(node).directory() + "/volumes")) {
    CHECK(disk.remove(path).has_value());
    CHECK(disk.sync_directory(path.substr(0, path.rfind('/'))).has_value());
  }
}

bool make_foreign(Cluster& cluster, std::uint32_t node, Random& random) {
  CHECK(!cluster.alive(node));
  const auto what = random.below(3);
  const auto other = engine::make_uuid(random.next(), random.next());
  bool changed = false;
  for (const auto& inode : cluster.files(node, "superblock")) {
    for (std::uint64_t i = 0; i < storage::superblock_slots; ++i) {
      const auto at = i * storage::superblock_slot_bytes;
      if (inode->size() < at + storage::superblock_slot_bytes) continue;
      auto block =
          storage::decode_superblock(inode->read(at, storage::superblock_slot_bytes).bytes());
      if (!block) continue;
      if (what == 0) block->cluster = other;
      if (what == 1) block->spec.id = other;
      if (what == 2) block->replica = engine::ReplicaId(block->replica.value + 1);
      const auto slot = storage::encode_superblock(*block).freeze();
      inode->apply(inode->prepare(at, {slot}), true);
      changed = true;
    }
  }
  return changed;
}

bool follows(Cluster& cluster, std::uint32_t node) {
  const auto seen = cluster.view();
  return seen && std::any_of(seen->copies.begin(), seen->copies.end(), [&](const CopyView& copy) {
           return copy.node == cluster.node(node).name() && copy.state == "streaming";
         });
}

}  // namespace tidemark::sim
