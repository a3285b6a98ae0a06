// What is left must serve.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "sim/faults.hpp"

namespace tidemark::sim {

using engine::second;

/// Copies that the volume cannot do without, whatever befalls the others.
std::size_t Faults::core_size(const VolumeView& seen) const {
  const auto least = std::max<std::size_t>(1, seen.min_copies);
  const bool quorum = seen.mode == to_string(engine::Mode::sync_quorum);
  return quorum ? std::max(least, seen.copies.size() / 2 + 1) : least;
}

/// For good, as far as anybody can tell. The control plane's host goes on, without its copy.
void Faults::break_node(std::uint32_t node) {
  if (node == 0) {
    cluster_.node(0).disk().fail_writes = 1'000'000;
    return;
  }
  switch (random_.below(3)) {
    case 0:
      return cluster_.kill(node, how());
    case 1:
      return cluster_.isolate(node);
    default:
      cluster_.node(node).disk().stuck = true;
  }
}

void Faults::mend_nodes(const std::vector<std::uint32_t>& nodes) {
  cluster_.heal();
  for (const auto node : nodes) {
    auto& disk = cluster_.node(node).disk();
    disk.fail_writes = 0;
    disk.stuck = false;
    cluster_.kill(node);
    cluster_.boot(node);
  }
}

// All copies are whole, and then as few of them are left as the volume's rules let it go on with; an operator asks one of
// these to be the primary if none is. It has to answer a write that is on all of them, though nobody else ever comes back.
void Faults::core_alone() {
  if (cluster_.rotten() || !whole_soon()) return;
  const auto seen = cluster_.view();
  if (!seen || cluster_.configuring()) return;
  const auto primary = primary_or_any();
  auto others = copies_beside(primary);
  // In best_effort nobody but the primary is known to have all.
  if (seen->alone() || random_.chance(1, 2)) {
    others.insert(others.begin(), primary);
  } else {
    others.push_back(primary);
  }
  const auto core_end = others.begin() + static_cast<std::ptrdiff_t>(core_size(*seen));
  const std::vector<std::uint32_t> core(others.begin(), core_end);
  const std::vector<std::uint32_t> broken(core_end, others.end());
  for (const auto node : broken) break_node(node);
  if (make_busy) make_busy();
  const auto in_core = [&](std::uint32_t node) {
    return std::find(core.begin(), core.end(), node) != core.end();
  };
  const auto answered = std::make_shared<bool>(false);
  const auto limit = cluster_.now() + progress_max;
  while (!*answered && !cluster_.failed() && cluster_.now() < limit) {
    const auto serving = cluster_.serving();
    if (!serving || !in_core(*serving)) wish(core.front());
    Ask ask;
    ask.op = engine::FrontOp::write;
    ask.cells = {0, cells_per_block};
    ask.fua = true;
    cluster_.send(ask, [answered](const std::optional<engine::Error>& error) {
      if (!error) *answered = true;
    });
    cluster_.run_until([&] { return *answered; }, 2 * second);
  }
  if (!*answered && !cluster_.failed()) {
    const auto now = cluster_.view();
    cluster_.fail("no_progress",
                  fmt::format("{} of {} copies are left, {} are enough, and no write was answered "
                              "in {} s; it waits for: {}",
                              core.size(), others.size(), core_size(*seen), progress_max / second,
                              now ? now->waiting_for : "the control plane"));
  }
  mend_nodes(broken);
}

}  // namespace tidemark::sim
