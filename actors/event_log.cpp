#include "actors/event_log.hpp"

namespace tidemark::actors {
namespace {

// As many volumes as a cluster may have: a peer's text never makes an entry, only our own events
// do.
constexpr std::size_t volumes_max = 1024;

}  // namespace

void EventLog::event(const engine::Event& event) {
  for (const auto& [key, value] : event.fields) {
    if (key != "volume" || event.level == engine::Level::debug) continue;
    if (!logs_.contains(value) && logs_.size() >= volumes_max) logs_.erase(logs_.begin());
    auto& log = logs_[value];
    log.push_back({clock_.wall(), event});
    if (log.size() > engine::recovery_log_max) log.pop_front();
    break;
  }
  next_.event(event);
}

const std::deque<engine::LoggedEvent>* EventLog::of(const std::string& volume) const {
  const auto found = logs_.find(volume);
  return found == logs_.end() ? nullptr : &found->second;
}

}  // namespace tidemark::actors
