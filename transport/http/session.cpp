#include "transport/http/session.hpp"

#include <fmt/format.h>

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>

namespace tidemark::http {
namespace {

namespace beast = boost::beast;
namespace bh = boost::beast::http;

constexpr const char* server_name = "tidemarkd";
constexpr std::string_view metrics_path = "/metrics";

std::string error_body(unsigned status, const std::string& text) {
  const char* code = status >= 500 ? "unavailable" : "invalid";
  return boost::json::serialize(boost::json::value{{"error", text}, {"code", code}});
}

bool is_metrics(std::string_view target) {
  return target.substr(0, target.find('?')) == metrics_path;
}

bool is_known(bh::verb method) {
  return method == bh::verb::get || method == bh::verb::post || method == bh::verb::put ||
         method == bh::verb::delete_;
}

bool wants_continue(const bh::request<bh::string_body>& request) {
  return beast::iequals(request[bh::field::expect], "100-continue");
}

/// The status for a request that could not be read; 0 where nobody is left to be told.
unsigned status_of(const beast::error_code& error) {
  if (error == bh::error::end_of_stream || error == bh::error::partial_message) return 0;
  if (error == bh::error::header_limit || error == bh::error::buffer_overflow) return 431;
  if (error == bh::error::body_limit) return 413;
  return error.category() == bh::make_error_code(bh::error::bad_method).category() ? 400 : 0;
}

}  // namespace

Session::Session(Stream stream, engine::AdminPort& port, const ServerOptions& options,
                 bool overloaded)
    : stream_(std::move(stream)),
      answer_timer_(stream_.get_executor()),
      port_(&port),
      options_(options),
      overloaded_(overloaded) {}

void Session::start() { read(); }

void Session::close() {
  if (port_ == nullptr) return;
  port_ = nullptr;
  ++asked_;
  answer_timer_.cancel();
  stream_.close();
}

void Session::read() {
  request_.emplace();
  request_->header_limit(static_cast<std::uint32_t>(options_.header_bytes_max));
  request_->body_limit(options_.body_bytes_max);
  stream_.expires_after(options_.idle);
  bh::async_read_header(stream_, buffer_, *request_,
                        [self = shared_from_this()](beast::error_code error, std::size_t) {
                          self->on_header(error);
                        });
}

void Session::on_header(const beast::error_code& error) {
  if (port_ == nullptr) return;
  if (error) return on_bad_request(error);
  if (!wants_continue(request_->get())) return read_body();
  go_on_ = {};
  go_on_.result(bh::status::continue_);
  bh::async_write(stream_, go_on_,
                  [self = shared_from_this()](beast::error_code failed, std::size_t) {
                    if (self->port_ == nullptr) return;
                    failed ? self->close() : self->read_body();
                  });
}

void Session::read_body() {
  bh::async_read(stream_, buffer_, *request_,
                 [self = shared_from_this()](beast::error_code error, std::size_t) {
                   self->on_request(error);
                 });
}

void Session::on_request(const beast::error_code& error) {
  if (port_ == nullptr) return;
  if (error) return on_bad_request(error);
  const auto& request = request_->get();
  if (overloaded_) {
    return answer_error(503,
                        fmt::format("{} connections are open already", options_.connections_max));
  }
  if (!is_known(request.method())) {
    return answer_error(405, fmt::format("method {} is not one of GET, POST, PUT, DELETE",
                                         std::string(request.method_string())));
  }
  if (!request.target().starts_with('/'))
    return answer_error(400, "the path does not begin with /");
  ask();
}

void Session::on_bad_request(const beast::error_code& error) {
  const auto status = status_of(error);
  if (status == 0) return close();
  answer_error(status,
               fmt::format("request not understood: {} (headers up to {} bytes, a body up to {})",
                           error.message(), options_.header_bytes_max, options_.body_bytes_max));
}

void Session::ask() {
  auto& request = request_->get();
  const auto id = ++asked_;
  engine::AdminAsk ask{
      id, {}, request.method_string(), request.target(), std::move(request.body())};
  answer_timer_.expires_after(options_.answer_wait);
  answer_timer_.async_wait([self = shared_from_this(), id](beast::error_code error) {
    if (error || self->asked_ != id) return;
    self->answer_error(504, fmt::format("the node did not answer within {} ms",
                                        self->options_.answer_wait.count()));
  });
  // The timer keeps the session; a port that never answers does not.
  port_->ask(std::move(ask), [weak = weak_from_this(), id](engine::AdminReply reply) {
    const auto self = weak.lock();
    if (!self || self->asked_ != id) return;
    self->answer(reply.status, std::move(reply.body), self->request_->keep_alive());
  });
}

void Session::answer_error(unsigned status, const std::string& text) {
  // The connection ends: what of a refused request is still unread cannot be told
  // from the next one.
  answer(status, error_body(status, text), false);
}

void Session::answer(unsigned status, std::string body, bool keep_alive) {
  ++asked_;
  answer_timer_.cancel();
  const bool text = status == 200 && is_metrics(request_->get().target());
  auto& response = response_.emplace();
  response.version(11);
  response.result(status >= 100 && status <= 999 ? status : 500);
  response.set(bh::field::server, server_name);
  response.set(bh::field::content_type,
               text ? "text/plain; version=0.0.4; charset=utf-8" : "application/json");
  if (status == 405) response.set(bh::field::allow, "GET, POST, PUT, DELETE");
  response.keep_alive(keep_alive);
  response.body() = std::move(body);
  response.prepare_payload();
  stream_.expires_after(options_.idle);
  bh::async_write(stream_, response,
                  [self = shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
                    self->on_written(error, keep_alive);
                  });
}

void Session::on_written(const beast::error_code& error, bool keep_alive) {
  if (port_ == nullptr) return;
  if (error || !keep_alive) return close();
  read();
}

}  // namespace tidemark::http
