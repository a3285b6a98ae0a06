// An operator wants another size: the wish is durable here, the change is a record of the volume's log
// that its primary makes, and the spec follows when that is committed (C12, C24).
//
//   settled ──resize──► wished, assigned ──the primary has it committed──► spec, assigned
//
// Whoever reigns when the wish is heard, or next, carries it out; what was numbered by a reign before
// is found in the log.
#include "engine/control/control_plane.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::control {

std::optional<std::string> flaw_of_size(std::uint64_t size_bytes) {
  if (size_bytes % block_bytes != 0) {
    return fmt::format("size {} is not a multiple of {}", size_bytes, block_bytes);
  }
  if (size_bytes < volume_bytes_min || size_bytes > volume_bytes_max) {
    return fmt::format("size {} is not between 1 MiB and 16 TiB", size_bytes);
  }
  return std::nullopt;
}

Result<Effects> ControlPlane::resize(const std::string& name, std::uint64_t size_bytes,
                                     bool shrink) {
  const auto tried = fmt::format("resize volume {} to {} bytes: ", name, size_bytes);
  auto found = wished(name);
  if (!found) return found.error();
  auto& volume = **found;
  auto& record = volume.record;
  if (const auto flaw = flaw_of_size(size_bytes)) return Error{Errc::invalid, tried + *flaw};
  if (record.wish && record.wish->size_bytes == size_bytes) return Effects{};  // Asked twice.
  const auto now = record.spec.size_bytes;
  // Another mode or min_copies may be long in coming: only a size waits for a size.
  if (record.wish && record.wish->size_bytes != now) {
    return Error{Errc::busy,
                 tried + fmt::format("{} is under way; one at a time", change_text(record))};
  }
  if (now == size_bytes) return Effects{};
  if (size_bytes < now && !shrink) {
    return Error{Errc::refused,
                 tried + fmt::format("it has {} bytes, and what stands in the last {} would be "
                                     "gone for good; say --shrink if that is meant",
                                     now, now - size_bytes)};
  }
  Effects out;
  auto next = record.wish.value_or(record.spec.configuration());
  next.size_bytes = size_bytes;
  record.wish = next;
  record.version = Version(record.version.value + 1);
  persist(volume, out);
  report(volume,
         Event(Level::info, "volume_resize_wanted").with("from", now).with("to", size_bytes), out);
  if (record.settled()) assign_all(volume, out);
  return out;
}

// A repeat finds another version, or no wish. A primary that cannot make the rules that are wanted a record yet tells
// the size alone.
Effects ControlPlane::on_message(LinkKey link, const Configured& m) {
  Effects out;
  const auto* session = session_of(link);
  auto* volume = find(m.volume);
  if (session == nullptr || volume == nullptr) return out;
  auto& record = volume->record;
  if (record.deleting || !record.settled() || !record.wish) return out;
  const bool whole = *record.wish == m.configuration;
  const bool size = record.wish->size_bytes == m.configuration.size_bytes &&
                    record.wish->size_bytes != record.spec.size_bytes;
  if (!whole && !size) return out;
  const auto* self = record.on_node(session->node);
  const bool reigns = self != nullptr && self->replica == record.primary &&
                      nodes_.at(session->node.name).incarnation == record.primary_incarnation;
  // One that decided on another version is told of this one, and asks again.
  if (!reigns || m.epoch != record.epoch || m.version != record.version) return out;
  // In sync_all the set counts whole: one that is no member any more has to leave it first.
  const bool all = whole && m.configuration.mode == Mode::sync_all;
  if (sometimes(all && record.left_voter() != nullptr, Mark::mode_waits_for_left_voter)) return out;
  const auto before = record.spec.configuration();
  if (whole) {
    record.spec.configure(m.configuration);
    record.wish.reset();
  } else {
    sometimes(Mark::size_recorded_alone);
    record.spec.size_bytes = m.configuration.size_bytes;
  }
  record.version = Version(record.version.value + 1);
  if (before.mode != record.spec.mode) take_mode(*volume, out);
  persist(*volume, out);
  if (before.size_bytes != record.spec.size_bytes) {
    report(*volume,
           Event(Level::info, "volume_resized")
               .with("from", before.size_bytes)
               .with("to", record.spec.size_bytes)
               .with("lsn", m.lsn),
           out);
  }
  if (before.mode != record.spec.mode || before.min_copies != record.spec.min_copies) {
    report(*volume,
           Event(Level::info, "volume_configured")
               .with("mode", to_string(record.spec.mode))
               .with("min_copies", record.spec.min_copies)
               .with("lsn", m.lsn),
           out);
  }
  assign_all(*volume, out);
  return out;
}

/// The set is that of the old mode: whoever of it holds all that was committed does so still, and who was left out of
/// it comes in as any other (C12). In best_effort the primary alone counts.
void ControlPlane::take_mode(Volume& volume, Effects& out) {
  auto& record = volume.record;
  if (record.spec.mode == Mode::best_effort) {
    record.in_sync = {SetMember{record.primary, record.primary_incarnation}};
    retire_replaced(volume, out);
  }
  if (record.spec.mode != Mode::best_effort && planted(Bug::mode_change_counts_all)) {
    record.in_sync.clear();
    for (const auto& member : record.members) {
      record.in_sync.push_back({member.replica, nodes_.at(member.node.name).incarnation});
    }
  }
}

}  // namespace tidemark::engine::control
