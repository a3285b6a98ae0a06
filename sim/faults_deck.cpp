// What is injected by its kind, with an operator who looks before and behind it.
#include <fmt/format.h>

#include "sim/faults.hpp"

namespace tidemark::sim {

using engine::millisecond;

/// An operator who looks is a fault too, if what he sees changes or breaks anything.
void Faults::look() {
  const auto done = [this](const char* what) {
    return [this, what](const engine::AdminReply& reply) {
      const bool known =
          reply.status == 200 || reply.status == 400 || reply.status == 404 || reply.status == 503;
      if (!known)
        cluster_.fail("operator", fmt::format("{}: {} {}", what, reply.status, reply.body));
    };
  };
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) {
    const auto path = fmt::format("/v1/volumes/data/plan/{}", cluster_.node(n).name());
    cluster_.admin_later("GET", path, "", done("a plan"), any_node());
  }
  const auto body = fmt::format(R"({{"wait_milliseconds":{}}})", random_.below(1000));
  cluster_.admin_later("POST", "/v1/volumes/data/events", body, done("events"), any_node());
  cluster_.admin_later("GET", "/metrics", "", done("metrics"), any_node());
}

void Faults::inject(Fault fault) {
  look();
  happen(fault);
  look();
}

void Faults::happen(Fault fault) {
  auto& world = cluster_.world();
  world.trace.note(cluster_.now(), fmt::format("fault {}", to_string(fault)));
  ++counts_[std::string(to_string(fault))];
  if (is_crash_or_cut(fault)) ++crashes_;
  switch (fault) {
    case Fault::kill_primary:
      return kill_and_boot(primary_or_any());
    case Fault::kill_replica:
      return kill_and_boot(replica_node());
    case Fault::kill_two:
      return kill_several(2, false);
    case Fault::kill_all:
      return kill_several(cluster_.size(), false);
    case Fault::power_one:
      return kill_several(1, true);
    case Fault::power_all:
      return kill_several(cluster_.size(), true);
    case Fault::quick_restart: {
      const auto node = random_.chance(1, 2) ? primary_or_any() : any_node();
      cluster_.kill(node);
      cluster_.run_for(random_.below(10'000) * 1'000);
      return cluster_.boot(node);
    }
    case Fault::isolate:
      return partition(false);
    case Fault::one_way:
      return partition(true);
    case Fault::cut_links: {
      const auto a = any_node();
      const auto b = (a + 1 + static_cast<std::uint32_t>(random_.below(cluster_.size() - 1))) %
                     cluster_.size();
      return cluster_.cut(a, b);
    }
    case Fault::cut_client: {
      const auto& clients = cluster_.clients();
      return clients[static_cast<std::size_t>(random_.below(clients.size()))]->connection_lost(
          "cut by the network");
    }
    case Fault::promote:
      wish(any_node());
      return cluster_.run_for(pause());
    case Fault::wipe_replica:
      return wipe();
    case Fault::rot_replica:
      return rot();
    case Fault::slow_disk: {
      auto& disk = cluster_.node(any_node()).disk();
      disk.slow_factor = random_.between(5, 200);
      cluster_.run_for(pause());
      disk.slow_factor = 1;
      return;
    }
    case Fault::failed_sync:
      return fail_sync();
    case Fault::full_disk:
      return fill_disk();
    case Fault::resize:
      resize_anywhere();
      return cluster_.run_for(pause());
    case Fault::resize_twice:
      return shrink_and_grow();
    case Fault::rebuilt_alone:
      return rebuilt_alone();
    case Fault::left_behind:
      return left_behind();
    case Fault::forced:
      return forced();
    case Fault::rotten_alone:
      return rotten_alone();
    case Fault::stuck_disk:
      return stick_disk();
    case Fault::removed_copy:
      return removed_copy();
    case Fault::rot_extents:
      return rot_extents();
    case Fault::rot_running:
      return rot_running();
    case Fault::reconfigure:
      reconfigure_anyhow();
      return cluster_.run_for(pause());
    case Fault::reconfigure_twice:
      return reconfigure_twice();
    case Fault::reconfigure_unheard:
      return reconfigure_unheard();
    case Fault::stop_cleanly:
      return stop_cleanly();
    case Fault::leaving_unheard:
      return leaving_unheard();
    case Fault::joining_unheard:
      return joining_unheard();
    case Fault::brief_reign:
      return brief_reign();
    case Fault::split_reign:
      return split_reign();
    case Fault::late_landing:
      return late_landing();
    case Fault::source_lost:
      return source_lost();
    case Fault::reconfigure_behind:
      return reconfigure_behind();
    case Fault::voteless:
      return voteless();
    case Fault::older_epoch:
      return older_epoch();
    case Fault::longest_log:
      return longest_log();
    case Fault::control_from_backup:
      return control_from_backup();
    case Fault::rot_ahead:
      return rot_ahead();
    case Fault::lost_writes:
      return lost_writes();
    case Fault::core_alone:
      return core_alone();
    case Fault::crash_point:
      return crash_point();
    case Fault::ring:
      return part_as_ring();
    case Fault::bridge:
      return part_as_bridge();
    case Fault::one_way_all:
      return one_way_all();
    case Fault::flapping:
      return flap();
    case Fault::clog:
      return clog();
    case Fault::flip:
      return flip_bits();
    case Fault::half_open:
      return half_open();
    case Fault::late:
      return late();
    default:
      return happen_elsewhere(fault);
  }
}

}  // namespace tidemark::sim
