#include "engine/walked.hpp"

#ifdef TIDEMARK_PLANTED

#include <fmt/format.h>

#include <array>

#include "engine/outcome.hpp"
#include "engine/receiver.hpp"
#include "engine/sender.hpp"
#include "engine/session.hpp"
#include "engine/volume.hpp"

namespace tidemark::engine {
namespace {

template <class State>
constexpr std::size_t index_of(State state) {
  return static_cast<std::size_t>(state);
}

/// How often each state of a machine was followed by each other one. `last`: its last state.
template <class State, State last>
class Walks {
 public:
  void count(State from, State to) { ++times_.at(index_of(from)).at(index_of(to)); }
  void forget() { times_ = {}; }
  /// Appends what `may` allows; a state does not follow itself.
  template <class May>
  void list(std::string_view machine, May may, std::vector<Edge>& out) const {
    for (std::size_t i = 0; i <= index_of(last); ++i) {
      for (std::size_t j = 0; j <= index_of(last); ++j) {
        const auto from = static_cast<State>(i);
        const auto to = static_cast<State>(j);
        if (i == j || !may(from, to)) continue;
        out.push_back(
            {fmt::format("{}/{}>{}", machine, to_string(from), to_string(to)), times_[i][j]});
      }
    }
  }

 private:
  static constexpr std::size_t states = index_of(last) + 1;
  std::array<std::array<std::uint64_t, states>, states> times_{};
};

Walks<SessionPhase, SessionPhase::ended> session_walks;
Walks<PeerState, PeerState::stopped> sender_walks;
Walks<inflow::ReceiverState, inflow::ReceiverState::stopped> receiver_walks;
Walks<VolumeState, VolumeState::ended> volume_walks;
std::array<std::uint64_t, index_of(OutcomeRow::count_)> rows_decided{};

}  // namespace

void walked(SessionPhase from, SessionPhase to) { session_walks.count(from, to); }
void walked(PeerState from, PeerState to) { sender_walks.count(from, to); }
void walked(inflow::ReceiverState from, inflow::ReceiverState to) {
  receiver_walks.count(from, to);
}
void walked(VolumeState from, VolumeState to) { volume_walks.count(from, to); }
void decided(OutcomeRow row) { ++rows_decided.at(index_of(row)); }

std::vector<Edge> edges() {
  std::vector<Edge> all;
  session_walks.list(
      "session", [](auto from, auto to) { return allowed(from, to); }, all);
  sender_walks.list(
      "sender", [](auto from, auto to) { return outflow::allowed(from, to); }, all);
  receiver_walks.list(
      "receiver", [](auto from, auto to) { return inflow::allowed(from, to); }, all);
  volume_walks.list(
      "volume", [](auto from, auto to) { return allowed(from, to); }, all);
  for (std::size_t i = 0; i < rows_decided.size(); ++i) {
    all.push_back(
        {fmt::format("outcome/{}", to_string(static_cast<OutcomeRow>(i))), rows_decided[i]});
  }
  return all;
}

void forget_edges() {
  session_walks.forget();
  sender_walks.forget();
  receiver_walks.forget();
  volume_walks.forget();
  rows_decided.fill(0);
}

}  // namespace tidemark::engine

#endif
