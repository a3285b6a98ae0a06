// How a scrub is paced, and what of it survives a restart.
#define BOOST_TEST_DYN_LINK
#include "engine/scrub.hpp"

#include <boost/test/unit_test.hpp>

namespace tidemark::engine {
namespace {

BOOST_AUTO_TEST_SUITE(scrub)

BOOST_AUTO_TEST_CASE(what_is_read_is_paid_for_with_time) {
  BOOST_TEST(scrub_pause(1u << 20, 1u << 20) == second);
  BOOST_TEST(scrub_pause(0, 1u << 20) == 0u);
  BOOST_TEST(scrub_pause(scrub_rate_min, 0) == second);
}

BOOST_AUTO_TEST_CASE(a_place_comes_back_as_it_was_written_and_nothing_else_does) {
  const ScrubPlace place{123, BlockIndex(456), 7, 89};
  const auto value = encode_scrub(place);
  BOOST_TEST(value.size() == 37u);
  BOOST_CHECK(decode_scrub(value) == place);
  for (std::size_t at = 0; at < value.size(); ++at) {
    auto bent = value;
    bent[at] = static_cast<char>(bent[at] ^ 1);
    BOOST_TEST(!decode_scrub(bent).has_value());
    BOOST_TEST(!decode_scrub(value.substr(0, at)).has_value());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::engine
