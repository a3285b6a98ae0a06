// Sizes and durations as people write them: "1GiB", "2G", "100ms". Sizes are binary: 2G = 2GiB.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/result.hpp"

namespace tidemark::engine {

/// Bytes of "4096", "64K", "64KiB", "1.5GiB", "2T". Errc::invalid says what would be right.
Result<std::uint64_t> parse_size(std::string_view text);
/// "512 B", "64 KiB", "1.50 GiB".
std::string format_size(std::uint64_t bytes);

/// Nanoseconds of "250us", "100ms", "2s", "5min".
/// A bare number is refused: its unit would be a guess.
Result<std::uint64_t> parse_duration(std::string_view text);
/// "250 us", "1.2 ms", "3.4 s".
std::string format_duration(std::uint64_t nanoseconds);

}  // namespace tidemark::engine
