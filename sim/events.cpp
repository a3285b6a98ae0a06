#include "sim/events.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/check.hpp"

namespace tidemark::sim {

EventId Events::at(engine::MonoTime when, LifePtr life, const char* kind, std::function<void()> due,
                   std::uint64_t lane) {
  CHECK(when >= now_);
  const auto id = ++last_id_;
  const Key key(when, static_cast<std::uint32_t>(random_.next() >> 32), id);
  keys_.emplace(id, key);
  pending_.emplace(key, Event{std::move(life), kind, std::move(due), lane});
  return id;
}

void Events::cancel(EventId id) {
  const auto found = keys_.find(id);
  if (found == keys_.end()) return;
  // What the callback held is destroyed last: it may cancel in turn.
  const auto dropped = pending_.extract(found->second);
  const auto dropped_too = kept_.extract(found->second);
  keys_.erase(found);
}

void Events::drop(const Life& life) {
  std::vector<Event> dropped;
  for (auto* events : {&pending_, &kept_}) {
    for (auto it = events->begin(); it != events->end();) {
      if (it->second.life.get() != &life) {
        ++it;
        continue;
      }
      keys_.erase(std::get<EventId>(it->first));
      dropped.push_back(std::move(it->second));
      it = events->erase(it);
    }
  }
}

void Events::go_on(const Life& life) {
  for (auto it = kept_.begin(); it != kept_.end();) {
    const auto next = std::next(it);
    if (it->second.life.get() == &life) pending_.insert(kept_.extract(it));
    it = next;
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
  const auto dropped_too = std::exchange(kept_, {});
}

engine::MonoTime Events::next_due() const {
  CHECK(!pending_.empty());
  return std::get<engine::MonoTime>(pending_.begin()->first);
}

void Events::fire() {
  CHECK(!pending_.empty());
  run(pending_.extract(pending_.begin()));
}

void Events::fire(EventId id) {
  const auto found = keys_.find(id);
  CHECK(found != keys_.end());
  run(pending_.extract(found->second));
}

std::vector<Events::Head> Events::heads(engine::MonoTime limit) const {
  std::vector<Head> found;
  for (const auto& [key, event] : pending_) {
    const auto due = std::get<engine::MonoTime>(key);
    if (due > limit) break;
    const Head head{std::get<EventId>(key), due, event.life ? event.life->id : 0, event.kind,
                    event.lane};
    const auto same = [&](const Head& h) {
      return h.life == head.life && h.lane == head.lane && (h.lane != 0 || h.kind == head.kind);
    };
    const auto before = std::find_if(found.begin(), found.end(), same);
    if (before == found.end()) {
      found.push_back(head);
    } else if (before->due == due && head.id < before->id) {
      *before = head;
    }
  }
  std::sort(found.begin(), found.end(), [](const Head& a, const Head& b) {
    return std::tie(a.due, a.id) < std::tie(b.due, b.id);
  });
  return found;
}

std::size_t Events::of_the_world() const {
  return static_cast<std::size_t>(std::count_if(
      pending_.begin(), pending_.end(), [](const auto& p) { return p.second.life == nullptr; }));
}

void Events::run(Pending::node_type node) {
  now_ = std::max(now_, std::get<engine::MonoTime>(node.key()));
  if (const auto& life = node.mapped().life; life && life->alive && life->paused) {
    kept_.insert(std::move(node));
    return;
  }
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
