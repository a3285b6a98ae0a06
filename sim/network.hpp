// The network between the nodes of a run: connections that delay, hold, break and report
// their end late, like TCP between machines. Every message travels as bytes, through the
// codec that daemons use.
//
//   Wire: one connection, two ends:   end 0 (connector) ==frames==> end 1 (acceptor)
//
//   a cut stops deliveries at once; the ends hear of it later, each in its own time
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/events.hpp"
#include "sim/life.hpp"
#include "sim/trace.hpp"
#include "transport/link.hpp"
#include "transport/replication/codec.hpp"
#include "transport/replication/phase.hpp"

namespace tidemark::sim {

class SimNetwork;
class Wire;

/// How hostile the wires are; drawn per seed.
struct NetworkWeather {
  std::uint64_t delay_min = 20'000;  ///< Nanoseconds.
  std::uint64_t delay_max = 200'000;
  std::uint64_t spike_one_in = 0;  ///< In 1 of so many frames ...
  std::uint64_t spike_max = 0;     ///< ... up to this much more. 0: none.
  std::uint64_t bytes_per_microsecond = 1000;
  std::uint64_t stale_control_one_in = 0;  ///< Assignments late, twice and out of order. 0: none.
};

/// The hub: who is where, and what lies between.
/// A message that has reached a node and was not given to it yet.
struct Passage {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  engine::Purpose purpose{};
  const engine::Message& message;
};
enum class Fate : std::uint8_t { pass, drop, hold };

class SimNet {
 public:
  SimNet(Events& events, Trace& trace, Random random)
      : events_(events), trace_(trace), random_(random) {}

  NetworkWeather weather;
  /// Nanoseconds that records take longer to a node than what goes to it over other connections, as
  /// after a loss that hit only theirs.
  std::map<std::uint32_t, std::uint64_t> records_lag;

  /// One way: nothing from `from` reaches `to` until it is opened again. Frames wait, as
  /// unacknowledged TCP data does; connections that wait too long break.
  void block(std::uint32_t from, std::uint32_t to);
  void open(std::uint32_t from, std::uint32_t to);
  void open_all();
  bool blocked(std::uint32_t from, std::uint32_t to) const;
  /// Breaks all connections between two nodes; either end hears of it in its own time.
  void cut(std::uint32_t a, std::uint32_t b);
  /// A process ended: its connections break. `silent`: the machine went with it,
  /// so that nobody says so.
  void life_ended(const Life& life, bool silent);

  /// Every node hears again, over the connection of today, what the control plane decided before.
  void repeat_stale_control();

  std::uint64_t frames() const { return frames_; }
  std::uint64_t frame_bytes() const { return frame_bytes_; }

  /// Decides over each message that arrives; null: all pass. What is held is asked about again until
  /// it passes, and what came behind it on its connection waits behind it.
  std::function<Fate(const Passage&)> filter;
  /// Changes what a node is about to take, behind every checksum of the wire: its memory lies. Null: none does.
  std::function<void(std::uint32_t to, engine::Message& message)> forge;
  /// Whoever speaks as the control plane to a node: over its connection of now, or not at all.
  void say_as_control(std::uint32_t node, engine::Message message);
  /// What was delivered, before the receiver sees it. For checkers.
  std::function<void(const Life& receiver, const engine::Message&)> on_delivery;
  /// Our own codec refused our own frame.
  std::function<void(const std::string& what)> on_codec_error;

 private:
  friend class SimNetwork;
  friend class Wire;

  std::vector<std::shared_ptr<Wire>> wires();
  std::vector<std::shared_ptr<Wire>> wires_between(std::uint32_t a, std::uint32_t b);
  /// The connection over which `node` hears its control plane, if there is one.
  std::shared_ptr<Wire> control_wire(std::uint32_t node);

  Events& events_;
  Trace& trace_;
  Random random_;
  /// A node's endpoint, whether or not a process listens there.
  struct Place {
    std::uint32_t node = 0;
    SimNetwork* process = nullptr;
  };
  static constexpr std::size_t stale_max = 16;

  std::map<engine::Endpoint, Place> places_;
  std::map<std::uint64_t, std::weak_ptr<Wire>> wires_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> blocked_;
  std::map<std::uint32_t, std::vector<engine::Message>>
      stale_control_;  ///< By node, at most stale_max.
  std::uint64_t last_wire_ = 0;
  std::uint64_t frames_ = 0;
  std::uint64_t frame_bytes_ = 0;
};

/// transport::Network for one life.
class SimNetwork final : public transport::Network {
 public:
  SimNetwork(SimNet& net, LifePtr life, engine::Endpoint own, engine::ClusterId cluster);
  ~SimNetwork() override;
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  void connect(const engine::Endpoint& to, engine::Hello hello,
               std::function<void(Outcome)> done) override;
  void on_incoming(std::function<void(transport::Incoming)> accept) override;

 private:
  friend class Wire;

  void arrive(const std::shared_ptr<Wire>& wire, const engine::Hello& hello);

  SimNet& net_;
  LifePtr life_;
  engine::Endpoint own_;
  engine::ClusterId cluster_;
  std::function<void(transport::Incoming)> accept_;
};

}  // namespace tidemark::sim
