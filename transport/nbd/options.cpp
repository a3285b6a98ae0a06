#include "transport/nbd/options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "transport/nbd/text.hpp"

namespace tidemark::nbd {

namespace {

bool is_name(std::string_view name) {
  return name.size() <= string_bytes_max && is_protocol_string(name);
}

void put_reply_header(Bytes& out, Option option, OptionReply type, std::size_t payload) {
  put(out, option_reply_magic);
  put(out, static_cast<std::uint32_t>(option));
  put(out, static_cast<std::uint32_t>(type));
  put(out, static_cast<std::uint32_t>(payload));
}

void put_info_header(Bytes& out, Option option, Info type, std::size_t payload) {
  put_reply_header(out, option, OptionReply::info, sizeof(std::uint16_t) + payload);
  put(out, static_cast<std::uint16_t>(type));
}

}  // namespace

std::optional<InfoRequest> parse_info(ByteView data) {
  Reader in(data);
  const auto name = in.counted_text();
  if (!name || !is_name(*name)) return std::nullopt;
  const auto count = in.take<std::uint16_t>();
  if (!count || in.left() != *count * sizeof(std::uint16_t)) return std::nullopt;
  InfoRequest request{.name = *name};
  while (const auto type = in.take<std::uint16_t>()) {
    request.wants_name |= *type == static_cast<std::uint16_t>(Info::name);
    request.wants_description |= *type == static_cast<std::uint16_t>(Info::description);
  }
  return request;
}

std::optional<ContextRequest> parse_contexts(ByteView data) {
  Reader in(data);
  const auto name = in.counted_text();
  if (!name || !is_name(*name)) return std::nullopt;
  const auto count = in.take<std::uint32_t>();
  if (!count) return std::nullopt;
  ContextRequest request{.name = *name, .queries = {}};
  // A count that lies ends at the first query that is not there; it reserves nothing.
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto query = in.counted_text();
    if (!query || !is_name(*query)) return std::nullopt;
    request.queries.push_back(*query);
  }
  if (in.left() != 0) return std::nullopt;
  return request;
}

bool lists_base_allocation(const ContextRequest& request) {
  const auto& queries = request.queries;
  return queries.empty() || sets_base_allocation(request) ||
         std::find(queries.begin(), queries.end(), "base:") != queries.end();
}

bool sets_base_allocation(const ContextRequest& request) {
  const auto& queries = request.queries;
  return std::find(queries.begin(), queries.end(), base_allocation_name) != queries.end();
}

void put_reply(Bytes& out, Option option, OptionReply type, std::string_view payload) {
  put_reply_header(out, option, type, payload.size());
  put(out, payload);
}

void put_error(Bytes& out, Option option, OptionReply type, std::string_view why) {
  put_reply(out, option, type, presentable(why));
}

void put_server(Bytes& out, Option option, std::string_view name) {
  put_reply_header(out, option, OptionReply::server, sizeof(std::uint32_t) + name.size());
  put(out, static_cast<std::uint32_t>(name.size()));
  put(out, name);
}

void put_context(Bytes& out, Option option, std::uint32_t id) {
  put_reply_header(out, option, OptionReply::meta_context,
                   sizeof(id) + base_allocation_name.size());
  put(out, id);
  put(out, base_allocation_name);
}

void put_infos(Bytes& out, Option option, const InfoRequest& request,
               const engine::ExportInfo& info, std::uint16_t flags) {
  put_info_header(out, option, Info::export_, 8 + 2);
  put(out, info.size_bytes);
  put(out, flags);
  // Sent unasked too: the maximum is not the protocol's default.
  put_info_header(out, option, Info::block_size, 3 * 4);
  put(out, block_bytes_min);
  put(out, block_bytes_preferred);
  put(out, payload_bytes_max);
  if (request.wants_name) {
    put_info_header(out, option, Info::name, info.name.size());
    put(out, info.name);
  }
  if (request.wants_description) {
    const auto text = fmt::format("Tidemark volume, {} bytes, {}", info.size_bytes,
                                  info.read_only ? "read-only" : "read-write");
    put_info_header(out, option, Info::description, text.size());
    put(out, text);
  }
}

OptionReply open_failure(engine::Errc code) {
  using engine::Errc;
  switch (code) {
    case Errc::not_found:
    case Errc::out_of_window:
      return OptionReply::err_unknown;
    case Errc::cancelled:
      return OptionReply::err_shutdown;
    default:
      // "Known and well formed, but not from this server": served elsewhere, or nowhere just now.
      return OptionReply::err_policy;
  }
}

}  // namespace tidemark::nbd
