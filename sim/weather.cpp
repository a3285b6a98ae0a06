#include "sim/weather.hpp"

namespace tidemark::sim {

void add_to(std::map<std::string, std::uint64_t>& faults, const NetworkCounts& counts) {
  const auto add = [&](const char* name, std::uint64_t n) {
    if (n != 0) faults[name] += n;
  };
  add("frames_flipped", counts.flips);
  add("flips_refused", counts.refused);
  add("streams_torn", counts.torn);
  add("ends_unheard", counts.half_open);
}

}  // namespace tidemark::sim
