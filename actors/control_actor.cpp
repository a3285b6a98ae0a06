// The embedded control plane's shell: links in, decisions by engine/control, effects out in order.
#include <algorithm>

#include "actors/admin_json.hpp"
#include "actors/control_shell.hpp"
#include "actors/spawn.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::actors {

using engine::Event;
using engine::Level;

ControlShell::ControlShell(ControlSelf me, EnvironmentPtr env)
    : me_(std::move(me)),
      env_(std::move(env)),
      plane_(env_->node, env_->cluster, env_->settings.promise_wait) {}

ControlShell::~ControlShell() { stop(); }

void ControlShell::start() {
  const auto loaded = plane_.load(env_->kv.scan(std::string(engine::control::key_prefix)));
  if (!loaded) {
    problem_ = loaded.error().text;
    env_->events.event(Event(Level::error, "control_plane_not_loaded").with("reason", problem_));
    return;
  }
  env_->events.event(Event(Level::info, "control_plane_loaded")
                         .with("nodes", plane_.nodes().size())
                         .with("volumes", plane_.volumes().size()));
  load_scrubs();
  arm_beat(heartbeat_every);
}

void ControlShell::stop() {
  if (beat_timer_ != 0) env_->timers.cancel(beat_timer_);
  beat_timer_ = 0;
  if (choice_timer_ != 0) env_->timers.cancel(choice_timer_);
  choice_timer_ = 0;
  const auto forwarded = std::exchange(forwarded_, {});
  for (const auto& [id, asked] : forwarded) {
    env_->timers.cancel(asked.timer);
    asked.answer(unavailable("the control plane stops"));
  }
  for (const auto& waiting : std::exchange(waiting_, {})) waiting.finish(false);
  for (auto& [key, peer] : peers_) peer.link->close();
  peers_.clear();
}

void ControlShell::arm_beat(std::uint64_t delay) {
  beat_timer_ = env_->timers.after(delay, [me = me_] { caf::anon_send(me, BeatDue{}); });
}

void ControlShell::wake_in(std::uint64_t delay) {
  env_->timers.after(delay, [me = me_] { caf::anon_send(me, WaitOver{}); });
}

engine::control::Moment ControlShell::moment() {
  return {env_->clock.now(), {env_->rng.next(), env_->rng.next(), env_->rng.next()}};
}

// --- links ---------------------------------------------------------------------------------------

void ControlShell::linked(transport::Incoming incoming) {
  if (!problem_.empty()) {
    incoming.link->send(engine::Refused{engine::RefusalCode::store_failed, problem_, {}});
    incoming.link->close();
    return;
  }
  make_room();
  const auto key = next_key_++;
  auto relay = std::make_shared<ControlLinkRelay<ControlSelf>>(me_, key);
  incoming.link->send(engine::HelloOk{engine::protocol_version, env_->node, env_->incarnation});
  incoming.link->attach(relay);
  const auto now = env_->clock.now();
  peers_[key] = Peer{std::move(incoming.link),
                     std::move(relay),
                     std::move(incoming.hello.node),
                     incoming.hello.incarnation,
                     now,
                     now};
}

/// The oldest link that never registered leaves for one more: silent ones cannot keep nodes out.
void ControlShell::make_room() {
  if (peers_.size() < control_links_max) return;
  const auto oldest = std::find_if(peers_.begin(), peers_.end(),
                                   [&](const auto& p) { return !plane_.node_of(p.first); });
  if (oldest != peers_.end()) ended(oldest->first, "pushed out by newer links");
}

void ControlShell::refuse(std::uint64_t key, engine::RefusalCode code, const std::string& why) {
  peers_.at(key).link->send(engine::Refused{code, why, {}});
  ended(key, why);
}

/// Who said in its Hello who it is registers as that, on this link, for as long as it stands.
void ControlShell::registers(std::uint64_t key, const engine::Register& m) {
  const auto& peer = peers_.at(key);
  if (m.node == peer.node && m.incarnation == peer.incarnation)
    return run(plane_.on_register(key, m, moment()));
  refuse(
      key, engine::RefusalCode::wrong_node,
      fmt::format("the link is of {} {} in incarnation {}, and {} {} in incarnation {} registers",
                  peer.node.name, to_string(peer.node.uuid), peer.incarnation, m.node.name,
                  to_string(m.node.uuid), m.incarnation));
}

void ControlShell::said(std::uint64_t key, engine::Message message) {
  const auto peer = peers_.find(key);
  if (peer == peers_.end() || !problem_.empty()) return;
  peer->second.heard = env_->clock.now();
  if (auto* m = std::get_if<engine::Register>(&message)) return registers(key, *m);
  if (auto* m = std::get_if<engine::AssignAck>(&message)) return run(plane_.on_message(key, *m));
  if (auto* m = std::get_if<engine::UnassignAck>(&message)) return run(plane_.on_message(key, *m));
  if (auto* m = std::get_if<engine::ProposeSet>(&message)) return run(plane_.on_message(key, *m));
  if (auto* m = std::get_if<engine::Configured>(&message)) return run(plane_.on_message(key, *m));
  if (auto* m = std::get_if<engine::Promise>(&message))
    return run(plane_.on_message(key, *m, moment()));
  if (auto* m = std::get_if<engine::AdminReply>(&message)) return reply(key, std::move(*m));
  if (auto* m = std::get_if<engine::AdminAsk>(&message)) {
    if (!plane_.node_of(key)) {
      return refuse(key, engine::RefusalCode::protocol,
                    "an operator's request on a link whose node has not registered");
    }
    const auto id = m->id;
    return admin(std::move(*m), [this, key, id](engine::AdminReply answer) {
      answer.id = id;
      const auto to = peers_.find(key);
      if (to != peers_.end()) to->second.link->send(std::move(answer));
    });
  }
  if (auto* m = std::get_if<engine::Refused>(&message)) return ended(key, m->text);
}

void ControlShell::ended(std::uint64_t key, const std::string& reason) {
  if (!peers_.contains(key)) return;
  env_->events.event(Event(Level::info, "control_link_ended")
                         .with("node", plane_.node_of(key).value_or("?"))
                         .with("reason", reason));
  forget(key);
}

void ControlShell::forget(std::uint64_t key) {
  const auto peer = peers_.find(key);
  if (peer == peers_.end()) return;
  peer->second.link->close();
  peers_.erase(peer);
  run(plane_.on_link_down(key));
  std::vector<std::uint64_t> lost;
  for (const auto& [id, asked] : forwarded_) {
    if (asked.link == key) lost.push_back(id);
  }
  for (const auto id : lost) finish(id, unavailable("the connection to the node ended", id));
}

void ControlShell::beat() {
  arm_beat(heartbeat_every);
  ++beats_;
  const auto now = env_->clock.now();
  std::vector<std::pair<std::uint64_t, const char*>> over;
  for (auto& [key, peer] : peers_) {
    if (now - peer.heard >= control_link_dead_after) {
      engine::sometimes(engine::Mark::control_link_silent);
      over.emplace_back(key, "silent for 3 s");
    } else if (now - peer.since >= register_wait_max && !plane_.node_of(key)) {
      over.emplace_back(key, "not registered within 3 s");
    } else {
      peer.link->send(engine::Heartbeat{beats_});
    }
  }
  for (const auto& [key, why] : over) ended(key, why);
  run(plane_.on_tick(moment()));
  move_scrubs();
}

// --- effects, in order ---------------------------------------------------------------------------

void ControlShell::run(engine::control::Effects effects) {
  for (auto& effect : effects) queue_.push_back(std::move(effect));
  drain();
  look_at_waiting();
  arm_choice();
}

/// The choice is due when the wait for promises is over, not at some later beat: one timer, for the
/// earliest.
void ControlShell::arm_choice() {
  const auto due = plane_.choice_due();
  if (!due || (choice_timer_ != 0 && choice_due_ <= *due)) return;
  if (choice_timer_ != 0) env_->timers.cancel(choice_timer_);
  const auto now = env_->clock.now();
  choice_due_ = std::max(*due, now);
  choice_timer_ =
      env_->timers.after(choice_due_ - now, [me = me_] { caf::anon_send(me, ChoiceDue{}); });
}

void ControlShell::choose() {
  choice_timer_ = 0;
  run(plane_.on_choice_due(moment()));
}

void ControlShell::drain() {
  while (!committing_ && !queue_.empty() && problem_.empty()) {
    auto effect = std::move(queue_.front());
    queue_.pop_front();
    std::visit([this](auto& e) { perform(e); }, effect);
  }
}

void ControlShell::perform(engine::control::Persist& effect) {
  committing_ = true;
  env_->kv.commit(storage::KvBatch{std::move(effect.changes)}, [me = me_](engine::Status status) {
    caf::anon_send(me, CatalogCommitted{std::move(status)});
  });
}

void ControlShell::committed(const engine::Status& status) {
  committing_ = false;
  if (!status) {
    engine::sometimes(engine::Mark::control_catalog_failed);
    // What could not be made durable is told to nobody: this control plane is over until a restart.
    problem_ = "the control plane's catalog failed: " + status.error().text;
    env_->events.event(Event(Level::error, "control_plane_stopped").with("reason", problem_));
    queue_.clear();
    stop();
    return;
  }
  drain();
  look_at_waiting();
}

void ControlShell::perform(engine::control::Send& effect) {
  const auto peer = peers_.find(effect.link);
  if (peer == peers_.end()) return;
  peer->second.link->send(std::move(effect.message));
}

void ControlShell::perform(engine::control::Drop& effect) {
  const auto peer = peers_.find(effect.link);
  if (peer == peers_.end()) return;
  peer->second.link->send(std::move(effect.why));
  forget(effect.link);
}

void ControlShell::perform(engine::control::Report& effect) {
  note_event(effect.volume, effect.event);
}

void ControlShell::note_event(const engine::VolumeId& volume, const Event& event) {
  if (volume) {
    logs_[volume].add(env_->clock.wall(), event);
    if (plane_.volume(volume) == nullptr) logs_.erase(volume);  // forgotten
  }
  env_->events.event(event);
}

// --- operators -----------------------------------------------------------------------------------

void ControlShell::ask_node(const std::string& node, engine::AdminAsk ask, std::uint64_t budget,
                            AdminAnswer answer) {
  const auto link = plane_.link_of(node);
  if (!link || !peers_.contains(*link) || forwarded_.size() >= admin_requests_max) {
    answer(unavailable(fmt::format("node {} is not connected", node), ask.id));
    return;
  }
  const auto id = next_ask_++;
  ask.id = id;
  const auto timer =
      env_->timers.after(budget, [me = me_, id] { caf::anon_send(me, AskTimedOut{id}); });
  forwarded_[id] = Forwarded{std::move(answer), *link, node, timer};
  peers_.at(*link).link->send(std::move(ask));
}

void ControlShell::reply(std::uint64_t key, engine::AdminReply answer) {
  const auto asked = forwarded_.find(answer.id);
  if (asked == forwarded_.end() || asked->second.link != key) return;  // Late: it was answered for.
  const auto id = answer.id;
  finish(id, std::move(answer));
}

void ControlShell::timed_out(std::uint64_t ask) {
  engine::sometimes(engine::Mark::control_answer_in_vain);
  finish(ask, unavailable("the node did not answer in time", ask));
}

void ControlShell::finish(std::uint64_t ask, engine::AdminReply answer) {
  const auto asked = forwarded_.find(ask);
  if (asked == forwarded_.end()) return;
  env_->timers.cancel(asked->second.timer);
  const auto done = std::move(asked->second.answer);
  forwarded_.erase(asked);
  done(std::move(answer));
}

void ControlShell::look_at_waiting() {
  const auto now = env_->clock.now();
  std::vector<std::pair<std::function<void(bool)>, bool>> over;
  std::erase_if(waiting_, [&](Waiting& w) {
    const bool done = w.done();
    if (!done && now < w.deadline) return false;
    over.emplace_back(std::move(w.finish), done);
    return true;
  });
  for (auto& [finish, done] : over) finish(done);
}

// --- the actor -----------------------------------------------------------------------------------

namespace {

struct ControlState {
  std::unique_ptr<ControlShell> shell;
  static inline const char* name = "control";
};

ControlSelf::behavior_type control_actor(ControlSelf::stateful_pointer<ControlState> self,
                                         EnvironmentPtr env) {
  auto me = caf::actor_cast<ControlSelf>(caf::strong_actor_ptr(self->ctrl()));
  self->state.shell = std::make_unique<ControlShell>(std::move(me), std::move(env));
  auto& shell = *self->state.shell;
  shell.start();
  return {
      [&shell](const ControlLinked& m) { shell.linked(*m.incoming); },
      [self, &shell](const AdminRequest& m) -> caf::result<AdminAnswered> {
        auto promise = self->make_response_promise<AdminAnswered>();
        shell.admin(m.ask, [promise, id = m.ask.id](engine::AdminReply reply) mutable {
          reply.id = id;
          promise.deliver(AdminAnswered{std::move(reply)});
        });
        return promise;
      },
      [self, &shell](const StopNode&) {
        shell.stop();
        self->quit();
        return NodeStopped{};
      },
      [&shell](const ControlLinkSaid& m) { shell.said(m.key, std::move(*m.message)); },
      [&shell](const ControlLinkEnded& m) { shell.ended(m.key, m.reason); },
      [&shell](const CatalogCommitted& m) { shell.committed(m.status); },
      [&shell](const BeatDue&) { shell.beat(); },
      [&shell](const WaitOver&) { shell.look_again(); },
      [&shell](const ChoiceDue&) { shell.choose(); },
      [&shell](const AskTimedOut& m) { shell.timed_out(m.ask); },
  };
}

}  // namespace

Control spawn_control(caf::actor_system& system, EnvironmentPtr env) {
  return system.spawn(control_actor, std::move(env));
}

}  // namespace tidemark::actors
