// One connection of the simulated network: two ends, a stream of bytes each way, and an end of its
// own time.
//
//   up -- cut, reset, process gone --> severed: nothing leaves any more; what is on its way may arrive
//    \------------------------------------> broken: nothing is delivered any more
//
//   in either of them the ends are told one by one: an end that was told is `down`
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sim/network.hpp"
#include "sim/pipe.hpp"

namespace tidemark::sim {

class Wire final : public std::enable_shared_from_this<Wire> {
 public:
  static constexpr int connector = 0;
  static constexpr int acceptor = 1;
  using Answered = std::function<void(engine::Result<engine::Message>)>;
  using Greeted = std::function<void(const std::shared_ptr<Wire>&, const engine::Hello&)>;

  Wire(SimNet& net, std::uint64_t id, const engine::Hello& hello, LifePtr from,
       std::uint32_t to_node, std::string peer);

  bool between(std::uint32_t a, std::uint32_t b) const;
  /// Its connector was answered, and may be told more.
  bool open() const {
    return !over() && !answered_ && ends_[connector].terms.phase == transport::Phase::open;
  }
  /// Nothing is sent over it any more.
  bool over() const { return broken_ || severed_; }
  engine::Purpose purpose() const { return purpose_; }
  std::uint32_t connector_node() const { return ends_[connector].node; }
  const std::string& peer(int end) const { return ends_[index(end)].peer; }

  /// Connector: who gets the first message of the acceptor, or why there is none.
  void await_answer(Answered answered) { answered_ = std::move(answered); }
  /// The connection has reached the acceptor's process.
  void reached(LifePtr to, std::string peer);
  /// Byte mode: the Hello goes its way as bytes; who gets it at the acceptor's.
  void greet(const engine::Hello& hello, Greeted greeted);
  /// Else: it is there.
  void learn_hello(const engine::Hello& hello) { ends_[acceptor].terms.learn(hello); }
  /// Nobody is there, or nobody answered in time.
  void fail(const std::string& reason);
  /// A message out of an earlier time, or once more, for the connector.
  void inject(engine::Message message);

  void send(int from, const engine::Message& message);
  /// Handed to send() and not with the peer's machine; 0 for an end that is over.
  std::size_t queued_bytes(int end) const;
  void close(int end);
  /// The owner's handle is gone.
  void release(int end);
  void attach(int end, std::weak_ptr<transport::LinkEvents> events);

  /// Nothing leaves any more; the ends hear of it after `delay` each.
  void break_off(const std::string& reason, std::uint64_t delay_max);
  /// The same; one end hears of it soon, the other after seconds.
  void half_open();
  void life_ended(const Life& life, bool silent);
  void path_blocked();
  /// Or freed of its clog.
  void path_opened();

  /// What the end sends, as bytes.
  Pipe& pipe(int from) { return pipes_[index(from)]; }

 private:
  struct End {
    LifePtr life;
    std::uint32_t node = 0;
    std::string peer;
    bool closed = false;  ///< Its owner closed or dropped it: it hears nothing more.
    bool deaf = false;    ///< It refused what came: nothing more is read.
    bool down = false;    ///< It was told that the connection is over.
    std::weak_ptr<transport::LinkEvents> events;
    std::deque<engine::Message> stalled;     ///< Arrived, and held by the world's filter.
    bool asks_again = false;                 ///< An event is due that asks the filter anew.
    std::deque<engine::Message> inbox;       ///< Waits for a receiver.
    std::optional<std::string> untold_down;  ///< Waits for a receiver.
    engine::MonoTime last_arrival{};         ///< Of what this end sends.
    bool trickles = false;                   ///< An event is due that lets a little pass a clog.
    transport::Terms terms;
    Path* path = nullptr;  ///< From here to the other end.
  };

  static std::size_t index(int end) { return static_cast<std::size_t>(end); }
  static int other(int end) { return 1 - end; }
  std::uint64_t draw(std::uint64_t below);
  /// What this end sends arrives in order.
  std::uint64_t lane(int from) const { return id_ * 2 + static_cast<std::uint64_t>(from); }

  // --- wire.cpp: messages
  void write(int from, const engine::Message& message);
  void flip_perhaps(int from, std::size_t bytes);
  void overflow(int from);
  /// Gives what passes, in order; holds the rest.
  void let_pass(int to);
  void deliver(int to, engine::Message message);
  void pump(int to);
  void answer(engine::Message message);
  bool perturbed(const engine::Message& message);

  // --- wire_path.cpp: bytes
  void push(int from);
  std::size_t piece_bytes(int from);
  void trickle_later(int from);
  void launch(int from, std::size_t bytes);
  engine::MonoTime arrival(int from, std::size_t bytes);
  void fly(int from, Pipe::Piece piece, engine::MonoTime when);
  void expect(int from, engine::MonoTime when, const char* kind);
  bool reads_late(int from);
  void landed(int from);
  void read(int to, std::span<const std::byte> bytes);
  bool take(int to);
  void breach(int to, const transport::Breach& what);
  void drain_perhaps(int from);

  // --- wire_end.cpp: the end
  void transmit_end(int from);
  void sever(bool drains);
  std::uint64_t heard_after(std::uint64_t delay_max);
  void leave(int gone);
  void down_later(int end, const std::string& reason, std::uint64_t delay);
  void down(int end, const std::string& reason);
  void give_up_if_blocked(int end, engine::MonoTime since);

  SimNet& net_;
  std::uint64_t id_;
  engine::Purpose purpose_;
  std::array<End, 2> ends_;
  std::array<Pipe, 2> pipes_;  ///< By the end that sends.
  bool severed_ = false;
  bool broken_ = false;
  Answered answered_;
  Greeted greeted_;
};

/// The owner's handle on one end.
class SimLink final : public transport::Link {
 public:
  SimLink(std::shared_ptr<Wire> wire, int end) : wire_(std::move(wire)), end_(end) {}
  ~SimLink() override { wire_->release(end_); }
  SimLink(const SimLink&) = delete;
  SimLink& operator=(const SimLink&) = delete;

  void send(engine::Message message) override { wire_->send(end_, message); }
  std::size_t queued_bytes() const override { return wire_->queued_bytes(end_); }
  void close() override { wire_->close(end_); }
  void attach(std::weak_ptr<transport::LinkEvents> events) override {
    wire_->attach(end_, std::move(events));
  }
  const std::string& peer() const override { return wire_->peer(end_); }

 private:
  std::shared_ptr<Wire> wire_;
  int end_;
};

}  // namespace tidemark::sim
