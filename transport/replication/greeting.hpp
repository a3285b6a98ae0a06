// Judges a Hello before anybody acts on it, and its answer. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/messages.hpp"
#include "engine/result.hpp"

namespace tidemark::transport {

/// Why this Hello cannot be taken on a node of `cluster`; nothing when it can. Looks at
/// versions, cluster and whether it is complete for its purpose; who may be primary of what is
/// for the node to say.
std::optional<engine::Refused> flaw_of(const engine::Hello& hello,
                                       const engine::ClusterId& cluster);

/// Why this answer to `hello` cannot be taken.
std::optional<engine::Error> flaw_of(const engine::HelloOk& answer, const engine::Hello& hello);

/// A peer's text fit for logs and terminals: what is not printable ASCII becomes '?'.
std::string printable(std::string_view text);

}  // namespace tidemark::transport
