#include "transport/replication/codec.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "engine/check.hpp"
#include "engine/record/checksum.hpp"
#include "transport/replication/codec_bulk.hpp"
#include "transport/replication/layouts_control.hpp"

namespace tidemark::transport {
namespace {

using namespace engine;
using wire::Reader;
using wire::Wire;
using wire::Writer;

// --- the table says what the layouts say ---------------------------------------------------------

template <class M>
constexpr bool has_tail = std::is_same_v<M, Records> || std::is_same_v<M, BaseBlocks>;
template <class M>
constexpr bool has_body = has_tail<M> || std::is_same_v<M, BlockIs>;

template <std::size_t Index>
constexpr bool row_is_true() {
  using M = std::variant_alternative_t<Index, Message>;
  constexpr const auto& rule = frame_rules[Index];
  if (has_body<M> != (rule.body_max > 0)) return false;
  if (has_tail<M>) return rule.head_min > Wire<M>::max;
  return rule.head_min == Wire<M>::min && rule.head_max == Wire<M>::max;
}
template <std::size_t... Index>
constexpr bool rows_are_true(std::index_sequence<Index...>) {
  return (row_is_true<Index>() && ...);
}
constexpr auto every_index = std::make_index_sequence<std::variant_size_v<Message>>();
static_assert(rows_are_true(every_index), "frame_rules disagrees with the layouts");

// --- encode --------------------------------------------------------------------------------------

// More than this is not reserved in advance: only Records and admin bodies are larger.
constexpr std::size_t reserved_bytes_max = 1024;

AdminReply too_large(const AdminReply& reply) {
  return {
      reply.id, 500,
      fmt::format(R"({{"error": "the answer has {} bytes, a message between nodes carries {}"}})",
                  reply.body.size(), admin_body_bytes_max)};
}

template <class M>
void put(const M& message, Frame& frame) {
  if constexpr (has_body<M>) {
    put_bulk(message, frame);
  } else if constexpr (std::is_same_v<M, AdminReply>) {
    const bool fits = message.body.size() <= admin_body_bytes_max;
    Wire<M>::put(frame.head, fits ? message : too_large(message));
  } else {
    Wire<M>::put(frame.head, message);
  }
}

void seal(FrameType type, Frame& frame) {
  const auto head = std::span<const std::byte>(frame.head).subspan(frame_header_bytes);
  const FrameHeader header{type, static_cast<std::uint32_t>(head.size()),
                           static_cast<std::uint32_t>(frame.body_bytes()), crc32c(head)};
  const auto& rule = rule_of(type);
  CHECK(rule.head_min <= header.head_bytes && header.head_bytes <= rule.head_max);
  CHECK(header.body_bytes <= rule.body_max && header.body_bytes % block_bytes == 0);
  const auto bytes = encode_header(header);
  std::memcpy(frame.head.data(), bytes.data(), bytes.size());
}

// --- decode --------------------------------------------------------------------------------------

using Decoder = Result<Message> (*)(std::span<const std::byte>, Slice, std::optional<VolumeKey>);

template <std::size_t Index>
Result<Message> get(std::span<const std::byte> head, Slice body, std::optional<VolumeKey> volume) {
  using M = std::variant_alternative_t<Index, Message>;
  if constexpr (has_body<M>) {
    return get_bulk(std::type_identity<M>{}, head, std::move(body), volume);
  } else {
    Reader reader(head);
    M message;
    Wire<M>::get(reader, message);
    if (const char* flaw = reader.flaw()) return malformed(frame_rules[Index].name, flaw);
    return Message(std::move(message));
  }
}

template <std::size_t... Index>
constexpr auto make_decoders(std::index_sequence<Index...>) {
  return std::array<Decoder, sizeof...(Index)>{get<Index>...};
}
constexpr auto decoders = make_decoders(every_index);

}  // namespace

std::size_t Frame::body_bytes() const {
  std::size_t sum = 0;
  for (const auto& slice : body) sum += slice.size();
  return sum;
}

void encode(const Message& message, Frame& frame) {
  const auto type = type_of(message);
  frame.head.reserve(frame_header_bytes +
                     std::min<std::size_t>(rule_of(type).head_max, reserved_bytes_max));
  frame.head.assign(frame_header_bytes, std::byte{0});
  frame.body.clear();
  std::visit([&](const auto& m) { put(m, frame); }, message);
  seal(type, frame);
}

Frame encode(const Message& message) {
  Frame frame;
  encode(message, frame);
  return frame;
}

Result<Message> decode(const FrameHeader& header, std::span<const std::byte> head, Slice body,
                       std::optional<VolumeKey> volume) {
  const auto& rule = rule_of(header.type);
  if (head.size() != header.head_bytes || body.size() != header.body_bytes) {
    return malformed(rule.name, "is not of the size that its header announced");
  }
  if (crc32c(head) != header.head_crc) return malformed(rule.name, "fails its head's crc");
  const auto index = static_cast<std::size_t>(&rule - frame_rules.data());
  return decoders[index](head, std::move(body), volume);
}

Slice joined(const std::vector<Slice>& body) {
  if (body.empty()) return {};
  if (body.size() == 1) return body.front();
  std::size_t bytes = 0;
  for (const auto& slice : body) bytes += slice.size();
  Buffer buffer(bytes);
  auto* to = buffer.data();
  for (const auto& slice : body) {
    std::memcpy(to, slice.data(), slice.size());
    to += slice.size();
  }
  return std::move(buffer).freeze();
}

Result<Message> decode(const Frame& frame, std::optional<VolumeKey> volume) {
  CHECK(frame.head.size() >= frame_header_bytes);
  const std::span<const std::byte> bytes(frame.head);
  const auto header = decode_header(bytes.first<frame_header_bytes>());
  if (!header) return header.error();
  return decode(*header, bytes.subspan(frame_header_bytes), joined(frame.body), volume);
}

}  // namespace tidemark::transport
