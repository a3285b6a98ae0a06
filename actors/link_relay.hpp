// Brings what a link tells into an actor as messages to itself, with the number under which the
// link is known there: what an older link said last is recognised by it. Holds the actor weakly;
// nothing fires into a dead one.
#pragma once

#include <caf/all.hpp>

#include <cstdint>
#include <string>
#include <utility>

#include "transport/link.hpp"

namespace tidemark::actors {

/// The actor behind `address` if it is still alive, else nothing is sent.
template <class Handle, class Turn>
void tell(const caf::actor_addr& address, Turn turn) {
  if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(address)) {
    caf::anon_send(caf::actor_cast<Handle>(std::move(strong)), std::move(turn));
  }
}

/// `Said{link, message}` and `Gone{link, reason}` are messages that `Handle` takes.
template <class Handle, class Said, class Gone>
class LinkRelay final : public transport::LinkEvents {
 public:
  LinkRelay(caf::actor_addr owner, std::uint64_t link) : owner_(std::move(owner)), link_(link) {}

  void on_message(engine::Message message) override {
    tell<Handle>(owner_, Said{link_, std::move(message)});
  }
  void on_down(const std::string& reason) override { tell<Handle>(owner_, Gone{link_, reason}); }

 private:
  caf::actor_addr owner_;
  std::uint64_t link_;
};

}  // namespace tidemark::actors
