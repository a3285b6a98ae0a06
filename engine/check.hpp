// What happens when *we* are wrong: the process says what was believed and stops, in release
// builds too. The world failing is a Result; a peer being wrong is a refusal; only our own broken
// belief is a CHECK.
#pragma once

#include <string_view>

namespace tidemark::engine {

/// Prints `file:line: CHECK failed: what` to standard error and aborts. The place is the caller's
/// (by the compilers' built-ins: clang 14 has no std::source_location with this library).
[[noreturn]] void check_failed(std::string_view what, const char* file = __builtin_FILE(),
                               unsigned line = __builtin_LINE());

}  // namespace tidemark::engine

// A macro, because the text of the condition is the message.
#define CHECK(condition)                            \
  do {                                              \
    if (!(condition)) [[unlikely]]                  \
      ::tidemark::engine::check_failed(#condition); \
  } while (false)
