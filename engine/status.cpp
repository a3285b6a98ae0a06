#include "engine/status.hpp"

namespace tidemark::engine {

std::string_view to_string(PeerState state) {
  switch (state) {
    case PeerState::disconnected:
      return "disconnected";
    case PeerState::connecting:
      return "connecting";
    case PeerState::probing:
      return "probing";
    case PeerState::preparing:
      return "preparing";
    case PeerState::catching_up:
      return "catching_up";
    case PeerState::rebuilding:
      return "rebuilding";
    case PeerState::streaming:
      return "streaming";
    case PeerState::refused:
      return "refused";
    case PeerState::stopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace tidemark::engine
