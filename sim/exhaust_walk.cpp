#include "sim/exhaust_walk.hpp"

#include <algorithm>
#include <initializer_list>

namespace tidemark::sim {
namespace {

std::uint64_t mixed(std::initializer_list<std::uint64_t> numbers) {
  Trace hash;
  for (const auto n : numbers) hash.mix(n);
  return hash.hash();
}

constexpr std::string_view catalog = "catalog";

std::uint64_t hash_of(std::string_view text) {
  return content_hash(std::as_bytes(std::span(text)));
}

}  // namespace

Walk::Walk(Cluster& cluster, std::uint64_t length)
    : cluster_(cluster), end_(cluster.now() + length) {
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) {
    cluster_.node(n).disk().on_effect = [this, n](const char* kind, const std::string& path) {
      effect(n, kind, path);
    };
    cluster_.node(n).kv().on_effect = [this, n](const char* kind) { effect(n, kind, catalog); };
  }
}

Walk::~Walk() {
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) {
    cluster_.node(n).disk().on_effect = nullptr;
    cluster_.node(n).kv().on_effect = nullptr;
  }
}

void Walk::effect(std::uint32_t node, std::string_view kind, std::string_view what) {
  disks_[node] = mixed({disks_[node], hash_of(kind), hash_of(what), maker_});
  if (what == catalog) return;
  if (kind == "submit") ++flying_[node];
  if (kind == "write") --flying_[node];
}

bool Walk::in_flight(std::uint32_t node) const {
  const auto found = flying_.find(node);
  return found != flying_.end() && found->second > 0;
}

std::optional<std::uint32_t> Walk::node_of(std::uint32_t life) const {
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) {
    if (cluster_.alive(n) && cluster_.node(n).life()->id == life) return n;
  }
  return std::nullopt;
}

std::optional<Next> Walk::next() {
  const auto soon = cluster_.now() + patience;
  if (!waiting_.empty()) {
    if (const auto found = next_of(std::min(end_, soon))) return found;
    waiting_.clear();
  }
  return next_of(end_);
}

std::optional<Next> Walk::next_of(engine::MonoTime limit) {
  std::optional<Next> first;
  const auto consider = [&](const Next& next) {
    if (waiting_.contains(next.track)) return false;
    if (first) {
      first->only = false;
      return true;
    }
    first = next;
    first->only = true;
    return false;
  };
  const auto ready = cluster_.scheduler().ready_actors();
  for (std::size_t i = 0; i < ready.size(); ++i) {
    Next next;
    next.message = true;
    next.ready = i;
    next.identity = ready[i].next;
    next.who = ready[i].actor;
    next.life = ready[i].life;
    next.track = mixed({1, next.who});
    if (consider(next)) return first;
  }
  for (const auto& head : cluster_.world().events.heads(limit)) {
    Next next;
    next.event = head.id;
    next.identity = mixed({hash_of(head.kind), head.lane});
    next.who = next.life = head.life;
    next.track = mixed({2, head.life, head.lane != 0 ? head.lane : hash_of(head.kind)});
    next.frame = head.lane != 0;
    if (consider(next)) return first;
  }
  return first;
}

void Walk::perform(const Next& next) {
  auto& scheduler = cluster_.scheduler();
  const auto& world = cluster_.world();
  const auto node = node_of(next.life);
  const auto frames = world.net.frames();
  const auto answers = world.events.of_the_world();
  if (next.message) {
    auto& past = actors_[next.who];
    past.life = next.life;
    maker_ = past.hash = mixed({past.hash, next.identity});
    scheduler.handle(next.ready);
  } else {
    auto& past = events_[next.life];
    maker_ = past = mixed({past, next.identity});
    scheduler.fire(next.event);
  }
  if (node && (world.net.frames() != frames || world.events.of_the_world() != answers)) {
    sent_[*node] = mixed({sent_[*node], next.who, maker_});
  }
  maker_ = 0;
}

std::uint64_t Walk::left_by(std::uint32_t node) const {
  const auto of = [](const auto& map, std::uint32_t key) {
    const auto found = map.find(key);
    return found == map.end() ? 0 : found->second;
  };
  return mixed({of(disks_, node), of(sent_, node), of(events_, 0)});
}

void Walk::crashed(std::uint32_t node, std::uint64_t how) {
  const auto life = cluster_.node(node).life()->id;
  crashed_[node] = mixed({how, left_by(node)});
  std::erase_if(actors_, [&](const auto& a) { return a.second.life == life; });
  events_.erase(life);
}

std::uint64_t Walk::state() {
  std::uint64_t sum = mixed({3, cut_});
  for (const auto& [id, past] : actors_) sum += mixed({4, id, past.hash});
  for (const auto& ready : cluster_.scheduler().ready_actors()) {
    sum += mixed({5, ready.actor, ready.waiting});
  }
  for (const auto& [life, hash] : events_) sum += mixed({6, life, hash});
  for (const auto& [node, hash] : disks_) sum += mixed({7, node, hash});
  for (const auto& [node, hash] : crashed_) sum += mixed({8, node, hash});
  for (const auto track : waiting_) sum += mixed({9, track});
  return sum;
}

}  // namespace tidemark::sim
