// The recovery log of a volume, put together from all who keep a part of it, and previews, which
// the primary's node makes.
#include <algorithm>
#include <map>

#include "actors/admin_json.hpp"
#include "actors/control_admin.hpp"

namespace tidemark::actors {
namespace {

using engine::AdminReply;
using engine::Errc;
using engine::Error;

/// Longest wait of one request for news.
constexpr std::uint64_t events_wait_max = 20 * engine::second;
/// While somebody waits, members are asked this often.
constexpr std::uint64_t events_ask_again = 500 * engine::millisecond;
/// The control plane's part of the log goes by this name, which no node can have.
constexpr std::string_view control_source = "(control)";

engine::Result<EventPlaces> places_of(const json::object& body) {
  EventPlaces places;
  const auto* since = body.if_contains("since");
  if (since == nullptr) return places;
  const Error wrong{Errc::invalid,
                    "\"since\" must be an object of source: {incarnation, sequence}"};
  if (!since->is_object()) return wrong;
  for (const auto& [source, place] : since->as_object()) {
    if (!place.is_object()) return wrong;
    const auto incarnation = whole_number(place.as_object().if_contains("incarnation"));
    const auto sequence = whole_number(place.as_object().if_contains("sequence"));
    if (!incarnation || !sequence) return wrong;
    places[std::string(source)] = {*incarnation, *sequence};
  }
  return places;
}

/// One round: every source's page. Copied while it waits for answers.
struct EventRound {
  std::vector<json::object> pages;
  json::array unreachable;
  std::size_t open = 1;
};

/// By time; one source's own order is kept whatever its clock did.
json::array merged(const std::vector<json::object>& pages) {
  std::vector<std::pair<std::string, json::object>> all;
  for (const auto& page : pages) {
    const auto* events = page.if_contains("events");
    if (events == nullptr || !events->is_array()) continue;
    std::string latest;
    for (const auto& event : events->as_array()) {
      if (!event.is_object()) continue;
      const auto* at = event.as_object().if_contains("at");
      if (at != nullptr && at->is_string()) latest = std::max(latest, std::string(at->as_string()));
      all.emplace_back(latest, event.as_object());
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  json::array events;
  for (auto& [at, event] : all) events.push_back(std::move(event));
  return events;
}

/// What a reader has to know beside the events: what was dropped, who began anew, where to go on.
json::object sources_of(const std::vector<json::object>& pages, const EventPlaces& since,
                        json::array& gaps) {
  json::object sources;
  for (const auto& page : pages) {
    const auto* name = page.if_contains("node");
    if (name == nullptr || !name->is_string()) continue;
    const std::string source(name->as_string());
    const auto incarnation = whole_number(page.if_contains("incarnation")).value_or(0);
    const auto last = whole_number(page.if_contains("last")).value_or(0);
    sources[source] = json::object{{"incarnation", incarnation}, {"sequence", last}};
    const auto asked = since.find(source);
    const bool anew = asked != since.end() && asked->second.incarnation != 0 &&
                      asked->second.incarnation != incarnation;
    json::object gap{{"node", source}};
    if (anew) gap["restarted"] = true;
    const auto* dropped = page.if_contains("gap");
    if (dropped != nullptr && dropped->is_object()) {
      gap["first"] = whole_number(dropped->as_object().if_contains("first")).value_or(0);
      gap["last"] = whole_number(dropped->as_object().if_contains("last")).value_or(0);
    }
    if (gap.size() > 1) gaps.push_back(std::move(gap));
  }
  return sources;
}

}  // namespace

void ControlAdmin::events() {
  ask.body = "{}";
  events_since();
}

/// {since: {source: {incarnation, sequence}}, wait_milliseconds}: what follows, at once if there is
/// anything, else when there is or the wait is over.
void ControlAdmin::events_since() {
  const auto body = parse_body(ask.body, {"since", "wait_milliseconds"});
  if (!body) return answer(answer_error(body.error()));
  const auto wait = number_field(*body, "wait_milliseconds", 0);
  if (!wait) return answer(answer_error(wait.error()));
  const auto since = places_of(*body);
  if (!since) return answer(answer_error(since.error()));
  const auto* record = shell.plane_.volume(parts[2]);
  if (record == nullptr) {
    return answer(answer_error({Errc::not_found, fmt::format("there is no volume {}", parts[2])}));
  }
  const auto patience = std::min(*wait, events_wait_max / engine::millisecond);
  const auto deadline = shell.env_->clock.now() + patience * engine::millisecond;
  gather_events(*since, deadline);
}

void ControlAdmin::gather_events(const EventPlaces& since, engine::MonoTime deadline) {
  const auto* record = shell.plane_.volume(parts[2]);
  if (record == nullptr) {
    return answer(answer_error({Errc::not_found, "the volume was deleted meanwhile"}));
  }
  auto round = std::make_shared<EventRound>();
  auto less = [self = *this, round, since, deadline]() mutable {
    if (--round->open > 0) return;
    json::array gaps;
    auto sources = sources_of(round->pages, since, gaps);
    auto events = merged(round->pages);
    auto& control = self.shell;
    const bool nothing = events.empty() && gaps.empty();
    if (nothing && control.env_->clock.now() < deadline &&
        control.waiting_.size() < admin_requests_max) {
      ControlShell::Waiting again;
      again.deadline = std::min(deadline, control.env_->clock.now() + events_ask_again);
      again.done = [] { return false; };
      again.finish = [self, since, deadline](bool) mutable { self.gather_events(since, deadline); };
      const auto delay = again.deadline - control.env_->clock.now();
      control.waiting_.push_back(std::move(again));
      control.wake_in(delay);
      return;
    }
    self.answer(answer_json(200, json::object{{"events", std::move(events)},
                                              {"gaps", std::move(gaps)},
                                              {"sources", std::move(sources)},
                                              {"unreachable", std::move(round->unreachable)}}));
  };
  const auto own = shell.logs_.find(record->spec.id);
  const auto own_since = since.find(std::string(control_source));
  const auto incarnation = shell.env_->incarnation;
  const bool same =
      own_since != since.end() &&
      (own_since->second.incarnation == 0 || own_since->second.incarnation == incarnation.value);
  if (own != shell.logs_.end()) {
    round->pages.push_back(to_json(own->second.since(same ? own_since->second.sequence : 0),
                                   std::string(control_source), incarnation));
  }
  std::vector<std::string> nodes;
  for (const auto& member : record->members) nodes.push_back(member.node.name);
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  for (const auto& node : nodes) {
    ++round->open;
    json::object question;
    if (const auto place = since.find(node); place != since.end()) {
      question = {{"since", place->second.sequence}, {"incarnation", place->second.incarnation}};
    }
    engine::AdminAsk to_node{0, node, "POST", "/v1/local/events/" + parts[2],
                             json::serialize(question)};
    shell.ask_node(node, std::move(to_node), admin_ask_max,
                   [round, node, less](const AdminReply& reply) mutable {
                     if (reply.status == 200) {
                       round->pages.push_back(body_of(reply));
                     } else {
                       round->unreachable.emplace_back(node);
                     }
                     less();
                   });
  }
  less();
}

/// The primary's sender knows the replica: its node answers.
void ControlAdmin::preview() {
  const auto* record = shell.plane_.volume(parts[2]);
  if (record == nullptr) {
    return answer(answer_error({Errc::not_found, fmt::format("there is no volume {}", parts[2])}));
  }
  const engine::control::Placement* wanted = nullptr;
  for (const auto& member : record->members) {
    if (std::to_string(member.replica.value) == parts[4]) wanted = &member;
  }
  // A name that looks like a number is a name first.
  for (const auto& member : record->members) {
    if (member.node.name == parts[4] && !member.replaced_by) wanted = &member;
  }
  if (wanted == nullptr) {
    return answer(answer_error(
        {Errc::not_found, fmt::format("volume {} has no replica {}: name a node that holds a copy, "
                                      "or a replica's number",
                                      parts[2], parts[4])}));
  }
  if (wanted->replica == record->primary) {
    return answer(answer_error(
        {Errc::invalid, fmt::format("{} is the primary: there is nothing to recover it from",
                                    wanted->node.name)}));
  }
  const auto* primary = record->member(record->primary);
  if (primary == nullptr || !record->settled()) {
    return answer(
        answer_error({Errc::unavailable, "there is no primary now: " + record->fencing_reason}));
  }
  engine::AdminAsk to_node{0, primary->node.name, "GET",
                           fmt::format("/v1/local/plan/{}/{}", engine::to_string(record->spec.id),
                                       wanted->replica.value),
                           ""};
  shell.ask_node(primary->node.name, std::move(to_node), admin_ask_max, answer);
}

}  // namespace tidemark::actors
