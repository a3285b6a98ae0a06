#include "actors/event_log.hpp"

#include <algorithm>
#include <utility>

namespace tidemark::actors {
namespace {

// As many volumes as a cluster may have: a peer's text never makes an entry,
// only our own events do.
constexpr std::size_t volumes_max = 1024;

}  // namespace

void EventLog::event(const engine::Event& event) {
  for (const auto& [key, value] : event.fields) {
    if (key != "volume" || event.level == engine::Level::debug) continue;
    if (!logs_.contains(value) && logs_.size() >= volumes_max) logs_.erase(logs_.begin());
    logs_[value].add(clock_.wall(), event);
    break;
  }
  next_.event(event);
}

const engine::RecoveryLog* EventLog::of(const std::string& volume) const {
  const auto found = logs_.find(volume);
  return found == logs_.end() ? nullptr : &found->second;
}

void VolumeSink::event(const engine::Event& event) {
  const bool named = std::any_of(event.fields.begin(), event.fields.end(),
                                 [](const auto& field) { return field.first == "volume"; });
  if (named) return next_.event(event);
  auto copy = event;
  copy.fields.emplace_back("volume", volume_);
  next_.event(copy);
}

EnvironmentPtr with_sink(EnvironmentPtr below, std::unique_ptr<engine::EventSink> sink) {
  struct World {
    EnvironmentPtr below;
    std::unique_ptr<engine::EventSink> sink;
    Environment env;
  };
  const auto& b = *below;
  Environment env{b.clock,       b.timers,   b.rng,     b.disk,          b.kv,          b.network,
                  *sink,         b.settings, b.cluster, b.node,          b.incarnation, b.directory,
                  b.replication, b.nbd,      b.control, b.hosts_control, b.more_metrics};
  auto world = std::make_shared<World>(World{std::move(below), std::move(sink), std::move(env)});
  return EnvironmentPtr(world, &world->env);
}

}  // namespace tidemark::actors
