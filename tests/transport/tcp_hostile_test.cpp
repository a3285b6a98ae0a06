// Peers that send anything at all, in any portions: they are told why, and nobody else notices.
#define BOOST_TEST_DYN_LINK
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>
#include <cstring>

#include "tests/transport/random_messages.hpp"
#include "tests/transport/tcp_rig.hpp"
#include "transport/replication/codec.hpp"

namespace tidemark::transport {
namespace {

using namespace engine;
using namespace test;
using namespace std::chrono_literals;

using Bytes = std::vector<std::byte>;

Bytes text(std::string_view s) {
  const auto bytes = std::as_bytes(std::span(s));
  return {bytes.begin(), bytes.end()};
}
Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Bytes noise(std::uint64_t seed, std::size_t count) {
  SplitMix rng(seed);
  Bytes bytes(count);
  for (auto& b : bytes) b = static_cast<std::byte>(rng.next());
  return bytes;
}
Bytes header(FrameType type, std::uint32_t head, std::uint32_t body) {
  const auto bytes = encode_header({type, head, body, 0});
  return {bytes.begin(), bytes.end()};
}
Bytes bent(Bytes bytes, std::size_t at) {
  bytes[at] ^= std::byte{0x10};
  return bytes;
}

struct Garbage {
  const char* what;
  Bytes bytes;
};
std::vector<Garbage> garbage() {
  const auto hello = bytes_of(test_hello());
  auto foreign = test_hello();
  foreign.cluster = make_uuid(6, 6);
  return {
      {"noise", noise(1, 4096)},
      {"an http request", text("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + std::string(64, ' '))},
      {"a tls client hello",
       joined({std::byte{0x16}, std::byte{3}, std::byte{1}, std::byte{2}, std::byte{0}},
              noise(2, 512))},
      {"an nbd client", text("NBDMAGICIHAVEOPT" + std::string(32, '\0'))},
      {"zeros", Bytes(64 * 1024)},
      {"ones", Bytes(64 * 1024, std::byte{0xff})},
      {"a header with a bad crc", bent(hello, 17)},
      {"a hello with a bad head", bent(hello, 40)},
      {"a type that is none", header(static_cast<FrameType>(200), 95, 0)},
      {"a frame before the hello", bytes_of(Heartbeat{1})},
      {"records before the hello", bytes_of(writes(1, 1))},
      {"a hello larger than any", header(FrameType::hello, 160, 0)},
      {"a hello of no size", header(FrameType::hello, 0, 0)},
      {"four gigabytes announced", header(FrameType::admin_ask, 0xffffffff, 0xfffff000)},
      {"a hello with a body", header(FrameType::hello, 100, 4096)},
      {"half a hello, then noise", joined({hello.begin(), hello.begin() + 50}, noise(3, 200))},
      {"another cluster", bytes_of(foreign)},
      {"an answer instead of a hello", bytes_of(test_hello_ok())},
  };
}

BOOST_AUTO_TEST_SUITE(tcp_hostile)

BOOST_AUTO_TEST_CASE(garbage_on_the_port_is_refused_and_leaves_other_links_alone) {
  Rig rig;
  auto pair = rig.pair();
  std::uint64_t sent = 0;
  for (const auto& kind : garbage()) {
    BOOST_TEST_CONTEXT(kind.what) {
      RawPeer peer(rig);
      peer.write(kind.bytes);
      const auto last = peer.read_to_end();
      BOOST_REQUIRE(last.has_value());
      BOOST_TEST(std::holds_alternative<Refused>(*last));
      BOOST_TEST(!std::get<Refused>(*last).text.empty());
    }
    pair.connector->send(Progress{test_volume(), Epoch(3), SessionId(4), Lsn(++sent)});
    rig.run_until([&] { return pair.at_acceptor->messages.size() == sent; });
  }
  BOOST_TEST(rig.incoming.empty());
  BOOST_TEST(pair.at_connector->downs.empty());
}

BOOST_AUTO_TEST_CASE(a_connection_that_says_nothing_is_dropped) {
  Rig rig(TcpLimits{.hello_wait = 30ms});
  RawPeer silent(rig);
  const auto last = silent.read_to_end();
  BOOST_REQUIRE(last.has_value());
  BOOST_TEST(std::get<Refused>(*last).text.find("30 ms") != std::string::npos);
  BOOST_TEST(rig.server->counters().handshakes_dropped == 1u);
}

BOOST_AUTO_TEST_CASE(a_hello_that_nobody_answers_is_dropped) {
  Rig rig(TcpLimits{.hello_wait = 30ms});
  rig.answers = false;
  RawPeer peer(rig);
  peer.write(test_hello());
  BOOST_REQUIRE(rig.incoming.size() == 1u);
  BOOST_TEST(std::holds_alternative<Refused>(peer.read_to_end().value()));
}

BOOST_AUTO_TEST_CASE(silent_strangers_cannot_keep_a_peer_out) {
  Rig rig(TcpLimits{.handshakes_max = 4});
  auto pair = rig.pair();
  std::vector<std::unique_ptr<RawPeer>> strangers;
  for (int i = 0; i < 12; ++i) {
    strangers.push_back(std::make_unique<RawPeer>(rig));
    rig.settle();
  }
  BOOST_TEST(rig.server->counters().handshakes_dropped == 8u);
  BOOST_TEST(!strangers[0]->read_to_end().has_value());
  BOOST_TEST(rig.connect(test_hello()).has_value());
  BOOST_TEST(pair.at_connector->downs.empty());
}

BOOST_AUTO_TEST_CASE(a_type_of_another_purpose_ends_the_link_and_tells_both_ends) {
  Rig rig;
  RawPeer peer(rig);
  peer.greet();
  const auto owner = std::make_shared<Owner>();
  rig.incoming.back().link->attach(owner);
  peer.write(sample<BaseZeroes>());  // On a records link.
  const auto last = peer.read_to_end();
  BOOST_REQUIRE(last.has_value());
  BOOST_TEST((std::get<Refused>(*last).code == RefusalCode::protocol));
  BOOST_TEST(std::get<Refused>(*last).text.find("base_zeroes may not come here") !=
             std::string::npos);
  BOOST_TEST(owner->messages.empty());
  BOOST_REQUIRE(owner->downs.size() == 1u);
  BOOST_TEST(
      rig.server->counters().refusals_sent[static_cast<std::size_t>(RefusalCode::protocol)] == 1u);
}

BOOST_AUTO_TEST_CASE(every_type_is_let_in_or_refused_as_the_table_says) {
  for (const auto purpose : {Purpose::records, Purpose::bulk, Purpose::control}) {
    for (std::size_t type = 0; type < message_types; ++type) {
      Rig rig;
      RawPeer peer(rig);
      peer.greet(purpose);
      const auto owner = std::make_shared<Owner>();
      rig.incoming.back().link->attach(owner);
      const auto message = sample_message(type);
      peer.write(message);
      rig.run_until([&] { return !owner->messages.empty() || !owner->downs.empty(); });
      const bool may =
          (frame_rules[type].travels & (purpose == Purpose::records ? records_connector
                                        : purpose == Purpose::bulk  ? bulk_connector
                                                                    : control_connector)) != 0;
      BOOST_TEST(owner->messages.size() == (may ? 1u : 0u), to_string(purpose)
                                                                << " " << frame_rules[type].name);
      BOOST_TEST(owner->downs.size() == (may ? 0u : 1u));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_damaged_block_ends_the_link_as_bad_data) {
  Rig rig;
  RawPeer peer(rig);
  peer.greet();
  const auto owner = std::make_shared<Owner>();
  rig.incoming.back().link->attach(owner);
  auto bytes = bytes_of(writes(1, 2));
  bytes.back() ^= std::byte{1};
  peer.write(bytes);
  BOOST_TEST((std::get<Refused>(peer.read_to_end().value()).code == RefusalCode::bad_data));
  BOOST_TEST(owner->messages.empty());
  BOOST_TEST(owner->downs.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_frame_may_be_split_at_every_byte) {
  Rig rig;
  RawPeer peer(rig);
  peer.greet();
  const auto owner = std::make_shared<Owner>();
  rig.incoming.back().link->attach(owner);
  const auto records = writes(1, 1);
  const auto bytes = bytes_of(records);
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    peer.write(std::span(bytes).first(at));
    rig.settle();
    peer.write(std::span(bytes).subspan(at));
    rig.run_until([&] { return owner->messages.size() == 1; });
    BOOST_REQUIRE(same(owner->messages[0], records));
    owner->messages.clear();
  }
}

BOOST_AUTO_TEST_CASE(a_hello_may_come_byte_by_byte) {
  Rig rig;
  RawPeer peer(rig);
  for (const auto b : bytes_of(test_hello())) peer.write(std::span(&b, 1));
  BOOST_TEST(std::holds_alternative<HelloOk>(peer.read()));
}

BOOST_AUTO_TEST_CASE(ten_thousand_frames_in_one_segment_arrive_in_order) {
  Rig rig;
  RawPeer peer(rig);
  peer.greet(Purpose::control);
  const auto owner = std::make_shared<Owner>();
  rig.incoming.back().link->attach(owner);
  Bytes all;
  constexpr std::uint64_t count = 10'000;
  for (std::uint64_t i = 0; i < count; ++i) all = joined(std::move(all), bytes_of(Heartbeat{i}));
  peer.write(all);
  rig.run_until([&] { return owner->messages.size() == count; });
  for (std::uint64_t i = 0; i < count; ++i)
    BOOST_REQUIRE(std::get<Heartbeat>(owner->messages[i]).sequence == i);
}

BOOST_AUTO_TEST_CASE(messages_behind_a_hello_wait_for_its_answer_or_breach) {
  Rig rig;
  RawPeer peer(rig);
  // A peer that does not wait for HelloOk: here the answer is given at once,
  // so its frames are in order.
  peer.write(joined(bytes_of(test_hello(Purpose::control)), bytes_of(Heartbeat{5})));
  const auto owner = std::make_shared<Owner>();
  rig.incoming.back().link->attach(owner);
  rig.run_until([&] { return owner->messages.size() == 1; });

  rig.answers = false;
  RawPeer early(rig);
  early.write(joined(bytes_of(test_hello(Purpose::control)), bytes_of(Heartbeat{5})));
  const auto unready = std::make_shared<Owner>();
  rig.incoming.back().link->attach(unready);
  BOOST_TEST(std::holds_alternative<Refused>(early.read_to_end().value()));
  BOOST_TEST(unready->downs.size() == 1u);
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_no_answer_fails_the_connect) {
  Rig rig;
  boost::asio::ip::tcp::acceptor liar(rig.io, {boost::asio::ip::address_v4::loopback(), 0});
  boost::asio::ip::tcp::socket victim(rig.io);
  const auto try_with = [&](const Bytes& answer) {
    std::optional<Network::Outcome> result;
    const auto at = "127.0.0.1:" + std::to_string(liar.local_endpoint().port());
    rig.client->connect(at, test_hello(),
                        [&](auto connected) { result.emplace(std::move(connected)); });
    victim = liar.accept();
    boost::asio::write(victim, boost::asio::buffer(answer.data(), answer.size()));
    rig.run_until([&] { return result.has_value(); });
    return result->has_value();
  };
  BOOST_TEST(try_with(bytes_of(test_hello_ok())));
  BOOST_TEST(!try_with(noise(4, 100)));
  BOOST_TEST(!try_with(bytes_of(Heartbeat{1})));
  BOOST_TEST(!try_with(bytes_of(test_hello())));
  auto other = test_hello_ok();
  other.protocol = engine::protocol_version + 1;
  BOOST_TEST(!try_with(bytes_of(other)));
  other = test_hello_ok();
  other.node.name = "\x1b[31m";
  BOOST_TEST(!try_with(bytes_of(other)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::transport
