#include "sim/faults.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

namespace tidemark::sim {

using engine::millisecond;
using engine::second;

std::uint32_t Faults::any_node() {
  return static_cast<std::uint32_t>(random_.below(cluster_.size()));
}

std::uint32_t Faults::primary_or_any() { return cluster_.serving().value_or(any_node()); }

std::uint32_t Faults::replica_node() { return copies_beside(primary_or_any()).front(); }

bool Faults::whole_soon() {
  for (int i = 0; i < 60 && !cluster_.failed(); ++i) {
    const auto view = cluster_.view();
    if (view && view->whole(cluster_.options().copies)) return true;
    cluster_.run_for(100 * millisecond);
  }
  return false;
}

// Mostly shorter than the delays that decide (100 ms, 500 ms, 2 s), sometimes longer.
std::uint64_t Faults::pause() {
  constexpr std::array<std::uint64_t, 6> up_to{5, 50, 200, 800, 2'500, 6'000};
  return 1 * millisecond + random_.below(up_to[random_.below(up_to.size())]) * millisecond;
}

Kill Faults::how() { return random_.chance(1, 3) ? Kill::power : Kill::process; }

void Faults::kill_and_boot(std::uint32_t node) {
  cluster_.kill(node, how());
  cluster_.run_for(pause());
  cluster_.boot(node);
}

void Faults::shuffle(std::vector<std::uint32_t>& nodes) {
  for (std::size_t i = nodes.size(); i > 1; --i) {
    std::swap(nodes[i - 1], nodes[static_cast<std::size_t>(random_.below(i))]);
  }
}

void Faults::kill_several(std::size_t count, bool power) {
  std::vector<std::uint32_t> victims;
  for (std::uint32_t i = 0; i < cluster_.size(); ++i) victims.push_back(i);
  shuffle(victims);
  victims.resize(count);
  const bool at_once = random_.chance(1, 2);
  for (const auto node : victims) {
    cluster_.kill(node, power ? Kill::power : how());
    if (!at_once) cluster_.run_for(random_.below(20) * millisecond);
  }
  cluster_.run_for(pause());
  for (const auto node : victims) {
    cluster_.boot(node);
    if (random_.chance(1, 2)) cluster_.run_for(pause());
  }
}

void Faults::wipe() {
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  cluster_.wipe(node);
  cluster_.run_for(pause());
  cluster_.boot(node);
  cluster_.replace(node);
  whole_soon();
}

// The moment the new copy counts it is the only one left: it must be as good as those that are gone.
void Faults::rebuilt_alone() {
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  auto& disk = cluster_.node(node).disk();
  cluster_.wipe(node);
  cluster_.run_for(pause());
  cluster_.boot(node);
  disk.slow_factor = random_.between(1, 200);
  auto& lags = cluster_.world().net.records_lag;
  if (random_.chance(1, 2)) lags[node] = random_.below(200) * millisecond;
  cluster_.replace(node);
  if (make_busy) make_busy();  // What is answered while it is rebuilt is what it may lack.
  for (int i = 0; i < 3000 && !cluster_.failed() && !in_set(node); ++i) {
    cluster_.run_for(1 * millisecond);
  }
  for (std::uint32_t other = 1; other < cluster_.size(); ++other) {
    if (other != node) cluster_.kill(other, Kill::power);
  }
  // Half of the time it keeps nothing that was only on its way to its disk.
  if (random_.chance(1, 2)) cluster_.kill(node, Kill::power);
  lags.erase(node);
  cluster_.boot(node);
  alone_for_a_while();
  disk.slow_factor = 1;
  whole_soon();
}

/// The host of the control plane decides on, without a copy of its own; then everybody comes back.
void Faults::alone_for_a_while() {
  auto& host = cluster_.node(0).disk();
  host.fail_writes = 1'000'000;
  cluster_.run_for(2 * second + pause());
  host.fail_writes = 0;
  cluster_.kill(0);
  for (std::uint32_t node = 0; node < cluster_.size(); ++node) cluster_.boot(node);
}

// It is brought back from what is known to have been touched, and whoever takes part in that may go
// meanwhile.
void Faults::left_behind() {
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;  // the control plane's host
  cluster_.kill(node, how());
  if (flood) flood();
  cluster_.run_for(1 * second + pause());
  auto& disk = cluster_.node(node).disk();
  disk.slow_factor = random_.between(1, 100);
  cluster_.boot(node);
  for (auto again = random_.below(4); again > 0 && !cluster_.failed(); --again) {
    cluster_.run_for(pause());
    kill_and_boot(random_.chance(2, 3) ? node : primary_or_any());
  }
  disk.slow_factor = 1;
  whole_soon();
}

// All counted when the lights went out. The only copy that comes back is damaged: it may not be
// taken for a whole one.
void Faults::rotten_alone() {
  if (!whole_soon()) return;
  const auto node = replica_node();
  if (node == 0) return;
  cluster_.rot_was_injected();
  for (std::uint32_t each = 0; each < cluster_.size(); ++each) cluster_.kill(each, Kill::power);
  rot_proved_log(node);
  cluster_.boot(0);
  cluster_.boot(node);
  alone_for_a_while();
  cluster_.run_for(pause());
  cluster_.replace(node);
  whole_soon();
}

// It was away, and reigns before it has caught up: what the others committed meanwhile is lost, and
// they are brought back to its log.
void Faults::forced() {
  whole_soon();
  const auto node = replica_node();
  // The control plane's host; or one that may have lost what the others have not any more either.
  if (node == 0 || rotting_ == node) return;
  cluster_.kill(node, how());
  if (make_busy) make_busy();
  if (flood && random_.chance(1, 3)) flood();
  cluster_.run_for(500 * millisecond + pause());
  cluster_.boot(node);
  cluster_.run_for(random_.below(100) * millisecond);
  cluster_.promote(node, true);
  for (auto again = random_.below(3); again > 0 && !cluster_.failed(); --again) {
    cluster_.run_for(pause());
    kill_and_boot(random_.chance(2, 3) ? replica_node() : primary_or_any());
  }
}

// Until the set is recorded without it the one that left counts, and holds nothing.
void Faults::removed_copy() {
  if (!whole_soon()) return;
  const auto primary = primary_or_any();
  auto others = copies_beside(primary);
  const auto node = others.back();
  others.pop_back();
  const auto body =
      fmt::format("{{\"action\":\"remove\",\"node\":\"{}\"}}", cluster_.node(node).name());
  auto& disk = cluster_.node(copies_beside(node).front()).disk();
  if (random_.chance(1, 2)) disk.slow_factor = random_.between(1, 200);
  // Who stays beside the primary lacks what it has to have first.
  auto& lags = cluster_.world().net.records_lag;
  const bool lacks = random_.chance(1, 2);
  if (lacks) {
    for (const auto other : others) lags[other] = 10 * second;
  }
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(50) * millisecond);
  cluster_.admin_later("POST", "/v1/volumes/data/replicas", body, [](engine::AdminReply) {});
  cluster_.run_for(random_.below(20) * millisecond);
  if (!others.empty() && random_.chance(lacks ? 2 : 1, 3)) {
    cluster_.kill(primary, how());
    for (const auto other : others) lags.erase(other);
    interregnum(others.front());
    cluster_.boot(primary);
  } else if (random_.chance(1, 2)) {
    kill_and_boot(random_.chance(1, 2) ? primary_or_any() : any_node());
  }
  for (const auto other : others) lags.erase(other);
  disk.slow_factor = 1;
  add_copy(node);
  whole_soon();
}

void Faults::hold_writes(std::uint32_t node, bool (*such)(const std::string& path)) {
  const auto until = cluster_.now() + cluster_.world().settings.disk_eject_after / 2;
  cluster_.node(node).disk().holds = [this, such, until](DiskOp op, const std::string& path) {
    return op == DiskOp::write && such(path) && cluster_.now() < until;
  };
}

void Faults::in_quiet(const std::function<void()>& act) {
  for (const auto& client : cluster_.clients()) client->pause();
  const auto idle = [&] {
    return std::all_of(cluster_.clients().begin(), cluster_.clients().end(),
                       [](const auto& c) { return c->in_flight() == 0; });
  };
  if (cluster_.run_until(idle, 5 * second)) act();
  for (const auto& client : cluster_.clients()) client->resume();
}

bool Faults::write_few(std::uint64_t within) {
  if (!cluster_.serving()) return false;
  const auto left = std::make_shared<std::uint64_t>(random_.between(1, 3));
  const auto blocks = cluster_.history().size() / cells_per_block;
  for (auto more = *left; more > 0; --more) {
    const auto count = random_.between(1, 4);
    const CellRange cells{random_.below(blocks - count) * cells_per_block, count * cells_per_block};
    const auto done = [left](const std::optional<engine::Error>& error) {
      *left -= error ? 0u : 1u;
    };
    if (!cluster_.send({engine::FrontOp::write, cells, true, false}, done)) return false;
  }
  return cluster_.run_until([left] { return *left == 0; }, within);
}

// It lost nothing, and is not asked for what is answered until it has it all again: whoever is chosen
// meanwhile may not take it for exact.
void Faults::stop_cleanly() {
  const auto node = random_.chance(1, 4) ? primary_or_any() : replica_node();
  if (make_busy) make_busy();
  cluster_.stop(node);
  cluster_.run_for(random_.below(random_.chance(1, 2) ? 20 : 2'000) * millisecond);
  auto& lags = cluster_.world().net.records_lag;
  if (random_.chance(1, 2)) {
    lags[node] = random_.below(300) * millisecond;
  } else {
    // It is met, and gets nothing of what is answered without it from then on.
    cluster_.world().net.filter = [node](const Passage& p) {
      const bool records = std::holds_alternative<engine::Records>(p.message);
      return records && p.to == node ? Fate::hold : Fate::pass;
    };
  }
  cluster_.boot(node);
  cluster_.run_for(random_.below(300) * millisecond);
  const auto roll = random_.below(3);
  if (roll == 0) {
    interregnum(node);
  } else if (roll == 1 && node != 0) {
    for (std::uint32_t other = 1; other < cluster_.size(); ++other) {
      if (other != node) cluster_.kill(other, Kill::power);
    }
    alone_for_a_while();
  }
  cluster_.world().net.filter = nullptr;
  lags.erase(node);
}

}  // namespace tidemark::sim
