#include "transport/nbd/text.hpp"

#include <cstdint>

namespace tidemark::nbd {

namespace {

std::uint8_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text[i]);
}

bool continues(std::string_view text, std::size_t i) {
  return i < text.size() && (byte_at(text, i) & 0xc0) == 0x80;
}

/// Bytes of the well-formed character that starts at `i`, or 0.
/// The second byte's ranges are RFC 3629's table.
std::size_t character_bytes(std::string_view text, std::size_t i) {
  const auto first = byte_at(text, i);
  if (first < 0x80) return 1;
  if (!continues(text, i + 1)) return 0;
  const auto second = byte_at(text, i + 1);
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if (!continues(text, i + 2)) return 0;
  if (first == 0xe0 && second < 0xa0) return 0;
  if (first == 0xed && second > 0x9f) return 0;
  if (first >= 0xe0 && first <= 0xef) return 3;
  if (!continues(text, i + 3)) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second > 0x8f) return 0;
  return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

bool is_control(std::string_view text, std::size_t i) {
  return byte_at(text, i) < 0x20 || byte_at(text, i) == 0x7f;
}

}  // namespace

bool is_protocol_string(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto bytes = character_bytes(text, i);
    if (bytes == 0 || text[i] == '\0') return false;
    i += bytes;
  }
  return true;
}

std::string presentable(std::string_view text) {
  std::string shown;
  for (std::size_t i = 0; i < text.size();) {
    const auto bytes = character_bytes(text, i);
    const bool bad = bytes == 0 || is_control(text, i);
    const auto taken = bad ? std::size_t{1} : bytes;
    if (shown.size() + taken > message_bytes_max) break;
    shown += bad ? std::string_view("?") : text.substr(i, taken);
    i += taken;
  }
  return shown;
}

}  // namespace tidemark::nbd
