#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"
#include "tests/engine/volume_support.hpp"
#include "tests/support/print_strong.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t kib4 = block_bytes;

std::string payload(const VolumeEffects& effects, std::size_t i = 0) {
  const auto& slice = (*std::get<Append>(effects[0]).batch)[i]->payload();
  return {reinterpret_cast<const char*>(slice.data()), slice.size()};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volume_merge)

BOOST_AUTO_TEST_CASE(an_unaligned_write_takes_its_surroundings_from_the_newest_version) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(write_request(1, 100, 50)) == "read #1 [0,1)\n");
  const auto effects =
      s.volume.on(BlocksArrived{ReadId(1), std::vector<FrontReply::Piece>{piece_of('o')}, s.at});
  BOOST_TEST(quiet(effects) == "append 2:write[0,1)\n");
  const auto data = payload(effects);
  BOOST_TEST(data == std::string(100, 'o') + std::string(50, 'w') + std::string(kib4 - 150, 'o'));
}

BOOST_AUTO_TEST_CASE(both_edges_of_a_long_write_are_read) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(write_request(1, 100, 2 * kib4)) == "read #1 [0,1)\nread #2 [2,3)\n");
  BOOST_TEST(s.arrives(2, 'r') == "");
  const auto effects =
      s.volume.on(BlocksArrived{ReadId(1), std::vector<FrontReply::Piece>{piece_of('l')}, s.at});
  const auto data = payload(effects);
  BOOST_TEST(data ==
             std::string(100, 'l') + std::string(2 * kib4, 'w') + std::string(kib4 - 100, 'r'));
}

BOOST_AUTO_TEST_CASE(a_hole_merges_as_zeros) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 0, 10));
  FrontReply::Piece hole;
  hole.zero_bytes = kib4;
  const auto effects =
      s.volume.on(BlocksArrived{ReadId(1), std::vector<FrontReply::Piece>{hole}, s.at});
  BOOST_TEST(payload(effects) == std::string(10, 'w') + std::string(kib4 - 10, '\0'));
}

// The history of C22: both sectors' writes read the base, the later undid the earlier.
BOOST_AUTO_TEST_CASE(two_sectors_of_one_block_merge_one_after_the_other) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(write_request(1, 0, 512, 'a'), 1) == "read #1 [0,1)\n");
  BOOST_TEST(s.ask(write_request(2, 512, 512, 'b'), 2) == "");
  // The second asks for its base behind the first one's record, so the store answers with it.
  BOOST_TEST(s.arrives(1, 'o') == "append 2:write[0,1)\nread #2 [0,1)\n");
  BOOST_TEST(s.arrives(2, 'o') == "append 3:write[0,1)\n");
}

BOOST_AUTO_TEST_CASE(a_full_write_behind_a_merge_waits_for_it_and_others_go_on) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 5 * kib4, 512));
  BOOST_TEST(s.ask(write_request(2, 5 * kib4, 2 * kib4)) == "");
  BOOST_TEST(s.ask(write_request(3, 6 * kib4, kib4)) == "");  // behind 2, not behind 1
  BOOST_TEST(s.ask(write_request(4, 9 * kib4, kib4)) == "append 2:write[9,10)\n");
  BOOST_TEST(s.ask(request(5, FrontOp::trim, 6 * kib4, kib4)) == "");
  BOOST_TEST(s.arrives(1, 'o') == "append 3:write[5,6) 4:write[5,7) 5:write[6,7) 6:trim[6,7)\n");
}

BOOST_AUTO_TEST_CASE(planted_a_merge_on_a_stale_base_undoes_what_was_numbered_meanwhile) {
  VolumeStory s;
  s.serve();
  plant(Bug::unaligned_merge_on_stale_base);
  s.ask(write_request(1, 0, 512));
  BOOST_TEST(s.ask(write_request(2, 0, kib4)) == "append 2:write[0,1)\n");
  BOOST_TEST(s.arrives(1, 'o') == "append 3:write[0,1)\n");
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(edges_that_cannot_be_read_refuse_the_write_and_free_what_waits_behind) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 100, 2 * kib4));
  s.ask(write_request(2, 0, kib4));
  BOOST_TEST(quiet(s.volume.on(BlocksArrived{ReadId(1), Error{Errc::corrupt, "block 0"}, s.at})) ==
             "append 2:write[0,1)\nreply client 1 cookie 1 corrupt\n");
  BOOST_TEST(s.arrives(2, 'o') == "");  // the other edge comes late
  BOOST_TEST(s.volume.head() == Lsn(2));
}

BOOST_AUTO_TEST_CASE(a_client_that_goes_takes_its_unnumbered_writes_along) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 0, 512), 1);
  s.ask(write_request(2, 0, kib4), 2);
  BOOST_TEST(quiet(s.volume.on(ClientGone{ClientKey(1), s.at})) == "append 2:write[0,1)\n");
  BOOST_TEST(s.arrives(1, 'o') == "");
}

BOOST_AUTO_TEST_CASE(a_flush_does_not_wait_for_a_write_that_has_no_number_yet) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 0, 512));
  BOOST_TEST(s.ask(request(2, FrontOp::flush)) == "reply client 1 cookie 2\n");
}

BOOST_AUTO_TEST_CASE(merges_in_flight_are_bounded_and_more_wait_in_order) {
  VolumeLimits limits;
  limits.merging_max = 2;
  VolumeStory s(volume_assignment(), opened_log(), limits);
  s.serve();
  BOOST_TEST(s.ask(write_request(1, 0, 512)) == "read #1 [0,1)\n");
  BOOST_TEST(s.ask(write_request(2, kib4, 512)) == "read #2 [1,2)\n");
  BOOST_TEST(s.ask(write_request(3, 2 * kib4, 512)) == "");
  BOOST_TEST(s.ask(write_request(4, 9 * kib4, kib4)) == "");
  BOOST_TEST(s.arrives(1, 'o') == "append 2:write[0,1)\nread #3 [2,3)\n");
  BOOST_TEST(s.arrives(2, 'o') == "append 3:write[1,2) 4:write[9,10)\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
