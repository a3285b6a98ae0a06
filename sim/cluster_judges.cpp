// What a cluster shows its judges, and what it can be held against once it is at rest.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "sim/cluster.hpp"

namespace tidemark::sim {
namespace {

using engine::millisecond;
using engine::second;

// Of the clients of a run: 4 of 12 requests each, of no more than a volume of 512 blocks.
constexpr std::uint64_t requests_max = 64;
constexpr std::uint64_t request_bytes_max = 2ull << 20;

/// Whose it is, where it is some volume's.
std::optional<engine::VolumeId> volume_of(const engine::Message& message) {
  return std::visit(
      [](const auto& m) -> std::optional<engine::VolumeId> {
        if constexpr (requires { engine::VolumeId(m.volume); }) return m.volume;
        return std::nullopt;
      },
      message);
}

/// Nobody holds that yet: what was sent when a wire was slow takes as long as it was slow then. Connections are counted.
bool on_its_way(std::string_view kind) { return kind == "frame" || kind == "closed"; }

bool of_another_volume(const engine::Event& event, std::string_view name) {
  return std::any_of(event.fields.begin(), event.fields.end(), [&](const auto& field) {
    return field.first == "volume" && field.second != name;
  });
}

}  // namespace

void Cluster::hook_judges() {
  const auto failing = [this](std::string cls, std::string what) {
    fail(std::move(cls), std::move(what));
  };
  const bool lossy = options_.mode == engine::Mode::best_effort;
  const auto caps = Loads::caps_of(world_.settings, requests_max, request_bytes_max);
  judges_ = std::make_unique<Judges>(*logs_, *answers_, lossy, caps, volume_tag, failing);
  if (options_.mode == engine::Mode::sync_quorum) judges_->synced.quorum_may_count();
  judges_->synced.all_count(options_.mode == engine::Mode::sync_all);
  scheduler_->on_step = [this](const Step& s) {
    if (bystanders_->concerned(s)) return;
    logs_->observe(s);
    answers_->observe(s);
    judges_->reigns.observe(s);
    judges_->loads.observe(s);
    judges_->synced.observe(s);
  };
  world_.on_event = [this](const Life& by, const engine::Event& event) {
    if (by.twin || of_another_volume(event, volume)) return;
    judges_->states.happened(by, event);
    judges_->loads.happened(by, event);
    judges_->truth.happened(now(), nodes_[by.node]->name(), event);
    if (event.name == "replica_deleted") judges_->reigns.forget(by.node);
    // Its process runs, and it is no copy until it is whole again.
    if (event.name == "store_lost") copy_lost_ = true;
  };
  world_.net.on_send = [this](const Life& by, engine::Purpose purpose,
                              const engine::Message& message, std::size_t unsent) {
    const auto whose = volume_of(message);
    if (by.twin || (whose && volume_id_ && *whose != *volume_id_)) return;
    judges_->reigns.sent(by, message);
    judges_->loads.sent(by, purpose, message, unsent);
  };
  world_.net.on_connect = [this](const Life& from, const engine::Endpoint& to,
                                 const engine::Hello& hello) {
    const bool strange =
        hello.purpose != engine::Purpose::control && volume_id_ && hello.volume != *volume_id_;
    if (from.twin || strange) return;
    judges_->loads.connects(now(), from, to, hello.purpose);
  };
}

void Cluster::hears(std::uint32_t node, const engine::Assignment& assignment) {
  auto& last = heard_[node];
  const bool stale = last && std::pair(assignment.epoch, assignment.version) <
                                 std::pair(last->epoch, last->version);
  const bool to_fail = assignment.spec.below_min == engine::BelowMin::fail;
  if (!stale) judges_->errors.told(node, to_fail, now());
  last = assignment;
  judges_->synced.set_heard(node, assignment.epoch, assignment.version, assignment.in_sync);
  judges_->elections.told(assignment);
}

void Cluster::delivered(const Life& receiver, const engine::Message& message) {
  answers_->delivered(receiver.node, message);
  judges_->copied.delivered(receiver.node, message);
  const auto* assign = std::get_if<engine::Assign>(&message);
  if (assign != nullptr && assign->assignment.spec.name != volume) return;
  if (assign != nullptr) volume_id_ = assign->assignment.spec.id;
  if (assign != nullptr && !receiver.twin) hears(receiver.node, assign->assignment);
  const auto* set = std::get_if<engine::SetDecided>(&message);
  if (set != nullptr && set->volume == volume_id_ && !receiver.twin) {
    judges_->synced.set_heard(receiver.node, set->epoch, set->version, set->in_sync);
    judges_->elections.told(*set);
  }
  if (assign == nullptr || assign->assignment.epoch <= last_epoch_) return;
  last_epoch_ = assign->assignment.epoch;
  if (assign->assignment.marks != 0) judges_->reigns.excused(last_epoch_);
  if ((assign->assignment.marks & engine::EpochBody::cache_lost) != 0) {
    history_->cache_lost();
    registers_->lost();
  }
  if ((assign->assignment.marks & engine::EpochBody::forced) != 0) {
    forced_ = true;
    history_->forced();
    registers_->lost();
    logs_->forced(last_epoch_);
  }
}

bool Cluster::well() const {
  if (copy_lost_ || !world_.net.undisturbed()) return false;
  for (std::uint32_t n = 0; n < size(); ++n) {
    if (!nodes_[n]->alive() || isolated_[n] || !nodes_[n]->disk().sound()) return false;
  }
  return true;
}

void Cluster::look() {
  std::optional<engine::MonoTime> oldest;
  for (const auto& client : clients_) {
    const auto since = client->waiting_since();
    if (since && (!oldest || *since < *oldest)) oldest = since;
  }
  judges_->progress.look(now(), well(), oldest);
}

Census Cluster::census() {
  Census found;
  for (const auto& node : nodes_) {
    const auto of_node = [&](std::string_view what) {
      return fmt::format("{} {}", node->name(), what);
    };
    found[of_node("actors")] = scheduler_->actors_of(*node->life());
    found["open files"] += *node->disk().open_files;
    for (const auto& [kind, n] : world_.events.pending_of(*node->life())) {
      if (on_its_way(kind)) continue;
      found[fmt::format("events: {}", kind)] += n;
    }
  }
  for (const auto& [purpose, n] : world_.net.open_wires()) {
    found[fmt::format("connections: {}", to_string(purpose))] = n;
  }
  return found;
}

/// A node, its pace of rebuilds, and the control plane where it has it; of a copy its store and who plays its role,
/// which is the primary with a sender for each other copy.
Census Cluster::census_at_rest() const {
  Census wanted;
  for (std::uint32_t n = 0; n < size(); ++n) {
    const std::uint64_t copy = hosts_a_copy(n) ? 2 : 0;
    const std::uint64_t senders = serving() == n ? options_.copies - 1 : 0;
    wanted[fmt::format("{} actors", nodes_[n]->name())] = 2 + (n == 0 ? 1 : 0) + copy + senders;
  }
  wanted["connections: control"] = size();
  wanted["connections: records"] = options_.copies - 1;
  wanted["connections: bulk"] = 0;
  return wanted;
}

// What waits for nothing any more has waited long enough: a connection that nobody answered for 3 s, one whose end was
// not heard for 12.
void Cluster::look_at_rest(Leaks& leaks, void (Leaks::*at)(const Census&)) {
  constexpr int looks = 12;
  run_for(16 * second);
  for (int i = 0; i < looks && !failed(); ++i) {
    (leaks.*at)(census());
    run_for(90 * millisecond);
  }
}

bool Cluster::nothing_leaks() {
  // A copy may begin another segment of its log meanwhile, and another extent file with its checksums.
  // And one timer more or less may be set.
  const Census slack{{"open files", 3 * options_.copies}, {"events: timer", size()}};
  // What one node alone loses each time is more than that.
  const std::uint64_t cycles = std::max<std::uint64_t>(3 * options_.copies, size()) + 1;
  // Flipped bits break connections at rest, too, and these come again.
  world_.net.weather.flip_one_in = 0;
  Leaks leaks(slack,
              [this](std::string cls, std::string what) { fail(std::move(cls), std::move(what)); });
  look_at_rest(leaks, &Leaks::before);
  const auto blocks = history_->size() / cells_per_block;
  for (std::uint64_t cycle = 0; cycle < cycles && !failed(); ++cycle) {
    for (std::uint32_t a = 0; a < size(); ++a) {
      for (std::uint32_t b = 0; b < a; ++b) cut(a, b);
    }
    for (std::uint64_t i = 0; i < 4 && !failed(); ++i) write(i * 7 % blocks, 1, i % 4 == 3);
    if (!converge()) return false;
  }
  look_at_rest(leaks, &Leaks::after);
  if (!failed()) leaks.judge(census_at_rest());
  return !failed();
}

bool Cluster::rot_is_mended() {
  const auto rotten = [this] {
    std::string found;
    for (std::uint32_t n = 0; n < size(); ++n) {
      for (const auto* kind : {".dat", ".sum", "superblock"}) {
        for (const auto& file : files(n, kind)) {
          const auto pages = file->rotten_pages();
          if (!pages.empty())
            found += fmt::format(" {} {} page {}", nodes_[n]->name(), file->path, pages.front());
        }
      }
    }
    return found;
  };
  if (rotten().empty()) return !failed();
  if (!begin_scrub(100'000'000) || !scrub_ended()) {
    fail("not_scrubbed", "a scrub does not end at rest");
    return false;
  }
  if (const auto left = rotten(); !left.empty()) {
    fail("rot_not_found", fmt::format("behind a scrub there is still rot:{}", left));
  }
  return converge() && !failed();
}

}  // namespace tidemark::sim
