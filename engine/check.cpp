#include "engine/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace tidemark::engine {

void check_failed(std::string_view what, std::source_location where) {
  std::fprintf(stderr, "%s:%u: CHECK failed: %.*s\n", where.file_name(), where.line(),
               static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace tidemark::engine
