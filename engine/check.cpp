#include "engine/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace tidemark::engine {

void check_failed(std::string_view what, const char* file, unsigned line) {
  std::fprintf(stderr, "%s:%u: CHECK failed: %.*s\n", file, line, static_cast<int>(what.size()),
               what.data());
  std::abort();
}

}  // namespace tidemark::engine
