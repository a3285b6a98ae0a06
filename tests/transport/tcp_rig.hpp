// One loop with networks on it, owners that write down what they saw,
// and a raw socket that may send anything.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/replication/frame_reader.hpp"
#include "transport/replication/tcp_network.hpp"

namespace tidemark::transport::test {

/// Remembers everything; can be told to do something at each message.
class Owner final : public LinkEvents {
 public:
  void on_message(engine::Message message) override;
  void on_down(const std::string& reason) override;

  std::vector<engine::Message> messages;
  std::vector<std::string> downs;
  std::function<void()> then;
};

engine::ClusterId test_cluster();
engine::Hello test_hello(engine::Purpose purpose = engine::Purpose::records);
engine::HelloOk test_hello_ok();

class Rig {
 public:
  explicit Rig(TcpLimits limits = {});

  /// Runs the loop until `done`; fails the test when the loop has nothing left to wait for.
  void run_until(const std::function<bool()>& done);
  /// Runs what is ready now, until nothing is.
  void settle();

  struct Pair {
    LinkPtr connector;
    LinkPtr acceptor;
    std::shared_ptr<Owner> at_connector = std::make_shared<Owner>();
    std::shared_ptr<Owner> at_acceptor = std::make_shared<Owner>();
  };
  /// A greeted connection between client and server, both ends attached.
  Pair pair(engine::Purpose purpose = engine::Purpose::records);
  /// Connects and returns what came of it.
  Network::Outcome connect(const engine::Hello& hello);

  boost::asio::io_context io{1};
  std::unique_ptr<TcpNetwork> server;
  std::unique_ptr<TcpNetwork> client;
  engine::Endpoint at;
  std::vector<Incoming> incoming;
  bool answers = true;  ///< Answer every Hello with HelloOk.
};

/// A socket under the test's own control, connected to the rig's server.
class RawPeer {
 public:
  explicit RawPeer(Rig& rig);
  /// Writes all of it, letting the loop run where the kernel takes no more.
  void write(std::span<const std::byte> bytes);
  void write(const engine::Message& message);
  /// The next message from the server.
  engine::Message read();
  /// Until the server closes; returns the last message that came before, if any.
  std::optional<engine::Message> read_to_end();
  void greet(engine::Purpose purpose = engine::Purpose::records);

  boost::asio::ip::tcp::socket socket;

 private:
  std::optional<engine::Message> next();
  bool fill();  ///< False at the end of the stream.

  Rig& rig_;
  FrameReader reader_;
};

std::vector<std::byte> bytes_of(const engine::Message& message);

}  // namespace tidemark::transport::test
