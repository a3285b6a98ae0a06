// One per daemon: owns the stores, plays each replica's role as the control plane says, takes
// connections, answers operators. What it decides per volume stands in engine/node_roles.
#include "actors/admin_json.hpp"
#include "actors/node_shell.hpp"

namespace tidemark::actors {
NodeShell::NodeShell(NodePointer self, NodeSeed seed)
    : self_(self),
      me_(caf::actor_cast<NodeSelf>(caf::strong_actor_ptr(self->ctrl()))),
      desk_(std::move(seed.desk)),
      control_(std::move(seed.control)) {
  auto log = std::make_unique<EventLog>(seed.env->events, seed.env->clock);
  log_ = log.get();
  env_ = with_sink(std::move(seed.env), std::move(log));
  pace_ = spawn_pace(self->home_system(), env_);
  rebuild_rate_ = env_->settings.rebuild_rate;
}

NodeShell::~NodeShell() {
  if (beat_timer_ != 0) env_->timers.cancel(beat_timer_);
  if (retry_timer_ != 0) env_->timers.cancel(retry_timer_);
  for (const auto& [id, asked] : asked_) env_->timers.cancel(asked.timer);
  if (link_) link_->close();
}

void NodeShell::start() {
  load_catalog();
  arm_beat();
  connect();
}

void NodeShell::stop(bool clean, std::function<void()> done) {
  stopping_ = true;
  lose_link("the node is stopping");
  struct Round {
    std::size_t open = 1;
    std::function<void()> done;
    void less() {
      if (--open == 0) done();
    }
  };
  auto round = std::make_shared<Round>();
  round->done = std::move(done);
  for (auto& [id, s] : slots_) {
    if (desk_ && !s.shown.empty()) desk_->remove(s.shown, id, "the node is stopping");
    if (!s.store) continue;
    ++round->open;
    const auto store = *s.store;
    const auto stop_store = [this, round, store, clean] {
      self_->request(store, caf::infinite, StopStore{clean})
          .then([round](const StoreDone&) { round->less(); },
                [round](const caf::error&) { round->less(); });
    };
    const auto stopped = [stop_store](const RoleStopped&) { stop_store(); };
    const auto gone = [stop_store](const caf::error&) { stop_store(); };
    if (s.volume) {
      self_->request(*s.volume, caf::infinite, StopRole{"the node is stopping"})
          .then(stopped, gone);
    } else if (s.receiver) {
      self_->request(*s.receiver, caf::infinite, StopRole{"the node is stopping"})
          .then(stopped, gone);
    } else {
      stop_store();
    }
  }
  if (control_) {
    ++round->open;
    self_->request(*control_, caf::infinite, StopNode{clean})
        .then([round](const NodeStopped&) { round->less(); },
              [round](const caf::error&) { round->less(); });
  }
  round->less();
}

void NodeShell::end_pace() { self_->send_exit(pace_, caf::exit_reason::user_shutdown); }

namespace {

NodeSelf::behavior_type node_actor(NodePointer self, NodeSeed seed) {
  self->state.shell = std::make_unique<NodeShell>(self, std::move(seed));
  auto& shell = *self->state.shell;
  shell.start();
  return {
      [&shell](const LinkAccepted& m) { shell.accepted(std::move(*m.incoming)); },
      [&shell](const SetProposed& m) { shell.proposed(m.proposal); },
      [&shell](const ConfigurationCommitted& m) { shell.configured(m.configured); },
      [&shell](const RoleEnded& m) { shell.role_ended(m); },
      [&shell](const StoreLost& m) { shell.store_lost(m); },
      [self, &shell](const AdminRequest& m) -> caf::result<AdminAnswered> {
        auto promise = self->make_response_promise<AdminAnswered>();
        shell.admin(m.ask, [promise, id = m.ask.id](engine::AdminReply reply) mutable {
          reply.id = id;
          promise.deliver(AdminAnswered{std::move(reply)});
        });
        return promise;
      },
      [self, &shell](const StopNode& m) -> caf::result<NodeStopped> {
        auto promise = self->make_response_promise<NodeStopped>();
        shell.stop(m.clean, [self, &shell, promise]() mutable {
          shell.end_pace();
          promise.deliver(NodeStopped{});
          self->quit();
        });
        return promise;
      },
      [&shell](const ControlLinkSaid& m) { shell.said(m.key, std::move(*m.message)); },
      [&shell](const ControlLinkEnded& m) { shell.link_ended(m.key, m.reason); },
      [&shell](const ControlConnected& m) { shell.connected(m.key, std::move(*m.result)); },
      [&shell](const CatalogCommitted& m) { shell.committed(m.status); },
      [&shell](const BeatDue&) { shell.beat(); },
      [&shell](const WaitOver&) { shell.connect(); },
  };
}

void stopping_actor(caf::event_based_actor* self, const Node& node,
                    const std::function<void()>& over) {
  self->request(node, caf::infinite, StopNode{true})
      .then([over](const NodeStopped&) { over(); }, [over](const caf::error&) { over(); });
}

}  // namespace

Node spawn_node(caf::actor_system& system, NodeSeed seed) {
  return system.spawn(node_actor, std::move(seed));
}

// CAF 0.17 binds a reference to nothing where it spawns a function that is given no argument.
void stop_node(caf::actor_system& system, const Node& node, std::function<void()> over) {
  system.spawn(stopping_actor, node, std::move(over));
}

}  // namespace tidemark::actors
