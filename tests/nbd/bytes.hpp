// Bytes as a client writes them and as a test reads them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "transport/nbd/wire.hpp"

namespace tidemark::nbd::testing {

/// Fields in wire order: wire(std::uint32_t{1}, "text", std::uint16_t{2}).
template <class... Fields>
Bytes wire(const Fields&... fields) {
  Bytes out;
  (put(out, fields), ...);
  return out;
}

inline Bytes operator+(Bytes a, const Bytes& b) {
  append(a, b.data(), b.size());
  return a;
}

/// "00ff 12" -> bytes; blanks are for the eye.
inline Bytes hex(std::string_view digits) {
  Bytes out;
  std::string pair;
  for (const char c : digits) {
    if (c == ' ' || c == '\n') continue;
    pair += c;
    if (pair.size() < 2) continue;
    out.push_back(static_cast<std::byte>(std::stoi(pair, nullptr, 16)));
    pair.clear();
  }
  return out;
}

inline std::string to_hex(ByteView bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const auto b : bytes) {
    out += digits[static_cast<std::size_t>(b) >> 4];
    out += digits[static_cast<std::size_t>(b) & 15];
  }
  return out;
}

inline std::string text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes option(Option option, const Bytes& data = {}) {
  return wire(option_magic, static_cast<std::uint32_t>(option),
              static_cast<std::uint32_t>(data.size())) +
         data;
}

/// INFO's and GO's data.
inline Bytes info_data(std::string_view name, std::initializer_list<std::uint16_t> infos = {}) {
  auto data =
      wire(static_cast<std::uint32_t>(name.size()), name, static_cast<std::uint16_t>(infos.size()));
  for (const auto info : infos) put(data, info);
  return data;
}

inline Bytes context_data(std::string_view name, std::initializer_list<std::string_view> queries) {
  auto data = wire(static_cast<std::uint32_t>(name.size()), name,
                   static_cast<std::uint32_t>(queries.size()));
  for (const auto query : queries) {
    put(data, static_cast<std::uint32_t>(query.size()));
    put(data, query);
  }
  return data;
}

inline Bytes request(Command command, std::uint64_t cookie, std::uint64_t offset,
                     std::uint32_t length, std::uint16_t flags = 0) {
  return wire(request_magic, flags, static_cast<std::uint16_t>(command), cookie, offset, length);
}

inline const Bytes client_flags = wire(std::uint32_t{3});

}  // namespace tidemark::nbd::testing
