// Operators' requests at a node: what is its own it answers, the rest goes to the control plane.
#include "actors/admin_json.hpp"
#include "actors/metrics.hpp"
#include "actors/node_shell.hpp"

namespace tidemark::actors {

using engine::AdminReply;
using engine::Errc;

void NodeShell::admin(engine::AdminAsk ask, AdminAnswer answer) {
  if (stopping_) return answer(unavailable("the node is stopping"));
  if (!ask.target.empty() && ask.target != env_->node.name) {
    return forward(std::move(ask), std::move(answer));
  }
  const auto parts = path_parts(ask.path);
  const bool local = parts.size() >= 2 && parts[0] == "v1" && parts[1] == "local";
  if (ask.method == "GET" && ask.path == "/metrics") return metrics(std::move(answer));
  if (ask.method == "GET" && local && parts.size() == 2) return local_status(std::move(answer));
  if (ask.method == "POST" && local && parts.size() == 4 && parts[2] == "events") {
    return local_events(parts[3], ask.body, std::move(answer));
  }
  if (ask.method == "GET" && local && parts.size() == 5 && parts[2] == "plan") {
    return local_preview(parts[3], parts[4], std::move(answer));
  }
  if (ask.method == "POST" && local && parts.size() == 4 && parts[2] == "compare") {
    return local_compare(parts[3], ask.body, std::move(answer));
  }
  if (ask.method == "POST" && local && parts.size() == 3 && parts[2] == "rebuild_rate") {
    return set_rebuild_rate(ask.body, std::move(answer));
  }
  if (ask.method == "POST" && local && parts.size() == 4 && parts[2] == "scrub") {
    return local_scrub(parts[3], ask.body, std::move(answer));
  }
  if (local) {
    return answer(
        answer_error({Errc::not_found, fmt::format("there is no {} {}", ask.method, ask.path)}));
  }
  ask.target.clear();
  if (ask.method == "GET" && parts.size() == 5 && parts[1] == "volumes" && parts[3] == "plan") {
    return preview(std::move(ask), std::move(answer));
  }
  if (ask.method != "GET" || ask.path != "/v1/status")
    return forward(std::move(ask), std::move(answer));
  forward(std::move(ask), [this, answer = std::move(answer)](AdminReply reply) mutable {
    if (reply.status == 503) return fallback_status(std::move(answer));
    auto body = body_of(reply);
    body["answered_by"] = env_->node.name;
    answer(answer_json(reply.status, body));
  });
}

void NodeShell::forward(engine::AdminAsk ask, AdminAnswer answer) {
  if (!link_ || !registered_) {
    return answer(unavailable(fmt::format("{} {}: the control plane at {} is not reached: {}",
                                          ask.method, ask.path, env_->control, control_problem_)));
  }
  if (asked_.size() >= admin_forwarded_max) {
    return answer(unavailable("too many requests wait for the control plane"));
  }
  const auto id = next_ask_++;
  ask.id = id;
  const auto budget = ask.path.ends_with("/compare") ? admin_compare_max : admin_forward_max;
  const auto timer = env_->timers.after(budget, [me = me_, id, key = link_key_] {
    auto silent = unavailable("the control plane did not answer in time", id);
    caf::anon_send(me, ControlLinkSaid{key, std::make_shared<engine::Message>(std::move(silent))});
  });
  asked_[id] = Asked{std::move(answer), timer};
  link_->send(std::move(ask));
}

/// Every store and role is asked; `then` gets what they said, ordered by volume.
void NodeShell::gather(std::function<void(std::vector<LocalView>)> then) {
  struct Round {
    std::vector<LocalView> views;
    std::size_t open = 1;
    std::function<void(std::vector<LocalView>)> then;
    void less() {
      if (--open == 0) then(std::move(views));
    }
  };
  auto round = std::make_shared<Round>();
  round->then = std::move(then);
  for (auto& [id, s] : slots_) {
    if (!s.role.local()) continue;
    round->views.push_back(
        {*s.role.local(), s.role.serving(), s.role.promised(), s.role.problem(), {}, {}, {}});
  }
  const auto gone = [round](const caf::error&) { round->less(); };
  for (std::size_t i = 0; i < round->views.size(); ++i) {
    const auto& s = slot(round->views[i].local.assignment.spec.id);
    if (s.store) {
      ++round->open;
      self_->request(*s.store, caf::infinite, AskStoreStatus{})
          .then(
              [round, i](const engine::StoreStatus& status) {
                round->views[i].store = status;
                round->less();
              },
              gone);
    }
    if (s.volume) {
      ++round->open;
      self_->request(*s.volume, caf::infinite, AskVolumeStatus{})
          .then(
              [round, i](const engine::VolumeStatus& status) {
                round->views[i].volume = status;
                round->less();
              },
              gone);
    }
    if (s.receiver) {
      ++round->open;
      self_->request(*s.receiver, caf::infinite, AskReceiverStatus{})
          .then(
              [round, i](const ReceiverStatus& status) {
                round->views[i].receiver = status;
                round->less();
              },
              gone);
    }
  }
  round->less();
}

void NodeShell::local_status(AdminAnswer answer) {
  gather([this, answer = std::move(answer)](const std::vector<LocalView>& views) {
    json::array volumes;
    for (const auto& view : views) {
      const auto& a = view.local.assignment;
      json::object volume{{"name", a.spec.name},
                          {"id", engine::to_string(a.spec.id)},
                          {"replica", view.local.replica.value},
                          {"role", engine::to_string(a.role)},
                          {"serving", view.serving},
                          {"promised", view.promised.value},
                          {"problem", view.problem},
                          {"assignment", to_json(a)}};
      if (view.store) {
        volume["store"] = to_json(*view.store);
        if (view.problem.empty()) volume["problem"] = view.store->problem;
      }
      if (view.volume) {
        volume["status"] = to_json(*view.volume);
        volume["waiting_for"] = view.volume->waiting_for;
      }
      if (view.receiver) volume["receiver"] = to_json(*view.receiver);
      volumes.push_back(std::move(volume));
    }
    json::object node{{"name", env_->node.name},
                      {"uuid", engine::to_string(env_->node.uuid)},
                      {"rebuild_rate_bytes_per_second", rebuild_rate_},
                      {"incarnation", env_->incarnation.value},
                      {"replication", env_->replication},
                      {"nbd", env_->nbd},
                      {"hosts_control", env_->hosts_control},
                      {"connected", registered_},
                      {"control", env_->control},
                      {"control_problem", control_problem_},
                      {"catalog_problem", catalog_problem_}};
    answer(
        answer_json(200, json::object{{"node", std::move(node)}, {"volumes", std::move(volumes)}}));
  });
}

namespace {

/// A volume in the cluster's shape, as far as one member of it can tell.
json::object volume_seen_from(const LocalView& view, const std::string& node) {
  const auto& a = view.local.assignment;
  const auto* primary = a.member(a.primary);
  json::array in_sync, replicas;
  for (const auto& entry : a.in_sync) {
    if (const auto* member = a.member(entry.replica)) in_sync.emplace_back(member->node.name);
  }
  for (const auto& member : a.members) {
    json::object replica{{"node", member.node.name},
                         {"replica", member.replica.value},
                         {"role", member.replica == a.primary ? "primary" : "replica"},
                         {"in_set", a.in_set(member.replica) != nullptr},
                         {"exact", false},
                         {"state", "unknown"},
                         {"reason", ""},
                         {"problem", ""}};
    if (view.volume) {
      for (const auto& peer : view.volume->peers) {
        if (peer.replica == member.replica) replica = to_json(peer);
      }
      replica["role"] = member.replica == a.primary ? "primary" : "replica";
    }
    if (member.node.name == node) {
      replica["problem"] = view.problem;
      if (view.volume) replica["state"] = view.volume->serving ? "serving" : "starting";
      if (view.receiver) replica["state"] = view.receiver->state;
      if (view.store) {
        replica["store"] = to_json(*view.store);
        replica["received"] = view.store->end.value;
        replica["durable"] = view.store->durable.value;
      }
    }
    replicas.push_back(std::move(replica));
  }
  json::object volume{{"name", a.spec.name},
                      {"id", engine::to_string(a.spec.id)},
                      {"size_bytes", a.spec.size_bytes},
                      {"mode", engine::to_string(a.spec.mode)},
                      {"ack", engine::to_string(a.spec.ack)},
                      {"copies", a.spec.copies},
                      {"min_copies", a.spec.min_copies},
                      {"below_min_copies", engine::to_string(a.spec.below_min)},
                      {"epoch", a.epoch.value},
                      {"version", a.version.value},
                      {"phase", "settled"},
                      {"primary", primary == nullptr ? std::string() : primary->node.name},
                      {"serving", view.volume && view.volume->serving},
                      {"waiting_for", view.problem},
                      {"in_sync", std::move(in_sync)},
                      {"required", view.volume ? view.volume->required : 0},
                      {"pending", json::array{}}};
  if (primary != nullptr) volume["nbd_uri"] = fmt::format("nbd://{}/{}", primary->nbd, a.spec.name);
  if (view.volume) {
    const auto status = to_json(*view.volume);
    for (const auto key : {"waiting_for", "head", "durable", "committed", "counters"})
      volume[key] = status.at(key);
  }
  volume["replicas"] = std::move(replicas);
  return volume;
}

}  // namespace

/// The control plane is away: what this node knows by itself, in the cluster's shape.
void NodeShell::fallback_status(AdminAnswer answer) {
  gather([this, answer = std::move(answer)](const std::vector<LocalView>& views) {
    json::array volumes;
    for (const auto& view : views) volumes.push_back(volume_seen_from(view, env_->node.name));
    json::object node{{"name", env_->node.name},
                      {"uuid", engine::to_string(env_->node.uuid)},
                      {"incarnation", env_->incarnation.value},
                      {"connected", false},
                      {"hosts_control", env_->hosts_control},
                      {"replication", env_->replication},
                      {"nbd", env_->nbd},
                      {"volumes", views.size()}};
    const auto problem = control_problem_.empty() ? std::string("the control plane does not answer")
                                                  : control_problem_;
    answer(answer_json(200, json::object{{"scope", "node"},
                                         {"cluster", engine::to_string(env_->cluster)},
                                         {"answered_by", env_->node.name},
                                         {"control_problem", problem},
                                         {"unreachable", json::array{}},
                                         {"nodes", json::array{json::value(std::move(node))}},
                                         {"volumes", std::move(volumes)}}));
  });
}

/// Below it a rebuild would not end; what is meant is a unit forgotten.
constexpr std::uint64_t rebuild_rate_min = 1ull << 20;

void NodeShell::set_rebuild_rate(const std::string& text, AdminAnswer answer) {
  const auto body = parse_body(text, {"bytes_per_second"});
  if (!body) return answer(answer_error(body.error()));
  const auto rate = number_field(*body, "bytes_per_second");
  if (!rate) return answer(answer_error(rate.error()));
  if (*rate != 0 && *rate < rebuild_rate_min) {
    return answer(
        answer_error({Errc::invalid,
                      fmt::format("a rebuild rate of {} bytes per second: right would be 1 MiB or "
                                  "more, or 0 for no cap",
                                  *rate)}));
  }
  rebuild_rate_ = *rate;
  self_->send(pace_, SetRebuildRate{*rate});
  answer(answer_json(200, json::object{{"node", env_->node.name}, {"bytes_per_second", *rate}}));
}

void NodeShell::metrics(AdminAnswer answer) {
  gather([this, answer = std::move(answer)](const std::vector<LocalView>& views) {
    auto text = metrics_text(env_->node, env_->incarnation, registered_, views);
    if (env_->more_metrics) text += env_->more_metrics();
    answer({0, 200, std::move(text)});
  });
}

// --- compare: one copy's part --------------------------------------------------------------------

/// hold -> {limit} or {damage}; hash -> {log | log_error, groups, damaged, causes}; release -> {}. The
/// control plane puts the copies side by side.
void NodeShell::local_compare(const std::string& step, const std::string& text,
                              AdminAnswer answer) {
  const auto body = parse_body(
      text, {"volume", "at", "group_blocks", "first", "count", "blocks", "block", "lsn", "sum"});
  if (!body) return answer(answer_error(body.error()));
  const auto id = text_field(*body, "volume");
  if (!id) return answer(answer_error(id.error()));
  const auto volume = engine::parse_uuid(*id);
  auto* s = volume ? find(*volume) : nullptr;
  if (s == nullptr || !s->role.local()) {
    return answer(answer_error({Errc::not_found, fmt::format("there is no volume {} here", *id)}));
  }
  if (step == "hold" && !s->role.local()->damage.empty()) {
    return answer(answer_json(200, json::object{{"damage", s->role.local()->damage}}));
  }
  if (!s->store || !s->facts) {
    return answer(answer_error({Errc::unavailable, s->role.problem()}));
  }
  const auto gone = [answer](const caf::error&) { answer(unavailable("the store is gone")); };
  if (step == "release") {
    self_->send(*s->store, ReleaseFlush{});
    return answer(answer_json(200, json::object{}));
  }
  if (step == "hold") {
    self_->request(*s->store, caf::infinite, HoldFlush{})
        .then(
            [answer](const FlushHeld& m) {
              if (!m.limit) return answer(answer_error(m.limit.error()));
              answer(answer_json(200, json::object{{"limit", m.limit->value}}));
            },
            gone);
    return;
  }
  if (step == "written" || step == "disprove")
    return local_proof(step, *body, *s->store, std::move(answer));
  if (step != "hash")
    return answer(answer_error({Errc::not_found, "there is no compare step " + step}));
  const auto at = number_field(*body, "at");
  const auto group = number_field(*body, "group_blocks");
  const auto first = number_field(*body, "first");
  const auto count = number_field(*body, "count");
  for (const auto* field : {&at, &group, &first, &count}) {
    if (!*field) return answer(answer_error(field->error()));
  }
  const HashCopy ask{engine::Lsn(*at), *group, {engine::BlockIndex(*first), *count}};
  self_->request(*s->store, caf::infinite, ask)
      .then(
          [answer](const CopyHash& m) {
            json::array groups, damaged, causes;
            for (const auto hash : m.groups) groups.emplace_back(hash);
            for (const auto& one : m.damaged) {
              damaged.emplace_back(one.block.value);
              causes.emplace_back(one.cause);
            }
            json::object copy{{"groups", std::move(groups)},
                              {"damaged", std::move(damaged)},
                              {"causes", std::move(causes)}};
            if (m.log) {
              copy["log"] = engine::to_string(*m.log);
            } else {
              copy["log_error"] = m.log.error().text;
              copy["log_error_code"] = engine::to_string(m.log.error().code);
            }
            answer(answer_json(200, copy));
          },
          gone);
}

}  // namespace tidemark::actors
