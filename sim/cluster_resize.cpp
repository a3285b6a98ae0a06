// An operator of the simulated cluster gives its volume another size.
#include <fmt/format.h>

#include "sim/cluster.hpp"

namespace tidemark::sim {

bool Cluster::begin_resize(std::uint64_t blocks) {
  if (history_->resizing() || blocks * cells_per_block == history_->size()) return false;
  history_->resize_begun(now(), blocks * cells_per_block);
  registers_->resize_begun(now(), blocks * cells_per_block);
  ask_resize(blocks);
  return true;
}

/// As an operator would: again and again until it is told to be in force. Twice is the same.
void Cluster::ask_resize(std::uint64_t blocks) {
  const auto number = ++resizes_asked_;
  const auto body =
      fmt::format("{{\"size_bytes\":{},\"shrink\":true}}", blocks * engine::block_bytes);
  const auto path = fmt::format("/v1/volumes/{}/resize", volume);
  const auto wanted = fmt::format("\"size_bytes\":{},", blocks * engine::block_bytes);
  auto answered = [this, blocks, wanted, number](const engine::AdminReply& reply) {
    if (number != resizes_asked_) return;
    const bool done = reply.status == 200 && reply.body.find(wanted) != std::string::npos &&
                      reply.body.find("wanted_size_bytes") == std::string::npos;
    if (!done) return ask_resize_again(blocks, number);
    ++resizes_asked_;
    history_->resize_ended(now());
    registers_->resize_ended(now());
  };
  std::uint32_t at = 0;
  while (at + 1 < size() && !alive(at)) ++at;
  if (alive(at)) watch_resize(blocks, number, at, nodes_[at]->life()->id);
  admin_later("POST", path, body, std::move(answered), at);
}

void Cluster::ask_resize_again(std::uint64_t blocks, std::uint64_t number) {
  world_.events.after(200 * engine::millisecond, nullptr, "operator_asks_again",
                      [this, blocks, number] {
                        if (number == resizes_asked_) ask_resize(blocks);
                      });
}

/// A process that dies takes the answer with it.
void Cluster::watch_resize(std::uint64_t blocks, std::uint64_t number, std::uint32_t at,
                           std::uint32_t life) {
  world_.events.after(500 * engine::millisecond, nullptr, "operator_waits",
                      [this, blocks, number, at, life] {
                        if (number != resizes_asked_) return;
                        if (alive(at) && nodes_[at]->life()->id == life) {
                          return watch_resize(blocks, number, at, life);
                        }
                        ask_resize(blocks);
                      });
}

bool Cluster::resize(std::uint64_t blocks) {
  return begin_resize(blocks) && run_until([this] { return !history_->resizing(); });
}

}  // namespace tidemark::sim
