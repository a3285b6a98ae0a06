// What happens to processes, machines and their clocks: they stand still, start again and again, come back elsewhere,
// or twice.
#include <algorithm>
#include <array>
#include <vector>

#include "sim/faults.hpp"

namespace tidemark::sim {

using engine::millisecond;
using engine::second;

// Longer than what others wait for, now and then; what it was about to do it does when it goes on. Connections stay: the
// kernel answers for a process, and nobody for a machine.
void Faults::paused() {
  const auto node = random_.chance(1, 2) ? primary_or_any() : any_node();
  const bool machine = random_.chance(1, 2);
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(50) * millisecond);
  cluster_.pause(node);
  if (machine) {
    for (std::uint32_t other = 0; other < cluster_.size(); ++other)
      if (other != node) part(node, other);
  }
  cluster_.run_for(pause() + (random_.chance(1, 3) ? random_.below(12'000) * millisecond : 0));
  if (random_.chance(1, 4)) cluster_.kill(node, how());
  cluster_.heal();
  cluster_.boot(node);
  cluster_.run_for(pause());
}

// Another one reigns when it goes on: nothing that it had begun may count any more. Its clients are cut off first, as
// without leases it may still answer them (C19, C20).
void Faults::paused_reign() {
  if (!whole_soon()) return;
  const auto first = primary_or_any();
  const auto others = copies_beside(first);
  if (first == 0) return;  // the control plane's host
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(50) * millisecond);
  cluster_.pause(first);
  cluster_.admit_nobody_new(first);
  for (const auto& client : cluster_.clients()) {
    if (client->connected() && client->node() == first)
      client->connection_lost("cut by the network");
  }
  wish(others.front());
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(12'000) * millisecond);
  cluster_.go_on(first);
  cluster_.run_for(pause());
  cluster_.heal();
}

// A clock is set, by seconds or by days, and runs wrong from then on; then its node reigns, or another one does.
void Faults::clock_steps() {
  constexpr std::array<std::int64_t, 4> seconds_up_to{2, 600, 90'000, 40'000'000};
  const auto most = seconds_up_to[random_.below(seconds_up_to.size())] * 1'000;
  auto by = static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most)));
  if (random_.chance(1, 2)) by = -by;
  const auto drift = static_cast<std::int64_t>(random_.below(1'000)) - 500;
  const auto node = random_.chance(1, 2) ? primary_or_any() : any_node();
  cluster_.node(node).wall_clock().set(cluster_.now(), by * static_cast<std::int64_t>(millisecond),
                                       drift);
  if (make_busy) make_busy();
  cluster_.run_for(pause());
  if (random_.chance(1, 2)) {
    wish(random_.chance(1, 2) ? node : any_node());
  } else if (random_.chance(1, 2)) {
    kill_and_boot(primary_or_any());
  }
  cluster_.run_for(pause());
}

// Each start is cut off within milliseconds, amid its recovery mostly; the last one is not.
void Faults::crash_loop() {
  std::vector<std::uint32_t> nodes{random_.chance(1, 2) ? primary_or_any() : any_node()};
  if (random_.chance(1, 3)) {
    nodes.clear();
    for (std::uint32_t n = 0; n < cluster_.size(); ++n) nodes.push_back(n);
  }
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(100) * millisecond);
  for (auto again = random_.between(2, 6); again > 0; --again) {
    for (const auto node : nodes) cluster_.kill(node, how());
    cluster_.run_for(random_.below(5) * millisecond);
    for (const auto node : nodes) cluster_.boot(node);
    cluster_.run_for(random_.below(random_.chance(1, 2) ? 4 : 40) * millisecond);
  }
}

// It comes back under another address, or under that of another node, which has its own by then: who is met there is
// somebody else.
void Faults::moved() {
  auto nodes = copies_beside(0);  // Where the control plane is stands in everybody's configuration.
  const auto node = nodes.front();
  cluster_.kill(node, how());
  cluster_.run_for(pause());
  const auto was = cluster_.node(node).place();
  cluster_.node(node).move({was.net + 1, was.host});
  cluster_.boot(node);
  cluster_.run_for(pause());
  if (nodes.size() < 2 || random_.chance(1, 2)) return;
  const auto other = nodes[1];
  for (const auto n : {node, other}) cluster_.kill(n, how());
  const auto place = cluster_.node(node).place();
  cluster_.node(node).move(cluster_.node(other).place());
  cluster_.node(other).move(place);
  for (const auto n : {node, other}) {
    cluster_.boot(n);
    cluster_.run_for(random_.below(300) * millisecond);
  }
  cluster_.run_for(pause());
}

// A directory was copied and started elsewhere: two processes with one identity, each with a disk of its own. One of
// them may be the node at a time, and none may be two.
void Faults::twin() {
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  const auto image = cluster_.node(node).image();
  if (make_busy) make_busy();
  cluster_.run_for(pause());
  if (random_.chance(1, 2)) kill_and_boot(node);  // Both are of one incarnation then.
  cluster_.run_for(pause());
  cluster_.begin_twin(node, image);
  if (make_busy) make_busy();
  cluster_.run_for(pause());
  if (random_.chance(1, 3)) kill_and_boot(node);
  cluster_.run_for(pause());
  cluster_.end_twin();
  kill_and_boot(node);
  healed_by_restarts(node);
}

}  // namespace tidemark::sim
