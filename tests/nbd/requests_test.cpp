// The table of what may be asked: every command, flag and border.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/nbd/bytes.hpp"
#include "transport/nbd/in_flight.hpp"
#include "transport/nbd/requests.hpp"

namespace tidemark::nbd {
namespace {

using namespace testing;

constexpr std::uint64_t gib = std::uint64_t{1} << 30;
constexpr Agreement full{
    .size_bytes = gib, .read_only = false, .structured_replies = true, .base_allocation = true};

constexpr std::array data_commands{Command::read,         Command::write, Command::trim,
                                   Command::write_zeroes, Command::cache, Command::block_status};

ErrorCode beyond_the_end(Command c) {
  return c == Command::write || c == Command::write_zeroes ? ErrorCode::enospc : ErrorCode::einval;
}

Judgement judged(Command c, std::uint64_t offset, std::uint32_t length, std::uint16_t flags = 0,
                 const Agreement& agreed = full) {
  return judge({flags, c, 7, offset, length}, agreed);
}

void expect(const Judgement& j, Verdict verdict, ErrorCode error = ErrorCode::none) {
  BOOST_TEST(static_cast<int>(j.verdict) == static_cast<int>(verdict), j.text);
  BOOST_TEST(static_cast<int>(j.error) == static_cast<int>(error), j.text);
  BOOST_TEST(j.text.empty() == (verdict != Verdict::close && error == ErrorCode::none));
}

RequestHeader decoded(const Bytes& bytes) {
  const auto r = decode_request(ByteView(bytes).first<request_header_bytes>());
  BOOST_REQUIRE(r.has_value());
  return *r;
}

BOOST_AUTO_TEST_SUITE(requests)

BOOST_AUTO_TEST_CASE(header_is_decoded_field_by_field) {
  const auto r = decoded(hex("25609513 0011 0006 0102030405060708 1112131415161718 21222324"));
  BOOST_TEST(r.flags == 0x11);
  BOOST_TEST((r.command == Command::write_zeroes));
  BOOST_TEST(r.cookie == 0x0102030405060708u);
  BOOST_TEST(r.offset == 0x1112131415161718u);
  BOOST_TEST(r.length == 0x21222324u);
}

BOOST_AUTO_TEST_CASE(any_other_magic_is_not_a_request) {
  for (const auto* magic : {"25609512", "00000000", "67446698", "13956025", "ffffffff"}) {
    const auto bytes = hex(magic) + Bytes(24);
    BOOST_TEST(!decode_request(ByteView(bytes).first<request_header_bytes>()).has_value());
  }
}

BOOST_AUTO_TEST_CASE(ranges_within_the_export_are_forwarded) {
  for (const auto c : data_commands) {
    expect(judged(c, 0, 1), Verdict::forward);
    expect(judged(c, gib - 1, 1), Verdict::forward);
    expect(judged(c, 511, 3), Verdict::forward);
    expect(judged(c, gib - payload_bytes_max, payload_bytes_max), Verdict::forward);
  }
}

BOOST_AUTO_TEST_CASE(ranges_beyond_the_end_are_refused_without_overflow) {
  constexpr std::uint64_t top = UINT64_MAX;
  for (const auto c : data_commands) {
    for (const std::uint64_t offset :
         {gib, gib - 1, gib + 1, std::uint64_t{1} << 31, std::uint64_t{1} << 32,
          std::uint64_t{1} << 63, top - 1, top}) {
      expect(judged(c, offset, 2), Verdict::answer, beyond_the_end(c));
    }
  }
  expect(judged(Command::trim, 1, 0xffffffff), Verdict::answer, ErrorCode::einval);
  expect(judged(Command::write_zeroes, 1, 0x80000000), Verdict::answer, ErrorCode::enospc);
}

BOOST_AUTO_TEST_CASE(commands_without_payload_may_cover_four_gibibytes) {
  auto large = full;
  large.size_bytes = 8 * gib;
  for (const auto c :
       {Command::trim, Command::write_zeroes, Command::cache, Command::block_status}) {
    expect(judged(c, gib, 0xffffffff, 0, large), Verdict::forward);
  }
  expect(judged(Command::read, 0, payload_bytes_max + 1), Verdict::answer, ErrorCode::einval);
  expect(judged(Command::read, 0, 0xffffffff, 0, large), Verdict::answer, ErrorCode::einval);
}

BOOST_AUTO_TEST_CASE(write_of_more_than_32_mib_closes_whatever_else_it_says) {
  for (const std::uint32_t length :
       {payload_bytes_max + 1, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    expect(judged(Command::write, 0, length), Verdict::close);
    expect(judged(Command::write, UINT64_MAX, length, 0xffff), Verdict::close);
  }
}

BOOST_AUTO_TEST_CASE(nothing_is_done_at_once_and_block_status_of_nothing_is_invalid) {
  for (const auto c :
       {Command::read, Command::write, Command::trim, Command::write_zeroes, Command::cache}) {
    expect(judged(c, 0, 0), Verdict::answer);
    expect(judged(c, gib, 0), Verdict::answer);
    expect(judged(c, gib + 1, 0), Verdict::answer, beyond_the_end(c));
  }
  expect(judged(Command::block_status, 0, 0), Verdict::answer, ErrorCode::einval);
}

BOOST_AUTO_TEST_CASE(every_flag_of_every_command_is_known_or_refused) {
  namespace f = command_flag;
  const auto allowed = [](Command c) -> unsigned {
    if (c == Command::read) return f::fua | f::df;
    if (c == Command::write_zeroes) return f::fua | f::no_hole | f::fast_zero;
    if (c == Command::block_status) return f::fua | f::req_one;
    return f::fua;
  };
  for (const auto c : data_commands) {
    for (unsigned bit = 0; bit < 16; ++bit) {
      const auto flag = static_cast<std::uint16_t>(1u << bit);
      if ((allowed(c) & flag) != 0) {
        expect(judged(c, 0, 512, flag), Verdict::forward);
      } else {
        expect(judged(c, 0, 512, flag), Verdict::answer, ErrorCode::einval);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(df_needs_structured_replies) {
  auto simple = full;
  simple.structured_replies = false;
  expect(judged(Command::read, 0, 512, command_flag::df, simple), Verdict::answer,
         ErrorCode::einval);
}

BOOST_AUTO_TEST_CASE(unknown_commands_are_invalid_and_carry_no_payload) {
  for (const int number : {8, 9, 255, 256, 0x7fff, 0xffff}) {
    const RequestHeader r{0, static_cast<Command>(number), 7, 0, 0xffffffff};
    expect(judge(r, full), Verdict::answer, ErrorCode::einval);
    BOOST_TEST(r.payload_bytes() == 0u);
  }
}

BOOST_AUTO_TEST_CASE(read_only_exports_refuse_changes_and_serve_the_rest) {
  auto past = full;
  past.read_only = true;
  for (const auto c : {Command::write, Command::trim, Command::write_zeroes}) {
    expect(judged(c, 0, 512, 0, past), Verdict::answer, ErrorCode::eperm);
    expect(judged(c, 0, 0, 0, past), Verdict::answer, ErrorCode::eperm);
  }
  for (const auto c : {Command::read, Command::cache, Command::block_status}) {
    expect(judged(c, 0, 512, 0, past), Verdict::forward);
  }
  expect(judged(Command::flush, 0, 0, 0, past), Verdict::forward);
}

BOOST_AUTO_TEST_CASE(flush_has_no_range) {
  expect(judged(Command::flush, 0, 0), Verdict::forward);
  expect(judged(Command::flush, 0, 0, command_flag::fua), Verdict::forward);
  expect(judged(Command::flush, 1, 0), Verdict::answer, ErrorCode::einval);
  expect(judged(Command::flush, 0, 1), Verdict::answer, ErrorCode::einval);
}

BOOST_AUTO_TEST_CASE(block_status_needs_the_context) {
  auto without = full;
  without.base_allocation = false;
  expect(judged(Command::block_status, 0, 512, 0, without), Verdict::answer, ErrorCode::einval);
}

BOOST_AUTO_TEST_CASE(good_bye_is_always_understood) {
  expect(judged(Command::disc, 0, 0), Verdict::disconnect);
  expect(judged(Command::disc, 5, 5, 0xffff), Verdict::disconnect);
}

BOOST_AUTO_TEST_CASE(flags_reach_the_volume_where_they_mean_something) {
  const auto zero = to_front({0x13, Command::write_zeroes, 7, 100, 200});
  BOOST_TEST((zero.op == engine::FrontOp::write_zeroes));
  BOOST_TEST((zero.fua && zero.no_hole));
  BOOST_TEST(zero.offset == 100u);
  BOOST_TEST(zero.length == 200u);
  BOOST_TEST(to_front({1, Command::write, 7, 0, 1}).fua);
  BOOST_TEST(!to_front({1, Command::read, 7, 0, 1}).fua);
}

BOOST_AUTO_TEST_CASE(a_block_status_costs_what_its_range_may_have_runs) {
  const auto cost = [](std::uint32_t length) {
    return memory_cost(RequestHeader{.command = Command::block_status, .length = length});
  };
  BOOST_TEST(cost(4096) == sizeof(engine::Allocation));
  // The largest fits, and the third of them waits.
  BOOST_TEST(cost(0xffffffff) <= in_flight_bytes_max);
  BOOST_TEST(3 * cost(0xffffffff) > in_flight_bytes_max);
}

BOOST_AUTO_TEST_CASE(touched_blocks_are_whole) {
  BOOST_TEST(touched_bytes(0, 4096) == 4096u);
  BOOST_TEST(touched_bytes(4095, 1) == 4096u);
  BOOST_TEST(touched_bytes(4095, 2) == 8192u);
  BOOST_TEST(touched_bytes(1, 4096) == 8192u);
  BOOST_TEST(touched_bytes(4095, payload_bytes_max) == payload_bytes_max + 4096u);
}

BOOST_AUTO_TEST_CASE(slots_give_back_the_request_and_never_reuse_a_cookie) {
  InFlight table;
  std::vector<std::uint64_t> cookies;
  for (std::uint64_t i = 0; i < in_flight_max; ++i) {
    cookies.push_back(table.add({0, Command::read, i, 0, 4096}));
  }
  BOOST_TEST(table.count() == in_flight_max);
  BOOST_TEST(table.bytes() == in_flight_max * 4096u);
  for (std::uint64_t i = in_flight_max; i-- > 0;) BOOST_TEST(table.finish(cookies[i]).cookie == i);
  BOOST_TEST(table.count() == 0u);
  BOOST_TEST(table.bytes() == 0u);
  BOOST_TEST(table.add({0, Command::flush, 1, 0, 0}) != cookies[0]);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::nbd
