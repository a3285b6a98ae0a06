#include "sim/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

using engine::block_bytes;
using engine::FrontOp;
using engine::FrontReply;
using engine::FrontRequest;

constexpr std::uint64_t us = 1'000;

const char* word(const Ask& ask) {
  switch (ask.op) {
    case FrontOp::read:
      return "read";
    case FrontOp::write: {
      const bool aligned =
          ask.cells.first % cells_per_block == 0 && ask.cells.count % cells_per_block == 0;
      if (ask.fua) return aligned ? "write_fua" : "write_fua_unaligned";
      return aligned ? "write" : "write_unaligned";
    }
    case FrontOp::flush:
      return "flush";
    case FrontOp::trim:
      return "trim";
    case FrontOp::write_zeroes:
      return "write_zeroes";
    case FrontOp::cache:
      return "cache";
    case FrontOp::block_status:
      return "block_status";
  }
  return "?";
}

/// Whole blocks inside: what TRIM may take.
CellRange inner_blocks(CellRange cells) {
  const auto first = (cells.first + cells_per_block - 1) / cells_per_block * cells_per_block;
  const auto end = (cells.first + cells.count) / cells_per_block * cells_per_block;
  return {first, end > first ? end - first : 0};
}

}  // namespace

Client::Client(ClientWorld& world, Counts& counts, std::uint64_t id, Random random)
    : world_(world), counts_(counts), id_(id), random_(random) {}

void Client::start() {
  unserved_since_ = world_.events.now();
  connect_later(0);
}

void Client::connect_later(std::uint64_t delay) {
  if (std::exchange(connecting_, true)) return;
  world_.events.after(delay, nullptr, "client_connects", [self = shared_from_this()] {
    self->connecting_ = false;
    self->connect();
  });
}

// Node after node, beginning with the last one:
// that one says who is primary, but any may have changed.
void Client::connect() {
  if (port_ != nullptr) return;
  for (std::uint32_t i = 0; i < world_.nodes; ++i) {
    const auto node = (node_ + i) % world_.nodes;
    auto door = world_.open(node, weak_from_this());
    if (!door) continue;
    node_ = node;
    port_ = std::move(door->port);
    ++connection_;
    ++counts_.connections;
    reign_ = world_.history.opened(door->life);
    world_.registers.opened(reign_, world_.events.now());
    world_.trace.note(world_.events.now(),
                      fmt::format("client {} connects to node{}, reign {}", id_, node + 1, reign_));
    turn_later();
    return;
  }
  connect_later(random_.between(5'000, 40'000) * us);
}

void Client::turn_later() {
  if (!next || std::exchange(turning_, true)) return;
  auto pause = 1 + random_.below(20 * us);
  if (think_max != 0) pause += random_.below(think_max);
  world_.events.after(pause, nullptr, "client", [self = shared_from_this()] {
    self->turning_ = false;
    self->turn();
  });
}

void Client::resume() {
  paused_ = false;
  turn_later();
}

void Client::turn() {
  while (port_ != nullptr && !stopped_ && !paused_ && pending_.size() < depth) {
    const auto drawn = next(*this);
    if (!drawn) return;
    ask(*drawn);
  }
}

FrontRequest Client::request(const Ask& ask, OpId op) {
  FrontRequest r;
  r.cookie = ++last_cookie_;
  r.op = ask.op;
  r.offset = ask.cells.first * cell_bytes;
  r.length = ask.cells.count * cell_bytes;
  r.fua = ask.fua;
  r.no_hole = ask.no_hole;
  if (ask.op != FrontOp::write) return r;
  const auto within = r.offset % block_bytes;
  const auto blocks = (within + r.length + block_bytes - 1) / block_bytes;
  // What the client did not write is undefined: any byte but those of a stamp.
  constexpr std::byte undefined{0xee};
  r.data = engine::Buffer(blocks * block_bytes);
  std::ranges::fill(r.data.bytes().first(within), undefined);
  std::ranges::fill(r.data.bytes().subspan(within + r.length), undefined);
  for (std::uint64_t i = 0; i < ask.cells.count; ++i) {
    stamp(r.data.bytes().subspan(within + i * cell_bytes, cell_bytes), world_.volume_tag,
          ask.cells.first + i, op);
  }
  return r;
}

bool Client::ask(const Ask& ask, OnAnswer done) {
  if (port_ == nullptr) return false;
  const auto now = world_.events.now();
  OpId op = 0;
  const bool zeros = ask.op == FrontOp::trim || ask.op == FrontOp::write_zeroes;
  if (zeros || ask.op == FrontOp::write) {
    const auto cells = ask.op == FrontOp::trim ? inner_blocks(ask.cells) : ask.cells;
    op = world_.history.write_begun(id_, reign_, now, cells, zeros);
    world_.registers.write_begun(op, reign_, now, cells, zeros);
  }
  auto r = request(ask, op);
  ++counts_.asked[word(ask)];
  if (world_.trace.verbose) {
    world_.trace.note(now, fmt::format("client {} asks {} cells {}+{} op {}", id_, word(ask),
                                       ask.cells.first, ask.cells.count, op));
  }
  pending_.emplace(r.cookie, Pending{ask, op, now, std::move(done)});
  tell_waiting();
  std::vector<FrontRequest> requests;
  requests.push_back(std::move(r));
  port_->submit(std::move(requests));
  return true;
}

// Cookies are counted up: the first one is the oldest.
void Client::tell_waiting() {
  world_.registers.waits(
      id_, pending_.empty() ? std::nullopt : std::optional(pending_.begin()->second.began));
}

// Answers travel to the client: they are lost with its connection.
void Client::on_replies(std::vector<FrontReply> replies) {
  for (auto& reply : replies) {
    note_answer(reply);
    world_.events.after(20 * us + random_.below(60 * us), nullptr, "client_hears",
                        [self = shared_from_this(), connection = connection_,
                         reply = std::move(reply)] { self->received(connection, reply); });
  }
}

// What the server says counts, whether or not the client comes to hear it.
void Client::note_answer(const FrontReply& reply) {
  const auto found = pending_.find(reply.cookie);
  if (reply.error || found == pending_.end() || found->second.ask.op != FrontOp::write) return;
  const auto place = world_.answers.place(found->second.op);
  if (place) world_.judges.reigns.answered(found->second.op, *place);
}

void Client::received(std::uint64_t connection, const FrontReply& reply) {
  if (connection != connection_ || port_ == nullptr) return;
  const auto found = pending_.find(reply.cookie);
  if (found == pending_.end()) {
    return world_.fail("answered_twice",
                       fmt::format("client {} has no request {}", id_, reply.cookie));
  }
  const auto pending = std::move(pending_.extract(found).mapped());
  tell_waiting();
  ++answered_;
  ++counts_.answered;
  judge(pending, reply);
  if (pending.done) pending.done(reply.error);
  turn_later();
}

void Client::judge(const Pending& pending, const FrontReply& reply) {
  const auto now = world_.events.now();
  if (world_.trace.verbose) {
    world_.trace.note(now, fmt::format("client {} is answered {} op {}: {}", id_, word(pending.ask),
                                       pending.op, reply.error ? reply.error->text : "ok"));
  }
  if (reply.error) {
    ++counts_.errors;
    world_.judges.refused(pending.ask.op, *reply.error, now, world_.read_errors_excused);
    if (reply.error->text.find("the volume ends at") != std::string::npos) {
      world_.history.beyond_refused(pending.began, pending.ask.cells);
    }
    const bool read = pending.ask.op == FrontOp::read;
    if (read && !world_.read_errors_excused && reply.error->code == engine::Errc::corrupt) {
      world_.fail("read_error",
                  fmt::format("client {}: read of cells {}+{}: {}", id_, pending.ask.cells.first,
                              pending.ask.cells.count, reply.error->text));
    }
    return;
  }
  world_.history.within_answered(pending.began, pending.ask.cells);
  switch (pending.ask.op) {
    case FrontOp::write:
      world_.answers.answered(pending.op, node_);
      world_.judges.answered(pending.op, node_, reign_, now, pending.ask.fua);
      [[fallthrough]];
    case FrontOp::trim:
    case FrontOp::write_zeroes:
      world_.history.write_answered(pending.op, now, pending.ask.fua);
      return world_.registers.write_answered(pending.op, now);
    case FrontOp::flush:
      world_.judges.flushed(node_, reign_, pending.began);
      return world_.history.flushed(reign_, pending.began);
    case FrontOp::read:
      return judge_read(pending, reply);
    case FrontOp::cache:
    case FrontOp::block_status:
      return;
  }
}

void Client::judge_read(const Pending& pending, const FrontReply& reply) {
  const auto now = world_.events.now();
  auto cell = pending.ask.cells.first;
  const auto end = cell + pending.ask.cells.count;
  for (const auto& piece : reply.pieces) {
    const auto bytes = piece.data.empty() ? piece.zero_bytes : piece.data.size();
    if (bytes % cell_bytes != 0) {
      return world_.fail("read_shape", "a piece of a read does not end with a cell");
    }
    for (std::uint64_t at = 0; at < bytes && cell < end; at += cell_bytes, ++cell) {
      const auto value = piece.data.empty() ? std::optional<OpId>(0)
                                            : read_stamp(piece.data.bytes().subspan(at, cell_bytes),
                                                         world_.volume_tag, cell);
      world_.history.cell_read(reign_, pending.began, now, cell, value);
      world_.registers.cell_read(reign_, pending.began, now, cell, value);
    }
  }
  if (cell != end) world_.fail("read_shape", "a read is shorter than what was asked");
}

void Client::on_cut(const std::string& reason) {
  // Called inside the server: the port may not go while it is being used.
  world_.events.after(0, nullptr, "client_cut",
                      [self = shared_from_this(), connection = connection_, reason] {
                        if (connection == self->connection_) self->connection_lost(reason);
                      });
  if (reign_ != 0) world_.history.reign_over(reign_);
}

void Client::server_died() {
  if (port_ == nullptr) return;
  world_.history.reign_over(reign_);
  connection_lost("the server died");
}

void Client::connection_lost(const std::string& why) {
  if (port_ == nullptr) return;
  world_.trace.note(world_.events.now(),
                    fmt::format("client {} loses its connection: {}", id_, why));
  ++counts_.cuts;
  counts_.unknown += pending_.size();
  pending_.clear();
  tell_waiting();
  port_.reset();
  unserved_since_ = world_.events.now();
  connect_later(random_.between(100, 20'000) * us);
}

std::optional<engine::MonoTime> Client::waiting_since() const {
  if (!pending_.empty()) return pending_.begin()->second.began;
  if (port_ == nullptr && next && !stopped_ && !paused_) return unserved_since_;
  return std::nullopt;
}

}  // namespace tidemark::sim
