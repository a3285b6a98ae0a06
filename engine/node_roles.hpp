// Which role a node plays for one volume: a machine between what the control plane
// says (assignments, fences, unassignments) and what the node's store and role actor
// answer. Does no I/O.
//
//      Assign --persist--> [open store] --facts--> [start role] --> primary / replica
//      Fence  --persist--> [stop primary | fence receiver] --facts--> Promise
//      Unassign ---------> [stop role] --> [destroy store] --forget--> UnassignAck
//
// One step is under way at a time; what arrives meanwhile is remembered and the next step is
// found from what stands then. Effects are done in order, and what follows a Persist waits
// until it is durable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/catalog_codec.hpp"
#include "engine/event.hpp"
#include "engine/messages.hpp"
#include "engine/result.hpp"

namespace tidemark::engine::roles {

/// What the replica's store holds, all of it durable.
struct Held {
  Lsn end;
  Epoch last_epoch;
  Lsn committed;
  Digest digest;
  BaseState base = BaseState::complete;
  bool clean = false;
  std::string damage;
};

// --- effects -------------------------------------------------------------------------------------

struct Persist {
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;
};
/// Open the store, or ask an open one again. Answer: on_opened.
struct OpenStore {
  VolumeSpec spec;
  ReplicaId replica;
  std::string directory;
  bool create = false;
  bool incomplete = false;
};
/// With the facts of the last on_opened. No answer.
struct StartRole {
  Assignment assignment;
  Epoch promised;
  Epoch forgotten;  ///< LocalVolume::forgotten.
};
/// Answer: on_role_stopped.
struct StopRole {
  std::string reason;
};
/// Same role and epoch, newer version. No answer.
struct Reassign {
  Assignment assignment;
};
/// To the primary that runs: what the control plane said of the set. No answer.
struct TellPrimary {
  SetDecided decided;
};
/// Answer: on_fenced.
struct FenceReceiver {
  Epoch epoch;
};
/// Answer: on_destroyed. The store may never have been opened,
/// then its directory goes nevertheless.
struct DestroyStore {
  LocalVolume local;
};
/// To the control plane, if it is in reach; else lost, and asked for again.
struct Reply {
  Message message;
};
struct Report {
  Event event;
};
using Effect = std::variant<Persist, OpenStore, StartRole, StopRole, Reassign, TellPrimary,
                            FenceReceiver, DestroyStore, Reply, Report>;
using Effects = std::vector<Effect>;

inline constexpr std::string_view local_prefix = "volume/";
inline constexpr std::string_view promise_prefix = "promise/";
inline constexpr std::string_view removed_prefix = "removed/";

class ReplicaRole {
 public:
  ReplicaRole(NodeId node, Incarnation incarnation, VolumeId volume);
  const VolumeId& volume() const { return volume_; }

  // From the catalog, before anything else.
  void load(const LocalVolume& local) { local_ = local; }
  void load_promise(Epoch promised) { promised_ = promised; }
  void load_removed(ReplicaId removed) { removed_ = removed; }
  /// Opens what there is. No role is played before an assignment arrives in this incarnation.
  Effects start();

  Effects on_assign(const Assignment& arriving);
  /// The primary acts on a set only once its node could tell, after a crash, that it was told of it (C18).
  Effects on_set_decided(const SetDecided& m);
  Effects on_fence(const Fence& m);
  Effects on_unassign(const Unassign& m);
  Effects on_opened(const Result<Held>& held);
  Effects on_role_stopped();
  Effects on_fenced(const Result<Held>& held);
  Effects on_destroyed(const Status& status);
  /// The role's actor cannot go on.
  Effects on_role_ended(Epoch epoch, const std::string& reason);
  Effects on_store_lost(const Error& error);
  /// Says again what the control plane may have missed: an ended reign.
  Effects on_tick();

  /// Why an incoming connection cannot be handed to the receiver now; nothing if it can.
  std::optional<Refused> objection(const Hello& hello) const;
  bool serving() const { return running_ && running_->role == Role::primary; }
  bool following() const { return running_ && running_->role == Role::replica; }
  /// Where clients find the volume, for the refusal of an export.
  std::string elsewhere() const;
  const std::optional<LocalVolume>& local() const { return local_; }
  /// Highest epoch below which nothing is taken any more.
  Epoch promised() const;
  /// What keeps it from playing its role; empty when nothing does.
  std::string problem() const;

 private:
  enum class Step : std::uint8_t { none, opening, stopping, fencing, destroying };
  enum class StoreState : std::uint8_t { closed, open, lost };

  void hear(const Assignment& arriving, Effects& out);
  void pump(Effects& out);
  void answer_fence(Effects& out);
  bool wants_role() const;
  bool runs_as_assigned() const;
  void open(Effects& out);
  void stop(std::string reason, Effects& out);
  void acknowledge(Effects& out) const;
  void withdraw_vote(const std::string& damage, Effects& out);
  void lost(const Error& error, Effects& out);
  void say_ended(Effects& out) const;
  void refuse(const Assignment& arriving, std::string_view why, Effects& out) const;
  void persist(Effects& out) const;
  std::string key(std::string_view prefix) const;

  NodeId node_;
  Incarnation incarnation_;
  VolumeId volume_;

  std::optional<LocalVolume> local_;
  Epoch promised_;
  ReplicaId removed_;      ///< The highest replica of the volume that was taken away from here.
  bool assigned_ = false;  ///< An assignment arrived in this incarnation.
  Step step_ = Step::none;
  StoreState store_ = StoreState::closed;
  std::string store_problem_;
  std::optional<Held> held_;  ///< Fresh facts for the next step; used once.
  std::optional<Assignment> running_;
  std::optional<Epoch> fence_;  ///< To be answered.
  Epoch fenced_;                ///< What the receiver was last asked to fence.
  bool leaving_ = false;
  Epoch ended_;               ///< The role of this epoch and below is over.
  bool reign_ended_ = false;  ///< It was a reign of ours.
  std::string ended_reason_;
};

}  // namespace tidemark::engine::roles
