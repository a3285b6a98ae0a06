// A node's process ends in order: what SIGTERM does to a daemon.
#include "sim/cluster.hpp"

namespace tidemark::sim {

bool Cluster::stop(std::uint32_t n) {
  // As long as a service manager waits, and more than any store needs on a disk that answers.
  constexpr std::uint64_t patience = 10 * engine::second;
  if (!alive(n)) return true;
  auto stopped = std::make_shared<bool>(false);
  actors::stop_node(*system_, nodes_[n]->actor(), [stopped] { *stopped = true; });
  run_until([&] { return *stopped; }, patience);
  kill(n);
  return *stopped;
}

}  // namespace tidemark::sim
