#include "engine/sender_registry.hpp"

#include "engine/planted.hpp"

namespace tidemark::engine {

std::string_view to_string(SenderChange::Kind kind) {
  switch (kind) {
    case SenderChange::Kind::add:
      return "add";
    case SenderChange::Kind::update:
      return "update";
    case SenderChange::Kind::re_address:
      return "re_address";
    case SenderChange::Kind::remove:
      return "remove";
  }
  return "unknown";
}

std::vector<SenderChange> SenderRegistry::reconcile(const Assignment& arriving) {
  std::vector<SenderChange> changes;
  if (planted(Bug::stale_assignment_removes_sender)) changes = remove_missing(arriving);
  if (order(in_force_, arriving) != AssignmentOrder::newer) return changes;
  if (changes.empty()) changes = remove_missing(arriving);
  in_force_ = arriving;
  for (const auto& member : arriving.members) {
    if (member.replica == arriving.self) continue;
    auto [at, added] = senders_.try_emplace(member.replica, member);
    auto kind = SenderChange::Kind::add;
    if (!added) {
      const bool moved = at->second.endpoint != member.endpoint || at->second.node != member.node;
      kind = moved ? SenderChange::Kind::re_address : SenderChange::Kind::update;
      at->second = member;
    }
    changes.push_back({kind, member.replica});
  }
  return changes;
}

std::vector<SenderChange> SenderRegistry::dissolve() {
  std::vector<SenderChange> changes;
  for (const auto& [replica, member] : senders_) {
    changes.push_back({SenderChange::Kind::remove, replica});
  }
  senders_.clear();
  return changes;
}

std::vector<ReplicaId> SenderRegistry::peers() const {
  std::vector<ReplicaId> ids;
  for (const auto& [replica, member] : senders_) ids.push_back(replica);
  return ids;
}

std::vector<SenderChange> SenderRegistry::remove_missing(const Assignment& arriving) {
  std::vector<SenderChange> changes;
  for (auto at = senders_.begin(); at != senders_.end();) {
    const bool stays = at->first != arriving.self && arriving.member(at->first) != nullptr;
    if (stays) {
      ++at;
      continue;
    }
    changes.push_back({SenderChange::Kind::remove, at->first});
    at = senders_.erase(at);
  }
  return changes;
}

}  // namespace tidemark::engine
