#include "sim/events.hpp"

#include <utility>
#include <vector>

#include "engine/check.hpp"

namespace tidemark::sim {

EventId Events::at(engine::MonoTime when, LifePtr life, const char* kind,
                   std::function<void()> due) {
  CHECK(when >= now_);
  const auto id = ++last_id_;
  const Key key(when, static_cast<std::uint32_t>(random_.next() >> 32), id);
  keys_.emplace(id, key);
  pending_.emplace(key, Event{std::move(life), kind, std::move(due)});
  return id;
}

void Events::cancel(EventId id) {
  const auto found = keys_.find(id);
  if (found == keys_.end()) return;
  // What the callback held is destroyed last: it may cancel in turn.
  const auto dropped = pending_.extract(found->second);
  keys_.erase(found);
}

void Events::drop(const Life& life) {
  std::vector<Event> dropped;
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->second.life.get() != &life) {
      ++it;
      continue;
    }
    keys_.erase(std::get<EventId>(it->first));
    dropped.push_back(std::move(it->second));
    it = pending_.erase(it);
  }
}

std::map<std::string, std::uint64_t> Events::pending_of(const Life& life) const {
  std::map<std::string, std::uint64_t> kinds;
  for (const auto& [key, event] : pending_) {
    if (event.life.get() == &life) ++kinds[event.kind];
  }
  return kinds;
}

void Events::clear() {
  keys_.clear();
  const auto dropped = std::exchange(pending_, {});
}

engine::MonoTime Events::next_due() const {
  CHECK(!pending_.empty());
  return std::get<engine::MonoTime>(pending_.begin()->first);
}

void Events::fire() {
  CHECK(!pending_.empty());
  auto node = pending_.extract(pending_.begin());
  now_ = std::get<engine::MonoTime>(node.key());
  keys_.erase(std::get<EventId>(node.key()));
  auto& event = node.mapped();
  trace_.mix(now_.value);
  trace_.mix(event.life ? event.life->id + 1 : 0);
  trace_.mix(std::string_view(event.kind));
  if (event.life && !event.life->alive) return;
  current_ = event.life;
  event.due();
  // The callback goes before its life does: it may hold the last handle of an actor.
  event.due = nullptr;
  current_ = nullptr;
}

void Events::advance_to(engine::MonoTime when) {
  CHECK(pending_.empty() || next_due() >= when);
  if (when > now_) now_ = when;
}

}  // namespace tidemark::sim
