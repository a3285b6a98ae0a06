#include "engine/text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace tidemark::engine {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text[i]);
}

bool continues(std::string_view text, std::size_t i) {
  return i < text.size() && (byte_at(text, i) & 0xc0) == 0x80;
}

/// The first byte from `at` on that is none of ASCII, or the end.
std::size_t end_of_ascii(std::string_view text, std::size_t at) {
  constexpr std::uint64_t high_bits = 0x8080'8080'8080'8080;
  for (std::uint64_t eight = 0; at + sizeof eight <= text.size(); at += sizeof eight) {
    std::memcpy(&eight, text.data() + at, sizeof eight);
    if ((eight & high_bits) != 0) break;
  }
  while (at < text.size() && byte_at(text, at) < 0x80) ++at;
  return at;
}

}  // namespace

bool is_name(std::string_view text) {
  const auto plain = [](char c) {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9');
  };
  const auto fits = [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= name_bytes_max && plain(text.front()) &&
         std::all_of(text.begin(), text.end(), fits);
}

/// The after byte's ranges are RFC 3629's table.
std::size_t character_bytes(std::string_view text, std::size_t at) {
  const auto first = byte_at(text, at);
  if (first < 0x80) return 1;
  if (!continues(text, at + 1)) return 0;
  const auto after = byte_at(text, at + 1);
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if (!continues(text, at + 2)) return 0;
  if (first == 0xe0 && after < 0xa0) return 0;
  if (first == 0xed && after > 0x9f) return 0;
  if (first >= 0xe0 && first <= 0xef) return 3;
  if (!continues(text, at + 3)) return 0;
  if (first == 0xf0 && after < 0x90) return 0;
  if (first == 0xf4 && after > 0x8f) return 0;
  return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

std::string_view front_of(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  // A character has three further bytes at most: what goes on for longer is none.
  for (std::size_t back = 0; back <= 3 && back < bytes_max; ++back) {
    if (!continues(text, bytes_max - back)) return text.substr(0, bytes_max - back);
  }
  return text.substr(0, bytes_max);
}

std::string well_formed(std::string_view text) {
  std::string formed;
  formed.reserve(text.size());
  std::size_t taken = 0;
  for (std::size_t at = 0; at < text.size();) {
    at = end_of_ascii(text, at);
    if (at == text.size()) break;
    const auto bytes = character_bytes(text, at);
    if (bytes == 0) {
      formed.append(text, taken, at - taken);
      formed += '?';
      taken = at + 1;
    }
    at += std::max<std::size_t>(bytes, 1);
  }
  formed.append(text, taken);
  return formed;
}

}  // namespace tidemark::engine
