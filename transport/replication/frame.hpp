// The frame: how one message stands on a connection, and the table of all of them.
//
//   header (32 bytes) | head (the message's fields) | body (whole blocks; Records, BaseBlocks only)
//
// A header is judged before one byte is allocated for what it announces: its own CRC first, then
// the bounds of its type. The head has a CRC; every block of a body has its checksum, in the head.
// So each byte of a frame is covered once. Byte layouts and golden bytes: docs/PROTOCOL.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/messages.hpp"
#include "engine/result.hpp"

namespace tidemark::transport {

/// The type byte of a frame. Numbers are never reused.
enum class FrameType : std::uint8_t {
  hello = 1,
  hello_ok = 2,
  refused = 3,
  probe = 16,
  facts = 17,
  ask_digest = 18,
  digest_is = 19,
  start_session = 20,
  session_ready = 21,
  records = 22,
  progress = 23,
  ack = 24,
  barrier = 25,
  barrier_reached = 26,
  touched = 27,
  touched_noted = 28,
  ask_digests = 29,
  digests = 30,
  base_blocks = 32,
  base_zeroes = 33,
  base_whole = 36,
  ask_base = 37,
  ask_base_sums = 38,
  base_sums = 39,
  ask_block = 42,
  block_is = 43,
  register_node = 48,
  registered = 49,
  assign = 50,
  assign_ack = 51,
  unassign = 52,
  unassign_ack = 53,
  heartbeat = 54,
  propose_set = 55,
  set_decided = 56,
  fence = 57,
  promise = 58,
  admin_ask = 59,
  admin_reply = 60,
  configured = 61,
};

// Longest strings and lists that a frame can carry.
inline constexpr std::size_t endpoint_bytes_max = 255;
inline constexpr std::size_t text_bytes_max = 512;  ///< Reasons; longer ones are cut when encoded.
inline constexpr std::size_t members_max = engine::epoch_members_max;
inline constexpr std::size_t admin_method_bytes_max = 16;
inline constexpr std::size_t admin_path_bytes_max = 8192;
inline constexpr std::size_t admin_body_bytes_max = std::size_t{4} << 20;

/// When and in which direction a type may travel; docs/PROTOCOL.md shows the table.
enum Travels : std::uint16_t {
  greeting_connector = 0x001,  ///< The first frame of the side that connected.
  greeting_acceptor = 0x002,   ///< Before any Hello was read.
  answering_acceptor = 0x004,  ///< The answer to a Hello.
  records_connector = 0x008,
  records_acceptor = 0x010,
  bulk_connector = 0x020,
  bulk_acceptor = 0x040,
  control_connector = 0x080,
  control_acceptor = 0x100,
  open_any = 0x1f8,  ///< Any connection whose Hello was accepted, either way.
};

/// What is fixed per type. Sizes are bytes.
struct FrameRule {
  FrameType type;
  std::string_view name;  ///< The message's name, as engine::name gives it.
  std::uint32_t head_min;
  std::uint32_t head_max;
  std::uint32_t body_max;
  std::uint16_t travels;  ///< Travels, combined.
};

// 40 bytes of numbers, one of a flag, two of count, then at most 1024 record heads.
inline constexpr std::uint32_t records_head_bytes_min =
    43 + static_cast<std::uint32_t>(engine::record_header_bytes);
inline constexpr std::uint32_t records_head_bytes_max =
    43 + engine::records_per_frame_max * static_cast<std::uint32_t>(engine::record_head_bytes_max);
// 56 bytes of numbers, then a checksum per block.
inline constexpr std::uint32_t base_head_bytes_min = 56 + 8;
inline constexpr std::uint32_t base_head_bytes_max = 56 + 8 * engine::base_blocks_max;
inline constexpr std::uint32_t base_body_bytes_max = engine::base_blocks_max * engine::block_bytes;

/// One row per message, in the order of engine::Message: the protocol at a glance. codec.cpp
/// asserts that the sizes are those of the fields.
inline constexpr auto frame_rules = std::to_array<FrameRule>({
    {FrameType::hello, "hello", 95, 159, 0, greeting_connector},
    {FrameType::hello_ok, "hello_ok", 28, 92, 0, answering_acceptor},
    {FrameType::refused, "refused", 11, 523, 0, greeting_acceptor | answering_acceptor | open_any},

    {FrameType::probe, "probe", 32, 32, 0, records_connector},
    {FrameType::facts, "facts", 102, 3966, 0, records_acceptor},
    {FrameType::ask_digest, "ask_digest", 40, 40, 0, records_connector},
    {FrameType::digest_is, "digest_is", 41, 57, 0, records_acceptor},
    {FrameType::start_session, "start_session", 115, 3963, 0, records_connector},
    {FrameType::touched, "touched", 35, 65571, 0, records_connector},
    {FrameType::touched_noted, "touched_noted", 32, 32, 0, records_acceptor},
    {FrameType::session_ready, "session_ready", 48, 48, 0, records_acceptor},
    {FrameType::records, "records", records_head_bytes_min, records_head_bytes_max,
     engine::records_frame_bytes_max, records_connector},
    {FrameType::progress, "progress", 40, 40, 0, records_connector},
    {FrameType::ack, "ack", 72, 72, 0, records_acceptor},
    {FrameType::barrier, "barrier", 40, 40, 0, records_connector},
    {FrameType::barrier_reached, "barrier_reached", 40, 40, 0, records_acceptor},

    {FrameType::ask_base, "ask_base", 34, 4130, 0, bulk_acceptor},
    {FrameType::base_blocks, "base_blocks", base_head_bytes_min, base_head_bytes_max,
     base_body_bytes_max, bulk_connector},
    {FrameType::base_zeroes, "base_zeroes", 56, 56, 0, bulk_connector},
    {FrameType::base_whole, "base_whole", 40, 40, 0, bulk_acceptor},

    {FrameType::register_node, "register", 31, 605, 0, control_connector},
    {FrameType::registered, "registered", 16, 16, 0, control_acceptor},
    {FrameType::assign, "assign", 91, 10360, 0, control_acceptor},
    {FrameType::assign_ack, "assign_ack", 32, 32, 0, control_connector},
    {FrameType::unassign, "unassign", 24, 24, 0, control_acceptor},
    {FrameType::unassign_ack, "unassign_ack", 24, 24, 0, control_connector},
    {FrameType::heartbeat, "heartbeat", 8, 8, 0, control_connector | control_acceptor},
    {FrameType::propose_set, "propose_set", 43, 811, 0, control_connector},
    {FrameType::set_decided, "set_decided", 44, 812, 0, control_acceptor},
    {FrameType::fence, "fence", 32, 32, 0, control_acceptor},
    {FrameType::promise, "promise", 86, 598, 0, control_connector},
    {FrameType::admin_ask, "admin_ask", 18, 4'202'594, 0, control_connector | control_acceptor},
    {FrameType::admin_reply, "admin_reply", 14, 4'194'318, 0, control_connector | control_acceptor},
    {FrameType::configured, "configured", 53, 53, 0, control_connector},

    {FrameType::ask_digests, "ask_digests", 33, 545, 0, records_connector},
    {FrameType::digests, "digests", 41, 1577, 0, records_acceptor},
    {FrameType::ask_base_sums, "ask_base_sums", 50, 4146, 0, bulk_acceptor},
    {FrameType::base_sums, "base_sums", 44, 8748, 0, bulk_connector},

    {FrameType::ask_block, "ask_block", 48, 48, 0, records_connector | records_acceptor},
    {FrameType::block_is, "block_is", 65, 65, engine::block_bytes,
     records_connector | records_acceptor},
});
static_assert(frame_rules.size() == std::variant_size_v<engine::Message>);

/// The rule of a type byte; nullptr for one that no message has.
constexpr const FrameRule* find_rule(std::uint8_t type) {
  for (const auto& rule : frame_rules) {
    if (static_cast<std::uint8_t>(rule.type) == type) return &rule;
  }
  return nullptr;
}
constexpr const FrameRule& rule_of(FrameType type) {
  return *find_rule(static_cast<std::uint8_t>(type));
}
inline FrameType type_of(const engine::Message& message) {
  return frame_rules[message.index()].type;
}

inline constexpr std::size_t frame_header_bytes = 32;
inline constexpr std::uint32_t frame_magic = 0x314d4454;  ///< "TDM1" as it stands on the wire.

/// A header that was judged: its type is known and its sizes lie within the bounds of that type.
struct FrameHeader {
  FrameType type = FrameType::refused;
  std::uint32_t head_bytes = 0;
  std::uint32_t body_bytes = 0;
  std::uint32_t head_crc = 0;
};

std::array<std::byte, frame_header_bytes> encode_header(const FrameHeader& header);
/// Errc::invalid says what the header claims and what it may.
engine::Result<FrameHeader> decode_header(std::span<const std::byte, frame_header_bytes> bytes);

}  // namespace tidemark::transport
