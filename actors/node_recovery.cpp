// What operators ask of a node about recovery: its log, and what would be done about a replica.
#include "actors/admin_json.hpp"
#include "actors/node_shell.hpp"

namespace tidemark::actors {

using engine::AdminReply;
using engine::Errc;

/// {since, incarnation}: what follows event `since` of that incarnation; of another one's log, all.
void NodeShell::local_events(const std::string& volume, const std::string& text,
                             AdminAnswer answer) {
  const auto body = parse_body(text, {"since", "incarnation"});
  if (!body) return answer(answer_error(body.error()));
  const auto since = number_field(*body, "since", 0);
  const auto incarnation = number_field(*body, "incarnation", 0);
  if (!since) return answer(answer_error(since.error()));
  if (!incarnation) return answer(answer_error(incarnation.error()));
  const bool same = *incarnation == 0 || *incarnation == env_->incarnation.value;
  const auto* log = log_->of(volume);
  const auto page = log == nullptr ? engine::RecoveryLog::Page{} : log->since(same ? *since : 0);
  answer(answer_json(200, to_json(page, env_->node.name, env_->incarnation)));
}

void NodeShell::local_preview(const std::string& volume, const std::string& replica,
                              AdminAnswer answer) {
  const auto id = engine::parse_uuid(volume);
  auto* s = id ? find(*id) : nullptr;
  if (s == nullptr || !s->role.local()) {
    return answer(
        answer_error({Errc::not_found, fmt::format("there is no volume {} here", volume)}));
  }
  if (!s->volume) {
    return answer(
        answer_error({Errc::unavailable,
                      fmt::format("node {} does not serve the volume now", env_->node.name)}));
  }
  const auto& assignment = s->role.local()->assignment;
  const engine::Member* wanted = nullptr;
  for (const auto& member : assignment.members) {
    if (std::to_string(member.replica.value) == replica) wanted = &member;
  }
  if (wanted == nullptr) {
    return answer(
        answer_error({Errc::not_found, fmt::format("replica {} is no member here", replica)}));
  }
  self_->request(*s->volume, caf::infinite, AskPreview{wanted->replica})
      .then(
          [answer, name = assignment.spec.name, me = env_->node.name](const PreviewIs& m) {
            if (!m.preview) return answer(answer_error(m.preview.error()));
            auto body = to_json(*m.preview);
            body["volume"] = name;
            body["primary"] = me;
            answer(answer_json(200, body));
          },
          [answer](const caf::error&) { answer(unavailable("the sender is gone")); });
}

/// The control plane knows who the primary is. While it is away, a primary answers for itself.
void NodeShell::preview(engine::AdminAsk ask, AdminAnswer answer) {
  const auto parts = path_parts(ask.path);
  forward(std::move(ask), [this, parts, answer = std::move(answer)](AdminReply reply) mutable {
    if (reply.status != 503) return answer(std::move(reply));
    for (const auto& [id, s] : slots_) {
      if (!s.role.local() || !s.volume || s.role.local()->assignment.spec.name != parts[2])
        continue;
      for (const auto& member : s.role.local()->assignment.members) {
        const auto number = std::to_string(member.replica.value);
        if (member.node.name == parts[4] || number == parts[4])
          return local_preview(engine::to_string(id), number, std::move(answer));
      }
    }
    answer(std::move(reply));
  });
}

}  // namespace tidemark::actors
