// Power that goes amid the writes of one kind, and copies of which nothing is left or that are somebody else's.
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "sim/faults.hpp"
#include "sim/lost_copies.hpp"

namespace tidemark::sim {

using engine::millisecond;
using engine::second;

// Writes of one kind come through late and in any order, and then the lights go out: at a moment of its own choice a power
// loss hardly ever meets a superblock on its way, or a batch that is behind the next one.
void Faults::power_amid_writes() {
  static constexpr std::array<std::string_view, 4> kinds{".seg", ".dat", ".sum", "superblock"};
  const auto kind = kinds[static_cast<std::size_t>(random_.below(kinds.size()))];
  const auto chosen = random_.chance(1, 2) ? primary_or_any() : any_node();
  const bool all = random_.chance(1, 3);
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
    if (all || n == chosen) cluster_.kill(n, Kill::power);
    cluster_.node(n).disk().holds = nullptr;
  }
  cluster_.run_for(pause());
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) cluster_.boot(n);
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
  if (follows(cluster_, node)) {
    cluster_.fail("foreign_adopted", "a copy that belongs to somebody else follows the primary");
  }
  cluster_.replace(node);
  whole_soon();
}

}  // namespace tidemark::sim
