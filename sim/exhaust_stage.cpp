#include "sim/exhaust_stage.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

using engine::FrontOp;
using engine::millisecond;
using engine::second;

constexpr std::uint64_t blocks_of_case = 256;  // The least a volume has.
constexpr std::uint64_t frame_delay = 50'000;  // Nanoseconds, of every frame.

ClusterOptions options_of_case() {
  ClusterOptions options;
  options.nodes = 3;
  options.hosts = {primary_node, replica_node};
  options.copies = 2;
  options.min_copies = 1;
  options.blocks = blocks_of_case;
  options.blocks_max = blocks_of_case;
  options.weather.delay_min = frame_delay;
  options.weather.delay_max = frame_delay;
  options.tune = [](actors::Settings& s) {
    s.flush_after = 2 * millisecond;
    s.leave_after_closed = 10 * millisecond;
    s.leave_after_stalled = 100 * millisecond;
    s.retry_min = 1 * millisecond;
    s.retry_max = 20 * millisecond;
    s.promise_wait = 50 * millisecond;
  };
  return options;
}

bool left_out(Cluster& cluster, std::uint32_t node) {
  const auto& name = cluster.node(node).name();
  const auto view = cluster.view();
  return view && view->serving &&
         std::any_of(view->copies.begin(), view->copies.end(),
                     [&](const CopyView& c) { return c.node == name && !c.in_set; });
}

}  // namespace

std::string_view to_string(Company company) { return company == Company::pair ? "pair" : "alone"; }
std::string_view to_string(Loss loss) {
  switch (loss) {
    case Loss::lost:
      return "lost";
    case Loss::lands:
      return "lands";
    case Loss::power:
      return "power";
    case Loss::power2:
      return "power2";
  }
  return "?";
}
bool is_power(Loss loss) { return loss != Loss::lost && loss != Loss::lands; }
std::string_view to_string(Sequel sequel) { return sequel == Sequel::back ? "back" : "heir"; }

std::unique_ptr<Cluster> quiet_cluster(Company company, std::string& why) {
  auto cluster = std::make_unique<Cluster>(options_of_case());
  cluster->scheduler().time_jump_one_in = 0;
  bool rests = cluster->start() && cluster->write(0, 4) && cluster->flush();
  if (rests && company == Company::alone) {
    cluster->kill(replica_node);
    for (int look = 0; look < 50 && !left_out(*cluster, replica_node); ++look) {
      cluster->run_for(20 * millisecond);
    }
    rests = left_out(*cluster, replica_node);
  }
  if (rests) cluster->run_for(50 * millisecond);
  if (rests && !cluster->failed() && cluster->serving() == primary_node) return cluster;
  why = cluster->failure()
            ? fmt::format("{}: {}", cluster->failure()->cls, cluster->failure()->text)
            : std::string("start: the cluster does not come to rest");
  return nullptr;
}

void crash(Cluster& cluster, std::uint32_t node, Loss loss) {
  auto& disk = cluster.node(node).disk();
  // Not what was drawn before it decides what is torn, but the case alone.
  disk.random() = Random(static_cast<std::uint64_t>(loss) + 1);
  if (!is_power(loss)) {
    disk.late_writes = loss == Loss::lost ? LateWrites::all_lost : LateWrites::all_land;
  }
  cluster.kill(node, is_power(loss) ? Kill::power : Kill::process);
  disk.late_writes = LateWrites::as_the_seed_says;
}

void other_goes_on(Cluster& cluster, std::uint32_t crashed) {
  constexpr int attempts = 10;
  const auto other = crashed == primary_node ? replica_node : primary_node;
  for (int i = 0; i < attempts && cluster.serving() != other && !cluster.failed(); ++i) {
    if (i % 3 == 0) {
      cluster.admin_later("POST", fmt::format("/v1/volumes/{}/promote", Cluster::volume),
                          fmt::format("{{\"node\":\"{}\"}}", cluster.node(other).name()),
                          [](const engine::AdminReply&) {});
    }
    cluster.run_until([&] { return cluster.serving() == other; }, 30 * millisecond);
  }
  for (const char letter : {'w', 'f'}) {
    auto answered = std::make_shared<bool>(false);
    if (!cluster.clients().front()->connected()) {
      cluster.run_until([&] { return cluster.clients().front()->connected(); }, 50 * millisecond);
    }
    if (!cluster.clients().front()->connected()) return;
    cluster.send(request_of(letter), [answered](const auto&) { *answered = true; });
    cluster.run_until([&] { return *answered; }, 200 * millisecond);
  }
}

void judge_case(Cluster& cluster, Judgement judgement) {
  // Beyond these no request of a case reaches: all others are read once, behind the restart.
  constexpr std::uint64_t touched = 8;
  if (!cluster.converge() || !cluster.read(0, touched) || !cluster.copies_equal()) return;
  if (judgement == Judgement::once) return;
  for (std::uint32_t n = 0; n < cluster.size(); ++n) cluster.kill(n, Kill::power);
  if (cluster.converge() && cluster.read_all()) cluster.copies_equal();
}

Ask request_of(char letter) {
  constexpr auto block = cells_per_block;
  switch (letter) {
    case 'w':
      return {FrontOp::write, {0, block}, false, false};
    case 'x':
      return {FrontOp::write, {block, block}, false, false};
    case 'o':
      return {FrontOp::write, {block / 2, block}, false, false};
    case 'u':
      return {FrontOp::write, {0, block}, true, false};
    case 'f':
      return {FrontOp::flush, {}, false, false};
    case 't':
      return {FrontOp::trim, {0, block}, false, false};
    default:
      CHECK(letter == 'r');
      return {FrontOp::read, {0, 2 * block}, false, false};
  }
}

}  // namespace tidemark::sim
