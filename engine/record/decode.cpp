// Reading records back from a disk or a peer. Total: any bytes give a record or an Error.
// Sizes are judged before anything is believed, then the CRC, then what the fields say
// together, then the payload.
#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <algorithm>
#include <limits>

#include "engine/check.hpp"
#include "engine/record/layout.hpp"
#include "engine/record/record.hpp"

namespace tidemark::engine {
namespace {

using namespace layout;

RecordHeader load_header(std::span<const std::byte> head) {
  RecordHeader h;
  h.kind = static_cast<RecordKind>(load<std::uint8_t>(head, kind_at));
  h.flags = load<std::uint8_t>(head, flags_at);
  h.epoch = Epoch(load<std::uint64_t>(head, epoch_at));
  h.lsn = Lsn(load<std::uint64_t>(head, lsn_at));
  h.range.first = BlockIndex(load<std::uint64_t>(head, first_block_at));
  h.range.count = load<std::uint64_t>(head, block_count_at);
  h.session.node_key = load<std::uint64_t>(head, session_node_at);
  h.session.incarnation = Incarnation(load<std::uint64_t>(head, session_incarnation_at));
  h.sequence = load<std::uint64_t>(head, sequence_at);
  h.raw_time = WallTime(load<std::uint64_t>(head, raw_time_at));
  h.mono_time = WallTime(load<std::uint64_t>(head, mono_time_at));
  h.sums_hash = load<std::uint64_t>(head, sums_hash_at);
  h.inline_bytes = load<std::uint32_t>(head, inline_bytes_at);
  h.payload_bytes = load<std::uint32_t>(head, payload_bytes_at);
  h.digest.high = load<std::uint64_t>(head, digest_high_at);
  h.digest.low = load<std::uint64_t>(head, digest_low_at);
  return h;
}

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

/// What is impossible for one request over blocks, or nullptr.
const char* flaw_of_request(const RecordHeader& h) {
  if (h.range.empty()) return "names no block";
  if (h.range.count > std::numeric_limits<std::uint64_t>::max() - h.range.first.value) {
    return "its block range wraps around";
  }
  if (h.inline_bytes != 0) return "has an inline body";
  if (h.kind != RecordKind::write) {
    return h.payload_bytes != 0 ? "has a payload" : nullptr;
  }
  if (h.range.count > record_blocks_max) return "has more blocks than a record holds";
  if (h.payload_bytes != h.range.count * block_bytes) return "its payload is not its blocks";
  return nullptr;
}

const char* flaw_of_control(const RecordHeader& h) {
  if (h.payload_bytes != 0) return "has a payload";
  if (h.inline_bytes > inline_bytes_max) return "its inline body is too large";
  // A later build says what this may hold; here only its size has to be known.
  if (h.kind == RecordKind::resize) return nullptr;
  if (h.kind == RecordKind::configure && !h.range.empty()) {
    if (h.range.count > std::numeric_limits<std::uint64_t>::max() - h.range.first.value) {
      return "its block range wraps around";
    }
  } else if (h.range != BlockRange{}) {
    return "names blocks";
  }
  if (h.session != FrontSession{} || h.sequence != 0) return "names a front-end session";
  if (h.kind == RecordKind::chunk_end && h.inline_bytes != 0) return "has an inline body";
  return nullptr;
}

const char* flaw_of(const RecordHeader& h) {
  if (!h.lsn) return "its lsn is 0";
  if (!h.epoch) return "its epoch is 0";
  const bool may_keep_space = h.kind == RecordKind::write_zeroes;
  if (h.flags != 0 && !(may_keep_space && h.flags == flag_no_hole)) return "has unknown flags";
  switch (h.kind) {
    case RecordKind::write:
    case RecordKind::trim:
    case RecordKind::write_zeroes:
      return flaw_of_request(h);
    case RecordKind::epoch:
    case RecordKind::chunk_end:
    case RecordKind::resize:
    case RecordKind::configure:
      return flaw_of_control(h);
  }
  return "is of unknown kind";
}

const char* flaw_of(const RecordHeader& h, std::span<const std::byte> head) {
  if (load<std::uint16_t>(head, reserved_short_at) != 0) return "has reserved bytes set";
  if (!all_zero(head.subspan(reserved_at, reserved_bytes))) return "has reserved bytes set";
  return flaw_of(h);
}

Error refused(const RecordHeader& h, std::string_view flaw) {
  return {Errc::corrupt, fmt::format("decode of a record head (lsn {}, epoch {}, kind {}): it {}",
                                     h.lsn, h.epoch, static_cast<unsigned>(h.kind), flaw)};
}

std::size_t tail_bytes(const RecordHeader& h) {
  if (h.kind == RecordKind::write) return h.range.count * sizeof(BlockSum);
  return h.inline_bytes;
}

/// Every block of the payload against its checksum in the head.
Status verify_payload(VolumeKey key, const RecordHeader& h, std::span<const std::byte> head,
                      std::span<const std::byte> payload) {
  if (payload.size() != h.payload_bytes) {
    return Error{Errc::corrupt,
                 fmt::format("decode of the record at lsn {}: {} payload bytes, its head says {}",
                             h.lsn, payload.size(), h.payload_bytes)};
  }
  for (std::size_t i = 0; i < payload.size() / block_bytes; ++i) {
    const auto block = h.range.first + i;
    const auto claimed = head_sum(head, i);
    const auto found = block_sum(key, block, payload.subspan(i * block_bytes, block_bytes));
    if (claimed != found) {
      return Error{Errc::corrupt,
                   fmt::format("decode of the record at lsn {}: block {} has checksum {:016x}, "
                               "its head says {:016x}",
                               h.lsn, block, found, claimed)};
    }
  }
  return Done{};
}

/// What only a whole and undamaged head can be asked.
Status verify_tail(const RecordHeader& h, std::span<const std::byte> tail) {
  if (h.sums_hash != XXH3_64bits(tail.data(), tail.size())) {
    return refused(h, "hashes its checksums or body to another value");
  }
  if (h.kind == RecordKind::resize) {
    return Error{Errc::not_yet,
                 fmt::format("decode of the record at lsn {}: {} records are of a later build",
                             h.lsn, to_string(h.kind))};
  }
  if (h.kind == RecordKind::configure) {
    const auto next = decode_configuration(tail);
    if (!next) return next.error();
    if (!h.range.empty() && h.range.first != BlockIndex(next->blocks())) {
      return refused(h, "cuts other blocks than those behind the end that it names");
    }
    return Done{};
  }
  if (h.kind != RecordKind::epoch) return Done{};
  const auto body = decode_epoch(tail);
  if (!body) return body.error();
  if (body->previous_end != h.lsn.previous())
    return refused(h, "does not follow the end that it names");
  return Done{};
}

}  // namespace

Result<std::size_t> record_head_bytes(std::span<const std::byte> header) {
  if (header.size() < record_header_bytes) {
    return Error{Errc::corrupt, fmt::format("decode of a record head: {} bytes, a header has {}",
                                            header.size(), record_header_bytes)};
  }
  const auto h = load_header(header);
  if (const auto* flaw = flaw_of(h, header)) return refused(h, flaw);
  return tail_bytes(h);
}

Result<RecordHeader> decode_header(VolumeKey key, std::span<const std::byte> head) {
  const auto tail = record_head_bytes(head);
  if (!tail) return tail.error();
  const auto h = load_header(head);
  if (head.size() != record_header_bytes + *tail) {
    return refused(h, fmt::format("has {} bytes behind its header instead of {}",
                                  head.size() - record_header_bytes, *tail));
  }
  const auto claimed = load<std::uint32_t>(head, crc_at);
  const auto found = head_crc(key, head);
  if (claimed != found) {
    return refused(h, fmt::format("has crc {:08x} and claims {:08x}", found, claimed));
  }
  if (auto whole = verify_tail(h, head.subspan(record_header_bytes)); !whole) return whole.error();
  return h;
}

Result<RecordPtr> decode_record(VolumeKey key, std::span<const std::byte> head, Slice payload) {
  auto header = decode_header(key, head);
  if (!header) return header.error();
  if (auto whole = verify_payload(key, *header, head, payload.bytes()); !whole)
    return whole.error();
  return Record::restored(*header, head, std::move(payload));
}

BlockSum head_sum(std::span<const std::byte> head, std::uint64_t i) {
  CHECK(head.size() >= record_header_bytes);
  CHECK(i < (head.size() - record_header_bytes) / sizeof(BlockSum));
  return load<BlockSum>(head, record_header_bytes + i * sizeof(BlockSum));
}

Result<EpochBody> decode_epoch(std::span<const std::byte> inline_body) {
  const auto flawed = [&](std::string_view flaw) {
    return Error{Errc::corrupt,
                 fmt::format("decode of an epoch body of {} bytes: {}", inline_body.size(), flaw)};
  };
  if (inline_body.size() < epoch_members_at) return flawed("too short");
  const std::size_t members = load<std::uint8_t>(inline_body, epoch_member_count_at);
  if (members > epoch_members_max) return flawed("too many members");
  if (inline_body.size() != epoch_members_at + members * sizeof(std::uint64_t)) {
    return flawed("its size is not that of its members");
  }
  if (!all_zero(inline_body.subspan(epoch_reserved_at, epoch_size_at - epoch_reserved_at))) {
    return flawed("reserved bytes are set");
  }
  if (load<std::uint32_t>(inline_body, epoch_reserved_behind_at) != 0) {
    return flawed("reserved bytes are set");
  }
  EpochBody body;
  body.size_bytes = load<std::uint64_t>(inline_body, epoch_size_at);
  body.min_copies = load<std::uint32_t>(inline_body, epoch_min_copies_at);
  if (body.size_bytes % block_bytes != 0 || body.size_bytes > volume_bytes_max) {
    return flawed("an impossible size");
  }
  body.mode = static_cast<Mode>(load<std::uint8_t>(inline_body, epoch_mode_at));
  if (to_string(body.mode) == "unknown") return flawed("unknown mode");
  body.marks = load<std::uint8_t>(inline_body, epoch_marks_at);
  if ((body.marks & ~unsigned{EpochBody::forced | EpochBody::cache_lost}) != 0)
    return flawed("unknown marks");
  body.nonce = load<std::uint64_t>(inline_body, epoch_nonce_at);
  body.primary = ReplicaId(load<std::uint64_t>(inline_body, epoch_primary_at));
  body.incarnation = Incarnation(load<std::uint64_t>(inline_body, epoch_incarnation_at));
  body.previous_end = Lsn(load<std::uint64_t>(inline_body, epoch_previous_end_at));
  for (std::size_t i = 0; i < members; ++i) {
    body.members.emplace_back(
        load<std::uint64_t>(inline_body, epoch_members_at + i * sizeof(std::uint64_t)));
  }
  return body;
}

Result<Configuration> decode_configuration(std::span<const std::byte> inline_body) {
  const auto flawed = [&](std::string_view flaw) {
    return Error{Errc::corrupt, fmt::format("decode of a configuration of {} bytes: {}",
                                            inline_body.size(), flaw)};
  };
  if (inline_body.size() != configure_body_bytes) return flawed("it has 16");
  if (!all_zero(inline_body.subspan(configure_reserved_at)))
    return flawed("reserved bytes are set");
  Configuration c;
  c.size_bytes = load<std::uint64_t>(inline_body, configure_size_at);
  c.min_copies = load<std::uint32_t>(inline_body, configure_min_copies_at);
  c.mode = static_cast<Mode>(load<std::uint8_t>(inline_body, configure_mode_at));
  if (to_string(c.mode) == "unknown") return flawed("unknown mode");
  const bool possible =
      c.size_bytes != 0 && c.size_bytes % block_bytes == 0 && c.size_bytes <= volume_bytes_max;
  if (!possible) return flawed("an impossible size");
  return c;
}

std::optional<Configuration> configuration_of(RecordKind kind,
                                              std::span<const std::byte> inline_body) {
  if (kind == RecordKind::configure) {
    const auto said = decode_configuration(inline_body);
    if (!said) return std::nullopt;
    return *said;
  }
  if (kind != RecordKind::epoch) return std::nullopt;
  const auto body = decode_epoch(inline_body);
  if (!body || body->size_bytes == 0) return std::nullopt;
  return Configuration{body->size_bytes, body->mode, body->min_copies};
}

}  // namespace tidemark::engine
