// One connection of the simulated network: two ends, frames on their way,
// and an end of its own time.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sim/network.hpp"

namespace tidemark::sim {

class Wire final : public std::enable_shared_from_this<Wire> {
 public:
  static constexpr int connector = 0;
  static constexpr int acceptor = 1;
  using Answered = std::function<void(engine::Result<engine::Message>)>;

  Wire(SimNet& net, std::uint64_t id, const engine::Hello& hello, LifePtr from,
       std::uint32_t to_node, std::string peer);

  bool between(std::uint32_t a, std::uint32_t b) const;
  bool open() const { return !broken_ && ends_[connector].phase == transport::Phase::open; }
  engine::Purpose purpose() const { return purpose_; }
  std::uint32_t connector_node() const { return ends_[connector].node; }
  const std::string& peer(int end) const { return ends_[index(end)].peer; }

  /// Connector: who gets the first message of the acceptor, or why there is none.
  void await_answer(Answered answered) { answered_ = std::move(answered); }
  /// The connection has reached the acceptor's process.
  void reached(LifePtr to, std::string peer);
  /// Nobody is there, or nobody answered in time.
  void fail(const std::string& reason);
  /// A message out of an earlier time, or once more, for the connector.
  void inject(engine::Message message);

  void send(int from, const engine::Message& message);
  std::size_t queued_bytes(int end) const { return ends_[index(end)].unsent; }
  void close(int end);
  /// The owner's handle is gone.
  void release(int end);
  void attach(int end, std::weak_ptr<transport::LinkEvents> events);

  /// Nothing is delivered any more; the ends hear of it after `delay` each.
  void break_off(const std::string& reason, std::uint64_t delay_max);
  void life_ended(const Life& life, bool silent);
  void path_blocked();
  void path_opened();

 private:
  struct End {
    LifePtr life;
    std::uint32_t node = 0;
    std::string peer;
    bool closed = false;  ///< Its owner closed or dropped it: it hears nothing more.
    bool down = false;    ///< It was told that the connection is over.
    std::weak_ptr<transport::LinkEvents> events;
    std::deque<engine::Message> stalled;     ///< Arrived, and held by the world's filter.
    bool asks_again = false;                 ///< An event is due that asks the filter anew.
    std::deque<engine::Message> inbox;       ///< Waits for a receiver.
    std::optional<std::string> untold_down;  ///< Waits for a receiver.
    std::size_t unsent = 0;
    engine::MonoTime last_arrival{};    ///< Of what this end sends.
    std::deque<transport::Frame> held;  ///< What this end sent into a blocked path.
    bool fin_held = false;
    transport::Phase phase = transport::Phase::greeting;
  };

  static std::size_t index(int end) { return static_cast<std::size_t>(end); }
  static int other(int end) { return 1 - end; }
  bool path_is_blocked(int from) const;
  engine::MonoTime arrival(int from, std::size_t bytes);
  void transmit(int from, transport::Frame frame);
  void transmit_end(int from);
  void arrive(int to, const transport::Frame& frame);
  /// Gives what passes, in order; holds the rest.
  void let_pass(int to);
  void deliver(int to, engine::Message message);
  void pump(int to);
  void answer(engine::Message message);
  bool perturbed(const engine::Message& message);
  void down_later(int end, const std::string& reason, std::uint64_t delay);
  void down(int end, const std::string& reason);
  void give_up_if_blocked(int end);
  std::uint64_t draw(std::uint64_t below);

  SimNet& net_;
  std::uint64_t id_;
  engine::Purpose purpose_;
  std::optional<engine::VolumeKey> volume_;
  std::array<End, 2> ends_;
  bool broken_ = false;  ///< Nothing is delivered any more.
  Answered answered_;
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
