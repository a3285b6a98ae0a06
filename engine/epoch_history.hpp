// Which reign wrote which part of the log. Two logs are the same up to the last LSN on which their
// histories agree (and, by the digest there, provably so).
//
//   e1 --------- e2 ---- e3 --------->      each line: (epoch, nonce, first LSN)
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/configuration.hpp"
#include "engine/record/record.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

struct EpochStart {
  /// Beside EpochBody::Mark bits, in histories only: a record of the reign put best_effort in force, or out of it. What
  /// is before that record was committed by the former rule or by both. It may stay where the record was cut away: that
  /// may cost an operator's word, never a record.
  static constexpr std::uint8_t mode_changed = 0x80;

  Epoch epoch;
  std::uint64_t nonce = 0;
  Lsn first;                   ///< LSN of the epoch's own record.
  std::uint8_t marks = 0;      ///< EpochBody::Mark bits, and mode_changed.
  Mode mode = Mode::sync_all;  ///< As the reign began.
  auto operator<=>(const EpochStart&) const = default;

  /// All that the reign wrote was committed under best_effort.
  bool best_effort_only() const { return mode == Mode::best_effort && (marks & mode_changed) == 0; }
  /// Some of it may have been.
  bool best_effort_perhaps() const {
    return mode == Mode::best_effort || (marks & mode_changed) != 0;
  }
};

/// At most this many reigns are remembered; older lines are dropped
/// and a common point below them is "none".
inline constexpr std::size_t epoch_history_max = 128;

/// Ordered by first LSN and by epoch, both strictly rising.
class EpochHistory {
 public:
  EpochHistory() = default;
  /// CHECKs the order; keeps the last epoch_history_max lines.
  explicit EpochHistory(std::vector<EpochStart> starts);

  /// Appends a reign that begins beyond all others; anything else is refused.
  bool begin(const EpochStart& start);
  /// A record of the last reign says that this mode is in force from there on.
  void configured(Mode mode);
  /// Forgets every reign that begins beyond `end`: the log was truncated there.
  void truncate(Lsn end);
  /// The reign that wrote `lsn`, or nothing below the first remembered one.
  std::optional<EpochStart> at(Lsn lsn) const;
  std::optional<EpochStart> last() const;
  bool empty() const { return starts_.empty(); }
  /// Whether older reigns were dropped: a log's first record begins its first reign.
  bool shortened() const { return !empty() && starts_.front().first > Lsn(1); }
  const std::vector<EpochStart>& starts() const { return starts_; }

 private:
  std::vector<EpochStart> starts_;
};

/// An epoch or configure record that comes behind all others says what is in force from it on: both remember.
void put_in_force(const RecordHeader& header, const Configuration& said,
                  ConfigurationHistory& configurations, EpochHistory& history);

/// The last LSN on which both logs hold records of the same (epoch, nonce): bounded by both ends.
/// `Lsn{}` when nothing is shared, or both are empty.
Lsn common_point(const EpochHistory& a, Lsn end_a, const EpochHistory& b, Lsn end_b);

}  // namespace tidemark::engine
