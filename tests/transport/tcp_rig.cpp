#define BOOST_TEST_DYN_LINK
#include "tests/transport/tcp_rig.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/test/unit_test.hpp>

#include "tests/transport/random_messages.hpp"
#include "transport/replication/codec.hpp"
#include "transport/replication/endpoint.hpp"

namespace tidemark::transport::test {

using namespace engine;
using boost::asio::ip::tcp;

namespace {
// A loop that is silent for so long hangs: far beyond every time-out that a test waits for.
constexpr std::chrono::seconds hung{20};
}  // namespace

void Owner::on_message(Message message) {
  BOOST_TEST(downs.empty(), "a message came after on_down");
  messages.push_back(std::move(message));
  if (then) then();
}
void Owner::on_down(const std::string& reason) {
  BOOST_TEST(downs.empty(), "on_down came twice");
  downs.push_back(reason);
  if (then) then();
}

ClusterId test_cluster() { return make_uuid(0xc1, 0xc2); }

Hello test_hello(Purpose purpose) {
  Hello hello;
  hello.purpose = purpose;
  hello.cluster = test_cluster();
  hello.node = {"node1", make_uuid(1, 1)};
  hello.incarnation = Incarnation(7);
  hello.volume = test_volume();
  hello.from = ReplicaId(1);
  hello.to = ReplicaId(2);
  hello.epoch = Epoch(3);
  hello.session = SessionId(4);
  return hello;
}
HelloOk test_hello_ok() { return {protocol_version, {"node2", make_uuid(2, 2)}, Incarnation(9)}; }

Rig::Rig(TcpLimits limits) {
  server = std::make_unique<TcpNetwork>(io, TcpOptions{"127.0.0.1:0", test_cluster(), limits});
  client = std::make_unique<TcpNetwork>(io, TcpOptions{"127.0.0.1:0", test_cluster(), limits});
  BOOST_REQUIRE(server->bind());
  at = server->local();
  server->on_incoming([this](Incoming in) {
    if (answers) in.link->send(test_hello_ok());
    incoming.push_back(std::move(in));
  });
}

void Rig::run_until(const std::function<bool()>& done) {
  while (!done()) {
    if (io.stopped()) io.restart();
    BOOST_REQUIRE_MESSAGE(io.run_one_for(hung) == 1, "nothing more happens");
  }
}

void Rig::settle() {
  if (io.stopped()) io.restart();
  while (io.poll() > 0) {
  }
}

Network::Outcome Rig::connect(const Hello& hello) {
  std::optional<Network::Outcome> result;
  client->connect(at, hello, [&](auto connected) { result.emplace(std::move(connected)); });
  BOOST_TEST(!result.has_value(), "done ran inside connect");
  run_until([&] { return result.has_value(); });
  return std::move(*result);
}

Rig::Pair Rig::pair(Purpose purpose) {
  Pair pair;
  const auto before = incoming.size();
  auto connected = connect(test_hello(purpose));
  BOOST_REQUIRE(connected);
  BOOST_REQUIRE(incoming.size() == before + 1);
  pair.connector = connected->link;
  pair.acceptor = incoming.back().link;
  incoming.pop_back();
  pair.connector->attach(pair.at_connector);
  pair.acceptor->attach(pair.at_acceptor);
  return pair;
}

std::vector<std::byte> bytes_of(const Message& message) {
  const auto frame = encode(message);
  auto bytes = frame.head;
  for (const auto& slice : frame.body)
    bytes.insert(bytes.end(), slice.bytes().begin(), slice.bytes().end());
  return bytes;
}

RawPeer::RawPeer(Rig& rig) : socket(rig.io), rig_(rig) {
  const auto to = parse_endpoint(rig.at);
  socket.connect({boost::asio::ip::make_address(to->host), to->port});
  socket.set_option(tcp::no_delay(true));
  socket.non_blocking(true);
}

void RawPeer::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    boost::system::error_code error;
    const auto sent = socket.write_some(boost::asio::buffer(bytes.data(), bytes.size()), error);
    bytes = bytes.subspan(sent);
    if (error && error != boost::asio::error::would_block)
      return;  // It hung up: the test looks at that.
    rig_.settle();
  }
}
void RawPeer::write(const Message& message) { write(bytes_of(message)); }

bool RawPeer::fill() {
  while (true) {
    rig_.settle();
    const auto room = reader_.room();
    for (const auto& part : room) {
      if (part.empty()) continue;
      boost::system::error_code error;
      const auto bytes = socket.read_some(boost::asio::buffer(part.data(), part.size()), error);
      if (!error) return reader_.filled(bytes), true;
      if (error != boost::asio::error::would_block) return false;
      break;
    }
    bool ready = false;
    socket.async_wait(tcp::socket::wait_read, [&](auto) { ready = true; });
    rig_.run_until([&] { return ready; });
  }
}

std::optional<Message> RawPeer::next() {
  const auto header = reader_.header();
  BOOST_REQUIRE(header);
  if (*header == nullptr) return std::nullopt;
  auto frame = reader_.take();
  if (!frame) return std::nullopt;
  auto message = decode(frame->header, frame->head, frame->body, test_volume_key());
  BOOST_REQUIRE(message);
  return std::move(*message);
}

Message RawPeer::read() {
  while (true) {
    if (auto message = next()) return std::move(*message);
    BOOST_REQUIRE_MESSAGE(fill(), "the server closed the connection");
  }
}

std::optional<Message> RawPeer::read_to_end() {
  std::optional<Message> last;
  do {
    while (auto message = next()) last = std::move(message);
  } while (fill());
  return last;
}

void RawPeer::greet(Purpose purpose) {
  write(test_hello(purpose));
  BOOST_REQUIRE(std::holds_alternative<HelloOk>(read()));
}

}  // namespace tidemark::transport::test
