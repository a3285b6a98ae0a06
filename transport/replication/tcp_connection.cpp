#include "transport/replication/tcp_connection.hpp"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <utility>

#include "engine/check.hpp"
#include "transport/replication/codec.hpp"
#include "transport/replication/greeting.hpp"

namespace tidemark::transport {
namespace {

using boost::system::error_code;
using engine::Errc;
using engine::Error;
using engine::Message;
using engine::RefusalCode;
using engine::Refused;

void set_option(int fd, int level, int name, int value) {
  // A kernel that does not know an option only notices a dead peer later.
  (void)::setsockopt(fd, level, name, &value, sizeof value);
}

std::string address_of(const TcpConnection::Socket& socket) {
  error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error) return "unknown peer";
  const auto host = remote.address().to_string();
  return remote.address().is_v6() ? fmt::format("[{}]:{}", host, remote.port())
                                  : fmt::format("{}:{}", host, remote.port());
}

template <class Array>
void count_refusal(Array& counters, const Message& message) {
  if (const auto* refused = std::get_if<Refused>(&message))
    ++counters[static_cast<std::size_t>(refused->code)];
}

}  // namespace

TcpConnection::TcpConnection(Socket socket, Direction own, std::shared_ptr<TcpShared> shared)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      own_(own),
      shared_(std::move(shared)),
      id_(++shared_->last_id),
      intake_(opposite(own)) {}

// --- the greeting --------------------------------------------------------------------------------

void TcpConnection::configure() {
  const auto fd = socket_.native_handle();
  const auto patience = static_cast<int>(shared_->limits.dead_peer.count());
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, patience);
  // Idle for a third of the patience, then two probes a third apart.
  const auto third = std::max(1, patience / 3000);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, third);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, third);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 2);
}

void TcpConnection::welcome(Greeted greeted) {
  shared_->connections[id_] = weak_from_this();
  peer_ = address_of(socket_);
  configure();
  greeted_ = std::move(greeted);
  arm(shared_->limits.hello_wait, &TcpConnection::greeting_expired);
  read();
}

void TcpConnection::dial(const boost::asio::ip::tcp::endpoint& to, engine::Hello hello,
                         Greeted greeted) {
  shared_->connections[id_] = weak_from_this();
  const auto host = to.address().to_string();
  peer_ = fmt::format(fmt::runtime(to.address().is_v6() ? "[{}]:{}" : "{}:{}"), host, to.port());
  greeted_ = std::move(greeted);
  arm(shared_->limits.connect_wait, &TcpConnection::greeting_expired);
  socket_.async_connect(
      to, [self = shared_from_this(), hello = std::move(hello)](error_code error) mutable {
        self->connected(error, std::move(hello));
      });
}

void TcpConnection::connected(const error_code& error, engine::Hello hello) {
  if (state_ != State::up) return;
  if (error) return down(fmt::format("connect to {}: {}", peer_, error.message()));
  ++shared_->counters.connections_made;
  configure();
  send(std::move(hello));
  read();
}

void TcpConnection::arm(std::chrono::milliseconds wait, void (TcpConnection::*expired)()) {
  timer_.expires_after(wait);
  timer_.async_wait([self = shared_from_this(), round = ++timer_round_, expired](error_code error) {
    if (!error && round == self->timer_round_ && self->state_ != State::dead) ((*self).*expired)();
  });
}

void TcpConnection::greeting_expired() {
  if (terms_.phase == Phase::open || state_ != State::up) return;
  if (own_ == Direction::from_connector) {
    return down(fmt::format("connect to {}: no answer within {} ms", peer_,
                            shared_->limits.connect_wait.count()));
  }
  ++shared_->counters.handshakes_dropped;
  breach(RefusalCode::protocol,
         fmt::format("the greeting was not over within {} ms", shared_->limits.hello_wait.count()));
}

void TcpConnection::learn(const Message& message) {
  terms_.learn(message);
  if (std::holds_alternative<engine::HelloOk>(message)) {
    ++timer_round_;
    timer_.cancel();
  }
  const auto* hello = std::get_if<engine::Hello>(&message);
  if (hello == nullptr) return;
  peer_ += fmt::format(" {}", to_string(hello->purpose));
  if (own_ == Direction::from_acceptor) peer_ += " of " + printable(hello->node.name);
}

void TcpConnection::cancel_greeting(Error error) {
  if (!greeted_) return;
  auto greeted = std::exchange(greeted_, nullptr);
  boost::asio::post(socket_.get_executor(),
                    [greeted = std::move(greeted), error = std::move(error)] { greeted(error); });
  die();
}

// --- sending -------------------------------------------------------------------------------------

void TcpConnection::send(const Message& message) {
  if (state_ != State::up || overflown_) return;
  CHECK(allowed(terms_.purpose, own_, terms_.phase, type_of(message)));
  queue_.push(message);
  learn(message);
  count_refusal(shared_->counters.refusals_sent, message);
  schedule_flush();
  if (queue_.bytes() <= shared_->limits.queued_bytes_max) return;
  overflown_ = true;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->overflow(); });
}

void TcpConnection::overflow() {
  if (state_ != State::up) return;
  down(fmt::format("{} takes no data: {} bytes wait, {} may", peer_, queue_.bytes(),
                   shared_->limits.queued_bytes_max));
}

std::size_t TcpConnection::queued_bytes() {
  if (state_ == State::dead || !socket_.is_open()) return 0;
  // What the kernel has and the peer's machine has not acknowledged.
  int unacknowledged = 0;
  if (::ioctl(socket_.native_handle(), SIOCOUTQ, &unacknowledged) != 0) unacknowledged = 0;
  return queue_.bytes() + static_cast<std::size_t>(std::max(0, unacknowledged));
}

void TcpConnection::schedule_flush() {
  if (std::exchange(flush_scheduled_, true)) return;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->flush(); });
}

void TcpConnection::flush() {
  flush_scheduled_ = false;
  if (state_ == State::dead) return;
  while (!queue_.empty()) {
    if (!write_some()) return;
  }
  if (state_ == State::closing) all_sent();
}

/// False when the rest has to wait, or everything is over.
bool TcpConnection::write_some() {
  // As many as the kernel takes at once (IOV_MAX).
  std::array<iovec, 1024> pieces;
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = queue_.gather(pieces);
  const auto sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  ++shared_->counters.sendmsg_calls;
  if (sent >= 0) {
    shared_->counters.frames_sent += queue_.written(static_cast<std::size_t>(sent));
    shared_->counters.bytes_sent += static_cast<std::uint64_t>(sent);
    return true;
  }
  const auto why = errno;
  if (why == EINTR) return true;
  if (why != EAGAIN && why != EWOULDBLOCK) {
    down(fmt::format("send to {}: {}", peer_,
                     error_code(why, boost::system::system_category()).message()));
    return false;
  }
  flush_scheduled_ = true;
  socket_.async_wait(Socket::wait_write,
                     [self = shared_from_this()](error_code) { self->flush(); });
  return false;
}

void TcpConnection::all_sent() {
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  // The peer's end of stream tells that it has read everything;
  // closing before would cut what is on its way.
}

// --- receiving -----------------------------------------------------------------------------------

void TcpConnection::read() {
  if (reading_ || state_ == State::dead) return;
  reading_ = true;
  const auto room = intake_.room();
  const auto to = [](std::span<std::byte> s) {
    return boost::asio::mutable_buffer(s.data(), s.size());
  };
  const std::array<boost::asio::mutable_buffer, 3> buffers{to(room[0]), to(room[1]), to(room[2])};
  socket_.async_read_some(buffers,
                          [self = shared_from_this()](error_code error, std::size_t bytes) {
                            self->on_read(error, bytes);
                          });
}

void TcpConnection::on_read(const error_code& error, std::size_t bytes) {
  reading_ = false;
  if (state_ == State::dead) return;
  if (state_ == State::closing) return error ? die() : read_on();
  if (error == boost::asio::error::eof) return down(fmt::format("{} closed the connection", peer_));
  if (error) return down(fmt::format("receive from {}: {}", peer_, error.message()));
  shared_->counters.bytes_received += bytes;
  intake_.filled(bytes);
  pump();
}

/// Hands over what is complete, then asks for more. Without a receiver everything waits: frames
/// here, the rest in the kernel.
void TcpConnection::pump() {
  const auto self = shared_from_this();
  while (state_ == State::up && has_receiver()) {
    if (!take_message()) break;
  }
  if (state_ == State::up && has_receiver()) read();
}

/// Reads to the end of the stream, for nobody: it tells when the peer has everything.
void TcpConnection::read_on() {
  if (reading_) return;
  intake_.discard();
  read();
}

/// False when no whole frame is there, or everything is over.
bool TcpConnection::take_message() {
  auto next = intake_.next(terms_);
  if (const auto* b = std::get_if<Breach>(&next)) return breach(b->code, b->text), false;
  auto* message = std::get_if<Message>(&next);
  if (message == nullptr) return false;
  ++shared_->counters.frames_received;
  count_refusal(shared_->counters.refusals_received, *message);
  deliver(std::move(*message));
  return true;
}

void TcpConnection::deliver(Message message) {
  learn(message);
  if (greeted_) {
    // Once; what follows waits for attach().
    return std::exchange(greeted_, nullptr)(std::move(message));
  }
  if (const auto events = events_.lock()) events->on_message(std::move(message));
}

void TcpConnection::attach(std::weak_ptr<LinkEvents> events) {
  events_ = std::move(events);
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->resume(); });
}

void TcpConnection::resume() {
  if (untold_down_) return tell_down(*std::exchange(untold_down_, std::nullopt));
  if (state_ == State::up && !reading_) pump();
}

// --- the end -------------------------------------------------------------------------------------

void TcpConnection::close() {
  if (state_ != State::up) return;
  state_ = State::closing;
  events_.reset();
  greeted_ = nullptr;
  arm(shared_->limits.linger, &TcpConnection::die);
  schedule_flush();
  read_on();
}

void TcpConnection::refuse(const Refused& refused) {
  if (allowed(terms_.purpose, own_, terms_.phase, FrameType::refused)) send(refused);
  close();
}

/// The peer does what it may not.
void TcpConnection::breach(RefusalCode code, const std::string& text) {
  auto events = events_;
  auto greeted = std::exchange(greeted_, nullptr);
  refuse({code, text, engine::Epoch{}});
  events_ = std::move(events);
  const auto reason = fmt::format("{} was refused ({}): {}", peer_, to_string(code), text);
  if (greeted) return greeted(Error{Errc::invalid, reason});
  tell_down(reason);
}

void TcpConnection::down(const std::string& reason) {
  const bool own_end = state_ != State::up;
  auto greeted = std::exchange(greeted_, nullptr);
  const auto self = shared_from_this();
  die();
  if (greeted) return greeted(Error{Errc::unavailable, reason});
  if (!own_end) tell_down(reason);
}

void TcpConnection::tell_down(const std::string& reason) {
  if (const auto events = std::exchange(events_, {}).lock()) return events->on_down(reason);
  untold_down_ = reason;
}

void TcpConnection::release() {
  events_.reset();
  if (state_ == State::up) abort();
}

void TcpConnection::abort() {
  greeted_ = nullptr;
  events_.reset();
  die();
}

void TcpConnection::die() {
  if (state_ == State::dead) return;
  state_ = State::dead;
  ++timer_round_;
  timer_.cancel();
  queue_.clear();
  error_code ignored;
  socket_.close(ignored);
  shared_->connections.erase(id_);
}

}  // namespace tidemark::transport
