#include "transport/nbd/server.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "transport/nbd/text.hpp"

namespace tidemark::nbd {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;

/// After a failed accept (mostly: out of file descriptors) the next try waits,
/// or the loop would spin on it.
constexpr auto accept_pause = std::chrono::milliseconds(100);

/// A client whose machine died is noticed after two minutes:
/// 60 s of silence, then six probes 10 s apart.
constexpr int keepalive_idle_s = 60;
constexpr int keepalive_interval_s = 10;
constexpr int keepalive_probes = 6;
/// And one that died with replies on their way to it.
constexpr int user_timeout_ms = 120'000;

engine::Error failure(std::string_view what, std::string_view address, const error_code& error) {
  const bool taken = error == asio::error::address_in_use;
  return {taken ? engine::Errc::busy : engine::Errc::io_failed,
          fmt::format("{} for NBD on {}: {}", what, address, error.message())};
}

/// A socket file that nobody listens on is left over from a process that was killed.
void remove_stale_socket(const asio::generic::stream_protocol::endpoint& endpoint,
                         const std::string& path, asio::io_context& loop) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  asio::generic::stream_protocol::socket probe(loop);
  error_code error;
  probe.connect(endpoint, error);
  if (error == asio::error::connection_refused) ::unlink(path.c_str());
}

/// Failing to tune a connection that is already dying changes nothing: its first read says so.
void tune(asio::generic::stream_protocol::socket& socket) {
  using Int = int;
  namespace detail = asio::detail::socket_option;
  error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.set_option(detail::integer<IPPROTO_TCP, TCP_KEEPIDLE>(Int{keepalive_idle_s}), ignored);
  socket.set_option(detail::integer<IPPROTO_TCP, TCP_KEEPINTVL>(Int{keepalive_interval_s}),
                    ignored);
  socket.set_option(detail::integer<IPPROTO_TCP, TCP_KEEPCNT>(Int{keepalive_probes}), ignored);
  socket.set_option(detail::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>(Int{user_timeout_ms}), ignored);
}

}  // namespace

Server::Server(asio::io_context& loop, engine::Exports& exports, ServerOptions options)
    : loop_(loop),
      exports_(exports),
      options_(std::move(options)),
      acceptor_(loop),
      pause_(loop),
      patience_(loop) {}

Server::~Server() { stop(); }

engine::Status Server::listen() {
  auto bound = bind();
  if (bound) start();
  return bound;
}

engine::Status Server::bind() {
  const auto endpoint = parse_address(options_.listen);
  if (!endpoint) return endpoint.error();
  auto opened = open(endpoint.value());
  if (!opened) {
    error_code ignored;
    acceptor_.close(ignored);
  }
  return opened;
}

void Server::start() {
  if (!acceptor_.is_open()) return;  // drained or stopped before: its `done` is on the way
  alive_ = std::make_shared<bool>(true);
  accept();
}

engine::Status Server::open(const GenericEndpoint& endpoint) {
  const bool local = is_unix(endpoint);
  const auto path = local ? options_.listen.substr(options_.listen.find(':') + 1) : std::string();
  if (local) remove_stale_socket(endpoint, path, loop_);
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (error) return failure("opening a socket", options_.listen, error);
  if (!local) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  // The file appears with its final mode: nobody else connects in between.
  const auto mask = ::umask(S_IRWXG | S_IRWXO);
  acceptor_.bind(endpoint, error);
  ::umask(mask);
  if (error) return failure("binding a socket", options_.listen, error);
  if (local) unix_path_ = path;
  acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return failure("listening", options_.listen, error);
  const auto bound = acceptor_.local_endpoint(error);
  if (error) return failure("listening", options_.listen, error);
  address_ = to_string(bound);
  return engine::Done{};
}

void Server::accept() {
  acceptor_.async_accept(
      [this, alive = std::weak_ptr(alive_)](const error_code& error, Protocol::socket socket) {
        if (alive.expired() || !acceptor_.is_open()) return;
        if (error) return on_accept_failed(error.message());
        admit(std::move(socket));
        accept();
      });
}

void Server::admit(Protocol::socket socket) {
  error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error) return;  // gone before it was greeted
  const auto peer = to_string(remote);
  auto host = host_of(remote);
  if (const auto* reason = no_place_for(host)) {
    ++counters_.connections_refused;
    observe({ConnectionEvent::Kind::refused, peer, {}, reason});
    return;  // closes
  }
  tune(socket);
  ++counters_.connections_accepted;
  ++counters_.connections;
  observe({ConnectionEvent::Kind::accepted, peer, {}, {}});
  const auto id = next_id_++;
  const auto ended = [this, id](const Session& session, const std::string& why) {
    --counters_.connections;
    observe({ConnectionEvent::Kind::ended, session.peer(), session.export_name(), why});
    places_.erase(id);
    if (drained_ && places_.empty()) patience_.cancel();
  };
  auto session = std::make_shared<Session>(std::move(socket), peer, exports_, options_.times,
                                           counters_, ended);
  places_.emplace(id, Place{session, std::move(host)});
  session->start();
}

const char* Server::no_place_for(const std::string& host) const {
  if (places_.size() >= options_.connections_max) return "too many connections";
  const auto same = std::count_if(places_.begin(), places_.end(), [&](const auto& entry) {
    return entry.second.host == host && entry.second.session->negotiating();
  });
  if (same < options_.negotiating_per_host_max) return nullptr;
  return "too many connections of this host negotiate";
}

void Server::on_accept_failed(const std::string& why) {
  observe({ConnectionEvent::Kind::accept_failed, {}, {}, why});
  pause_.expires_after(accept_pause);
  pause_.async_wait([this, alive = std::weak_ptr(alive_)](const error_code&) {
    if (!alive.expired() && acceptor_.is_open()) accept();
  });
}

void Server::stop_accepting() {
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  if (!unix_path_.empty()) ::unlink(std::exchange(unix_path_, {}).c_str());
  address_.clear();
}

void Server::drain(std::chrono::milliseconds limit, std::function<void()> done) {
  stop_accepting();
  if (!alive_) alive_ = std::make_shared<bool>(true);  // It was never started.
  drained_ = std::move(done);
  patience_.expires_after(limit);
  patience_.async_wait([this, alive = std::weak_ptr(alive_)](const error_code&) {
    if (!alive.expired()) drained();
  });
  std::vector<std::shared_ptr<Session>> sessions;
  for (const auto& [id, place] : places_) sessions.push_back(place.session);
  for (const auto& session : sessions) session->drain();
  if (places_.empty()) patience_.cancel();
}

void Server::drained() {
  const auto done = std::exchange(drained_, nullptr);
  stop();
  if (done) done();
}

void Server::stop() {
  alive_.reset();
  drained_ = nullptr;
  patience_.cancel();
  stop_accepting();
  const auto places = std::exchange(places_, {});
  for (const auto& [id, place] : places) place.session->stop();
  counters_.connections = 0;
}

void Server::observe(ConnectionEvent event) const {
  if (!options_.observe) return;
  event.reason = presentable(event.reason);
  event.export_name = presentable(event.export_name);
  options_.observe(event);
}

}  // namespace tidemark::nbd
