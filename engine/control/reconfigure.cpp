// An operator wants another mode or min_copies. As with a size (resize.cpp): the wish is durable here, its record is the
// primary's, and the spec follows when that is committed by the old rule and by the new one (C12).
//
// min_copies alone is lowered at once: it says how many copies an operator wants at the least, and whoever lowers it
// has no others left that the old rule could wait for. Promotions count with it from the same moment on, so no
// vote is missing that a commit by fewer copies would need.
#include <algorithm>

#include "engine/control/control_plane.hpp"
#include "engine/quorum.hpp"

namespace tidemark::engine::control {
namespace {

/// Copies that are to stay.
std::size_t lasting_copies(const VolumeRecord& record) {
  const auto staying =
      std::count_if(record.members.begin(), record.members.end(),
                    [](const Placement& p) { return !static_cast<bool>(p.replaced_by); });
  return std::min<std::size_t>(record.spec.copies, static_cast<std::size_t>(staying));
}

std::optional<std::string> flaw_of_rules(const VolumeRecord& record, const Reconfigure& wish,
                                         const Configuration& next) {
  if (!wish.mode && !wish.min_copies && !wish.below_min) {
    return "neither a mode nor min_copies nor below_min_copies is named";
  }
  const auto copies = lasting_copies(record);
  if (next.mode == Mode::best_effort && next.min_copies != 1) {
    return fmt::format("mode best_effort implies min_copies = 1, not {}", next.min_copies);
  }
  if (next.min_copies < 1 || next.min_copies > copies) {
    return fmt::format("min_copies {} is not between 1 and its {} copies", next.min_copies, copies);
  }
  if (next.mode == Mode::sync_quorum && wish.min_copies && next.min_copies < majority_of(copies)) {
    return fmt::format(
        "min_copies {} would say nothing in sync_quorum, where {} of {} copies have each write",
        next.min_copies, majority_of(copies), copies);
  }
  return std::nullopt;
}

}  // namespace

std::string change_text(const VolumeRecord& record) {
  if (!record.wish) return {};
  const auto& wish = *record.wish;
  std::string text;
  const auto add = [&](std::string part) { text += (text.empty() ? "" : ", ") + part; };
  if (wish.size_bytes != record.spec.size_bytes) {
    add(fmt::format("its size from {} to {} bytes", record.spec.size_bytes, wish.size_bytes));
  }
  if (wish.mode != record.spec.mode) {
    add(fmt::format("its mode from {} to {}", to_string(record.spec.mode), to_string(wish.mode)));
  }
  if (wish.min_copies != record.spec.min_copies) {
    add(fmt::format("min_copies from {} to {}", record.spec.min_copies, wish.min_copies));
  }
  return text.empty() ? "a change's record" : "a change of " + text;
}

Result<Effects> ControlPlane::configure(const std::string& name, const Reconfigure& wish) {
  const auto tried = fmt::format("configure volume {}: ", name);
  auto found = wished(name);
  if (!found) return found.error();
  auto& volume = **found;
  auto& record = volume.record;
  const auto now = record.wish.value_or(record.spec.configuration());
  auto next = now;
  next.mode = wish.mode.value_or(now.mode);
  // best_effort knows one copy alone; what leaves it gets what a new volume gets.
  const bool leaves_alone = now.mode == Mode::best_effort && next.mode != Mode::best_effort;
  auto usual = now.min_copies;
  if (leaves_alone) usual = std::min<std::uint32_t>(2, record.spec.copies);
  if (next.mode == Mode::best_effort) usual = 1;
  next.min_copies = wish.min_copies.value_or(usual);
  if (const auto flaw = flaw_of_rules(record, wish, next)) {
    return Error{Errc::invalid, tried + *flaw};
  }
  const auto below = wish.below_min.value_or(record.spec.below_min);
  if (next == now && below == record.spec.below_min) return Effects{};  // Asked twice, or in force.
  Effects out;
  record.spec.below_min = below;  // What waits is answered by it: no record of the log.
  if (next != now) record.wish = next;
  record.spec.min_copies = std::min(record.spec.min_copies, next.min_copies);
  record.version = Version(record.version.value + 1);
  persist(volume, out);
  report(volume,
         Event(Level::info, "volume_configuration_wanted")
             .with("mode", to_string(next.mode))
             .with("min_copies", next.min_copies)
             .with("below_min_copies", to_string(below)),
         out);
  if (record.settled()) assign_all(volume, out);
  return out;
}

}  // namespace tidemark::engine::control
