// A connection's bytes: how they are cut into pieces, when these land, and what is put together of
// them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sim/wire.hpp"

namespace tidemark::sim {
namespace {

using engine::MonoTime;

// One packet's worth.
constexpr std::size_t trickle_bytes_max = 1448;

}  // namespace

// --- leaving -------------------------------------------------------------------------------------

/// Sends on its way what may leave now.
void Wire::push(int from) {
  const auto& path = *ends_[index(from)].path;
  while (!over() && pipe(from).waits() && !path.blocked) {
    if (path.clog_gap != 0) return trickle_later(from);
    launch(from, piece_bytes(from));
  }
}

/// Mostly a frame.
std::size_t Wire::piece_bytes(int from) {
  const auto& stream = pipe(from);
  const auto front = stream.front_bytes();
  const auto one_in = net_.weather.fragment_one_in;
  if (front == 0 || one_in == 0 || !net_.random_.chance(1, one_in)) return front;
  switch (draw(4)) {
    case 0:
      return 1;
    case 1:
      return 1 + draw(std::min(front, transport::frame_header_bytes));
    case 2:
      return 1 + draw(front);
    default:
      return front + draw(stream.waiting_bytes() - front + 1);
  }
}

void Wire::trickle_later(int from) {
  auto& end = ends_[index(from)];
  if (std::exchange(end.trickles, true)) return;
  const auto gap = end.path->clog_gap;
  net_.events_.after(gap / 2 + draw(gap), nullptr, "trickle", [self = shared_from_this(), from] {
    auto& sender = self->ends_[index(from)];
    sender.trickles = false;
    if (self->over() || sender.path->blocked || !self->pipe(from).waits()) return;
    const auto front = self->pipe(from).front_bytes();
    const bool cuts = self->net_.weather.bytes && front > 0;
    self->launch(from, cuts ? std::min(front, 1 + self->draw(trickle_bytes_max)) : front);
    self->push(from);
  });
}

void Wire::launch(int from, std::size_t bytes) {
  auto piece = pipe(from).next(bytes);
  net_.trace_.mix(std::span<const std::byte>(piece.bytes));
  ++net_.counts_.pieces;
  const auto when = arrival(from, piece.bytes.size());
  fly(from, std::move(piece), when);
}

MonoTime Wire::arrival(int from, std::size_t bytes) {
  const auto& weather = net_.weather;
  auto& end = ends_[index(from)];
  auto delay = net_.random_.between(weather.delay_min, weather.delay_max);
  const auto transfer = bytes * 1000 * end.path->narrow / weather.bytes_per_microsecond;
  if (weather.shared_capacity) {
    const auto begin = std::max(net_.events_.now(), end.path->free_at);
    end.path->free_at = begin + transfer;
    delay += end.path->free_at.value - net_.events_.now().value;
  } else {
    delay += transfer;
  }
  if (weather.spike_one_in != 0 && net_.random_.chance(1, weather.spike_one_in)) {
    delay += net_.random_.below(weather.spike_max);
  }
  if (purpose_ == engine::Purpose::records) {
    const auto lag = net_.records_lag.find(ends_[index(other(from))].node);
    if (lag != net_.records_lag.end()) delay += lag->second;
  }
  if (!net_.purpose_lag.empty()) {
    const auto lag = net_.purpose_lag.find(purpose_);
    if (lag != net_.purpose_lag.end()) delay += lag->second;
  }
  return net_.events_.now() + delay;
}

void Wire::fly(int from, Pipe::Piece piece, MonoTime when) {
  auto& end = ends_[index(from)];
  end.last_arrival = std::max(when, end.last_arrival.next());
  piece.due = end.last_arrival;
  const auto* kind = piece.end ? "closed" : "frame";
  pipe(from).fly(std::move(piece));
  expect(from, end.last_arrival, kind);
}

// --- arriving ------------------------------------------------------------------------------------

void Wire::expect(int from, MonoTime when, const char* kind) {
  net_.events_.at(
      when, ends_[index(other(from))].life, kind,
      [self = shared_from_this(), from] { self->landed(from); }, lane(from));
}

/// Who reads late gets more at once: what is there, and the next piece with it.
bool Wire::reads_late(int from) {
  const auto one_in = net_.weather.fragment_one_in;
  const auto& flying = pipe(from).flying();
  const auto next = std::find_if(flying.begin(), flying.end(), [&](const Pipe::Piece& piece) {
    return piece.due > net_.events_.now();
  });
  if (one_in == 0 || next == flying.end() || !net_.random_.chance(1, one_in)) return false;
  expect(from, next->due, "frame");
  return true;
}

void Wire::landed(int from) {
  if (reads_late(from)) return;
  auto& stream = pipe(from);
  const int to = other(from);
  while (!broken_) {
    auto piece = stream.land(net_.events_.now());
    if (!piece) return;
    if (piece->end) {
      broken_ = true;
      return down(to, "closed by the peer");
    }
    read(to, piece->bytes);
    stream.reuse(std::move(piece->bytes));
  }
}

/// An end that does not read any more takes the bytes all the same, as a machine does.
void Wire::read(int to, std::span<const std::byte> bytes) {
  auto& end = ends_[index(to)];
  while (!bytes.empty() && !end.deaf && !end.closed && !end.down) {
    bytes = bytes.subspan(pipe(other(to)).feed(bytes));
    while (!end.deaf && !end.closed && !end.down && take(to)) let_pass(to);
  }
}

/// False when no whole frame is there, or the connection is over.
bool Wire::take(int to) {
  auto& end = ends_[index(to)];
  auto& stream = pipe(other(to));
  auto next = stream.take(end.terms);
  if (const auto* what = std::get_if<transport::Breach>(&next)) return breach(to, *what), false;
  auto* message = std::get_if<engine::Message>(&next);
  if (message == nullptr) return false;
  const auto sent = stream.front();
  stream.pop_front();
  if (sent.damaged && net_.on_flip_believed) {
    net_.on_flip_believed(fmt::format("wire {}: a {} with a flipped bit was taken for a {}", id_,
                                      transport::rule_of(sent.type).name, engine::name(*message)));
  }
  if (sent.type != transport::type_of(*message) && net_.on_codec_error) {
    net_.on_codec_error(fmt::format("wire {}: a {} arrived as a {}", id_,
                                    transport::rule_of(sent.type).name, engine::name(*message)));
  }
  end.terms.learn(*message);
  end.stalled.push_back(std::move(*message));
  return true;
}

/// As TcpConnection does: the peer is told, and the owner, and nothing more is read.
void Wire::breach(int to, const transport::Breach& what) {
  auto& end = ends_[index(to)];
  end.deaf = true;
  if (!pipe(other(to)).front().damaged) {
    if (net_.on_codec_error) net_.on_codec_error(fmt::format("wire {}: {}", id_, what.text));
    return;
  }
  ++net_.counts_.refused;
  const auto side =
      to == connector ? transport::Direction::from_connector : transport::Direction::from_acceptor;
  if (transport::allowed(purpose_, side, end.terms.phase, transport::FrameType::refused)) {
    send(to, engine::Refused{what.code, what.text, {}});
  }
  transmit_end(to);
  if (to == acceptor) greeted_ = nullptr;
  down(to, fmt::format("{} was refused ({}): {}", end.peer, to_string(what.code), what.text));
}

// --- behind a break ------------------------------------------------------------------------------

/// Of what is on its way all, a part that may end inside a frame, or nothing still arrives, and now
/// and then after seconds.
void Wire::drain_perhaps(int from) {
  constexpr std::uint64_t late_max = 3 * engine::second;
  auto& stream = pipe(from);
  if (stream.flying().empty()) return;
  const auto fate = draw(4);
  if (fate == 0) return stream.lose_behind(0);
  if (fate == 1) stream.lose_behind(1 + draw(stream.flying_bytes()));
  if (stream.flying().empty()) return;
  ++net_.counts_.torn;
  if (draw(2) == 0) return;
  const auto when = net_.events_.now() + draw(late_max);
  auto pieces = stream.flying().size();
  for (stream.recall(0); pieces > 0; --pieces) {
    fly(from, stream.next(stream.front_bytes()), when);
  }
}

}  // namespace tidemark::sim
