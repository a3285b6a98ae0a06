#include "transport/replication/tcp_network.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "transport/replication/endpoint.hpp"
#include "transport/replication/greeting.hpp"
#include "transport/replication/tcp_link.hpp"

namespace tidemark::transport {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using engine::Errc;
using engine::Error;

// Connections that wait in the kernel until the loop comes round.
constexpr int backlog = 128;
// After running out of descriptors or memory, accepting again at once would only spin.
constexpr std::chrono::milliseconds accept_pause{100};

tcp::endpoint endpoint_of(const HostPort& address) {
  return {boost::asio::ip::make_address(address.host), address.port};
}

Error failed(const engine::Endpoint& where, const error_code& error) {
  const bool taken = error == boost::asio::error::address_in_use;
  return {taken ? Errc::busy : Errc::io_failed,
          fmt::format("listen for replication on {}: {}", where, error.message())};
}

/// What connect() hands on for the first message of the other side.
Network::Outcome judge(engine::Result<engine::Message> answer, const engine::Hello& hello,
                       const std::shared_ptr<TcpConnection>& connection) {
  if (!answer) return answer.error();
  if (const auto* refused = std::get_if<engine::Refused>(&*answer)) {
    connection->close();
    return {Error{Errc::refused, fmt::format("{} refused: {}: {}", connection->peer(),
                                             to_string(refused->code), printable(refused->text))},
            *refused};
  }
  const auto& ok = std::get<engine::HelloOk>(*answer);
  if (auto flaw = flaw_of(ok, hello)) {
    connection->close();
    return Error{flaw->code, fmt::format("{}: {}", connection->peer(), flaw->text)};
  }
  return Network::Connected{std::make_shared<TcpLink>(connection), ok};
}

}  // namespace

class TcpNetwork::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, TcpOptions options)
      : io_(io), listen_(std::move(options.listen)), acceptor_(io), pause_(io) {
    shared_->limits = options.limits;
    shared_->cluster = options.cluster;
  }

  engine::Status bind() {
    const auto address = parse_endpoint(listen_);
    if (!address) return address.error();
    const auto endpoint = endpoint_of(*address);
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(backlog, error);
    if (!error) return engine::Done{};
    error_code ignored;
    acceptor_.close(ignored);
    return failed(listen_, error);
  }

  engine::Endpoint local() const {
    error_code error;
    const auto at = acceptor_.local_endpoint(error);
    if (error) return listen_;
    return to_endpoint(
        {at.address().to_string(), at.port(), at.address().is_v6(), at.address().is_loopback()});
  }

  void connect(const engine::Endpoint& to, engine::Hello hello, std::function<void(Outcome)> done) {
    const auto address = parse_endpoint(to);
    if (!address) {
      boost::asio::post(io_, [done = std::move(done), error = address.error()] { done(error); });
      return;
    }
    auto connection =
        std::make_shared<TcpConnection>(tcp::socket(io_), Direction::from_connector, shared_);
    auto greeted = [hello, done = std::move(done), weak = std::weak_ptr(connection)](auto answer) {
      // Whoever calls back holds the connection.
      const auto held = weak.lock();
      done(held ? judge(std::move(answer), hello, held) : Outcome(answer.error()));
    };
    connection->dial(endpoint_of(*address), std::move(hello), std::move(greeted));
  }

  void on_incoming(std::function<void(Incoming)> accept) {
    incoming_ = std::move(accept);
    if (acceptor_.is_open() && !std::exchange(accepting_, true)) this->accept();
  }

  void stop() {
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    for (const auto& connection : connections()) {
      if (connection->waits_for_answer()) {
        connection->abort();
      } else {
        connection->cancel_greeting({Errc::cancelled, "connect: this node stops"});
      }
    }
  }

  void abandon() {
    stop_accepting_ = true;
    incoming_ = nullptr;
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    for (const auto& connection : connections()) connection->abort();
  }

  const TcpCounters& counters() const { return shared_->counters; }

 private:
  /// A copy: ending a connection takes it out of the map.
  std::vector<std::shared_ptr<TcpConnection>> connections() const {
    std::vector<std::shared_ptr<TcpConnection>> all;
    for (const auto& [id, weak] : shared_->connections) {
      if (auto connection = weak.lock()) all.push_back(std::move(connection));
    }
    return all;
  }

  void accept() {
    acceptor_.async_accept([weak = weak_from_this()](error_code error, tcp::socket socket) {
      if (const auto self = weak.lock()) self->accepted(error, std::move(socket));
    });
  }

  void accepted(const error_code& error, tcp::socket socket) {
    if (stop_accepting_ || !acceptor_.is_open()) return;
    if (error && error != boost::asio::error::connection_aborted) return accept_later();
    if (!error) welcome(std::move(socket));
    accept();
  }

  void accept_later() {
    pause_.expires_after(accept_pause);
    pause_.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (!error && self && self->acceptor_.is_open()) self->accept();
    });
  }

  void welcome(tcp::socket socket) {
    ++shared_->counters.connections_accepted;
    make_room();
    auto connection =
        std::make_shared<TcpConnection>(std::move(socket), Direction::from_acceptor, shared_);
    connection->welcome([weak = weak_from_this(), held = std::weak_ptr(connection)](auto hello) {
      const auto self = weak.lock();
      const auto greeter = held.lock();
      if (self && greeter && hello) self->greeted(greeter, std::get<engine::Hello>(*hello));
    });
  }

  /// Drops the oldest strangers until there is room for one more.
  void make_room() {
    auto all = connections();
    std::erase_if(all, [](const auto& c) { return !c->waits_for_answer(); });
    for (std::size_t i = 0; all.size() - i >= shared_->limits.handshakes_max; ++i) {
      ++shared_->counters.handshakes_dropped;
      all[i]->abort();
    }
  }

  void greeted(const std::shared_ptr<TcpConnection>& connection, const engine::Hello& hello) {
    if (const auto refused = flaw_of(hello, shared_->cluster)) return connection->refuse(*refused);
    if (!incoming_) return connection->abort();
    const auto accept = incoming_;  // It may be replaced, or the network end, while it runs.
    accept({hello, std::make_shared<TcpLink>(connection)});
  }

  boost::asio::io_context& io_;
  engine::Endpoint listen_;
  tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  std::shared_ptr<TcpShared> shared_ = std::make_shared<TcpShared>();
  std::function<void(Incoming)> incoming_;
  bool accepting_ = false;
  bool stop_accepting_ = false;
};

TcpNetwork::TcpNetwork(boost::asio::io_context& io, TcpOptions options)
    : impl_(std::make_shared<Impl>(io, std::move(options))) {}
TcpNetwork::~TcpNetwork() { impl_->abandon(); }

engine::Status TcpNetwork::bind() { return impl_->bind(); }
engine::Endpoint TcpNetwork::local() const { return impl_->local(); }
void TcpNetwork::connect(const engine::Endpoint& to, engine::Hello hello,
                         std::function<void(Outcome)> done) {
  impl_->connect(to, std::move(hello), std::move(done));
}
void TcpNetwork::on_incoming(std::function<void(Incoming)> accept) {
  impl_->on_incoming(std::move(accept));
}
void TcpNetwork::stop() { impl_->stop(); }
const TcpCounters& TcpNetwork::counters() const { return impl_->counters(); }

}  // namespace tidemark::transport
