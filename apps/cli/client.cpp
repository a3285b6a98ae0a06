#include "apps/cli/client.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include <chrono>

#include "transport/http/client.hpp"

namespace tidemark::cli {

namespace json = boost::json;
using engine::Errc;
using engine::Error;

namespace {

/// The word of a reply as its code; what is no word of ours is a refusal.
Errc code_of(const json::object& reply) {
  const auto* word = reply.if_contains("code");
  for (int code = 0;
       word != nullptr && word->is_string() && code <= static_cast<int>(Errc::cancelled); ++code) {
    if (std::string_view(word->as_string()) == engine::to_string(static_cast<Errc>(code)))
      return static_cast<Errc>(code);
  }
  return Errc::refused;
}

}  // namespace

engine::Result<Client::Answer> Client::ask(const std::string& method, const std::string& path,
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
  if (reply->status < 400) return Answer{reply->status, std::move(value)};
  if (value.is_object()) {
    if (const auto* sentence = value.as_object().if_contains("error");
        sentence != nullptr && sentence->is_string()) {
      return Error{code_of(value.as_object()), std::string(sentence->as_string())};
    }
  }
  return Error{Errc::refused, fmt::format("{} {} answered {}: {}", method, path, reply->status,
                                          reply->body.substr(0, 200))};
}

}  // namespace tidemark::cli
