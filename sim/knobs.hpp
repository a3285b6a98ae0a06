// The settings of daemons and wires that a plan may change, by name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/environment.hpp"
#include "sim/network.hpp"
#include "sim/random.hpp"

namespace tidemark::sim {

/// What a knob turns.
struct Turned {
  actors::Settings& settings;
  NetworkWeather& weather;
};

struct Knob {
  std::string_view name;
  std::uint64_t least = 0;  ///< A plan may not go below, ...
  std::uint64_t most = 0;   ///< ... nor beyond.
  void (*turn)(const Turned&, std::uint64_t value) = nullptr;
};

const std::vector<Knob>& knobs();
const Knob* find_knob(std::string_view name);

/// Uniform in [low, high], but one time in eight one of the two: what is wrong at a border shows there.
std::uint64_t draw_knob(Random& random, std::uint64_t low, std::uint64_t high);

}  // namespace tidemark::sim
