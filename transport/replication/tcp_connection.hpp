// One TCP connection: frames in and out, the phases of its greeting, and its end. TcpLink is its
// owner's handle; what the loop still holds of it (handlers of the socket and the timer) keeps it
// alive until they have run.
//
//   up  -- close() -->  closing  -- all sent, peer gone, or linger over -->  dead
//    \-- broken, refused by us, abort() --------------------------------------^
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "transport/link.hpp"
#include "transport/replication/intake.hpp"
#include "transport/replication/send_queue.hpp"
#include "transport/replication/tcp_options.hpp"

namespace tidemark::transport {

class TcpConnection;

/// What the connections of one network share; outlives the network while one of them does.
struct TcpShared {
  TcpLimits limits;
  engine::ClusterId cluster;
  TcpCounters counters;
  std::uint64_t last_id = 0;
  /// In the order in which they began; none is dead.
  std::map<std::uint64_t, std::weak_ptr<TcpConnection>> connections;
};

class TcpConnection : public std::enable_shared_from_this<TcpConnection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  /// The first message of the other side, or why there is none.
  /// Called once, on the loop; not after abort().
  using Greeted = std::function<void(engine::Result<engine::Message>)>;

  /// `own` tells which side we are.
  TcpConnection(Socket socket, Direction own, std::shared_ptr<TcpShared> shared);

  /// Acceptor: takes the peer's Hello.
  void welcome(Greeted greeted);
  /// Connector: connects, sends `hello`, takes the answer.
  void dial(const boost::asio::ip::tcp::endpoint& to, engine::Hello hello, Greeted greeted);

  // What a Link does (transport/link.hpp).
  void send(const engine::Message& message);
  std::size_t queued_bytes();
  void close();
  void attach(std::weak_ptr<LinkEvents> events);
  const std::string& peer() const { return peer_; }

  /// The handle is gone: ends at once, unless close() is still sending.
  void release();
  /// Ends at once, and calls nobody.
  void abort();
  /// Ends a greeting that waits, with `error`; its callback runs from the loop.
  void cancel_greeting(engine::Error error);
  /// Sends `refused` and closes.
  void refuse(const engine::Refused& refused);

  bool waits_for_answer() const {
    return own_ == Direction::from_acceptor && terms_.phase != Phase::open;
  }

 private:
  enum class State { up, closing, dead };

  void configure();
  void arm(std::chrono::milliseconds wait, void (TcpConnection::*expired)());
  void greeting_expired();
  void connected(const boost::system::error_code& error, engine::Hello hello);

  void learn(const engine::Message& message);

  void overflow();
  void schedule_flush();
  void flush();
  bool write_some();
  void all_sent();

  void read();
  void on_read(const boost::system::error_code& error, std::size_t bytes);
  void pump();
  bool take_message();
  void deliver(engine::Message message);
  bool has_receiver() const { return greeted_ || !events_.expired(); }
  void resume();
  void read_on();

  void breach(engine::RefusalCode code, const std::string& text);
  void down(const std::string& reason);
  void tell_down(const std::string& reason);
  void die();

  Socket socket_;
  boost::asio::steady_timer timer_;
  const Direction own_;
  std::shared_ptr<TcpShared> shared_;
  const std::uint64_t id_;

  State state_ = State::up;
  Terms terms_;
  std::string peer_;

  Greeted greeted_;
  std::weak_ptr<LinkEvents> events_;
  std::optional<std::string> untold_down_;  ///< Waits for a receiver.

  Intake intake_;
  SendQueue queue_;
  bool reading_ = false;  ///< A read is under way.
  bool flush_scheduled_ = false;
  bool overflown_ = false;
  std::uint64_t timer_round_ =
      0;  ///< Tells a late expiry of an earlier arm() from the current one.
};

}  // namespace tidemark::transport
