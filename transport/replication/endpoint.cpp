#include "transport/replication/endpoint.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

namespace tidemark::transport {
namespace {

engine::Error bad(std::string_view text, std::string_view what) {
  return {engine::Errc::invalid,
          fmt::format("endpoint \"{}\": {}; write ADDRESS:PORT, as 127.0.0.1:9101 or [::1]:9101",
                      text, what)};
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || text.size() > 5)
    return std::nullopt;
  return port;
}

bool judge_v4(HostPort& address) {
  in_addr v4{};
  if (inet_pton(AF_INET, address.host.c_str(), &v4) != 1) return false;
  address.loopback = (ntohl(v4.s_addr) >> 24) == 127;
  return true;
}
bool judge_v6(HostPort& address) {
  in6_addr v6{};
  if (inet_pton(AF_INET6, address.host.c_str(), &v6) != 1) return false;
  address.loopback = IN6_IS_ADDR_LOOPBACK(&v6);
  return true;
}

}  // namespace

engine::Result<HostPort> parse_endpoint(const engine::Endpoint& text) {
  const std::string_view all(text);
  const auto colon = all.rfind(':');
  if (colon == std::string_view::npos) return bad(text, "has no port");
  auto host = all.substr(0, colon);
  const auto port = parse_port(all.substr(colon + 1));
  if (!port) return bad(text, "has no port from 0 to 65535 behind its last colon");
  HostPort address{.host = {},
                   .port = *port,
                   .v6 = host.starts_with('[') && host.ends_with(']'),
                   .loopback = false};
  if (address.v6) host = host.substr(1, host.size() - 2);
  address.host = host;
  if (!(address.v6 ? judge_v6(address) : judge_v4(address)))
    return bad(text, "has no numeric address before its port");
  return address;
}

engine::Endpoint to_endpoint(const HostPort& address) {
  return fmt::format(fmt::runtime(address.v6 ? "[{}]:{}" : "{}:{}"), address.host, address.port);
}

}  // namespace tidemark::transport
