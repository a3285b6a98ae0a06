// JSON of the admin interface: status structs out, request bodies in. The paths and shapes stand in
// docs/ADMIN.md; names of fields are part of the interface.
#pragma once

#include <boost/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/interfaces.hpp"
#include "engine/control/control_plane.hpp"
#include "engine/event_page.hpp"
#include "engine/messages.hpp"
#include "engine/result.hpp"
#include "engine/status.hpp"

namespace tidemark::actors {

namespace json = boost::json;

// --- answers -------------------------------------------------------------------------------------

engine::AdminReply answer_json(std::uint16_t status, const json::value& body);
/// {"error": text, "code": "invalid"} under the HTTP status that fits the code.
engine::AdminReply answer_error(const engine::Error& error);
engine::AdminReply unavailable(std::string_view why, std::uint64_t id = 0);
/// The body of an answer as an object; empty if it is none.
json::object body_of(const engine::AdminReply& reply);
/// What a peer wrote where a number belongs; nothing for a fraction, a negative or no number at
/// all (`value` may be null).
std::optional<std::uint64_t> whole_number(const json::value* value);
/// The whole numbers of a list; what is none is left out.
std::vector<std::uint64_t> numbers_in(const json::object& body, std::string_view key);

json::object to_json(const engine::ScrubStatus& s);
json::object to_json(const engine::StoreStatus& status);
json::object session_json(const engine::PeerStatus& status);
json::object to_json(const engine::PeerStatus& status);
json::object to_json(const engine::VolumeStatus& status);
json::object to_json(const ReceiverStatus& status);
json::object to_json(const engine::Assignment& assignment);
json::object to_json(const engine::LoggedEvent& event, const std::string& node);
/// One source's page: {node, incarnation, last, [gap], events}.
json::object to_json(const engine::RecoveryLog::Page& page, const std::string& node,
                     engine::Incarnation incarnation);
json::object to_json(const engine::RecoveryPreview& preview);  // preview_json.cpp
json::object to_json(const engine::control::NodeView& node, const std::string& host);
/// 2025-01-31T12:00:00.123Z
std::string to_text(engine::WallTime at);

// --- request bodies ------------------------------------------------------------------------------

/// A JSON object with no other keys than `known`; an empty body is an empty object. Errc::invalid
/// names the key or the position.
engine::Result<json::object> parse_body(const std::string& body,
                                        std::initializer_list<std::string_view> known);
/// Errc::invalid when it is there with another type, or missing without a `fallback`.
engine::Result<std::string> text_field(const json::object& body, std::string_view key,
                                       std::optional<std::string> fallback = std::nullopt);
/// False where the key is missing.
engine::Result<bool> truth_field(const json::object& body, std::string_view key);
engine::Result<std::uint64_t> number_field(const json::object& body, std::string_view key,
                                           std::optional<std::uint64_t> fallback = std::nullopt);
/// false where it is not there.
engine::Result<bool> flag_field(const json::object& body, std::string_view key);
engine::Result<std::vector<std::string>> texts_field(const json::object& body,
                                                     std::string_view key);

/// "/v1/volumes/data/events" -> {"v1", "volumes", "data", "events"}.
std::vector<std::string> path_parts(std::string_view path);

}  // namespace tidemark::actors
