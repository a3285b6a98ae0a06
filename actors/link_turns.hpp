// How a link's callbacks enter the node and control actors: as messages to themselves, each
// with the key of the link, so that a word of a connection that was given up meanwhile is
// recognised and dropped.
#pragma once

#include <caf/all.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "engine/messages.hpp"
#include "engine/result.hpp"
#include "transport/link.hpp"

namespace tidemark::actors {

struct ControlLinkSaid {
  std::uint64_t key = 0;
  std::shared_ptr<engine::Message> message;  ///< Owned by the receiver from here on.
};
struct ControlLinkEnded {
  std::uint64_t key = 0;
  std::string reason;
};
/// A batch of the catalog is durable, or never will be.
struct CatalogCommitted {
  engine::Status status;
};
/// A question over a link was not answered in time.
struct AskTimedOut {
  std::uint64_t ask = 0;
};
/// The 500 ms beat: heartbeats, repeats, deadlines.
struct BeatDue {};
/// A wait that is shorter than a beat is over.
struct WaitOver {};
/// The wait for promises of a volume is over.
struct ChoiceDue {};

/// Passes a link's events on to an actor that takes ControlLinkSaid and ControlLinkEnded.
template <class Handle>
class ControlLinkRelay : public transport::LinkEvents {
 public:
  ControlLinkRelay(Handle to, std::uint64_t key) : to_(std::move(to)), key_(key) {}
  void on_message(engine::Message message) override {
    caf::anon_send(to_,
                   ControlLinkSaid{key_, std::make_shared<engine::Message>(std::move(message))});
  }
  void on_down(const std::string& reason) override {
    caf::anon_send(to_, ControlLinkEnded{key_, reason});
  }

 private:
  Handle to_;
  std::uint64_t key_;
};

inline constexpr std::uint64_t heartbeat_every = 500 * engine::millisecond;
inline constexpr std::uint64_t control_link_dead_after = 3 * engine::second;

}  // namespace tidemark::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::ControlLinkSaid)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::ControlLinkEnded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::CatalogCommitted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::AskTimedOut)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::BeatDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::WaitOver)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::ChoiceDue)
