// The requests that a volume has and has not answered: at most 256, so a table of slots instead of
// a map; the path of a request allocates nothing here.
#pragma once

#include <array>
#include <cstdint>

#include "engine/check.hpp"
#include "transport/nbd/requests.hpp"

namespace tidemark::nbd {

/// Requests of one connection that wait for the volume or for the client to take their reply. Twice
/// the depth of the deepest benchmark; a client that sends more waits in its own socket.
inline constexpr std::uint32_t in_flight_max = 256;
/// Bytes that one connection ties up, both ways: 32 requests of 1 MiB, or one of the largest with
/// its edges. A volume takes this of every connection (see VolumeLimits), so that a client only
/// ever meets back-pressure.
inline constexpr std::uint64_t in_flight_bytes_max = std::uint64_t{33} << 20;
static_assert(in_flight_bytes_max >= payload_bytes_max + 2 * engine::block_bytes);

class InFlight {
 public:
  InFlight() {
    for (std::uint32_t i = 0; i < in_flight_max; ++i) free_[i] = in_flight_max - 1 - i;
  }

  std::uint32_t count() const { return in_flight_max - free_count_; }
  std::uint64_t bytes() const { return bytes_; }

  /// Returns the cookie under which the volume answers. There must be room.
  std::uint64_t add(const RequestHeader& request) {
    CHECK(free_count_ > 0);
    const auto index = free_[--free_count_];
    auto& slot = slots_[index];
    slot.request = request;
    slot.used = true;
    bytes_ += memory_cost(request);
    return slot.turn * in_flight_max + index;
  }

  /// Ends a request. An unknown or repeated cookie is a mistake of ours, never of the client.
  RequestHeader finish(std::uint64_t cookie) {
    const auto index = static_cast<std::uint32_t>(cookie % in_flight_max);
    auto& slot = slots_[index];
    CHECK(slot.used);
    CHECK(slot.turn == cookie / in_flight_max);
    slot.used = false;
    ++slot.turn;
    free_[free_count_++] = index;
    bytes_ -= memory_cost(slot.request);
    return slot.request;
  }

 private:
  struct Slot {
    RequestHeader request;
    std::uint64_t turn =
        0;  ///< How often the slot was used; tells a late answer from a new request.
    bool used = false;
  };

  std::array<Slot, in_flight_max> slots_;
  std::array<std::uint32_t, in_flight_max> free_;
  std::uint32_t free_count_ = in_flight_max;
  std::uint64_t bytes_ = 0;
};

}  // namespace tidemark::nbd
