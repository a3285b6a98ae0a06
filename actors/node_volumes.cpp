// What the volumes' machines want done: stores opened, roles started and stopped, promises synced.
// Strictly in order; what stands behind a Persist waits for it.
#include "actors/node_shell.hpp"
#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::actors {

using engine::Errc;
using engine::Error;
using engine::Event;
using engine::Level;
using engine::VolumeId;
namespace roles = engine::roles;

namespace {

/// `linked`: a primary has been here in this incarnation. From then on answers may have been given without it, until it
/// is recorded again: the clean stop before it proves exactness no longer (C4).
roles::Held held_by(const StoreFacts& facts, bool linked) {
  roles::Held held;
  held.end = facts.end;
  const auto last = facts.history.at(facts.end);
  if (last) held.last_epoch = last->epoch;
  held.committed = facts.committed;
  held.digest = facts.digest;
  held.base = facts.base;
  held.clean = facts.clean && (!linked || engine::planted(engine::Bug::clean_stop_outlives_link));
  held.damage = facts.damage;
  return held;
}

Error gone(std::string_view what, const caf::error& why) {
  return Error{Errc::io_failed,
               fmt::format("{}: its actor is gone ({})", what, caf::to_string(why))};
}

}  // namespace

void NodeShell::load_catalog() {
  const auto id_in = [](const std::string& key, std::string_view prefix) {
    return engine::parse_uuid(key.substr(prefix.size()));
  };
  const auto senseless = [this](const std::string& key) {
    env_->events.event(Event(Level::error, "catalog_value_ignored").with("key", key));
  };
  for (const auto& [key, value] : env_->kv.scan(std::string(roles::removed_prefix))) {
    const auto id = id_in(key, roles::removed_prefix);
    const auto removed = engine::decode_promise(value);
    if (!id || !removed) {
      senseless(key);
      continue;
    }
    slot(*id).role.load_removed(engine::ReplicaId(removed->value));
  }
  for (const auto& [key, value] : env_->kv.scan(std::string(roles::promise_prefix))) {
    const auto id = id_in(key, roles::promise_prefix);
    const auto promised = engine::decode_promise(value);
    if (!id || !promised) {
      senseless(key);
      continue;
    }
    slot(*id).role.load_promise(*promised);
  }
  for (const auto& [key, value] : env_->kv.scan(std::string(roles::local_prefix))) {
    const auto id = id_in(key, roles::local_prefix);
    const auto local = engine::decode_local_volume(value);
    if (!id || !local) {
      senseless(key);
      continue;
    }
    slot(*id).role.load(*local);
  }
  std::vector<VolumeId> ids;
  for (const auto& [id, unused] : slots_) ids.push_back(id);
  for (const auto& id : ids) run(id, slot(id).role.start());
  for (auto& [id, s] : slots_) show(s);
  if (desk_) desk_->ready();
}

NodeShell::Slot& NodeShell::slot(const VolumeId& id) {
  const auto found = slots_.find(id);
  if (found != slots_.end()) return found->second;
  return slots_.emplace(id, Slot(roles::ReplicaRole(env_->node, env_->incarnation, id)))
      .first->second;
}

NodeShell::Slot* NodeShell::find(const VolumeId& id) {
  const auto found = slots_.find(id);
  return found == slots_.end() ? nullptr : &found->second;
}

void NodeShell::run(const VolumeId& id, roles::Effects effects) {
  for (auto& effect : effects) queue_.emplace_back(id, std::move(effect));
  drain();
}

void NodeShell::drain() {
  while (!committing_ && !queue_.empty() && catalog_problem_.empty() && !stopping_) {
    auto [id, effect] = std::move(queue_.front());
    queue_.pop_front();
    std::visit([this, &volume = id](auto& e) { perform(volume, e); }, effect);
    if (auto* done = find(id)) show(*done);
  }
}

void NodeShell::perform(const VolumeId&, roles::Persist& effect) {
  committing_ = true;
  env_->kv.commit(storage::KvBatch{std::move(effect.changes)}, [me = me_](engine::Status status) {
    caf::anon_send(me, CatalogCommitted{std::move(status)});
  });
}

void NodeShell::committed(const engine::Status& status) {
  committing_ = false;
  if (!status) {
    engine::sometimes(engine::Mark::node_catalog_failed);
    // A promise that is not durable must not be given, so nothing more is said in this incarnation.
    catalog_problem_ = "the node's catalog failed: " + status.error().text;
    env_->events.event(Event(Level::error, "catalog_failed").with("reason", catalog_problem_));
    lose_link(catalog_problem_);
    return;
  }
  drain();
}

// --- stores --------------------------------------------------------------------------------------

Store NodeShell::spawn_for(const roles::OpenStore& wish) {
  auto& s = slot(wish.spec.id);
  s.env = with_sink(env_, std::make_unique<VolumeSink>(env_->events, wish.spec.name));
  StoreSeed seed;
  seed.env = s.env;
  seed.directory = env_->directory + "/" + wish.directory;
  seed.spec = wish.spec;
  seed.replica = wish.replica;
  seed.create = wish.create;
  seed.base_incomplete = wish.incomplete;
  seed.parent = caf::actor_cast<caf::typed_actor<caf::reacts_to<StoreLost>>>(me_);
  return spawn_store(self_->home_system(), std::move(seed));
}

void NodeShell::perform(const VolumeId& id, roles::OpenStore& effect) {
  auto& s = slot(id);
  if (!s.store) s.store = spawn_for(effect);
  self_->request(*s.store, caf::infinite, OpenStore{})
      .then([this, id](const StoreOpened& m) { opened(id, m.facts); },
            [this, id](const caf::error& why) { opened(id, gone("open the store", why)); });
}

void NodeShell::opened(const VolumeId& id, engine::Result<StoreFacts> facts) {
  auto& s = slot(id);
  if (!facts) return run(id, s.role.on_opened(facts.error()));
  s.facts = *facts;
  run(id, s.role.on_opened(held_by(*facts, s.linked)));
}

void NodeShell::perform(const VolumeId& id, roles::DestroyStore& effect) {
  auto& s = slot(id);
  if (!s.store) {
    const auto& local = effect.local;
    s.store = spawn_for({local.assignment.spec, local.replica, local.directory, false, false});
  }
  const auto over = [this, id](const engine::Status& status) {
    auto& mine = slot(id);
    mine.store.reset();
    mine.facts.reset();
    run(id, mine.role.on_destroyed(status));
  };
  self_->request(*s.store, caf::infinite, DestroyStore{})
      .then([over](const StoreDone& m) { over(m.status); },
            [over](const caf::error& why) { over(gone("delete the store", why)); });
}

void NodeShell::store_lost(const StoreLost& m) {
  if (auto* s = find(m.volume)) run(m.volume, s->role.on_store_lost(m.error));
}

// --- roles ---------------------------------------------------------------------------------------

void NodeShell::perform(const VolumeId& id, roles::StartRole& effect) {
  auto& s = slot(id);
  CHECK(s.store && s.facts);
  CHECK(!s.volume && !s.receiver);
  const auto node = caf::actor_cast<Node>(me_);
  if (effect.assignment.role == engine::Role::primary) {
    s.volume = spawn_volume(self_->home_system(),
                            {s.env, effect.assignment, *s.store, *s.facts, node, pace_});
  } else {
    s.receiver = spawn_receiver(self_->home_system(), {s.env, effect.assignment, *s.store, *s.facts,
                                                       effect.promised, effect.forgotten, node});
  }
  env_->events.event(Event(Level::info, "role_started")
                         .with("volume", effect.assignment.spec.name)
                         .with("role", engine::to_string(effect.assignment.role))
                         .with("epoch", effect.assignment.epoch)
                         .with("end", s.facts->end));
}

void NodeShell::perform(const VolumeId& id, roles::StopRole& effect) {
  auto& s = slot(id);
  CHECK(s.volume || s.receiver);
  show(s);
  const auto stopped = [this, id](const RoleStopped&) { role_stopped(id); };
  const auto dead = [this, id](const caf::error&) {
    role_stopped(id);
  };  // Gone is stopped as well.
  if (s.volume) {
    self_->request(*s.volume, caf::infinite, StopRole{effect.reason}).then(stopped, dead);
  } else {
    self_->request(*s.receiver, caf::infinite, StopRole{effect.reason}).then(stopped, dead);
  }
}

void NodeShell::role_stopped(const VolumeId& id) {
  auto& s = slot(id);
  s.volume.reset();
  s.receiver.reset();
  show(s);  // Whatever follows: no client may be sent to an actor that is gone.
  run(id, s.role.on_role_stopped());
}

void NodeShell::perform(const VolumeId& id, roles::Reassign& effect) {
  auto& s = slot(id);
  if (s.volume) self_->send(*s.volume, Reassigned{std::move(effect.assignment)});
  if (s.receiver) self_->send(*s.receiver, Reassigned{std::move(effect.assignment)});
}

void NodeShell::perform(const VolumeId& id, roles::TellPrimary& effect) {
  auto& s = slot(id);
  if (s.volume) self_->send(*s.volume, SetAnswered{std::move(effect.decided)});
}

void NodeShell::perform(const VolumeId& id, roles::FenceReceiver& effect) {
  auto& s = slot(id);
  CHECK(s.receiver);
  const auto done = [this, id](engine::Result<StoreFacts> facts) {
    auto& mine = slot(id);
    if (!facts) return run(id, mine.role.on_fenced(facts.error()));
    mine.facts = *facts;
    run(id, mine.role.on_fenced(held_by(*facts, mine.linked)));
  };
  self_->request(*s.receiver, caf::infinite, FenceReceiver{effect.epoch})
      .then([done](const ReceiverFenced& m) { done(m.facts); },
            [done](const caf::error& why) { done(gone("fence the receiver", why)); });
}

void NodeShell::role_ended(const RoleEnded& m) {
  if (auto* s = find(m.volume)) run(m.volume, s->role.on_role_ended(m.epoch, m.reason));
}

void NodeShell::perform(const VolumeId&, roles::Reply& effect) {
  send_control(std::move(effect.message));
}

void NodeShell::perform(const VolumeId&, roles::Report& effect) {
  env_->events.event(effect.event);
}

/// Keeps the front desk true: an export while this node reigns,
/// else a sentence that names who does.
void NodeShell::show(Slot& s) {
  if (!desk_) return;
  const auto& local = s.role.local();
  const auto name = local ? local->assignment.spec.name : std::string();
  const bool serves = local && s.role.serving() && s.volume;
  if (!s.shown.empty() && (s.shown != name || (s.served && !serves))) {
    desk_->remove(s.shown, s.role.volume(), local ? s.role.elsewhere() : "the volume was deleted");
    s.shown.clear();
    s.served = false;
  }
  if (name.empty()) return;
  if (serves && !s.served) {
    engine::ExportInfo info{name, local->assignment.spec.size_bytes, false};
    desk_->add(std::move(info), s.role.volume(), *s.volume);
  } else if (serves) {
    desk_->resize(name, s.role.volume(), local->assignment.spec.size_bytes);
  } else {
    desk_->elsewhere(name, s.role.volume(), s.role.elsewhere());
  }
  s.shown = name;
  s.served = serves;
}

// --- connections of primaries --------------------------------------------------------------------

void NodeShell::accepted(transport::Incoming incoming) {
  const auto refuse = [&](engine::Refused why) {
    incoming.link->send(std::move(why));
    incoming.link->close();
  };
  if (stopping_) return refuse({engine::RefusalCode::shutting_down, "the node is stopping", {}});
  if (incoming.hello.purpose == engine::Purpose::control) {
    if (!control_) {
      return refuse({engine::RefusalCode::wrong_node,
                     fmt::format("{} does not host the control plane", env_->node.name),
                     {}});
    }
    self_->send(*control_,
                ControlLinked{std::make_shared<transport::Incoming>(std::move(incoming))});
    return;
  }
  auto* s = find(incoming.hello.volume);
  if (s == nullptr)
    return refuse({engine::RefusalCode::wrong_volume, "there is no such volume here", {}});
  if (const auto why = s->role.objection(incoming.hello)) return refuse(*why);
  if (!s->receiver)
    return refuse({engine::RefusalCode::not_a_replica, "the replica is starting", {}});
  s->linked = true;
  self_->send(*s->receiver,
              PeerConnected{std::make_shared<transport::Incoming>(std::move(incoming))});
}

}  // namespace tidemark::actors
