#include "actors/admin_json.hpp"

#include <algorithm>
#include <limits>

#include "engine/text.hpp"

namespace tidemark::actors {

using engine::Errc;
using engine::Error;
using engine::Result;

namespace {

std::uint16_t http_status(Errc code) {
  switch (code) {
    case Errc::invalid:
      return 400;
    case Errc::not_found:
      return 404;
    case Errc::already_exists:
    case Errc::busy:
    case Errc::stale:
    case Errc::refused:
      return 409;
    case Errc::not_yet:
      return 501;
    case Errc::unavailable:
      return 503;
    case Errc::no_space:
      return 507;
    default:
      return 500;
  }
}

json::array names(const std::vector<std::string>& texts) {
  json::array array;
  for (const auto& text : texts) array.emplace_back(text);
  return array;
}

/// Days since 1970-01-01 to a date of the proleptic Gregorian calendar (H. Hinnant,
/// "chrono-compatible low-level date algorithms"); std::chrono's calendar is not printable with
/// fmt 9.
struct Date {
  std::int64_t year;
  unsigned month, day;
};
Date civil(std::int64_t days) {
  days += 719468;
  const auto era = (days >= 0 ? days : days - 146096) / 146097;
  const auto doe = static_cast<unsigned>(days - era * 146097);
  const unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const unsigned mp = (5 * doy + 2) / 153;
  const unsigned month = mp < 10 ? mp + 3 : mp - 9;
  return {static_cast<std::int64_t>(yoe) + era * 400 + (month <= 2 ? 1 : 0), month,
          doy - (153 * mp + 2) / 5 + 1};
}

}  // namespace

engine::AdminReply answer_json(std::uint16_t status, const json::value& body) {
  // The one place where JSON leaves: what a peer said in broken UTF-8 breaks no reader of ours.
  return {0, status, engine::well_formed(json::serialize(body))};
}

engine::AdminReply answer_error(const Error& error) {
  return answer_json(http_status(error.code),
                     json::object{{"error", error.text}, {"code", engine::to_string(error.code)}});
}

engine::AdminReply unavailable(std::string_view why, std::uint64_t id) {
  auto reply = answer_error(Error{Errc::unavailable, std::string(why)});
  reply.id = id;
  return reply;
}

json::object body_of(const engine::AdminReply& reply) {
  json::error_code failed;
  auto value = json::parse(reply.body, failed);
  if (failed || !value.is_object()) return {};
  return std::move(value.as_object());
}

std::optional<std::uint64_t> whole_number(const json::value* value) {
  if (value == nullptr) return std::nullopt;
  if (value->is_uint64()) return value->as_uint64();
  if (value->is_int64() && value->as_int64() >= 0)
    return static_cast<std::uint64_t>(value->as_int64());
  return std::nullopt;
}

std::vector<std::uint64_t> numbers_in(const json::object& body, std::string_view key) {
  std::vector<std::uint64_t> numbers;
  const auto* value = body.if_contains(key);
  if (value == nullptr || !value->is_array()) return numbers;
  for (const auto& entry : value->as_array()) {
    if (const auto number = whole_number(&entry)) numbers.push_back(*number);
  }
  return numbers;
}

json::object to_json(const engine::ScrubStatus& s) {
  return {{"state", engine::to_string(s.state)},
          {"round", s.round},
          {"rate", s.rate},
          {"next_block", s.next.value},
          {"blocks", s.blocks},
          {"read_bytes", s.read_bytes},
          {"damaged_blocks", s.damaged},
          {"checksums_rewritten", s.sums_rewritten},
          {"log_damage", s.log_damage},
          {"superblock_slots_rewritten", s.slots_rewritten},
          {"catalogs_rewritten", s.catalogs_rewritten},
          {"problem", s.problem}};
}

json::object to_json(const engine::StoreStatus& s) {
  return {{"end", s.end.value},
          {"durable", s.durable.value},
          {"committed", s.committed.value},
          {"checkpoint", s.checkpoint.value},
          {"retained", s.retained.value},
          {"touched_from", s.touched_from.value},
          {"base", engine::to_string(s.base)},
          {"problem", s.problem},
          {"wal_bytes", s.wal_bytes},
          {"wal_free_bytes", s.wal_free_bytes},
          {"dirty_blocks", s.dirty_blocks},
          {"memory_bytes", s.memory_bytes},
          {"wal_bytes_written", s.wal_bytes_written},
          {"extent_bytes_written", s.extent_bytes_written},
          {"wal_writes", s.wal_writes},
          {"flushes", s.flushes},
          {"damaged_blocks", s.damaged_blocks},
          {"unrepairable_blocks", s.unrepairable_blocks},
          {"damage_found", s.damage_found},
          {"blocks_repaired", s.blocks_repaired},
          {"scrub", to_json(s.scrub)}};
}

json::object session_json(const engine::PeerStatus& s) {
  json::object session{{"id", s.session.value},
                       {"kind", engine::to_string(s.kind)},
                       {"outcome", s.outcome},
                       {"target", s.target.value},
                       {"bytes", s.session_bytes},
                       {"payload_bytes", s.session_payload_bytes},
                       {"base_blocks", s.session_base_blocks},
                       {"base_blocks_all", s.session_base_blocks_all},
                       {"milliseconds", s.session_milliseconds},
                       {"pins", names(s.pins)},
                       {"phase", s.session_phase},
                       {"progress_permille", s.session_permille},
                       {"bytes_per_second", s.session_rate}};
  if (s.session_eta_milliseconds) session["eta_milliseconds"] = *s.session_eta_milliseconds;
  if (s.kind != engine::SessionKind::rebuild) return session;
  session["rebuild_limit_bytes_per_second"] = s.rebuild_limit;
  session["rebuild_held_by"] = s.rebuild_held_by;
  return session;
}

json::object to_json(const engine::PeerStatus& s) {
  json::object peer{{"node", s.node.name},        {"replica", s.replica.value},
                    {"endpoint", s.endpoint},     {"state", engine::to_string(s.state)},
                    {"reason", s.reason},         {"in_set", s.in_set},
                    {"exact", s.exact},           {"received", s.received.value},
                    {"durable", s.durable.value}, {"lag_lsns", s.lag_lsns},
                    {"lag_bytes", s.lag_bytes},   {"lag_milliseconds", s.lag_milliseconds}};
  if (s.session) peer["session"] = session_json(s);
  peer["failed_in_a_row"] = s.failed_in_a_row;
  peer["escalated"] = s.escalated;
  return peer;
}

json::object to_json(const engine::Assignment& a) {
  json::array members;
  for (const auto& m : a.members) {
    members.push_back(json::object{{"node", m.node.name},
                                   {"replica", m.replica.value},
                                   {"endpoint", m.endpoint},
                                   {"nbd", m.nbd},
                                   {"in_set", a.in_set(m.replica) != nullptr}});
  }
  return {{"epoch", a.epoch.value},       {"version", a.version.value},
          {"self", a.self.value},         {"role", engine::to_string(a.role)},
          {"primary", a.primary.value},   {"primary_incarnation", a.primary_incarnation.value},
          {"members", std::move(members)}};
}

json::object to_json(const engine::VolumeStatus& s) {
  json::array peers;
  for (const auto& peer : s.peers) peers.push_back(to_json(peer));
  return {{"epoch", s.assignment.epoch.value},
          {"serving", s.serving},
          {"waiting_for", s.waiting_for},
          {"head", s.head.value},
          {"durable", s.durable.value},
          {"committed", s.committed.value},
          {"counters", json::object{{"reads", s.reads},
                                    {"writes", s.writes},
                                    {"flushes", s.flushes},
                                    {"trims", s.trims},
                                    {"read_bytes", s.read_bytes},
                                    {"written_bytes", s.written_bytes},
                                    {"waiting_requests", s.waiting_requests},
                                    {"stall_milliseconds_max", s.stall_milliseconds_max}}},
          {"peers", std::move(peers)}};
}

json::object to_json(const ReceiverStatus& s) {
  return {{"epoch", s.epoch.value},
          {"promised", s.promised.value},
          {"session", s.session.value},
          {"state", s.state},
          {"reason", s.reason},
          {"received", s.received.value},
          {"committed", s.committed.value}};
}

std::string to_text(engine::WallTime at) {
  const auto milliseconds = at.value / engine::millisecond;
  const auto seconds = milliseconds / 1000;
  const auto date = civil(static_cast<std::int64_t>(seconds / 86400));
  const auto of_day = seconds % 86400;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", date.year, date.month, date.day,
                     of_day / 3600, of_day / 60 % 60, of_day % 60, milliseconds % 1000);
}

json::object to_json(const engine::LoggedEvent& logged, const std::string& node) {
  json::object fields;
  for (const auto& [key, value] : logged.event.fields) fields[key] = value;
  return {{"at", to_text(logged.at)},
          {"node", node},
          {"sequence", logged.sequence},
          {"level", engine::to_string(logged.event.level)},
          {"name", logged.event.name},
          {"fields", std::move(fields)},
          {"text", engine::render(logged.event)}};
}

json::object to_json(const engine::RecoveryLog::Page& page, const std::string& node,
                     engine::Incarnation incarnation) {
  json::array events;
  for (const auto& logged : page.events) events.push_back(to_json(logged, node));
  json::object object{{"node", node},
                      {"incarnation", incarnation.value},
                      {"last", page.last},
                      {"events", std::move(events)}};
  if (page.gap) object["gap"] = json::object{{"first", page.gap->first}, {"last", page.gap->last}};
  return object;
}

json::object to_json(const engine::control::NodeView& node, const std::string& host) {
  json::object object{{"name", node.record.id.name},
                      {"uuid", engine::to_string(node.record.id.uuid)},
                      {"incarnation", node.record.incarnation.value},
                      {"connected", node.connected},
                      {"hosts_control", node.record.id.name == host},
                      {"replication", node.record.replication},
                      {"nbd", node.record.nbd},
                      {"volumes", node.volumes}};
  if (node.stranger) object["stranger"] = engine::to_string(*node.stranger);
  if (node.record.readmit) object["readmit"] = true;
  return object;
}

// --- request bodies ------------------------------------------------------------------------------

Result<json::object> parse_body(const std::string& body,
                                std::initializer_list<std::string_view> known) {
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) return json::object{};
  json::error_code failed;
  json::parse_options strict;
  strict.max_depth = 8;
  auto value = json::parse(body, failed, {}, strict);
  if (failed) return Error{Errc::invalid, "the request's body is no JSON: " + failed.message()};
  if (!value.is_object()) return Error{Errc::invalid, "the request's body is no JSON object"};
  for (const auto& entry : value.as_object()) {
    const std::string_view key(entry.key().data(), entry.key().size());
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string list;
    for (const auto name : known) list += (list.empty() ? "" : ", ") + std::string(name);
    return Error{Errc::invalid, fmt::format("unknown key \"{}\"; known are: {}", key, list)};
  }
  return std::move(value.as_object());
}

Result<std::string> text_field(const json::object& body, std::string_view key,
                               std::optional<std::string> fallback) {
  const auto* value = body.if_contains(key);
  if (value == nullptr) {
    if (fallback) return *fallback;
    return Error{Errc::invalid, fmt::format("key \"{}\" is missing", key)};
  }
  if (!value->is_string()) return Error{Errc::invalid, fmt::format("\"{}\" must be a string", key)};
  return std::string(value->as_string());
}

Result<bool> truth_field(const json::object& body, std::string_view key) {
  const auto* value = body.if_contains(key);
  if (value == nullptr) return false;
  if (value->is_bool()) return value->as_bool();
  return Error{Errc::invalid, fmt::format("\"{}\" must be true or false", key)};
}

Result<std::uint64_t> number_field(const json::object& body, std::string_view key,
                                   std::optional<std::uint64_t> fallback) {
  const auto* value = body.if_contains(key);
  if (value == nullptr) {
    if (fallback) return *fallback;
    return Error{Errc::invalid, fmt::format("key \"{}\" is missing", key)};
  }
  if (const auto number = whole_number(value)) return *number;
  return Error{Errc::invalid, fmt::format("\"{}\" must be a whole number, not negative", key)};
}

Result<bool> flag_field(const json::object& body, std::string_view key) {
  const auto* value = body.if_contains(key);
  if (value == nullptr) return false;
  if (value->is_bool()) return value->as_bool();
  return Error{Errc::invalid, fmt::format("\"{}\" must be true or false", key)};
}

Result<std::vector<std::string>> texts_field(const json::object& body, std::string_view key) {
  std::vector<std::string> texts;
  const auto* value = body.if_contains(key);
  if (value == nullptr) return texts;
  const Error wrong{Errc::invalid, fmt::format("\"{}\" must be an array of strings", key)};
  if (!value->is_array()) return wrong;
  for (const auto& entry : value->as_array()) {
    if (!entry.is_string()) return wrong;
    texts.emplace_back(entry.as_string());
  }
  return texts;
}

std::vector<std::string> path_parts(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    if (slash != 0) parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

}  // namespace tidemark::actors
