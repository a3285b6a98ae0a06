#include "apps/cli/client.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include <chrono>

#include "transport/http/client.hpp"

namespace tidemark::cli {

namespace json = boost::json;
using engine::Errc;
using engine::Error;

engine::Result<json::value> Client::ask(const std::string& method, const std::string& path,
                                        const json::value& body) const {
  const auto text = body.is_null() ? std::string{} : json::serialize(body);
  const auto reply =
      http::request(socket, method, path, text, std::chrono::seconds(timeout_seconds));
  if (!reply) return reply.error();
  json::error_code bad;
  auto value = json::parse(reply->body, bad);
  if (bad)
    return Error{Errc::refused, fmt::format("{} {} answered {} with no JSON: {}", method, path,
                                            reply->status, reply->body.substr(0, 200))};
  if (reply->status < 400) return value;
  if (value.is_object()) {
    if (const auto* sentence = value.as_object().if_contains("error");
        sentence != nullptr && sentence->is_string()) {
      return Error{Errc::refused, std::string(sentence->as_string())};
    }
  }
  return Error{Errc::refused, fmt::format("{} {} answered {}: {}", method, path, reply->status,
                                          reply->body.substr(0, 200))};
}

}  // namespace tidemark::cli
