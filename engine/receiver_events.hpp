// What the receiver machine is told (past participles) and what it asks for (imperatives).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/event.hpp"
#include "engine/lane.hpp"
#include "engine/messages.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::engine::inflow {

// --- events --------------------------------------------------------------------------------------

/// A connection whose Hello waits for an answer. Links are numbered by the shell and never reused.
struct PeerArrived {
  LinkNumber link = 0;
  Hello hello;
};
struct PeerGone {
  LinkNumber link = 0;
  std::string reason;
};
struct PeerSaid {
  LinkNumber link = 0;
  Message message;
};
/// The store's numbers. May be repeated.
struct StoreMoved {
  Lsn durable;
  Digest digest;  ///< At durable.
  Lsn checkpoint;
  Lsn retained;
  std::uint64_t wal_free_bytes = 0;
  std::vector<DamagedBlock>
      damaged{};  ///< Of the extents: help is wanted with them, in this order.
};
/// Fail-stop: nothing that the store still holds will become durable (C23).
struct StoreBroke {
  Error error;
};
struct DigestRead {
  LinkNumber link = 0;
  SessionId session;
  Lsn lsn;
  std::optional<Digest> digest;
};
/// The answer to ReadDigests: for each place the greatest one at or below it whose digest is known.
struct DigestsRead {
  LinkNumber link = 0;
  SessionId session;
  Lsn touched_from;  ///< What the log touched behind it can be named.
  std::vector<DigestAt> points;
};
/// The answer to TruncateTo or FinishBase: there is one step at a time.
struct StoreStepEnded {
  Status status;
};
/// The answer to BeginBase: where the copy stands.
struct BaseBegun {
  Result<BaseProgress> progress;
};
/// The answer to FindMissing: runs of at most base_ask_blocks_max blocks, ascending, all in all
/// at most as many blocks as asked for.
struct MissingFound {
  SessionId session;
  std::vector<BlockRange> ranges;
  std::optional<BlockIndex> next;  ///< Where to look on; nothing: there is no more.
};
/// The answer to the oldest WriteBaseRun.
struct BaseRunWritten {
  Status status;
};
/// The answer to PrepareComparison: what to ask the source.
struct ComparisonPrepared {
  SessionId session;
  Result<BaseQuestion> question;
};
/// The answer to CompareBase: groups that are not the source's, as blocks; they are missing again.
/// Errc::refused: the flusher went on meanwhile, it has to be done again.
struct BaseCompared {
  SessionId session;
  Result<std::vector<BlockRange>> unequal;
};
/// The answer to ReadCopy.
struct CopyRead {
  LinkNumber link = 0;
  SessionId session;
  BlockIndex block;
  Result<BlockCopy> copy;
};
struct AssignmentChanged {
  Assignment assignment;
};
/// All events of a loop turn were given: what was held back to be told once goes out.
struct TurnEnded {};
/// The control plane fences: nothing below `epoch` is taken any more, all received is made durable.
struct FenceAsked {
  Epoch epoch;
};
struct StopAsked {
  std::string reason;
};

// --- effects -------------------------------------------------------------------------------------

/// Answers the Hello with HelloOk; what the peer says is told from here on.
struct AcceptLink {
  LinkNumber link = 0;
};
/// Says why and closes; nothing of the link is told any more.
struct RefuseLink {
  LinkNumber link = 0;
  Refused refused;
};
struct Answer {
  LinkNumber link = 0;
  Message message;
};
struct AppendToLog {
  RecordBatch batch;
  Lsn committed;
};
struct TellCommitted {
  Lsn committed;
};
struct ReadDigest {
  LinkNumber link = 0;
  SessionId session;
  Lsn lsn;
};
struct ReadDigests {
  LinkNumber link = 0;
  SessionId session;
  std::vector<Lsn> lsns;
};
struct TruncateTo {
  Lsn to;
};
/// More blocks that the next BeginBase{touched} is to count as missing; `first` forgets former ones.
struct NoteTouched {
  bool first = false;
  std::vector<BlockRange> ranges;
};
/// Durably base_incomplete; of scopes all and touched an empty log behind `base` as well (C6).
struct BeginBase {
  BaseScope scope = BaseScope::all;
  Epoch epoch;  ///< In which is copied.
  NewLog log;
};
struct FindMissing {
  SessionId session;
  BlockIndex from;
  std::uint64_t blocks_max = 0;
};
struct WriteBaseRun {
  BlockRange range;
  std::vector<BlockSum> sums;  ///< Empty: zeros.
  Slice data;
  Lsn flush_lsn;  ///< The highest LSN whose content it may hold.
};
struct FinishBase {
  Lsn at;
};
/// Nothing is missing: flush nothing from now on, and say what was copied at all.
struct PrepareComparison {
  SessionId session;
};
/// Flush to exactly `lsn`, and find the groups that do not come to these sums.
struct CompareBase {
  SessionId session;
  Lsn lsn;
  BaseQuestion question;
  std::vector<std::uint64_t> sums;  ///< One for each group asked for.
};
/// No comparison is under way any more: flush on.
struct ReleaseComparison {};
/// A block of the own extents, for the primary, once they hold all up to `at`.
struct ReadCopy {
  LinkNumber link = 0;
  SessionId session;
  BlockIndex block;
  Lsn at;
};
/// What the primary has of a block that was asked for with `at`.
struct RepairBlock {
  BlockCopy copy;
  Lsn at;
};
/// It cannot help with it.
struct GiveUpBlock {
  BlockIndex block;
};
/// All that was asked with FenceAsked is true; an error when the store is gone.
struct AnswerFence {
  Status status;
};
/// The store is not used any more.
struct AnswerStop {
  Lsn committed;
};
/// The replica's role cannot go on here.
struct EndRole {
  std::string reason;
};

struct Log {
  Event event;
};

using ReceiverEffect =
    std::variant<AcceptLink, RefuseLink, Answer, AppendToLog, TellCommitted, ReadDigest, TruncateTo,
                 NoteTouched, BeginBase, FindMissing, WriteBaseRun, FinishBase, AnswerFence,
                 AnswerStop, EndRole, Log, ReadDigests, PrepareComparison, CompareBase,
                 ReleaseComparison, ReadCopy, RepairBlock, GiveUpBlock>;
/// To be performed in order.
using ReceiverEffects = std::vector<ReceiverEffect>;

}  // namespace tidemark::engine::inflow
