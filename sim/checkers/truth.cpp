#include "sim/checkers/truth.hpp"

#include <fmt/format.h>

#include "sim/checkers/known.hpp"
#include "sim/volume_view.hpp"

namespace tidemark::sim {

void Truth::happened(engine::MonoTime at, const std::string& node, const engine::Event& event) {
  if (event.name == "store_lost" || event.name == "vote_withdrawn") {
    lost_.try_emplace(node, at, event.name);
  } else if (event.name == "replica_deleted" || event.name == "role_started") {
    lost_.erase(node);  // Another copy has its place.
  }
}

void Truth::seen(engine::MonoTime at, const VolumeView& view) {
  const auto wrong = [&](const std::string& node, std::string_view shown, engine::MonoTime since,
                         std::string_view why) {
    if (at - since <= shown_within) return;
    fail_("status_lies", fmt::format("status shows {} as {}, and it has been {} for {} ms", node,
                                     shown, why, (at - since) / engine::millisecond));
  };
  if (const auto* gone = known(gone_, view.primary); gone != nullptr && view.serving)
    wrong(view.primary, "serving", *gone, "gone");
  for (const auto& copy : view.copies) {
    const bool well = copy.state == "streaming" && copy.problem.empty();
    if (!well) continue;
    if (const auto* gone = known(gone_, copy.node)) wrong(copy.node, copy.state, *gone, "gone");
    if (const auto* lost = known(lost_, copy.node))
      wrong(copy.node, copy.state, lost->first, lost->second);
  }
}

}  // namespace tidemark::sim
