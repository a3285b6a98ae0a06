// What of a volume may change while it lives, and since which LSN which of it is in force: a change
// is a record of the log (C12, C24), so the size of a volume is a property of a place in its log.
//
//   lsn   1        40             97
//         epoch    configure      configure
//         1 GiB    2 GiB          1.5 GiB, and blocks [393216, 524288) are zeros from here on
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/types.hpp"

namespace tidemark::engine {

inline constexpr std::uint64_t volume_bytes_min = 1ull << 20;
inline constexpr std::uint64_t volume_bytes_max = 16ull << 40;
/// No volume has more blocks, whatever its size is now.
inline constexpr std::uint64_t volume_blocks_max = volume_bytes_max / block_bytes;

/// What `configure` records say. Size, mode and min_copies can be changed while the volume is in use.
struct Configuration {
  std::uint64_t size_bytes = 0;  ///< A multiple of block_bytes.
  Mode mode = Mode::sync_all;
  std::uint32_t min_copies = 1;
  auto operator<=>(const Configuration&) const = default;

  std::uint64_t blocks() const { return size_bytes / block_bytes; }
};

/// The blocks that a change takes away; empty where it takes none. They read as zeros from then on.
BlockRange cut_blocks(const Configuration& from, const Configuration& to);

struct ConfigurationStart {
  Configuration configuration;
  Lsn first;  ///< LSN of the record that says it; Lsn{}: from the beginning.
  auto operator<=>(const ConfigurationStart&) const = default;
};

/// Changes up to a checkpoint that a superblock remembers. Those behind it are all kept: they stand in
/// the log, and a start reads them from there.
inline constexpr std::size_t configuration_history_max = 64;

/// Ordered by LSN. Never empty but when made without anything.
class ConfigurationHistory {
 public:
  ConfigurationHistory() = default;
  explicit ConfigurationHistory(const Configuration& initial, Lsn at = {})
      : starts_{{initial, at}} {}
  explicit ConfigurationHistory(std::vector<ConfigurationStart> starts)
      : starts_(std::move(starts)) {}

  /// A record at `lsn`, beyond all others, says `next`. What is in force already changes nothing.
  void begin(Lsn lsn, const Configuration& next);
  /// Forgets what was said beyond `end`: the log was truncated there.
  void truncate(Lsn end);
  /// Drops the oldest of more than configuration_history_max; never what is in force at `lsn` or later.
  void forget_before(Lsn lsn);
  /// In force at `lsn`: as the records up to it say. Nothing below the oldest that is remembered.
  std::optional<Configuration> at(Lsn lsn) const;
  /// The smallest number of blocks at `lsn` and at any place behind it.
  std::uint64_t blocks_from(Lsn lsn) const;
  /// The last word. Not for an empty history.
  const ConfigurationStart& last() const;
  const Configuration& current() const { return last().configuration; }
  bool empty() const { return starts_.empty(); }
  const std::vector<ConfigurationStart>& starts() const { return starts_; }

 private:
  std::vector<ConfigurationStart> starts_;
};

}  // namespace tidemark::engine
