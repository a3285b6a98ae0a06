// A small NBD client on the same loop as the server under test: it runs the loop until what it
// waits for has come, so that a test reads top to bottom and needs neither a thread nor a clock.
#pragma once

#include <sys/socket.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/nbd/bytes.hpp"
#include "transport/nbd/address.hpp"

namespace tidemark::nbd::testing {

/// A reply of either kind, put together from its chunks.
struct Reply {
  std::uint64_t cookie = 0;
  ErrorCode error = ErrorCode::none;
  std::string text;
  Bytes data;  ///< READ: the content, holes as zeros.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> extents;  ///< Length, state.
  int chunks = 0;                                                ///< 0: a simple reply.
  int holes = 0;
};

class Client {
 public:
  Client(boost::asio::io_context& loop, const std::string& address) : loop_(loop), socket_(loop) {
    socket_.connect(parse_address(address).value());
    boost::system::error_code not_for_unix_sockets;
    socket_.set_option(boost::asio::ip::tcp::no_delay(true), not_for_unix_sockets);
  }

  /// Hands `bytes` to the kernel while the loop runs,
  /// as a server that doesn't read must not block us.
  void send(const Bytes& bytes) {
    std::optional<boost::system::error_code> done;
    boost::asio::async_write(socket_, boost::asio::buffer(bytes),
                             [&](auto error, auto) { done = error; });
    run_until([&] { return done.has_value(); });
    if (*done) throw std::runtime_error("send: " + done->message());
  }

  Bytes receive(std::size_t bytes) {
    Bytes in(bytes);
    std::optional<boost::system::error_code> done;
    boost::asio::async_read(socket_, boost::asio::buffer(in),
                            [&](auto error, auto) { done = error; });
    run_until([&] { return done.has_value(); });
    if (*done) throw std::runtime_error("receive: " + done->message());
    return in;
  }

  /// Everything up to the server's close; a reset ends it too.
  Bytes receive_all() {
    Bytes in;
    std::optional<boost::system::error_code> done;
    boost::asio::async_read(socket_, boost::asio::dynamic_buffer(in),
                            [&](auto error, auto) { done = error; });
    run_until([&] { return done.has_value(); });
    return in;
  }

  void close() { socket_.close(); }
  /// Closes with RST instead of FIN.
  void reset() {
    socket_.set_option(boost::asio::socket_base::linger(true, 0));
    socket_.close();
  }

  void greet() {
    receive(greeting_bytes);
    send(client_flags);
  }

  /// Sends one option and returns the type of its final reply.
  OptionReply haggle(Option opt, const Bytes& data = {}) {
    send(option(opt, data));
    for (;;) {
      const auto header = receive(option_reply_header_bytes);
      const auto type = static_cast<OptionReply>(load<std::uint32_t>(header.data() + 12));
      receive(load<std::uint32_t>(header.data() + 16));
      const bool error = (static_cast<std::uint32_t>(type) & 0x80000000) != 0;
      if (error || type == OptionReply::ack) return type;
    }
  }

  /// The whole negotiation; structured replies bring base:allocation along.
  void go(const std::string& name, bool structured = true) {
    greet();
    if (structured) {
      haggle(Option::structured_reply);
      haggle(Option::set_meta_context, context_data(name, {base_allocation_name}));
    }
    if (haggle(Option::go, info_data(name)) != OptionReply::ack) {
      throw std::runtime_error("GO was refused");
    }
  }

  /// One reply, however many chunks it has. `offset` and `length` are those of a READ.
  Reply reply(std::uint64_t offset = 0, std::uint32_t length = 0) {
    Reply reply;
    const auto magic = receive(4);
    if (load<std::uint32_t>(magic.data()) == simple_reply_magic) {
      const auto rest = receive(12);
      reply.error = static_cast<ErrorCode>(load<std::uint32_t>(rest.data()));
      reply.cookie = load<std::uint64_t>(rest.data() + 4);
      if (reply.error == ErrorCode::none) reply.data = receive(length);
      return reply;
    }
    if (load<std::uint32_t>(magic.data()) != structured_reply_magic) {
      throw std::runtime_error("no reply: " + to_hex(magic));
    }
    reply.data.resize(length);
    while (!chunk(reply, offset)) receive(4);
    return reply;
  }

  Reply ask(const Bytes& bytes, std::uint64_t offset = 0, std::uint32_t length = 0) {
    send(bytes);
    return reply(offset, length);
  }
  Reply read(std::uint64_t offset, std::uint32_t length, std::uint16_t flags = 0) {
    return ask(request(Command::read, 1, offset, length, flags), offset, length);
  }
  Reply write(std::uint64_t offset, const Bytes& data, std::uint16_t flags = 0) {
    return ask(request(Command::write, 2, offset, static_cast<std::uint32_t>(data.size()), flags) +
               data);
  }

 private:
  template <class F>
  void run_until(F&& done) {
    while (!done()) {
      if (loop_.stopped()) loop_.restart();
      loop_.run_one();
    }
  }

  /// The rest of one chunk, behind its magic; true if it was the last.
  bool chunk(Reply& reply, std::uint64_t offset) {
    const auto header = receive(chunk_header_bytes - 4);
    const bool last = load<std::uint16_t>(header.data()) == reply_flag_done;
    const auto type = static_cast<Chunk>(load<std::uint16_t>(header.data() + 2));
    reply.cookie = load<std::uint64_t>(header.data() + 4);
    const auto payload = receive(load<std::uint32_t>(header.data() + 12));
    ++reply.chunks;
    Reader in(payload);
    if (type == Chunk::error) {
      reply.error = static_cast<ErrorCode>(in.take<std::uint32_t>().value());
      reply.text = in.text(in.take<std::uint16_t>().value()).value();
    } else if (type == Chunk::offset_data) {
      const auto at = in.take<std::uint64_t>().value() - offset;
      const auto data = in.text(in.left()).value();
      std::memcpy(&reply.data.at(at), data.data(), data.size());
    } else if (type == Chunk::offset_hole) {
      ++reply.holes;
    } else if (type == Chunk::block_status) {
      if (in.take<std::uint32_t>() != base_allocation_id) throw std::runtime_error("context id");
      while (const auto length = in.take<std::uint32_t>()) {
        reply.extents.emplace_back(*length, in.take<std::uint32_t>().value());
      }
    }
    return last;
  }

  boost::asio::io_context& loop_;
  boost::asio::generic::stream_protocol::socket socket_;
};

}  // namespace tidemark::nbd::testing
