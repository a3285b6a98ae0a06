#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/chunk.hpp"
#include "tests/actors/volume_world.hpp"

namespace tidemark::actors {
namespace {

using engine::block_bytes;
using engine::FrontOp;

std::string lines(const std::vector<std::string>& all) {
  std::string text;
  for (const auto& line : all) text += line + "\n";
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volume_actor)

BOOST_AUTO_TEST_CASE(a_reign_begins_with_its_record_at_the_store_and_at_every_sender) {
  VolumeWorld w;
  BOOST_TEST(lines(w.store_notes->heard) == "append 1..1 committed 0\n");
  BOOST_TEST(w.store_notes->listener.has_value());
  for (const std::uint64_t replica : {2u, 3u}) {
    BOOST_TEST(lines(w.sender(replica).heard) == "records 1..1\n");
    // Its cursor stands before what it will be told first.
    BOOST_TEST((w.heads.at(engine::ReplicaId(replica)) == engine::Lsn{}));
  }
}

BOOST_AUTO_TEST_CASE(requests_of_many_clients_leave_as_one_batch_per_turn) {
  VolumeWorld w;
  w.everybody_has(1);
  w.store_notes->heard.clear();
  w.sender(2).heard.clear();
  auto a = std::make_shared<Client>();
  auto b = std::make_shared<Client>();
  const auto port_a = w.open(a);
  const auto port_b = w.open(b);
  submit(*port_a, write_of(1, 0, block_bytes, 'a'), write_of(2, block_bytes, block_bytes, 'a'));
  submit(*port_b, write_of(1, 0, block_bytes, 'b'));
  w.run();
  BOOST_TEST(lines(w.store_notes->heard) == "append 2..4 committed 1\n");
  BOOST_TEST(lines(w.sender(2).heard) == "records 2..4\n");
}

BOOST_AUTO_TEST_CASE(each_client_gets_its_answers_of_a_turn_at_once) {
  VolumeWorld w;
  w.everybody_has(1);
  auto a = std::make_shared<Client>();
  auto b = std::make_shared<Client>();
  const auto port_a = w.open(a);
  const auto port_b = w.open(b);
  submit(*port_a, write_of(1, 0, block_bytes, 'a'), write_of(2, block_bytes, block_bytes, 'a'),
         plain(3, FrontOp::flush));
  submit(*port_b, write_of(7, 0, block_bytes, 'b'));
  w.run();
  BOOST_TEST(lines(a->deliveries) == "");
  w.peer_has(2, 4, 1);
  BOOST_TEST(lines(a->deliveries) == "");
  w.peer_has(3, 4, 1);
  BOOST_TEST(lines(a->deliveries) == "1 2\n");
  BOOST_TEST(lines(b->deliveries) == "7\n");
  w.everybody_has(4);
  BOOST_TEST(lines(a->deliveries) == "1 2\n3\n");
}

BOOST_AUTO_TEST_CASE(a_read_behind_a_write_of_the_same_turn_finds_it_in_the_store) {
  VolumeWorld w;
  w.everybody_has(1);
  auto client = std::make_shared<Client>();
  const auto port = w.open(client);
  submit(*port, write_of(1, 0, block_bytes, 'x'), plain(2, FrontOp::read, 10, 20));
  w.run();
  w.everybody_has(2);
  BOOST_TEST(lines(client->deliveries) == "1 2\n");
  BOOST_TEST(client->data == std::string(20, 'x'));
}

BOOST_AUTO_TEST_CASE(unaligned_writes_of_one_turn_end_up_beside_each_other) {
  VolumeWorld w;
  w.everybody_has(1);
  auto client = std::make_shared<Client>();
  const auto port = w.open(client);
  submit(*port, write_of(1, 0, 512, 'a'), write_of(2, 512, 512, 'b'), write_of(3, 256, 512, 'c'));
  w.run();
  BOOST_TEST(w.store_notes->blocks.at(0) == std::string(256, 'a') + std::string(512, 'c') +
                                                std::string(256, 'b') +
                                                std::string(block_bytes - 1024, '\0'));
}

BOOST_AUTO_TEST_CASE(block_status_comes_from_the_store) {
  VolumeWorld w;
  w.everybody_has(1);
  auto client = std::make_shared<Client>();
  const auto port = w.open(client);
  submit(*port, plain(5, FrontOp::block_status, 0, 8 * block_bytes));
  w.run();
  BOOST_TEST(lines(client->deliveries) == "5\n");
}

BOOST_AUTO_TEST_CASE(a_dropped_port_is_a_forgotten_client) {
  VolumeWorld w;
  w.everybody_has(1);
  auto client = std::make_shared<Client>();
  auto port = w.open(client);
  submit(*port, write_of(1, 0, block_bytes, 'a'));
  w.run();
  port.reset();
  w.everybody_has(2);
  w.pass(500);
  BOOST_TEST(lines(client->deliveries) == "");
  caf::anon_send(w.volume, StopRole{"over"});
  w.run();
  BOOST_TEST(client->cuts.empty());
}

BOOST_AUTO_TEST_CASE(a_replica_that_went_away_is_proposed_out_by_the_clock) {
  VolumeWorld w;
  w.everybody_has(1);
  caf::anon_send(w.volume, w.peer(3, engine::PeerState::disconnected));
  w.run();
  for (int i = 0; i < 4; ++i) w.pass(20);
  BOOST_TEST(w.node_notes->proposals.empty());
  w.pass(20);
  BOOST_REQUIRE(w.node_notes->proposals.size() == 1U);
  BOOST_TEST(w.node_notes->proposals[0].in_sync.size() == 2U);

  engine::SetDecided decided;
  decided.volume = w.assignment.spec.id;
  decided.accepted = true;
  decided.epoch = engine::Epoch(1);
  decided.version = engine::Version(2);
  decided.in_sync = w.node_notes->proposals[0].in_sync;
  caf::anon_send(w.volume, SetAnswered{decided});
  w.run();
  auto client = std::make_shared<Client>();
  const auto port = w.open(client);
  submit(*port, write_of(1, 0, block_bytes, 'a'));
  w.run();
  w.peer_has(2, 2, 1);
  BOOST_TEST(lines(client->deliveries) == "1\n");
}

BOOST_AUTO_TEST_CASE(
    a_stopped_role_cuts_everyone_stops_its_senders_and_answers_when_the_store_is_free) {
  VolumeWorld w;
  w.everybody_has(1);
  auto asked = std::make_shared<Client>();
  auto silent = std::make_shared<Client>();
  const auto port_asked = w.open(asked);
  const auto port_silent = w.open(silent);
  w.store_notes->hold_reads = true;
  submit(*port_asked, plain(1, FrontOp::read, 0, block_bytes));
  w.run();

  const auto stopped = std::make_shared<bool>(false);
  w.system.spawn(
      [volume = w.volume, stopped](caf::event_based_actor* self, int) {
        self->request(volume, caf::infinite, StopRole{"fenced for epoch 2"})
            .then([stopped](const RoleStopped&) { *stopped = true; }, [](const caf::error&) {});
      },
      0);  // CAF 0.17 binds a reference to nothing where a function actor has no argument
  w.run();
  BOOST_TEST(lines(asked->cuts) == "fenced for epoch 2\n");
  BOOST_TEST(lines(silent->cuts) == "fenced for epoch 2\n");
  BOOST_TEST(w.sender(2).stopped);
  BOOST_TEST(w.sender(3).stopped);
  BOOST_TEST(!*stopped);  // a read is still at the store

  caf::anon_send(w.store, ReleaseFlush{});
  w.run();
  BOOST_TEST(*stopped);
  submit(*port_asked, write_of(2, 0, block_bytes, 'a'));
  w.run();
  BOOST_TEST(lines(asked->deliveries) == "");
}

BOOST_AUTO_TEST_CASE(a_failed_store_cuts_clients_and_tells_the_node) {
  VolumeWorld w;
  w.everybody_has(1);
  auto client = std::make_shared<Client>();
  const auto port = w.open(client);
  w.run();
  caf::anon_send(w.volume, StoreFailed{{engine::Errc::io_failed, "append at lsn 2: EIO"}});
  w.run();
  BOOST_TEST(lines(client->cuts) == "the store failed: append at lsn 2: EIO\n");
  BOOST_TEST(lines(w.node_notes->ended) == "the store failed: append at lsn 2: EIO\n");
  // Who opens meanwhile is cut as soon as the volume hears of it.
  auto late = std::make_shared<Client>();
  const auto late_port = w.open(late);
  w.run();
  BOOST_TEST(late->cuts.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_newer_assignment_reaches_the_senders_and_the_same_one_does_not) {
  VolumeWorld w;
  w.everybody_has(1);
  w.sender(3).heard.clear();
  caf::anon_send(w.volume, Reassigned{w.assignment});
  w.run();
  BOOST_TEST(w.sender(3).heard.empty());
  auto newer = w.assignment;
  newer.version = engine::Version(2);
  newer.members[2].endpoint = "elsewhere";
  caf::anon_send(w.volume, Reassigned{newer});
  w.run();
  BOOST_TEST(w.sender(3).heard.back() == "reassigned 2");
}

BOOST_AUTO_TEST_CASE(status_gathers_what_the_senders_say) {
  VolumeWorld w;
  w.everybody_has(1);
  const auto status = w.status();
  BOOST_TEST(status.serving);
  BOOST_TEST(status.waiting_for == "");
  BOOST_REQUIRE(status.peers.size() == 2U);
  BOOST_TEST((status.peers[0].replica == engine::ReplicaId(2)));
  BOOST_TEST(status.peers[0].in_set);
  BOOST_TEST(status.peers[0].exact);
}

BOOST_AUTO_TEST_CASE(a_preview_is_the_senders_and_one_without_a_sender_is_told) {
  VolumeWorld w;
  w.everybody_has(1);
  const auto of = [&](std::uint64_t replica) {
    caf::scoped_actor self{w.system};
    auto asked = self->request(w.volume, caf::infinite, AskPreview{engine::ReplicaId(replica)});
    w.run();
    std::optional<PreviewIs> answer;
    asked.receive([&](const PreviewIs& a) { answer = a; }, [](const caf::error&) {});
    BOOST_REQUIRE(answer.has_value());
    return answer->preview;
  };
  BOOST_TEST(of(2)->says == "nothing to do");
  const auto none = of(9);
  BOOST_REQUIRE(!none.has_value());
  BOOST_TEST((none.error().code == engine::Errc::unavailable));
}

BOOST_AUTO_TEST_CASE(a_sender_that_dies_is_replaced_at_once_and_ever_later_when_it_dies_young) {
  VolumeWorld w;
  w.everybody_has(1);
  w.kill_sender(2);
  BOOST_TEST(w.senders_of(2) == 2U);
  BOOST_TEST((w.heads.at(engine::ReplicaId(2)) == engine::Lsn(1)));
  for (const std::uint64_t wait : {10u, 20u, 40u, 80u, 160u, 320u, 640u, 1000u, 1000u}) {
    const auto before = w.senders_of(2);
    w.kill_sender(2);
    w.pass(wait - 1);
    BOOST_TEST(w.senders_of(2) == before);
    w.pass(1);
    BOOST_TEST(w.senders_of(2) == before + 1);
  }
  // One that lived for longer than the longest wait begins anew.
  w.pass(1001);
  w.kill_sender(2);
  BOOST_TEST(w.senders_of(2) == 12U);
  BOOST_TEST(w.senders_of(3) == 1U);
}

BOOST_AUTO_TEST_CASE(a_replica_whose_next_sender_waits_is_still_told_of_and_may_leave) {
  VolumeWorld w;
  w.everybody_has(1);
  w.kill_sender(3);
  w.kill_sender(3);
  const auto status = w.status();
  BOOST_REQUIRE(status.peers.size() == 2U);
  BOOST_TEST((status.peers[1].replica == engine::ReplicaId(3)));
  BOOST_TEST((status.peers[1].state == engine::PeerState::disconnected));
  BOOST_TEST(status.peers[1].reason.starts_with("its sender died"));
  auto without = w.assignment;
  without.version = engine::Version(2);
  without.members.pop_back();
  without.in_sync.pop_back();
  caf::anon_send(w.volume, Reassigned{without});
  w.run();
  w.pass(2000);
  BOOST_TEST(w.senders_of(3) == 2U);
  BOOST_TEST(w.status().peers.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(front_desk)

BOOST_AUTO_TEST_CASE(an_unknown_name_is_not_found_and_one_elsewhere_names_its_primary) {
  FrontDesk desk;
  const auto volume_id = engine::make_uuid(1, 1);
  auto client = std::make_shared<Client>();
  const auto unknown = desk.open("vol", client);
  BOOST_REQUIRE(!unknown);
  BOOST_TEST((unknown.error().code == engine::Errc::not_found));
  desk.elsewhere("vol", volume_id, "its primary is node2, NBD at 127.0.0.1:10810");
  const auto elsewhere = desk.open("vol", client);
  BOOST_REQUIRE(!elsewhere);
  BOOST_TEST((elsewhere.error().code == engine::Errc::unavailable));
  BOOST_TEST(elsewhere.error().text == "export vol: its primary is node2, NBD at 127.0.0.1:10810");
  BOOST_TEST(desk.list().empty());
}

BOOST_AUTO_TEST_CASE(an_export_that_moves_away_cuts_its_clients_once) {
  VolumeWorld w;
  w.everybody_has(1);
  auto client = std::make_shared<Client>();
  const auto port = w.open(client);
  BOOST_TEST(w.desk.list().size() == 1U);
  w.desk.elsewhere("vol", w.assignment.spec.id, "its primary is node2");
  BOOST_TEST(lines(client->cuts) == "its primary is node2\n");
  caf::anon_send(w.volume, StopRole{"over"});
  w.run();
  BOOST_TEST(client->cuts.size() == 1U);
  BOOST_TEST(w.desk.list().empty());
}

BOOST_AUTO_TEST_CASE(an_export_that_is_gone_is_not_found) {
  VolumeWorld w;
  w.desk.remove("vol", w.assignment.spec.id);
  auto client = std::make_shared<Client>();
  BOOST_TEST(!w.desk.open("vol", client));
  w.desk.remove("vol", w.assignment.spec.id);
}

BOOST_AUTO_TEST_CASE(the_end_of_an_older_volume_of_the_name_leaves_the_newer_one_alone) {
  VolumeWorld w;
  w.everybody_has(1);
  const auto older = engine::make_uuid(77, 77);
  w.desk.add({"vol", 4096, false}, older, w.volume);
  w.desk.add({"vol", w.assignment.spec.size_bytes, false}, w.assignment.spec.id, w.volume);
  auto client = std::make_shared<Client>();
  const auto port = w.open(client);
  w.desk.elsewhere("vol", older, "it is being deleted");
  w.desk.remove("vol", older, "the volume was deleted");
  BOOST_TEST(client->cuts.empty());
  BOOST_REQUIRE(w.desk.list().size() == 1U);
  BOOST_TEST(w.desk.list()[0].size_bytes == w.assignment.spec.size_bytes);
}

BOOST_AUTO_TEST_CASE(the_door_is_opened_when_the_node_knows_its_volumes) {
  FrontDesk desk;
  int opened = 0;
  desk.when_ready([&] { ++opened; });
  BOOST_TEST(opened == 0);
  desk.ready();
  desk.ready();
  BOOST_TEST(opened == 1);
}

BOOST_AUTO_TEST_CASE(
    a_lost_block_is_asked_of_one_replica_after_the_other_until_the_store_takes_it) {
  VolumeWorld w;
  w.everybody_has(1);
  w.store_notes->heard.clear();
  w.sender(2).heard.clear();
  w.sender(3).heard.clear();
  engine::BlockCopy copy;
  copy.block = engine::BlockIndex(5);
  copy.state = engine::CopyState::damaged;
  w.sender(2).has = copy;
  copy.state = engine::CopyState::hole;
  w.sender(3).has = copy;
  StoreProgressed progressed;
  progressed.durable = engine::Lsn(1);
  progressed.wal_free_bytes = 1u << 30;
  progressed.damaged = {engine::DamagedBlock{engine::BlockIndex(5), engine::Lsn(4), 0}};
  caf::anon_send(*w.store_notes->listener, progressed);
  w.run();
  BOOST_TEST(lines(w.sender(2).heard) == "fetch 5 at 4\n");
  BOOST_TEST(lines(w.sender(3).heard) == "fetch 5 at 4\n");
  BOOST_TEST(lines(w.store_notes->heard) == "repair 5\n");
}

BOOST_AUTO_TEST_CASE(a_block_that_no_replica_has_is_given_up) {
  VolumeWorld w;
  w.everybody_has(1);
  w.store_notes->heard.clear();
  StoreProgressed progressed;
  progressed.durable = engine::Lsn(1);
  progressed.wal_free_bytes = 1u << 30;
  progressed.damaged = {engine::DamagedBlock{engine::BlockIndex(5), engine::Lsn(4), 0}};
  caf::anon_send(*w.store_notes->listener, progressed);
  w.run();
  BOOST_TEST(lines(w.store_notes->heard) == "give up 5\n");
}

BOOST_AUTO_TEST_CASE(a_few_lost_blocks_are_asked_for_at_once_in_the_order_of_the_store) {
  VolumeWorld w;
  w.everybody_has(1);
  w.store_notes->heard.clear();
  w.sender(2).heard.clear();
  engine::BlockCopy copy;
  copy.block = engine::BlockIndex(5);
  copy.state = engine::CopyState::damaged;
  StoreProgressed progressed;
  progressed.durable = engine::Lsn(1);
  progressed.wal_free_bytes = 1u << 30;
  for (const std::uint64_t block : {9u, 5u, 7u, 8u, 6u})
    progressed.damaged.push_back({engine::BlockIndex(block), engine::Lsn(4), 0});
  w.sender(2).has = copy;
  w.sender(3).has = copy;
  caf::anon_send(*w.store_notes->listener, progressed);
  w.run();
  BOOST_TEST(lines(w.sender(2).heard) ==
             "fetch 9 at 4\nfetch 5 at 4\nfetch 7 at 4\nfetch 8 at 4\n");
  BOOST_TEST(lines(w.store_notes->heard) == "give up 9\ngive up 5\ngive up 7\ngive up 8\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::actors
