// Links over TCP: one port per node, one connection per peer, volume and purpose. Everything runs
// on one loop thread; nothing here blocks.
//
// An incoming connection is nobody until its Hello was read and judged: until then it holds 16 KiB,
// counts against handshakes_max and lives for hello_wait. A wrong Hello is answered with a Refused
// that names both values.
#pragma once

#include <memory>

#include "transport/link.hpp"
#include "transport/replication/tcp_options.hpp"

namespace boost::asio {
class io_context;
}

namespace tidemark::transport {

class TcpNetwork final : public Network {
 public:
  /// `io` must outlive the network and all its links, and be run by one thread.
  TcpNetwork(boost::asio::io_context& io, TcpOptions options);
  /// Closes everything at once; no callback runs from here on. Links that are still held are dead.
  ~TcpNetwork() override;

  /// Claims the port. Connections are taken from on_incoming() on; until then they wait in
  /// the kernel. Errc::invalid: no endpoint. Errc::busy: the port is taken.
  /// Errc::io_failed: anything else.
  engine::Status bind();
  /// Where it listens, with the port that was chosen. After bind().
  engine::Endpoint local() const;

  void connect(const engine::Endpoint& to, engine::Hello hello,
               std::function<void(Outcome)> done) override;
  /// Begins to accept. `accept` gets each connection once, with a Hello that was judged;
  /// it may be replaced.
  void on_incoming(std::function<void(Incoming)> accept) override;

  /// Takes no more connections and ends those without an answered Hello; a connect() under way ends
  /// with Errc::cancelled. Links go on.
  void stop();

  const TcpCounters& counters() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tidemark::transport
