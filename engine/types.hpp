// The vocabulary of docs/GLOSSARY.md as types. Blocks, never bytes, inside the engine.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/strong.hpp"
#include "engine/text.hpp"

namespace tidemark::engine {

/// Size of a block in bytes; the unit of addressing, checksumming and atomicity.
inline constexpr std::uint32_t block_bytes = 4096;

/// Dense position in a volume's log, from 1. `Lsn{}` is "nothing".
using Lsn = Position<struct LsnTag>;
/// Address of a block within a volume, from 0.
using BlockIndex = Position<struct BlockTag>;
/// The reign of one primary in one incarnation. Grows only by the control plane. 0 = none.
using Epoch = Id<struct EpochTag>;
/// Counts the changes of an assignment within an epoch.
using Version = Id<struct VersionTag>;
/// A replica's identity, minted by the control plane and never reused. 0 = none.
using ReplicaId = Id<struct ReplicaTag>;
/// Boot counter of a node. 0 = none.
using Incarnation = Id<struct IncarnationTag>;
/// One effort to bring one replica in line; never reused within a primary's reign. 0 = none.
using SessionId = Id<struct SessionTag>;

/// Time since an arbitrary start (CLOCK_BOOTTIME in daemons,
/// virtual in the simulator), nanoseconds.
using MonoTime = Position<struct MonoTag>;
/// Time since the Unix epoch, nanoseconds. Display and restore-to-moment only; never a lease.
using WallTime = Position<struct WallTag>;

inline constexpr std::uint64_t millisecond = 1'000'000;  ///< In nanoseconds.
inline constexpr std::uint64_t second = 1'000 * millisecond;

/// A half-open run of blocks [first, first + count).
struct BlockRange {
  BlockIndex first;
  std::uint64_t count = 0;

  constexpr BlockIndex end() const { return first + count; }
  constexpr bool empty() const { return count == 0; }
  constexpr bool contains(BlockIndex b) const { return first <= b && b < end(); }
  constexpr bool overlaps(const BlockRange& o) const { return first < o.end() && o.first < end(); }
  constexpr auto operator<=>(const BlockRange&) const = default;
};

/// RFC 9562 UUID, in its canonical byte order.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  constexpr auto operator<=>(const Uuid&) const = default;
  constexpr explicit operator bool() const {
    for (auto b : bytes) {
      if (b != 0) return true;
    }
    return false;
  }
};
/// The canonical 8-4-4-4-12 lower-case form.
std::string to_string(const Uuid& id);
/// Accepts 8-4-4-4-12 hex digits in either case.
std::optional<Uuid> parse_uuid(std::string_view text);
/// A version 4 UUID from 128 random bits.
Uuid make_uuid(std::uint64_t high, std::uint64_t low);

using ClusterId = Uuid;
using VolumeId = Uuid;

/// A node is (name, UUID): an old name under a new UUID is another node.
struct NodeId {
  std::string name;
  Uuid uuid;

  auto operator<=>(const NodeId&) const = default;
  explicit operator bool() const { return static_cast<bool>(uuid); }
};

/// Where a node listens: "127.0.0.1:9101". An attribute of a replica, never its identity.
using Endpoint = std::string;

/// 128-bit digest of a log prefix, chained record by record (docs/DATA_FORMAT.md).
/// Not cryptographic: it detects damage and divergence, not malice.
struct Digest {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  constexpr auto operator<=>(const Digest&) const = default;
};
std::string to_string(const Digest& digest);

/// Where writes of one front end come from: (node, incarnation). With a per-session sequence it
/// names a request for ever (C5).
struct FrontSession {
  std::uint64_t node_key = 0;  ///< First eight bytes of the node's UUID, big endian.
  Incarnation incarnation;

  constexpr auto operator<=>(const FrontSession&) const = default;
};

enum class Mode : std::uint8_t { sync_all = 1, sync_quorum = 2, best_effort = 3 };
enum class AckPolicy : std::uint8_t { received = 1, durable = 2 };
enum class Role : std::uint8_t { replica = 1, primary = 2 };
/// What a write is answered while fewer copies than min_copies are there: nothing, or an error.
enum class BelowMin : std::uint8_t { block = 1, fail = 2 };
std::string_view to_string(Mode mode);
std::string_view to_string(AckPolicy ack);
std::string_view to_string(Role role);
std::string_view to_string(BelowMin below);
std::optional<Mode> parse_mode(std::string_view text);
std::optional<AckPolicy> parse_ack(std::string_view text);
std::optional<BelowMin> parse_below_min(std::string_view text);

}  // namespace tidemark::engine

template <>
struct fmt::formatter<tidemark::engine::BlockRange> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const tidemark::engine::BlockRange& r, Context& ctx) const {
    return fmt::format_to(ctx.out(), "[{},{})", r.first.value, r.end().value);
  }
};
