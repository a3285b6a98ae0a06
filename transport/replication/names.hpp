// What counts as a name of a node or a volume on the wire.
#pragma once

#include <algorithm>
#include <string_view>

#include "transport/replication/frame.hpp"

namespace tidemark::transport {

/// 1 to 64 of [A-Za-z0-9._-], starting with a letter or digit.
inline bool is_name(std::string_view text) {
  const auto plain = [](char c) {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9');
  };
  const auto fits = [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= name_bytes_max && plain(text.front()) &&
         std::all_of(text.begin(), text.end(), fits);
}

}  // namespace tidemark::transport
