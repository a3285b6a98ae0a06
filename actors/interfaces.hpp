// All actors, and the messages between them: who reads this file knows the system. Long because it is one
// catalogue; what only a pair of them says stands apart (pace.hpp, preview_messages.hpp, comparison_messages.hpp).
//
//   front end ==Submit==> Volume ==AppendRecords==> Store       primary's node; a Store per replica
//                         Volume ==RecordsNumbered==> Sender    one per other member
//   Sender ~~~link~~~> Receiver ==AppendRecords==> Store        replica's node
//
//   Sender ==PeerProgressed==> Volume                           what comes back
//   Store ==StoreProgressed==> its Volume or Receiver
//
//   Node: one per daemon; owns the stores, plays each replica's role (Volume or Receiver), talks to
//   Control, which is the embedded control plane, on the node that hosts it.
//
// Long because all that actors say to each other stands in one place.
//
// Everything runs on one loop, so a message costs no lock and no thread hop. Records and requests
// travel as shared batches, one message per loop turn; only numbers come back. Questions
// (replies_to) are asked with an infinite time-out and both branches; what can fail answers a
// Result inside the reply. Link and timer callbacks enter an actor as messages to itself, which are
// private to that actor's files (those of Node and Control: link_turns.hpp).
#pragma once

#include <caf/all.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/comparison_messages.hpp"
#include "actors/preview_messages.hpp"
#include "engine/assignment.hpp"
#include "engine/event.hpp"
#include "engine/front.hpp"
#include "engine/messages.hpp"
#include "engine/record/record.hpp"
#include "engine/repair.hpp"
#include "engine/result.hpp"
#include "engine/status.hpp"
#include "transport/link.hpp"

namespace tidemark::actors {

// === Store: one replica's bytes on this node's disk ==============================================

/// What an opened store holds. All numbers are those of its own disk.
struct StoreFacts {
  engine::VolumeSpec spec;
  engine::ReplicaId replica;
  engine::Lsn end;        ///< Last record; after opening it is durable.
  engine::Digest digest;  ///< At `end`.
  engine::Lsn durable;
  engine::Lsn checkpoint;
  engine::Lsn retained;  ///< Lowest readable LSN; end.next() if none.
  engine::Lsn committed;
  engine::EpochHistory history;
  engine::ConfigurationHistory configurations;
  engine::WallTime mono_time;  ///< Of the last record.
  std::uint64_t chunk_bytes =
      0;  ///< What the open chunk takes at the worst batching (see chunk_cost).
  std::uint64_t chunk_bytes_max = 0;
  engine::BaseState base = engine::BaseState::complete;
  std::optional<engine::BaseProgress> rebuild;  ///< base == incomplete, and it can go on.
  bool clean = false;
  std::string damage;
  std::uint64_t wal_free_bytes = 0;
};

/// Volume or Receiver -> Store: append these, dense behind the end of the log; `committed` is
/// local committed. Never answered one by one: StoreProgressed tells. Records must have been
/// admitted against wal_free_bytes.
struct AppendRecords {
  engine::RecordBatch batch;
  engine::Lsn committed;
};
/// Local committed has moved; the flusher may follow to min(it, durable) (C10).
struct CommittedAdvanced {
  engine::Lsn committed;
};
/// Store -> its listener, at most once per turn: numbers that moved. Harmless to repeat.
struct StoreProgressed {
  engine::Lsn durable;
  engine::Digest digest;  ///< At `durable`.
  engine::Lsn checkpoint;
  engine::Lsn retained;
  std::uint64_t wal_free_bytes = 0;
  std::vector<engine::DamagedBlock> damaged{};  ///< Another copy is to be asked for them.
};
/// Store -> its listener and its node, once: fail-stop (C23).
/// Nothing it still holds will become durable.
struct StoreFailed {
  engine::Error error;
};

/// Who hears of a store's progress: the actor that plays the replica's role.
using StoreListener =
    caf::typed_actor<caf::reacts_to<StoreProgressed>, caf::reacts_to<StoreFailed>>;
struct SetListener {
  StoreListener listener;
};

/// The newest content of whole blocks as the log and extents have it, in order;
/// one piece per source run.
struct ReadBlocks {
  engine::BlockRange range;
};
struct BlocksRead {
  engine::Result<std::vector<engine::FrontReply::Piece>> pieces;
};
/// Allocation of a range, whole blocks.
struct AskAllocation {
  engine::BlockRange range;
};
struct AllocationIs {
  engine::Result<std::vector<engine::Allocation>> runs;
};
/// Records [from, ...] up to `to` and about `bytes_max`, at least one; from memory or WAL.
struct ReadLog {
  engine::Lsn from;
  engine::Lsn to;
  std::uint64_t bytes_max = 0;
};
struct LogRead {
  engine::Result<engine::RecordBatch> batch;  ///< out_of_window below what is retained.
};
/// Digest of the log at an LSN; nothing when it is not known. Lsn{} is the empty log.
struct AskLogDigest {
  engine::Lsn lsn;
};
struct LogDigestIs {
  std::optional<engine::Digest> digest;
};
/// For each of these rising places the greatest one at or below it whose digest is known.
struct AskLogDigests {
  std::vector<engine::Lsn> lsns;
};
struct LogDigestsAre {
  engine::Lsn touched_from;
  std::vector<engine::DigestAt> points;
};
/// Cuts the log behind `to`, durably (C15). Refused below the checkpoint.
struct TruncateLog {
  engine::Lsn to;
};
/// Blocks that the next BeginBase of what was touched counts as missing; `first` forgets former
/// ones.
struct NoteTouched {
  bool first = false;
  std::vector<engine::BlockRange> ranges;
};
/// Durably base_incomplete; but for scope rest an empty log that begins behind `base` (C6).
struct BeginBase {
  engine::BaseScope scope = engine::BaseScope::all;
  engine::Epoch epoch;
  engine::NewLog log;
};
struct BaseBegun {
  engine::Result<engine::BaseProgress> progress;
};
/// Blocks that are neither in the extents nor newer in the log, at or behind `from`.
struct FindMissing {
  engine::BlockIndex from;
  std::uint64_t blocks_max = 0;
};
struct MissingIs {
  engine::Result<std::vector<engine::BlockRange>> ranges;
  std::optional<engine::BlockIndex> next;  ///< Where to look on; nothing: there is no more.
};
/// Rebuild's base lane: what is not missing any more is left alone. `sums` empty: zeros.
struct WriteBase {
  engine::BlockRange range;
  std::vector<engine::BlockSum> sums;
  engine::Slice data;
  engine::Lsn flush_lsn;
};
/// Base is whole and the log durable up to `at`: clears base_incomplete durably (C7).
struct FinishRebuild {
  engine::Lsn at;
};
/// The answer to what has no value: TruncateLog, WriteBase, FinishRebuild, RepairBlock, StartScrub, DisproveBlock,
/// PinLog,
/// StopStore, DestroyStore.
struct StoreDone {
  engine::Status status;
};
/// Extents, never memory, under the flusher's guard (C8); from `first`, at most `blocks_max` data
/// blocks or one zero run.
struct ReadBase {
  engine::BlockIndex first;
  std::uint32_t blocks_max = 0;
};
struct BaseRun {
  engine::BlockRange range;
  std::vector<engine::BlockSum> sums;  ///< Empty: zeros.
  engine::Slice data;
  engine::Lsn flush_lsn;  ///< The highest LSN whose content the run may hold.
};
struct BaseRead {
  engine::Result<BaseRun> run;
};
/// For another copy's repair: a block of the extents, once they hold all up to `at`.
struct ReadCopy {
  engine::BlockIndex block;
  engine::Lsn at;
};
struct CopyRead {
  engine::Result<engine::BlockCopy> copy;
};
/// What another copy answered for the damaged block that StoreProgressed named with `at`.
struct RepairBlock {
  engine::BlockCopy copy;
  engine::Lsn at;
};
/// No copy can help with it for now: it is named again later, or when somebody reads it.
struct GiveUpBlock {
  engine::BlockIndex block;
};
/// Reads the whole copy in the background, repairing what it finds; AskStoreStatus tells how far it is.
struct StartScrub {
  std::uint64_t rate = 0;   ///< Bytes per second.
  std::uint64_t round = 0;  ///< The number of the volume's scrub: told twice, it begins once.
};
struct StopScrub {};
/// The greatest LSN at or below `at` behind which all touched blocks can be named, also where the
/// log itself is pruned.
struct FindTouched {
  engine::Lsn at;
};
struct TouchedFound {
  std::optional<engine::Lsn> lsn;  ///< Nothing: none is known.
  engine::Digest digest;           ///< At `lsn`.
};
/// Blocks that the log touched behind `behind`, at or beyond `from`: ascending, at most
/// touched_ranges_max ranges.
struct ReadTouched {
  engine::Lsn behind;
  engine::BlockIndex from;
};
struct TouchedRead {
  engine::Result<std::vector<engine::BlockRange>> ranges;
};
/// Keeps the log from `from` on until released.
/// One pin per id; pinning again moves it forward only.
struct PinLog {
  std::uint64_t id = 0;
  engine::Lsn from;
};
struct UnpinLog {
  std::uint64_t id = 0;
};
/// Compare, step 1: flush nothing until told to what LSN. Released after 60 s of silence.
struct HoldFlush {};
/// The highest LSN that the extents hold or could be flushed to.
struct FlushHeld {
  engine::Result<engine::Lsn> limit;
};
/// Compare, step 2: flush to exactly `at`, then hash every copy's blocks in groups, verifying each
/// against its sum, and the retained log up to `at` against its digests.
struct HashCopy {
  engine::Lsn at;
  std::uint64_t group_blocks = 0;
  engine::BlockRange range;
};
struct CopyHash {
  engine::Result<engine::Digest>
      log;  ///< At `at`, after re-reading the retained log; corrupt, io_failed: names the LSN.
  std::vector<std::uint64_t> groups;         ///< XXH3 over the block sums of each group.
  std::vector<engine::BlockDamage> damaged;  ///< At most 64: blocks that cannot be read.
};
struct ReleaseFlush {};
/// Compare, step 3, of blocks that differ: the newest record up to `at` that the log has of each.
struct FindWritten {
  std::vector<engine::BlockIndex> blocks;
  engine::Lsn at;
};
struct WrittenFound {
  engine::Result<std::vector<engine::LastWritten>> found;
};
/// Compare, step 4, still held at `at`: a record proves that the block is wrong here, although it fits
/// its checksum. It is read no more and repaired like a damaged one.
struct DisproveBlock {
  engine::LastWritten proof;
  engine::Lsn at;
};
struct AskStoreStatus {};
/// Stops: drains and, when `clean`, flushes and marks a clean stop.
/// Answers StoreDone, then the actor ends.
struct StopStore {
  bool clean = false;
};
/// Stops and deletes the replica's directory.
struct DestroyStore {};
/// Opens the directory, recovers, and answers what it found. The first message to a store.
struct OpenStore {};
struct StoreOpened {
  engine::Result<StoreFacts> facts;
};

using Store = caf::typed_actor<
    caf::reacts_to<AppendRecords>, caf::reacts_to<CommittedAdvanced>,
    caf::replies_to<ReadBlocks>::with<BlocksRead>, caf::replies_to<ReadLog>::with<LogRead>,
    caf::reacts_to<SetListener>, caf::replies_to<AskAllocation>::with<AllocationIs>,
    caf::replies_to<AskLogDigest>::with<LogDigestIs>,
    caf::replies_to<AskLogDigests>::with<LogDigestsAre>,
    caf::replies_to<TruncateLog>::with<StoreDone>, caf::reacts_to<NoteTouched>,
    caf::replies_to<BeginBase>::with<BaseBegun>, caf::replies_to<FindMissing>::with<MissingIs>,
    caf::replies_to<WriteBase>::with<StoreDone>, caf::replies_to<FindTouched>::with<TouchedFound>,
    caf::replies_to<ReadTouched>::with<TouchedRead>,
    caf::replies_to<FinishRebuild>::with<StoreDone>, caf::replies_to<ReadBase>::with<BaseRead>,
    caf::replies_to<ReadCopy>::with<CopyRead>, caf::replies_to<RepairBlock>::with<StoreDone>,
    caf::reacts_to<GiveUpBlock>, caf::replies_to<StartScrub>::with<StoreDone>,
    caf::reacts_to<StopScrub>, caf::replies_to<FindWritten>::with<WrittenFound>,
    caf::replies_to<DisproveBlock>::with<StoreDone>, caf::replies_to<PinLog>::with<StoreDone>,
    caf::reacts_to<UnpinLog>, caf::replies_to<HoldFlush>::with<FlushHeld>,
    caf::replies_to<HashCopy>::with<CopyHash>, caf::reacts_to<ReleaseFlush>,
    caf::replies_to<AskStoreStatus>::with<engine::StoreStatus>,
    caf::replies_to<StopStore>::with<StoreDone>, caf::replies_to<DestroyStore>::with<StoreDone>,
    caf::replies_to<OpenStore>::with<StoreOpened>, caf::replies_to<AskMoveCost>::with<MoveCostIs>,
    caf::replies_to<PrepareComparison>::with<ComparisonPrepared>,
    caf::replies_to<SumGroups>::with<GroupsSummed>,
    caf::replies_to<CompareBase>::with<BaseCompared>>;

// === Volume: the primary's side of one volume ====================================================

/// Front end -> Volume: requests of one turn, in order. The client is told by FrontClient.
struct FrontBatch {
  std::weak_ptr<engine::FrontClient> client;
  std::vector<engine::FrontRequest> requests;
};
struct Submit {
  std::shared_ptr<FrontBatch> batch;  ///< Owned by the receiver from here on.
};
/// Node -> Volume or Receiver: a newer assignment of the same role and epoch, already ordered.
struct Reassigned {
  engine::Assignment assignment;
};
/// Sender -> Volume: what one replica has, in the current session. A repeat replaces the former.
struct PeerProgressed {
  engine::ReplicaId replica;
  engine::Incarnation incarnation;
  engine::PeerState state = engine::PeerState::disconnected;
  engine::SessionId session;
  bool proved =
      false;  ///< Its log up to `received` is the primary's (agreed), and its base is complete.
  engine::Lsn received;
  engine::Lsn durable;
  std::uint64_t wal_free_bytes = 0;
  engine::Epoch promised;  ///< Above ours when the replica refused us for it: our reign is over.
};
/// Node -> Volume: the control plane's answer to a ProposeSet.
struct SetAnswered {
  engine::SetDecided decided;
};
/// Volume -> Node: ask the control plane (the node keeps no state about it;
/// the volume repeats it until answered).
struct SetProposed {
  engine::ProposeSet proposal;
};
/// Volume or Receiver -> Node: it cannot go on in this role (store failed, a higher promise).
struct RoleEnded {
  engine::VolumeId volume;
  engine::Epoch epoch;
  std::string reason;
};
/// Volume -> Node: tell the control plane that what it wanted is in force. The volume repeats it until an
/// assignment says so.
struct ConfigurationCommitted {
  engine::Configured configured;
};
struct AskVolumeStatus {};
/// Node -> Volume: cut all clients, stop senders, number nothing more.
/// Answers when the store is no longer used.
struct StopRole {
  std::string reason;
};
struct RoleStopped {
  engine::Lsn committed;
};

using Volume = caf::typed_actor<
    caf::reacts_to<Submit>, caf::reacts_to<StoreProgressed>, caf::reacts_to<PeerProgressed>,
    caf::reacts_to<StoreFailed>, caf::reacts_to<Reassigned>, caf::reacts_to<SetAnswered>,
    caf::replies_to<AskVolumeStatus>::with<engine::VolumeStatus>,
    caf::replies_to<StopRole>::with<RoleStopped>, caf::replies_to<AskPreview>::with<PreviewIs>>;

// === Sender: the primary's one cursor towards one replica ========================================

/// Volume -> all senders: records that were numbered this turn, dense behind the ones before; and
/// the committed LSN.
struct RecordsNumbered {
  engine::RecordBatch batch;  ///< Null when only `committed` moved.
  engine::Lsn committed;
  bool receipt_wanted = true;  ///< A client waits until the replicas have it in memory.
};
/// Volume -> Sender: epoch, version or endpoint moved; ends a session of another epoch or endpoint.
struct PeerReassigned {
  engine::Assignment assignment;
};
/// Volume -> Sender: a block that the primary's extents lost, as the replica has it.
struct FetchBlock {
  engine::DamagedBlock damaged;
};
struct BlockFetched {
  engine::Result<engine::BlockCopy> copy;
};
struct AskPeerStatus {};
struct StopSender {};

using Sender =
    caf::typed_actor<caf::reacts_to<RecordsNumbered>, caf::reacts_to<PeerReassigned>,
                     caf::replies_to<AskPeerStatus>::with<engine::PeerStatus>,
                     caf::reacts_to<StopSender>, caf::replies_to<AskPreview>::with<PreviewIs>,
                     caf::replies_to<FetchBlock>::with<BlockFetched>>;

// === Receiver: the replica's side of one volume ==================================================

/// Node -> Receiver: a connection of the primary, Hello checked for cluster, node,
/// volume and replica. Unanswered.
struct PeerConnected {
  std::shared_ptr<transport::Incoming> incoming;
};
/// Node -> Receiver: the control plane fences (the promise itself is synced by the node): take
/// nothing below `epoch`, make all received durable, tell what there is.
struct FenceReceiver {
  engine::Epoch epoch;
};
struct ReceiverFenced {
  engine::Result<StoreFacts> facts;
};
/// What a replica role knows beyond its store.
struct ReceiverStatus {
  engine::Epoch epoch;
  engine::Epoch promised;
  engine::SessionId session;
  std::string state;  ///< waiting, ready, following, rebuilding, refusing
  std::string reason;
  engine::Lsn received;
  engine::Lsn committed;
};
struct AskReceiverStatus {};

using Receiver = caf::typed_actor<caf::reacts_to<StoreProgressed>, caf::reacts_to<StoreFailed>,
                                  caf::reacts_to<PeerConnected>, caf::reacts_to<Reassigned>,
                                  caf::replies_to<FenceReceiver>::with<ReceiverFenced>,
                                  caf::replies_to<AskReceiverStatus>::with<ReceiverStatus>,
                                  caf::replies_to<StopRole>::with<RoleStopped>>;

// === Node and Control ============================================================================

/// Any connection that the listener accepted.
struct LinkAccepted {
  std::shared_ptr<transport::Incoming> incoming;
};
/// An operator's request; answered by this node, or by the one that it was forwarded to.
struct AdminRequest {
  engine::AdminAsk ask;
};
struct AdminAnswered {
  engine::AdminReply reply;
};
/// The daemon wants to end. Answers when every store is stopped.
struct StopNode {
  bool clean = true;
};
struct NodeStopped {};
/// The node's own replica of a volume ran into its store's end.
struct StoreLost {
  engine::VolumeId volume;
  engine::Error error;
};

using Node =
    caf::typed_actor<caf::reacts_to<LinkAccepted>, caf::reacts_to<SetProposed>,
                     caf::reacts_to<ConfigurationCommitted>, caf::reacts_to<RoleEnded>,
                     caf::reacts_to<StoreLost>, caf::replies_to<AdminRequest>::with<AdminAnswered>,
                     caf::replies_to<StopNode>::with<NodeStopped>>;

/// A node's control link arrived at the host (Hello{purpose control} checked
/// for cluster). Unanswered.
struct ControlLinked {
  std::shared_ptr<transport::Incoming> incoming;
};
using Control = caf::typed_actor<caf::reacts_to<ControlLinked>,
                                 caf::replies_to<AdminRequest>::with<AdminAnswered>,
                                 caf::replies_to<StopNode>::with<NodeStopped>>;

}  // namespace tidemark::actors

// In-process messages: our own codec is the only serializer, CAF never serialises these.
#define TIDEMARK_IN_PROCESS(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::type)
TIDEMARK_IN_PROCESS(AppendRecords)
TIDEMARK_IN_PROCESS(CommittedAdvanced)
TIDEMARK_IN_PROCESS(StoreProgressed)
TIDEMARK_IN_PROCESS(StoreFailed)
TIDEMARK_IN_PROCESS(SetListener)
TIDEMARK_IN_PROCESS(ReadBlocks)
TIDEMARK_IN_PROCESS(BlocksRead)
TIDEMARK_IN_PROCESS(AskAllocation)
TIDEMARK_IN_PROCESS(AllocationIs)
TIDEMARK_IN_PROCESS(ReadLog)
TIDEMARK_IN_PROCESS(LogRead)
TIDEMARK_IN_PROCESS(AskLogDigest)
TIDEMARK_IN_PROCESS(LogDigestIs)
TIDEMARK_IN_PROCESS(AskLogDigests)
TIDEMARK_IN_PROCESS(LogDigestsAre)
TIDEMARK_IN_PROCESS(TruncateLog)
TIDEMARK_IN_PROCESS(NoteTouched)
TIDEMARK_IN_PROCESS(BeginBase)
TIDEMARK_IN_PROCESS(BaseBegun)
TIDEMARK_IN_PROCESS(FindMissing)
TIDEMARK_IN_PROCESS(MissingIs)
TIDEMARK_IN_PROCESS(FindTouched)
TIDEMARK_IN_PROCESS(TouchedFound)
TIDEMARK_IN_PROCESS(ReadTouched)
TIDEMARK_IN_PROCESS(TouchedRead)
TIDEMARK_IN_PROCESS(WriteBase)
TIDEMARK_IN_PROCESS(FinishRebuild)
TIDEMARK_IN_PROCESS(StoreDone)
TIDEMARK_IN_PROCESS(ReadBase)
TIDEMARK_IN_PROCESS(BaseRead)
TIDEMARK_IN_PROCESS(StartScrub)
TIDEMARK_IN_PROCESS(StopScrub)
TIDEMARK_IN_PROCESS(FindWritten)
TIDEMARK_IN_PROCESS(WrittenFound)
TIDEMARK_IN_PROCESS(DisproveBlock)
TIDEMARK_IN_PROCESS(ReadCopy)
TIDEMARK_IN_PROCESS(CopyRead)
TIDEMARK_IN_PROCESS(RepairBlock)
TIDEMARK_IN_PROCESS(GiveUpBlock)
TIDEMARK_IN_PROCESS(FetchBlock)
TIDEMARK_IN_PROCESS(BlockFetched)
TIDEMARK_IN_PROCESS(PinLog)
TIDEMARK_IN_PROCESS(UnpinLog)
TIDEMARK_IN_PROCESS(HoldFlush)
TIDEMARK_IN_PROCESS(FlushHeld)
TIDEMARK_IN_PROCESS(HashCopy)
TIDEMARK_IN_PROCESS(CopyHash)
TIDEMARK_IN_PROCESS(ReleaseFlush)
TIDEMARK_IN_PROCESS(AskStoreStatus)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::engine::StoreStatus)
TIDEMARK_IN_PROCESS(StopStore)
TIDEMARK_IN_PROCESS(DestroyStore)
TIDEMARK_IN_PROCESS(OpenStore)
TIDEMARK_IN_PROCESS(StoreOpened)
TIDEMARK_IN_PROCESS(Submit)
TIDEMARK_IN_PROCESS(Reassigned)
TIDEMARK_IN_PROCESS(PeerProgressed)
TIDEMARK_IN_PROCESS(SetAnswered)
TIDEMARK_IN_PROCESS(SetProposed)
TIDEMARK_IN_PROCESS(ConfigurationCommitted)
TIDEMARK_IN_PROCESS(RoleEnded)
TIDEMARK_IN_PROCESS(AskVolumeStatus)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::engine::VolumeStatus)
TIDEMARK_IN_PROCESS(StopRole)
TIDEMARK_IN_PROCESS(RoleStopped)
TIDEMARK_IN_PROCESS(RecordsNumbered)
TIDEMARK_IN_PROCESS(PeerReassigned)
TIDEMARK_IN_PROCESS(AskPeerStatus)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::engine::PeerStatus)
TIDEMARK_IN_PROCESS(StopSender)
TIDEMARK_IN_PROCESS(PeerConnected)
TIDEMARK_IN_PROCESS(FenceReceiver)
TIDEMARK_IN_PROCESS(ReceiverFenced)
TIDEMARK_IN_PROCESS(ReceiverStatus)
TIDEMARK_IN_PROCESS(AskReceiverStatus)
TIDEMARK_IN_PROCESS(LinkAccepted)
TIDEMARK_IN_PROCESS(AdminRequest)
TIDEMARK_IN_PROCESS(AdminAnswered)
TIDEMARK_IN_PROCESS(StopNode)
TIDEMARK_IN_PROCESS(NodeStopped)
TIDEMARK_IN_PROCESS(StoreLost)
TIDEMARK_IN_PROCESS(ControlLinked)
#undef TIDEMARK_IN_PROCESS
