// What happens to a primary's volume, and what it wants done: the whole language between
// engine::VolumeMachine and its shell (actors/volume_actor.cpp). Events are past
// participles, effects imperatives.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/event.hpp"
#include "engine/front.hpp"
#include "engine/in_sync.hpp"
#include "engine/log_head.hpp"
#include "engine/messages.hpp"
#include "engine/record/record.hpp"
#include "engine/result.hpp"
#include "engine/sender_registry.hpp"

namespace tidemark::engine {

/// A front-end connection, numbered by the shell; never reused.
using ClientKey = Id<struct ClientTag>;
/// A question to the store on its way; never reused.
using ReadId = Id<struct ReadTag>;

/// When an event happened. Both clocks are the shell's; the machine has none.
struct Moment {
  MonoTime now;
  WallTime wall;
};

// --- events --------------------------------------------------------------------------------------

/// The role begins, on an opened store.
struct RoleOpened {
  Assignment assignment;
  OpenedLog log;
  FrontSession session;  ///< Of this node's front end (C5).
  Moment at;
};
/// Requests of one client and turn, in order. Their buffers are the machine's from here on.
struct Requested {
  ClientKey client;
  std::vector<FrontRequest> requests;
  Moment at;
};
/// The answer to ReadFromStore; once each.
struct BlocksArrived {
  ReadId id;
  Result<std::vector<FrontReply::Piece>> pieces;
  Moment at;
};
/// The answer to AskStoreAllocation; once each.
struct AllocationArrived {
  ReadId id;
  Result<std::vector<Allocation>> runs;
  Moment at;
};
/// The own store's numbers. May repeat.
struct StoreAdvanced {
  Lsn durable;
  std::uint64_t wal_free_bytes = 0;  ///< Beyond `durable`.
  Moment at;
};
/// The own store fail-stopped (C23), once.
struct StoreEnded {
  Error error;
  Moment at;
};
/// A sender's report. May repeat, and come late.
struct PeerReported {
  PeerSeen seen;
  Moment at;
};
/// The control plane's answer to ProposeSet. May repeat, and come late.
struct SetAnswerArrived {
  SetDecided decided;
  Moment at;
};
/// A newer assignment of this role; one that is not newer is refused.
struct AssignmentArrived {
  Assignment assignment;
  Moment at;
};
/// The client is gone: what it still waits for is not answered; what is not numbered is dropped.
struct ClientGone {
  ClientKey client;
  Moment at;
};
struct Ticked {
  Moment at;
};
/// The node ends the role. Nothing is numbered any more.
struct RoleStopRequested {
  std::string reason;
  Moment at;
};

// --- effects -------------------------------------------------------------------------------------

/// Always the first effect of an event: to the own store and to every sender.
struct Append {
  RecordBatch batch;
};
struct ReadFromStore {
  ReadId id;
  BlockRange range;
};
struct AskStoreAllocation {
  ReadId id;
  BlockRange range;
};
struct Reply {
  ClientKey client;
  FrontReply reply;
};
struct MoveCommitted {
  Lsn committed;
};
struct Propose {
  ProposeSet proposal;
};
/// The set, an epoch or an endpoint moved: the shell carries it out
/// with the assignment now in force.
struct ChangeSender {
  SenderChange change;
};
/// What was wanted is in force.
struct TellConfigured {
  Configured configured;
};
struct CutClients {
  std::string reason;
};
struct EndRole {
  std::string reason;
};
struct Log {
  Event event;
};

using VolumeEffect = std::variant<Append, ReadFromStore, AskStoreAllocation, Reply, MoveCommitted,
                                  Propose, ChangeSender, CutClients, EndRole, Log, TellConfigured>;
using VolumeEffects = std::vector<VolumeEffect>;

/// One line per effect, for tests and traces: `append 4:write[0,2) 5:chunk_end`.
std::string render(const VolumeEffect& effect);
std::string render(const VolumeEffects& effects);

}  // namespace tidemark::engine
