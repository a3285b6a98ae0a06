#include "engine/record/xxh3.hpp"

// Elsewhere short texts are hashed inline; here the library chooses, so this file is compiled by itself.
#undef XXH_INLINE_ALL
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

namespace tidemark::engine {

std::uint64_t xxh3(std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  return XXH3_64bits_dispatch(bytes.data(), bytes.size());
#else
  return ::XXH3_64bits(bytes.data(), bytes.size());
#endif
}

}  // namespace tidemark::engine
