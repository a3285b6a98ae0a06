// Replies as they stand on the wire, and that partial sends lose and repeat nothing.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>

#include "tests/nbd/bytes.hpp"
#include "transport/nbd/replies.hpp"

namespace tidemark::nbd {
namespace {

using namespace testing;
using Content = engine::FrontReply::Piece;

constexpr bool structured = true;

RequestHeader asked(Command c, std::uint64_t offset = 0, std::uint32_t length = 0,
                    std::uint16_t flags = 0) {
  return {flags, c, 0x0102030405060708, offset, length};
}

engine::Slice filled(std::size_t bytes, char value) {
  engine::Buffer buffer(bytes);
  std::memset(buffer.data(), value, bytes);
  return std::move(buffer).freeze();
}

std::vector<Content> contents(std::initializer_list<Content> pieces) { return pieces; }

/// Everything that is queued, taken out `step` bytes at a time.
Bytes drain(ReplyQueue& queue, std::size_t step = SIZE_MAX) {
  Bytes out;
  std::array<iovec, 3> gather;
  while (!queue.empty()) {
    const auto count = queue.gather(gather);
    BOOST_REQUIRE(count > 0);
    std::size_t room = step;
    std::size_t taken = 0;
    for (std::size_t i = 0; i < count && room > 0; ++i) {
      const auto part = std::min(room, gather[i].iov_len);
      const auto* from = static_cast<const std::byte*>(gather[i].iov_base);
      out.insert(out.end(), from, from + part);
      room -= part;
      taken += part;
    }
    queue.sent(taken);
  }
  BOOST_TEST(queue.unsent_bytes() == 0u);
  BOOST_TEST(queue.unsent_replies() == 0u);
  return out;
}

BOOST_AUTO_TEST_SUITE(replies)

BOOST_AUTO_TEST_CASE(success_is_a_simple_reply_in_both_modes) {
  for (const bool mode : {false, true}) {
    ReplyQueue queue;
    queue.add_done(asked(Command::write), mode);
    BOOST_TEST(to_hex(drain(queue)) ==
               "67446698"
               "00000000"
               "0102030405060708");
  }
}

BOOST_AUTO_TEST_CASE(structured_read_of_nothing_is_an_empty_chunk) {
  ReplyQueue queue;
  queue.add_done(asked(Command::read), structured);
  BOOST_TEST(to_hex(drain(queue)) ==
             "668e33ef"
             "0001"
             "0000"
             "0102030405060708"
             "00000000");
}

BOOST_AUTO_TEST_CASE(errors_carry_their_text_in_structured_mode_only) {
  ReplyQueue queue;
  queue.add_error(asked(Command::write), !structured, ErrorCode::enospc, "full");
  BOOST_TEST(to_hex(drain(queue)) ==
             "67446698"
             "0000001c"
             "0102030405060708");
  queue.add_error(asked(Command::write), structured, ErrorCode::enospc, "full");
  BOOST_TEST(to_hex(drain(queue)) ==
             "668e33ef"
             "0001"
             "8001"
             "0102030405060708"
             "0000000a"
             "0000001c"
             "0004"
             "66756c6c");
  queue.add_error(asked(Command::read), structured, ErrorCode::eio, std::string(9000, 'x'));
  BOOST_TEST(drain(queue).size() == chunk_header_bytes + 6 + 1024);
}

BOOST_AUTO_TEST_CASE(simple_read_sends_zeros_in_full) {
  ReplyQueue queue;
  queue.add_read(asked(Command::read, 0, 12), !structured,
                 contents({{filled(4, 'a'), 0}, {{}, 5}, {filled(3, 'b'), 0}}));
  BOOST_TEST(to_hex(drain(queue)) ==
             "67446698"
             "00000000"
             "0102030405060708"
             "61616161"
             "0000000000"
             "626262");
}

BOOST_AUTO_TEST_CASE(structured_read_joins_neighbours_and_sends_holes_as_numbers) {
  ReplyQueue queue;
  queue.add_read(asked(Command::read, 0x1000, 20), structured,
                 contents({{{}, 2}, {{}, 3}, {filled(4, 'a'), 0}, {filled(1, 'b'), 0}, {{}, 10}}));
  BOOST_TEST(to_hex(drain(queue)) ==
             "668e33ef"
             "0000"
             "0002"
             "0102030405060708"
             "0000000c"
             "0000000000001000"
             "00000005"
             "668e33ef"
             "0000"
             "0001"
             "0102030405060708"
             "0000000d"
             "0000000000001005"
             "6161616162"
             "668e33ef"
             "0001"
             "0002"
             "0102030405060708"
             "0000000c"
             "000000000000100a"
             "0000000a");
}

BOOST_AUTO_TEST_CASE(unfragmented_read_is_one_chunk) {
  ReplyQueue queue;
  queue.add_read(asked(Command::read, 1, 4, command_flag::df), structured,
                 contents({{{}, 2}, {filled(2, 'a'), 0}}));
  BOOST_TEST(to_hex(drain(queue)) ==
             "668e33ef"
             "0001"
             "0001"
             "0102030405060708"
             "0000000c"
             "0000000000000001"
             "00006161");
  queue.add_read(asked(Command::read, 1, 4, command_flag::df), structured,
                 contents({{{}, 2}, {{}, 2}}));
  BOOST_TEST(to_hex(drain(queue)) ==
             "668e33ef"
             "0001"
             "0002"
             "0102030405060708"
             "0000000c"
             "0000000000000001"
             "00000004");
}

BOOST_AUTO_TEST_CASE(last_chunk_is_marked_even_behind_an_empty_piece) {
  ReplyQueue queue;
  queue.add_read(asked(Command::read, 0, 2), structured, contents({{filled(2, 'a'), 0}, {{}, 0}}));
  BOOST_TEST(to_hex(drain(queue)) ==
             "668e33ef"
             "0001"
             "0001"
             "0102030405060708"
             "0000000a"
             "0000000000000000"
             "6161");
}

BOOST_AUTO_TEST_CASE(block_status_joins_equal_runs_and_stays_within_the_request) {
  ReplyQueue queue;
  const std::vector<engine::Allocation> runs{{10, true, true},
                                             {20, true, true},
                                             {0, false, false},
                                             {30, false, false},
                                             {1000, false, true}};
  queue.add_block_status(asked(Command::block_status, 0, 100), runs);
  BOOST_TEST(to_hex(drain(queue)) ==
             "668e33ef"
             "0001"
             "0005"
             "0102030405060708"
             "0000001c"
             "00000001"
             "0000001e00000003"
             "0000001e00000000"
             "0000002800000002");
  queue.add_block_status(asked(Command::block_status, 0, 100, command_flag::req_one), runs);
  BOOST_TEST(to_hex(drain(queue)) ==
             "668e33ef"
             "0001"
             "0005"
             "0102030405060708"
             "0000000c"
             "00000001"
             "0000001e00000003");
}

BOOST_AUTO_TEST_CASE(block_status_is_bounded) {
  std::vector<engine::Allocation> runs;
  for (std::size_t i = 0; i < 3 * extents_max; ++i) runs.push_back({512, i % 2 == 0, false});
  ReplyQueue queue;
  queue.add_block_status(asked(Command::block_status, 0, 0xffffffff), runs);
  BOOST_TEST(queue.unsent_bytes() == chunk_header_bytes + 4 + extents_max * extent_bytes);
}

BOOST_AUTO_TEST_CASE(block_status_of_four_gibibytes_fits_its_field) {
  ReplyQueue queue;
  const std::vector<engine::Allocation> runs{{std::uint64_t{1} << 40, true, true}};
  queue.add_block_status(asked(Command::block_status, 0, 0xffffffff), runs);
  BOOST_TEST(to_hex(drain(queue)).substr(48) == "ffffffff00000003");
}

BOOST_AUTO_TEST_CASE(answers_without_payload_leave_as_one_piece) {
  ReplyQueue queue;
  for (int i = 0; i < 32; ++i) queue.add_done(asked(Command::write), structured);
  std::array<iovec, 8> gather;
  BOOST_TEST(queue.gather(gather) == 1u);
  BOOST_TEST(gather[0].iov_len == 32 * simple_reply_header_bytes);
  BOOST_TEST(queue.unsent_replies() == 32u);
}

BOOST_AUTO_TEST_CASE(large_zeros_share_memory) {
  ReplyQueue queue;
  queue.add_read(asked(Command::read, 0, payload_bytes_max), !structured,
                 contents({{{}, payload_bytes_max}}));
  std::array<iovec, 64> gather;
  BOOST_TEST(queue.gather(gather) == 33u);
  BOOST_TEST(gather[1].iov_base == gather[2].iov_base);
  BOOST_TEST(drain(queue).size() == simple_reply_header_bytes + payload_bytes_max);
}

BOOST_AUTO_TEST_CASE(small_pieces_of_large_memory_are_copied_for_a_slow_client) {
  auto large = engine::Buffer::zeroed(16 << 20);
  large.data()[4096] = std::byte{7};
  const auto written = std::move(large).freeze();
  ReplyQueue queue;
  queue.add_read(asked(Command::read, 0, 4096), !structured,
                 contents({{written.part(4096, 4096), 0}}));
  queue.add_read(asked(Command::read, 0, 8 << 20), !structured,
                 contents({{written.part(0, 8 << 20), 0}}));
  std::array<iovec, 8> gather;
  queue.unpin();
  BOOST_TEST(queue.gather(gather) == 4u);
  const auto* small = static_cast<const std::byte*>(gather[1].iov_base);
  BOOST_TEST((small < written.data() || small >= written.data() + written.size()));
  BOOST_TEST((*small == std::byte{7}));
  BOOST_TEST(gather[3].iov_base == written.data());
}

/// A queue that is never empty: replies are added while others leave in odd portions.
Bytes trickle(std::size_t portion) {
  ReplyQueue queue;
  Bytes out;
  std::array<iovec, 5> gather;
  for (std::uint32_t i = 0; i < 4000; ++i) {
    auto request = asked(Command::read, i, 3 + i % 50);
    request.cookie = i;
    queue.add_read(request, structured, contents({{filled(3, 'd'), 0}, {{}, i % 50}}));
    queue.add_done(asked(Command::write), structured);
    const auto count = queue.gather(gather);
    std::size_t taken = 0;
    for (std::size_t k = 0; k < count && taken < portion; ++k) {
      const auto part = std::min(portion - taken, gather[k].iov_len);
      const auto* from = static_cast<const std::byte*>(gather[k].iov_base);
      out.insert(out.end(), from, from + part);
      taken += part;
    }
    queue.sent(taken);
  }
  return out + drain(queue);
}

BOOST_AUTO_TEST_CASE(partial_sends_lose_and_repeat_nothing) {
  const auto whole = trickle(SIZE_MAX);
  for (const std::size_t portion : {1u, 7u, 29u, 61u, 128u}) {
    BOOST_TEST((trickle(portion) == whole), portion);
  }
}

BOOST_AUTO_TEST_CASE(volume_errors_become_the_protocols_errors) {
  using engine::Errc;
  BOOST_TEST((to_error_code(Errc::no_space) == ErrorCode::enospc));
  BOOST_TEST((to_error_code(Errc::io_failed) == ErrorCode::eio));
  BOOST_TEST((to_error_code(Errc::corrupt) == ErrorCode::eio));
  BOOST_TEST((to_error_code(Errc::invalid) == ErrorCode::einval));
  BOOST_TEST((to_error_code(Errc::not_yet) == ErrorCode::einval));
  for (const auto gone : {Errc::unavailable, Errc::stale, Errc::cancelled, Errc::not_found,
                          Errc::busy, Errc::refused}) {
    BOOST_TEST((to_error_code(gone) == ErrorCode::eshutdown));
  }
  for (int code = 0; code <= static_cast<int>(Errc::cancelled); ++code) {
    BOOST_TEST((to_error_code(static_cast<Errc>(code)) != ErrorCode::none));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::nbd
