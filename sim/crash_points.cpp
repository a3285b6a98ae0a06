#include "sim/crash_points.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

enum class Place : std::uint8_t {
  segment,
  superblock,
  fresh_superblock,  ///< Not yet under its name.
  blocks,
  checksums,
  missing,
  fresh_missing,
  fork,
  fresh_fork,
  volumes,
  replica,
  log,
  extents,
  forks,
  control,
  role,
  touched,
  scrub,
};
constexpr std::array<std::string_view, 18> place_names{
    "segment",           "superblock",        "fresh-superblock",  "blocks",
    "checksums",         "missing",           "fresh-missing",     "fork",
    "fresh-fork",        "volumes-directory", "replica-directory", "log-directory",
    "extents-directory", "forks-directory",   "control-catalog",   "role-catalog",
    "touched-catalog",   "scrub-catalog",
};
constexpr std::array<std::string_view, 10> step_names{
    "create", "write",  "sync",           "punch",          "resize",
    "rename", "remove", "make_directory", "sync_directory", "commit"};

struct PlacedStep {
  DurableStep step;
  Place place;
  Provocation by;
};

using S = DurableStep;
using P = Place;
using By = Provocation;
/// Each makes two points: before and after it.
constexpr std::array<PlacedStep, 52> steps{{
    {S::create, P::segment, By::new_copy},
    {S::write, P::segment, By::load},
    {S::sync, P::segment, By::restart},
    {S::remove, P::segment, By::full_disk},
    {S::create, P::fresh_superblock, By::new_copy},
    {S::write, P::fresh_superblock, By::new_copy},
    {S::sync, P::fresh_superblock, By::new_copy},
    {S::rename, P::fresh_superblock, By::new_copy},
    {S::remove, P::fresh_superblock, By::new_copy},
    {S::write, P::superblock, By::load},
    {S::remove, P::superblock, By::removed_copy},
    {S::create, P::blocks, By::new_copy},
    {S::write, P::blocks, By::load},
    {S::punch, P::blocks, By::resize},
    {S::resize, P::blocks, By::new_copy},
    {S::sync, P::blocks, By::load},
    {S::remove, P::blocks, By::removed_copy},
    {S::create, P::checksums, By::new_copy},
    {S::write, P::checksums, By::load},
    {S::resize, P::checksums, By::new_copy},
    {S::sync, P::checksums, By::load},
    {S::remove, P::checksums, By::removed_copy},
    {S::create, P::fresh_missing, By::left_behind},
    {S::write, P::fresh_missing, By::left_behind},
    {S::sync, P::fresh_missing, By::left_behind},
    {S::rename, P::fresh_missing, By::left_behind},
    {S::remove, P::fresh_missing, By::left_behind},
    {S::remove, P::missing, By::left_behind},
    {S::create, P::fresh_fork, By::forced},
    {S::write, P::fresh_fork, By::forced},
    {S::resize, P::fresh_fork, By::forced},
    {S::sync, P::fresh_fork, By::forced},
    {S::rename, P::fresh_fork, By::forced},
    {S::remove, P::fresh_fork, By::forced},
    {S::remove, P::fork, By::removed_fork},
    {S::sync_directory, P::volumes, By::new_copy},
    {S::make_directory, P::replica, By::new_copy},
    {S::sync_directory, P::replica, By::left_behind},
    {S::remove, P::replica, By::removed_copy},
    {S::make_directory, P::log, By::new_copy},
    {S::sync_directory, P::log, By::new_copy},
    {S::remove, P::log, By::removed_copy},
    {S::make_directory, P::extents, By::new_copy},
    {S::sync_directory, P::extents, By::new_copy},
    {S::remove, P::extents, By::removed_copy},
    {S::make_directory, P::forks, By::forced},
    {S::sync_directory, P::forks, By::forced},
    {S::remove, P::forks, By::removed_fork},
    {S::commit, P::control, By::decision},
    {S::commit, P::role, By::promotion},
    {S::commit, P::touched, By::load},
    {S::commit, P::scrub, By::scrub},
}};

constexpr std::array<std::pair<std::string_view, Place>, 6> key_places{{
    {"control/", P::control},
    {"volume/", P::role},
    {"promise/", P::role},
    {"removed/", P::role},
    {"touched/", P::touched},
    {"scrub/", P::scrub},
}};

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    if (end > 0) parts.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

std::optional<Place> place_in_replica(std::string_view name) {
  if (name == "superblock") return P::superblock;
  if (name == "superblock.new") return P::fresh_superblock;
  if (name == "missing") return P::missing;
  if (name == "missing.new") return P::fresh_missing;
  if (name == "wal") return P::log;
  if (name == "extents") return P::extents;
  if (name == "forks") return P::forks;
  return std::nullopt;
}

/// Of "/node1/volumes/REPLICA/wal/00000001.seg" and the like; nothing for what lies elsewhere.
std::optional<Place> place_of(std::string_view path) {
  const auto parts = parts_of(path);
  if (parts.size() < 2 || parts[1] != "volumes") return std::nullopt;
  if (parts.size() == 2) return P::volumes;
  if (parts.size() == 3) return P::replica;
  if (parts.size() == 4) return place_in_replica(parts[3]);
  const auto name = parts[4];
  if (parts[3] == "wal") return P::segment;
  if (parts[3] == "extents") return name.ends_with(".dat") ? P::blocks : P::checksums;
  return name.ends_with(".new") ? P::fresh_fork : P::fork;
}

std::optional<Place> place_of_key(std::string_view key) {
  const auto found = std::find_if(key_places.begin(), key_places.end(),
                                  [&](const auto& p) { return key.starts_with(p.first); });
  return found == key_places.end() ? std::nullopt : std::optional(found->second);
}

const PlacedStep& step_of(CrashPoint point) { return steps.at(point / 2); }

}  // namespace

std::size_t crash_points() { return 2 * steps.size(); }

std::string crash_point_name(CrashPoint point) {
  const auto& step = step_of(point);
  return fmt::format("{}/{}/{}", step_names.at(static_cast<std::size_t>(step.step)),
                     place_names.at(static_cast<std::size_t>(step.place)),
                     point % 2 == 0 ? "before" : "after");
}

std::optional<CrashPoint> crash_point_of(DurableStep step, std::string_view where,
                                         StepMoment moment) {
  const auto place = step == DurableStep::commit ? place_of_key(where) : place_of(where);
  if (!place) return std::nullopt;
  const auto found = std::find_if(steps.begin(), steps.end(), [&](const PlacedStep& s) {
    return s.step == step && s.place == *place;
  });
  CHECK(found != steps.end());
  const auto index = static_cast<std::size_t>(found - steps.begin());
  return 2 * index + (moment == StepMoment::after ? 1 : 0);
}

Provocation provocation_of(CrashPoint point) { return step_of(point).by; }

std::optional<CrashPoint> first_end_for(CrashPoint point) {
  const auto& wanted = step_of(point);
  if (wanted.step != DurableStep::remove) return std::nullopt;
  // What is renamed once it is whole stays under its first name when that does not come about.
  const auto found = std::find_if(steps.begin(), steps.end(), [&](const PlacedStep& s) {
    return s.step == DurableStep::rename && s.place == wanted.place;
  });
  if (found == steps.end()) return std::nullopt;
  return 2 * static_cast<std::size_t>(found - steps.begin());
}

bool CrashPoints::ends_at(std::uint32_t node, DurableStep step, std::string_view where,
                          StepMoment moment) {
  if (!armed_ || armed_->node != node) return false;
  const auto here = crash_point_of(step, where, moment);
  if (!here) return false;
  if (armed_->point && *armed_->point != *here) return false;
  if (armed_->others > 0) {
    --armed_->others;
    return false;
  }
  ++hits_[*here];
  struck_ = Struck{node, *here, armed_->power};
  armed_.reset();
  return true;
}

std::optional<CrashPoints::Struck> CrashPoints::take_struck() {
  return std::exchange(struck_, std::nullopt);
}

}  // namespace tidemark::sim
