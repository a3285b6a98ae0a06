#include "sim/network.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <utility>

#include "sim/wire.hpp"
#include "transport/replication/greeting.hpp"

namespace tidemark::sim {
namespace {

using engine::Errc;
using engine::Error;

constexpr std::uint64_t connect_wait = 3 * engine::second;  // transport/link.hpp

transport::Network::Outcome judge(engine::Result<engine::Message> answer,
                                  const engine::Hello& hello, const std::shared_ptr<Wire>& wire) {
  if (!answer) return answer.error();
  auto link = std::make_shared<SimLink>(wire, Wire::connector);
  if (const auto* refused = std::get_if<engine::Refused>(&*answer)) {
    link->close();
    return {Error{Errc::refused,
                  fmt::format("{} refused: {}: {}", link->peer(), to_string(refused->code),
                              transport::printable(refused->text))},
            *refused};
  }
  const auto& ok = std::get<engine::HelloOk>(*answer);
  if (auto flaw = transport::flaw_of(ok, hello)) {
    link->close();
    return Error{flaw->code, fmt::format("{}: {}", link->peer(), flaw->text)};
  }
  return transport::Network::Connected{link, ok};
}

}  // namespace

// --- the hub -------------------------------------------------------------------------------------

Path& SimNet::path(std::uint32_t from, std::uint32_t to) {
  const auto [found, made] = paths_.try_emplace({from, to});
  if (made && weather.narrow_max > 1 && random_.chance(1, 3)) {
    found->second.narrow = random_.between(1, weather.narrow_max);
  }
  return found->second;
}

void SimNet::block(std::uint32_t from, std::uint32_t to) {
  auto& between = path(from, to);
  if (std::exchange(between.blocked, true)) return;
  between.blocked_since = events_.now();
  for (const auto& wire : wires_between(from, to)) wire->path_blocked();
}

void SimNet::open(std::uint32_t from, std::uint32_t to) {
  if (!std::exchange(path(from, to).blocked, false)) return;
  for (const auto& wire : wires_between(from, to)) wire->path_opened();
}

void SimNet::open_all() {
  for (auto& [ends, between] : paths_) {
    between.flip_one_in = 0;
    free(ends.first, ends.second);
    open(ends.first, ends.second);
  }
}

bool SimNet::undisturbed() const {
  const auto open = [](const auto& entry) {
    const Path& path = entry.second;
    return !path.blocked && path.clog_gap == 0 && path.flip_one_in == 0;
  };
  return std::all_of(paths_.begin(), paths_.end(), open) && records_lag.empty() && !filter &&
         !forge;
}

bool SimNet::blocked(std::uint32_t from, std::uint32_t to) { return path(from, to).blocked; }

void SimNet::clog(std::uint32_t from, std::uint32_t to, std::uint64_t gap) {
  if (std::exchange(path(from, to).clog_gap, gap) == 0 || gap != 0) return;
  for (const auto& wire : wires_between(from, to)) wire->path_opened();
}

void SimNet::flip(std::uint32_t from, std::uint32_t to, std::uint64_t one_in) {
  path(from, to).flip_one_in = one_in;
}

void SimNet::half_open(std::uint32_t a, std::uint32_t b) {
  for (const auto& wire : wires_between(a, b)) wire->half_open();
}

void SimNet::cut(std::uint32_t a, std::uint32_t b) {
  for (const auto& wire : wires_between(a, b)) {
    wire->break_off("connection reset", 800 * engine::millisecond);
  }
}

void SimNet::life_ended(const Life& life, bool silent) {
  for (const auto& wire : wires()) wire->life_ended(life, silent);
}

std::vector<std::shared_ptr<Wire>> SimNet::wires() {
  std::vector<std::shared_ptr<Wire>> out;
  for (auto it = wires_.begin(); it != wires_.end();) {
    if (auto wire = it->second.lock()) {
      out.push_back(std::move(wire));
      ++it;
    } else {
      it = wires_.erase(it);
    }
  }
  return out;
}

std::vector<std::shared_ptr<Wire>> SimNet::wires_between(std::uint32_t a, std::uint32_t b) {
  auto all = wires();
  std::erase_if(all, [&](const auto& wire) { return !wire->between(a, b); });
  return all;
}

std::map<engine::Purpose, std::uint64_t> SimNet::open_wires() {
  std::map<engine::Purpose, std::uint64_t> open;
  for (const auto& wire : wires()) open[wire->purpose()] += wire->open() ? 1U : 0U;
  return open;
}

std::shared_ptr<Wire> SimNet::control_wire(std::uint32_t node) {
  for (const auto& wire : wires()) {
    if (wire->purpose() == engine::Purpose::control && wire->connector_node() == node &&
        wire->open()) {
      return wire;
    }
  }
  return nullptr;
}

void SimNet::repeat_stale_control() {
  for (const auto& [node, messages] : stale_control_) {
    const auto wire = control_wire(node);
    if (!wire) continue;
    for (const auto& message : messages) wire->inject(message);
  }
}

void SimNet::say_as_control(std::uint32_t node, engine::Message message) {
  if (const auto wire = control_wire(node)) wire->inject(std::move(message));
}

// --- one process ---------------------------------------------------------------------------------

SimNetwork::SimNetwork(SimNet& net, LifePtr life, engine::Endpoint own, engine::ClusterId cluster)
    : net_(net), life_(std::move(life)), own_(std::move(own)), cluster_(cluster) {
  net_.places_[own_] = {life_->node, this};
}

SimNetwork::~SimNetwork() {
  auto& place = net_.places_[own_];
  if (place.process == this) place.process = nullptr;
}

void SimNetwork::on_incoming(std::function<void(transport::Incoming)> accept) {
  accept_ = std::move(accept);
}

void SimNetwork::connect(const engine::Endpoint& to, engine::Hello hello,
                         std::function<void(Outcome)> done) {
  if (!life_->alive) return;
  if (net_.on_connect) net_.on_connect(*life_, to, hello);
  const auto found = net_.places_.find(to);
  const auto node = found == net_.places_.end() ? life_->node : found->second.node;
  const auto id = ++net_.last_wire_;
  auto wire = std::make_shared<Wire>(net_, id, hello, life_, node, to);
  net_.wires_.emplace(id, wire);
  wire->await_answer([hello, weak = std::weak_ptr(wire), done = std::move(done)](auto answer) {
    done(judge(std::move(answer), hello, weak.lock()));
  });
  net_.events_.after(connect_wait, life_, "connect_wait",
                     [wire] { wire->fail("no answer within 3000 ms"); });
  const auto& weather = net_.weather;
  auto delay = net_.random_.between(weather.delay_min, weather.delay_max);
  if (net_.blocked(life_->node, node) || net_.blocked(node, life_->node)) return;
  if (const auto gap = net_.path(life_->node, node).clog_gap; gap != 0) {
    delay += net_.random_.below(gap);
  }
  // The world's event: whoever listens when it arrives.
  net_.events_.after(delay, nullptr, "connect",
                     [&net = net_, to, wire, hello] { reach(net, to, wire, hello); });
}

void SimNetwork::reach(SimNet& net, const engine::Endpoint& to, const std::shared_ptr<Wire>& wire,
                       const engine::Hello& hello) {
  if (wire->over()) return;
  const auto place = net.places_.find(to);
  if (place == net.places_.end() || place->second.process == nullptr) {
    wire->fail("connection refused");
    return;
  }
  auto* process = place->second.process;
  wire->reached(process->life_, fmt::format("{} {}", hello.node.name, to_string(hello.purpose)));
  if (net.weather.bytes) {
    return wire->greet(hello, [process](const std::shared_ptr<Wire>& arrived,
                                        const engine::Hello& h) { process->accept(arrived, h); });
  }
  net.events_.after(0, process->life_, "accept",
                    [process, wire, hello] { process->arrive(wire, hello); });
}

void SimNetwork::arrive(const std::shared_ptr<Wire>& wire, const engine::Hello& hello) {
  auto decoded = transport::decode(transport::encode(hello), std::nullopt);
  if (!decoded) {
    if (net_.on_codec_error) net_.on_codec_error(decoded.error().text);
    return;
  }
  wire->learn_hello(hello);
  accept(wire, std::get<engine::Hello>(*decoded));
}

void SimNetwork::accept(const std::shared_ptr<Wire>& wire, const engine::Hello& hello) {
  auto link = std::make_shared<SimLink>(wire, Wire::acceptor);
  if (const auto refused = transport::flaw_of(hello, cluster_)) {
    link->send(*refused);
    link->close();
    return;
  }
  if (accept_) accept_({hello, std::move(link)});
}

}  // namespace tidemark::sim
