// No faults: what an operator changes about the volume while everything else goes wrong.
#include <array>

#include "sim/faults.hpp"

namespace tidemark::sim {

using engine::millisecond;
using engine::second;

/// Another size than now, of those that end within an extent file, at its end, and behind it.
void Faults::resize_anywhere() {
  constexpr std::array<std::uint64_t, 4> sizes{256, 300, 384, 512};
  cluster_.begin_resize(sizes[random_.below(sizes.size())]);
}

void Faults::shrink_and_grow() {
  const auto settled = [&] { return !cluster_.history().resizing(); };
  if (!cluster_.run_until(settled, 2 * second)) return;
  const auto was = cluster_.history().size() / cells_per_block;
  const bool begun = cluster_.begin_resize(was > 256 ? 256 : 512);
  cluster_.run_for(pause());
  if (random_.chance(1, 2)) kill_and_boot(random_.chance(1, 2) ? primary_or_any() : any_node());
  if (!begun || !cluster_.run_until(settled, 20 * second)) return;
  cluster_.begin_resize(was > 256 ? was : 256);
  if (random_.chance(1, 2)) kill_and_boot(random_.chance(1, 2) ? primary_or_any() : any_node());
}

/// In sync_quorum less than a majority would say nothing, and is refused. Two copies would have no majority while one
/// of them is replaced.
void Faults::reconfigure_to(engine::Mode mode) {
  const auto all = cluster_.options().copies;
  if (all < 3 && mode == engine::Mode::sync_quorum) mode = engine::Mode::sync_all;
  const auto least = mode == engine::Mode::sync_quorum ? 2u : 1u;
  const auto most = random_.chance(1, 4) ? all : 2u;
  const auto copies = mode == engine::Mode::best_effort ? 1 : random_.between(least, most);
  cluster_.begin_configure(mode, static_cast<std::uint32_t>(copies));
}

void Faults::reconfigure_anyhow() {
  constexpr std::array<engine::Mode, 5> modes{engine::Mode::sync_all, engine::Mode::sync_quorum,
                                              engine::Mode::sync_all, engine::Mode::sync_quorum,
                                              engine::Mode::best_effort};
  reconfigure_to(modes[random_.below(modes.size())]);
}

/// Mostly to the other of the modes that lose nothing.
void Faults::reconfigure_otherwise() {
  const auto seen = cluster_.view();
  if (!seen || random_.chance(1, 4)) return reconfigure_anyhow();
  const bool quorum = seen->mode == to_string(engine::Mode::sync_quorum);
  const auto other = quorum ? engine::Mode::sync_all : engine::Mode::sync_quorum;
  const bool has_majority = quorum || cluster_.options().copies >= 3;
  if (has_majority && random_.chance(1, 2)) return cluster_.begin_configure(other, std::nullopt);
  reconfigure_to(other);
}

// What is wanted first may be numbered, committed, told or none of it when the second is wanted.
void Faults::reconfigure_twice() {
  if (random_.chance(1, 2)) whole_soon();
  auto& disk = cluster_.node(any_node()).disk();
  if (random_.chance(1, 3)) disk.slow_factor = random_.between(5, 200);
  reconfigure_anyhow();
  if (random_.chance(1, 3)) resize_anywhere();
  cluster_.run_for(random_.chance(1, 2) ? random_.below(5) * millisecond : pause());
  if (random_.chance(1, 2)) kill_and_boot(random_.chance(1, 2) ? primary_or_any() : any_node());
  reconfigure_anyhow();
  cluster_.run_for(random_.below(20) * millisecond);
  if (random_.chance(1, 2)) kill_and_boot(random_.chance(2, 3) ? primary_or_any() : any_node());
  disk.slow_factor = 1;
}

// What it commits meanwhile the next primary has to have, whichever rule that is chosen by.
void Faults::reconfigure_unheard() {
  if (!whole_soon()) return;
  const auto primary = primary_or_any();
  if (primary == 0) return;  // the control plane's host
  auto& lags = cluster_.world().net.records_lag;
  reconfigure_anyhow();
  cluster_.run_for(random_.below(10) * millisecond);
  part(0, primary);
  const auto lag = random_.chance(1, 2) ? random_.below(400) * millisecond : 10 * second;
  const auto others = copies_beside(primary);
  for (const auto other : others) {
    if (random_.chance(1, 2)) lags[other] = lag;
  }
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(1500) * millisecond);
  cluster_.kill(primary, how());
  cluster_.heal();
  for (const auto other : others) lags.erase(other);
  interregnum(others.front());
  cluster_.boot(primary);
}

}  // namespace tidemark::sim
