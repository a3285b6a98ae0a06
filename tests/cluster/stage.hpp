// Where a history is played: a small cluster whose disks and links can be held at any moment. Each
// history is a few lines that break a design without the rule it is about. It is played twice: as
// the product is, where it must hold, and with the one mistake planted, where the judges of the
// cluster (or the story's own `must`) have to notice.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/planted.hpp"
#include "sim/cluster.hpp"

namespace tidemark::cluster_tests {

using engine::Bug;
using engine::millisecond;
using engine::second;
using sim::Fate;
using sim::Kill;
using sim::Passage;

class Stage : public sim::Cluster {
 public:
  explicit Stage(sim::ClusterOptions options) : Cluster(std::move(options)) {}

  /// The story's own judgement.
  void must(bool held, const std::string& cls, const std::string& what) {
    if (!held && !failed()) fail(cls, what);
  }

  // --- disks
  /// Writes to the node's log do not complete; what is in flight dies with the process.
  void hold_log(std::uint32_t node);
  /// The same of its extents.
  void hold_extents(std::uint32_t node);
  void hold_reads(std::uint32_t node);
  void let_go(std::uint32_t node) { this->node(node).disk().holds = nullptr; }

  // --- links
  /// Asked of each message that arrives; the first rule that does not say pass decides.
  void rule(std::function<Fate(const Passage&)> decide);
  /// Records, and what is said behind them on that connection, wait.
  void hold_records(std::uint32_t from, std::uint32_t to);
  void pass_all();
  /// Control plane's host and node hear nothing of each other.
  void part_from_control(std::uint32_t node);

  // --- requests that are not waited for
  std::shared_ptr<bool> later(engine::FrontOp op, std::uint64_t block, bool fua = false,
                              std::uint64_t blocks = 1);
  std::shared_ptr<bool> later_write(std::uint64_t block, bool fua = false) {
    return later(engine::FrontOp::write, block, fua);
  }

  // --- people
  /// An operator asks for this primary, and does not wait.
  void wish(std::uint32_t node, bool force = false);
  bool serves(std::uint32_t node);
  std::optional<sim::CopyView> copy(std::uint32_t node);
  /// Whether any copy of the node counts: one that is replaced stays for a while beside the new one.
  bool in_set(std::uint32_t node);
  /// More than any log of these clusters keeps, over blocks [0, 190).
  void flood();
};

using Story = std::function<void(Stage&)>;

/// The control plane has a node of its own (0), copies are on 1, 2 and 3; 1 is primary at first.
sim::ClusterOptions apart();
/// The same with two copies, on 1 and 2, of which one is enough.
sim::ClusterOptions pair();
/// What is written stays in the log: nothing is flushed to the extents by its age.
sim::ClusterOptions lazy(sim::ClusterOptions options);

/// As the product is, every seed from 1 on holds.
void must_hold(const Story& story, const sim::ClusterOptions& options = {},
               std::uint64_t seeds = 1);
/// With the mistake planted at least one of these seeds fails, and in one of these ways ("check" is
/// a failed CHECK).
void must_break(Bug bug, const std::vector<std::string>& classes, const Story& story,
                const sim::ClusterOptions& options = {}, std::uint64_t seeds = 1);

}  // namespace tidemark::cluster_tests
