// The embedded control plane: decides who is primary of what and which copies count. Does no I/O.
//
//   nothing          ──create─────────────────────────────────────► settled
//   settled          ──the primary's node started again,
//                      its own word that its role ended, an operator──► fencing(epoch')
//   fencing(epoch')  ──promises, choice───────────────────────────► settled, in epoch'
//   fencing(epoch')  ──a higher promise, an operator──────────────► fencing(a higher one)
//
// Effects are done in order, and what follows a Persist waits until it is durable, later calls'
// effects included: nothing is ever told to a node that a crash could take back. After a crash the
// records are loaded and everything is told again; every message may arrive twice, late or never.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/control/choose.hpp"
#include "engine/control/records.hpp"
#include "engine/event.hpp"
#include "engine/messages.hpp"
#include "engine/result.hpp"

namespace tidemark::engine::control {

/// Names a connection of a node; never reused while the process lives.
using LinkKey = std::uint64_t;

// --- effects -------------------------------------------------------------------------------------

/// Make all of it durable at once, then go on.
struct Persist {
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;
};
struct Send {
  LinkKey link = 0;
  Message message;
};
/// Refuse and close.
struct Drop {
  LinkKey link = 0;
  Refused why;
};
/// For the log, and for the recovery log of the volume if it names one.
struct Report {
  VolumeId volume;
  Event event;
};
using Effect = std::variant<Persist, Send, Drop, Report>;
using Effects = std::vector<Effect>;

// --- inputs --------------------------------------------------------------------------------------

/// The moment of an input, and random numbers that it may use up.
struct Moment {
  MonoTime now;
  std::array<std::uint64_t, 3> random{};
};

struct CreateVolume {
  VolumeSpec spec;                 ///< Without id.
  std::vector<std::string> nodes;  ///< Empty: the control plane chooses. The first becomes primary.
};

/// What an operator wants of a volume's rules; what is not named stays.
struct Reconfigure {
  std::optional<Mode> mode;
  std::optional<std::uint32_t> min_copies;
  std::optional<BelowMin> below_min{};
};

/// What speaks against a volume of that size, or nothing.
std::optional<std::string> flaw_of_size(std::uint64_t size_bytes);
inline constexpr std::uint32_t copies_max = 8;
inline constexpr std::size_t volumes_max = 1024;
inline constexpr std::size_t nodes_max = 64;

/// A node as the control plane sees it now.
struct NodeView {
  NodeRecord record;
  bool connected = false;
  std::size_t volumes = 0;
  std::optional<Uuid> stranger;  ///< Another UUID asked to come in under this name.
};

class ControlPlane {
 public:
  /// `host`: the node whose catalog keeps the records. `promise_wait` in nanoseconds.
  ControlPlane(NodeId host, ClusterId cluster, std::uint64_t promise_wait);

  /// Takes over all records under `key_prefix`. Errc::corrupt names the key that makes no sense.
  Status load(const std::vector<std::pair<std::string, std::string>>& records);

  /// A node says who it is on a fresh or known link. Repeats change nothing.
  Effects on_register(LinkKey link, const Register& m, const Moment& at);
  Effects on_link_down(LinkKey link);
  Effects on_message(LinkKey link, const AssignAck& m);
  Effects on_message(LinkKey link, const UnassignAck& m);
  Effects on_message(LinkKey link, const ProposeSet& m);
  Effects on_message(LinkKey link, const Promise& m, const Moment& at);
  /// The primary has it in force: what was wanted is the spec's from here on.
  Effects on_message(LinkKey link, const Configured& m);
  /// Tells again what was not acknowledged; ends a wait for promises.
  Effects on_tick(const Moment& at);
  /// When the next wait for promises is over; nothing while none is.
  std::optional<MonoTime> choice_due() const;
  /// Ends the waits for promises that are over, each once: whoever is still missing then is chosen from when it comes.
  Effects on_choice_due(const Moment& at);

  // An operator's wishes. An error changes nothing;
  // success may still have to be awaited, see pending().
  Result<Effects> create(const CreateVolume& wish, const Moment& at);
  Result<Effects> remove(const std::string& volume);
  /// `force`: also a copy that may lack committed records. That wish is forgotten in a restart.
  Result<Effects> promote(const std::string& volume, const std::string& node, const Moment& at,
                          bool force = false);
  Result<Effects> add_replica(const std::string& volume, const std::string& node);
  Result<Effects> remove_replica(const std::string& volume, const std::string& node);
  /// `new_node` empty: on the same node, which may have come back under another UUID.
  Result<Effects> replace_replica(const std::string& volume, const std::string& node,
                                  const std::string& new_node);
  /// `shrink`: blocks may be cut off. One change at a time; the same twice is the same.
  Result<Effects> resize(const std::string& volume, std::uint64_t size_bytes, bool shrink);
  /// Another mode or min_copies. What was wanted before and is not in force gives way to it; the same twice is the same.
  Result<Effects> configure(const std::string& volume, const Reconfigure& wish);
  Result<Effects> readmit(const std::string& node, const std::optional<Uuid>& uuid);

  // Views.
  std::vector<NodeView> nodes() const;
  std::vector<VolumeRecord> volumes() const;  ///< Ordered by name; those being deleted last.
  const VolumeRecord* volume(const std::string& name) const;
  const VolumeRecord* volume(const VolumeId& id) const;
  std::optional<LinkKey> link_of(const std::string& node) const;
  std::optional<std::string> node_of(LinkKey link) const;
  /// What still has to happen until the volume is as it was last decided,
  /// for people; empty: nothing.
  std::vector<std::string> pending(const VolumeId& id) const;
  /// The part of it that the control plane and the nodes in reach have to do. `rules`: also that
  /// another mode or min_copies, if one is wanted, is in force.
  std::vector<std::string> pending_reachable(const VolumeId& id, bool rules = true) const;
  /// Why the operator's wish of the volume's last promotion was not granted; empty: it was.
  std::string refused_wish(const VolumeId& id) const;

 private:
  struct Acked {
    Epoch epoch;
    Version version;
    auto operator<=>(const Acked&) const = default;
  };
  struct Volume {
    VolumeRecord record;
    std::map<ReplicaId, Acked>
        acked;          ///< What each member said it persisted. Lost in a crash: asked again.
    Promises promises;  ///< For record.fencing.
    MonoTime fencing_since;
    bool wait_over =
        false;  ///< The wait that began at fencing_since; later promises are chosen from at once.
    std::string refused_wish;
    bool forced = false;  ///< record.wanted may lack committed records.
  };
  struct Session {
    LinkKey link = 0;
    NodeId node;
  };

  // Each appends to `out`.
  void persist(const Volume& volume, Effects& out) const;
  void report(const Volume& volume, Event event, Effects& out) const;
  void assign(const Volume& volume, const Placement& to, Effects& out) const;
  void assign_all(const Volume& volume, Effects& out) const;
  void tell_node(Volume& volume, const NodeId& node, const Moment& at, Effects& out);
  void unassign_gone(const Volume& volume, const NodeId& node, Effects& out) const;
  void begin_fencing(Volume& volume, Epoch above, const std::string& reason, const Moment& at,
                     Effects& out);
  void ask_promises(const Volume& volume, Effects& out) const;
  void choose_when_ready(Volume& volume, const Moment& at, Effects& out);
  void reign(Volume& volume, const Choice& choice, const Moment& at, Effects& out);
  void decided(LinkKey link, const Volume& volume, const ProposeSet& asked, bool accepted,
               const std::string& reason, Effects& out) const;
  void take_mode(Volume& volume, Effects& out);
  void leave(Volume& volume, ReplicaId replica) const;
  void retire_replaced(Volume& volume, Effects& out) const;
  void place(Volume& volume, const NodeRecord& node, Effects& out);

  std::optional<Refused> unwelcome(const Register& m) const;
  bool remember_node(const Register& m, Effects& out);
  bool awaited(const Volume& volume, const Placement& member) const;
  std::string objection(const Volume& volume, const Session& from, const ProposeSet& m) const;
  const Session* session_of(LinkKey link) const;
  const Session* session_of(const NodeId& node) const;
  Volume* find(const VolumeId& id);
  Volume* find(const std::string& name);
  Result<Volume*> wished(const std::string& name);
  std::string pending_promotion(const Volume& volume) const;
  Result<std::vector<NodeRecord>> choose_nodes(const CreateVolume& wish) const;
  std::size_t volumes_on(const NodeId& node) const;

  NodeId host_;
  ClusterId cluster_;
  std::uint64_t promise_wait_;
  std::uint64_t next_replica_ = 1;
  Nodes nodes_;
  std::map<std::string, Session> sessions_;  ///< By node name; one each.
  std::map<std::string, Uuid> strangers_;    ///< Last refused UUID by node name; at most nodes_max.
  std::map<VolumeId, Volume> volumes_;
};

/// For people: what is wanted and not in force; empty: nothing.
std::string change_text(const VolumeRecord& record);

/// Why a wish to create a volume can never be granted; nothing if it can.
std::optional<Error> flaw(const CreateVolume& wish);

}  // namespace tidemark::engine::control
