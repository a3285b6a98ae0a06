#include "engine/messages.hpp"

#include <array>

namespace tidemark::engine {
namespace {

// In the order of Message's alternatives.
constexpr std::array names = std::to_array<std::string_view>({
    "hello",           "hello_ok",      "refused",       "probe",       "facts",
    "ask_digest",      "digest_is",     "start_session", "touched",     "touched_noted",
    "session_ready",   "records",       "progress",      "ack",         "barrier",
    "barrier_reached", "ask_base",      "base_blocks",   "base_zeroes", "base_whole",
    "register",        "registered",    "assign",        "assign_ack",  "unassign",
    "unassign_ack",    "heartbeat",     "propose_set",   "set_decided", "fence",
    "promise",         "admin_ask",     "admin_reply",   "configured",  "ask_digests",
    "digests",         "ask_base_sums", "base_sums",     "ask_block",   "block_is",
});
static_assert(names.size() == std::variant_size_v<Message>);

}  // namespace

std::string_view name(const Message& message) { return names[message.index()]; }

std::string_view to_string(Purpose purpose) {
  switch (purpose) {
    case Purpose::records:
      return "records";
    case Purpose::bulk:
      return "bulk";
    case Purpose::control:
      return "control";
  }
  return "unknown";
}

std::string_view to_string(RefusalCode code) {
  switch (code) {
    case RefusalCode::protocol:
      return "protocol";
    case RefusalCode::wrong_cluster:
      return "wrong_cluster";
    case RefusalCode::wrong_node:
      return "wrong_node";
    case RefusalCode::wrong_volume:
      return "wrong_volume";
    case RefusalCode::wrong_replica:
      return "wrong_replica";
    case RefusalCode::stale_epoch:
      return "stale_epoch";
    case RefusalCode::stale_session:
      return "stale_session";
    case RefusalCode::stale_incarnation:
      return "stale_incarnation";
    case RefusalCode::not_a_replica:
      return "not_a_replica";
    case RefusalCode::store_failed:
      return "store_failed";
    case RefusalCode::no_space:
      return "no_space";
    case RefusalCode::bad_data:
      return "bad_data";
    case RefusalCode::shutting_down:
      return "shutting_down";
    case RefusalCode::not_yet:
      return "not_yet";
  }
  return "unknown";
}

std::string_view to_string(BaseState state) {
  switch (state) {
    case BaseState::complete:
      return "complete";
    case BaseState::incomplete:
      return "incomplete";
    case BaseState::damaged:
      return "damaged";
  }
  return "unknown";
}

std::string_view to_string(BaseScope scope) {
  switch (scope) {
    case BaseScope::all:
      return "all";
    case BaseScope::touched:
      return "touched";
    case BaseScope::rest:
      return "rest";
  }
  return "unknown";
}

std::string_view to_string(SessionKind kind) {
  switch (kind) {
    case SessionKind::catch_up:
      return "catch_up";
    case SessionKind::rebuild:
      return "rebuild";
  }
  return "unknown";
}

}  // namespace tidemark::engine
