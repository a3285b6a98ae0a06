#include "transport/http/client.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <string_view>

#include "transport/http/unix_socket.hpp"

namespace tidemark::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bh = boost::beast::http;
using engine::Errc;
using engine::Error;

/// The steps of one exchange; each starts the next, a failure ends them all.
class Exchange {
 public:
  Exchange(asio::local::stream_protocol::endpoint at, bh::request<bh::string_body> request)
      : at_(std::move(at)), request_(std::move(request)) {
    response_.body_limit(reply_bytes_max);
  }

  /// Nothing when the response is there.
  std::optional<std::pair<std::string_view, beast::error_code>> run(
      std::chrono::milliseconds timeout) {
    stream_.expires_after(timeout);
    stream_.async_connect(
        at_, [this](beast::error_code error) { error ? fail("connect", error) : write(); });
    io_.run();
    return failure_;
  }
  const bh::response<bh::string_body>& response() const { return response_.get(); }

 private:
  void fail(std::string_view step, beast::error_code error) { failure_ = {step, error}; }

  void write() {
    bh::async_write(stream_, request_, [this](beast::error_code error, std::size_t) {
      // A server that refuses may answer and close before it has read everything:
      // the answer counts.
      const bool hung_up =
          error == asio::error::broken_pipe || error == asio::error::connection_reset;
      error && !hung_up ? fail("send", error) : read();
    });
  }
  void read() {
    bh::async_read(stream_, buffer_, response_, [this](beast::error_code error, std::size_t) {
      if (error) fail("read of the answer", error);
    });
  }

  asio::io_context io_{1};
  beast::basic_stream<asio::local::stream_protocol> stream_{io_};
  asio::local::stream_protocol::endpoint at_;
  bh::request<bh::string_body> request_;
  beast::flat_buffer buffer_;
  bh::response_parser<bh::string_body> response_;
  std::optional<std::pair<std::string_view, beast::error_code>> failure_;
};

bool nobody_there(const beast::error_code& error) {
  return error == asio::error::connection_refused ||
         error == boost::system::errc::no_such_file_or_directory;
}

Error failed(const std::string& what, std::string_view step, const beast::error_code& error,
             std::chrono::milliseconds timeout) {
  if (error == beast::error::timeout) {
    return {Errc::cancelled, fmt::format("{}: no answer within {} ms", what, timeout.count())};
  }
  const bool absent = step == "connect" && nobody_there(error);
  return {absent ? Errc::unavailable : Errc::io_failed,
          fmt::format("{}: {}: {}{}", what, step, error.message(),
                      absent ? "; is tidemarkd running there?" : "")};
}

bool is_target(const std::string& path) {
  return path.starts_with('/') && path.find_first_of(" \t\r\n") == std::string::npos;
}

}  // namespace

engine::Result<Reply> request(const std::string& socket_path, const std::string& method,
                              const std::string& path, const std::string& body,
                              std::chrono::milliseconds timeout) {
  const auto what = fmt::format("{} {} at {}", method, path, socket_path);
  const auto at = socket_address(socket_path);
  if (!at) return at.error();
  const auto verb = bh::string_to_verb(method);
  if (verb == bh::verb::unknown)
    return Error{Errc::invalid, fmt::format("{}: no such method", what)};
  if (!is_target(path))
    return Error{Errc::invalid,
                 fmt::format("{}: the path has to begin with / and have no blanks", what)};

  bh::request<bh::string_body> message{verb, path, 11};
  message.set(bh::field::host, "tidemarkd");
  message.set(bh::field::user_agent, "tidemark");
  if (!body.empty()) message.set(bh::field::content_type, "application/json");
  message.keep_alive(false);
  message.body() = body;
  message.prepare_payload();

  Exchange exchange(*at, std::move(message));
  if (const auto failure = exchange.run(timeout))
    return failed(what, failure->first, failure->second, timeout);
  const auto& response = exchange.response();
  return Reply{response.result_int(), std::string(response[bh::field::content_type]),
               response.body()};
}

}  // namespace tidemark::http
