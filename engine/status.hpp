// What the system says of itself: plain snapshots, the same for `tidemark status`,
// metrics and the simulator.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/event.hpp"
#include "engine/messages.hpp"
#include "engine/scrub.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// Where one replica stands with its sender.
enum class PeerState : std::uint8_t {
  disconnected,  ///< No link; retrying.
  connecting,
  probing,      ///< Facts and digests are being compared.
  preparing,    ///< A session was started; truncation or reset is under way.
  catching_up,  ///< Records flow towards the frozen target.
  rebuilding,   ///< Two lanes.
  streaming,    ///< In line: what is numbered is sent at once.
  refused,      ///< It cannot be brought in line; the reason says why and what helps.
  stopped,
};
std::string_view to_string(PeerState state);

/// What the sessions of one sender came to, counted since it began.
struct RecoveryCounts {
  enum Kind : std::uint8_t { handshake, catch_up, rebuild, kinds };  ///< handshake: no plan yet.
  enum Result : std::uint8_t {
    completed,
    failed,
    superseded,  ///< A new assignment, removal or stop: no fault of the session.
    results
  };
  std::array<std::array<std::uint64_t, results>, kinds> sessions{};
  std::uint64_t bytes = 0;  ///< Sent in sessions that are over, frames included.
  std::uint64_t base_blocks = 0;
  std::uint64_t milliseconds = 0;
  std::uint64_t escalations = 0;
};

struct PeerStatus {
  ReplicaId replica;
  NodeId node;
  Endpoint endpoint;
  PeerState state = PeerState::disconnected;
  std::string reason;  ///< Why it is where it is, for people.
  SessionId session;
  SessionKind kind = SessionKind::catch_up;
  std::string outcome;  ///< The last outcome with its proof.
  Lsn target;
  Lsn received;
  Lsn durable;
  bool in_set = false;
  bool exact = false;
  std::uint64_t lag_lsns = 0;
  std::uint64_t lag_bytes = 0;
  std::uint64_t lag_milliseconds = 0;  ///< Age of the oldest record it lacks.
  std::uint64_t session_bytes = 0;     ///< Sent in the current or last session, frames included.
  std::uint64_t session_payload_bytes = 0;
  std::uint64_t session_base_blocks = 0;  ///< Rebuild: base blocks sent or sent as zero ranges.
  std::uint64_t session_base_blocks_all = 0;
  std::uint64_t session_milliseconds = 0;  ///< How long it has run or took.
  std::vector<std::string> pins;
  std::uint64_t rebuild_limit = 0;     ///< Bytes per second of all rebuilds here; 0: none.
  std::string rebuild_held_by;         ///< turn, cap, governor, reference; empty: nothing.
  std::string session_phase;           ///< Of the current or last session.
  std::uint64_t session_permille = 0;  ///< Of its way to the target, or of its base blocks.
  std::uint64_t session_rate = 0;      ///< Bytes per second over the last seconds.
  std::optional<std::uint64_t> session_eta_milliseconds;  ///< Unknown while nothing moves.
  std::uint32_t failed_in_a_row = 0;  ///< Sessions of one kind that got nowhere.
  bool escalated = false;
  RecoveryCounts counts;
};

struct StoreStatus {
  Lsn end;  ///< Last record in memory.
  Lsn durable;
  Lsn committed;  ///< Local committed: the flusher's limit with `durable`.
  Lsn checkpoint;
  WallTime checkpoint_time;  ///< Monotone time of the record there.
  Lsn retained;              ///< Lowest readable LSN.
  Lsn touched_from;          ///< What was touched behind it, up to the checkpoint, can be named.
  BaseState base = BaseState::complete;
  std::string problem;          ///< Damage, a full disk, a failed store; empty when healthy.
  std::uint64_t wal_bytes = 0;  ///< Segments on disk.
  std::uint64_t wal_free_bytes = 0;
  std::uint64_t dirty_blocks = 0;  ///< In the log but not in the extents.
  std::uint64_t memory_bytes = 0;  ///< Record payload kept in memory.
  std::uint64_t wal_bytes_written = 0;
  std::uint64_t extent_bytes_written = 0;
  std::uint64_t wal_writes = 0;  ///< Group commits.
  std::uint64_t flushes = 0;
  std::uint64_t damaged_blocks = 0;       ///< Of the extents, now: content that was not written.
  std::uint64_t unrepairable_blocks = 0;  ///< Of these: no copy could help so far.
  std::uint64_t damage_found = 0;         ///< Blocks, since the store was opened.
  std::uint64_t blocks_repaired = 0;
  ScrubStatus scrub;
};

struct VolumeStatus {
  Assignment assignment;
  bool serving = false;
  std::string waiting_for;  ///< Why requests wait or nothing is served; empty when healthy.
  Lsn head;
  Lsn durable;
  Lsn committed;
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t trims = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t waiting_requests = 0;
  std::uint64_t stall_milliseconds_max =
      0;  ///< Longest time an acknowledged-by-commit request waited.
  std::vector<PeerStatus> peers;
  /// How many of the recorded set must hold a record: all, in sync_quorum as quorum.hpp says.
  std::uint64_t required = 0;
};

/// A named event of the recovery log with its moment.
struct LoggedEvent {
  WallTime at;
  Event event;
  std::uint64_t sequence = 0;  ///< From 1, dense in its log.
};
inline constexpr std::size_t recovery_log_max = 256;  ///< Events kept per volume.

}  // namespace tidemark::engine
