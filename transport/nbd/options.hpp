// The data of options, parsed, and the replies to options, encoded. Pure functions.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/front.hpp"
#include "transport/nbd/wire.hpp"

namespace tidemark::nbd {

/// INFO and GO: whose facts, and which ones.
struct InfoRequest {
  std::string_view name;
  bool wants_name = false;
  bool wants_description = false;
};
/// Nothing if malformed: lengths that don't add up, a name that is no protocol string.
std::optional<InfoRequest> parse_info(ByteView data);

/// LIST_META_CONTEXT and SET_META_CONTEXT.
struct ContextRequest {
  std::string_view name;
  std::vector<std::string_view> queries;
};
std::optional<ContextRequest> parse_contexts(ByteView data);

/// Whether the queries ask for base:allocation. Listing knows wildcards (no query at all, "base:");
/// selecting takes it literally. Foreign namespaces are ignored, as the protocol demands.
bool lists_base_allocation(const ContextRequest& request);
bool sets_base_allocation(const ContextRequest& request);

/// A reply to `option` with any payload.
void put_reply(Bytes& out, Option option, OptionReply type, std::string_view payload = {});
/// An error with a sentence for people, made presentable.
void put_error(Bytes& out, Option option, OptionReply type, std::string_view why);
void put_server(Bytes& out, Option option, std::string_view name);
void put_context(Bytes& out, Option option, std::uint32_t id);
void put_infos(Bytes& out, Option option, const InfoRequest& request,
               const engine::ExportInfo& info, std::uint16_t flags);
/// The error reply that says best why an export cannot be had.
/// The text names the primary where there is one.
OptionReply open_failure(engine::Errc code);

}  // namespace tidemark::nbd
