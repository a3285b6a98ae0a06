// The two connections that a replica has with its primary.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidemark::engine {

enum class Lane : std::uint8_t { records, bulk };
constexpr std::string_view to_string(Lane lane) {
  return lane == Lane::records ? "records" : "bulk";
}
/// Names one connection attempt and its link within a machine; never reused. 0 = none.
using LinkNumber = std::uint64_t;

}  // namespace tidemark::engine
