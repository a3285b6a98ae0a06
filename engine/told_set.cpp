#include "engine/told_set.hpp"

#include <algorithm>

#include "engine/planted.hpp"

namespace tidemark::engine {

std::optional<Epoch> forgets(const ToldSet& told, const std::vector<Reign>& reigns) {
  if (!told.version || planted(Bug::forgotten_set_is_ignored)) return std::nullopt;
  const auto later =
      std::ranges::find_if(reigns, [&](const Reign& r) { return r.epoch > told.epoch; });
  if (later == reigns.end()) return std::nullopt;
  // One that knew of the set names the reign in which it was told.
  const bool named = later != reigns.begin() && std::prev(later)->epoch == told.epoch;
  if (named && later->version > told.version) return std::nullopt;
  if (std::any_of(later, reigns.end(), [](const Reign& r) { return r.forced; }))
    return std::nullopt;
  return later->epoch;
}

}  // namespace tidemark::engine
