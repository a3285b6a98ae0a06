// An operator of the simulated cluster gives its volume another mode or min_copies.
#include <fmt/format.h>

#include "sim/cluster.hpp"

namespace tidemark::sim {

/// As an operator would: again and again until it is told to be in force. Twice is the same, and what
/// is wanted later takes the place of what was wanted before.
void Cluster::begin_configure(engine::Mode mode, std::optional<std::uint32_t> min_copies) {
  if (mode == engine::Mode::sync_quorum) judges_->synced.quorum_may_count();
  if (mode != engine::Mode::sync_all) judges_->synced.all_count(false);
  rules_wanted_ = Rules{mode, min_copies, ++rules_asked_};
  ask_configure(*rules_wanted_);
  if (world_.random.chance(1, 4)) ask_configure(*rules_wanted_);
}

void Cluster::ask_configure(const Rules& rules) {
  const auto least =
      rules.min_copies ? fmt::format("\"min_copies\":{}", *rules.min_copies) : std::string();
  const auto path = fmt::format("/v1/volumes/{}/configure", volume);
  const auto mode = fmt::format("\"mode\":\"{}\"", to_string(rules.mode));
  const auto body = fmt::format("{{{}{}{}}}", mode, least.empty() ? "" : ",", least);
  auto answered = [this, rules, mode, least](const engine::AdminReply& reply) {
    const auto says = [&](const std::string& what) {
      return reply.body.find(what) != std::string::npos;
    };
    if (!wants(rules)) return;
    // A copy is taken out: until it is in again more than are left may not be asked for.
    if (reply.status == 400 && says(fmt::format("its {} copies", options_.copies - 1))) return;
    if (reply.status == 400) return fail("operator", fmt::format("configure: {}", reply.body));
    const bool done = reply.status == 200 && says(mode) && says(least + ",") &&
                      !says("wanted_mode") && !says("wanted_min_copies");
    if (done) rules_wanted_.reset();
  };
  std::uint32_t at = 0;
  while (at + 1 < size() && !alive(at)) ++at;
  admin_later("POST", path, body, std::move(answered), at);
  // An answer that was lost with its node, or that says that it is under way.
  world_.events.after(1 * engine::second, nullptr, "operator_asks_again", [this, rules] {
    if (wants(rules)) ask_configure(rules);
  });
}

bool Cluster::wants(const Rules& rules) const {
  return rules_wanted_ && rules_wanted_->number == rules.number;
}

bool Cluster::configure(engine::Mode mode, std::uint32_t min_copies) {
  begin_configure(mode, min_copies);
  return run_until([this] { return !configuring(); });
}

}  // namespace tidemark::sim
