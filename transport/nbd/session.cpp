#include "transport/nbd/session.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "transport/nbd/text.hpp"

namespace tidemark::nbd {

namespace {

/// One option at most waits incomplete in the negotiation.
constexpr std::size_t negotiation_ahead_bytes = option_header_bytes + option_bytes_max;
/// 128 KiB hold 31 writes of 4 KiB: one read takes what a depth of 32 sends.
constexpr std::size_t transmission_ahead_bytes = std::size_t{128} << 10;
/// Entries of one sendmsg: 16 KiB of stack; Linux allows 1024.
constexpr std::size_t gather_max = 1024;

using Clock = boost::asio::steady_timer::clock_type;

/// Marks the time that a call spends in the port or comes from it.
class PortCall {
 public:
  explicit PortCall(int& depth) : depth_(depth) { ++depth_; }
  ~PortCall() { --depth_; }
  PortCall(const PortCall&) = delete;
  PortCall& operator=(const PortCall&) = delete;

 private:
  int& depth_;
};

bool means_gone(engine::Errc code) { return to_error_code(code) == ErrorCode::eshutdown; }

std::string system_text(int code) { return std::system_category().message(code); }

}  // namespace

Session::Session(Socket socket, std::string peer, engine::Exports& exports, SessionTimes times,
                 Counters& counters, Ended ended)
    : socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      stall_(socket_.get_executor()),
      peer_(std::move(peer)),
      exports_(exports),
      times_(times),
      counters_(counters),
      ended_(std::move(ended)),
      handshake_(*this),
      input_(negotiation_ahead_bytes) {}

void Session::start() {
  arm(times_.negotiation, fmt::format("no export chosen within {} ms", times_.negotiation.count()));
  Handshake::greet(handshake_out_);
  replies_.add_raw(handshake_out_);
  turn();
}

void Session::drain() {
  if (phase_ == Phase::negotiating) return close("the server is stopping");
  if (phase_ != Phase::transmitting) return;
  leave("the server is stopping");
  flush();
}

void Session::stop() {
  if (phase_ == Phase::closed) return;
  ended_ = nullptr;
  end("the server is stopping");
}

/// Sends what can be sent at once, then closes.
void Session::end(const std::string& why) {
  if (phase_ == Phase::transmitting || phase_ == Phase::leaving) flush();
  discard_unread();
  close(why);
}

/// Closing over unread bytes makes TCP reset the connection,
/// and a reset overtakes the replies just sent.
void Session::discard_unread() {
  std::array<std::byte, 16384> scrap;
  for (std::uint64_t bytes = 0; bytes < in_flight_bytes_max;) {
    const auto got = ::recv(socket_.native_handle(), scrap.data(), scrap.size(), MSG_DONTWAIT);
    if (got <= 0) return;
    bytes += static_cast<std::uint64_t>(got);
  }
}

void Session::on_replies(std::vector<engine::FrontReply> replies) {
  if (phase_ == Phase::closed) return;
  const PortCall call(port_calls_);
  std::string gone;
  for (auto& reply : replies) {
    const auto request = in_flight_.finish(reply.cookie);
    // ESHUTDOWN is an I/O error for a file system above; a connection that ends is not.
    if (reply.error && means_gone(reply.error->code)) {
      gone = reply.error->text;
    } else {
      add_reply(request, std::move(reply));
    }
  }
  if (!gone.empty()) return end(fmt::format("the volume cannot answer here now: {}", gone));
  settle();
}

void Session::on_cut(const std::string& reason) {
  const PortCall call(port_calls_);
  close(fmt::format("cut by the volume: {}", reason));
}

std::vector<engine::ExportInfo> Session::list() { return exports_.list(); }

/// From the list where the name is in it: opening may fence another front end, and who asks only
/// for facts must not. Otherwise open() knows why not.
engine::Result<engine::ExportInfo> Session::describe(const std::string& name) {
  for (auto& info : exports_.list()) {
    if (info.name == name) return std::move(info);
  }
  auto port = exports_.open(name, {});
  if (!port) return port.error();
  return port.value()->info();
}

engine::Result<engine::ExportInfo> Session::open(const std::string& name) {
  const PortCall call(port_calls_);
  auto port = exports_.open(name, weak_from_this());
  if (!port) return port.error();
  port_ = std::move(port).value();
  return port_->info();
}

/// Everything that may be due: replies out, stalled requests in, the next read.
void Session::turn() {
  if (phase_ == Phase::closed) return;
  handle_input();
  read();
}

void Session::read() {
  if (reading_ || stalled_) return;
  if (phase_ == Phase::negotiating ? !replies_.empty() : phase_ != Phase::transmitting) return;
  reading_ = true;
  socket_.async_read_some(input_.targets(), [self = shared_from_this()](auto error, auto bytes) {
    self->on_read(error, bytes);
  });
}

void Session::on_read(const boost::system::error_code& error, std::size_t bytes) {
  reading_ = false;
  if (phase_ == Phase::closed) return;
  if (error == boost::asio::error::eof) return close("the client closed the connection");
  if (error) return close(fmt::format("reading from the client: {}", error.message()));
  ++counters_.socket_reads;
  input_.filled(bytes);
  handle_input();
  read();
}

/// Parses and answers until the input is used up or the bounds are met. A flush can make room for a
/// request that was stalled, hence the loop; each round sends something, so it ends.
void Session::handle_input() {
  busy_ = true;
  do {
    if (phase_ == Phase::negotiating) negotiate();
    if (phase_ == Phase::transmitting) parse();
    const auto unsent = replies_.unsent_bytes();
    flush();
    if (replies_.unsent_bytes() == unsent) break;
  } while (stalled_ && phase_ == Phase::transmitting);
  busy_ = false;
}

/// One option at a time: the next is looked at once the replies to the last have left.
void Session::negotiate() {
  while (phase_ == Phase::negotiating && replies_.empty()) {
    handshake_out_.clear();
    const auto step = handshake_.step(input_.ahead(), handshake_out_);
    if (phase_ == Phase::closed) return;  // cut while it was being opened
    input_.drop(step.consumed);
    replies_.add_raw(handshake_out_);
    if (step.next == Handshake::Next::transmission) return begin_transmission();
    if (step.next == Handshake::Next::close) return leave(handshake_.why());
    flush();
    if (step.consumed == 0) return;
  }
}

void Session::begin_transmission() {
  phase_ = Phase::transmitting;
  deadline_.cancel();
  input_.grow(transmission_ahead_bytes);
  handshake_out_ = {};
}

void Session::parse() {
  std::vector<engine::FrontRequest> batch;
  batch.reserve(last_batch_);
  stalled_ = false;
  while (phase_ == Phase::transmitting) {
    const bool payload = input_.payload_missing() || skip_bytes_ != 0 || write_.data.size() != 0;
    if (payload ? !continue_payload(batch) : !take_request(batch)) break;
  }
  submit(std::move(batch));
}

/// Goes on with the payload of the last WRITE; false if more must be read first.
bool Session::continue_payload(std::vector<engine::FrontRequest>& batch) {
  if (skip_bytes_ != 0) {
    const auto bytes = std::min<std::size_t>(skip_bytes_, input_.ahead().size());
    input_.drop(bytes);
    skip_bytes_ -= static_cast<std::uint32_t>(bytes);
    return skip_bytes_ == 0;
  }
  if (input_.payload_missing()) return false;
  counters_.bytes_written += write_.length;
  batch.push_back(std::exchange(write_, {}));
  return true;
}

/// Takes one request off the input; false if there is none, or no room for it.
bool Session::take_request(std::vector<engine::FrontRequest>& batch) {
  const auto ahead = input_.ahead();
  if (ahead.size() < request_header_bytes) return false;
  const auto request = decode_request(ahead.first<request_header_bytes>());
  if (!request) {
    close("a request without its magic number");
    return false;
  }
  // A client that knows of a larger size may use it; after a shrink the volume itself refuses.
  auto agreed = handshake_.agreed();
  if (port_) agreed.size_bytes = std::max(agreed.size_bytes, port_->info().size_bytes);
  const auto judged = judge(*request, agreed);
  stalled_ = !has_room(judged.verdict == Verdict::forward ? memory_cost(*request) : 0);
  if (stalled_) return false;
  input_.drop(request_header_bytes);
  switch (judged.verdict) {
    case Verdict::forward:
      forward(*request, batch);
      return true;
    case Verdict::disconnect:
      arm(times_.farewell, "the volume did not answer after the client's good-bye");
      leave("the client disconnected");
      return false;
    case Verdict::close:
      close(std::string(judged.text));
      return false;
    case Verdict::answer:
      break;
  }
  const bool structured = handshake_.agreed().structured_replies;
  if (judged.error == ErrorCode::none) {
    replies_.add_done(*request, structured);
  } else {
    ++counters_.requests_refused;
    replies_.add_error(*request, structured, judged.error, judged.text);
  }
  skip_bytes_ = request->payload_bytes();
  return true;
}

void Session::forward(const RequestHeader& request, std::vector<engine::FrontRequest>& batch) {
  auto front = to_front(request);
  front.cookie = in_flight_.add(request);
  if (request.command != Command::write) {
    batch.push_back(std::move(front));
    return;
  }
  front.data = engine::Buffer(touched_bytes(request.offset, request.length));
  write_ = std::move(front);
  input_.expect(write_.data.bytes().subspan(request.offset % engine::block_bytes, request.length));
}

void Session::submit(std::vector<engine::FrontRequest> batch) {
  if (batch.empty() || port_ == nullptr) return;
  last_batch_ = batch.size();
  ++counters_.batches;
  counters_.requests += batch.size();
  const PortCall call(port_calls_);
  port_->submit(std::move(batch));
}

/// Requests that wait for the volume and replies that wait for the client count alike.
bool Session::has_room(std::uint64_t bytes) const {
  return in_flight_.count() + replies_.unsent_replies() < in_flight_max &&
         in_flight_.bytes() + replies_.unsent_bytes() + bytes <= in_flight_bytes_max;
}

/// Answers that the volume owes: a write whose payload is not complete was not submitted.
std::uint32_t Session::owed() const {
  return in_flight_.count() - (write_.data.size() != 0 ? 1 : 0);
}

void Session::add_reply(const RequestHeader& request, engine::FrontReply reply) {
  const bool structured = handshake_.agreed().structured_replies;
  if (reply.error) {
    replies_.add_error(request, structured, to_error_code(reply.error->code), reply.error->text);
  } else if (request.command == Command::read) {
    counters_.bytes_read += request.length;
    replies_.add_read(request, structured, std::move(reply.pieces));
  } else if (request.command == Command::block_status) {
    replies_.add_block_status(request, reply.allocations);
  } else {
    replies_.add_done(request, structured);
  }
}

/// When nothing else is in flight nothing can join these replies: they leave now. Otherwise they
/// wait for the end of the loop's turn, and all of it leaves in one call.
void Session::settle() {
  if (busy_ || turn_posted_) return;
  if (in_flight_.count() == 0 && !stalled_) return flush();
  turn_posted_ = true;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->turn_posted_ = false;
    self->turn();
  });
}

void Session::flush() {
  while (!replies_.empty() && !waiting_write_ && phase_ != Phase::closed) {
    std::array<iovec, gather_max> gather;
    msghdr message{};
    message.msg_iov = gather.data();
    message.msg_iovlen = replies_.gather(gather);
    ++counters_.socket_writes;
    const auto sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      replies_.sent(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      wait_writable();
    } else if (errno != EINTR) {
      close(fmt::format("sending to the client: {}", system_text(errno)));
    }
  }
  if (waiting_write_ && phase_ != Phase::closed) replies_.unpin();
  if (phase_ != Phase::leaving || !replies_.empty() || owed() != 0) return;
  discard_unread();
  close(leave_why_);
}

void Session::wait_writable() {
  waiting_write_ = true;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](auto error) {
    self->waiting_write_ = false;
    self->stall_.cancel();
    if (!error) self->turn();
  });
  stall_.expires_after(times_.stalled);
  stall_.async_wait([self = shared_from_this()](auto error) {
    // Cancelled too late, or armed anew meanwhile: not this wait's end.
    if (error || !self->waiting_write_ || self->stall_.expiry() > Clock::now()) return;
    self->close(fmt::format("the client took no reply for {} ms", self->times_.stalled.count()));
  });
}

/// Reads no more; what is in flight is still answered and sent.
void Session::leave(std::string why) {
  phase_ = Phase::leaving;
  leave_why_ = std::move(why);
}

void Session::arm(std::chrono::milliseconds limit, std::string why) {
  deadline_.expires_after(limit);
  deadline_.async_wait([self = shared_from_this(), why = std::move(why)](auto error) {
    // A timer that expired just before it was cancelled is late news.
    if (!error && self->phase_ != Phase::transmitting) self->close(why);
  });
}

void Session::close(const std::string& why) {
  if (phase_ == Phase::closed) return;
  if (handshake_.export_name().empty()) ++counters_.negotiations_failed;
  phase_ = Phase::closed;
  deadline_.cancel();
  stall_.cancel();
  boost::system::error_code
      ignored;  // closing is all that can still be done about an error of closing
  socket_.close(ignored);
  drop_port();
  if (ended_) std::exchange(ended_, nullptr)(*this, why);
}

/// A port is never destroyed under its own feet:
/// during a call from or into it, it goes with the next turn.
void Session::drop_port() {
  if (port_ == nullptr) return;
  if (port_calls_ == 0) return port_.reset();
  boost::asio::post(socket_.get_executor(), [port = std::move(port_)] {});
}

}  // namespace tidemark::nbd
