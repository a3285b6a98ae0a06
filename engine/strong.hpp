// A number that knows what it counts. Comparing or adding two different kinds does not compile.
#pragma once

#include <fmt/format.h>

#include <compare>
#include <cstdint>
#include <functional>

namespace tidemark::engine {

/// An identifier or a counter: ordered and printable, but without arithmetic.
template <class Tag>
struct Id {
  std::uint64_t value = 0;

  constexpr Id() = default;
  constexpr explicit Id(std::uint64_t v) : value(v) {}
  constexpr auto operator<=>(const Id&) const = default;
  constexpr explicit operator bool() const { return value != 0; }
};

/// A place on a line: position - position is a distance, position + distance is a position,
/// position + position does not compile.
template <class Tag>
struct Position {
  std::uint64_t value = 0;

  constexpr Position() = default;
  constexpr explicit Position(std::uint64_t v) : value(v) {}
  constexpr auto operator<=>(const Position&) const = default;
  constexpr explicit operator bool() const { return value != 0; }

  constexpr Position next() const { return Position(value + 1); }
  /// The position before, or zero for zero.
  constexpr Position previous() const { return Position(value == 0 ? 0 : value - 1); }
  friend constexpr Position operator+(Position a, std::uint64_t n) { return Position(a.value + n); }
  /// Distance from `b` to `a`; zero where `b` lies at or beyond `a`.
  friend constexpr std::uint64_t operator-(Position a, Position b) {
    return a.value > b.value ? a.value - b.value : 0;
  }
};

}  // namespace tidemark::engine

template <class Tag>
struct std::hash<tidemark::engine::Id<Tag>> {
  std::size_t operator()(tidemark::engine::Id<Tag> v) const noexcept {
    return std::hash<std::uint64_t>{}(v.value);
  }
};
template <class Tag>
struct std::hash<tidemark::engine::Position<Tag>> {
  std::size_t operator()(tidemark::engine::Position<Tag> v) const noexcept {
    return std::hash<std::uint64_t>{}(v.value);
  }
};
template <class Tag>
struct fmt::formatter<tidemark::engine::Id<Tag>> : fmt::formatter<std::uint64_t> {
  template <class Context>
  auto format(tidemark::engine::Id<Tag> v, Context& ctx) const {
    return fmt::formatter<std::uint64_t>::format(v.value, ctx);
  }
};
template <class Tag>
struct fmt::formatter<tidemark::engine::Position<Tag>> : fmt::formatter<std::uint64_t> {
  template <class Context>
  auto format(tidemark::engine::Position<Tag> v, Context& ctx) const {
    return fmt::formatter<std::uint64_t>::format(v.value, ctx);
  }
};
