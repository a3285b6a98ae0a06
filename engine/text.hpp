// Words from outside: which are names, and where characters begin and end (UTF-8, RFC 3629).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidemark::engine {

inline constexpr std::size_t name_bytes_max = 64;  ///< Of a node or a volume.

/// A name of a node or a volume: 1 to 64 of [A-Za-z0-9._-], starting with a letter or digit.
bool is_name(std::string_view text);

/// Bytes of the well-formed character that starts at `at` (no overlong forms, no surrogates); 0 if
/// none does.
std::size_t character_bytes(std::string_view text, std::size_t at);

/// The longest front of `text` of at most `bytes_max` bytes that cuts no character in two.
std::string_view front_of(std::string_view text, std::size_t bytes_max);

/// `text` with every byte that belongs to no character as '?'.
std::string well_formed(std::string_view text);

}  // namespace tidemark::engine
