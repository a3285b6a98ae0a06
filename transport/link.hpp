// Connections as a seam: ordered messages to one peer that may end at any time.
//
// A Link delivers in order and at most once; silence is no error, on_down is. Bounds: what a
// link holds unsent is counted by queued_bytes(), and senders stop at their credit; a frame
// is bounded by its type before memory is allocated for it. TCP in daemons, the simulated
// network in the simulator.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/messages.hpp"
#include "engine/result.hpp"

namespace tidemark::transport {

/// What a link tells its owner. Called on the loop, never inside a call to the link.
class LinkEvents {
 public:
  virtual ~LinkEvents() = default;
  virtual void on_message(engine::Message message) = 0;
  /// The link is over, once, with a reason for people. Nothing follows.
  virtual void on_down(const std::string& reason) = 0;
};

class Link {
 public:
  virtual ~Link() = default;
  /// Messages of one loop turn leave together. After the link went down it does nothing.
  virtual void send(engine::Message message) = 0;
  /// Handed to send() and not yet to the peer's machine.
  virtual std::size_t queued_bytes() const = 0;
  /// Sends what is queued (a Refused, say), then closes. on_down is not called for one's own close.
  virtual void close() = 0;
  /// Who receives from now on; the old receiver gets nothing more.
  /// Messages wait until there is one.
  virtual void attach(std::weak_ptr<LinkEvents> events) = 0;
  virtual const std::string& peer() const = 0;  ///< For logs: address and purpose.
};
/// Dropping the last reference closes the link at once.
using LinkPtr = std::shared_ptr<Link>;

/// An accepted connection whose Hello was read and whose cluster and protocol were checked. The
/// owner answers with HelloOk or Refused.
struct Incoming {
  engine::Hello hello;
  LinkPtr link;
};

class Network {
 public:
  virtual ~Network() = default;
  /// A link whose Hello was accepted, and by whom.
  struct Connected {
    LinkPtr link;
    engine::HelloOk peer;
  };
  /// The link, or why there is none. A peer's Refused is an error (Errc::refused, with its text) and
  /// stands beside it as it came.
  struct Outcome : engine::Result<Connected> {
    using Result::Result;
    Outcome(engine::Error error, engine::Refused by)
        : Result(std::move(error)), refused(std::move(by)) {}
    std::optional<engine::Refused> refused;
  };
  /// Connects and sends `hello`; `done` gets the link once HelloOk came, with the peer's identity.
  /// Times out after 3 s.
  virtual void connect(const engine::Endpoint& to, engine::Hello hello,
                       std::function<void(Outcome)> done) = 0;
  /// Who gets incoming connections.
  virtual void on_incoming(std::function<void(Incoming)> accept) = 0;
};

}  // namespace tidemark::transport
