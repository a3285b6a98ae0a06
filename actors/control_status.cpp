// The whole cluster's status: what the control plane decided,
// merged with what every node says of itself.
#include <algorithm>

#include "actors/admin_json.hpp"
#include "actors/control_admin.hpp"
#include "engine/quorum.hpp"

namespace tidemark::actors {
namespace {

using engine::AdminReply;
using engine::control::VolumeRecord;

/// What the nodes said of themselves, by node name; one that did not answer is absent.
using Locals = std::map<std::string, json::object>;

/// The node's own word about one volume, or nothing.
const json::object* local_volume(const Locals& locals, const std::string& node,
                                 const std::string& id) {
  const auto found = locals.find(node);
  if (found == locals.end()) return nullptr;
  const auto* volumes = found->second.if_contains("volumes");
  if (volumes == nullptr || !volumes->is_array()) return nullptr;
  for (const auto& entry : volumes->as_array()) {
    if (!entry.is_object()) continue;
    const auto* its = entry.as_object().if_contains("id");
    if (its != nullptr && its->is_string() && its->as_string() == id) return &entry.as_object();
  }
  return nullptr;
}

const json::object* object_in(const json::object* in, std::string_view key) {
  const auto* found = in == nullptr ? nullptr : in->if_contains(key);
  return found == nullptr || !found->is_object() ? nullptr : &found->as_object();
}

void copy(const json::object* from, std::initializer_list<std::string_view> keys,
          json::object& to) {
  if (from == nullptr) return;
  for (const auto key : keys) {
    if (const auto* value = from->if_contains(key)) to[key] = *value;
  }
}

/// What the primary's sender says of a replica.
const json::object* peer_of(const json::object* status, std::uint64_t replica) {
  const auto* peers = status == nullptr ? nullptr : status->if_contains("peers");
  if (peers == nullptr || !peers->is_array()) return nullptr;
  for (const auto& entry : peers->as_array()) {
    const auto* its = entry.is_object() ? entry.as_object().if_contains("replica") : nullptr;
    if (whole_number(its) == replica) return &entry.as_object();
  }
  return nullptr;
}

json::object replica_json(const VolumeRecord& record, const engine::control::Placement& member,
                          const json::object* primary_status, const Locals& locals) {
  const auto id = engine::to_string(record.spec.id);
  const bool primary = member.replica == record.primary;
  const auto* local = local_volume(locals, member.node.name, id);
  json::object replica{{"node", member.node.name},
                       {"replica", member.replica.value},
                       {"role", primary ? "primary" : "replica"},
                       {"in_set", record.in_set(member.replica) != nullptr},
                       {"exact", primary},
                       {"state", locals.contains(member.node.name) ? "unknown" : "unreachable"},
                       {"reason", ""},
                       {"problem", ""}};
  if (member.replaced_by) replica["replaced_by"] = member.replaced_by.value;
  copy(local, {"problem", "store"}, replica);
  if (const auto* store = object_in(local, "store")) {
    const auto* end = store->if_contains("end");
    const auto* durable = store->if_contains("durable");
    if (end != nullptr) replica["received"] = *end;
    if (durable != nullptr) replica["durable"] = *durable;
  }
  if (primary && primary_status != nullptr) {
    const auto* serving = primary_status->if_contains("serving");
    replica["state"] =
        serving != nullptr && serving->is_bool() && serving->as_bool() ? "serving" : "starting";
  }
  const auto* peer = primary ? nullptr : peer_of(primary_status, member.replica.value);
  copy(peer,
       {"state", "reason", "exact", "received", "durable", "lag_lsns", "lag_bytes",
        "lag_milliseconds", "session", "failed_in_a_row", "escalated"},
       replica);
  // A node that is gone says more about its replica than a sender that still tries.
  if (!locals.contains(member.node.name) && peer == nullptr) {
    replica["reason"] = "its node does not answer";
  } else if (local == nullptr && peer == nullptr) {
    replica["reason"] = "its node does not have it (a new data directory needs `replica replace`)";
  }
  return replica;
}

std::string node_name(const VolumeRecord& record, engine::ReplicaId replica) {
  const auto* member = record.member(replica);
  return member == nullptr ? std::string() : member->node.name;
}

/// A voter that was removed and still counts has no node.
std::string set_member_name(const VolumeRecord& record, engine::ReplicaId replica) {
  const auto name = node_name(record, replica);
  return name.empty() ? fmt::format("replica {} (removed)", replica) : name;
}

std::size_t required_of(const VolumeRecord& record) {
  const auto recorded = record.in_sync.size();
  if (record.spec.mode != engine::Mode::sync_quorum) return recorded;
  return engine::required_voters(recorded, record.spec.min_copies);
}

json::object volume_json(const engine::control::ControlPlane& plane, const VolumeRecord& record,
                         const Locals& locals) {
  const auto primary = node_name(record, record.primary);
  const auto* local = local_volume(locals, primary, engine::to_string(record.spec.id));
  const auto* status = object_in(local, "status");
  json::array in_sync;
  for (const auto& member : record.in_sync) {
    in_sync.emplace_back(set_member_name(record, member.replica));
  }
  json::array pending;
  for (const auto& what : plane.pending(record.spec.id)) pending.emplace_back(what);
  json::object volume{{"name", record.spec.name},
                      {"id", engine::to_string(record.spec.id)},
                      {"size_bytes", record.spec.size_bytes},
                      {"mode", engine::to_string(record.spec.mode)},
                      {"ack", engine::to_string(record.spec.ack)},
                      {"copies", record.spec.copies},
                      {"min_copies", record.spec.min_copies},
                      {"below_min_copies", engine::to_string(record.spec.below_min)},
                      {"epoch", record.epoch.value},
                      {"version", record.version.value},
                      {"phase", record.deleting    ? "deleting"
                                : record.settled() ? "settled"
                                                   : "fencing"},
                      {"primary", primary},
                      {"serving", false},
                      {"waiting_for", ""},
                      {"in_sync", std::move(in_sync)},
                      {"required", required_of(record)},
                      {"pending", std::move(pending)}};
  if (const auto& wish = record.wish) {
    const auto& spec = record.spec;
    if (wish->size_bytes != spec.size_bytes) volume["wanted_size_bytes"] = wish->size_bytes;
    if (wish->mode != spec.mode) volume["wanted_mode"] = engine::to_string(wish->mode);
    if (wish->min_copies != spec.min_copies) volume["wanted_min_copies"] = wish->min_copies;
  }
  for (const auto& node : plane.nodes()) {
    if (node.record.id.name == primary)
      volume["nbd_uri"] = fmt::format("nbd://{}/{}", node.record.nbd, record.spec.name);
  }
  copy(status, {"serving", "waiting_for", "head", "durable", "committed", "counters"}, volume);
  if (status == nullptr) {
    std::string why = "the primary's node does not answer";
    if (local != nullptr) {
      const auto* problem = local->if_contains("problem");
      if (problem != nullptr && problem->is_string()) why = std::string(problem->as_string());
    }
    volume["waiting_for"] = record.settled() ? why : record.fencing_reason;
  }
  json::array replicas;
  for (const auto& member : record.members)
    replicas.push_back(replica_json(record, member, status, locals));
  volume["replicas"] = std::move(replicas);
  return volume;
}

/// Asks every connected node about itself and goes on when all have answered or had their 2 s.
void gather(ControlShell& shell, const std::vector<std::string>& nodes, const std::string& path,
            std::function<void(Locals)> then) {
  struct Round {
    Locals locals;
    std::size_t open = 0;
    std::function<void(Locals)> then;
  };
  auto round = std::make_shared<Round>();
  round->open = nodes.size();
  round->then = std::move(then);
  if (nodes.empty()) return round->then({});
  for (const auto& node : nodes) {
    shell.ask_node(node, engine::AdminAsk{0, node, "GET", path, ""}, admin_ask_max,
                   [round, node](const AdminReply& reply) {
                     if (reply.status == 200) round->locals[node] = body_of(reply);
                     if (--round->open == 0) round->then(std::move(round->locals));
                   });
  }
}

std::vector<std::string> names_of(const std::vector<engine::control::NodeView>& nodes) {
  std::vector<std::string> names;
  for (const auto& node : nodes) names.push_back(node.record.id.name);
  return names;
}

}  // namespace

void ControlAdmin::status() {
  gather(shell, names_of(shell.plane_.nodes()), "/v1/local", [self = *this](const Locals& locals) {
    const auto& plane = self.shell.plane_;
    json::array nodes, volumes, unreachable;
    for (const auto& node : plane.nodes()) {
      nodes.push_back(to_json(node, self.shell.env_->node.name));
      if (!locals.contains(node.record.id.name)) unreachable.emplace_back(node.record.id.name);
    }
    for (const auto& record : plane.volumes())
      volumes.push_back(volume_json(plane, record, locals));
    self.answer(
        answer_json(200, json::object{{"scope", "cluster"},
                                      {"cluster", engine::to_string(self.shell.env_->cluster)},
                                      {"control", self.shell.env_->node.name},
                                      {"unreachable", std::move(unreachable)},
                                      {"nodes", std::move(nodes)},
                                      {"volumes", std::move(volumes)}}));
  });
}

void ControlAdmin::volumes() {
  gather(shell, names_of(shell.plane_.nodes()), "/v1/local", [self = *this](const Locals& locals) {
    json::array volumes;
    for (const auto& record : self.shell.plane_.volumes()) {
      volumes.push_back(volume_json(self.shell.plane_, record, locals));
    }
    self.answer(answer_json(200, json::object{{"volumes", std::move(volumes)}}));
  });
}

void ControlAdmin::volume() {
  const auto* record = shell.plane_.volume(parts[2]);
  if (record == nullptr) {
    return answer(
        answer_error({engine::Errc::not_found, fmt::format("there is no volume {}", parts[2])}));
  }
  status_of(record->spec.id, 200);
}

void ControlAdmin::status_of(const engine::VolumeId& id, std::uint16_t status) {
  const auto* record = shell.plane_.volume(id);
  if (record == nullptr) {
    return answer(answer_error({engine::Errc::not_found, "the volume was deleted meanwhile"}));
  }
  std::vector<std::string> nodes;
  for (const auto& member : record->members) nodes.push_back(member.node.name);
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  gather(shell, nodes, "/v1/local", [self = *this, id, status](const Locals& locals) {
    const auto* now = self.shell.plane_.volume(id);
    if (now == nullptr)
      return self.answer(
          answer_error({engine::Errc::not_found, "the volume was deleted meanwhile"}));
    self.answer(answer_json(status, volume_json(self.shell.plane_, *now, locals)));
  });
}

}  // namespace tidemark::actors
