#include "engine/units.hpp"

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <functional>
#include <type_traits>

#include "engine/types.hpp"

using namespace tidemark::engine;

namespace {

template <class A, class B>
constexpr bool adds = std::is_invocable_v<std::plus<>, A, B>;

/// A value of one is taken where the other is meant, unsaid or said.
template <class A, class B>
constexpr bool mixes =
    std::is_convertible_v<A, B> || std::is_convertible_v<B, A> ||
    std::is_invocable_v<std::less<>, A, B> || std::is_invocable_v<std::equal_to<>, A, B> ||
    std::is_invocable_v<std::minus<>, A, B>;

}  // namespace

BOOST_AUTO_TEST_SUITE(units)

BOOST_AUTO_TEST_CASE(sizes_are_binary) {
  BOOST_TEST(parse_size("4096").value() == 4096u);
  BOOST_TEST(parse_size("2G").value() == 2ull << 30);
  BOOST_TEST(parse_size("2GiB").value() == 2ull << 30);
  BOOST_TEST(parse_size("1.5 MiB").value() == 3ull << 19);
}

BOOST_AUTO_TEST_CASE(what_is_no_size_is_refused_with_an_example) {
  for (auto text : {"", "G", "2GB", "-1M", "1e3", "1.0001K", "9999999999T", "2 G iB", "0x10"}) {
    const auto size = parse_size(text);
    BOOST_TEST(!size.has_value(), text);
    if (!size) BOOST_TEST(size.error().text.find("1GiB") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(durations_need_a_unit) {
  BOOST_TEST(parse_duration("100ms").value() == 100 * millisecond);
  BOOST_TEST(parse_duration("2s").value() == 2 * second);
  BOOST_TEST(!parse_duration("100").has_value());
  BOOST_TEST(!parse_duration("2 hours").has_value());
}

BOOST_AUTO_TEST_CASE(what_is_printed_reads_well) {
  BOOST_TEST(format_size(512) == "512 B");
  BOOST_TEST(format_size(1ull << 30) == "1 GiB");
  BOOST_TEST(format_size((1ull << 30) + (1ull << 29)) == "1.50 GiB");
  BOOST_TEST(format_duration(250'000) == "250 us");
  BOOST_TEST(format_duration(3'400'000'000) == "3.4 s");
}

// Sizes in bytes are plain numbers: added to a place they are a distance, and never a place.
BOOST_AUTO_TEST_CASE(an_lsn_a_block_and_a_plain_number_are_not_taken_for_each_other) {
  BOOST_TEST(!(mixes<Lsn, BlockIndex>));
  BOOST_TEST(!(std::is_constructible_v<Lsn, BlockIndex>));
  BOOST_TEST(!(std::is_constructible_v<BlockIndex, Lsn>));
  BOOST_TEST(!(adds<Lsn, BlockIndex>));
  BOOST_TEST(!(adds<Lsn, Lsn>));
  BOOST_TEST(!(adds<BlockIndex, BlockIndex>));
  BOOST_TEST(!(mixes<Lsn, std::uint64_t>));
  BOOST_TEST(!(mixes<BlockIndex, std::uint64_t>));
  // As they are meant, so that the above says something.
  BOOST_TEST((mixes<Lsn, Lsn> && adds<Lsn, std::uint64_t>));
  BOOST_TEST((std::is_same_v<decltype(BlockIndex(3) - BlockIndex(1)), std::uint64_t>));
}

BOOST_AUTO_TEST_SUITE_END()
