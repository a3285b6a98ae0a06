// Two nodes with a control link from the second to the first, and nothing else.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "sim/network.hpp"

namespace tidemark::sim_tests {

inline engine::Uuid uuid(std::uint64_t n) { return engine::make_uuid(n, n); }

struct Ear final : transport::LinkEvents {
  explicit Ear(sim::Events& clock) : events(clock) {}
  void on_message(engine::Message m) override {
    if (const auto* beat = std::get_if<engine::Heartbeat>(&m)) heard.push_back(beat->sequence);
    if (const auto* reply = std::get_if<engine::AdminReply>(&m)) {
      heard.push_back(reply->id);
      bodies.push_back(reply->body);
    }
    if (const auto* refused = std::get_if<engine::Refused>(&m)) refusals.push_back(*refused);
    last_heard = events.now();
  }
  void on_down(const std::string& reason) override {
    down = reason;
    down_at = events.now();
  }

  sim::Events& events;
  std::vector<std::uint64_t> heard;  ///< Sequences of heartbeats, ids of answers.
  std::vector<std::string> bodies;   ///< Of answers.
  std::vector<engine::Refused> refusals;
  engine::MonoTime last_heard{};
  std::string down;
  engine::MonoTime down_at{};
};

struct Line {
  explicit Line(std::uint64_t seed, const sim::NetworkWeather& weather = {}) : random(seed) {
    net.weather = weather;
    net.on_flip_believed = [this](const std::string& what) { believed.push_back(what); };
    net.on_codec_error = [this](const std::string& what) { codec_errors.push_back(what); };
    for (std::uint32_t i = 0; i < 2; ++i) {
      lives[i]->id = i;
      lives[i]->node = i;
    }
    a.on_incoming([this](transport::Incoming in) {
      accepted = std::move(in.link);
      kept.push_back(accepted);
      accepted->attach(ear_a);
      if (!refuse) {
        accepted->send(
            engine::HelloOk{engine::protocol_version, {"a", uuid(1)}, engine::Incarnation(1)});
      } else {
        accepted->send(engine::Refused{engine::RefusalCode::wrong_node, "no", {}});
        accepted->close();
      }
    });
  }
  static engine::Hello hello() {
    engine::Hello hello;
    hello.purpose = engine::Purpose::control;
    hello.cluster = uuid(9);
    hello.node = {"b", uuid(2)};
    hello.incarnation = engine::Incarnation(1);
    return hello;
  }
  void begin_connect() {
    b.connect("a:1", hello(), [this](transport::Network::Outcome r) {
      if (r) {
        link = r->link;
        kept.push_back(link);
        link->attach(ear_b);
      } else {
        error = r.error().text;
      }
    });
  }
  void connect() {
    begin_connect();
    run();
  }
  void run() {
    while (!events.empty()) events.fire();
  }
  void run_for(std::uint64_t nanoseconds) {
    const auto end = events.now() + nanoseconds;
    while (!events.empty() && events.next_due() <= end) events.fire();
    events.advance_to(end);
  }
  void beat(std::uint64_t n) { link->send(engine::Heartbeat{n}); }
  /// A frame of about so many bytes, whose content tells its id.
  void tell(std::uint64_t id, std::size_t bytes) {
    link->send(engine::AdminReply{id, 200, std::string(bytes, static_cast<char>('a' + id % 26))});
  }
  /// Ears for the next connection; those of now go on with theirs.
  void new_ears() {
    ear_a = std::make_shared<Ear>(events);
    ear_b = std::make_shared<Ear>(events);
  }

  sim::Random random;
  sim::Trace trace;
  sim::Events events{random, trace};
  sim::SimNet net{events, trace, sim::Random(random.next())};
  sim::LifePtr lives[2] = {std::make_shared<sim::Life>(), std::make_shared<sim::Life>()};
  sim::SimNetwork a{net, lives[0], "a:1", uuid(9)};
  sim::SimNetwork b{net, lives[1], "b:1", uuid(9)};
  std::shared_ptr<Ear> ear_a = std::make_shared<Ear>(events);
  std::shared_ptr<Ear> ear_b = std::make_shared<Ear>(events);
  transport::LinkPtr accepted, link;     ///< Of the last connection.
  std::vector<transport::LinkPtr> kept;  ///< Of all: who drops a link ends it.
  std::string error;
  bool refuse = false;
  std::vector<std::string> believed;
  std::vector<std::string> codec_errors;
};

}  // namespace tidemark::sim_tests
