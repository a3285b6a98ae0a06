// Operators' requests at a node: what is its own it answers, the rest goes to the control plane.
#include "actors/admin_json.hpp"
#include "actors/node_shell.hpp"

namespace tidemark::actors {

using engine::AdminReply;
using engine::Errc;

namespace {

/// Calls `then` when all questions that were opened are closed.
struct Round {
  explicit Round(std::function<void()> done) : then(std::move(done)) {}
  std::size_t open = 1;
  std::function<void()> then;
  void less() {
    if (--open == 0) then();
  }
};

}  // namespace

void NodeShell::admin(engine::AdminAsk ask, AdminAnswer answer) {
  if (stopping_) return answer(unavailable("the node is stopping"));
  if (!ask.target.empty() && ask.target != env_->node.name)
    return forward(std::move(ask), std::move(answer));
  const auto parts = path_parts(ask.path);
  if (ask.method == "GET" && ask.path == "/v1/local") return local_status(std::move(answer));
  if (ask.method == "GET" && ask.path == "/metrics") return metrics(std::move(answer));
  if (ask.method == "GET" && parts.size() == 4 && parts[1] == "local" && parts[2] == "events") {
    return local_events(parts[3], std::move(answer));
  }
  if (parts.size() == 4 && parts[1] == "local" && parts[2] == "compare")
    return local_compare(ask, std::move(answer));
  ask.target.clear();
  if (ask.method == "GET" && ask.path == "/v1/status") {
    return forward(std::move(ask), [this, answer = std::move(answer)](AdminReply reply) mutable {
      if (reply.status == 503) return fallback_status(std::move(answer));
      answer(std::move(reply));
    });
  }
  forward(std::move(ask), std::move(answer));
}

void NodeShell::forward(engine::AdminAsk ask, AdminAnswer answer) {
  if (!link_ || !registered_) {
    return answer(unavailable(fmt::format("{} {}: the control plane at {} is not reached: {}",
                                          ask.method, ask.path, env_->control, control_problem_)));
  }
  if (asked_.size() >= admin_forwarded_max)
    return answer(unavailable("too many requests wait for the control plane"));
  const auto id = next_ask_++;
  ask.id = id;
  const auto timer = env_->timers.after(admin_forward_max, [me = me_, id, key = link_key_] {
    auto silent = unavailable("the control plane did not answer in time", id);
    caf::anon_send(me, ControlLinkSaid{key, std::make_shared<engine::Message>(std::move(silent))});
  });
  asked_[id] = Asked{std::move(answer), timer};
  link_->send(std::move(ask));
}

/// This node's own word, every store and role asked.
void NodeShell::local_status(AdminAnswer answer) {
  struct Gathered {
    std::map<engine::VolumeId, json::object> volumes;
  };
  auto gathered = std::make_shared<Gathered>();
  auto round = std::make_shared<Round>([this, gathered, answer = std::move(answer)] {
    json::array volumes;
    for (auto& [id, volume] : gathered->volumes) volumes.push_back(std::move(volume));
    json::object node{{"name", env_->node.name},
                      {"uuid", engine::to_string(env_->node.uuid)},
                      {"incarnation", env_->incarnation.value},
                      {"replication", env_->replication},
                      {"nbd", env_->nbd},
                      {"hosts_control", env_->hosts_control},
                      {"registered", registered_},
                      {"control", env_->control},
                      {"control_problem", control_problem_},
                      {"catalog_problem", catalog_problem_}};
    answer(
        answer_json(200, json::object{{"node", std::move(node)}, {"volumes", std::move(volumes)}}));
  });
  for (auto& [id, s] : slots_) {
    const auto& local = s.role.local();
    if (!local) continue;
    gathered->volumes[id] = json::object{
        {"name", local->assignment.spec.name}, {"id", engine::to_string(id)},
        {"replica", local->replica.value},     {"role", engine::to_string(local->assignment.role)},
        {"serving", s.role.serving()},         {"promised", s.role.promised().value},
        {"problem", s.role.problem()},         {"assignment", to_json(local->assignment)}};
    auto* into = &gathered->volumes[id];
    const auto gone = [gathered, round](const caf::error&) { round->less(); };
    if (s.store) {
      ++round->open;
      self_->request(*s.store, caf::infinite, AskStoreStatus{})
          .then(
              [gathered, into, round](const engine::StoreStatus& status) {
                (*into)["store"] = to_json(status);
                round->less();
              },
              gone);
    }
    if (s.volume) {
      ++round->open;
      self_->request(*s.volume, caf::infinite, AskVolumeStatus{})
          .then(
              [gathered, into, round](const engine::VolumeStatus& status) {
                (*into)["status"] = to_json(status);
                round->less();
              },
              gone);
    }
    if (s.receiver) {
      ++round->open;
      self_->request(*s.receiver, caf::infinite, AskReceiverStatus{})
          .then(
              [gathered, into, round](const ReceiverStatus& status) {
                (*into)["receiver"] = to_json(status);
                round->less();
              },
              gone);
    }
  }
  round->less();
}

void NodeShell::fallback_status(AdminAnswer answer) {
  local_status([this, answer = std::move(answer)](const AdminReply& reply) {
    auto body = body_of(reply);
    body["scope"] = "node";
    body["cluster"] = engine::to_string(env_->cluster);
    body["control_problem"] = control_problem_;
    answer(answer_json(200, body));
  });
}

void NodeShell::local_events(const std::string& volume, AdminAnswer answer) {
  json::array events;
  if (const auto* log = log_->of(volume)) {
    for (const auto& logged : *log) events.push_back(to_json(logged, env_->node.name));
  }
  answer(answer_json(200, json::object{{"events", std::move(events)}}));
}

void NodeShell::metrics(AdminAnswer answer) {
  answer(
      {0, 200, "# HELP tidemark_up The node answers.\n# TYPE tidemark_up gauge\ntidemark_up 1\n"});
}

void NodeShell::local_compare(const engine::AdminAsk&, AdminAnswer answer) {
  answer(answer_error({Errc::not_yet, "compare is not built yet"}));
}

}  // namespace tidemark::actors
