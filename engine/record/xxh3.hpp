// XXH3 (xxhash.com) of what is long, by the widest vectors that the CPU has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tidemark::engine {

/// XXH3_64bits of `bytes`. Pays from some hundred bytes on; what is shorter is hashed inline.
std::uint64_t xxh3(std::span<const std::byte> bytes);

}  // namespace tidemark::engine
