// Where a process can end between two durable steps: before one of them took effect, or after it did
// and before anybody heard of that. Each kind of step on each kind of file is a point of its own.
//
//   asked ──► before │ takes effect │ after ──► completion
//
// A point is armed for one node; the process ends when it gets there next, and nothing it would have
// done from then on happens.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::sim {

/// What a disk or a catalog makes durable, or changes names by.
enum class DurableStep : std::uint8_t {
  create,
  write,
  sync,
  punch,
  resize,
  rename,
  remove,
  make_directory,
  sync_directory,
  commit,  ///< A batch of the catalog.
};
enum class StepMoment : std::uint8_t { before, after };

/// A number of the table below.
using CrashPoint = std::size_t;

/// How many there are, whether a run reached them or not.
std::size_t crash_points();
/// "remove/superblock/after": one word.
std::string crash_point_name(CrashPoint point);
/// Where the step is: a path of a node's disk (of a rename: the old one), or the first key of a
/// batch. Nothing for what is not a node's; CHECKs that a node's step is in the table.
std::optional<CrashPoint> crash_point_of(DurableStep step, std::string_view where,
                                         StepMoment moment);

/// What is worth doing so that a node comes by a point soon.
enum class Provocation : std::uint8_t {
  load,     ///< Writes, and more of them than a log keeps.
  restart,  ///< The node's process ends and begins.
  new_copy,
  left_behind,   ///< The node is away until others' logs do not reach back to it.
  forced,        ///< Another copy than those that have all becomes the primary.
  removed_copy,  ///< An operator removes the node's copy, and adds it again.
  removed_fork,  ///< The same of a copy that has put aside what was lost.
  resize,
  full_disk,
  promotion,
  decision,  ///< The same, for the control plane's host.
  scrub,
};
Provocation provocation_of(CrashPoint point);
/// Where a process has to end first, so that another one comes by a point that removes what it left; nothing for the
/// other points.
std::optional<CrashPoint> first_end_for(CrashPoint point);

/// Whether the process ends at this step, now.
using EndsAt = std::function<bool(DurableStep step, std::string_view where, StepMoment moment)>;

/// The one point of a cluster that is armed, and how often each one ended a process.
class CrashPoints {
 public:
  CrashPoints() : hits_(crash_points(), 0) {}

  /// The node's process ends where it comes by `point` next; `power`: its machine does.
  void arm(std::uint32_t node, CrashPoint point, bool power) { armed_ = {node, point, 0, power}; }
  /// At the point that it comes by behind so many others.
  void arm_any(std::uint32_t node, std::uint64_t others, bool power) {
    armed_ = {node, std::nullopt, others, power};
  }
  void disarm() { armed_.reset(); }
  /// False from the moment on at which the process ended.
  bool armed() const { return armed_.has_value(); }

  /// What the node's disk and catalog ask at each step.
  bool ends_at(std::uint32_t node, DurableStep step, std::string_view where, StepMoment moment);
  struct Struck {
    std::uint32_t node = 0;
    CrashPoint point = 0;
    bool power = false;
  };
  /// Whose process has ended so since this was asked last.
  std::optional<Struck> take_struck();

  /// By point.
  const std::vector<std::uint64_t>& hits() const { return hits_; }

 private:
  struct Armed {
    std::uint32_t node = 0;
    std::optional<CrashPoint> point;
    std::uint64_t others = 0;  ///< That it comes by before.
    bool power = false;
  };

  std::optional<Armed> armed_;
  std::optional<Struck> struck_;
  std::vector<std::uint64_t> hits_;
};

}  // namespace tidemark::sim
