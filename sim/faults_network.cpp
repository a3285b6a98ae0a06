// Partitions, and links that are slow, damaged, or over for one side only. All of them last a while
// and are healed; no process dies of them.
#include <algorithm>
#include <array>
#include <vector>

#include "sim/faults.hpp"

namespace tidemark::sim {

using engine::millisecond;
using engine::second;

std::vector<std::uint32_t> Faults::all_nodes() {
  std::vector<std::uint32_t> nodes;
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) nodes.push_back(n);
  shuffle(nodes);
  return nodes;
}

/// Somebody that others are connected to: the primary, or the control plane's host.
std::uint32_t Faults::hub() { return random_.chance(2, 3) ? primary_or_any() : 0; }

std::uint32_t Faults::another_node(std::uint32_t node) {
  const auto step = 1 + static_cast<std::uint32_t>(random_.below(cluster_.size() - 1));
  return (node + step) % cluster_.size();
}

void Faults::partition(bool one_way) {
  const auto a = random_.chance(1, 2) ? primary_or_any() : any_node();
  if (one_way) {
    const auto b =
        (a + 1 + static_cast<std::uint32_t>(random_.below(cluster_.size() - 1))) % cluster_.size();
    cluster_.block(a, b);
  } else {
    cluster_.isolate(a);
  }
  cluster_.run_for(pause());
  cluster_.heal();
}

/// One way round, or to both sides where that leaves anybody out.
void Faults::part_as_ring() {
  const auto nodes = all_nodes();
  const auto n = nodes.size();
  const bool both_sides = n > 3 && random_.chance(1, 2);
  for (std::size_t from = 0; from < n; ++from) {
    for (std::size_t to = 0; to < n; ++to) {
      const bool hears = to == (from + 1) % n || (both_sides && from == (to + 1) % n);
      if (from != to && !hears) cluster_.block(nodes[from], nodes[to]);
    }
  }
  cluster_.run_for(pause());
  cluster_.heal();
}

void Faults::part_as_bridge() {
  const auto nodes = all_nodes();  // The first one is in both groups.
  const auto first_of_second = 2 + random_.below(nodes.size() - 2);
  for (std::size_t a = 1; a < first_of_second; ++a) {
    for (auto b = first_of_second; b < nodes.size(); ++b) {
      part(nodes[a], nodes[static_cast<std::size_t>(b)]);
    }
  }
  cluster_.run_for(pause());
  cluster_.heal();
}

void Faults::one_way_all() {
  const auto node = random_.chance(1, 2) ? primary_or_any() : any_node();
  const bool hears = random_.chance(1, 2);
  for (const auto other : all_nodes()) {
    if (other == node) continue;
    if (hears) {
      cluster_.block(node, other);
    } else {
      cluster_.block(other, node);
    }
  }
  cluster_.run_for(pause());
  cluster_.heal();
}

void Faults::flap() {
  auto& net = cluster_.world().net;
  const auto a = hub();
  const auto b = another_node(a);
  const bool one_way = random_.chance(1, 3);
  const auto longest = random_.chance(1, 2) ? 5u : 60u;
  for (auto times = random_.between(10, 50); times > 0 && !cluster_.failed(); --times) {
    cluster_.block(a, b);
    if (!one_way) cluster_.block(b, a);
    if (random_.chance(1, 4)) cluster_.cut(a, b);
    cluster_.run_for(random_.below(longest) * millisecond);
    net.open(a, b);
    net.open(b, a);
    cluster_.run_for(random_.below(longest) * millisecond);
  }
  cluster_.heal();
}

void Faults::clog() {
  auto& net = cluster_.world().net;
  const auto node = random_.chance(1, 2) ? primary_or_any() : any_node();
  const auto gap = random_.between(1, random_.chance(1, 2) ? 5 : 200) * millisecond;
  const auto which = random_.below(4);
  const auto only = another_node(node);
  for (const auto other : all_nodes()) {
    if (other == node || (which == 3 && other != only)) continue;
    if (which != 1) net.clog(node, other, gap);
    if (which != 0) net.clog(other, node, gap);
  }
  if (make_busy) make_busy();
  cluster_.run_for(pause());
  cluster_.heal();
}

void Faults::flip_bits() {
  auto& net = cluster_.world().net;
  const auto node = hub();
  const auto one_in = random_.between(1, random_.chance(1, 2) ? 10 : 100);
  const bool everywhere = random_.chance(1, 3);
  const auto only = another_node(node);
  for (const auto other : all_nodes()) {
    if (other == node || (!everywhere && other != only)) continue;
    net.flip(node, other, one_in);
    net.flip(other, node, one_in);
  }
  if (make_busy) make_busy();
  cluster_.run_for(pause());
  cluster_.heal();
}

// Again while the one before is not noticed: several connections for one purpose are there at once.
void Faults::half_open() {
  const auto a = hub();
  const auto b = another_node(a);
  if (make_busy) make_busy();
  for (auto times = random_.between(1, 4); times > 0 && !cluster_.failed(); --times) {
    cluster_.world().net.half_open(a, b);
    cluster_.run_for(random_.below(1'500) * millisecond);
  }
  cluster_.run_for(pause());
}

// What a connection still carries when it is cut arrives beside what the next one does.
void Faults::late() {
  constexpr std::array<engine::Purpose, 3> purposes{engine::Purpose::records, engine::Purpose::bulk,
                                                    engine::Purpose::control};
  constexpr std::array<std::uint64_t, 3> up_to{50, 500, 4'000};
  auto& net = cluster_.world().net;
  const auto purpose = purposes[random_.below(purposes.size())];
  net.purpose_lag[purpose] = random_.below(up_to[random_.below(up_to.size())]) * millisecond;
  if (make_busy) make_busy();
  cluster_.run_for(pause());
  if (random_.chance(1, 2)) {
    const auto a = primary_or_any();
    net.half_open(a, another_node(a));
  }
  net.purpose_lag.erase(purpose);
  cluster_.run_for(pause());
}

}  // namespace tidemark::sim
