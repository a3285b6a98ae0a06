#include "sim/checkers/progress.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tidemark::sim {

void Progress::look(engine::MonoTime now, bool well,
                    std::optional<engine::MonoTime> waiting_since) {
  looked_ = now;
  if (!well) trouble_ = now;
  if (!waiting_since) return;
  const auto waited = now - std::max(trouble_, *waiting_since);
  longest_ = std::max(longest_, waited);
  if (waited <= patience) return;
  fail_("no_progress",
        fmt::format("a client has waited for {} ms, though nothing was wrong for {} ms",
                    (now - *waiting_since) / engine::millisecond, calm(now) / engine::millisecond));
}

}  // namespace tidemark::sim
