// The numbers of the NBD protocol, and the only way its fields are read and written.
//
//   client                                server
//     | <--- NBDMAGIC IHAVEOPT flags ------ |   greeting
//     | ---- client flags ----------------> |
//     | ---- IHAVEOPT option length data -> |   haggling: handshake.hpp
//     | <--- option replies --------------- |
//     | ---- request (28 bytes) [payload] > |   transmission: requests.hpp
//     | <--- simple or structured reply --- |                 replies.hpp
//
// Source: doc/proto.md of NetworkBlockDevice/nbd (fixed newstyle, structured replies, block
// status). All fields are big endian.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace tidemark::nbd {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline constexpr std::uint64_t greeting_magic = 0x4e42444d41474943;  // "NBDMAGIC"
inline constexpr std::uint64_t option_magic = 0x49484156454f5054;    // "IHAVEOPT"
inline constexpr std::uint64_t option_reply_magic = 0x0003e889045565a9;
inline constexpr std::uint32_t request_magic = 0x25609513;
inline constexpr std::uint32_t simple_reply_magic = 0x67446698;
inline constexpr std::uint32_t structured_reply_magic = 0x668e33ef;

// Fixed sizes: magic and fields as the protocol lists them.
inline constexpr std::size_t greeting_bytes = 8 + 8 + 2;
inline constexpr std::size_t client_flags_bytes = 4;
inline constexpr std::size_t option_header_bytes = 8 + 4 + 4;
inline constexpr std::size_t option_reply_header_bytes = 8 + 4 + 4 + 4;
inline constexpr std::size_t export_name_reply_bytes = 8 + 2;
inline constexpr std::size_t export_name_padding_bytes = 124;
inline constexpr std::size_t request_header_bytes = 4 + 2 + 2 + 8 + 8 + 4;
inline constexpr std::size_t simple_reply_header_bytes = 4 + 4 + 8;
inline constexpr std::size_t chunk_header_bytes = 4 + 2 + 2 + 8 + 4;
inline constexpr std::size_t extent_bytes = 4 + 4;
static_assert(option_header_bytes == 16);
static_assert(option_reply_header_bytes == 20);
static_assert(request_header_bytes == 28);
static_assert(simple_reply_header_bytes == 16);
static_assert(chunk_header_bytes == 20);

/// Longest string of the protocol, in bytes.
inline constexpr std::size_t string_bytes_max = 4096;
/// Longest READ and WRITE. Clients that cannot ask assume that 32 MiB are safe, so less would break
/// them and more would only be memory at a stranger's disposal.
inline constexpr std::uint32_t payload_bytes_max = std::uint32_t{32} << 20;
inline constexpr std::uint32_t block_bytes_min = 1;
inline constexpr std::uint32_t block_bytes_preferred = 4096;

namespace handshake_flag {
inline constexpr std::uint16_t fixed_newstyle = 1 << 0;
inline constexpr std::uint16_t no_zeroes = 1 << 1;
}  // namespace handshake_flag

namespace transmission_flag {
inline constexpr std::uint16_t has_flags = 1 << 0;
inline constexpr std::uint16_t read_only = 1 << 1;
inline constexpr std::uint16_t send_flush = 1 << 2;
inline constexpr std::uint16_t send_fua = 1 << 3;
inline constexpr std::uint16_t send_trim = 1 << 5;
inline constexpr std::uint16_t send_write_zeroes = 1 << 6;
inline constexpr std::uint16_t send_df = 1 << 7;
inline constexpr std::uint16_t can_multi_conn = 1 << 8;
inline constexpr std::uint16_t send_cache = 1 << 10;
inline constexpr std::uint16_t send_fast_zero = 1 << 11;
}  // namespace transmission_flag

namespace command_flag {
inline constexpr std::uint16_t fua = 1 << 0;
inline constexpr std::uint16_t no_hole = 1 << 1;
inline constexpr std::uint16_t df = 1 << 2;  ///< "Don't fragment": one content chunk.
inline constexpr std::uint16_t req_one = 1 << 3;
inline constexpr std::uint16_t fast_zero = 1 << 4;
}  // namespace command_flag

namespace state_flag {
inline constexpr std::uint32_t hole = 1 << 0;
inline constexpr std::uint32_t zero = 1 << 1;
}  // namespace state_flag

inline constexpr std::uint16_t reply_flag_done = 1 << 0;

enum class Option : std::uint32_t {
  export_name = 1,
  abort = 2,
  list = 3,
  starttls = 5,
  info = 6,
  go = 7,
  structured_reply = 8,
  list_meta_context = 9,
  set_meta_context = 10,
};

enum class OptionReply : std::uint32_t {
  ack = 1,
  server = 2,
  info = 3,
  meta_context = 4,
  err_unsup = 0x80000001,
  err_policy = 0x80000002,
  err_invalid = 0x80000003,
  err_unknown = 0x80000006,
  err_shutdown = 0x80000007,
  err_too_big = 0x80000009,
};

enum class Info : std::uint16_t { export_ = 0, name = 1, description = 2, block_size = 3 };

enum class Command : std::uint16_t {
  read = 0,
  write = 1,
  disc = 2,
  flush = 3,
  trim = 4,
  cache = 5,
  write_zeroes = 6,
  block_status = 7,
};

enum class Chunk : std::uint16_t {
  none = 0,
  offset_data = 1,
  offset_hole = 2,
  block_status = 5,
  error = 0x8001,
};

/// The error numbers of NBD that this server sends; they do not depend on the machine.
enum class ErrorCode : std::uint32_t {
  none = 0,
  eperm = 1,
  eio = 5,
  einval = 22,
  enospc = 28,
  eshutdown = 108,
};

/// The one metadata context of this server, and the id that selects it on the wire.
inline constexpr std::string_view base_allocation_name = "base:allocation";
inline constexpr std::uint32_t base_allocation_id = 1;

template <std::unsigned_integral T>
constexpr T big_endian(T value) {
  if constexpr (std::endian::native == std::endian::big || sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return static_cast<T>(__builtin_bswap16(value));
  } else if constexpr (sizeof(T) == 4) {
    return static_cast<T>(__builtin_bswap32(value));
  } else {
    return static_cast<T>(__builtin_bswap64(value));
  }
}

/// The big-endian number at `from`; the caller knows that it is there.
template <std::unsigned_integral T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return big_endian(value);
}

inline void append(Bytes& out, const void* from, std::size_t bytes) {
  const auto end = out.size();
  out.resize(end + bytes);
  if (bytes != 0) std::memcpy(out.data() + end, from, bytes);
}

template <std::unsigned_integral T>
void put(Bytes& out, T value) {
  const T wire = big_endian(value);
  append(out, &wire, sizeof wire);
}

inline void put(Bytes& out, std::string_view text) { append(out, text.data(), text.size()); }

/// Takes fields off the front of what a peer sent. Every length that a peer names goes through
/// here, so that no sum of untrusted numbers is ever computed elsewhere (nbd-server's
/// CVE-2022-26495 was such a sum).
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  std::size_t left() const { return bytes_.size(); }

  template <std::unsigned_integral T>
  std::optional<T> take() {
    if (bytes_.size() < sizeof(T)) return std::nullopt;
    const T value = load<T>(bytes_.data());
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }

  std::optional<std::string_view> text(std::size_t length) {
    if (bytes_.size() < length) return std::nullopt;
    const std::string_view value(reinterpret_cast<const char*>(bytes_.data()), length);
    bytes_ = bytes_.subspan(length);
    return value;
  }

  /// A 32-bit length and that many bytes.
  std::optional<std::string_view> counted_text() {
    const auto length = take<std::uint32_t>();
    if (!length) return std::nullopt;
    return text(*length);
  }

 private:
  ByteView bytes_;
};

}  // namespace tidemark::nbd
