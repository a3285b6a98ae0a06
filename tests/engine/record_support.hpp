// One sealed record of each kind, made of fixed values, and the bytes that they must have for ever.
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/record/record.hpp"

namespace tidemark::engine::record_support {

inline VolumeKey key() { return VolumeKey(make_uuid(1, 2)); }
inline Lsn before_end() { return Lsn(0x1122); }
inline Digest before_digest() { return {0x0123456789abcdef, 0xfedcba9876543210}; }

inline RecordBuilder::Origin origin() {
  RecordBuilder::Origin o;
  o.session = {0xa1a2a3a4a5a6a7a8, Incarnation(4)};
  o.sequence = 0x77;
  o.raw_time = WallTime(1'700'000'000'000'000'001);
  o.mono_time = WallTime(1'700'000'000'000'000'002);
  return o;
}

/// `blocks` blocks that count up in bytes, from `salt`; no two of them alike.
inline Slice content(std::uint64_t blocks, std::uint8_t salt) {
  Buffer buffer(blocks * block_bytes);
  for (std::size_t i = 0; i < buffer.size(); ++i) {
    buffer.data()[i] = static_cast<std::byte>(i + i / block_bytes + salt);
  }
  return std::move(buffer).freeze();
}
inline Slice two_blocks() { return content(2, 0); }

inline EpochBody epoch_body() {
  EpochBody body;
  body.nonce = 0x5152535455565758;
  body.primary = ReplicaId(1);
  body.incarnation = Incarnation(6);
  body.mode = Mode::best_effort;
  body.marks = EpochBody::cache_lost;
  body.members = {ReplicaId(1), ReplicaId(2), ReplicaId(5)};
  return body;
}

/// epoch, write, trim, write_zeroes, chunk_end: consecutive records of one log.
inline std::vector<RecordPtr> one_of_each_kind() {
  RecordBuilder builder(key(), before_end(), before_digest());
  std::vector<RecordPtr> all;
  all.push_back(builder.epoch(Epoch(3), epoch_body(), origin()));
  all.push_back(builder.write(Epoch(3), {BlockIndex(0x1234), 2}, two_blocks(), origin()));
  all.push_back(
      builder.zero(Epoch(3), RecordKind::trim, 0, {BlockIndex(16), 1ull << 40}, origin()));
  all.push_back(
      builder.zero(Epoch(3), RecordKind::write_zeroes, flag_no_hole, {BlockIndex(8), 3}, origin()));
  all.push_back(builder.chunk_end(Epoch(3), origin()));
  return all;
}

inline std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const auto b : bytes) {
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned>(b));
  }
  return text;
}

// Laid out 32 bytes a line: header, then checksums or body.
inline constexpr std::string_view golden_epoch =
    "a05bf03804000000030000000000000023110000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "01002a36fe9c971702002a36fe9c97179202d6b1252e9c205000000000000000"
    "9f8a84695733cbf7fd8a0c7b108f55b600000000000000000000000000000000"
    "5857565554535251010000000000000006000000000000002211000000000000"
    "0302030000000000000000000000000000000000000000000100000000000000"
    "02000000000000000500000000000000";
inline constexpr std::string_view golden_write =
    "a9f5cd8401000000030000000000000024110000000000003412000000000000"
    "0200000000000000a8a7a6a5a4a3a2a104000000000000007700000000000000"
    "01002a36fe9c971702002a36fe9c9717ed55049dff33856b0000000000200000"
    "bf738aea6981af132fa760b75016195000000000000000000000000000000000"
    "b8642d4588528d07af2ee8bab86eaed8";
inline constexpr std::string_view golden_trim =
    "d0bf26e702000000030000000000000025110000000000001000000000000000"
    "0000000000010000a8a7a6a5a4a3a2a104000000000000007700000000000000"
    "01002a36fe9c971702002a36fe9c9717c294d3380580062d0000000000000000"
    "fa6b4172081664dfd62ff8afae6521e400000000000000000000000000000000";
inline constexpr std::string_view golden_write_zeroes =
    "a4470b9a03010000030000000000000026110000000000000800000000000000"
    "0300000000000000a8a7a6a5a4a3a2a104000000000000007700000000000000"
    "01002a36fe9c971702002a36fe9c9717c294d3380580062d0000000000000000"
    "886041afc14ceb1b84e52bf8dfaaedac00000000000000000000000000000000";
inline constexpr std::string_view golden_chunk_end =
    "ef06bbf905000000030000000000000027110000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "01002a36fe9c971702002a36fe9c9717c294d3380580062d0000000000000000"
    "9673cbfe3855a56b6f79b735df79e8ba00000000000000000000000000000000";

}  // namespace tidemark::engine::record_support
