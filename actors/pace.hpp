// The node's pace (engine/base_pace.hpp) as an actor: what senders ask before they read a base, and
// what volumes tell it of their clients.
//
//   Sender ==PaceAsked==> Pace ==PaceTold==> Sender        before each read of base blocks
//   Volume ==VolumeServed==> Pace                          when its reign begins
//   Volume ==WritesMeasured==> Pace                        a few times per second
#pragma once

#include <caf/all.hpp>

#include <cstdint>

#include "engine/base_pace.hpp"

namespace tidemark::actors {

/// Pace -> Sender: the read that was asked for may begin, once per question; with 0 bytes only how
/// it stands meanwhile.
struct PaceTold {
  engine::SessionId session;
  std::uint64_t bytes = 0;
  engine::PaceStanding standing;
};
using PaceListener = caf::typed_actor<caf::reacts_to<PaceTold>>;

/// Sender -> Pace: one question at a time. The first one queues for a place; it is given up with
/// PaceLeft, or with the sender's end.
struct PaceAsked {
  PaceListener sender;
  engine::SessionId session;
  std::uint64_t bytes = 0;
};
/// Sender -> Pace: a read that was granted moved other than it was granted for.
struct PaceUsed {
  std::uint64_t granted = 0;
  std::uint64_t used = 0;
};
/// Sender -> Pace: its lane is over. Harmless to repeat.
struct PaceLeft {
  caf::actor_addr sender;
};
/// Volume -> Pace: clients may come, or come back.
struct VolumeServed {
  engine::VolumeId volume;
};
/// Volume -> Pace: what its clients saw.
struct WritesMeasured {
  engine::VolumeId volume;
  engine::LatencySample sample;
};
/// Node -> Pace: an operator's word, until the node restarts. 0: no cap.
struct SetRebuildRate {
  std::uint64_t bytes_per_second = 0;
};
/// Pace -> itself.
struct PaceDue {
  std::uint64_t arming = 0;
};

using Pace =
    caf::typed_actor<caf::reacts_to<PaceAsked>, caf::reacts_to<PaceUsed>, caf::reacts_to<PaceLeft>,
                     caf::reacts_to<VolumeServed>, caf::reacts_to<WritesMeasured>,
                     caf::reacts_to<SetRebuildRate>, caf::reacts_to<PaceDue>>;

}  // namespace tidemark::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::PaceTold)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::PaceAsked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::PaceUsed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::PaceLeft)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::VolumeServed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::WritesMeasured)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::SetRebuildRate)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::PaceDue)
