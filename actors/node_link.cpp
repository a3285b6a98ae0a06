// The node's one link to the control plane, over the network even on the host itself:
// connect, register, beat.
#include <algorithm>

#include "actors/admin_json.hpp"
#include "actors/node_shell.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::actors {

using engine::Event;
using engine::Level;

void NodeShell::connect() {
  retry_timer_ = 0;
  if (stopping_ || !catalog_problem_.empty()) return;
  const auto key = ++link_key_;
  engine::Hello hello;
  hello.purpose = engine::Purpose::control;
  hello.cluster = env_->cluster;
  hello.node = env_->node;
  hello.incarnation = env_->incarnation;
  env_->network.connect(
      env_->control, std::move(hello), [me = me_, key](transport::Network::Outcome result) {
        caf::anon_send(me, ControlConnected{key, std::make_shared<transport::Network::Outcome>(
                                                     std::move(result))});
      });
}

void NodeShell::connected(std::uint64_t key, transport::Network::Outcome result) {
  if (key != link_key_ || stopping_) return;
  if (!result) {
    // Once per reason: the tries go on for as long as it stands.
    if (control_problem_ != result.error().text) {
      control_problem_ = result.error().text;
      env_->events.event(
          Event(Level::warning, "control_not_reached").with("reason", control_problem_));
    }
    return retry_later();
  }
  link_ = std::move(result->link);
  heard_ = env_->clock.now();
  relay_ = std::make_shared<ControlLinkRelay<NodeSelf>>(me_, key);
  link_->attach(relay_);
  link_->send(engine::Register{env_->node, env_->incarnation, env_->replication, env_->nbd, false});
}

void NodeShell::said(std::uint64_t key, engine::Message message) {
  if (key != link_key_ || !link_) return;
  heard_ = env_->clock.now();
  if (auto* m = std::get_if<engine::Assign>(&message)) {
    const auto id = m->assignment.spec.id;
    return run(id, slot(id).role.on_assign(m->assignment));
  }
  if (auto* m = std::get_if<engine::Fence>(&message))
    return run(m->volume, slot(m->volume).role.on_fence(*m));
  if (auto* m = std::get_if<engine::Unassign>(&message)) {
    return run(m->volume, slot(m->volume).role.on_unassign(*m));
  }
  if (auto* m = std::get_if<engine::SetDecided>(&message)) {
    if (auto* s = find(m->volume)) run(m->volume, s->role.on_set_decided(*m));
    return;
  }
  if (std::holds_alternative<engine::Registered>(message)) {
    registered_ = true;
    backoff_ = 0;
    control_problem_.clear();
    env_->events.event(Event(Level::info, "registered").with("control", env_->control));
    return;
  }
  if (auto* m = std::get_if<engine::AdminAsk>(&message)) {
    const auto id = m->id;
    return admin(std::move(*m), [this, key, id](engine::AdminReply answer) {
      answer.id = id;
      if (key == link_key_) send_control(std::move(answer));
    });
  }
  if (auto* m = std::get_if<engine::AdminReply>(&message)) {
    const auto asked = asked_.find(m->id);
    if (asked == asked_.end()) return;
    env_->timers.cancel(asked->second.timer);
    const auto done = std::move(asked->second.answer);
    asked_.erase(asked);
    return done(std::move(*m));
  }
  if (auto* m = std::get_if<engine::Refused>(&message)) return lose_link(m->text);
}

void NodeShell::link_ended(std::uint64_t key, const std::string& reason) {
  if (key == link_key_ && link_) lose_link(reason);
}

void NodeShell::lose_link(const std::string& reason) {
  if (link_) {
    link_->close();
    env_->events.event(Event(Level::warning, "control_link_lost").with("reason", reason));
  }
  link_.reset();
  relay_.reset();
  registered_ = false;
  control_problem_ = reason;
  const auto asked = std::exchange(asked_, {});
  for (const auto& [id, forwarded] : asked) {
    env_->timers.cancel(forwarded.timer);
    forwarded.answer(unavailable("the connection to the control plane ended: " + reason));
  }
  retry_later();
}

/// Doubles up to the maximum; the jitter keeps nodes that lost the same host apart.
void NodeShell::retry_later() {
  if (stopping_ || retry_timer_ != 0) return;
  backoff_ = std::clamp(backoff_ * 2, env_->settings.retry_min, env_->settings.retry_max);
  const auto delay = backoff_ / 2 + env_->rng.next() % (backoff_ / 2 + 1);
  retry_timer_ = env_->timers.after(delay, [me = me_] { caf::anon_send(me, WaitOver{}); });
}

void NodeShell::send_control(engine::Message message) {
  if (link_) link_->send(std::move(message));
}

void NodeShell::proposed(const engine::ProposeSet& proposal) { send_control(proposal); }

void NodeShell::configured(const engine::Configured& configured) { send_control(configured); }

void NodeShell::arm_beat() {
  beat_timer_ = env_->timers.after(heartbeat_every, [me = me_] { caf::anon_send(me, BeatDue{}); });
}

void NodeShell::beat() {
  if (stopping_) return;
  arm_beat();
  if (!link_) return;
  if (engine::sometimes(env_->clock.now() - heard_ >= control_link_dead_after,
                        engine::Mark::control_plane_silent))
    return lose_link("the control plane was silent for 3 s");
  link_->send(engine::Heartbeat{++beats_});
  std::vector<engine::VolumeId> ids;
  for (const auto& [id, unused] : slots_) ids.push_back(id);
  for (const auto& id : ids) run(id, slot(id).role.on_tick());
}

}  // namespace tidemark::actors
