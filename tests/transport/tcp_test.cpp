// Links over real sockets on loopback: what is promised to their owners.
#define BOOST_TEST_DYN_LINK
#include <boost/asio/ip/tcp.hpp>
#include <boost/test/unit_test.hpp>

#include "tests/transport/random_messages.hpp"
#include "tests/transport/tcp_rig.hpp"
#include "transport/replication/codec.hpp"

namespace tidemark::transport {
namespace {

using namespace engine;
using namespace test;
using namespace std::chrono_literals;

Progress progress(std::uint64_t committed) {
  return {test_volume(), Epoch(3), SessionId(4), Lsn(committed)};
}
Ack ack(std::uint64_t received) {
  Ack a;
  a.volume = test_volume();
  a.received = Lsn(received);
  return a;
}

BOOST_AUTO_TEST_SUITE(tcp)

BOOST_AUTO_TEST_CASE(a_greeted_link_carries_messages_both_ways) {
  Rig rig;
  auto pair = rig.pair();
  const auto sent = writes(10, 5);
  pair.connector->send(sent);
  pair.acceptor->send(ack(14));
  rig.run_until([&] {
    return pair.at_acceptor->messages.size() == 1 && pair.at_connector->messages.size() == 1;
  });
  BOOST_TEST(same(pair.at_acceptor->messages[0], sent));
  BOOST_TEST(same(pair.at_connector->messages[0], ack(14)));
  BOOST_TEST(pair.connector->queued_bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(the_connector_learns_who_answered) {
  Rig rig;
  const auto connected = rig.connect(test_hello());
  BOOST_REQUIRE(connected);
  BOOST_TEST(connected->peer.node.name == "node2");
  BOOST_TEST(connected->peer.incarnation.value == 9u);
  BOOST_TEST(rig.incoming.back().hello.node.name == "node1");
  BOOST_TEST(rig.incoming.back().link->peer().find("records of node1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_refusal_reaches_the_connector_with_its_code_and_text) {
  Rig rig;
  rig.server->on_incoming([](Incoming in) {
    in.link->send(Refused{RefusalCode::stale_epoch, "promised epoch 9\n", Epoch(9)});
    in.link->close();
  });
  const auto connected = rig.connect(test_hello());
  BOOST_REQUIRE(!connected);
  BOOST_TEST((connected.error().code == Errc::refused));
  BOOST_TEST(connected.error().text.find("stale_epoch: promised epoch 9?") != std::string::npos,
             connected.error().text);
  const auto code = static_cast<std::size_t>(RefusalCode::stale_epoch);
  BOOST_TEST(rig.client->counters().refusals_received[code] == 1u);
  BOOST_TEST(rig.server->counters().refusals_sent[code] == 1u);
}

BOOST_AUTO_TEST_CASE(a_node_of_another_cluster_is_told_its_own_cluster_and_not_ours) {
  Rig rig;
  auto hello = test_hello();
  hello.cluster = make_uuid(5, 5);
  const auto connected = rig.connect(hello);
  BOOST_REQUIRE(!connected);
  const auto& text = connected.error().text;
  BOOST_TEST(text.find("wrong_cluster") != std::string::npos, text);
  BOOST_TEST(text.find(to_string(hello.cluster)) != std::string::npos, text);
  BOOST_TEST(text.find("another cluster") != std::string::npos, text);
  BOOST_TEST(text.find(to_string(test_cluster())) == std::string::npos, text);
  BOOST_TEST(rig.incoming.empty());
}

BOOST_AUTO_TEST_CASE(protocols_that_do_not_meet_are_told_both_values) {
  Rig rig;
  auto hello = test_hello();
  hello.protocol_min = 5;
  hello.protocol_max = 6;
  const auto connected = rig.connect(hello);
  BOOST_REQUIRE(!connected);
  BOOST_TEST(connected.error().text.find("hello offers protocol 5 to 6, this node speaks 4") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_hello_that_lacks_what_its_purpose_needs_is_refused) {
  Rig rig;
  const auto refused = [&](auto change) {
    auto hello = test_hello(Purpose::bulk);
    change(hello);
    return !rig.connect(hello).has_value();
  };
  BOOST_TEST(refused([](Hello& h) { h.node.name = ""; }));
  BOOST_TEST(refused([](Hello& h) { h.node.name = "a b"; }));
  BOOST_TEST(refused([](Hello& h) { h.node.uuid = {}; }));
  BOOST_TEST(refused([](Hello& h) { h.incarnation = {}; }));
  BOOST_TEST(refused([](Hello& h) { h.volume = {}; }));
  BOOST_TEST(refused([](Hello& h) { h.from = {}; }));
  BOOST_TEST(refused([](Hello& h) { h.to = {}; }));
  BOOST_TEST(refused([](Hello& h) { h.epoch = {}; }));
  BOOST_TEST(refused([](Hello& h) { h.session = {}; }));
  BOOST_TEST(!refused([](Hello& h) { h.purpose = Purpose::records, h.session = {}; }));
  BOOST_TEST(!refused([](Hello& h) {
    h.purpose = Purpose::control, h.volume = {}, h.from = {}, h.to = {}, h.epoch = {};
  }));
}

BOOST_AUTO_TEST_CASE(nobody_there_and_no_endpoint_are_errors_that_come_from_the_loop) {
  Rig rig;
  rig.server.reset();
  const auto refused = rig.connect(test_hello());
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == Errc::unavailable));
  BOOST_TEST(refused.error().text.find(rig.at) != std::string::npos, refused.error().text);
  rig.at = "localhost:1";
  const auto invalid = rig.connect(test_hello());
  BOOST_REQUIRE(!invalid);
  BOOST_TEST((invalid.error().code == Errc::invalid));
}

BOOST_AUTO_TEST_CASE(an_answer_that_does_not_come_is_a_time_out) {
  Rig rig(TcpLimits{.connect_wait = 30ms});
  rig.answers = false;
  const auto connected = rig.connect(test_hello());
  BOOST_REQUIRE(!connected);
  BOOST_TEST(connected.error().text.find("no answer within 30 ms") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(messages_of_one_turn_leave_in_one_system_call) {
  Rig rig;
  auto pair = rig.pair();
  const auto before = rig.client->counters();
  for (std::uint64_t i = 1; i <= 100; ++i) pair.connector->send(progress(i));
  pair.connector->send(writes(1, 3));
  BOOST_TEST(rig.client->counters().sendmsg_calls == before.sendmsg_calls);
  BOOST_TEST(pair.connector->queued_bytes() > 100u * frame_header_bytes);
  rig.run_until([&] { return pair.at_acceptor->messages.size() == 101; });
  BOOST_TEST(rig.client->counters().sendmsg_calls == before.sendmsg_calls + 1);
  BOOST_TEST(rig.client->counters().frames_sent == before.frames_sent + 101);
}

BOOST_AUTO_TEST_CASE(large_frames_arrive_whole_and_in_order) {
  Rig rig;
  auto pair = rig.pair();
  std::vector<Records> sent;
  for (std::uint64_t i = 0; i < 8; ++i) {
    sent.push_back(writes(1 + i * records_per_frame_max, records_per_frame_max));
    pair.connector->send(sent.back());
  }
  rig.run_until([&] { return pair.at_acceptor->messages.size() == sent.size(); });
  for (std::size_t i = 0; i < sent.size(); ++i)
    BOOST_TEST(same(pair.at_acceptor->messages[i], sent[i]));
  BOOST_TEST(rig.server->counters().bytes_received == rig.client->counters().bytes_sent);
}

BOOST_AUTO_TEST_CASE(queued_bytes_count_what_the_peers_machine_has_not) {
  Rig rig;
  RawPeer peer(rig);
  peer.write(test_hello(Purpose::control));
  auto link = rig.incoming.back().link;
  const auto owner = std::make_shared<Owner>();
  link->attach(owner);
  const std::size_t count = 8;
  const AdminAsk ask{1, "", "POST", "/", std::string(std::size_t{1} << 20, 'x')};
  for (std::size_t i = 0; i < count; ++i) link->send(ask);
  const auto all = count * encode(ask).bytes();
  BOOST_TEST(link->queued_bytes() >= all);
  rig.settle();
  // The peer's receive buffer takes some megabytes at most; the rest is here.
  BOOST_TEST(link->queued_bytes() > 0u);
  BOOST_TEST(link->queued_bytes() <= all);
  BOOST_REQUIRE(std::holds_alternative<HelloOk>(peer.read()));
  for (std::size_t i = 0; i < count; ++i) BOOST_TEST(same(peer.read(), ask));
  BOOST_TEST(link->queued_bytes() <= ask.body.size());
}

BOOST_AUTO_TEST_CASE(a_link_whose_owner_ignores_its_credit_is_cut) {
  Rig rig(TcpLimits{.queued_bytes_max = std::size_t{1} << 20});
  auto pair = rig.pair(Purpose::control);
  pair.acceptor->attach({});  // reads nothing
  const AdminAsk ask{1, "", "POST", "/", std::string(300'000, 'x')};
  for (int i = 0; i < 10; ++i) pair.connector->send(ask);
  BOOST_TEST(pair.at_connector->downs.empty(), "on_down came inside send");
  rig.run_until([&] { return !pair.at_connector->downs.empty(); });
  BOOST_TEST(pair.at_connector->downs[0].find("takes no data") != std::string::npos);
  pair.connector->send(ask);
  BOOST_TEST(pair.connector->queued_bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(close_sends_what_is_queued_and_calls_nobody) {
  Rig rig;
  auto pair = rig.pair();
  pair.acceptor->send(Refused{RefusalCode::store_failed, "disk", {}});
  pair.acceptor->close();
  pair.acceptor.reset();
  rig.run_until([&] { return !pair.at_connector->downs.empty(); });
  BOOST_REQUIRE(pair.at_connector->messages.size() == 1u);
  BOOST_TEST(std::get<Refused>(pair.at_connector->messages[0]).text == "disk");
  BOOST_TEST(pair.at_acceptor->downs.empty());
}

BOOST_AUTO_TEST_CASE(a_refused_arrives_even_when_the_refuser_has_unread_bytes) {
  Rig rig;
  auto pair = rig.pair();
  for (std::uint64_t i = 1; i <= 1000; ++i) pair.connector->send(progress(i));
  pair.at_acceptor->then = [&] {
    if (pair.at_acceptor->messages.size() != 1) return;
    pair.acceptor->send(Refused{RefusalCode::no_space, "full", {}});
    pair.acceptor->close();
  };
  rig.run_until([&] { return !pair.at_connector->downs.empty(); });
  BOOST_REQUIRE(pair.at_connector->messages.size() == 1u);
  BOOST_TEST((std::get<Refused>(pair.at_connector->messages[0]).code == RefusalCode::no_space));
  BOOST_TEST(pair.at_acceptor->messages.size() == 1u);
}

BOOST_AUTO_TEST_CASE(dropping_the_last_reference_ends_the_connection) {
  Rig rig;
  auto pair = rig.pair();
  pair.connector.reset();
  rig.run_until([&] { return !pair.at_acceptor->downs.empty(); });
  BOOST_TEST(pair.at_connector->downs.empty());
}

BOOST_AUTO_TEST_CASE(a_lingering_link_is_cut_when_its_peer_takes_nothing) {
  Rig rig(TcpLimits{.linger = 30ms});
  RawPeer peer(rig);
  peer.write(test_hello(Purpose::control));
  auto link = rig.incoming.back().link;
  rig.incoming.clear();
  for (int i = 0; i < 40; ++i)
    link->send(AdminAsk{1, "", "POST", "/", std::string(std::size_t{1} << 20, 'x')});
  link->close();
  BOOST_TEST(link->queued_bytes() > 0u);
  rig.run_until([&] { return link->queued_bytes() == 0; });
}

BOOST_AUTO_TEST_CASE(messages_wait_for_a_receiver_and_follow_it) {
  Rig rig;
  auto pair = rig.pair();
  pair.acceptor->attach({});
  for (std::uint64_t i = 1; i <= 3; ++i) pair.connector->send(progress(i));
  rig.settle();
  BOOST_TEST(pair.at_acceptor->messages.empty());
  const auto second = std::make_shared<Owner>();
  second->then = [&] {
    if (second->messages.size() == 1) pair.acceptor->attach(pair.at_acceptor);
  };
  pair.acceptor->attach(second);
  BOOST_TEST(second->messages.empty(), "on_message came inside attach");
  rig.run_until([&] { return pair.at_acceptor->messages.size() == 2; });
  BOOST_TEST(second->messages.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_link_that_went_down_unattended_says_so_to_the_next_receiver) {
  Rig rig;
  auto pair = rig.pair();
  pair.acceptor->attach({});
  pair.connector.reset();
  rig.settle();
  const auto late = std::make_shared<Owner>();
  pair.acceptor->attach(late);
  BOOST_TEST(late->downs.empty(), "on_down came inside attach");
  rig.run_until([&] { return !late->downs.empty(); });
}

BOOST_AUTO_TEST_CASE(a_port_that_is_taken_is_named) {
  Rig rig;
  TcpNetwork second(rig.io, {rig.at, test_cluster(), {}});
  const auto bound = second.bind();
  BOOST_REQUIRE(!bound);
  BOOST_TEST((bound.error().code == Errc::busy));
  BOOST_TEST(bound.error().text.find(rig.at) != std::string::npos);
  TcpNetwork third(rig.io, {"127.0.0.1", test_cluster(), {}});
  BOOST_TEST((third.bind().error().code == Errc::invalid));
}

BOOST_AUTO_TEST_CASE(it_speaks_ipv6_where_the_machine_does) {
  Rig rig;
  TcpNetwork six(rig.io, {"[::1]:0", test_cluster(), {}});
  if (const auto bound = six.bind(); !bound) {
    BOOST_TEST_MESSAGE("skipped: " << bound.error().text);
    return;
  }
  six.on_incoming([](Incoming in) {
    in.link->send(test_hello_ok());
    in.link->close();
  });
  rig.at = six.local();
  BOOST_TEST(rig.at.starts_with("[::1]:"));
  BOOST_TEST(rig.connect(test_hello()).has_value());
}

BOOST_AUTO_TEST_CASE(stop_ends_greetings_and_leaves_links) {
  Rig rig;
  auto pair = rig.pair();
  RawPeer stranger(rig);
  rig.settle();
  rig.server->stop();
  BOOST_TEST(!stranger.read_to_end().has_value());
  pair.connector->send(progress(1));
  rig.run_until([&] { return pair.at_acceptor->messages.size() == 1; });

  std::optional<Network::Outcome> result;
  rig.client->connect(rig.at, test_hello(),
                      [&](auto connected) { result.emplace(std::move(connected)); });
  rig.client->stop();
  BOOST_TEST(!result.has_value());
  rig.run_until([&] { return result.has_value(); });
  BOOST_TEST((result->error().code == Errc::cancelled));
}

// At every turn of a busy exchange, either end's network may vanish.
BOOST_AUTO_TEST_CASE(a_network_may_be_destroyed_at_any_moment) {
  for (int turns = 0; turns < 60; ++turns) {
    for (const bool server : {true, false}) {
      Rig rig;
      LinkPtr link;
      const auto owner = std::make_shared<Owner>();
      rig.client->connect(rig.at, test_hello(), [&](auto connected) {
        if (!connected) return;
        link = connected->link;
        link->attach(owner);
        for (std::uint64_t i = 1; i <= 20; ++i) link->send(writes(i, 1));
      });
      for (int i = 0; i < turns; ++i) rig.io.poll_one();
      (server ? rig.server : rig.client).reset();
      if (link) link->send(progress(1));
      rig.settle();
    }
  }
}

BOOST_AUTO_TEST_CASE(a_network_may_be_destroyed_inside_its_own_callbacks) {
  Rig rig;
  auto pair = rig.pair();
  pair.at_acceptor->then = [&] { rig.server.reset(); };
  pair.connector->send(progress(1));
  pair.connector->send(progress(2));
  rig.run_until([&] { return !pair.at_connector->downs.empty(); });
  BOOST_TEST(pair.at_acceptor->messages.size() == 1u);

  Rig other;
  other.server->on_incoming([&](Incoming) { other.server.reset(); });
  BOOST_TEST(!other.connect(test_hello()).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::transport
