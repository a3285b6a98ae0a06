// The NBD front end of a node: it listens, gives each connection a session, and keeps strangers
// from using up the node.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/front.hpp"
#include "engine/result.hpp"
#include "transport/nbd/address.hpp"
#include "transport/nbd/session.hpp"

namespace tidemark::nbd {

/// For the log: one line each.
struct ConnectionEvent {
  enum class Kind : std::uint8_t { accepted, refused, ended, accept_failed };
  Kind kind = Kind::accepted;
  std::string peer;
  std::string export_name;  ///< Empty before transmission.
  std::string reason;       ///< For people; may quote the peer, made presentable.
};

inline constexpr std::uint32_t connections_max = 100;

struct ServerOptions {
  /// See parse_address(). Beyond loopback only with TLS or by the operator's word;
  /// the caller checks.
  std::string listen = "127.0.0.1:10809";
  /// Connections in all. Each costs 150 KiB idle, and 33 MiB at worst.
  std::uint32_t connections_max = nbd::connections_max;
  /// Connections of one host that negotiate at the same moment: the most that a stranger who never
  /// finishes takes from the others. 32, as a benchmark with 32 jobs connects at once.
  std::uint32_t negotiating_per_host_max = 32;
  SessionTimes times;
  /// May be empty. Called on the loop.
  std::function<void(const ConnectionEvent&)> observe;
};

/// All on one loop: no locks. `exports` must outlive the server
/// and what is still posted on the loop.
class Server {
 public:
  Server(boost::asio::io_context& loop, engine::Exports& exports, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// bind() and start().
  engine::Status listen();
  /// Takes the address; who connects waits. Errc::invalid for an address that is none, Errc::busy
  /// for one in use, Errc::io_failed otherwise.
  engine::Status bind();
  /// Greets who waits and who comes. After drain() or stop(): nobody.
  void start();
  /// No new connections and no new requests: what is in flight is answered, for `limit` at most,
  /// and each connection then closes. `done` runs from the loop when all are closed.
  void drain(std::chrono::milliseconds limit, std::function<void()> done);
  /// Closes every connection at once; what is in flight is not answered. A drain's `done` is
  /// forgotten. Idempotent.
  void stop();

  /// Where it listens, with the port that the system chose; empty when it does not.
  const std::string& address() const { return address_; }
  const Counters& counters() const { return counters_; }

 private:
  using Protocol = boost::asio::generic::stream_protocol;

  engine::Status open(const GenericEndpoint& endpoint);
  void accept();
  void admit(Protocol::socket socket);
  void stop_accepting();
  void drained();
  const char* no_place_for(const std::string& host) const;
  void on_accept_failed(const std::string& why);
  void observe(ConnectionEvent event) const;

  struct Place {
    std::shared_ptr<Session> session;
    std::string host;
  };

  boost::asio::io_context& loop_;
  engine::Exports& exports_;
  ServerOptions options_;
  boost::asio::basic_socket_acceptor<Protocol> acceptor_;
  boost::asio::steady_timer pause_;     ///< Until the next accept.
  boost::asio::steady_timer patience_;  ///< Of a drain; cancelled when nobody is left.
  std::function<void()> drained_;       ///< Set while draining.
  std::string address_;
  std::string unix_path_;  ///< Removed on stop().
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Place> places_;
  Counters counters_;
  /// Gone once stopped: a completion that was already queued then finds nobody.
  std::shared_ptr<bool> alive_;
};

}  // namespace tidemark::nbd
