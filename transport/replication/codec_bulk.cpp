#include "transport/replication/codec_bulk.hpp"

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/record/checksum.hpp"
#include "transport/replication/layouts.hpp"

namespace tidemark::transport {
namespace {

using namespace engine;
using wire::Reader;
using wire::Wire;

static_assert(records_head_bytes_min ==
              Wire<Records>::max + sizeof(std::uint16_t) + record_header_bytes);
static_assert(base_head_bytes_min == Wire<BaseBlocks>::max + sizeof(BlockSum));
static_assert(records_per_frame_max <= 0xffff);

constexpr const char* no_volume = "came on a connection that names no volume";

/// Takes the head of the next record, whole.
Result<std::span<const std::byte>> take_record_head(Reader& reader) {
  auto peek = reader;
  const auto fixed = peek.take(record_header_bytes);
  if (peek.failed()) return malformed("records", "ends inside a record's header");
  const auto tail = record_head_bytes(fixed);
  if (!tail) return tail.error();
  const auto head = reader.take(record_header_bytes + *tail);
  if (reader.failed()) return malformed("records", "ends inside a record's head");
  return head;
}

/// Takes the next record and its part of the body.
Result<RecordPtr> take_record(Reader& reader, const Slice& body, std::size_t& body_used,
                              VolumeKey volume) {
  const auto head = take_record_head(reader);
  if (!head) return head.error();
  const auto header = engine::decode_header(volume, *head);
  if (!header) return header.error();
  if (header->payload_bytes > body.size() - body_used) {
    return malformed("records",
                     fmt::format("the payload of lsn {} lies beyond the body", header->lsn));
  }
  auto payload = header->payload_bytes == 0 ? Slice{} : body.part(body_used, header->payload_bytes);
  body_used += header->payload_bytes;
  return decode_record(volume, *head, std::move(payload));
}

/// Every block against its sum.
Status verify(const BaseBlocks& blocks, VolumeKey volume) {
  for (std::size_t i = 0; i < blocks.sums.size(); ++i) {
    const auto block = blocks.range.first + i;
    const auto content = blocks.data.bytes().subspan(i * block_bytes, block_bytes);
    const auto found = block_sum(volume, block, content);
    if (found != blocks.sums[i]) {
      return Error{Errc::corrupt,
                   fmt::format("base_blocks: block {} has checksum {:016x}, the head says {:016x}",
                               block, found, blocks.sums[i])};
    }
  }
  return Done{};
}

}  // namespace

Error malformed(std::string_view name, std::string_view flaw) {
  return {Errc::invalid, fmt::format("{}: {}", name, flaw)};
}

void put_bulk(const Records& message, Frame& frame) {
  CHECK(!message.records.empty());
  CHECK(message.records.size() <= records_per_frame_max);
  Wire<Records>::put(frame.head, message);
  Wire<std::uint16_t>::put(frame.head, static_cast<std::uint16_t>(message.records.size()));
  for (const auto& record : message.records) {
    CHECK(record);
    const auto head = record->head();
    frame.head.insert(frame.head.end(), head.begin(), head.end());
    if (!record->payload().empty()) frame.body.push_back(record->payload());
  }
}

Result<Message> get_bulk(std::type_identity<Records>, std::span<const std::byte> head, Slice body,
                         std::optional<VolumeKey> volume) {
  if (!volume) return malformed("records", no_volume);
  Reader reader(head);
  Records message;
  std::uint16_t count = 0;
  Wire<Records>::get(reader, message);
  Wire<std::uint16_t>::get(reader, count);
  if (reader.failed()) return malformed("records", reader.flaw());
  if (count == 0 || count > records_per_frame_max)
    return malformed("records", "has an impossible count");
  message.records.reserve(count);
  std::size_t body_used = 0;
  for (std::uint16_t i = 0; i < count; ++i) {
    auto record = take_record(reader, body, body_used, *volume);
    if (!record) return record.error();
    message.records.push_back(std::move(record).value());
  }
  if (reader.flaw() != nullptr) return malformed("records", reader.flaw());
  if (body_used != body.size()) return malformed("records", "has body that no record names");
  return Message(std::move(message));
}

void put_bulk(const BaseBlocks& message, Frame& frame) {
  CHECK(message.range.count >= 1 && message.range.count <= base_blocks_max);
  CHECK(message.sums.size() == message.range.count);
  CHECK(message.data.size() == message.range.count * block_bytes);
  Wire<BaseBlocks>::put(frame.head, message);
  for (const auto sum : message.sums) Wire<std::uint64_t>::put(frame.head, sum);
  frame.body.push_back(message.data);
}

Result<Message> get_bulk(std::type_identity<BaseBlocks>, std::span<const std::byte> head,
                         Slice body, std::optional<VolumeKey> volume) {
  if (!volume) return malformed("base_blocks", no_volume);
  Reader reader(head);
  BaseBlocks message;
  Wire<BaseBlocks>::get(reader, message);
  if (reader.failed()) return malformed("base_blocks", reader.flaw());
  if (message.range.count > base_blocks_max)
    return malformed("base_blocks", "names too many blocks");
  if (body.size() != message.range.count * block_bytes) {
    return malformed("base_blocks", "has a body that is not its blocks");
  }
  message.sums.resize(message.range.count);
  for (auto& sum : message.sums) Wire<std::uint64_t>::get(reader, sum);
  if (reader.flaw() != nullptr) return malformed("base_blocks", reader.flaw());
  message.data = std::move(body);
  if (auto whole = verify(message, *volume); !whole) return whole.error();
  return Message(std::move(message));
}

void put_bulk(const BlockIs& message, Frame& frame) {
  const auto& copy = message.copy;
  CHECK(copy.data.size() == (copy.state == CopyState::data ? block_bytes : 0));
  CHECK(copy.state == CopyState::data || copy.sum == no_block);
  Wire<BlockIs>::put(frame.head, message);
  if (!copy.data.empty()) frame.body.push_back(copy.data);
}

Result<Message> get_bulk(std::type_identity<BlockIs>, std::span<const std::byte> head, Slice body,
                         std::optional<VolumeKey> volume) {
  if (!volume) return malformed("block_is", no_volume);
  Reader reader(head);
  BlockIs message;
  Wire<BlockIs>::get(reader, message);
  if (reader.flaw() != nullptr) return malformed("block_is", reader.flaw());
  auto& copy = message.copy;
  const bool data = copy.state == CopyState::data;
  if (body.size() != (data ? block_bytes : 0)) {
    return malformed("block_is", "has a body that is not its block");
  }
  if (!data && copy.sum != no_block) return malformed("block_is", "has a checksum of nothing");
  if (data && block_sum(*volume, copy.block, body.bytes()) != copy.sum) {
    return Error{Errc::corrupt,
                 fmt::format("block_is: block {} does not match its checksum", copy.block)};
  }
  copy.data = std::move(body);
  return Message(std::move(message));
}

}  // namespace tidemark::transport
