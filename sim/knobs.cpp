#include "sim/knobs.hpp"

#include <algorithm>
#include <type_traits>

namespace tidemark::sim {
namespace {

using engine::millisecond;
using engine::second;

template <auto Field>
void setting(const Turned& t, std::uint64_t value) {
  auto& field = t.settings.*Field;
  field = static_cast<std::remove_reference_t<decltype(field)>>(value);
}
template <auto Field>
void weather(const Turned& t, std::uint64_t value) {
  auto& field = t.weather.*Field;
  field = static_cast<std::remove_reference_t<decltype(field)>>(value);
}

using S = actors::Settings;
using W = NetworkWeather;

}  // namespace

const std::vector<Knob>& knobs() {
  constexpr std::uint64_t kib = 1 << 10;
  constexpr std::uint64_t mib = 1 << 20;
  static const std::vector<Knob> all{
      {"memory_tail_bytes", 4 * kib, 64 * mib, setting<&S::memory_tail_bytes>},
      {"sender_credit_bytes", 1100 * kib, 64 * mib, setting<&S::sender_credit_bytes>},
      {"uncommitted_bytes_max", 2 * mib, 64 * mib, setting<&S::uncommitted_bytes_max>},
      {"flush_bytes", 4 * kib, 64 * mib, setting<&S::flush_bytes>},
      {"flush_after", 1 * millisecond, 10 * second, setting<&S::flush_after>},
      {"wal_retention_bytes", 16 * mib, 64 * mib, setting<&S::wal_retention_bytes>},
      {"retry_max", 20 * millisecond, 10 * second, setting<&S::retry_max>},
      {"disk_degraded_after", 50 * millisecond, 10 * second, setting<&S::disk_degraded_after>},
      {"disk_eject_after", 100 * millisecond, 60 * second, setting<&S::disk_eject_after>},
      {"rebuild_lanes", 1, 8, setting<&S::rebuild_lanes>},
      {"rebuild_rate", 0, 1024 * mib, setting<&S::rebuild_rate>},
      {"delay_min", 1'000, 100 * millisecond, weather<&W::delay_min>},
      {"delay_max", 1'000, 200 * millisecond, weather<&W::delay_max>},
      {"spike_one_in", 0, 1'000'000, weather<&W::spike_one_in>},
      {"spike_max", 0, 1 * second, weather<&W::spike_max>},
      {"bytes_per_microsecond", 1, 100'000, weather<&W::bytes_per_microsecond>},
      {"stale_control_one_in", 0, 1'000'000, weather<&W::stale_control_one_in>},
      {"bytes", 0, 1, weather<&W::bytes>},
      {"fragment_one_in", 0, 1'000'000, weather<&W::fragment_one_in>},
      {"flip_one_in", 0, 1'000'000, weather<&W::flip_one_in>},
      {"drains", 0, 1, weather<&W::drains>},
      {"unheard_one_in", 0, 1'000'000, weather<&W::unheard_one_in>},
      {"shared_capacity", 0, 1, weather<&W::shared_capacity>},
      {"narrow_max", 1, 1'000, weather<&W::narrow_max>},
  };
  return all;
}

const Knob* find_knob(std::string_view name) {
  const auto found = std::find_if(knobs().begin(), knobs().end(),
                                  [&](const Knob& knob) { return knob.name == name; });
  return found == knobs().end() ? nullptr : &*found;
}

std::uint64_t draw_knob(Random& random, std::uint64_t low, std::uint64_t high) {
  const auto drawn = random.between(low, high);
  if (!random.chance(1, 8)) return drawn;
  return random.chance(1, 2) ? low : high;
}

}  // namespace tidemark::sim
