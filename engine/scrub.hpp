// Scrub: a copy is read from end to end, slowly, to find what rotted before somebody needs it.
//
//   superblock, catalog ──► log ──► blocks 0, 1, 2, ... ──► checksums ──► repairs ──► finished
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/result.hpp"
#include "engine/timer.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

enum class ScrubState : std::uint8_t {
  idle,       ///< None was asked for since the store was opened.
  log,        ///< Superblock, catalog and retained log.
  blocks,     ///< The extents, block by block.
  repairing,  ///< All was read; what was found is being repaired.
  finished,
  stopped,  ///< By an operator, or it could not go on: the problem says why.
};
std::string_view to_string(ScrubState state);

/// Bytes per second that are read where nobody says otherwise: an hour for 180 GB.
inline constexpr std::uint64_t scrub_rate_default = 50u << 20;
inline constexpr std::uint64_t scrub_rate_min = 64u << 10;

struct ScrubStatus {
  ScrubState state = ScrubState::idle;
  std::uint64_t round = 0;  ///< The number of the volume's scrub that it belongs to; 0: none.
  std::uint64_t rate = scrub_rate_default;  ///< Bytes per second.
  BlockIndex next;                          ///< Blocks below were read.
  std::uint64_t blocks = 0;                 ///< Of the volume.
  std::uint64_t read_bytes = 0;             ///< Since the store was opened, of all scrubs.
  std::uint64_t damaged = 0;                ///< Blocks, found by this scrub.
  std::uint64_t sums_rewritten =
      0;                         ///< Blocks of checksum files that were not what they should be.
  std::uint64_t log_damage = 0;  ///< Places in the log.
  std::uint64_t slots_rewritten = 0;  ///< Superblock slots.
  std::uint64_t catalogs_rewritten =
      0;  ///< The node's catalog: 1 where it was not as it should be.
  std::string problem;
};

/// How long to wait after reading so much.
std::uint64_t scrub_pause(std::uint64_t bytes, std::uint64_t rate);

/// What goes on after a restart.
struct ScrubPlace {
  std::uint64_t rate = scrub_rate_default;
  BlockIndex next;
  std::uint64_t damaged = 0;
  std::uint64_t round = 0;

  friend bool operator==(const ScrubPlace&, const ScrubPlace&) = default;
};
/// 37 bytes: docs/DATA_FORMAT.md.
std::string encode_scrub(const ScrubPlace& place);
/// Nothing where it is not one.
std::optional<ScrubPlace> decode_scrub(std::string_view value);

}  // namespace tidemark::engine
