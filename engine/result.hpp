// How the world's failures travel: a value or a typed error with a sentence for the operator.
// Member names follow std::expected, so that this file can become an alias one day.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "engine/check.hpp"

namespace tidemark::engine {

enum class Errc : std::uint8_t {
  io_failed,  ///< The disk answered with an error; the store that saw it is dead (C23).
  no_space,   ///< A full disk or a full reservation. Not a failure of the store.
  corrupt,    ///< Bytes that were proved durable no longer match their checksum.
  not_found,
  already_exists,
  busy,           ///< Somebody else owns it (a lock, a running operation).
  invalid,        ///< The request itself is wrong and can never succeed.
  stale,          ///< An epoch, version, session or incarnation that is over.
  refused,        ///< A peer said no, with a reason.
  unavailable,    ///< Not now: no primary, no control plane, too few copies.
  not_yet,        ///< A row of the design that this build cannot execute.
  out_of_window,  ///< Below what is retained.
  cancelled,
};
std::string_view to_string(Errc code);

struct Error {
  Errc code = Errc::io_failed;
  std::string text;  ///< What was tried, on what, and what happened.
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & {
    CHECK(has_value());
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(has_value());
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(has_value());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    CHECK(!has_value());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

struct Done {};
/// The result of something that has no value: `return Done{};` or `return Error{...};`.
using Status = Result<Done>;

}  // namespace tidemark::engine
