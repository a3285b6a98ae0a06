#include "sim/checkers/leaks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/checkers/known.hpp"

namespace tidemark::sim {
namespace {

/// What a look did not find is 0.
std::uint64_t count(const Census& census, const std::string& what) {
  const auto* n = known(census, what);
  return n == nullptr ? 0 : *n;
}

}  // namespace

void Leaks::least(Least& so_far, const Census& look) {
  if (!std::exchange(so_far.looked, true)) {
    so_far.counts = look;
    return;
  }
  for (auto& [what, n] : so_far.counts) {
    n = std::min(n, count(look, what));
  }
}

void Leaks::judge(const Census& formula) const {
  for (const auto& [what, n] : after_.counts) {
    if (formula.contains(what)) continue;
    const auto had = count(before_.counts, what);
    if (n <= had + count(slack_, what)) continue;
    fail_("leak",
          fmt::format("{}: {} at rest, and {} after some load and rest again", what, had, n));
  }
  for (const auto& [what, wanted] : formula) {
    const auto n = count(after_.counts, what);
    if (n != wanted) fail_("leak", fmt::format("{} at rest: {}, not {}", what, n, wanted));
  }
}

}  // namespace tidemark::sim
