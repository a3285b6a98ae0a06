#include "sim/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/check.hpp"
#include "transport/replication/tcp_options.hpp"

namespace tidemark::sim {
namespace {

using engine::Message;
using transport::Direction;

constexpr std::uint64_t ms = engine::millisecond;

Direction direction(int from) {
  return from == Wire::connector ? Direction::from_connector : Direction::from_acceptor;
}

}  // namespace

Wire::Wire(SimNet& net, std::uint64_t id, const engine::Hello& hello, LifePtr from,
           std::uint32_t to_node, std::string peer)
    : net_(net),
      id_(id),
      purpose_(hello.purpose),
      pipes_{Pipe(Direction::from_connector), Pipe(Direction::from_acceptor)} {
  auto& end = ends_[connector];
  end.node = from->node;
  end.life = std::move(from);
  end.peer = std::move(peer);
  end.terms.learn(hello);
  ends_[acceptor].node = to_node;
  end.path = &net_.path(end.node, to_node);
  ends_[acceptor].path = &net_.path(to_node, end.node);
}

bool Wire::between(std::uint32_t a, std::uint32_t b) const {
  const auto x = ends_[connector].node;
  const auto y = ends_[acceptor].node;
  return (x == a && y == b) || (x == b && y == a);
}

std::uint64_t Wire::draw(std::uint64_t below) { return net_.random_.below(below); }

// --- the greeting --------------------------------------------------------------------------------

void Wire::reached(LifePtr to, std::string peer) {
  auto& end = ends_[acceptor];
  end.life = std::move(to);
  end.peer = std::move(peer);
}

void Wire::greet(const engine::Hello& hello, Greeted greeted) {
  greeted_ = std::move(greeted);
  write(connector, hello);
  if (ends_[connector].closed) transmit_end(connector);  // Its process went meanwhile.
}

void Wire::fail(const std::string& reason) {
  if (!answered_) return;
  broken_ = true;
  down_later(connector, reason, 0);
  if (ends_[acceptor].life) down_later(acceptor, "the peer gave up", draw(200) * 1000);
}

void Wire::answer(Message message) { std::exchange(answered_, nullptr)(std::move(message)); }

// --- sending -------------------------------------------------------------------------------------

void Wire::send(int from, const Message& message) {
  auto& end = ends_[index(from)];
  if (over() || end.closed || end.down || !end.life || !end.life->alive) return;
  CHECK(
      transport::allowed(purpose_, direction(from), end.terms.phase, transport::type_of(message)));
  if (std::holds_alternative<engine::HelloOk>(message)) end.terms.learn(message);
  write(from, message);
  if (net_.on_send) net_.on_send(*end.life, purpose_, message, pipe(from).unsent_bytes());
  if (pipe(from).unsent_bytes() <= transport::TcpLimits{}.queued_bytes_max) return;
  net_.events_.after(0, end.life, "overflow",
                     [self = shared_from_this(), from] { self->overflow(from); });
}

void Wire::write(int from, const Message& message) {
  auto& end = ends_[index(from)];
  const auto bytes = pipe(from).write(message);
  net_.trace_.mix(id_ * 2 + static_cast<std::uint64_t>(from));
  if (net_.trace_.verbose) {
    net_.trace_.note(net_.events_.now(),
                     fmt::format("  net {} -> {} wire {} {} {} bytes", end.life->name, end.peer,
                                 id_, engine::name(message), bytes));
  }
  ++net_.counts_.frames;
  net_.counts_.frame_bytes += bytes;
  flip_perhaps(from, bytes);
  push(from);
}

// Headers and heads as often as the much longer bodies. Nothing flips inside a machine.
void Wire::flip_perhaps(int from, std::size_t bytes) {
  const auto& end = ends_[index(from)];
  const auto weather = net_.weather.flip_one_in;
  const auto fault = end.path->flip_one_in;
  if (!net_.weather.bytes || end.node == ends_[index(other(from))].node) return;
  const bool flips = (weather != 0 && net_.random_.chance(1, weather)) ||
                     (fault != 0 && net_.random_.chance(1, fault));
  if (!flips) return;
  constexpr std::array<std::size_t, 3> within{transport::frame_header_bytes, 160, ~std::size_t{0}};
  const auto bit = draw(8 * std::min(bytes, within[draw(within.size())]));
  pipe(from).damage(bit);
  ++net_.counts_.flips;
  net_.trace_.note(net_.events_.now(),
                   fmt::format("  wire {}: bit {} of a frame of {} bytes flips", id_, bit, bytes));
}

void Wire::overflow(int from) {
  if (over() || ends_[index(from)].closed) return;
  const auto bytes = pipe(from).unsent_bytes();
  sever(net_.weather.drains);
  down(from, fmt::format("{} takes no data: {} bytes wait", peer(from), bytes));
  if (ends_[index(other(from))].life) down_later(other(from), "connection reset", draw(20) * ms);
}

std::size_t Wire::queued_bytes(int from) const {
  const auto& end = ends_[index(from)];
  return over() || end.closed || end.down ? 0 : pipes_[index(from)].unsent_bytes();
}

// --- receiving -----------------------------------------------------------------------------------

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
  if (to == acceptor && greeted_) {
    const auto greeted = std::exchange(greeted_, nullptr);
    return greeted(shared_from_this(), std::get<engine::Hello>(message));
  }
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

void Wire::attach(int end_index, std::weak_ptr<transport::LinkEvents> events) {
  auto& end = ends_[index(end_index)];
  end.events = std::move(events);
  if (end.inbox.empty() && !end.untold_down) return;
  net_.events_.after(0, end.life, "pump",
                     [self = shared_from_this(), end_index] { self->pump(end_index); });
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
