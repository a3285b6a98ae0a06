// The control plane's memory, taken away and put back: what a host restored from a backup believes; where it may put
// copies, and what these hold.
#include <algorithm>

#include "engine/check.hpp"
#include "engine/control/records.hpp"
#include "sim/cluster.hpp"

namespace tidemark::sim {

std::map<std::string, std::string> Cluster::control_records() const {
  std::map<std::string, std::string> records;
  for (const auto& [key, value] : nodes_[0]->kv().pairs) {
    if (key.starts_with(engine::control::key_prefix)) records.emplace(key, value);
  }
  return records;
}

void Cluster::restore_control(const std::map<std::string, std::string>& records) {
  CHECK(!nodes_[0]->alive());
  auto& pairs = nodes_[0]->kv().pairs;
  std::erase_if(pairs,
                [](const auto& p) { return p.first.starts_with(engine::control::key_prefix); });
  pairs.insert(records.begin(), records.end());
  judges_->elections.forgotten();
}

std::vector<InodePtr> Cluster::files(std::uint32_t n, std::string_view ending) const {
  std::vector<InodePtr> found;
  auto& disk = nodes_[n]->disk();
  for (const auto& path : disk.files(nodes_[n]->directory() + "/volumes")) {
    if (path.ends_with(ending)) found.push_back(disk.inode(path));
  }
  return found;
}

Snapshot Cluster::extents_now(std::uint32_t n) const {
  auto of_both = files(n, ".dat");
  for (auto& checksums : files(n, ".sum")) of_both.push_back(std::move(checksums));
  return Snapshot(std::move(of_both));
}

bool Cluster::hosts_a_copy(std::uint32_t n) const {
  const auto& hosts = options_.hosts;
  return hosts.empty() || std::find(hosts.begin(), hosts.end(), n) != hosts.end();
}

bool Cluster::copies_equal() {
  constexpr int looks_max = 30;
  engine::AdminReply reply;
  for (int look = 0; look < looks_max && !failed(); ++look) {
    if (look > 0) run_for(1 * engine::second);
    reply = admin("POST", fmt::format("/v1/volumes/{}/compare", volume), "{}");
    const auto says = [&](std::string_view text) {
      return reply.body.find(text) != std::string::npos;
    };
    // Another comparison was under way, or a copy dropped out.
    if (reply.status != 200 || !says("\"complete\":true")) continue;
    if (says("\"equal\":true")) return true;
    // Rot in a log below its checkpoint is nobody's concern until a scrub reads it.
    if (rotted_ && says("\"log_damage\"") && begin_scrub(100'000'000) && scrub_ended()) continue;
    // What rotted and nobody has read is found by this, and mended behind it.
    if (!blocks_rot_ || !says(": damaged\"")) break;
  }
  fail("copies_differ", fmt::format("compare answers {}: {}", reply.status, reply.body));
  return false;
}

}  // namespace tidemark::sim
