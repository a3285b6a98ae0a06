// Processes that end between two durable steps, and recoveries that end so as well: at a point of the
// table of all of them, that something has to bring the node by.
#include <fmt/format.h>

#include <algorithm>

#include "sim/faults.hpp"

namespace tidemark::sim {

using engine::millisecond;
using engine::second;

namespace {

/// A point that the node does not come by in this time is left for another run.
constexpr std::uint64_t comes_by_within = 3 * second;
/// Points that an opening and what follows it come by.
constexpr std::uint64_t points_of_a_recovery = 48;

bool removes(Provocation by) {
  return by == Provocation::removed_copy || by == Provocation::removed_fork;
}

/// Bytes of one copy go, or are not asked for: the others have to be whole.
bool needs_whole(Provocation by) {
  return by == Provocation::new_copy || by == Provocation::left_behind ||
         by == Provocation::forced || removes(by);
}

}  // namespace

void Faults::crash_point() {
  for (auto rounds = random_.between(1, 3); rounds > 0 && !cluster_.failed(); --rounds) {
    const CrashPoint point = random_.below(crash_points());
    const auto by = provocation_of(point);
    if (needs_whole(by) && !whole_soon()) return;
    const auto node = node_to_end(by);
    // The control plane's host has to decide what becomes of a copy.
    if (needs_whole(by) && node == 0) continue;
    auto& points = cluster_.crash_points();
    const auto first = first_end_for(point);
    points.arm(node, first.value_or(point), random_.chance(1, 3));
    provoke(by, node);
    bool ended = came_by();
    if (ended && first) {
      points.arm(node, point, random_.chance(1, 3));
      cluster_.boot(node);
      ended = came_by();
    }
    if (ended) recover_again(node);
    cluster_.boot(node);
    if (removes(by)) add_copy(node);
  }
  whole_soon();
}

/// Whether the node came by its point within some seconds, and ended there.
bool Faults::came_by() {
  auto& points = cluster_.crash_points();
  cluster_.run_until([&] { return !points.armed(); }, comes_by_within);
  const bool ended = !points.armed();
  points.disarm();
  return ended;
}

std::uint32_t Faults::node_to_end(Provocation by) {
  if (by == Provocation::decision) return 0;
  if (needs_whole(by) || random_.chance(1, 2)) return replica_node();
  return primary_or_any();
}

/// Brings the node by such a point. It may end on the way.
void Faults::provoke(Provocation by, std::uint32_t node) {
  auto& disk = cluster_.node(node).disk();
  if (make_busy) make_busy();
  switch (by) {
    case Provocation::load:
      if (flood && random_.chance(1, 2)) flood();
      return;
    case Provocation::restart:
      return kill_and_boot(node);
    case Provocation::new_copy:
      cluster_.wipe(node);
      cluster_.run_for(pause());
      cluster_.boot(node);
      cluster_.replace(node);
      return;
    case Provocation::left_behind:
      cluster_.kill(node, how());
      if (flood) flood();
      cluster_.run_for(1 * second + pause());
      return cluster_.boot(node);
    case Provocation::forced:
      return reign_of_who_lacks(node);
    case Provocation::removed_fork:
      reign_of_who_lacks(node);
      if (!whole_soon()) return;
      [[fallthrough]];
    case Provocation::removed_copy:
      ask_for_copy("remove", node);
      return;
    case Provocation::resize:
      cluster_.begin_resize(random_.chance(1, 2) ? 256 : 512);
      cluster_.run_for(random_.below(500) * millisecond);
      cluster_.begin_resize(256);
      return;
    case Provocation::full_disk:
      if (flood) flood();
      disk.capacity_bytes = disk.used_bytes() + random_.below(6u << 20);
      cluster_.run_for(comes_by_within);
      disk.capacity_bytes = DiskImage::no_quota;
      return;
    case Provocation::promotion:
    case Provocation::decision:
      return wish(copies_beside(primary_or_any()).front());
    case Provocation::scrub:
      cluster_.begin_scrub(10'000'000);
      return;
  }
}

/// What the others have and it does not is lost, and put aside by `node`.
void Faults::reign_of_who_lacks(std::uint32_t node) {
  auto others = copies_beside(node);
  std::erase_if(others, [this](std::uint32_t n) { return n == 0 || n == rotting_; });
  if (others.empty()) return;
  const auto heir = others.front();
  cluster_.kill(heir, how());
  if (make_busy) make_busy();
  cluster_.run_for(500 * millisecond + pause());
  cluster_.boot(heir);
  cluster_.run_for(random_.below(100) * millisecond);
  cluster_.promote(heir, true);
}

/// The node comes back and ends again, where no plan says; a few times at most.
void Faults::recover_again(std::uint32_t node) {
  auto& points = cluster_.crash_points();
  for (auto again = random_.below(3); again > 0 && !cluster_.failed(); --again) {
    cluster_.run_for(pause());
    points.arm_any(node, random_.below(points_of_a_recovery), random_.chance(1, 3));
    cluster_.boot(node);
    if (!came_by()) return;
  }
  cluster_.run_for(pause());
}

engine::AdminReply Faults::ask_for_copy(std::string_view action, std::uint32_t node) {
  const auto body =
      fmt::format("{{\"action\":\"{}\",\"node\":\"{}\"}}", action, cluster_.node(node).name());
  return cluster_.admin("POST", "/v1/volumes/data/replicas", body);
}

/// An operator puts a copy there again, as soon as he may.
void Faults::add_copy(std::uint32_t node) {
  for (int attempt = 0; attempt < 80 && !cluster_.failed(); ++attempt) {
    const auto reply = ask_for_copy("add", node);
    if (reply.status == 200 || reply.status == 202) break;
    cluster_.run_for(250 * millisecond);
  }
}

}  // namespace tidemark::sim
