#include "transport/replication/frame.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/record/checksum.hpp"

namespace tidemark::transport {
namespace {

using engine::Errc;
using engine::Error;

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t magic_at = 0;
constexpr std::size_t type_at = 4;
constexpr std::size_t zero_at = 5;  // flags (1) and reserved (2)
constexpr std::size_t zero_bytes = 3;
constexpr std::size_t head_bytes_at = 8;
constexpr std::size_t body_bytes_at = 12;
constexpr std::size_t header_crc_at = 16;
constexpr std::size_t head_crc_at = 20;
constexpr std::size_t reserved_at = 24;
constexpr std::size_t reserved_bytes = 8;
static_assert(zero_at + zero_bytes == head_bytes_at);
static_assert(reserved_at + reserved_bytes == frame_header_bytes);

using HeaderBytes = std::array<std::byte, frame_header_bytes>;

void store(HeaderBytes& to, std::size_t at, std::uint32_t value) {
  std::memcpy(to.data() + at, &value, sizeof value);
}
std::uint32_t load(std::span<const std::byte, frame_header_bytes> from, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, from.data() + at, sizeof value);
  return value;
}

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

Error malformed(std::string text) { return {Errc::invalid, "frame header: " + std::move(text)}; }

/// The CRC over the header with the CRC's own field zero.
std::uint32_t crc_of(std::span<const std::byte, frame_header_bytes> bytes) {
  HeaderBytes copy;
  std::copy(bytes.begin(), bytes.end(), copy.begin());
  store(copy, header_crc_at, 0);
  return engine::crc32c(copy);
}

engine::Status within_bounds(const FrameRule& rule, const FrameHeader& h) {
  if (h.head_bytes < rule.head_min || h.head_bytes > rule.head_max) {
    return malformed(fmt::format("{} with a head of {} bytes, {} to {} are possible", rule.name,
                                 h.head_bytes, rule.head_min, rule.head_max));
  }
  if (h.body_bytes > rule.body_max || h.body_bytes % engine::block_bytes != 0) {
    return malformed(fmt::format("{} with a body of {} bytes, whole blocks up to {} are possible",
                                 rule.name, h.body_bytes, rule.body_max));
  }
  return engine::Done{};
}

}  // namespace

HeaderBytes encode_header(const FrameHeader& header) {
  HeaderBytes bytes{};
  store(bytes, magic_at, frame_magic);
  bytes[type_at] = static_cast<std::byte>(header.type);
  store(bytes, head_bytes_at, header.head_bytes);
  store(bytes, body_bytes_at, header.body_bytes);
  store(bytes, head_crc_at, header.head_crc);
  store(bytes, header_crc_at, crc_of(bytes));
  return bytes;
}

engine::Result<FrameHeader> decode_header(std::span<const std::byte, frame_header_bytes> bytes) {
  if (const auto magic = load(bytes, magic_at); magic != frame_magic) {
    return malformed(
        fmt::format("begins with {:08x} instead of {:08x}: not a tidemark peer, or out of step",
                    magic, frame_magic));
  }
  const auto claimed = load(bytes, header_crc_at);
  if (const auto found = crc_of(bytes); found != claimed) {
    return malformed(fmt::format("has crc {:08x} and claims {:08x}", found, claimed));
  }
  const auto type = std::to_integer<std::uint8_t>(bytes[type_at]);
  const auto* rule = find_rule(type);
  if (rule == nullptr) return malformed(fmt::format("is of unknown type {}", type));
  if (!all_zero(bytes.subspan(zero_at, zero_bytes)) ||
      !all_zero(bytes.subspan(reserved_at, reserved_bytes))) {
    return malformed(fmt::format("of {} has reserved bytes set", rule->name));
  }
  FrameHeader header{rule->type, load(bytes, head_bytes_at), load(bytes, body_bytes_at),
                     load(bytes, head_crc_at)};
  if (auto fits = within_bounds(*rule, header); !fits) return fits.error();
  return header;
}

}  // namespace tidemark::transport
