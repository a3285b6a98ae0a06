// The network between the nodes of a run: connections that delay, hold, break and report
// their end late, like TCP between machines. Every message travels as bytes, through the
// codec and the assembly of frames that daemons use.
//
//   Wire: one connection, two ends:   end 0 (connector) ==bytes==> end 1 (acceptor)
//   Path: what all connections from one node to another share: blocked, clogged, narrow
//
//   after a cut nothing leaves; what is on its way may still arrive, where the weather is so; the
//   ends hear of it later, each in its own time
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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

  /// Connections carry bytes from their Hello on, and any byte may be the last that arrives. Else
  /// the Hello is there when the connection is, and a path that is blocked loses nothing.
  bool bytes = false;
  /// In 1 of so many pieces a frame is cut, or joined with the next one. 0: one piece per frame.
  std::uint64_t fragment_one_in = 0;
  /// In 1 of so many frames one bit arrives wrong; byte mode only. 0: none.
  std::uint64_t flip_one_in = 0;
  /// What is on its way when a connection breaks may still arrive, all of it or a part, and late:
  /// beside what the next connection carries.
  bool drains = false;
  /// In 1 of so many connections that break an end hears of it only after many seconds. 0: none.
  std::uint64_t unheard_one_in = 0;

  /// What goes from one node to another shares bytes_per_microsecond, and waits for each other.
  bool shared_capacity = false;
  std::uint64_t narrow_max = 1;  ///< Some paths have up to this many times less of it.
};

/// What lies between one node and another, in this direction.
struct Path {
  bool blocked = false;
  engine::MonoTime blocked_since{};
  /// Nanoseconds between the small pieces that get through a clogged path; 0: it is not clogged.
  std::uint64_t clog_gap = 0;
  std::uint64_t narrow = 1;       ///< So many times less throughput than the weather says.
  std::uint64_t flip_one_in = 0;  ///< Beside the weather's. 0: none.
  engine::MonoTime free_at{};     ///< When all that left before is through.
};
/// What the network did, for people and tests.
struct NetworkCounts {
  std::uint64_t frames = 0;
  std::uint64_t frame_bytes = 0;
  std::uint64_t pieces = 0;
  std::uint64_t flips = 0;    ///< Frames that left damaged.
  std::uint64_t refused = 0;  ///< Damaged frames that ended their connection.
  std::uint64_t torn = 0;  ///< Connections that broke with a part of what was on its way arriving.
  std::uint64_t half_open = 0;  ///< Connections that broke and one end did not hear of it for long.
};

/// A message that has reached a node and was not given to it yet.
struct Passage {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  engine::Purpose purpose{};
  const engine::Message& message;
};
enum class Fate : std::uint8_t { pass, drop, hold };

/// The hub: who is where, and what lies between.
class SimNet {
 public:
  SimNet(Events& events, Trace& trace, Random random)
      : events_(events), trace_(trace), random_(random) {}

  NetworkWeather weather;
  /// Nanoseconds that records take longer to a node than what goes to it over other connections, as
  /// after a loss that hit only theirs.
  std::map<std::uint32_t, std::uint64_t> records_lag;
  /// The same for all connections of a purpose.
  std::map<engine::Purpose, std::uint64_t> purpose_lag;

  /// One way: nothing from `from` reaches `to` until it is opened again. Frames wait, as
  /// unacknowledged TCP data does; connections that wait too long break.
  void block(std::uint32_t from, std::uint32_t to);
  void open(std::uint32_t from, std::uint32_t to);
  /// Every path is as it was: open, free, and without flipped bits of a fault.
  void open_all();
  bool blocked(std::uint32_t from, std::uint32_t to);
  /// One way: hardly anything gets through until it is freed, and then all at once. No connection
  /// breaks of it: a little passes every `gap` nanoseconds.
  void clog(std::uint32_t from, std::uint32_t to, std::uint64_t gap);
  void free(std::uint32_t from, std::uint32_t to) { clog(from, to, 0); }
  /// One way: in 1 of so many frames one bit is flipped, until open_all(). Byte mode only.
  void flip(std::uint32_t from, std::uint32_t to, std::uint64_t one_in);
  /// The connections between two nodes break; one end of each hears of it soon, the other after
  /// seconds, and what is on its way still arrives.
  void half_open(std::uint32_t a, std::uint32_t b);
  /// Breaks all connections between two nodes; either end hears of it in its own time.
  void cut(std::uint32_t a, std::uint32_t b);
  /// A process ended: its connections break. `silent`: the machine went with it,
  /// so that nobody says so.
  void life_ended(const Life& life, bool silent);

  /// Every node hears again, over the connection of today, what the control plane decided before.
  void repeat_stale_control();

  std::uint64_t frames() const { return counts_.frames; }
  std::uint64_t frame_bytes() const { return counts_.frame_bytes; }
  const NetworkCounts& counts() const { return counts_; }

  /// Decides over each message that arrives; null: all pass. What is held is asked about again until
  /// it passes, and what came behind it on its connection waits behind it.
  std::function<Fate(const Passage&)> filter;
  /// Changes what a node is about to take, behind every checksum of the wire: its memory lies. Null: none does.
  std::function<void(std::uint32_t to, engine::Message& message)> forge;
  /// Whoever speaks as the control plane to a node: over its connection of now, or not at all.
  void say_as_control(std::uint32_t node, engine::Message message);
  /// What was delivered, before the receiver sees it. For checkers.
  std::function<void(const Life& receiver, const engine::Message&)> on_delivery;
  /// What a process sends, and what its link has not got rid of then, this message included. For checkers.
  std::function<void(const Life& sender, engine::Purpose, const engine::Message&,
                     std::size_t unsent_bytes)>
      on_send;
  /// A process knocks at a node. For checkers.
  std::function<void(const Life& from, const engine::Endpoint& to, const engine::Hello&)>
      on_connect;
  /// Connections that both ends hold, by purpose. For checkers.
  std::map<engine::Purpose, std::uint64_t> open_wires();
  /// Nothing is blocked, held or slowed down on purpose.
  bool undisturbed() const;
  /// Our own codec refused our own frame.
  std::function<void(const std::string& what)> on_codec_error;
  /// A frame was taken though a bit of it was flipped.
  std::function<void(const std::string& what)> on_flip_believed;

 private:
  friend class SimNetwork;
  friend class Wire;

  /// Its address stays.
  Path& path(std::uint32_t from, std::uint32_t to);
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
  std::map<std::pair<std::uint32_t, std::uint32_t>, Path> paths_;
  std::map<std::uint32_t, std::vector<engine::Message>>
      stale_control_;  ///< By node, at most stale_max.
  std::uint64_t last_wire_ = 0;
  NetworkCounts counts_;
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

  /// The connection is there; who listens gets the Hello.
  static void reach(SimNet& net, const engine::Endpoint& to, const std::shared_ptr<Wire>& wire,
                    const engine::Hello& hello);
  void arrive(const std::shared_ptr<Wire>& wire, const engine::Hello& hello);
  void accept(const std::shared_ptr<Wire>& wire, const engine::Hello& hello);

  SimNet& net_;
  LifePtr life_;
  engine::Endpoint own_;
  engine::ClusterId cluster_;
  std::function<void(transport::Incoming)> accept_;
};

}  // namespace tidemark::sim
