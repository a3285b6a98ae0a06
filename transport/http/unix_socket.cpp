#include "transport/http/unix_socket.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

namespace tidemark::http {
namespace {

using boost::asio::local::stream_protocol;
using boost::system::error_code;
using engine::Errc;
using engine::Error;
using engine::Status;

constexpr std::size_t path_bytes_max = sizeof(sockaddr_un::sun_path) - 1;
constexpr int backlog = 64;

Error failed(const std::string& path, const error_code& error) {
  const bool taken = error == boost::asio::error::address_in_use;
  return {taken ? Errc::busy : Errc::io_failed,
          fmt::format("listen for admin requests at {}: {}", path, error.message())};
}

/// Nothing at `path`, or a socket nobody answers on, which is removed.
Status make_way(boost::asio::io_context& io, const std::string& path,
                const stream_protocol::endpoint& at) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return engine::Done{};
    return failed(path, {errno, boost::system::system_category()});
  }
  if (!S_ISSOCK(found.st_mode)) {
    return Error{
        Errc::already_exists,
        fmt::format("listen for admin requests at {}: there is something else than a socket",
                    path)};
  }
  stream_protocol::socket probe(io);
  error_code error;
  probe.connect(at, error);
  if (error != boost::asio::error::connection_refused) {
    const auto what = error ? error.message() : "a running process answers there";
    return Error{Errc::busy, fmt::format("listen for admin requests at {}: {}", path, what)};
  }
  if (::unlink(path.c_str()) == 0) return engine::Done{};
  return failed(path, {errno, boost::system::system_category()});
}

}  // namespace

engine::Result<stream_protocol::endpoint> socket_address(const std::string& path) {
  if (!path.empty() && path.size() <= path_bytes_max) return stream_protocol::endpoint(path);
  return Error{Errc::invalid, fmt::format("socket path {}: {} bytes, the system takes 1 to {}",
                                          path, path.size(), path_bytes_max)};
}

engine::Result<stream_protocol::acceptor> listen_at(boost::asio::io_context& io,
                                                    const std::string& path) {
  const auto at = socket_address(path);
  if (!at) return at.error();
  if (auto free = make_way(io, path, *at); !free) return free.error();
  stream_protocol::acceptor acceptor(io);
  error_code error;
  acceptor.open(at->protocol(), error);
  if (error) return failed(path, error);
  // Before bind: the file never exists with wider permissions.
  if (::fchmod(acceptor.native_handle(), S_IRUSR | S_IWUSR) != 0) {
    return failed(path, {errno, boost::system::system_category()});
  }
  acceptor.bind(*at, error);
  if (!error) acceptor.listen(backlog, error);
  if (error) return failed(path, error);
  return acceptor;
}

}  // namespace tidemark::http
