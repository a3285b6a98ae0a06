// How a connection ends: who notices, when, and what still arrives.
#include <fmt/format.h>

#include <utility>

#include "engine/check.hpp"
#include "sim/wire.hpp"
#include "transport/replication/tcp_options.hpp"

namespace tidemark::sim {
namespace {

constexpr std::uint64_t one_ms = engine::millisecond;
// How long an unacknowledged connection lasts: TCP_USER_TIMEOUT and keepalive of a daemon.
constexpr std::uint64_t give_up_min = 500 * one_ms;
constexpr std::uint64_t give_up_max = 5'000 * one_ms;
// The same where the kernel knows neither, and only the actors' own time-outs help before.
constexpr std::uint64_t unheard_max = 12'000 * one_ms;

}  // namespace

void Wire::close(int from) {
  auto& end = ends_[index(from)];
  if (std::exchange(end.closed, true)) return;
  end.inbox.clear();
  if (over() || end.down || !end.life || !end.life->alive) return;
  transmit_end(from);
  if (!net_.weather.bytes || !pipe(from).waits()) return;
  const auto linger = static_cast<std::uint64_t>(transport::TcpLimits{}.linger.count()) * one_ms;
  net_.events_.after(linger, nullptr, "linger", [self = shared_from_this(), from] {
    if (!self->over()) self->leave(from);
  });
}

// The end of a stream travels behind what was sent before.
void Wire::transmit_end(int from) {
  if (!ends_[index(other(from))].life) {
    broken_ = true;
    return;
  }
  pipe(from).write_end();
  push(from);
}

/// What the process had not handed to its kernel goes with it, in the middle of a frame or not.
void Wire::leave(int gone) {
  auto& stream = pipe(gone);
  if (net_.weather.bytes && stream.waiting_bytes() > 0) {
    stream.chop(draw(stream.waiting_bytes() + 1));
  }
  transmit_end(gone);
}

void Wire::sever(bool drains) {
  severed_ = true;
  if (!drains) {
    broken_ = true;
    return;
  }
  for (const int from : {connector, acceptor}) drain_perhaps(from);
}

void Wire::release(int from) {
  auto& end = ends_[index(from)];
  if (end.closed) return;
  // What the kernel had taken may still get there.
  if (end.life && end.life->alive && !over() && draw(2) == 0) {
    end.closed = true;
    sever(net_.weather.drains);
    if (ends_[index(other(from))].life) {
      down_later(other(from), "connection reset", 20'000 + heard_after(200'000));
    }
    return;
  }
  close(from);
}

std::uint64_t Wire::heard_after(std::uint64_t delay_max) {
  const auto one_in = net_.weather.unheard_one_in;
  if (one_in == 0 || !net_.random_.chance(1, one_in)) return draw(delay_max);
  ++net_.counts_.half_open;
  return draw(unheard_max);
}

void Wire::break_off(const std::string& reason, std::uint64_t delay_max) {
  if (over()) return;
  sever(net_.weather.drains);
  for (const int end : {connector, acceptor}) {
    if (ends_[index(end)].life) down_later(end, reason, heard_after(delay_max));
  }
}

void Wire::half_open() {
  if (over()) return;
  sever(net_.weather.bytes);
  ++net_.counts_.half_open;
  const int first = static_cast<int>(draw(2));
  if (ends_[index(first)].life) down_later(first, "connection reset", draw(20) * one_ms);
  if (ends_[index(other(first))].life) {
    down_later(other(first), "no answer from the peer", one_ms * 1'000 + draw(unheard_max));
  }
}

void Wire::life_ended(const Life& life, bool silent) {
  for (const int gone : {connector, acceptor}) {
    if (ends_[index(gone)].life.get() != &life) continue;
    const int left = other(gone);
    ends_[index(gone)].closed = true;
    if (!ends_[index(left)].life || over()) continue;
    if (silent) {
      sever(net_.weather.drains);
      down_later(left, "no answer from the peer", give_up_min + draw(give_up_max - give_up_min));
    } else if (draw(2) == 0) {
      sever(net_.weather.drains);
      down_later(left, "connection reset", 20'000 + heard_after(500'000));
    } else {
      leave(gone);
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
    answered(engine::Error{engine::Errc::unavailable,
                           fmt::format("connect to {}: {}", end.peer, reason)});
    return;
  }
  end.untold_down = reason;
  pump(end_index);
}

void Wire::path_blocked() {
  if (over()) return;
  for (const int from : {connector, acceptor}) {
    // What is lost on the way is sent again when the path is open, from the middle of a frame on.
    const auto flying = pipe(from).flying().size();
    const bool loses = net_.weather.bytes && ends_[index(from)].path->blocked && flying > 0;
    if (loses) pipe(from).recall(draw(flying + 1));
  }
  for (const int end : {connector, acceptor}) {
    if (!ends_[index(end)].life) continue;
    net_.events_.after(give_up_min + draw(give_up_max - give_up_min), ends_[index(end)].life,
                       "give_up", [self = shared_from_this(), end, since = net_.events_.now()] {
                         self->give_up_if_blocked(end, since);
                       });
  }
}

/// Only if nothing got through since then.
void Wire::give_up_if_blocked(int end, engine::MonoTime since) {
  const auto blocked = [&](int from) {
    const auto& path = *ends_[index(from)].path;
    return path.blocked && path.blocked_since <= since;
  };
  if (over() || !(blocked(connector) || blocked(acceptor))) return;
  sever(net_.weather.drains);
  down(end, "no answer from the peer");
  if (ends_[index(other(end))].life) {
    down_later(other(end), "no answer from the peer", draw(give_up_max));
  }
}

void Wire::path_opened() {
  for (const int from : {connector, acceptor}) push(from);
}

}  // namespace tidemark::sim
