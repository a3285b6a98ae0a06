#include "sim/node.hpp"

#include <fmt/format.h>

#include <utility>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

engine::Endpoint endpoint(const SimNode::Place& place) {
  return fmt::format("10.0.{}.{}:9100", place.net, place.host);
}
engine::Endpoint nbd_endpoint(const SimNode::Place& place) {
  return fmt::format("10.0.{}.{}:10809", place.net, place.host);
}

}  // namespace

engine::Endpoint SimNode::address() const { return endpoint(place_); }

/// What dies with the process. The order of members is that of a daemon's main:
/// seams before actors.
struct SimNode::Process {
  class Sink final : public engine::EventSink {
   public:
    explicit Sink(SimNode& node) : node_(node) {}
    void event(const engine::Event& event) override {
      if (node_.life_ && !node_.life_->alive) return;
      node_.world_.trace.note(node_.world_.events.now(),
                              fmt::format("{} {}", node_.life_->name, engine::render(event)));
      if (node_.world_.on_event) node_.world_.on_event(*node_.life_, event);
      if (node_.on_event) node_.on_event(node_, event);
    }

   private:
    SimNode& node_;
  };

  Process(SimNode& node, const LifePtr& life)
      : rng(node.random_.fork()),
        clock(node.world_.events, engine::second * (1 + node.index_) + node.incarnation_.value,
              node.wall_),
        timers(node.world_.events, life),
        disk(node.world_.events, node.world_.trace, node.disk_, life),
        kv(node.world_.events, node.world_.trace, node.random_.fork(), node.kv_, life),
        network(node.world_.net, life, endpoint(node.place_), node.world_.cluster),
        sink(node) {}

  Random rng;
  SimClock clock;
  SimTimers timers;
  SimDisk disk;
  SimKv kv;
  SimNetwork network;
  Sink sink;
  actors::EnvironmentPtr env;
  std::shared_ptr<actors::FrontDesk> desk;
  std::optional<actors::Control> control;
  actors::Node actor;
};

SimNode::SimNode(World& world, std::uint32_t index)
    : world_(world),
      index_(index),
      random_(world.random.fork()),
      wall_{1'700'000'000ULL * engine::second + random_.below(3000) * engine::millisecond, 0, {}},
      place_{0, index + 1},
      disk_(random_.fork()) {
  id_.name = fmt::format("node{}", index + 1);
  wipe();
}

SimNode::~SimNode() = default;

void SimNode::wipe() {
  CHECK(!alive());
  const auto high = random_.next();
  const auto low = random_.next();
  id_.uuid = engine::make_uuid(high, low);
  incarnation_ = {};
  auto ends_at = std::move(kv_.ends_at);
  kv_ = {};
  kv_.ends_at = std::move(ends_at);
  disk_.format({directory(), directory() + "/volumes"});
}

SimNode::Image SimNode::image() const {
  Image image{id_, incarnation_, disk_.copy_of_content(), kv_};
  image.disk.power_loss();
  return image;
}

void SimNode::put_image(const Image& image) {
  CHECK(!alive());
  id_ = image.id;
  incarnation_ = image.incarnation;
  kv_ = image.kv;
  disk_.put_content(image.disk);
}

void SimNode::move(const Place& to) {
  CHECK(!alive());
  place_ = to;
}

void SimNode::pause(caf::actor_system& system) {
  CHECK(alive());
  world_.trace.note(world_.events.now(), fmt::format("{} is stopped", life_->name));
  SimScheduler::of(system).pause(*life_);
}

void SimNode::go_on(caf::actor_system& system) {
  if (!paused()) return;
  world_.trace.note(world_.events.now(), fmt::format("{} goes on", life_->name));
  SimScheduler::of(system).go_on(*life_);
}

void SimNode::boot(caf::actor_system& system) {
  CHECK(!alive());
  incarnation_ = engine::Incarnation(incarnation_.value + 1);
  life_ = std::make_shared<Life>();
  life_->id = ++world_.last_life;
  life_->node = index_;
  life_->name = fmt::format("{}/{}{}", id_.name, incarnation_, twin_ ? " (twin)" : "");
  life_->twin = twin_;
  world_.trace.note(world_.events.now(), fmt::format("{} boots", life_->name));
  process_ = std::make_unique<Process>(*this, life_);
  auto& p = *process_;
  p.env = std::make_shared<actors::Environment>(actors::Environment{p.clock,
                                                                    p.timers,
                                                                    p.rng,
                                                                    p.disk,
                                                                    p.kv,
                                                                    p.network,
                                                                    p.sink,
                                                                    world_.settings,
                                                                    world_.cluster,
                                                                    id_,
                                                                    incarnation_,
                                                                    directory(),
                                                                    endpoint(place_),
                                                                    nbd_endpoint(place_),
                                                                    endpoint({0, 1}),
                                                                    index_ == 0,
                                                                    {}});
  p.desk = std::make_shared<actors::FrontDesk>();
  SimScheduler::of(system).as(life_, [&] {
    if (index_ == 0) p.control = actors::spawn_control(system, p.env);
    p.actor = actors::spawn_node(system, {p.env, p.desk, p.control});
  });
  p.network.on_incoming([node = p.actor](transport::Incoming incoming) {
    caf::anon_send(
        node, actors::LinkAccepted{std::make_shared<transport::Incoming>(std::move(incoming))});
  });
}

void SimNode::kill(caf::actor_system& system, Kill how) {
  CHECK(alive());
  world_.trace.note(
      world_.events.now(),
      fmt::format("{} {}", life_->name, how == Kill::power ? "loses power" : "is killed"));
  life_->alive = false;
  auto& p = *process_;
  // Nothing of the process may act any more: first what would call it,
  // then its actors, then its disk.
  p.network.on_incoming(nullptr);
  world_.events.drop(*life_);
  p.actor = nullptr;
  p.control.reset();
  SimScheduler::of(system).crash(*life_);
  world_.net.life_ended(*life_, how == Kill::power);
  world_.events.drop(*life_);
  if (how == Kill::process) {
    p.disk.process_killed();
  } else {
    p.disk.power_lost();
  }
  p.kv.process_ended();
  process_.reset();
}

engine::Exports& SimNode::exports() {
  CHECK(alive());
  return *process_->desk;
}

const actors::Node& SimNode::actor() const {
  CHECK(alive());
  return process_->actor;
}

}  // namespace tidemark::sim
