#define BOOST_TEST_DYN_LINK
#include "engine/record/checksum.hpp"

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <set>
#include <vector>

namespace tidemark::engine {
namespace {

using Bytes = std::vector<std::byte>;

Bytes filled(std::size_t size, std::uint8_t value) { return Bytes(size, std::byte{value}); }

Bytes counting(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

// The same bytes as text: the check value that CRC catalogues give.
Bytes check_digits() {
  Bytes bytes;
  for (char c = '1'; c <= '9'; ++c) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

// RFC 3720 B.4, "An iSCSI - SCSI Read (10) Command PDU".
Bytes read_command() {
  Bytes pdu(48);
  const auto put = [&](std::size_t at, std::uint8_t value) { pdu[at] = std::byte{value}; };
  put(0, 0x01), put(1, 0xc0);
  put(16, 0x14), put(22, 0x04), put(27, 0x14), put(31, 0x18), put(32, 0x28), put(40, 0x02);
  return pdu;
}

VolumeKey key() { return VolumeKey(make_uuid(1, 2)); }

}  // namespace

BOOST_AUTO_TEST_SUITE(checksum)

BOOST_AUTO_TEST_CASE(crc32c_gives_the_examples_of_rfc_3720) {
  auto descending = counting(32);
  std::reverse(descending.begin(), descending.end());
  for (auto* crc : {&crc32c, &crc32c_portable}) {
    BOOST_TEST(crc(filled(32, 0), 0) == 0x8a9136aau);
    BOOST_TEST(crc(filled(32, 0xff), 0) == 0x62a8ab43u);
    BOOST_TEST(crc(counting(32), 0) == 0x46dd794eu);
    BOOST_TEST(crc(descending, 0) == 0x113fdb5cu);
    BOOST_TEST(crc(read_command(), 0) == 0xd9963a56u);
    BOOST_TEST(crc(check_digits(), 0) == 0xe3069283u);
    BOOST_TEST(crc({}, 0) == 0u);
  }
}

BOOST_AUTO_TEST_CASE(crc32c_by_table_and_by_instruction_agree_at_every_length_and_alignment) {
  const auto bytes = counting(300);
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t size = 0; size + from <= bytes.size(); ++size) {
      const auto part = std::span(bytes).subspan(from, size);
      BOOST_REQUIRE_EQUAL(crc32c(part, 0x1234u), crc32c_portable(part, 0x1234u));
    }
  }
}

BOOST_AUTO_TEST_CASE(crc32c_continues_where_it_left_off) {
  const auto bytes = counting(100);
  const auto all = std::span<const std::byte>(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    BOOST_REQUIRE_EQUAL(crc32c(all.subspan(cut), crc32c(all.first(cut))), crc32c(all));
  }
}

BOOST_AUTO_TEST_CASE(block_sums_are_pinned) {
  BOOST_TEST(key().value() == 2478357649956220637u);
  BOOST_TEST(block_sum(key(), BlockIndex(0), counting(block_bytes)) == 4452934981682368332u);
  BOOST_TEST(block_sum(key(), BlockIndex(7), counting(block_bytes)) == 15844025152918887548u);
  BOOST_TEST(zero_block_sum(key(), BlockIndex(7)) == 12310236668200838829u);
}

BOOST_AUTO_TEST_CASE(a_block_of_zeros_needs_no_reading) {
  const auto zero = filled(block_bytes, 0);
  for (std::uint64_t b : {0ull, 1ull, 1ull << 40, ~0ull}) {
    BOOST_TEST(zero_block_sum(key(), BlockIndex(b)) == block_sum(key(), BlockIndex(b), zero));
  }
}

BOOST_AUTO_TEST_CASE(the_same_content_elsewhere_has_another_sum) {
  const auto content = counting(block_bytes);
  std::set<BlockSum> seen;
  for (std::uint64_t volume = 0; volume < 4; ++volume) {
    const VolumeKey other(make_uuid(volume, 9));
    for (std::uint64_t b = 0; b < 256; ++b) seen.insert(block_sum(other, BlockIndex(b), content));
  }
  BOOST_TEST(seen.size() == 4u * 256);
  BOOST_TEST(!seen.contains(no_block));
}

BOOST_AUTO_TEST_CASE(one_flipped_bit_anywhere_in_a_block_changes_its_sum) {
  auto content = counting(block_bytes);
  const auto whole = block_sum(key(), BlockIndex(3), content);
  for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
    const auto flip = std::byte{1} << (bit % 8);
    content[bit / 8] ^= flip;
    BOOST_REQUIRE(block_sum(key(), BlockIndex(3), content) != whole);
    content[bit / 8] ^= flip;
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
