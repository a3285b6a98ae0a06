// Sealing: a record is encoded, checksummed and chained once, where it is numbered.
#include "engine/record/record.hpp"

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include "engine/check.hpp"
#include "engine/record/layout.hpp"

namespace tidemark::engine {

// A thread keeps this many records for reuse: 1 MiB pipelined as 4 KiB writes sixteen times over, 2
// MiB of memory. What a burst took beyond that goes back to the allocator.
constexpr std::size_t kept_records_max = 4096;

class RecordPool {
 public:
  ~RecordPool() {
    for (auto* record : free_) delete record;
    alive_ = false;
  }

  static Record* take() {
    auto& free = pool_.free_;
    if (free.empty()) return new Record;
    auto* record = free.back();
    free.pop_back();
    return record;
  }

  static void give(Record* record) noexcept {
    if (!alive_ || pool_.free_.size() >= kept_records_max) {
      delete record;
      return;
    }
    record->payload_ = Slice();
    record->spill_.reset();
    pool_.free_.push_back(record);
  }

 private:
  std::vector<Record*> free_;
  static thread_local bool alive_;
  static thread_local RecordPool pool_;
};
// Of trivial type, so it can be asked after the pool of an ending thread is gone.
thread_local bool RecordPool::alive_ = true;
thread_local RecordPool RecordPool::pool_;

namespace {

using namespace layout;

void encode(const RecordHeader& h, std::byte* to) {
  std::memset(to, 0, record_header_bytes);
  store(to, kind_at, static_cast<std::uint8_t>(h.kind));
  store(to, flags_at, h.flags);
  store(to, epoch_at, h.epoch.value);
  store(to, lsn_at, h.lsn.value);
  store(to, first_block_at, h.range.first.value);
  store(to, block_count_at, h.range.count);
  store(to, session_node_at, h.session.node_key);
  store(to, session_incarnation_at, h.session.incarnation.value);
  store(to, sequence_at, h.sequence);
  store(to, raw_time_at, h.raw_time.value);
  store(to, mono_time_at, h.mono_time.value);
  store(to, sums_hash_at, h.sums_hash);
  store(to, inline_bytes_at, h.inline_bytes);
  store(to, payload_bytes_at, h.payload_bytes);
}

RecordHeader request_header(RecordKind kind, Epoch epoch, BlockRange range,
                            const RecordBuilder::Origin& origin) {
  RecordHeader h;
  h.kind = kind;
  h.epoch = epoch;
  h.range = range;
  h.session = origin.session;
  h.sequence = origin.sequence;
  h.raw_time = origin.raw_time;
  h.mono_time = origin.mono_time;
  return h;
}

RecordHeader control_header(RecordKind kind, Epoch epoch, const RecordBuilder::Origin& origin) {
  RecordBuilder::Origin times;
  times.raw_time = origin.raw_time;
  times.mono_time = origin.mono_time;
  return request_header(kind, epoch, BlockRange{}, times);
}

}  // namespace

std::string_view to_string(RecordKind kind) {
  switch (kind) {
    case RecordKind::write:
      return "write";
    case RecordKind::trim:
      return "trim";
    case RecordKind::write_zeroes:
      return "write_zeroes";
    case RecordKind::epoch:
      return "epoch";
    case RecordKind::chunk_end:
      return "chunk_end";
    case RecordKind::resize:
      return "resize";
    case RecordKind::configure:
      return "configure";
  }
  return "unknown";
}

std::byte* Record::reserve_head(std::size_t bytes) {
  CHECK(bytes <= record_head_bytes_max);
  head_bytes_ = static_cast<std::uint32_t>(bytes);
  if (bytes <= small_.size()) return small_.data();
  // Not make_unique: it would zero what is about to be written.
  spill_.reset(new std::byte[bytes]);
  return spill_.get();
}

RecordPtr Record::restored(const RecordHeader& header, std::span<const std::byte> head,
                           Slice payload) {
  auto* record = RecordPool::take();
  RecordPtr owned(record);
  std::memcpy(record->reserve_head(head.size()), head.data(), head.size());
  record->header_ = header;
  record->payload_ = std::move(payload);
  return owned;
}

void Record::recycle(const Record* record) noexcept {
  // The last reference is gone, so the pool becomes the only owner of what it made itself.
  RecordPool::give(const_cast<Record*>(record));
}

BlockSum Record::sum(std::uint64_t i) const {
  CHECK(header_.kind == RecordKind::write);
  CHECK(i < header_.range.count);
  return head_sum(head(), i);
}

std::span<const std::byte> Record::inline_body() const {
  if (header_.inline_bytes == 0) return {};
  return head().subspan(record_header_bytes);
}

RecordBuilder::RecordBuilder(VolumeKey key, Lsn end, Digest digest)
    : key_(key), end_(end), digest_(digest) {}

RecordPtr RecordBuilder::write(Epoch epoch, BlockRange range, Slice payload, const Origin& origin) {
  CHECK(range.count > 0);
  CHECK(range.count <= record_blocks_max);
  CHECK(payload.size() == range.count * block_bytes);
  std::array<BlockSum, record_blocks_max> sums;
  for (std::size_t i = 0; i < range.count; ++i) {
    sums[i] =
        block_sum(key_, range.first + i, payload.bytes().subspan(i * block_bytes, block_bytes));
  }
  auto header = request_header(RecordKind::write, epoch, range, origin);
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  return seal(header, std::as_bytes(std::span(sums.data(), range.count)), std::move(payload));
}

RecordPtr RecordBuilder::zero(Epoch epoch, RecordKind kind, std::uint8_t flags, BlockRange range,
                              const Origin& origin) {
  CHECK(kind == RecordKind::trim || kind == RecordKind::write_zeroes);
  CHECK(flags == 0 || (kind == RecordKind::write_zeroes && flags == flag_no_hole));
  CHECK(range.count > 0);
  CHECK(range.end() > range.first);
  auto header = request_header(kind, epoch, range, origin);
  header.flags = flags;
  return seal(header, {}, {});
}

RecordPtr RecordBuilder::epoch(Epoch epoch, const EpochBody& body, const Origin& origin) {
  CHECK(body.members.size() <= epoch_members_max);
  std::array<std::byte, epoch_body_bytes_max> bytes{};
  store(bytes.data(), epoch_nonce_at, body.nonce);
  store(bytes.data(), epoch_primary_at, body.primary.value);
  store(bytes.data(), epoch_incarnation_at, body.incarnation.value);
  store(bytes.data(), epoch_previous_end_at, end_.value);
  store(bytes.data(), epoch_mode_at, static_cast<std::uint8_t>(body.mode));
  store(bytes.data(), epoch_marks_at, body.marks);
  store(bytes.data(), epoch_member_count_at, static_cast<std::uint8_t>(body.members.size()));
  store(bytes.data(), epoch_size_at, body.size_bytes);
  store(bytes.data(), epoch_min_copies_at, body.min_copies);
  auto at = epoch_members_at;
  for (const auto member : body.members) {
    store(bytes.data(), at, member.value);
    at += sizeof member.value;
  }
  auto header = control_header(RecordKind::epoch, epoch, origin);
  header.inline_bytes = static_cast<std::uint32_t>(at);
  return seal(header, std::span(bytes).first(at), {});
}

RecordPtr RecordBuilder::chunk_end(Epoch epoch, const Origin& origin) {
  return seal(control_header(RecordKind::chunk_end, epoch, origin), {}, {});
}

RecordPtr RecordBuilder::configure(Epoch epoch, const Configuration& next, BlockRange cut,
                                   const Origin& origin) {
  CHECK(cut.empty() || cut.first == BlockIndex(next.blocks()));
  std::array<std::byte, configure_body_bytes> bytes{};
  store(bytes.data(), configure_size_at, next.size_bytes);
  store(bytes.data(), configure_min_copies_at, next.min_copies);
  store(bytes.data(), configure_mode_at, static_cast<std::uint8_t>(next.mode));
  auto header = control_header(RecordKind::configure, epoch, origin);
  header.range = cut;
  header.inline_bytes = configure_body_bytes;
  return seal(header, bytes, {});
}

RecordPtr RecordBuilder::seal(RecordHeader header, std::span<const std::byte> tail, Slice payload) {
  CHECK(header.epoch);
  header.lsn = end_.next();
  header.sums_hash = XXH3_64bits(tail.data(), tail.size());

  auto* record = RecordPool::take();
  RecordPtr sealed(record);
  auto* head = record->reserve_head(record_header_bytes + tail.size());
  encode(header, head);
  if (!tail.empty()) std::memcpy(head + record_header_bytes, tail.data(), tail.size());
  header.digest = chain(digest_, record->head());
  store(head, digest_high_at, header.digest.high);
  store(head, digest_low_at, header.digest.low);
  store(head, crc_at, head_crc(key_, record->head()));

  end_ = header.lsn;
  digest_ = header.digest;
  record->header_ = header;
  record->payload_ = std::move(payload);
  return sealed;
}

Digest chain(const Digest& before, std::span<const std::byte> head) {
  CHECK(head.size() >= record_header_bytes);
  constexpr std::size_t before_bytes = 2 * sizeof(std::uint64_t);
  std::array<std::byte, before_bytes + chained_bytes + reserved_bytes> link;
  store(link.data(), 0, before.high);
  store(link.data(), sizeof before.high, before.low);
  std::memcpy(link.data() + before_bytes, head.data() + chained_from, chained_bytes);
  std::memcpy(link.data() + before_bytes + chained_bytes, head.data() + reserved_at,
              reserved_bytes);
  const auto hash = XXH3_128bits(link.data(), link.size());
  return {hash.high64, hash.low64};
}

}  // namespace tidemark::engine
