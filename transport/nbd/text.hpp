// Words that come from strangers or go to people:
// which names are well formed, and what may be shown.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidemark::nbd {

/// Longest error text sent to a client, in bytes. The protocol allows 4096; 1 KiB holds a sentence
/// that names a volume, a node and an address, and keeps the worst reply small.
inline constexpr std::size_t message_bytes_max = 1024;

/// True for UTF-8 without NUL (RFC 3629: no overlong forms, no surrogates),
/// as the protocol demands of strings.
bool is_protocol_string(std::string_view text);

/// `text` fit for a log line or an error reply: control characters and broken UTF-8 become '?', and
/// it is cut to message_bytes_max at a character's border.
std::string presentable(std::string_view text);

}  // namespace tidemark::nbd
