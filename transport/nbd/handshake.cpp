#include "transport/nbd/handshake.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "transport/nbd/options.hpp"
#include "transport/nbd/text.hpp"

namespace tidemark::nbd {

void Handshake::greet(Bytes& out) {
  put(out, greeting_magic);
  put(out, option_magic);
  put(out, static_cast<std::uint16_t>(handshake_flag::fixed_newstyle | handshake_flag::no_zeroes));
}

Handshake::Step Handshake::step(ByteView input, Bytes& out) {
  switch (state_) {
    case State::client_flags:
      return take_client_flags(input);
    case State::haggling:
      return take_option(input, out);
    case State::draining:
      return drain(input, out);
  }
  engine::check_failed("a handshake is in one of its states");
}

Handshake::Step Handshake::take_client_flags(ByteView input) {
  const auto flags = Reader(input).take<std::uint32_t>();
  if (!flags) return {};
  constexpr std::uint32_t known = handshake_flag::fixed_newstyle | handshake_flag::no_zeroes;
  if ((*flags & ~known) != 0) {
    return close(client_flags_bytes, fmt::format("unknown client flags {:#x}", *flags));
  }
  fixed_newstyle_ = (*flags & handshake_flag::fixed_newstyle) != 0;
  no_zeroes_ = (*flags & handshake_flag::no_zeroes) != 0;
  received_ += client_flags_bytes;
  state_ = State::haggling;
  return {client_flags_bytes, Next::read_on};
}

Handshake::Step Handshake::take_option(ByteView input, Bytes& out) {
  Reader in(input);
  const auto magic = in.take<std::uint64_t>();
  if (!magic) return {};
  if (*magic != option_magic) return close(0, "an option without its magic number");
  const auto option = in.take<std::uint32_t>();
  const auto length = in.take<std::uint32_t>();
  if (!option || !length) return {};
  const bool fits = *length <= option_bytes_max;
  if (fits && in.left() < *length) return {};

  drained_ = static_cast<Option>(*option);
  if (++options_ > options_max) {
    return close(option_header_bytes, fmt::format("more than {} options", options_max));
  }
  received_ += option_header_bytes;
  if (*length > negotiation_bytes_max - std::min(received_, negotiation_bytes_max)) {
    return close(option_header_bytes, fmt::format("more than {} bytes of options, the last one {}",
                                                  negotiation_bytes_max, *length));
  }
  received_ += *length;
  if (!fixed_newstyle_ && drained_ != Option::export_name) {
    return close(option_header_bytes, "an option that needs fixed newstyle");
  }
  if (!fits) return refuse_long_option(*length);
  const Request request{drained_, input.subspan(option_header_bytes, *length)};
  return {option_header_bytes + *length, answer(request, out)};
}

/// The error comes once the data is through, as the client sends all of it before it listens.
Handshake::Step Handshake::refuse_long_option(std::uint32_t length) {
  if (drained_ == Option::export_name) {
    return close(option_header_bytes, fmt::format("an export name of {} bytes", length));
  }
  drain_left_ = length;
  state_ = State::draining;
  return {option_header_bytes, Next::read_on};
}

Handshake::Step Handshake::drain(ByteView input, Bytes& out) {
  const auto bytes = std::min(input.size(), drain_left_);
  drain_left_ -= bytes;
  if (drain_left_ != 0) return {bytes, Next::read_on};
  state_ = State::haggling;
  if (drained_ == Option::set_meta_context) context_export_.reset();
  put_error(out, drained_, OptionReply::err_too_big,
            fmt::format("an option is at most {} bytes", option_bytes_max));
  return {bytes, Next::read_on};
}

Handshake::Step Handshake::close(std::size_t consumed, std::string_view why) {
  why_ = why;
  return {consumed, Next::close};
}

Handshake::Next Handshake::answer(const Request& request, Bytes& out) {
  switch (request.option) {
    case Option::export_name:
      return export_name(request, out);
    case Option::info:
    case Option::go:
      return info_or_go(request, out);
    case Option::abort:
      put_reply(out, request.option, OptionReply::ack);
      why_ = "the client aborted the negotiation";
      return Next::close;
    case Option::list:
      list(request, out);
      break;
    case Option::structured_reply:
      structured_reply(request, out);
      break;
    case Option::list_meta_context:
    case Option::set_meta_context:
      meta_context(request, out);
      break;
    case Option::starttls:
      put_error(out, request.option, OptionReply::err_unsup, "this server offers no TLS");
      break;
    default:
      put_error(out, request.option, OptionReply::err_unsup, "this option is not known here");
  }
  return Next::read_on;
}

/// The old way in: it can't say no, so no is to close.
Handshake::Next Handshake::export_name(const Request& request, Bytes& out) {
  const auto name = Reader(request.data).text(request.data.size());
  CHECK(name.has_value());
  if (name->size() > string_bytes_max || !is_protocol_string(*name)) {
    why_ = "an export name that is no string of the protocol";
    return Next::close;
  }
  const auto info = open(*name);
  if (!info) {
    why_ = info.error().text;
    return Next::close;
  }
  enter(info.value());
  put(out, info->size_bytes);
  put(out, transmission_flags(info->read_only, structured_));
  if (!no_zeroes_) out.resize(out.size() + export_name_padding_bytes);
  return Next::transmission;
}

Handshake::Next Handshake::info_or_go(const Request& request, Bytes& out) {
  const auto asked = parse_info(request.data);
  if (!asked) {
    put_error(out, request.option, OptionReply::err_invalid, "malformed data in INFO or GO");
    return Next::read_on;
  }
  const bool go = request.option == Option::go;
  const auto info = go ? open(asked->name) : describe(asked->name);
  if (!info) {
    put_error(out, request.option, open_failure(info.error().code), info.error().text);
    return Next::read_on;
  }
  put_infos(out, request.option, *asked, info.value(),
            transmission_flags(info->read_only, structured_));
  put_reply(out, request.option, OptionReply::ack);
  if (!go) return Next::read_on;
  enter(info.value());
  return Next::transmission;
}

void Handshake::list(const Request& request, Bytes& out) {
  if (!request.data.empty()) {
    put_error(out, request.option, OptionReply::err_invalid, "LIST carries no data");
    return;
  }
  for (const auto& info : door_.list()) {
    if (out.size() > list_bytes_max) {
      put_error(out, request.option, OptionReply::err_too_big, "too many exports to list");
      return;
    }
    put_server(out, request.option, info.name);
  }
  put_reply(out, request.option, OptionReply::ack);
}

void Handshake::structured_reply(const Request& request, Bytes& out) {
  if (!request.data.empty()) {
    put_error(out, request.option, OptionReply::err_invalid, "STRUCTURED_REPLY carries no data");
    return;
  }
  structured_ = true;
  put_reply(out, request.option, OptionReply::ack);
}

void Handshake::meta_context(const Request& request, Bytes& out) {
  const bool selects = request.option == Option::set_meta_context;
  if (selects) context_export_.reset();  // replaces what was selected, also when it fails
  const auto asked = parse_contexts(request.data);
  if (!structured_ || !asked) {
    put_error(out, request.option, OptionReply::err_invalid,
              structured_ ? "malformed data in a context option"
                          : "contexts need structured replies, negotiated before");
    return;
  }
  const auto info = describe(asked->name);
  if (!info) {
    put_error(out, request.option, open_failure(info.error().code), info.error().text);
    return;
  }
  if (selects && sets_base_allocation(*asked)) {
    context_export_ = info->name;
    put_context(out, request.option, base_allocation_id);
  } else if (!selects && lists_base_allocation(*asked)) {
    put_context(out, request.option, 0);  // ids have no meaning in a list
  }
  put_reply(out, request.option, OptionReply::ack);
}

void Handshake::enter(const engine::ExportInfo& info) {
  export_name_ = info.name;
  agreed_ = {.size_bytes = info.size_bytes,
             .read_only = info.read_only,
             .structured_replies = structured_,
             .base_allocation = context_export_ == info.name};
}

engine::Result<std::string> Handshake::resolve(std::string_view name) {
  if (!name.empty()) return std::string(name);
  const auto exports = door_.list();
  if (exports.size() == 1) return exports.front().name;
  if (exports.empty()) return engine::Error{engine::Errc::not_found, "no volume is served here"};
  std::string names;
  for (const auto& info : exports) {
    names += (names.empty() ? "" : ", ") + info.name;
    if (names.size() > message_bytes_max) break;
  }
  return engine::Error{engine::Errc::not_found,
                       fmt::format("several volumes are served here; name one of: {}", names)};
}

engine::Result<engine::ExportInfo> Handshake::describe(std::string_view name) {
  const auto resolved = resolve(name);
  if (!resolved) return resolved.error();
  return door_.describe(*resolved);
}

engine::Result<engine::ExportInfo> Handshake::open(std::string_view name) {
  const auto resolved = resolve(name);
  if (!resolved) return resolved.error();
  return door_.open(*resolved);
}

}  // namespace tidemark::nbd
