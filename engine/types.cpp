#include "engine/types.hpp"

#include <algorithm>

#include "engine/result.hpp"

namespace tidemark::engine {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::io_failed:
      return "io_failed";
    case Errc::no_space:
      return "no_space";
    case Errc::corrupt:
      return "corrupt";
    case Errc::not_found:
      return "not_found";
    case Errc::already_exists:
      return "already_exists";
    case Errc::busy:
      return "busy";
    case Errc::invalid:
      return "invalid";
    case Errc::stale:
      return "stale";
    case Errc::refused:
      return "refused";
    case Errc::unavailable:
      return "unavailable";
    case Errc::not_yet:
      return "not_yet";
    case Errc::out_of_window:
      return "out_of_window";
    case Errc::cancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string to_string(const Uuid& id) {
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text.push_back('-');
    fmt::format_to(std::back_inserter(text), "{:02x}", id.bytes[i]);
  }
  return text;
}

namespace {
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
}  // namespace

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  Uuid id;
  std::size_t at = 0;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (at == 8 || at == 13 || at == 18 || at == 23) {
      if (text[at] != '-') return std::nullopt;
      ++at;
    }
    const int high = hex_digit(text[at]);
    const int low = hex_digit(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    id.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    at += 2;
  }
  return id;
}

Uuid make_uuid(std::uint64_t high, std::uint64_t low) {
  Uuid id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    id.bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

std::string to_string(const Digest& digest) {
  return fmt::format("{:016x}{:016x}", digest.high, digest.low);
}

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::sync_all:
      return "sync_all";
    case Mode::sync_quorum:
      return "sync_quorum";
    case Mode::best_effort:
      return "best_effort";
  }
  return "unknown";
}

std::string_view to_string(AckPolicy ack) {
  switch (ack) {
    case AckPolicy::received:
      return "received";
    case AckPolicy::durable:
      return "durable";
  }
  return "unknown";
}

std::string_view to_string(BelowMin below) {
  switch (below) {
    case BelowMin::block:
      return "block";
    case BelowMin::fail:
      return "fail";
  }
  return "unknown";
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::replica:
      return "replica";
    case Role::primary:
      return "primary";
  }
  return "unknown";
}

std::optional<Mode> parse_mode(std::string_view text) {
  for (auto mode : {Mode::sync_all, Mode::sync_quorum, Mode::best_effort}) {
    if (text == to_string(mode)) return mode;
  }
  return std::nullopt;
}

std::optional<BelowMin> parse_below_min(std::string_view text) {
  for (auto below : {BelowMin::block, BelowMin::fail}) {
    if (text == to_string(below)) return below;
  }
  return std::nullopt;
}

std::optional<AckPolicy> parse_ack(std::string_view text) {
  for (auto ack : {AckPolicy::received, AckPolicy::durable}) {
    if (text == to_string(ack)) return ack;
  }
  return std::nullopt;
}

}  // namespace tidemark::engine
