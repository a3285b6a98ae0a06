#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"
#include "tests/engine/volume_support.hpp"
#include "tests/support/print_strong.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t kib4 = block_bytes;

}  // namespace

BOOST_AUTO_TEST_SUITE(volume_reads)

BOOST_AUTO_TEST_CASE(a_read_of_settled_blocks_is_answered_when_its_data_comes) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(request(1, FrontOp::read, 0, kib4)) == "read #1 [0,1)\n");
  BOOST_TEST(s.arrives(1, 'd') == "reply client 1 cookie 1 4096 bytes\n");
}

BOOST_AUTO_TEST_CASE(a_read_never_shows_a_write_that_could_not_be_answered_yet) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 0, kib4));
  s.ask(request(2, FrontOp::read, 0, kib4));
  BOOST_TEST(s.arrives(1, 'w') == "");
  s.peer(2, 2, 1);
  BOOST_TEST(s.peer(3, 2, 1) == "reply client 1 cookie 1\nreply client 1 cookie 2 4096 bytes\n");
}

BOOST_AUTO_TEST_CASE(a_write_numbered_while_the_read_was_out_is_waited_for_too) {
  VolumeStory s;
  s.serve();
  s.ask(request(1, FrontOp::read, 0, kib4));
  s.ask(write_request(2, 0, kib4));
  BOOST_TEST(s.arrives(1, 'w') == "");
  // One numbered after the data came can't be in it.
  s.ask(write_request(3, 0, kib4));
  s.peer(2, 3, 1);
  BOOST_TEST(s.peer(3, 2, 1) == "reply client 1 cookie 2\nreply client 1 cookie 1 4096 bytes\n");
}

BOOST_AUTO_TEST_CASE(writes_to_other_blocks_do_not_hold_a_read) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 3 * kib4, kib4));
  s.ask(request(2, FrontOp::read, 0, 3 * kib4));
  BOOST_TEST(s.arrives(1, 'd', 3 * kib4) == "reply client 1 cookie 2 12288 bytes\n");
}

BOOST_AUTO_TEST_CASE(planted_a_read_shows_what_a_failover_could_take_back) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 0, kib4));
  s.ask(request(2, FrontOp::read, 0, kib4));
  plant(Bug::read_unanswerable);
  BOOST_TEST(s.arrives(1, 'w') == "reply client 1 cookie 2 4096 bytes\n");
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(pieces_are_cut_to_the_bytes_asked_for) {
  VolumeStory s;
  s.serve();
  s.ask(request(1, FrontOp::read, kib4 - 10, kib4 + 30));
  std::vector<FrontReply::Piece> pieces;
  pieces.push_back(piece_of('a'));
  pieces.emplace_back();
  pieces.back().zero_bytes = kib4;
  pieces.push_back(piece_of('c'));
  const auto effects = s.volume.on(BlocksArrived{ReadId(1), std::move(pieces), s.at});
  const auto& reply = std::get<Reply>(effects[0]).reply;
  BOOST_REQUIRE(reply.pieces.size() == 3U);
  BOOST_TEST(reply.pieces[0].data.size() == 10U);
  BOOST_TEST(reply.pieces[1].zero_bytes == kib4);
  BOOST_TEST(reply.pieces[2].data.size() == 20U);
  BOOST_TEST((reply.pieces[2].data.data()[0] == std::byte{'c'}));
}

BOOST_AUTO_TEST_CASE(a_failed_read_is_answered_with_its_error) {
  VolumeStory s;
  s.serve();
  s.ask(request(1, FrontOp::read, 0, kib4));
  BOOST_TEST(quiet(s.volume.on(BlocksArrived{ReadId(1), Error{Errc::corrupt, "block 0"}, s.at})) ==
             "reply client 1 cookie 1 corrupt\n");
}

BOOST_AUTO_TEST_CASE(data_for_a_client_that_is_gone_is_dropped) {
  VolumeStory s;
  s.serve();
  s.ask(request(1, FrontOp::read, 0, kib4));
  s.volume.on(ClientGone{ClientKey(1), s.at});
  BOOST_TEST(s.arrives(1, 'd') == "");
}

BOOST_AUTO_TEST_CASE(block_status_is_cut_to_the_range_and_waits_like_a_read) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(request(1, FrontOp::block_status, 100, 2 * kib4)) ==
             "ask allocation #1 [0,3)\n");
  s.ask(write_request(2, 0, kib4));
  std::vector<Allocation> runs{{kib4, false, false}, {2 * kib4, true, true}};
  BOOST_TEST(quiet(s.volume.on(AllocationArrived{ReadId(1), runs, s.at})) == "");
  s.peer(2, 2, 1);
  PeerSeen seen;
  seen.replica = ReplicaId(3);
  seen.incarnation = Incarnation(30);
  seen.state = PeerState::streaming;
  seen.proved = true;
  seen.received = Lsn(2);
  seen.durable = Lsn(1);
  seen.wal_free_bytes = 1u << 30;
  const auto effects = s.volume.on(PeerReported{seen, s.at});
  const auto& reply = std::get<Reply>(effects[1]).reply;
  BOOST_REQUIRE(reply.allocations.size() == 2U);
  BOOST_TEST(reply.allocations[0].length == kib4 - 100);
  BOOST_TEST(reply.allocations[1].length == kib4 + 100);
  BOOST_TEST(reply.allocations[1].hole);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
