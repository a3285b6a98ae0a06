// The replication protocol as plain structs. The codec (transport/replication) gives each its
// bytes; who may send what in which phase, and what the answer is, stands in docs/PROTOCOL.md.
//
//   primary's sender                                   replica's receiver
//      Probe  ------------------------------------------>  Facts
//      AskDigest --------------------------------------->  DigestIs
//      AskDigests  (where the logs part) ---------------->  Digests
//      StartSession (truncate, catch up or rebuild) ---->  SessionReady
//      Touched  (a rebuild that keeps what it can) ----->  TouchedNoted
//      Records, Progress ------------------------------->  Ack
//      Barrier ----------------------------------------->  BarrierReached
//      BaseBlocks, BaseZeroes, BaseSums  (bulk link) --->  AskBase, AskBaseSums, BaseWhole
//
// Every mutating message repeats volume, epoch and session. Any message may arrive late;
// one that names another epoch or session is dropped, and says so where the sender could
// still care (Refused).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/base_messages.hpp"
#include "engine/epoch_history.hpp"
#include "engine/record/record.hpp"
#include "engine/repair.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

// --- any connection ------------------------------------------------------------------------------

inline constexpr std::uint16_t protocol_version = 4;

/// What a connection is for; fixed by its Hello.
enum class Purpose : std::uint8_t {
  records = 1,  ///< Primary -> replica: records and numbers.
  bulk = 2,     ///< Primary -> replica: base blocks.
  control = 3,  ///< Node -> control plane host.
};
std::string_view to_string(Purpose purpose);

/// First message of the side that connected.
struct Hello {
  std::uint16_t protocol_min = protocol_version;
  std::uint16_t protocol_max = protocol_version;
  Purpose purpose = Purpose::records;
  ClusterId cluster;
  NodeId node;
  Incarnation incarnation;
  // records and bulk:
  VolumeId volume;
  ReplicaId from;
  ReplicaId to;
  Epoch epoch;
  SessionId session;  ///< bulk: the session it serves.
};
/// Accepts a Hello. A newer connection of the same peer
/// and purpose fences the older before this is sent.
struct HelloOk {
  std::uint16_t protocol = protocol_version;
  NodeId node;
  Incarnation incarnation;
};

enum class RefusalCode : std::uint8_t {
  protocol = 1,  ///< No common version, malformed frame, or a type that this phase does not allow.
  wrong_cluster = 2,
  wrong_node = 3,  ///< Not the node, or not the UUID under that name.
  wrong_volume = 4,
  wrong_replica = 5,
  stale_epoch = 6,
  stale_session = 7,
  stale_incarnation = 8,
  not_a_replica = 9,  ///< No assignment for that volume here (yet), or another role.
  store_failed = 10,
  no_space = 11,
  bad_data = 12,  ///< Checksum, digest, gap or geometry.
  shutting_down = 13,
  not_yet = 14,
};
std::string_view to_string(RefusalCode code);
/// Ends the connection; sent once, before closing, by whoever cannot go on.
struct Refused {
  RefusalCode code = RefusalCode::protocol;
  std::string text;  ///< At most 512 bytes; escape before printing.
  Epoch promised;    ///< stale_epoch: what the refuser has promised.
};

// --- records link --------------------------------------------------------------------------------

/// Asks for the facts on which recovery is decided. Harmless to repeat.
struct Probe {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
};

/// How complete a replica's extents are.
enum class BaseState : std::uint8_t {
  complete = 1,
  incomplete =
      2,        ///< A rebuild is under way or was broken off: no read, no vote, no promotion (C6).
  damaged = 3,  ///< Bytes proved durable are gone; only a replacement or a repair helps (C13, C14).
};
std::string_view to_string(BaseState state);

/// How far a rebuild came that was broken off; durable at the replica (C9).
struct BaseProgress {
  Epoch epoch;    ///< Of the reign in which blocks were last copied.
  Lsn flush_lsn;  ///< The highest LSN whose content any copied block may hold.
  std::uint64_t missing_blocks = 0;

  friend bool operator==(const BaseProgress&, const BaseProgress&) = default;
};

/// What of a copy is to be compared with its source: groups of blocks, by number.
struct BaseQuestion {
  Lsn at;  ///< The extents may hold content up to it.
  std::uint64_t group_blocks = 0;
  std::vector<std::uint32_t> groups;  ///< Rising; at most base_sums_max.
};
/// What a store's tables of checksums come to, its extents holding exactly the log up to `lsn`.
struct GroupSums {
  Lsn lsn;
  std::vector<std::uint64_t> sums;  ///< One per group.
};

/// What a replica's own disk says. The answer to Probe, and part of a Promise.
struct Facts {
  VolumeId volume;
  Epoch epoch;        ///< Echoes the question.
  SessionId session;  ///< Echoes the question.
  EpochHistory history;
  Lsn received;    ///< End of its log in memory.
  Lsn durable;     ///< End of its log on disk.
  Lsn checkpoint;  ///< All of it is in the extents, synced.
  Lsn retained;    ///< Lowest LSN whose record it can still read; received.next() if none.
  Lsn committed;   ///< What it knows committed, bounded by what it proved it shares (C10).
  Epoch promised;
  /// A reign that began without knowing of a set that the replica's node was told of; 0: none. What was written before
  /// it may have been committed by that set, though nothing here says so any more (C18).
  Epoch forgotten;
  Incarnation incarnation;
  BaseState base = BaseState::complete;
  std::optional<BaseProgress> rebuild;  ///< base == incomplete: nothing if all of it is missing.
  bool clean = false;  ///< Its last stop was clean: nothing it had received was lost.
  std::string damage;  ///< base == damaged: what and where.
};

/// Asks for the digest of the log up to `lsn`. Harmless to repeat.
struct AskDigest {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn lsn;
};
struct DigestIs {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn lsn;
  std::optional<Digest> digest;  ///< Nothing: it no longer knows.
};

/// A place in a log and the digest of all up to it.
struct DigestAt {
  Lsn lsn;
  Digest digest;

  friend bool operator==(const DigestAt&, const DigestAt&) = default;
};
/// Asks for digests at or below several places, to find the last one where both logs are equal.
/// Harmless to repeat.
struct AskDigests {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  std::vector<Lsn> lsns;  ///< Rising.
};
/// For each place that was asked for the greatest one at or below it whose digest is known.
struct Digests {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn touched_from;              ///< What its log touched behind it can be named (C6).
  std::vector<DigestAt> points;  ///< Rising; none where nothing is known.
};
inline constexpr std::uint32_t digests_max = 64;

enum class SessionKind : std::uint8_t { catch_up = 1, rebuild = 2 };
std::string_view to_string(SessionKind kind);

/// What a rebuild copies. The replica alone knows which blocks those are, and asks for them.
enum class BaseScope : std::uint8_t {
  all = 1,      ///< Log and extents are forgotten.
  touched = 2,  ///< The log is forgotten; blocks that either side touched since are copied (C6).
  rest = 3,     ///< Log and extents are kept: what an earlier session did not get is copied (C9).
};
std::string_view to_string(BaseScope scope);

/// Of a replica that is rebuilt: committed records that it has and the volume has not any more.
struct OwnPast {
  Lsn parts_at;      ///< They lie behind it: first they are sealed as a fork.
  Lsn touched_from;  ///< At or below it. Scope touched: what they touched behind it is missing.
};

/// The empty log that a base begins.
struct NewLog {
  Lsn base;
  Digest digest;  ///< Of the source's log there.
  WallTime time;  ///< Monotone time of its record there: what follows is later (C25).
  EpochHistory history;
  std::optional<Configuration> configuration;  ///< In force there; nothing: as it is.
  std::optional<OwnPast> own_past;  ///< Committed records here are of an abandoned past (C6, C18).
};

/// Begins a session; the replica drops what an older one left. For catch_up, and a rebuild of the
/// rest, the replica truncates to `common_point` first when it is ahead of it. For any other
/// rebuild it durably marks itself base_incomplete and starts an empty log behind `common_point`,
/// the base LSN, with `digest`; of scope `touched` not before all blocks were named.
struct StartSession {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  SessionKind kind = SessionKind::catch_up;
  BaseScope scope = BaseScope::all;  ///< Of a rebuild.
  Lsn common_point;
  Digest digest;          ///< Of the log at common_point.
  WallTime time;          ///< Of a base: monotone time of the record there.
  Lsn target;             ///< Frozen: the primary's head when it was planned.
  Lsn touched_from;       ///< Scope touched: blocks of all records with a greater LSN are named.
  Digest touched_digest;  ///< Of both logs there.
  /// Rebuild: what the replica holds behind it was committed and is of an abandoned past (C18). Of
  /// scope touched, what its own log touched behind `touched_from` is missing as well (C6).
  std::optional<Lsn> parts_at;
  EpochHistory history;         ///< Rebuild: the reigns up to common_point.
  std::string reason;           ///< For the replica's recovery log.
  Configuration configuration;  ///< In force at common_point; size 0: as the assignment says.
};
/// Behind StartSession{rebuild, touched}: blocks that the primary's log touched behind the common
/// point, ascending and disjoint, in as many messages as it takes.
struct Touched {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  bool last = false;  ///< May come without ranges.
  std::vector<BlockRange> ranges;
};
inline constexpr std::uint32_t touched_ranges_max = 4096;
/// Answers a Touched that is not the last: the next may come.
struct TouchedNoted {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
};

/// Truncation or reset is durable; records from `next` may come.
struct SessionReady {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn next;
  std::uint64_t missing_blocks = 0;  ///< Of a rebuild: what it will ask for at most.
};

/// A dense run of records behind what was sent before in this session. Duplicates of what the
/// replica holds are acknowledged again when equal, and end the session when not (C27).
struct Records {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn committed;
  std::vector<RecordPtr> records;
  /// An Ack once they are received, besides the one once they are durable. False where no client
  /// waits for the first: it would only wake the primary.
  bool receipt_wanted = true;
};
inline constexpr std::uint32_t records_per_frame_max = 1024;
/// Payload bytes in one Records frame. 4 MiB: one 64 KiB write at depth 64.
inline constexpr std::uint32_t records_frame_bytes_max = 4u << 20;

/// The primary's numbers while no records go: sent when committed moved,
/// and each 500 ms while idle.
struct Progress {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn committed;
};

/// The replica's numbers. Counts only if epoch and session are current and `digest` is the
/// primary's at `durable` (C15). May be repeated.
struct Ack {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn received;
  Lsn durable;
  Digest digest;                     ///< At `durable`.
  std::uint64_t wal_free_bytes = 0;  ///< What its log can still take; 0 when its disk is full.
};

/// Asks the replica to report once its log is durable up to `lsn`; ends a rebuild (C7): the replica
/// clears base_incomplete durably before it answers.
struct Barrier {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn lsn;
};
struct BarrierReached {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  Lsn lsn;
};

/// Either side of a session lost a block of its extents and asks the other for it. The other brings
/// its extents to `at` first. At most repairs_at_once_max questions at a time, each answered: one more
/// with not_yet. Harmless to repeat.
struct AskBlock {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  BlockIndex block;
  Lsn at;  ///< All that the asking copy's extents may hold.
};
/// The answer. On the records link: one block, and seldom.
struct BlockIs {
  VolumeId volume;
  Epoch epoch;
  SessionId session;
  BlockCopy copy;
};

// --- control link --------------------------------------------------------------------------------

/// Node -> control: the first message of every control link, and only then.
struct Register {
  NodeId node;
  Incarnation incarnation;
  Endpoint replication;
  Endpoint nbd;
  bool readmit = false;
};
/// Control -> node: you are known; assignments follow.
struct Registered {
  ClusterId cluster;
};
/// Control -> node. Repeated until acknowledged; harmless to repeat.
struct Assign {
  Assignment assignment;
};
struct AssignAck {
  VolumeId volume;
  Epoch epoch;
  Version version;
};
/// Control -> node: this replica is no more; its directory is to be deleted.
struct Unassign {
  VolumeId volume;
  ReplicaId replica;
};
struct UnassignAck {
  VolumeId volume;
  ReplicaId replica;
};
/// Both ways each 500 ms; a control link silent for 3 s is dead.
struct Heartbeat {
  std::uint64_t sequence = 0;
};
/// Primary -> control: replace the in-sync set, if (epoch, version) still stand.
struct ProposeSet {
  VolumeId volume;
  Epoch epoch;
  Version version;  ///< The version that is to be replaced.
  std::vector<SetMember> in_sync;
  std::string reason;
  std::uint64_t number = 0;  ///< Of the proposal within the reign; a repeat keeps it.
};
/// Control -> primary: what the set is now. `accepted` false: (epoch, version) had moved on, or the
/// rule forbids it; `epoch`, `version`, `in_sync` tell what stands.
struct SetDecided {
  VolumeId volume;
  bool accepted = false;
  Epoch epoch;
  Version version;
  std::vector<SetMember> in_sync;
  std::string reason;
  std::uint64_t number = 0;  ///< Of the proposal that is answered: a late answer is told apart.
};
/// Primary -> control: the configuration that was wanted is committed in the log, at `lsn`; it replaces
/// the spec's, if (epoch, version) still stand. No answer but the assignment that says so: repeated until
/// that comes.
struct Configured {
  VolumeId volume;
  Epoch epoch;
  Version version;
  Configuration configuration;
  Lsn lsn;
};
/// Control -> member: accept nothing below `epoch` any more, make all you received durable, and
/// tell what you hold.
struct Fence {
  VolumeId volume;
  ReplicaId replica;
  Epoch epoch;
};
/// Member -> control, after the promise is synced (C2). Unasked, with `ended` and the epoch of
/// its own reign: the primary's role ended there (its store failed, say), so the control plane
/// is to choose again.
struct Promise {
  VolumeId volume;
  ReplicaId replica;
  Epoch epoch;  ///< What it promised; higher than asked means refused.
  bool accepted = false;
  Epoch last_epoch;  ///< Epoch of its last record.
  Lsn end;           ///< Its last record, durable.
  Lsn committed;
  Digest digest;  ///< At `end`.
  Incarnation incarnation;
  BaseState base = BaseState::complete;
  bool clean = false;
  std::string problem;  ///< accepted == false: why.
  bool ended =
      false;  ///< No answer to a Fence: the reign of `epoch`, its own, is over; `problem` says why.
};
/// An operator's request on its way to the node that can answer it.
struct AdminAsk {
  std::uint64_t id = 0;
  std::string target;  ///< Node name; empty: the control plane.
  std::string method;
  std::string path;
  std::string body;
};
struct AdminReply {
  std::uint64_t id = 0;
  std::uint16_t status = 200;
  std::string body;
};

using Message =
    std::variant<Hello, HelloOk, Refused, Probe, Facts, AskDigest, DigestIs, StartSession, Touched,
                 TouchedNoted, SessionReady, Records, Progress, Ack, Barrier, BarrierReached,
                 AskBase, BaseBlocks, BaseZeroes, BaseWhole, Register, Registered, Assign,
                 AssignAck, Unassign, UnassignAck, Heartbeat, ProposeSet, SetDecided, Fence,
                 Promise, AdminAsk, AdminReply, Configured, AskDigests, Digests, AskBaseSums,
                 BaseSums, AskBlock, BlockIs>;
/// "records", "ack", ...: for logs and traces.
std::string_view name(const Message& message);

}  // namespace tidemark::engine
