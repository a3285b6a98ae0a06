// The admin socket as a file: who may own it, and how a dead owner's is replaced.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <string>

#include "engine/result.hpp"

namespace tidemark::http {

/// The address of `path`. Errc::invalid: longer than the system takes (107 bytes).
engine::Result<boost::asio::local::stream_protocol::endpoint> socket_address(
    const std::string& path);

/// A listening socket of mode 0600 at `path`. A socket there that nobody answers on is replaced;
/// Errc::busy: somebody does. Errc::already_exists: it is no socket. The caller holds its data
/// directory's lock, so nobody else replaces it meanwhile.
engine::Result<boost::asio::local::stream_protocol::acceptor> listen_at(boost::asio::io_context& io,
                                                                        const std::string& path);

}  // namespace tidemark::http
