#include "transport/nbd/address.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tidemark::nbd {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;

constexpr std::string_view unix_prefix = "unix:";
/// sun_path of sockaddr_un, with its terminating NUL.
constexpr std::size_t unix_path_bytes_max = 107;

engine::Error invalid(std::string_view text, std::string_view why) {
  return {engine::Errc::invalid, fmt::format("address {}: {}", text, why)};
}

engine::Result<GenericEndpoint> parse_unix(std::string_view text) {
  const auto path = text.substr(unix_prefix.size());
  if (path.empty()) return invalid(text, "a path must follow unix:");
  if (path.size() > unix_path_bytes_max) return invalid(text, "the path exceeds 107 bytes");
  return GenericEndpoint(Local::endpoint(path));
}

tcp::endpoint to_tcp(const GenericEndpoint& endpoint) {
  tcp::endpoint tcp_endpoint;
  const auto bytes = std::min(endpoint.size(), tcp_endpoint.capacity());
  std::memcpy(tcp_endpoint.data(), endpoint.data(), bytes);
  return tcp_endpoint;
}

}  // namespace

engine::Result<GenericEndpoint> parse_address(std::string_view text) {
  if (text.starts_with(unix_prefix)) return parse_unix(text);
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return invalid(text, "expected HOST:PORT or unix:PATH");
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (code != std::errc() || end != digits.data() + digits.size() || digits.empty()) {
    return invalid(text, "the port must be a number from 0 to 65535");
  }
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto address = asio::ip::make_address(std::string(host), error);
  if (error || address.is_v6() != bracketed) {
    return invalid(text, "the host must be an IPv4 address or an IPv6 address in brackets");
  }
  return GenericEndpoint(tcp::endpoint(address, port));
}

bool is_unix(const GenericEndpoint& endpoint) { return endpoint.data()->sa_family == AF_UNIX; }

std::string to_string(const GenericEndpoint& endpoint) {
  if (!is_unix(endpoint)) {
    const auto tcp_endpoint = to_tcp(endpoint);
    const auto host = tcp_endpoint.address().to_string();
    const char* form = tcp_endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}";
    return fmt::format(fmt::runtime(form), host, tcp_endpoint.port());
  }
  Local::endpoint local;
  const auto bytes = std::min(endpoint.size(), local.capacity());
  std::memcpy(local.data(), endpoint.data(), bytes);
  local.resize(bytes);  // looks at the path
  return local.path().empty() ? "unix" : fmt::format("{}{}", unix_prefix, local.path());
}

std::string host_of(const GenericEndpoint& endpoint) {
  return is_unix(endpoint) ? "unix" : to_tcp(endpoint).address().to_string();
}

}  // namespace tidemark::nbd
