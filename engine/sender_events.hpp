// What the sender machine is told (past participles) and what it asks for (imperatives).
//
// Answers of the store name the session that asked; links carry the number under which they were
// asked for. So whatever arrives late is recognised and dropped at the door.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/base_lane.hpp"
#include "engine/base_pace.hpp"
#include "engine/event.hpp"
#include "engine/lane.hpp"
#include "engine/messages.hpp"
#include "engine/result.hpp"
#include "engine/status.hpp"
#include "engine/types.hpp"

namespace tidemark::engine::outflow {

/// When something happened, and a fresh random number for jitter: the core draws none itself.
struct Moment {
  MonoTime now;
  std::uint64_t random = 0;
};

// --- events --------------------------------------------------------------------------------------

struct LinkOpened {
  Lane lane = Lane::records;
  LinkNumber link = 0;
  NodeId node;
  Incarnation incarnation;
};
struct ConnectFailed {
  Lane lane = Lane::records;
  LinkNumber link = 0;
  Error error;
  Epoch promised{};  ///< What a peer that refused has promised; zero if it did not say.
};
struct LinkClosed {
  Lane lane = Lane::records;
  LinkNumber link = 0;
  std::string reason;
};
struct MessageArrived {
  Lane lane = Lane::records;
  LinkNumber link = 0;
  Message message;
};
/// The primary numbered records, dense behind the ones before;
/// or only `committed` moved (null batch).
struct RecordsAdded {
  RecordBatch batch;
  Lsn committed;
  bool receipt_wanted = true;  ///< A client waits until the replicas have it in memory.
};
/// The primary's own store: where its readable log begins and what its extents hold.
struct OwnFactsRead {
  SessionId session;
  Lsn retained;
  Lsn checkpoint;
  WallTime checkpoint_time = {};
};
struct OwnDigestRead {
  SessionId session;
  Lsn lsn;
  std::optional<Digest> digest;
};
/// For each place asked for the greatest one at or below it whose digest is known; rising.
struct OwnDigestsRead {
  SessionId session;
  Lsn touched_from;  ///< What the log touched behind it can be named.
  std::vector<DigestAt> points;
};
/// The nearest LSN at or below the asked one from which on touched blocks can be named.
struct TouchedFound {
  SessionId session;
  std::optional<Lsn> lsn;  ///< Nothing: none is known.
  Digest digest;           ///< At `lsn`.
};
/// Blocks that the log touched behind the asked LSN, ascending; the rest of them when fewer than
/// touched_ranges_max.
struct TouchedRead {
  SessionId session;
  Result<std::vector<BlockRange>> ranges;
};
/// The primary's own store does not answer any more.
struct SourceFailed {
  SessionId session;
  Error error;
};
struct LogPinned {
  SessionId session;
  Status status;
};
struct LogRecordsRead {
  SessionId session;
  Lsn from;
  Result<RecordBatch> batch;
};
struct BaseRunRead {
  SessionId session;
  BlockRange range;  ///< What was asked for.
  Result<BasePiece> piece;
};
/// The answer to ReadGroupSums.
struct GroupSumsRead {
  SessionId session;
  Result<GroupSums> sums;
};
/// The node's pace: the read that was asked for may begin, or (0 bytes) why not yet.
struct PaceTold {
  SessionId session;
  std::uint64_t bytes = 0;
  PaceStanding standing;
};
/// The primary's extents lost a block: the replica is to be asked for it. AnswerBlock follows, once.
struct BlockWanted {
  DamagedBlock damaged;
};
/// The answer to ReadCopy.
struct CopyRead {
  SessionId session;
  BlockIndex block;
  Result<BlockCopy> copy;
};
struct AssignmentChanged {
  Assignment assignment;
};
/// The time that wake_at() named has come; harmless at any other.
struct Ticked {};
/// All events of a loop turn were given: what was held back to be told once goes out.
struct TurnEnded {};
struct Started {};
struct StopRequested {};

// --- effects -------------------------------------------------------------------------------------

struct Connect {
  Lane lane = Lane::records;
  LinkNumber link = 0;
  Endpoint endpoint;
  Hello hello;
};
/// Drops link or attempt; nothing of it is told any more.
struct CloseLink {
  Lane lane = Lane::records;
  LinkNumber link = 0;
};
struct SendMessage {
  Lane lane = Lane::records;
  Message message;
};
struct ReadOwnFacts {
  SessionId session;
};
struct ReadOwnDigest {
  SessionId session;
  Lsn lsn;
};
struct ReadOwnDigests {
  SessionId session;
  std::vector<Lsn> lsns;  ///< Rising, at most digests_max.
};
struct FindTouched {
  SessionId session;
  Lsn at;
};
struct ReadTouched {
  SessionId session;
  Lsn behind;
  BlockIndex from;
};
struct Pin {
  SessionId session;
  Lsn from;
};
struct Unpin {
  SessionId session;
};
struct ReadRecords {
  SessionId session;
  Lsn from;
  Lsn to;
  std::uint64_t bytes_max = 0;
};
struct ReadBaseRun {
  SessionId session;
  BlockRange range;                            ///< Its first blocks, as many as one read gives.
  std::uint32_t blocks_max = base_blocks_max;  ///< That have content; zeros come as they are.
};
/// What the extents come to at `question.at`, or behind it.
struct ReadGroupSums {
  SessionId session;
  BaseQuestion question;
};
/// A block of the own extents, for the replica, once they hold all up to `at`.
struct ReadCopy {
  SessionId session;
  BlockIndex block;
  Lsn at;
};
/// To whoever gave BlockWanted.
struct AnswerBlock {
  BlockIndex block;
  Result<BlockCopy> copy;
};
/// What the volume counts: the replica's numbers and whether they are proved.
struct ReportPeer {
  ReplicaId replica;
  Incarnation incarnation;
  PeerState state = PeerState::disconnected;
  SessionId session;
  bool proved = false;
  Lsn received;
  Lsn durable;
  std::uint64_t wal_free_bytes = 0;
  Epoch promised;
};
/// May about so many bytes of the base be read? PaceTold answers, once with bytes.
struct AskPace {
  SessionId session;
  std::uint64_t bytes = 0;
};
/// A read that was granted brought other than it was granted for.
struct TellPaceUsed {
  std::uint64_t granted = 0;
  std::uint64_t used = 0;
};
/// No base block will be read any more in this session.
struct LeavePace {};
struct Log {
  Event event;
};

using SenderEffect = std::variant<Connect, CloseLink, SendMessage, ReadOwnFacts, ReadOwnDigest,
                                  FindTouched, ReadTouched, Pin, Unpin, ReadRecords, ReadBaseRun,
                                  ReportPeer, AskPace, TellPaceUsed, LeavePace, Log, ReadOwnDigests,
                                  ReadGroupSums, ReadCopy, AnswerBlock>;
/// To be performed in order.
using SenderEffects = std::vector<SenderEffect>;

}  // namespace tidemark::engine::outflow
