#include "sim/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/check.hpp"
#include "transport/replication/frame.hpp"

namespace tidemark::sim {
namespace {

using engine::Errc;
using engine::Error;
using engine::Message;
using transport::Direction;
using transport::Frame;
using transport::Phase;

constexpr std::uint64_t ms = engine::millisecond;
// How long an unacknowledged connection lasts: TCP_USER_TIMEOUT and keepalive of a daemon.
constexpr std::uint64_t give_up_min = 500 * ms;
constexpr std::uint64_t give_up_max = 5'000 * ms;

Direction direction(int from) {
  return from == Wire::connector ? Direction::from_connector : Direction::from_acceptor;
}

}  // namespace

Wire::Wire(SimNet& net, std::uint64_t id, const engine::Hello& hello, LifePtr from,
           std::uint32_t to_node, std::string peer)
    : net_(net), id_(id), purpose_(hello.purpose) {
  if (hello.volume) volume_.emplace(hello.volume);
  auto& end = ends_[connector];
  end.node = from->node;
  end.life = std::move(from);
  end.peer = std::move(peer);
  end.phase = Phase::answering;
  ends_[acceptor].node = to_node;
}

bool Wire::between(std::uint32_t a, std::uint32_t b) const {
  const auto x = ends_[connector].node;
  const auto y = ends_[acceptor].node;
  return (x == a && y == b) || (x == b && y == a);
}

std::uint64_t Wire::draw(std::uint64_t below) { return net_.random_.below(below); }

void Wire::reached(LifePtr to, std::string peer) {
  auto& end = ends_[acceptor];
  end.life = std::move(to);
  end.peer = std::move(peer);
  end.phase = Phase::answering;
}

void Wire::fail(const std::string& reason) {
  if (!answered_) return;
  broken_ = true;
  down_later(connector, reason, 0);
  if (ends_[acceptor].life) down_later(acceptor, "the peer gave up", draw(200) * 1000);
}

bool Wire::path_is_blocked(int from) const {
  return net_.blocked(ends_[index(from)].node, ends_[index(other(from))].node);
}

engine::MonoTime Wire::arrival(int from, std::size_t bytes) {
  const auto& weather = net_.weather;
  auto delay = net_.random_.between(weather.delay_min, weather.delay_max);
  delay += bytes * 1000 / weather.bytes_per_microsecond;
  if (weather.spike_one_in != 0 && net_.random_.chance(1, weather.spike_one_in)) {
    delay += net_.random_.below(weather.spike_max);
  }
  if (purpose_ == engine::Purpose::records) {
    const auto lag = net_.records_lag.find(ends_[index(other(from))].node);
    if (lag != net_.records_lag.end()) delay += lag->second;
  }
  auto& end = ends_[index(from)];
  end.last_arrival = std::max(net_.events_.now() + delay, end.last_arrival.next());
  return end.last_arrival;
}

void Wire::send(int from, const Message& message) {
  auto& end = ends_[index(from)];
  if (broken_ || end.closed || end.down || !end.life || !end.life->alive) return;
  CHECK(transport::allowed(purpose_, direction(from), end.phase, transport::type_of(message)));
  if (std::holds_alternative<engine::HelloOk>(message)) end.phase = Phase::open;
  auto frame = transport::encode(message);
  auto& trace = net_.trace_;
  trace.mix(id_ * 2 + static_cast<std::uint64_t>(from));
  trace.mix(std::span<const std::byte>(frame.head));
  for (const auto& slice : frame.body) trace.mix(slice.bytes());
  if (trace.verbose) {
    trace.note(net_.events_.now(),
               fmt::format("  net {} -> {} wire {} {} {} bytes", end.life->name, end.peer, id_,
                           engine::name(message), frame.bytes()));
  }
  ++net_.frames_;
  net_.frame_bytes_ += frame.bytes();
  end.unsent += frame.bytes();
  transmit(from, std::move(frame));
}

void Wire::transmit(int from, Frame frame) {
  auto& end = ends_[index(from)];
  if (path_is_blocked(from) || !end.held.empty()) {
    end.held.push_back(std::move(frame));
    return;
  }
  const int to = other(from);
  const auto when = arrival(from, frame.bytes());
  net_.events_.at(
      when, ends_[index(to)].life, "frame",
      [self = shared_from_this(), to, frame = std::move(frame)] { self->arrive(to, frame); });
}

void Wire::arrive(int to, const Frame& frame) {
  auto& sender = ends_[index(other(to))];
  sender.unsent -= std::min(sender.unsent, frame.bytes());
  if (broken_) return;
  auto message = transport::decode(frame, volume_);
  if (!message) {
    if (net_.on_codec_error) net_.on_codec_error(message.error().text);
    return;
  }
  ends_[index(to)].stalled.push_back(std::move(message).value());
  let_pass(to);
}

void Wire::let_pass(int to) {
  constexpr std::uint64_t ask_again = 1 * ms;
  auto& end = ends_[index(to)];
  while (!end.stalled.empty() && !broken_) {
    const auto from = ends_[index(other(to))].node;
    const auto fate =
        net_.filter ? net_.filter({from, end.node, purpose_, end.stalled.front()}) : Fate::pass;
    if (fate == Fate::hold) {
      if (std::exchange(end.asks_again, true)) return;
      net_.events_.after(ask_again, end.life, "held", [self = shared_from_this(), to] {
        self->ends_[index(to)].asks_again = false;
        self->let_pass(to);
      });
      return;
    }
    auto message = std::move(end.stalled.front());
    end.stalled.pop_front();
    if (fate == Fate::drop) continue;
    if (net_.on_delivery) net_.on_delivery(*end.life, message);
    if (net_.forge) net_.forge(end.node, message);
    if (to == connector && perturbed(message)) continue;
    deliver(to, std::move(message));
  }
}

void Wire::deliver(int to, Message message) {
  auto& end = ends_[index(to)];
  if (end.closed || end.down) return;
  if (to == connector && answered_) return answer(std::move(message));
  end.inbox.push_back(std::move(message));
  pump(to);
}

// One call per message: the receiver may detach, close or die of any of them.
void Wire::pump(int to) {
  auto& end = ends_[index(to)];
  while (!end.closed) {
    const auto events = end.events.lock();
    if (!events) return;
    if (!end.inbox.empty()) {
      auto message = std::move(end.inbox.front());
      end.inbox.pop_front();
      events->on_message(std::move(message));
    } else if (end.untold_down) {
      const auto reason = *std::exchange(end.untold_down, std::nullopt);
      events->on_down(reason);
    } else {
      return;
    }
  }
}

void Wire::answer(Message message) {
  const auto answered = std::exchange(answered_, nullptr);
  if (std::holds_alternative<engine::HelloOk>(message)) ends_[connector].phase = Phase::open;
  answered(std::move(message));
}

void Wire::attach(int end_index, std::weak_ptr<transport::LinkEvents> events) {
  auto& end = ends_[index(end_index)];
  end.events = std::move(events);
  if (end.inbox.empty() && !end.untold_down) return;
  net_.events_.after(0, end.life, "pump",
                     [self = shared_from_this(), end_index] { self->pump(end_index); });
}

void Wire::close(int from) {
  auto& end = ends_[index(from)];
  if (std::exchange(end.closed, true)) return;
  end.inbox.clear();
  if (broken_ || end.down || !end.life || !end.life->alive) return;
  transmit_end(from);
}

// The end of a stream travels behind what was sent before.
void Wire::transmit_end(int from) {
  auto& end = ends_[index(from)];
  const int to = other(from);
  if (!ends_[index(to)].life) {
    broken_ = true;
    return;
  }
  if (path_is_blocked(from)) {
    end.fin_held = true;
    return;
  }
  net_.events_.at(arrival(from, 0), ends_[index(to)].life, "closed",
                  [self = shared_from_this(), to] {
                    self->broken_ = true;
                    self->down(to, "closed by the peer");
                  });
}

void Wire::release(int from) {
  auto& end = ends_[index(from)];
  if (end.closed) return;
  // What the kernel had taken may still get there.
  if (end.life && end.life->alive && !broken_ && draw(2) == 0) {
    broken_ = true;
    end.closed = true;
    if (ends_[index(other(from))].life) {
      down_later(other(from), "connection reset", 20'000 + draw(200'000));
    }
    return;
  }
  close(from);
}

void Wire::break_off(const std::string& reason, std::uint64_t delay_max) {
  if (std::exchange(broken_, true)) return;
  for (const int end : {connector, acceptor}) {
    if (ends_[index(end)].life) down_later(end, reason, draw(delay_max));
  }
}

void Wire::life_ended(const Life& life, bool silent) {
  for (const int gone : {connector, acceptor}) {
    if (ends_[index(gone)].life.get() != &life) continue;
    const int left = other(gone);
    ends_[index(gone)].closed = true;
    if (!ends_[index(left)].life || broken_) continue;
    if (silent) {
      broken_ = true;
      down_later(left, "no answer from the peer", give_up_min + draw(give_up_max - give_up_min));
    } else if (draw(2) == 0) {
      broken_ = true;
      down_later(left, "connection reset", 20'000 + draw(500'000));
    } else {
      transmit_end(gone);
    }
  }
}

void Wire::down_later(int end, const std::string& reason, std::uint64_t delay) {
  net_.events_.after(delay, ends_[index(end)].life, "down",
                     [self = shared_from_this(), end, reason] { self->down(end, reason); });
}

void Wire::down(int end_index, const std::string& reason) {
  auto& end = ends_[index(end_index)];
  if (end.closed || std::exchange(end.down, true)) return;
  if (end_index == connector && answered_) {
    const auto answered = std::exchange(answered_, nullptr);
    answered(Error{Errc::unavailable, fmt::format("connect to {}: {}", end.peer, reason)});
    return;
  }
  end.untold_down = reason;
  pump(end_index);
}

void Wire::path_blocked() {
  if (broken_) return;
  for (const int end : {connector, acceptor}) {
    if (!ends_[index(end)].life) continue;
    net_.events_.after(give_up_min + draw(give_up_max - give_up_min), ends_[index(end)].life,
                       "give_up",
                       [self = shared_from_this(), end] { self->give_up_if_blocked(end); });
  }
}

void Wire::give_up_if_blocked(int end) {
  if (broken_ || !(path_is_blocked(connector) || path_is_blocked(acceptor))) return;
  broken_ = true;
  down(end, "no answer from the peer");
  if (ends_[index(other(end))].life) {
    down_later(other(end), "no answer from the peer", draw(give_up_max));
  }
}

void Wire::path_opened() {
  for (const int from : {connector, acceptor}) {
    auto& end = ends_[index(from)];
    if (path_is_blocked(from)) continue;
    for (auto& frame : std::exchange(end.held, {})) transmit(from, std::move(frame));
    if (std::exchange(end.fin_held, false)) transmit_end(from);
  }
}

void Wire::inject(Message message) {
  net_.events_.after(0, ends_[connector].life, "injected",
                     [self = shared_from_this(), message = std::move(message)]() mutable {
                       if (!self->broken_) self->deliver(connector, std::move(message));
                     });
}

// Assignments and decisions may come late, twice and out of order: a control plane that repeats
// itself over connections that come and go does all of that. True: this one comes later.
bool Wire::perturbed(const Message& message) {
  const auto one_in = net_.weather.stale_control_one_in;
  const bool decides = std::holds_alternative<engine::Assign>(message) ||
                       std::holds_alternative<engine::SetDecided>(message) ||
                       std::holds_alternative<engine::Unassign>(message);
  if (one_in == 0 || purpose_ != engine::Purpose::control || !decides) return false;
  const auto node = ends_[connector].node;
  auto& stale = net_.stale_control_[node];
  if (stale.size() == SimNet::stale_max) stale.erase(stale.begin());
  stale.push_back(message);
  const auto later = [&](std::uint64_t delay, Message copy) {
    net_.events_.after(delay, nullptr, "stale_control",
                       [&net = net_, node, copy = std::move(copy)] {
                         if (const auto wire = net.control_wire(node)) wire->inject(copy);
                       });
  };
  if (net_.random_.chance(1, one_in)) {
    const auto delay = draw(2'000) * ms;
    later(delay, stale[static_cast<std::size_t>(draw(stale.size()))]);
  }
  if (!net_.random_.chance(1, one_in)) return false;
  later(draw(300) * ms, message);
  return true;
}

}  // namespace tidemark::sim
