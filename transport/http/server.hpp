// The admin door of a node: HTTP/1.1 with JSON over a Unix socket of mode 0600, on the node's loop.
// It knows no path but one: every request becomes an engine::AdminAsk and its reply an answer;
// /metrics is text, all else JSON.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "engine/front.hpp"
#include "engine/result.hpp"

namespace boost::asio {
class io_context;
}

namespace tidemark::http {

struct ServerOptions {
  std::string socket_path = {};  ///< At most 107 bytes.
  std::size_t body_bytes_max = std::size_t{1} << 20;
  std::size_t header_bytes_max = 8 * 1024;
  /// One more is answered 503 at its first request;
  /// as many again as `refused_max`, and it is closed unheard.
  std::size_t connections_max = 64;
  std::size_t refused_max = 16;
  /// A connection that sends nothing, or does not take its answer, for so long is closed.
  std::chrono::milliseconds idle{30'000};
  /// What the node may take to answer; then the client gets 504.
  std::chrono::milliseconds answer_wait{60'000};
};

class Server {
 public:
  /// `io` and `port` must outlive the server; `io` is run by one thread.
  Server(boost::asio::io_context& io, engine::AdminPort& port, ServerOptions options);
  /// Closes everything and removes the socket. What the port still answers goes nowhere.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// bind() and start().
  engine::Status listen();
  /// Takes the socket; who connects waits. Errors: see listen_at (unix_socket.hpp).
  engine::Status bind();
  void start();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tidemark::http
