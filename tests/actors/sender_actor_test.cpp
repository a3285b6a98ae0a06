// The sender actor and the receiver actor together:
// the machines' effects reach stores, links and timers.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/actors/replication_world.hpp"

namespace tidemark::actors {

BOOST_AUTO_TEST_SUITE(sender_actor)

BOOST_AUTO_TEST_CASE(a_replica_catches_up_then_streams) {
  ReplicationWorld w(20, 5);
  w.spawn_both();
  BOOST_TEST(w.equal());
  BOOST_REQUIRE(!w.heard->empty());
  BOOST_TEST((w.heard->back().state == engine::PeerState::streaming));
  BOOST_TEST(w.heard->back().proved);
  BOOST_TEST(w.heard->back().durable.value == 20u);
  w.number(25, 20);
  BOOST_TEST(w.equal());
  BOOST_TEST(w.heard->back().durable.value == 25u);
  BOOST_TEST(w.near_log->pins.empty());
}

BOOST_AUTO_TEST_CASE(received_is_reported_before_durable) {
  ReplicationWorld w(5, 5);
  w.spawn_both();
  w.far_log->sluggish = true;
  w.number(7);
  BOOST_TEST(w.heard->back().received.value == 7u);
  BOOST_TEST(w.heard->back().durable.value == 5u);
  caf::anon_send(w.far_store, ReleaseFlush{});
  w.run();
  BOOST_TEST(w.heard->back().durable.value == 7u);
}

BOOST_AUTO_TEST_CASE(a_cut_is_reported_at_once_and_healed_by_a_timer) {
  ReplicationWorld w(10, 10);
  w.spawn_both();
  w.network.unreachable = true;
  w.network.cut();
  w.run();
  BOOST_TEST((w.heard->back().state == engine::PeerState::disconnected));
  BOOST_TEST(!w.heard->back().proved);
  w.number(15);
  w.pass(2000);
  BOOST_TEST(!w.equal());
  w.network.unreachable = false;
  w.pass(2000);
  BOOST_TEST(w.equal());
  BOOST_TEST((w.heard->back().state == engine::PeerState::streaming));
}

BOOST_AUTO_TEST_CASE(a_tail_of_another_reign_is_cut_before_records_come) {
  ReplicationWorld w(10);
  engine::replication::TestLog other;
  other.epoch(1, 11);
  other.grow_to(6);
  w.log.truncate(engine::Lsn(6));
  w.log.epoch(2, 22);  // The primary reigns anew behind 6; the replica has another 7.
  w.near_log->log = *w.log.batch(1, 7);
  other.write(1, 77);
  w.far_log->log = *other.batch(1, 7);
  w.far_history = other.history();
  w.epoch = 2;
  w.spawn_both();
  BOOST_TEST(w.far_log->heard.front() == "truncate 6");
  BOOST_TEST(w.equal());
}

BOOST_AUTO_TEST_CASE(a_replica_behind_retention_is_rebuilt) {
  ReplicationWorld w(20, 3);
  w.near_log->retained = engine::Lsn(11);
  w.near_log->checkpoint = engine::Lsn(15);
  w.near_log->extents = {{0, 'a'}, {3, 'b'}};
  w.spawn_both();
  BOOST_TEST((w.heard->back().state == engine::PeerState::streaming));
  BOOST_TEST(w.equal());
  BOOST_TEST((w.far_log->state == engine::BaseState::complete));
  BOOST_TEST(w.far_log->heard.front() == "begin base 15");
  BOOST_TEST(w.far_log->heard.back() == "finish 20");
  BOOST_TEST(w.near_log->pins.empty());
  const auto status = w.ask<engine::PeerStatus>(w.sender, AskPeerStatus{});
  BOOST_REQUIRE(status.has_value());
  BOOST_TEST((status->kind == engine::SessionKind::rebuild));
  BOOST_TEST(status->session_base_blocks == 8u);
}

BOOST_AUTO_TEST_CASE(an_idle_pair_keeps_talking_and_stays_in_line) {
  ReplicationWorld w(5, 5);
  w.spawn_both();
  for (int i = 0; i < 20; ++i) w.pass(500);
  BOOST_TEST((w.heard->back().state == engine::PeerState::streaming));
}

BOOST_AUTO_TEST_CASE(a_silent_replica_is_given_up) {
  ReplicationWorld w(5, 5);
  w.spawn_both();
  caf::anon_send_exit(caf::actor_cast<caf::actor>(w.receiver), caf::exit_reason::kill);
  w.run();
  for (int i = 0; i < 8; ++i) w.pass(500);
  BOOST_TEST((w.heard->back().state != engine::PeerState::streaming));
}

BOOST_AUTO_TEST_CASE(a_stopped_sender_ends_and_nothing_fires_into_it) {
  ReplicationWorld w(20, 5);
  w.spawn_both();
  caf::anon_send(w.sender, StopSender{});
  w.run();
  BOOST_TEST(!w.ask<engine::PeerStatus>(w.sender, AskPeerStatus{}).has_value());
  for (int i = 0; i < 10; ++i) w.pass(1000);
  w.network.cut();
  w.run();
  BOOST_TEST(w.near_log->pins.empty());
}

BOOST_AUTO_TEST_CASE(a_preview_asks_the_store_and_touches_neither_session_nor_pins) {
  ReplicationWorld w(20, 5);
  w.spawn_both();
  const AskPreview question{engine::ReplicaId(2)};
  auto answer = w.ask<PreviewIs>(w.sender, question);
  BOOST_REQUIRE(answer.has_value() && answer->preview.has_value());
  BOOST_TEST((answer->preview->basis == engine::PreviewBasis::in_line));
  w.network.unreachable = true;
  w.network.cut();
  w.run();
  w.number(30);
  const auto heard = w.heard->size();
  answer = w.ask<PreviewIs>(w.sender, question);
  BOOST_REQUIRE(answer.has_value() && answer->preview.has_value());
  const auto& preview = *answer->preview;
  BOOST_TEST((preview.basis == engine::PreviewBasis::known_facts));
  BOOST_TEST((preview.outcome->row == engine::OutcomeRow::log_retained));
  BOOST_TEST(preview.move.log_records == 10u);
  BOOST_TEST(preview.move.log_bytes == 10u);  // As the store of this world counts.
  BOOST_TEST(w.heard->size() == heard);
  BOOST_TEST(w.near_log->pins.empty());
  w.network.unreachable = false;
  w.pass(2000);
  BOOST_TEST(w.equal());
}

BOOST_AUTO_TEST_CASE(a_preview_of_a_store_that_is_gone_is_an_error) {
  ReplicationWorld w(20, 5);
  w.spawn_both();
  w.network.unreachable = true;
  w.network.cut();
  w.run();
  caf::anon_send_exit(caf::actor_cast<caf::actor>(w.near_store), caf::exit_reason::kill);
  w.run();
  const auto answer = w.ask<PreviewIs>(w.sender, AskPreview{engine::ReplicaId(2)});
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(!answer->preview.has_value());
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(receiver_actor)

BOOST_AUTO_TEST_CASE(a_fence_cuts_the_primary_and_tells_what_is_durable) {
  ReplicationWorld w(10, 5);
  w.spawn_both();
  const auto fenced = w.ask<ReceiverFenced>(w.receiver, FenceReceiver{engine::Epoch(2)});
  BOOST_REQUIRE(fenced.has_value());
  BOOST_REQUIRE(fenced->facts.has_value());
  BOOST_TEST(fenced->facts->end.value == 10u);
  BOOST_TEST((fenced->facts->digest == *w.near_log->digest(engine::Lsn(10))));
  BOOST_TEST((w.heard->back().state != engine::PeerState::streaming));
  BOOST_TEST(w.heard->back().promised.value == 2u);
}

BOOST_AUTO_TEST_CASE(a_stopped_receiver_answers_and_ends) {
  ReplicationWorld w(10, 5);
  w.spawn_both();
  BOOST_TEST(w.ask<RoleStopped>(w.receiver, StopRole{"moved"}).has_value());
  BOOST_TEST(!w.ask<ReceiverStatus>(w.receiver, AskReceiverStatus{}).has_value());
}

BOOST_AUTO_TEST_CASE(a_failed_store_ends_the_role_and_the_link) {
  ReplicationWorld w(10, 5);
  w.spawn_both();
  caf::anon_send(w.receiver, StoreFailed{{engine::Errc::io_failed, "EIO"}});
  w.run();
  BOOST_TEST(w.node_notes->ended.size() == 1u);
  BOOST_TEST((w.heard->back().state == engine::PeerState::disconnected));
  BOOST_TEST(w.ask<ReceiverStatus>(w.receiver, AskReceiverStatus{})->state == "refusing");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::actors
