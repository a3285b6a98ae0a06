#include "engine/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "engine/types.hpp"

namespace tidemark::engine {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array size_units = {
    Unit{"", 1},           Unit{"B", 1},
    Unit{"K", 1ull << 10}, Unit{"KiB", 1ull << 10},
    Unit{"M", 1ull << 20}, Unit{"MiB", 1ull << 20},
    Unit{"G", 1ull << 30}, Unit{"GiB", 1ull << 30},
    Unit{"T", 1ull << 40}, Unit{"TiB", 1ull << 40},
};
constexpr std::array duration_units = {
    Unit{"us", 1000},
    Unit{"ms", millisecond},
    Unit{"s", second},
    Unit{"min", 60 * second},
};

// A decimal number and the unit behind it; nothing when the number is missing or out of any range.
std::optional<std::pair<double, std::string_view>> split(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() &&
         ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.'))
    ++digits;
  double number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + digits, number);
  if (digits == 0 || failed != std::errc{} || end != text.data() + digits) return std::nullopt;
  auto unit = text.substr(digits);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  return std::pair{number, unit};
}

template <std::size_t n>
std::optional<std::uint64_t> scaled(const std::array<Unit, n>& units, std::string_view text) {
  const auto parts = split(text);
  if (!parts) return std::nullopt;
  for (const auto& unit : units) {
    if (unit.name != parts->second) continue;
    const double value = parts->first * static_cast<double>(unit.factor);
    if (value > 0x1p62 || value != std::floor(value)) return std::nullopt;
    return static_cast<std::uint64_t>(value);
  }
  return std::nullopt;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  if (const auto bytes = scaled(size_units, text)) return *bytes;
  return Error{
      Errc::invalid,
      fmt::format("\"{}\" is no size; right would be \"64MiB\" or \"1GiB\" (K, M, G, T are binary)",
                  text)};
}

std::string format_size(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::string_view unit = "B";
  for (auto next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return value == std::floor(value) ? fmt::format("{:.0f} {}", value, unit)
                                    : fmt::format("{:.2f} {}", value, unit);
}

Result<std::uint64_t> parse_duration(std::string_view text) {
  if (const auto nanoseconds = scaled(duration_units, text)) return *nanoseconds;
  return Error{
      Errc::invalid,
      fmt::format("\"{}\" is no duration; right would be \"100ms\" or \"2s\" (us, ms, s, min)",
                  text)};
}

std::string format_duration(std::uint64_t nanoseconds) {
  const auto value = static_cast<double>(nanoseconds);
  if (nanoseconds < millisecond) return fmt::format("{:.0f} us", value / 1e3);
  if (nanoseconds < second) return fmt::format("{:.1f} ms", value / 1e6);
  return fmt::format("{:.1f} s", value / 1e9);
}

}  // namespace tidemark::engine
