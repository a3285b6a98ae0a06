// One entry of a volume's log, as it stands in the WAL and travels on the wire: encoded and
// checksummed once, on the primary, and verified everywhere.
//
//   head = header (128 bytes) + inline body or per-block checksums          payload = whole blocks
//
// The head's CRC binds the volume and covers everything in the head; the head holds a
// checksum of every block of the payload; the digest chains header and checksums to the
// record before. So two logs with an equal digest at one LSN are equal up to it. Byte layout
// and golden bytes: docs/DATA_FORMAT.md.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/buffer.hpp"
#include "engine/configuration.hpp"
#include "engine/record/checksum.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

enum class RecordKind : std::uint8_t {
  write = 1,         ///< Whole blocks with content.
  trim = 2,          ///< Blocks that read as zeros from here on; their space may be given back.
  write_zeroes = 3,  ///< Blocks that read as zeros; `flag_no_hole` asks to keep their space.
  epoch = 4,         ///< A new reign begins (EpochBody).
  chunk_end =
      5,  ///< The chunk ends with this record: every replica rolls its segment behind it (C17).
  resize = 6,     ///< Reserved: a size is changed by `configure`.
  configure = 7,  ///< Another configuration is in force: size, mode, min_copies (C12, C24).
};
std::string_view to_string(RecordKind kind);

inline constexpr std::uint8_t flag_no_hole = 0x01;  ///< write_zeroes: keep the space allocated.

inline constexpr std::size_t record_header_bytes = 128;
/// The largest payload of one record. A larger write becomes several records, atomic per block.
inline constexpr std::uint32_t record_payload_bytes_max = 1u << 20;
inline constexpr std::uint32_t record_blocks_max = record_payload_bytes_max / block_bytes;
/// The largest head: header plus 256 block checksums, or plus an inline body.
inline constexpr std::size_t record_head_bytes_max = record_header_bytes + 8 * record_blocks_max;

/// Body of an `epoch` record: who reigns from here, and how it came to be.
struct EpochBody {
  enum Mark : std::uint8_t { normal = 0, forced = 1, cache_lost = 2 };  ///< May be combined.

  std::uint64_t nonce = 0;
  ReplicaId primary;
  Incarnation incarnation;
  Mode mode = Mode::sync_all;
  std::uint8_t marks = normal;
  Lsn previous_end;              ///< The last LSN before this record; RecordBuilder fills it in.
  std::uint64_t size_bytes = 0;  ///< What is in force goes on being so; 0: it does not say.
  std::uint32_t min_copies = 0;
  std::vector<ReplicaId> members;  ///< At most 16.
};
inline constexpr std::size_t epoch_members_max = 16;

/// What a record says, decoded.
struct RecordHeader {
  RecordKind kind = RecordKind::write;
  std::uint8_t flags = 0;
  Epoch epoch;
  Lsn lsn;
  BlockRange range;                 ///< Empty for control records, but for what a shrink cuts.
  FrontSession session;             ///< Who asked for it (C5); zero for control records.
  std::uint64_t sequence = 0;       ///< Position in that front-end session's stream of requests.
  WallTime raw_time;                ///< The primary's clock when it numbered the record.
  WallTime mono_time;               ///< The same made monotone over the volume's log (C25).
  std::uint64_t sums_hash = 0;      ///< XXH3 over the block checksums or the inline body.
  std::uint32_t inline_bytes = 0;   ///< Size of the inline body (control records).
  std::uint32_t payload_bytes = 0;  ///< Blocks in `range` times 4096 for `write`, else 0.
  Digest digest;                    ///< Of the log up to and including this record.
};

class Record;

/// A shared, immutable record. Copying counts a reference.
class RecordPtr {
 public:
  RecordPtr() = default;
  inline explicit RecordPtr(const Record* record);
  inline RecordPtr(const RecordPtr& o) noexcept;
  RecordPtr(RecordPtr&& o) noexcept : record_(std::exchange(o.record_, nullptr)) {}
  RecordPtr& operator=(RecordPtr o) noexcept {
    std::swap(record_, o.record_);
    return *this;
  }
  inline ~RecordPtr();

  const Record& operator*() const { return *record_; }
  const Record* operator->() const { return record_; }
  explicit operator bool() const { return record_ != nullptr; }

 private:
  const Record* record_ = nullptr;
};

class Record {
 public:
  const RecordHeader& header() const { return header_; }
  Lsn lsn() const { return header_.lsn; }
  /// Encoded header plus checksums or inline body: what WAL descriptors and frames carry.
  std::span<const std::byte> head() const {
    return {spill_ ? spill_.get() : small_.data(), head_bytes_};
  }
  /// Checksum of the i-th block of the range (kind write).
  BlockSum sum(std::uint64_t i) const;
  const Slice& payload() const { return payload_; }
  std::span<const std::byte> inline_body() const;
  /// Bytes this record takes in memory and on the wire, head and payload.
  std::size_t bytes() const { return head_bytes_ + payload_.size(); }

  ~Record() = default;
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

 private:
  friend class RecordPtr;
  friend class RecordBuilder;
  friend class RecordPool;
  friend Result<RecordPtr> decode_record(VolumeKey, std::span<const std::byte>, Slice);
  Record() = default;
  /// A record as somebody sealed it; the caller has verified all three.
  static RecordPtr restored(const RecordHeader& header, std::span<const std::byte> head,
                            Slice payload);
  /// Makes room for a head of `bytes`; its content is undefined until written.
  std::byte* reserve_head(std::size_t bytes);
  /// Gives a record that nobody refers to back to its thread's pool.
  static void recycle(const Record* record) noexcept;

  mutable std::atomic<std::uint32_t> references_{0};
  std::uint32_t head_bytes_ = 0;
  RecordHeader header_;
  Slice payload_;
  std::unique_ptr<std::byte[]> spill_;  ///< Holds the head when it does not fit below.
  // Header and 16 block checksums: a write of up to 64 KiB needs no second allocation.
  std::array<std::byte, 256> small_;
};

inline RecordPtr::RecordPtr(const Record* record) : record_(record) {
  if (record_ != nullptr) record_->references_.fetch_add(1, std::memory_order_relaxed);
}
inline RecordPtr::RecordPtr(const RecordPtr& o) noexcept : RecordPtr(o.record_) {}
inline RecordPtr::~RecordPtr() {
  if (record_ != nullptr && record_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    Record::recycle(record_);
  }
}

/// Numbers and seals records one after the other: owns the head of the log (LSN and digest). Pure.
class RecordBuilder {
 public:
  /// Continues a log that ends at `end` with `digest`.
  RecordBuilder(VolumeKey key, Lsn end, Digest digest);

  struct Origin {
    FrontSession session;
    std::uint64_t sequence = 0;
    WallTime raw_time;
    WallTime mono_time;
  };
  /// `payload` is whole blocks, `range.count` of them, at most record_blocks_max.
  RecordPtr write(Epoch epoch, BlockRange range, Slice payload, const Origin& origin);
  /// trim or write_zeroes of any number of blocks: one record (C24).
  RecordPtr zero(Epoch epoch, RecordKind kind, std::uint8_t flags, BlockRange range,
                 const Origin& origin);
  /// Control records name no front-end session: only the times of `origin` are taken.
  RecordPtr epoch(Epoch epoch, const EpochBody& body, const Origin& origin);
  RecordPtr chunk_end(Epoch epoch, const Origin& origin);
  /// `cut`: the blocks that go; they begin where the volume now ends.
  RecordPtr configure(Epoch epoch, const Configuration& next, BlockRange cut, const Origin& origin);

  Lsn end() const { return end_; }
  Digest digest() const { return digest_; }

 private:
  RecordPtr seal(RecordHeader header, std::span<const std::byte> tail, Slice payload);

  VolumeKey key_;
  Lsn end_;
  Digest digest_;
};

/// Bytes of head that follow the header of `head` (a span of at least record_header_bytes), or an
/// error where the header's own fields are impossible. Lets a reader know how much to wait for
/// before it trusts it.
Result<std::size_t> record_head_bytes(std::span<const std::byte> header);

/// Verifies the head's CRC and bounds, and every block of `payload` against its checksum.
/// `head` is exactly the record's head; `payload` exactly its payload.
Result<RecordPtr> decode_record(VolumeKey key, std::span<const std::byte> head, Slice payload);
/// The header alone, CRC verified over the whole head; the payload is not looked at.
Result<RecordHeader> decode_header(VolumeKey key, std::span<const std::byte> head);
/// The checksum of the i-th block that `head` (already verified) claims.
BlockSum head_sum(std::span<const std::byte> head, std::uint64_t i);
Result<EpochBody> decode_epoch(std::span<const std::byte> inline_body);
Result<Configuration> decode_configuration(std::span<const std::byte> inline_body);
/// What an epoch or configure record says to be in force from it on; nothing where it says nothing.
std::optional<Configuration> configuration_of(RecordKind kind,
                                              std::span<const std::byte> inline_body);
inline std::optional<Configuration> configuration_of(const Record& record) {
  return configuration_of(record.header().kind, record.inline_body());
}

/// The digest after a record whose head is `head`
/// (digest and crc fields are left out of the chain).
Digest chain(const Digest& before, std::span<const std::byte> head);

/// A run of consecutive records, shared by WAL and senders. Never empty.
using RecordBatch = std::shared_ptr<const std::vector<RecordPtr>>;

}  // namespace tidemark::engine
