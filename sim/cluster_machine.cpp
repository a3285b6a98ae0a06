// What befalls the machines of a simulated cluster: disks put back, directories copied and looked at.
#include <algorithm>
#include <optional>

#include "engine/check.hpp"
#include "sim/cluster.hpp"
#include "storage/task.hpp"
#include "storage/verify.hpp"

namespace tidemark::sim {

void Cluster::roll_back(std::uint32_t n, const SimNode::Image& image) {
  kill(n);
  nodes_[n]->put_image(image);
  logs_->rolled_back(n);
  judges_->reigns.forget(n);
}

// It is the node's place in the network too: what is cut off from the one is cut off from the other.
void Cluster::begin_twin(std::uint32_t n, const SimNode::Image& image) {
  constexpr SimNode::Place elsewhere{200, 1};
  CHECK(twin_ == nullptr);
  twin_ = std::make_unique<SimNode>(world_, n);
  twin_->become_twin();
  twin_->put_image(image);
  twin_->move(elsewhere);
  judges_->synced.all_count(false);  // It may take a copy's place, and is nobody's witness.
  judges_->elections.no_witness();
  twin_->boot(*system_);
}

void Cluster::end_twin() {
  if (twin_ && twin_->alive()) twin_->kill(*system_, Kill::power);
  twin_.reset();
}

std::vector<std::string> Cluster::verify(std::uint32_t n) {
  constexpr std::uint64_t patience = 60 * engine::second;
  CHECK(!alive(n));
  const auto reader = std::make_shared<Life>();
  reader->id = ++world_.last_life;
  reader->node = n;
  reader->name = nodes_[n]->name() + "/verify";
  SimDisk disk(world_.events, world_.trace, nodes_[n]->disk(), reader);
  SimTimers timers(world_.events, reader);
  std::vector<std::string> wrong;
  std::vector<std::string> copies;
  for (const auto& file : files(n, "/superblock")) {
    copies.push_back(file->path.substr(0, file->path.rfind('/')));
  }
  {
    storage::Scope scope;
    for (const auto& copy : copies) {
      std::optional<storage::ReplicaVerdict> verdict;
      scope.run(storage::verify_replica(disk, timers, copy, std::nullopt, {}),
                [&verdict](storage::ReplicaVerdict v) { verdict.emplace(std::move(v)); });
      if (!run_until([&] { return verdict.has_value(); }, patience)) {
        wrong.push_back(copy + ": reading it does not end");
        break;
      }
      for (const auto& finding : verdict->findings)
        if (!finding.information) wrong.push_back(to_string(finding));
    }
    reader->alive = false;
    world_.events.drop(*reader);
  }
  return wrong;
}

}  // namespace tidemark::sim
