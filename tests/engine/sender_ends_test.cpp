// Sessions that must not go on, and what they still say when the next one is there.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/sender_rig.hpp"

namespace tidemark::engine::outflow {

BOOST_AUTO_TEST_SUITE(sender_ends)

BOOST_AUTO_TEST_CASE(another_node_at_the_old_endpoint_ends_streaming_and_needs_new_proof) {
  Rig r(10);
  r.stream();
  auto moved = assignment(1, 2);
  moved.members[1].node.uuid = make_uuid(7, 7);
  BOOST_TEST(r.on(AssignmentChanged{moved}) ==
             "session_ended reassigned_endpoint\n"
             "close records #1\n"
             "state streaming -> disconnected\n"
             "state disconnected -> connecting\n"
             "connect records #2 host2:1 epoch=1\n");
  BOOST_TEST(has(r.turn(), "proved=false"));
}

BOOST_AUTO_TEST_CASE(a_replica_that_moved_is_served_anew_and_its_old_session_is_dead) {
  Rig r(10);
  r.stream();
  const auto old_link = r.link;
  const auto old_session = r.session;
  auto moved = assignment(1, 2);
  moved.members[1].endpoint = "elsewhere:1";
  r.on(AssignmentChanged{moved});
  r.stream();
  BOOST_TEST((r.session != old_session));
  BOOST_TEST(has(r.numbered(11, 12), "send records 11..12"));
  const auto durable = [&] { return r.sender->status(MonoTime(r.now)).durable.value; };
  auto late = r.ack(12, 12);
  late.session = old_session;
  BOOST_TEST(r.hear(late) == "");
  BOOST_TEST(r.on(MessageArrived{Lane::records, old_link, r.ack(12, 12)}) == "");
  BOOST_TEST(r.on(LinkClosed{Lane::records, old_link, "reset"}) == "");
  BOOST_TEST(durable() == 10u);
  r.hear(r.ack(12, 12));
  BOOST_TEST(durable() == 12u);
  BOOST_TEST((r.sender->state() == PeerState::streaming));
}

BOOST_AUTO_TEST_CASE(a_target_that_is_witnessed_with_another_digest_is_an_incident) {
  Rig r(10);
  r.catch_up_from(10);
  auto ack = r.ack(10, 10);
  ack.digest.low ^= 1;
  BOOST_TEST(r.hear(ack) ==
             "unpin\n"
             "session_ended digest_mismatch\n"
             "close records #1\n"
             "state catching_up -> disconnected\n");
  BOOST_TEST(has(r.turn(), "proved=false"));
}

BOOST_AUTO_TEST_CASE(a_log_that_was_given_up_under_its_pin_ends_the_session_as_log_gone) {
  Rig r(10);
  r.catch_up_from(7);
  BOOST_TEST(r.on(LogRecordsRead{r.session, Lsn(8), Error{Errc::out_of_window, "pruned"}}) ==
             "unpin\n"
             "session_ended log_gone\n"
             "close records #1\n"
             "state catching_up -> disconnected\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::outflow
