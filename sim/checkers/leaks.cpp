#include "sim/checkers/leaks.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tidemark::sim {

// What one look did not find is 0.
void Leaks::least(Least& so_far, const Census& look) {
  if (!std::exchange(so_far.looked, true)) {
    so_far.counts = look;
    return;
  }
  for (auto& [what, n] : so_far.counts) {
    const auto found = look.find(what);
    n = found == look.end() ? 0 : std::min(n, found->second);
  }
}

void Leaks::judge(const Census& formula) const {
  const auto in = [](const Census& census, const std::string& what) {
    const auto found = census.find(what);
    return found == census.end() ? 0 : found->second;
  };
  for (const auto& [what, n] : after_.counts) {
    if (formula.contains(what)) continue;
    const auto had = in(before_.counts, what);
    if (n <= had + in(slack_, what)) continue;
    fail_("leak",
          fmt::format("{}: {} at rest, and {} after some load and rest again", what, had, n));
  }
  for (const auto& [what, wanted] : formula) {
    const auto n = in(after_.counts, what);
    if (n != wanted) fail_("leak", fmt::format("{} at rest: {}, not {}", what, n, wanted));
  }
}

}  // namespace tidemark::sim
