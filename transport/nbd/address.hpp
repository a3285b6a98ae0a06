// Where a server listens, as people write it.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>

#include <string>
#include <string_view>

#include "engine/result.hpp"

namespace tidemark::nbd {

using GenericEndpoint = boost::asio::generic::stream_protocol::endpoint;

/// "127.0.0.1:10809", "[::1]:10809" or "unix:/run/nbd.sock". Literal addresses only: what a
/// name resolves to is nobody's decision here. Port 0 lets the system choose. Errc::invalid
/// names what is wrong.
engine::Result<GenericEndpoint> parse_address(std::string_view text);

/// The inverse; "unix" for a Unix socket without a name (every client of one).
std::string to_string(const GenericEndpoint& endpoint);

/// The host without its port: what connections of one machine have in common.
std::string host_of(const GenericEndpoint& endpoint);

bool is_unix(const GenericEndpoint& endpoint);

}  // namespace tidemark::nbd
