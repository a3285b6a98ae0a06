#include "transport/nbd/text.hpp"

#include "engine/text.hpp"

namespace tidemark::nbd {

namespace {

using engine::character_bytes;

bool is_control(char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }

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
    const bool bad = bytes == 0 || is_control(text[i]);
    const auto taken = bad ? std::size_t{1} : bytes;
    if (shown.size() + taken > message_bytes_max) break;
    shown += bad ? std::string_view("?") : text.substr(i, taken);
    i += taken;
  }
  return shown;
}

}  // namespace tidemark::nbd
