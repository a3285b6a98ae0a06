// What the network of a run did by itself, told beside its faults.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sim/network.hpp"

namespace tidemark::sim {

void add_to(std::map<std::string, std::uint64_t>& faults, const NetworkCounts& counts);

}  // namespace tidemark::sim
