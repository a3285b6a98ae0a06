// What operators ask of the control plane: one function per path, the table at the end.
#include <algorithm>

#include "actors/admin_json.hpp"
#include "actors/control_admin.hpp"

namespace tidemark::actors {

using engine::AdminReply;
using engine::Errc;
using engine::Error;

namespace {

Error no_policy(const std::string& text) {
  return {Errc::invalid, fmt::format("below_min_copies \"{}\" is neither block nor fail", text)};
}

Error no_mode(const std::string& text) {
  return {Errc::invalid,
          fmt::format("mode \"{}\" is none of sync_all, sync_quorum, best_effort", text)};
}

}  // namespace

ControlAdmin::ControlAdmin(ControlShell& control, engine::AdminAsk asked, AdminAnswer done)
    : shell(control), ask(std::move(asked)), parts(path_parts(ask.path)), answer(std::move(done)) {}

/// Answers with the volume as it stands when nothing is pending any more,
/// or after 30 s with what is.
void ControlAdmin::when_settled(const engine::VolumeId& id, std::uint16_t status) {
  if (shell.waiting_.size() >= admin_requests_max) {
    return answer(
        answer_error({Errc::busy, "too many commands are waiting; look at the status later"}));
  }
  ControlShell::Waiting waiting;
  waiting.volume = id;
  waiting.deadline = shell.env_->clock.now() + admin_wait_max;
  // What nodes that are away have to do is done when they come: nobody waits for that.
  // Whoever asked for a size does not wait for rules that cannot be had yet.
  const bool rules = parts.back() != "resize";
  waiting.done = [plane = &shell.plane_, id, rules] {
    return plane->pending_reachable(id, rules).empty();
  };
  waiting.finish = [self = *this, id, status](bool in_time) mutable {
    const auto wish = self.shell.plane_.refused_wish(id);
    if (self.parts.back() == "promote" && !wish.empty()) {
      return self.answer(answer_error({Errc::refused, "promotion refused: " + wish}));
    }
    if (!in_time) return self.status_of(id, 202);
    if (self.parts.back() == "replicas") return self.status_of(id, status);
    self.when_serving(id, status, self.shell.env_->clock.now() + admin_serving_max);
  };
  shell.waiting_.push_back(std::move(waiting));
  shell.look_at_waiting();
}

/// A new reign serves once its epoch record is committed, some round trips later: whoever asked for
/// it wants to use it.
void ControlAdmin::when_serving(const engine::VolumeId& id, std::uint16_t status,
                                engine::MonoTime deadline) {
  auto looked = *this;
  looked.answer = [self = *this, id, status, deadline](AdminReply reply) mutable {
    const auto body = body_of(reply);
    const auto* serving = body.if_contains("serving");
    const bool waits = serving != nullptr && serving->is_bool() && !serving->as_bool();
    auto& control = self.shell;
    // A primary that is away makes nothing a record: then what was asked for is not in force yet.
    const bool rules = self.parts.back() != "resize" &&
                       (body.contains("wanted_mode") || body.contains("wanted_min_copies"));
    const bool wished = body.contains("wanted_size_bytes") || rules;
    if (wished && reply.status == 200) reply.status = 202;
    if (!waits || control.env_->clock.now() >= deadline) return self.answer(std::move(reply));
    ControlShell::Waiting again;
    again.volume = id;
    again.deadline = control.env_->clock.now() + admin_look_again;
    again.done = [] { return false; };
    again.finish = [self, id, status, deadline](bool) mutable {
      self.when_serving(id, status, deadline);
    };
    control.waiting_.push_back(std::move(again));
    control.wake_in(admin_look_again);
  };
  looked.status_of(id, status);
}

void ControlAdmin::create() {
  const auto body = parse_body(ask.body, {"name", "size_bytes", "copies", "mode", "ack",
                                          "min_copies", "below_min_copies", "nodes"});
  if (!body) return answer(answer_error(body.error()));
  const auto name = text_field(*body, "name");
  const auto size = number_field(*body, "size_bytes");
  const auto copies = number_field(*body, "copies", 3);
  const auto mode_text = text_field(*body, "mode", "sync_all");
  const auto ack_text = text_field(*body, "ack", "received");
  const auto below_text = text_field(*body, "below_min_copies", "block");
  const auto nodes = texts_field(*body, "nodes");
  for (const auto* failed :
       {name ? nullptr : &name.error(), size ? nullptr : &size.error(),
        copies ? nullptr : &copies.error(), mode_text ? nullptr : &mode_text.error(),
        ack_text ? nullptr : &ack_text.error(), below_text ? nullptr : &below_text.error(),
        nodes ? nullptr : &nodes.error()}) {
    if (failed != nullptr) return answer(answer_error(*failed));
  }
  const auto mode = engine::parse_mode(*mode_text);
  if (!mode) {
    return answer(answer_error(no_mode(*mode_text)));
  }
  const auto ack = engine::parse_ack(*ack_text);
  if (!ack) {
    return answer(answer_error(
        {Errc::invalid, fmt::format("ack \"{}\" is neither received nor durable", *ack_text)}));
  }
  const auto below = engine::parse_below_min(*below_text);
  if (!below) return answer(answer_error(no_policy(*below_text)));
  const bool alone = *mode == engine::Mode::best_effort || *copies == 1;
  const auto min_copies = number_field(*body, "min_copies", alone ? 1 : 2);
  if (!min_copies) return answer(answer_error(min_copies.error()));
  const auto small = [](std::uint64_t n) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(n, UINT32_MAX));
  };
  engine::control::CreateVolume wish;
  wish.spec.name = *name;
  wish.spec.size_bytes = *size;
  wish.spec.mode = *mode;
  wish.spec.ack = *ack;
  wish.spec.copies = small(*copies);
  wish.spec.min_copies = small(*min_copies);
  wish.spec.below_min = *below;
  wish.nodes = *nodes;
  auto made = shell.plane_.create(wish, shell.moment());
  if (!made) return answer(answer_error(made.error()));
  shell.run(std::move(*made));
  when_settled(shell.plane_.volume(wish.spec.name)->spec.id, 201);
}

void ControlAdmin::remove() {
  const auto& name = parts[2];
  const auto body = parse_body(ask.body, {"name"});
  if (!body) return answer(answer_error(body.error()));
  const auto confirmed = text_field(*body, "name");
  if (!confirmed) return answer(answer_error(confirmed.error()));
  if (*confirmed != name) {
    return answer(answer_error(
        {Errc::invalid, fmt::format("delete volume {}: the body names {}", name, *confirmed)}));
  }
  const auto* volume = shell.plane_.volume(name);
  const auto id = volume == nullptr ? engine::VolumeId{} : volume->spec.id;
  auto removed = shell.plane_.remove(name);
  if (!removed) return answer(answer_error(removed.error()));
  shell.run(std::move(*removed));
  ControlShell::Waiting waiting;
  waiting.volume = id;
  waiting.deadline = shell.env_->clock.now() + admin_wait_max;
  waiting.done = [plane = &shell.plane_, id] { return plane->pending_reachable(id).empty(); };
  waiting.finish = [self = *this, id, name](bool) mutable {
    json::array pending;
    for (const auto& what : self.shell.plane_.pending(id)) pending.emplace_back(what);
    self.answer(answer_json(200, json::object{{"deleted", name}, {"pending", std::move(pending)}}));
  };
  shell.waiting_.push_back(std::move(waiting));
  shell.look_at_waiting();
}

void ControlAdmin::promote() {
  const auto body = parse_body(ask.body, {"node", "force"});
  if (!body) return answer(answer_error(body.error()));
  const auto node = text_field(*body, "node");
  if (!node) return answer(answer_error(node.error()));
  const auto force = truth_field(*body, "force");
  if (!force) return answer(answer_error(force.error()));
  auto begun = shell.plane_.promote(parts[2], *node, shell.moment(), *force);
  if (!begun) return answer(answer_error(begun.error()));
  shell.run(std::move(*begun));
  when_settled(shell.plane_.volume(parts[2])->spec.id, 200);
}

void ControlAdmin::replicas() {
  const auto body = parse_body(ask.body, {"action", "node", "new_node"});
  if (!body) return answer(answer_error(body.error()));
  const auto action = text_field(*body, "action");
  const auto node = text_field(*body, "node");
  const auto new_node = text_field(*body, "new_node", "");
  if (!action) return answer(answer_error(action.error()));
  if (!node) return answer(answer_error(node.error()));
  if (!new_node) return answer(answer_error(new_node.error()));
  if (!new_node->empty() && *action != "replace") {
    return answer(answer_error({Errc::invalid, "\"new_node\" goes with action replace only"}));
  }
  auto& plane = shell.plane_;
  auto done = *action == "add"      ? plane.add_replica(parts[2], *node)
              : *action == "remove" ? plane.remove_replica(parts[2], *node)
              : *action == "replace"
                  ? plane.replace_replica(parts[2], *node, *new_node)
                  : engine::Result<engine::control::Effects>(Error{
                        Errc::invalid,
                        fmt::format("action \"{}\" is none of add, remove, replace", *action)});
  if (!done) return answer(answer_error(done.error()));
  shell.run(std::move(*done));
  when_settled(plane.volume(parts[2])->spec.id, 200);
}

void ControlAdmin::resize() {
  const auto body = parse_body(ask.body, {"size_bytes", "shrink"});
  if (!body) return answer(answer_error(body.error()));
  const auto size = number_field(*body, "size_bytes");
  const auto shrink = flag_field(*body, "shrink");
  if (!size) return answer(answer_error(size.error()));
  if (!shrink) return answer(answer_error(shrink.error()));
  auto begun = shell.plane_.resize(parts[2], *size, *shrink);
  if (!begun) return answer(answer_error(begun.error()));
  shell.run(std::move(*begun));
  when_settled(shell.plane_.volume(parts[2])->spec.id, 200);
}

void ControlAdmin::configure() {
  const auto body = parse_body(ask.body, {"mode", "min_copies", "below_min_copies"});
  if (!body) return answer(answer_error(body.error()));
  engine::control::Reconfigure wish;
  if (body->contains("mode")) {
    const auto text = text_field(*body, "mode");
    if (!text) return answer(answer_error(text.error()));
    wish.mode = engine::parse_mode(*text);
    if (!wish.mode) return answer(answer_error(no_mode(*text)));
  }
  if (body->contains("min_copies")) {
    const auto copies = number_field(*body, "min_copies");
    if (!copies) return answer(answer_error(copies.error()));
    wish.min_copies = static_cast<std::uint32_t>(std::min<std::uint64_t>(*copies, UINT32_MAX));
  }
  if (body->contains("below_min_copies")) {
    const auto text = text_field(*body, "below_min_copies");
    if (!text) return answer(answer_error(text.error()));
    wish.below_min = engine::parse_below_min(*text);
    if (!wish.below_min) return answer(answer_error(no_policy(*text)));
  }
  auto begun = shell.plane_.configure(parts[2], wish);
  if (!begun) return answer(answer_error(begun.error()));
  shell.run(std::move(*begun));
  when_settled(shell.plane_.volume(parts[2])->spec.id, 200);
}

void ControlAdmin::readmit() {
  const auto body = parse_body(ask.body, {"uuid"});
  if (!body) return answer(answer_error(body.error()));
  const auto text = text_field(*body, "uuid", "");
  if (!text) return answer(answer_error(text.error()));
  std::optional<engine::Uuid> uuid;
  if (!text->empty()) {
    uuid = engine::parse_uuid(*text);
    if (!uuid)
      return answer(answer_error({Errc::invalid, fmt::format("\"{}\" is no UUID", *text)}));
  }
  auto done = shell.plane_.readmit(parts[2], uuid);
  if (!done) return answer(answer_error(done.error()));
  shell.run(std::move(*done));
  answer(answer_json(200, json::object{{"readmitted", parts[2]}}));
}

void ControlAdmin::nodes() {
  json::array all;
  for (const auto& node : shell.plane_.nodes()) all.push_back(to_json(node, shell.env_->node.name));
  answer(answer_json(200, json::object{{"nodes", std::move(all)}}));
}

// --- routing -------------------------------------------------------------------------------------

void ControlAdmin::route() {
  const auto is = [&](std::string_view method, std::size_t count, std::string_view second,
                      std::string_view fourth = {}) {
    return ask.method == method && parts.size() == count && parts[0] == "v1" &&
           parts[1] == second && (count < 4 || parts[3] == fourth);
  };
  if (is("GET", 2, "status")) return status();
  if (is("GET", 2, "nodes")) return nodes();
  if (is("GET", 2, "volumes")) return volumes();
  if (is("POST", 2, "volumes")) return create();
  if (is("GET", 3, "volumes")) return volume();
  if (is("DELETE", 3, "volumes")) return remove();
  if (is("POST", 4, "volumes", "promote")) return promote();
  if (is("POST", 4, "volumes", "replicas")) return replicas();
  if (is("POST", 4, "volumes", "resize")) return resize();
  if (is("POST", 4, "volumes", "configure")) return configure();
  if (is("GET", 4, "volumes", "events")) return events();
  if (is("POST", 4, "volumes", "events")) return events_since();
  if (is("GET", 5, "volumes", "plan")) return preview();
  if (is("POST", 4, "volumes", "compare")) return compare();
  if (is("POST", 4, "volumes", "scrub")) return scrub();
  if (is("POST", 4, "nodes", "readmit")) return readmit();
  answer(answer_error({Errc::not_found, fmt::format("there is no {} {}", ask.method, ask.path)}));
}

void ControlShell::admin(engine::AdminAsk ask, AdminAnswer answer) {
  if (!problem_.empty()) return answer(unavailable(problem_));
  if (!ask.target.empty()) {
    const auto target = ask.target;
    return ask_node(target, std::move(ask), admin_wait_max, std::move(answer));
  }
  ControlAdmin(*this, std::move(ask), std::move(answer)).route();
}

}  // namespace tidemark::actors
