// What the decoder refuses: damage, and lies under an honest CRC.
// Any bytes give a record or an error.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <functional>
#include <optional>

#include "engine/record/layout.hpp"
#include "engine/record/record.hpp"
#include "tests/engine/record_support.hpp"

namespace tidemark::engine {
namespace {

using namespace record_support;
using Head = std::vector<std::byte>;

Head head_of(const RecordPtr& record) { return {record->head().begin(), record->head().end()}; }

RecordPtr sample(RecordKind kind) {
  for (const auto& record : one_of_each_kind()) {
    if (record->header().kind == kind) return record;
  }
  BOOST_FAIL("no such kind");
  return {};
}

// A head whose sender computed every sum over what it says, true or not.
void sign(Head& head) { layout::store(head.data(), layout::crc_at, layout::head_crc(key(), head)); }

std::optional<Error> refusal(const Head& head, const Slice& payload) {
  auto result = decode_record(key(), head, payload);
  if (result) return std::nullopt;
  return result.error();
}

void check_refused(const Head& head, const Slice& payload, Errc code, std::string_view part) {
  const auto error = refusal(head, payload);
  BOOST_REQUIRE_MESSAGE(error.has_value(), "taken although: " << part);
  BOOST_TEST((error->code == code));
  BOOST_TEST(error->text.find(part) != std::string::npos, error->text << " lacks: " << part);
}

template <class T>
void check_lie(RecordKind kind, std::size_t at, T value, std::string_view part) {
  const auto record = sample(kind);
  auto head = head_of(record);
  layout::store(head.data(), at, value);
  sign(head);
  check_refused(head, record->payload(), Errc::corrupt, part);
}

std::uint64_t next_random(std::uint64_t& state) {
  auto z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(record_refusals)

BOOST_AUTO_TEST_CASE(a_flipped_bit_anywhere_in_a_head_is_refused) {
  for (const auto& record : one_of_each_kind()) {
    auto head = head_of(record);
    for (std::size_t bit = 0; bit < head.size() * 8; ++bit) {
      const auto flip = std::byte{1} << (bit % 8);
      head[bit / 8] ^= flip;
      BOOST_REQUIRE(refusal(head, record->payload()).has_value());
      head[bit / 8] ^= flip;
    }
    BOOST_TEST(!refusal(head, record->payload()).has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_in_the_payload_names_its_block) {
  const auto record = sample(RecordKind::write);
  auto damaged = Buffer::copy_of(record->payload().bytes());
  damaged.data()[block_bytes + 17] ^= std::byte{4};
  check_refused(head_of(record), std::move(damaged).freeze(), Errc::corrupt, "block 4661");
}

BOOST_AUTO_TEST_CASE(swapped_blocks_are_refused) {
  const auto record = sample(RecordKind::write);
  Buffer swapped(2 * block_bytes);
  std::memcpy(swapped.data(), record->payload().data() + block_bytes, block_bytes);
  std::memcpy(swapped.data() + block_bytes, record->payload().data(), block_bytes);
  check_refused(head_of(record), std::move(swapped).freeze(), Errc::corrupt, "checksum");
}

BOOST_AUTO_TEST_CASE(a_head_of_another_volume_is_refused) {
  const VolumeKey other(make_uuid(1, 3));
  for (const auto& record : one_of_each_kind()) {
    BOOST_TEST(!decode_header(other, record->head()).has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_head_cut_or_extended_anywhere_is_refused) {
  for (const auto& record : one_of_each_kind()) {
    auto head = head_of(record);
    for (std::size_t size = 0; size < head.size(); ++size) {
      BOOST_REQUIRE(!decode_header(key(), std::span(head).first(size)).has_value());
    }
    head.push_back(std::byte{0});
    BOOST_TEST(!decode_header(key(), head).has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_payload_of_another_size_is_refused) {
  const auto write = sample(RecordKind::write);
  const auto head = head_of(write);
  check_refused(head, {}, Errc::corrupt, "0 payload bytes");
  check_refused(head, write->payload().part(0, block_bytes), Errc::corrupt, "4096 payload bytes");
  check_refused(head, write->payload().part(0, 2 * block_bytes - 1), Errc::corrupt, "8191");
  check_refused(head, content(3, 0), Errc::corrupt, "12288 payload bytes");
  const auto trim = sample(RecordKind::trim);
  check_refused(head_of(trim), content(1, 0), Errc::corrupt, "4096 payload bytes");
}

BOOST_AUTO_TEST_CASE(impossible_fields_are_refused_although_the_crc_holds) {
  using enum RecordKind;
  using namespace layout;
  constexpr std::uint64_t most = ~std::uint64_t{0};
  for (const auto kind : {write, trim, write_zeroes, RecordKind::epoch, chunk_end}) {
    check_lie<std::uint64_t>(kind, lsn_at, 0, "lsn is 0");
    check_lie<std::uint64_t>(kind, epoch_at, 0, "epoch is 0");
    check_lie<std::uint8_t>(kind, flags_at, 0x02, "unknown flags");
    check_lie<std::uint16_t>(kind, reserved_short_at, 1, "reserved");
    check_lie<std::uint8_t>(kind, reserved_at, 1, "reserved");
    check_lie<std::uint8_t>(kind, record_header_bytes - 1, 1, "reserved");
  }
  for (const auto kind : {write, trim, RecordKind::epoch, chunk_end}) {
    check_lie<std::uint8_t>(kind, flags_at, flag_no_hole, "unknown flags");
    check_lie<std::uint8_t>(kind, kind_at, 0, "unknown kind");
    check_lie<std::uint8_t>(kind, kind_at, 8, "unknown kind");
  }
  for (const auto kind : {write, trim, write_zeroes}) {
    check_lie<std::uint64_t>(kind, block_count_at, 0, "names no block");
    check_lie<std::uint64_t>(kind, first_block_at, most, "wraps around");
    check_lie<std::uint32_t>(kind, inline_bytes_at, 8, "inline body");
  }
}

BOOST_AUTO_TEST_CASE(sizes_that_do_not_belong_together_are_refused_although_the_crc_holds) {
  using enum RecordKind;
  using namespace layout;
  check_lie<std::uint64_t>(write, block_count_at, record_blocks_max + 1, "more blocks");
  check_lie<std::uint64_t>(write, block_count_at, std::uint64_t{1} << 40, "more blocks");
  check_lie<std::uint64_t>(write, block_count_at, 1, "payload is not its blocks");
  check_lie<std::uint32_t>(write, payload_bytes_at, 0, "payload is not its blocks");
  check_lie<std::uint32_t>(trim, payload_bytes_at, block_bytes, "has a payload");
  check_lie<std::uint32_t>(RecordKind::epoch, payload_bytes_at, block_bytes, "has a payload");
  check_lie<std::uint32_t>(RecordKind::epoch, inline_bytes_at, 1025, "too large");
  check_lie<std::uint32_t>(RecordKind::epoch, inline_bytes_at, 0, "behind its header");
  check_lie<std::uint32_t>(chunk_end, inline_bytes_at, 8, "inline body");
  for (const auto kind : {RecordKind::epoch, chunk_end}) {
    check_lie<std::uint64_t>(kind, block_count_at, 1, "names blocks");
    check_lie<std::uint64_t>(kind, session_node_at, 1, "front-end session");
    check_lie<std::uint64_t>(kind, session_incarnation_at, 1, "front-end session");
    check_lie<std::uint64_t>(kind, sequence_at, 1, "front-end session");
  }
  check_lie<std::uint64_t>(write, sums_hash_at, 1, "another value");
  check_lie<std::uint64_t>(chunk_end, sums_hash_at, 1, "another value");
}

// A record of a later build is no damage: it is refused as what it is, and its size is known.
BOOST_AUTO_TEST_CASE(kinds_of_a_later_build_are_not_yet_taken) {
  for (const auto kind : {RecordKind::resize}) {
    const auto end = sample(RecordKind::chunk_end);
    auto head = head_of(end);
    layout::store(head.data(), layout::kind_at, static_cast<std::uint8_t>(kind));
    sign(head);
    check_refused(head, {}, Errc::not_yet, to_string(kind));
    BOOST_TEST(*record_head_bytes(head) == 0u);
  }
}

BOOST_AUTO_TEST_CASE(a_header_alone_tells_how_much_head_follows) {
  BOOST_TEST(*record_head_bytes(sample(RecordKind::write)->head().first(128)) == 16u);
  BOOST_TEST(*record_head_bytes(sample(RecordKind::epoch)->head().first(128)) == 80u);
  BOOST_TEST(*record_head_bytes(sample(RecordKind::trim)->head()) == 0u);
  BOOST_TEST(!record_head_bytes(sample(RecordKind::trim)->head().first(127)).has_value());
  BOOST_TEST(!record_head_bytes({}).has_value());
}

BOOST_AUTO_TEST_CASE(epoch_bodies_that_cannot_be_are_refused) {
  const auto sealed = sample(RecordKind::epoch);
  const Head body(sealed->inline_body().begin(), sealed->inline_body().end());
  for (std::size_t size = 0; size < body.size(); ++size) {
    BOOST_REQUIRE(!decode_epoch(std::span(body).first(size)).has_value());
  }
  const auto check_lies = [&](std::size_t at, std::uint8_t value) {
    auto lie = body;
    lie[at] = std::byte{value};
    BOOST_TEST(!decode_epoch(lie).has_value(), "byte " << at << " = " << unsigned{value});
  };
  check_lies(layout::epoch_mode_at, 0);
  check_lies(layout::epoch_mode_at, 4);
  check_lies(layout::epoch_marks_at, 4);
  check_lies(layout::epoch_member_count_at, 2);
  check_lies(layout::epoch_member_count_at, 4);
  check_lies(layout::epoch_member_count_at, epoch_members_max + 1);
  check_lies(layout::epoch_member_count_at, 255);
  check_lies(layout::epoch_reserved_at, 1);
  check_lies(layout::epoch_members_at - 1, 1);
}

BOOST_AUTO_TEST_CASE(an_epoch_record_must_follow_the_end_that_it_names) {
  const auto record = sample(RecordKind::epoch);
  auto head = head_of(record);
  layout::store<std::uint64_t>(head.data(), layout::lsn_at, 0x9999);
  sign(head);
  check_refused(head, {}, Errc::corrupt, "does not follow");
}

// What survives thousands of random edits under an honest CRC is a record
// that says exactly its bytes.
BOOST_AUTO_TEST_CASE(random_heads_give_an_error_or_a_record_and_never_more) {
  std::uint64_t state = 42;
  const auto all = one_of_each_kind();
  for (int round = 0; round < 20000; ++round) {
    const auto& record = all[next_random(state) % all.size()];
    auto head = head_of(record);
    for (auto edits = next_random(state) % 6; edits > 0; --edits) {
      head[next_random(state) % head.size()] = static_cast<std::byte>(next_random(state));
    }
    if (next_random(state) % 8 == 0) head.resize(next_random(state) % (head.size() + 1));
    if (head.size() >= layout::kind_at) sign(head);
    auto result = decode_record(key(), head, record->payload());
    if (result) BOOST_REQUIRE_EQUAL(hex((*result)->head()), hex(head));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
