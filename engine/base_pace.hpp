// How fast a node gives base blocks away, and to whom first: one BasePace for all copies that are
// rebuilt from it. A lane asks before each read and is granted it when three things allow:
//
//   its turn       at most lanes_max lanes at once, in the order in which they first asked
//   the cap        an operator's word, bytes per second of all lanes together
//   the governor   what clients of this node's volumes can bear, found by trial:
//
//     rate ▲    │╭──╱│╭──╱│        grows by a quarter per window until they suffered once, is cut to
//          │   ╱││   ││   │╭──     seven tenths where they do, comes back by a quarter of what is left
//          │ ╱  ╰╯   ╰╯   ╰╯       up to there, and creeps on by rate_step
//          └──────────────────►    no client, no limit
//
// A volume suffers when its median or its p99 is more than one and a half times what it was while no
// base block moved: its reference. Where there is none, or an old one (what the
// clients do may have changed), the lanes are held for a moment and it is measured.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/latency_window.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// One copy that is rebuilt from this node, numbered by the shell; never reused.
using LaneId = Id<struct BaseLaneTag>;

/// What keeps a lane from going faster.
enum class PaceHold : std::uint8_t { none, turn, cap, governor, reference };
std::string_view to_string(PaceHold hold);

struct PaceLimits {
  // Two: one may wait for its replica's disk while the other is read for. More at once only make
  // each of them come in later.
  std::uint32_t lanes_max = 2;
  std::uint64_t cap = 0;  ///< Bytes per second; 0: none.
};

struct PaceGrant {
  LaneId lane;
  std::uint64_t bytes = 0;
};
struct PaceStanding {
  PaceHold hold = PaceHold::none;
  std::uint64_t rate = 0;  ///< Bytes per second that all lanes share; 0: no limit.
};

namespace pace {
/// The governor thinks this often.
inline constexpr std::uint64_t window = latency_window;
// Near the rate that clients suffered from: 16 MiB/s more in a second. A window in which they
// suffer costs them 250 ms of slower answers; so one in twenty, at the rates of a disk.
inline constexpr std::uint64_t rate_step = 4ull << 20;
/// Below it a rebuild would not end: 4 MiB/s are 1 TiB in three days.
inline constexpr std::uint64_t rate_min = 4ull << 20;
/// Where it begins while clients are at work: a tenth of a disk. A quarter more per window: 100 MiB/s
/// after two seconds, 400 after four.
inline constexpr std::uint64_t rate_start = 16ull << 20;
/// What is granted at once under the governor: a 64th of a second's worth. Who writes meanwhile waits
/// for one such read at a time: of 1 MiB, at 6 MiB/s, that was enough to be their p99.
inline constexpr std::uint64_t pieces_per_second = 64;
/// A sample whose window began so long after the last grant holds nothing of the rebuild: the reads
/// that were under way, and what the replica still wrote, are over.
inline constexpr std::uint64_t settle = 100 * millisecond;
/// No sample for so long: the volume is at rest. One with an answer per second gives one in a second
/// and a half.
inline constexpr std::uint64_t rest_after = 3 * second;
// A look holds the lanes for up to half a second of each twenty: 3 %.
inline constexpr std::uint64_t look_every = 20 * second;
inline constexpr std::uint64_t look_max = 1'500 * millisecond;
/// Fewer answers than this have no p99.
inline constexpr std::uint64_t p99_count_min = 200;
}  // namespace pace

class BasePace {
 public:
  explicit BasePace(PaceLimits limits);

  /// The lane wants to read about `bytes`, and may be granted less. One question at a time; the first
  /// joins the queue.
  void ask(LaneId lane, std::uint64_t bytes, MonoTime now);
  /// What was granted moved `used` bytes in the end: zeros cost nothing.
  void used(std::uint64_t granted, std::uint64_t used);
  /// The lane is over, in whatever way. Harmless for one that is not known.
  void leave(LaneId lane, MonoTime now);
  /// A volume is served from here on. Its clients may have waited for it, and count as at work until they were silent for
  /// pace::rest_after: the lanes begin anew at pace::rate_start, held for a look before where there is no reference.
  void served(const VolumeId& volume, MonoTime now);
  /// What clients of a volume that is served here saw.
  void measured(const VolumeId& volume, const LatencySample& sample);
  void set_cap(std::uint64_t bytes_per_second, MonoTime now);

  /// What may be read now, and counts as begun.
  std::vector<PaceGrant> grant(MonoTime now);
  /// When to call grant() again, if nothing happens before.
  std::optional<MonoTime> wake_at() const;

  PaceStanding standing(LaneId lane) const;
  std::uint64_t cap() const { return limits_.cap; }
  std::size_t lanes() const { return lanes_.size(); }

 private:
  struct Lane {
    LaneId id;
    std::uint64_t asked = 0;  ///< 0: it asks for nothing now.
  };
  struct Reference {
    std::uint64_t median = 0;
    std::uint64_t p99 = 0;
    MonoTime at;
  };
  struct Foreground {
    MonoTime heard;
    std::optional<Reference> reference;
  };

  std::size_t placed() const;
  std::uint64_t rate() const;
  void refill(MonoTime now);
  void begin_window(MonoTime now);
  void end_window(MonoTime now);
  void grow();
  void ungoverned();
  bool at_work(const Foreground& volume, MonoTime now) const;
  bool anyone_at_work(MonoTime now) const;
  void look_if_due(MonoTime now);
  static void refer(Foreground& volume, const LatencySample& sample);
  static bool suffers(const Reference& reference, const LatencySample& sample);
  std::uint64_t moved_per_second(MonoTime now) const;

  PaceLimits limits_;
  std::vector<Lane> lanes_;  ///< In the order in which they came; the first lanes_max have a place.
  std::size_t next_ = 0;     ///< Whose turn it is among those with a place.
  std::int64_t balance_ = 0;  ///< Bytes; below 0 nothing is granted while there is a rate.
  MonoTime refilled_;

  std::optional<std::uint64_t> governed_;     ///< Nothing: nobody is at work.
  std::optional<std::uint64_t> suffered_at_;  ///< The rate; nothing: at none yet, or none near.
  std::map<VolumeId, Foreground> volumes_;
  MonoTime window_began_;
  std::uint64_t window_bytes_ = 0;
  bool suffered_ = false;  ///< In this window.
  bool heard_ = false;     ///< Somebody told in this window, with base blocks on the move.
  std::optional<MonoTime> granted_;  ///< The last time.
  std::optional<MonoTime> looking_;  ///< Since then.
  std::optional<MonoTime> looked_;   ///< The end of the last look.
};

}  // namespace tidemark::engine
