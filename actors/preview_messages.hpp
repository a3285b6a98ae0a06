// The messages of a preview of recovery; part of interfaces.hpp.
//
//   Node ==AskPreview==> Volume ==delegates==> Sender ==AskMoveCost, and other questions==> Store
#pragma once

#include <caf/all.hpp>

#include "engine/preview.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::actors {

/// Sender -> Store: what a recovery would move. Nothing is begun or pinned.
struct AskMoveCost {
  engine::MoveQuestion question;
};
struct MoveCostIs {
  engine::Result<engine::MoveCost> cost;
};
/// Node -> Volume -> Sender: what recovery of that replica would do now; it does nothing.
struct AskPreview {
  engine::ReplicaId replica;
};
struct PreviewIs {
  engine::Result<engine::RecoveryPreview> preview;
};

}  // namespace tidemark::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::AskMoveCost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::MoveCostIs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::AskPreview)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::PreviewIs)
