// One client of the admin door: reads a request, asks, writes the answer, again.
// Private to the server.
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <optional>
#include <string>

#include "engine/front.hpp"
#include "transport/http/server.hpp"

namespace tidemark::http {

class Session : public std::enable_shared_from_this<Session> {
 public:
  using Stream = boost::beast::basic_stream<boost::asio::local::stream_protocol>;

  /// `overloaded`: there are too many; answers 503 once.
  Session(Stream stream, engine::AdminPort& port, const ServerOptions& options, bool overloaded);
  void start();
  /// Ends at once; the port is not asked again and its answers are dropped.
  void close();

 private:
  using Request = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Response = boost::beast::http::response<boost::beast::http::string_body>;

  void read();
  void on_header(const boost::beast::error_code& error);
  void read_body();
  void on_request(const boost::beast::error_code& error);
  void on_bad_request(const boost::beast::error_code& error);
  void ask();
  void answer(unsigned status, std::string body, bool keep_alive);
  void answer_error(unsigned status, const std::string& text);
  void on_written(const boost::beast::error_code& error, bool keep_alive);

  Stream stream_;
  boost::asio::steady_timer answer_timer_;
  engine::AdminPort* port_;  ///< nullptr: closed.
  const ServerOptions options_;
  const bool overloaded_;
  boost::beast::flat_buffer buffer_;
  std::optional<Request> request_;
  boost::beast::http::response<boost::beast::http::empty_body> go_on_;
  std::optional<Response> response_;
  std::uint64_t asked_ = 0;  ///< The question whose answer is awaited; answers to others are late.
};

}  // namespace tidemark::http
