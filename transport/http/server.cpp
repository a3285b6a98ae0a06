#include "transport/http/server.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <optional>
#include <utility>

#include "transport/http/session.hpp"
#include "transport/http/unix_socket.hpp"

namespace tidemark::http {
namespace {

using boost::asio::local::stream_protocol;
using boost::system::error_code;

// After running out of descriptors, accepting again at once would only spin.
constexpr std::chrono::milliseconds accept_pause{100};

/// Which file stands at `path`; nothing when there is none.
std::optional<std::pair<dev_t, ino_t>> file_at(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return std::nullopt;
  return std::pair{found.st_dev, found.st_ino};
}

}  // namespace

class Server::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, engine::AdminPort& port, ServerOptions options)
      : io_(io), port_(port), options_(std::move(options)), pause_(io) {}

  engine::Status bind() {
    auto acceptor = listen_at(io_, options_.socket_path);
    if (!acceptor) return acceptor.error();
    acceptor_.emplace(std::move(acceptor).value());
    file_ = file_at(options_.socket_path);
    return engine::Done{};
  }

  void start() { accept(); }

  void close() {
    error_code ignored;
    if (acceptor_) acceptor_->close(ignored);
    pause_.cancel();
    for (auto& [id, weak] : std::exchange(sessions_, {})) {
      if (const auto session = weak.lock()) session->close();
    }
    // Only our own file: a successor may have put its socket there.
    if (file_ && file_at(options_.socket_path) == file_) ::unlink(options_.socket_path.c_str());
    file_.reset();
  }

 private:
  void accept() {
    acceptor_->async_accept(
        [weak = weak_from_this()](error_code error, stream_protocol::socket socket) {
          const auto self = weak.lock();
          if (!self || !self->acceptor_->is_open()) return;
          if (error) return self->accept_later();
          self->welcome(std::move(socket));
          self->accept();
        });
  }

  void accept_later() {
    pause_.expires_after(accept_pause);
    pause_.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (!error && self && self->acceptor_->is_open()) self->accept();
    });
  }

  void welcome(stream_protocol::socket socket) {
    std::erase_if(sessions_, [](const auto& entry) { return entry.second.expired(); });
    if (sessions_.size() >= options_.connections_max + options_.refused_max) return;
    const bool overloaded = sessions_.size() >= options_.connections_max;
    const auto session =
        std::make_shared<Session>(Session::Stream(std::move(socket)), port_, options_, overloaded);
    sessions_.emplace(++last_session_, session);
    session->start();
  }

  boost::asio::io_context& io_;
  engine::AdminPort& port_;
  const ServerOptions options_;
  boost::asio::steady_timer pause_;
  std::optional<stream_protocol::acceptor> acceptor_;
  std::optional<std::pair<dev_t, ino_t>> file_;
  std::map<std::uint64_t, std::weak_ptr<Session>> sessions_;
  std::uint64_t last_session_ = 0;
};

Server::Server(boost::asio::io_context& io, engine::AdminPort& port, ServerOptions options)
    : impl_(std::make_shared<Impl>(io, port, std::move(options))) {}
Server::~Server() { impl_->close(); }
engine::Status Server::bind() { return impl_->bind(); }
void Server::start() { impl_->start(); }
engine::Status Server::listen() {
  auto bound = bind();
  if (bound) start();
  return bound;
}

}  // namespace tidemark::http
