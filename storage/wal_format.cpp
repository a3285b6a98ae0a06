#include "storage/wal_format.hpp"

#include <algorithm>
#include <cstring>

#include "engine/check.hpp"
#include "storage/bytes.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::Errc;
using engine::Error;
using engine::Lsn;

constexpr std::uint64_t segment_magic = 0x3147455357444954;  // "TIDWSEG1"
constexpr std::uint32_t batch_magic = 0x31424d54;            // "TMB1"

// Offsets within a batch header. The CRC at 0 covers the header behind it,
// that at 4 all record heads.
constexpr std::size_t header_crc_at = 0;
constexpr std::size_t heads_crc_at = 4;
constexpr std::size_t magic_at = 8;
constexpr std::size_t count_at = 12;
constexpr std::size_t volume_at = 16;
constexpr std::size_t sequence_at = 24;
constexpr std::size_t offset_at = 32;
constexpr std::size_t first_at = 40;
constexpr std::size_t durable_at = 48;
constexpr std::size_t committed_at = 56;
constexpr std::size_t before_high_at = 64;
constexpr std::size_t before_low_at = 72;
constexpr std::size_t payload_bytes_at = 80;
constexpr std::size_t head_bytes_at = 88;
constexpr std::size_t chunk_first_at = 92;
constexpr std::size_t chunk_bytes_at = 100;
constexpr std::size_t span_next_at = 108;
static_assert(span_next_at + sizeof(std::uint32_t) <= engine::batch_header_bytes);

template <class T>
T load(std::span<const std::byte> from, std::size_t at) {
  T value;
  std::memcpy(&value, from.data() + at, sizeof value);
  return value;
}
template <class T>
void store(std::span<std::byte> to, std::size_t at, T value) {
  std::memcpy(to.data() + at, &value, sizeof value);
}

std::uint32_t crc_of_header(std::span<const std::byte> head) {
  return engine::crc32c(head.subspan(heads_crc_at, engine::batch_header_bytes - heads_crc_at));
}

}  // namespace

engine::Buffer encode_segment_header(const SegmentHeader& h) {
  ByteWriter w;
  w.put(segment_magic);
  w.put(wal_format_version);
  w.put(h.volume);
  w.put(h.replica.value);
  w.put(h.sequence.value);
  w.put(h.first.value);
  w.put(h.before);
  w.put(h.chunk_first.value);
  w.put(h.chunk_bytes);
  w.put(h.durable.value);
  w.put(h.segment_bytes);
  auto block = engine::Buffer::zeroed(block_bytes);
  store(block.bytes(), 0, engine::crc32c(w.bytes()));
  std::memcpy(block.data() + sizeof(std::uint32_t), w.bytes().data(), w.bytes().size());
  return block;
}

std::optional<SegmentHeader> decode_segment_header(std::span<const std::byte> block) {
  constexpr std::size_t encoded_bytes = 8 + 4 + 16 + 8 + 8 + 8 + 16 + 8 + 8 + 8 + 8;
  static_assert(sizeof(std::uint32_t) + encoded_bytes == segment_header_used_bytes);
  if (block.size() < segment_header_used_bytes) return std::nullopt;
  const auto body = block.subspan(sizeof(std::uint32_t), encoded_bytes);
  if (load<std::uint32_t>(block, 0) != engine::crc32c(body)) return std::nullopt;
  ByteReader r(body);
  if (r.get<std::uint64_t>() != segment_magic) return std::nullopt;
  if (r.get<std::uint32_t>() != wal_format_version) return std::nullopt;
  SegmentHeader h;
  h.volume = r.uuid();
  h.replica = engine::ReplicaId(r.get<std::uint64_t>());
  h.sequence = SegmentSequence(r.get<std::uint64_t>());
  h.first = Lsn(r.get<std::uint64_t>());
  h.before = r.digest();
  h.chunk_first = Lsn(r.get<std::uint64_t>());
  h.chunk_bytes = r.get<std::uint64_t>();
  h.durable = Lsn(r.get<std::uint64_t>());
  h.segment_bytes = r.get<std::uint64_t>();
  return h;
}

std::optional<std::uint32_t> segment_header_version(std::span<const std::byte> block) {
  constexpr std::size_t version_at = sizeof(std::uint32_t) + sizeof(segment_magic);
  if (block.size() < version_at + sizeof(std::uint32_t)) return std::nullopt;
  if (load<std::uint64_t>(block, sizeof(std::uint32_t)) != segment_magic) return std::nullopt;
  return load<std::uint32_t>(block, version_at);
}

engine::Buffer encode_batch_head(engine::VolumeKey key, const BatchHeader& h,
                                 std::span<const engine::RecordPtr> records) {
  CHECK(h.count == records.size());
  CHECK(h.count > 0);
  engine::Buffer area(h.head_area());
  auto to = area.bytes();
  std::memset(to.data(), 0, engine::batch_header_bytes);
  auto at = engine::batch_header_bytes;
  for (const auto& record : records) {
    const auto head = record->head();
    std::memcpy(to.data() + at, head.data(), head.size());
    at += head.size();
  }
  CHECK(at == engine::batch_header_bytes + h.head_bytes);
  std::memset(to.data() + at, 0, to.size() - at);
  store(to, magic_at, batch_magic);
  store(to, count_at, h.count);
  store(to, volume_at, key.value());
  store(to, sequence_at, h.sequence.value);
  store(to, offset_at, h.offset);
  store(to, first_at, h.first.value);
  store(to, durable_at, h.durable.value);
  store(to, committed_at, h.committed.value);
  store(to, before_high_at, h.before.high);
  store(to, before_low_at, h.before.low);
  store(to, payload_bytes_at, h.payload_bytes);
  store(to, head_bytes_at, h.head_bytes);
  store(to, chunk_first_at, h.chunk_first.value);
  store(to, chunk_bytes_at, h.chunk_bytes);
  store(to, span_next_at, static_cast<std::uint32_t>(h.span_next / block_bytes));
  store(to, heads_crc_at, engine::crc32c(to.subspan(engine::batch_header_bytes, h.head_bytes)));
  store(to, header_crc_at, crc_of_header(to));
  return area;
}

std::optional<BatchHeader> decode_batch_header(engine::VolumeKey key,
                                               std::span<const std::byte> block,
                                               std::uint64_t offset) {
  if (block.size() < engine::batch_header_bytes) return std::nullopt;
  if (load<std::uint32_t>(block, magic_at) != batch_magic) return std::nullopt;
  if (load<std::uint32_t>(block, header_crc_at) != crc_of_header(block)) return std::nullopt;
  if (load<std::uint64_t>(block, volume_at) != key.value()) return std::nullopt;
  BatchHeader h;
  h.offset = load<std::uint64_t>(block, offset_at);
  if (h.offset != offset) return std::nullopt;
  h.sequence = SegmentSequence(load<std::uint64_t>(block, sequence_at));
  h.first = Lsn(load<std::uint64_t>(block, first_at));
  h.count = load<std::uint32_t>(block, count_at);
  h.head_bytes = load<std::uint32_t>(block, head_bytes_at);
  h.payload_bytes = load<std::uint64_t>(block, payload_bytes_at);
  h.durable = Lsn(load<std::uint64_t>(block, durable_at));
  h.committed = Lsn(load<std::uint64_t>(block, committed_at));
  h.before.high = load<std::uint64_t>(block, before_high_at);
  h.before.low = load<std::uint64_t>(block, before_low_at);
  h.chunk_first = Lsn(load<std::uint64_t>(block, chunk_first_at));
  h.chunk_bytes = load<std::uint64_t>(block, chunk_bytes_at);
  h.span_next = std::uint64_t{load<std::uint32_t>(block, span_next_at)} * block_bytes;
  const bool sane = h.first && h.count > 0 && h.count <= batch_records_max &&
                    h.head_bytes >= std::uint64_t{h.count} * engine::record_header_bytes &&
                    h.payload_bytes % block_bytes == 0 && h.bytes() <= batch_span_max &&
                    h.span_next >= batch_span_min && h.span_next <= batch_span_max;
  if (!sane) return std::nullopt;
  return h;
}

engine::Result<std::vector<RecordPlace>> decode_batch_heads(engine::VolumeKey key,
                                                            const BatchHeader& h,
                                                            std::span<const std::byte> area) {
  CHECK(area.size() == h.head_area());
  auto heads = area.subspan(engine::batch_header_bytes, h.head_bytes);
  if (load<std::uint32_t>(area, heads_crc_at) != engine::crc32c(heads)) {
    return Error{
        Errc::corrupt,
        fmt::format("the record heads of the batch at lsn {} do not match their crc", h.first)};
  }
  std::vector<RecordPlace> places;
  places.reserve(h.count);
  auto digest = h.before;
  std::uint64_t payload = 0;
  for (std::uint32_t i = 0; i < h.count; ++i) {
    const auto tail = engine::record_head_bytes(heads);
    if (!tail) return tail.error();
    const auto bytes = engine::record_header_bytes + *tail;
    if (bytes > heads.size())
      return Error{Errc::corrupt, "a record head passes the end of its batch"};
    auto header = engine::decode_header(key, heads.first(bytes));
    if (!header) return header.error();
    digest = engine::chain(digest, heads.first(bytes));
    if (header->lsn != h.first + i || header->digest != digest) {
      return Error{
          Errc::corrupt,
          fmt::format("the record at lsn {} is not chained to the one before", h.first + i)};
    }
    places.push_back({*header, heads.first(bytes), payload});
    payload += header->payload_bytes;
    heads = heads.subspan(bytes);
  }
  if (!heads.empty() || payload != h.payload_bytes) {
    return Error{Errc::corrupt,
                 fmt::format("the batch at lsn {} is not the sum of its records", h.first)};
  }
  return places;
}

}  // namespace tidemark::storage
