#include "sim/fault.hpp"

#include <algorithm>
#include <array>

namespace tidemark::sim {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Fault::count_)> names = {
    "kill_primary",
    "kill_replica",
    "kill_two",
    "kill_all",
    "quick_restart",
    "power_one",
    "power_all",
    "isolate",
    "one_way",
    "cut_links",
    "cut_client",
    "promote",
    "wipe_replica",
    "rot_replica",
    "slow_disk",
    "failed_sync",
    "full_disk",
    "rebuilt_alone",
    "left_behind",
    "rotten_alone",
    "resize",
    "resize_twice",
    "stuck_disk",
    "forced",
    "removed_copy",
    "rot_extents",
    "rot_running",
    "reconfigure",
    "reconfigure_twice",
    "reconfigure_unheard",
    "stop_cleanly",
    "leaving_unheard",
    "joining_unheard",
    "brief_reign",
    "split_reign",
    "late_landing",
    "source_lost",
    "reconfigure_behind",
    "voteless",
    "older_epoch",
    "longest_log",
    "control_from_backup",
    "rot_ahead",
    "lost_writes",
    "core_alone",
    "crash_point",
    "ring",
    "bridge",
    "one_way_all",
    "flapping",
    "clog",
    "flip",
    "half_open",
    "late",
    "unreadable",
    "unreadable_log",
    "brief_errors",
    "lost_sync",
    "misdirected",
    "misdirected_log",
    "no_space",
    "catalog_fails",
    "slow_operations",
    "old_image",
    "paused",
    "paused_reign",
    "clock_steps",
    "crash_loop",
    "moved",
    "twin",
    "senseless_commands",
    "asked_twice",
    "all_at_once",
    "second_volume",
    "verified",
    "power_amid_writes",
    "cramped_copy",
    "emptied_copy",
    "foreign_copy",
};

}  // namespace

std::string_view to_string(Fault fault) { return names.at(static_cast<std::size_t>(fault)); }

bool is_crash_or_cut(Fault fault) { return fault <= Fault::cut_client; }

std::optional<Fault> parse_fault(std::string_view text) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return std::nullopt;
  return static_cast<Fault>(found - names.begin());
}

Fault draw_fault(Random& random, bool crash_or_cut) {
  constexpr auto border = static_cast<std::uint64_t>(Fault::promote);
  constexpr auto all = static_cast<std::uint64_t>(Fault::count_);
  if (crash_or_cut) return static_cast<Fault>(random.below(border));
  return static_cast<Fault>(border + random.below(all - border));
}

}  // namespace tidemark::sim
