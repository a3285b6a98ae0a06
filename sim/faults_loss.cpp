// Power that goes amid the writes of one kind, and copies of which nothing is left or that are somebody else's.
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sim/faults.hpp"
#include "sim/lost_copies.hpp"

namespace tidemark::sim {

using engine::millisecond;
using engine::second;

/// Reigns and who asked in them stand in superblocks: behind some of them one sector does not hold it any more.
void Faults::several_reigns() {
  for (auto left = random_.between(4, 10); left > 0 && !cluster_.failed(); --left) {
    wish(copies_beside(primary_or_any()).front());
    cluster_.run_for(random_.between(200, 900) * millisecond);
  }
}

// Writes of one kind come through late and in any order, and then the lights go out: at a moment of its own choice a power
// loss hardly ever meets a superblock on its way, or a batch that is behind the next one.
void Faults::power_amid_writes() {
  static constexpr std::array<std::string_view, 4> kinds{".seg", ".dat", ".sum", "superblock"};
  const auto kind = kinds[static_cast<std::size_t>(random_.below(kinds.size()))];
  if (kind == "superblock") several_reigns();
  const auto chosen = random_.chance(1, 2) ? primary_or_any() : any_node();
  const bool all = random_.chance(1, 3);
  const auto late = random_.chance(1, 2) ? LateWrites::all_torn : LateWrites::as_the_seed_says;
  const auto met = std::make_shared<bool>(false);
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) {
    if (!all && n != chosen) continue;
    cluster_.node(n).disk().holds = [=, dice = random_.fork()](DiskOp op,
                                                               const std::string& path) mutable {
      if (op != DiskOp::write || !path.ends_with(kind)) return false;
      *met = true;
      return dice.chance(2, 3);
    };
  }
  if (make_busy) make_busy();
  cluster_.run_until([&] { return *met; }, 2 * second);
  cluster_.run_for(random_.below(8'000) * 1'000);
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) {
    auto& disk = cluster_.node(n).disk();
    disk.late_writes = late;
    if (all || n == chosen) cluster_.kill(n, Kill::power);
    disk.holds = nullptr;
    disk.late_writes = LateWrites::as_the_seed_says;
  }
  cluster_.run_for(pause());
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) cluster_.boot(n);
}

// A new copy is made where somebody else takes what is left of the disk, halfway through a segment of its log: half a
// segment is none, and the copy does with those that it has until there is room again.
void Faults::cramped_copy() {
  constexpr std::size_t segments_before = 2;  // Without them it is no copy at all.
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  cluster_.wipe(node);
  cluster_.run_for(500 * millisecond);
  auto& disk = cluster_.node(node).disk();
  const auto whole = cluster_.world().settings.segment_bytes;
  disk.fails = [this, &disk, node, whole](DiskOp op, const std::string& path) {
    if (op != DiskOp::write || !path.ends_with(".seg")) return std::optional<engine::Errc>();
    const auto inode = disk.inode(path);
    const bool half = inode && inode->size() > 0 && inode->size() < whole;
    const bool first = cluster_.files(node, ".seg").size() <= segments_before;
    return half && !first ? std::optional(engine::Errc::no_space) : std::nullopt;
  };
  cluster_.boot(node);
  cluster_.replace(node);
  if (flood) flood();
  cluster_.run_for(2 * second + pause());
  disk.fails = nullptr;
  whole_soon();
}

// An empty disk is mounted where the copy was: it is none any more, until an operator puts a new one there.
void Faults::emptied_copy() {
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  cluster_.kill(node, how());
  cluster_.run_for(50 * millisecond);  // What was in flight lands first.
  lose_files(cluster_, node);
  cluster_.boot(node);
  cluster_.run_for(pause());
  cluster_.replace(node);
  whole_soon();
}

// Somebody else's disk is: whatever it holds, it is no copy of this volume.
void Faults::foreign_copy() {
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  cluster_.kill(node, how());
  cluster_.run_for(50 * millisecond);  // What was in flight lands first.
  if (!make_foreign(cluster_, node, random_)) return cluster_.boot(node);
  cluster_.boot(node);
  cluster_.run_for(1 * second + pause());
  // The primary may not have heard yet that the one from before is gone.
  constexpr int looks_max = 16;
  for (int look = 0; look < looks_max && follows(cluster_, node); ++look)
    cluster_.run_for(1 * second);
  if (!cluster_.failed() && follows(cluster_, node)) {
    cluster_.fail("foreign_adopted", "a copy that belongs to somebody else follows the primary");
  }
  cluster_.replace(node);
  whole_soon();
}

}  // namespace tidemark::sim
