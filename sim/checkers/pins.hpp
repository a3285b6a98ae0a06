// At rest no session needs the log: a pin that is left keeps segments from being used again, one more with each session.
#pragma once

#include <cstddef>
#include <string_view>

namespace tidemark::sim {

/// How many sessions hold pins, by what a node tells of itself (GET /v1/local).
inline std::size_t sessions_with_pins(std::string_view local) {
  constexpr std::string_view field = "\"pins\":[";
  std::size_t found = 0;
  for (auto at = local.find(field); at != std::string_view::npos; at = local.find(field, at + 1)) {
    const auto behind = at + field.size();
    if (behind < local.size() && local[behind] != ']') ++found;
  }
  return found;
}

}  // namespace tidemark::sim
