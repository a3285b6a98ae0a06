#include "engine/scrub.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "engine/record/checksum.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint8_t scrub_format = 2;
constexpr std::size_t scrub_value_bytes = 37;

std::uint32_t scrub_crc(std::string_view fields) {
  return crc32c(std::as_bytes(std::span(fields.data(), fields.size())));
}

void put_number(std::string& to, std::uint64_t value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  to.append(bytes, sizeof bytes);
}

std::uint64_t scrub_number_at(std::string_view value, std::size_t at) {
  std::uint64_t number = 0;
  std::memcpy(&number, value.data() + at, sizeof number);
  return number;
}

}  // namespace

std::string_view to_string(ScrubState state) {
  switch (state) {
    case ScrubState::idle:
      return "idle";
    case ScrubState::log:
      return "log";
    case ScrubState::blocks:
      return "blocks";
    case ScrubState::repairing:
      return "repairing";
    case ScrubState::finished:
      return "finished";
    case ScrubState::stopped:
      return "stopped";
  }
  return "unknown";
}

std::uint64_t scrub_pause(std::uint64_t bytes, std::uint64_t rate) {
  // Nobody reads 16 GiB at once, so this does not overflow.
  return bytes * second / std::max(rate, scrub_rate_min);
}

std::string encode_scrub(const ScrubPlace& place) {
  std::string fields(1, static_cast<char>(scrub_format));
  put_number(fields, place.rate);
  put_number(fields, place.next.value);
  put_number(fields, place.damaged);
  put_number(fields, place.round);
  const auto crc = scrub_crc(fields);
  std::string value(sizeof crc, '\0');
  std::memcpy(value.data(), &crc, sizeof crc);
  return value + fields;
}

std::optional<ScrubPlace> decode_scrub(std::string_view value) {
  if (value.size() != scrub_value_bytes || value[4] != static_cast<char>(scrub_format))
    return std::nullopt;
  std::uint32_t crc = 0;
  std::memcpy(&crc, value.data(), sizeof crc);
  if (crc != scrub_crc(value.substr(sizeof crc))) return std::nullopt;
  return ScrubPlace{scrub_number_at(value, 5), BlockIndex(scrub_number_at(value, 13)),
                    scrub_number_at(value, 21), scrub_number_at(value, 29)};
}

}  // namespace tidemark::engine
