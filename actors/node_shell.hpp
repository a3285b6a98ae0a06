// The node actor's inside: the volumes it holds, its control link, the queue of effects, operators'
// requests. Private to node_*.cpp.
#pragma once

#include <boost/json.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "actors/environment.hpp"
#include "actors/event_log.hpp"
#include "actors/front_desk.hpp"
#include "actors/interfaces.hpp"
#include "actors/link_turns.hpp"
#include "actors/metrics.hpp"
#include "actors/spawn.hpp"
#include "engine/node_roles.hpp"

namespace tidemark::actors {

/// The control link was made, or not.
struct ControlConnected {
  std::uint64_t key = 0;
  std::shared_ptr<transport::Network::Outcome> result;
};

using NodeSelf = Node::extend<caf::reacts_to<ControlLinkSaid>, caf::reacts_to<ControlLinkEnded>,
                              caf::reacts_to<ControlConnected>, caf::reacts_to<CatalogCommitted>,
                              caf::reacts_to<BeatDue>, caf::reacts_to<WaitOver>>;
struct NodeState;
using NodePointer = NodeSelf::stateful_pointer<NodeState>;

using AdminAnswer = std::function<void(engine::AdminReply)>;

/// An operator's request that the control plane does not answer within this is answered for.
inline constexpr std::uint64_t admin_forward_max = 60 * engine::second;
inline constexpr std::uint64_t admin_compare_max =
    3600 * engine::second;  ///< The same for a compare.
inline constexpr std::size_t admin_forwarded_max = 256;

class NodeShell {
 public:
  NodeShell(NodePointer self, NodeSeed seed);
  ~NodeShell();

  void start();
  /// `done` once every store is stopped.
  void stop(bool clean, std::function<void()> done);

  void end_pace();

  void accepted(transport::Incoming incoming);
  void proposed(const engine::ProposeSet& proposal);
  void configured(const engine::Configured& configured);
  void role_ended(const RoleEnded& m);
  void store_lost(const StoreLost& m);

  void connect();
  void connected(std::uint64_t key, transport::Network::Outcome result);
  void said(std::uint64_t key, engine::Message message);
  void link_ended(std::uint64_t key, const std::string& reason);
  void committed(const engine::Status& status);
  void beat();
  void admin(engine::AdminAsk ask, AdminAnswer answer);

 private:
  /// One volume on this node: the machine that decides, and the actors that do.
  struct Slot {
    explicit Slot(engine::roles::ReplicaRole r) : role(std::move(r)) {}
    engine::roles::ReplicaRole role;
    EnvironmentPtr env;  ///< For its actors: their events name the volume.
    std::optional<Store> store;
    std::optional<StoreFacts> facts;
    bool linked =
        false;  ///< A primary was here in this incarnation: a clean stop before it proves exactness no longer.
    std::optional<Volume> volume;
    std::optional<Receiver> receiver;
    std::string shown;    ///< The name under which the front desk knows it.
    bool served = false;  ///< The front desk has its export.
  };
  struct Asked {
    AdminAnswer answer;
    engine::TimerId timer = 0;
  };
  using Step = std::pair<engine::VolumeId, engine::roles::Effect>;

  // Effects of the volumes' machines: node_volumes.cpp.
  Slot& slot(const engine::VolumeId& id);
  Slot* find(const engine::VolumeId& id);
  void run(const engine::VolumeId& id, engine::roles::Effects effects);
  void drain();
  void perform(const engine::VolumeId& id, engine::roles::Persist& effect);
  void perform(const engine::VolumeId& id, engine::roles::OpenStore& effect);
  void perform(const engine::VolumeId& id, engine::roles::StartRole& effect);
  void perform(const engine::VolumeId& id, engine::roles::StopRole& effect);
  void perform(const engine::VolumeId& id, engine::roles::Reassign& effect);
  void perform(const engine::VolumeId& id, engine::roles::TellPrimary& effect);
  void perform(const engine::VolumeId& id, engine::roles::FenceReceiver& effect);
  void perform(const engine::VolumeId& id, engine::roles::DestroyStore& effect);
  void perform(const engine::VolumeId& id, engine::roles::Reply& effect);
  void perform(const engine::VolumeId& id, engine::roles::Report& effect);
  Store spawn_for(const engine::roles::OpenStore& wish);
  void opened(const engine::VolumeId& id, engine::Result<StoreFacts> facts);
  void role_stopped(const engine::VolumeId& id);
  void show(Slot& slot);
  void load_catalog();

  // The control link: node_link.cpp.
  void send_control(engine::Message message);
  void lose_link(const std::string& reason);
  void retry_later();
  void arm_beat();

  // Operators: node_admin.cpp.
  void forward(engine::AdminAsk ask, AdminAnswer answer);
  void local_status(AdminAnswer answer);
  void metrics(AdminAnswer answer);
  void fallback_status(AdminAnswer answer);
  void local_compare(const std::string& step, const std::string& body, AdminAnswer answer);
  void local_proof(const std::string& step, const boost::json::object& body, const Store& store,
                   AdminAnswer answer);
  void local_scrub(const std::string& step, const std::string& body, AdminAnswer answer);
  void gather(std::function<void(std::vector<LocalView>)> then);
  void set_rebuild_rate(const std::string& body, AdminAnswer answer);
  void local_events(const std::string& volume, const std::string& body, AdminAnswer answer);
  void local_preview(const std::string& volume, const std::string& replica, AdminAnswer answer);
  void preview(engine::AdminAsk ask, AdminAnswer answer);

  NodePointer self_;
  NodeSelf me_;
  EnvironmentPtr env_;             ///< The owner's, with our event log in front of its sink.
  const EventLog* log_ = nullptr;  ///< Owned by env_.
  std::shared_ptr<FrontDesk> desk_;
  std::optional<Control> control_;
  Pace pace_;                       ///< Of all rebuilds that this node is the source of.
  std::uint64_t rebuild_rate_ = 0;  ///< What pace_ was last told.
  std::map<engine::VolumeId, Slot> slots_;
  std::deque<Step> queue_;  ///< Behind a Persist that is being committed.
  bool committing_ = false;
  std::string catalog_problem_;
  bool stopping_ = false;

  transport::LinkPtr link_;
  std::shared_ptr<transport::LinkEvents> relay_;
  std::uint64_t link_key_ = 0;  ///< Of the link or of the attempt that is under way.
  bool registered_ = false;
  engine::MonoTime heard_;
  std::uint64_t backoff_ = 0;
  std::string control_problem_ = "not connected yet";
  std::uint64_t beats_ = 0;
  engine::TimerId beat_timer_ = 0;
  engine::TimerId retry_timer_ = 0;

  std::map<std::uint64_t, Asked> asked_;
  std::uint64_t next_ask_ = 1;
};

struct NodeState {
  std::unique_ptr<NodeShell> shell;
  static inline const char* name = "node";
};

}  // namespace tidemark::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::ControlConnected)
