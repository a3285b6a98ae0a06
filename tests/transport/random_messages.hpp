// Messages of every type with content drawn from a seed,
// and a field-by-field comparison of what came back.
#pragma once

#include <cstdint>
#include <string>

#include "engine/messages.hpp"

namespace tidemark::transport::test {

/// SplitMix64 (Steele, Lea, Flood 2014): equal seeds give equal messages everywhere.
class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  /// Even over [low, high], near enough.
  std::uint64_t between(std::uint64_t low, std::uint64_t high);
  bool coin() { return between(0, 1) == 1; }

 private:
  std::uint64_t state_;
};

/// The volume that all records and base blocks made here belong to.
engine::VolumeId test_volume();
engine::VolumeKey test_volume_key();

/// A valid message of the `index`-th alternative, sizes from empty to small.
engine::Message random_message(SplitMix& rng, std::size_t index);
/// One whose strings and lists are as long as they may be (record payload excepted).
engine::Message largest_message(std::size_t index);
/// One with fixed, distinct values: what the golden bytes in docs/PROTOCOL.md show.
engine::Message sample_message(std::size_t index);
template <class M>
engine::Message sample() {
  return sample_message(engine::Message(M{}).index());
}
inline constexpr std::size_t message_types = std::variant_size_v<engine::Message>;

/// `count` one-block writes from lsn `first`, chained.
engine::Records writes(std::uint64_t first, std::size_t count);

/// Equal in every field, payload included.
bool same(const engine::Message& a, const engine::Message& b);

}  // namespace tidemark::transport::test
