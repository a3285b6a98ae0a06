// Which of the transitions that the state machines' tables allow were walked, and which rows of the
// table of outcomes were decided on: what a simulation never walks it says nothing of.
//
// In the plain variant (daemons) nothing is counted.
#pragma once

#include <cstdint>
#ifdef TIDEMARK_PLANTED
#include <string>
#include <vector>
#endif

namespace tidemark::engine {

enum class OutcomeRow : std::uint8_t;
enum class PeerState : std::uint8_t;
enum class SessionPhase : std::uint8_t;
enum class VolumeState : std::uint8_t;
namespace inflow {
enum class ReceiverState : std::uint8_t;
}

#ifdef TIDEMARK_PLANTED
void walked(SessionPhase from, SessionPhase to);
void walked(PeerState from, PeerState to);
void walked(inflow::ReceiverState from, inflow::ReceiverState to);
void walked(VolumeState from, VolumeState to);
/// A sender found this outcome for its replica and acts on it.
void decided(OutcomeRow row);

/// One allowed transition, "sender/probing>refused", or one row, "outcome/wiped".
struct Edge {
  std::string name;
  std::uint64_t times = 0;
};
/// All of them, in the order of the tables, with how often each was walked in this process since the
/// last forget_edges().
std::vector<Edge> edges();
void forget_edges();
#else
constexpr void walked(SessionPhase, SessionPhase) {}
constexpr void walked(PeerState, PeerState) {}
constexpr void walked(inflow::ReceiverState, inflow::ReceiverState) {}
constexpr void walked(VolumeState, VolumeState) {}
constexpr void decided(OutcomeRow) {}
#endif

}  // namespace tidemark::engine
