// What a judge knows of somebody, as it looks it up.
#pragma once

namespace tidemark::sim {

/// The map's value at that key; null if there is none.
template <class Map>
auto* known(Map& map, const typename Map::key_type& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace tidemark::sim
