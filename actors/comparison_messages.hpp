// The messages of the comparison that ends a copy; part of interfaces.hpp.
//
//   Receiver ==PrepareComparison, CompareBase==> its Store      Sender ==SumGroups==> the source's Store
#pragma once

#include <cstdint>
#include <vector>

#include <caf/all.hpp>

#include "engine/messages.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::actors {

/// The replica, when nothing is missing: flush nothing from here on, and what is to be compared.
struct PrepareComparison {};
struct ComparisonPrepared {
  engine::Result<engine::BaseQuestion> question;
};
/// The source: what its extents come to, at `question.at` or behind it.
struct SumGroups {
  engine::BaseQuestion question;
};
struct GroupsSummed {
  engine::Result<engine::GroupSums> sums;
};
/// The replica: the groups that are not equal at `lsn`, which are missing again. The hold is over
/// then; refused when it was before.
struct CompareBase {
  engine::Lsn lsn;
  engine::BaseQuestion question;
  std::vector<std::uint64_t> sums;
};
struct BaseCompared {
  engine::Result<std::vector<engine::BlockRange>> unequal;
};

}  // namespace tidemark::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::PrepareComparison)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::ComparisonPrepared)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::SumGroups)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::GroupsSummed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::CompareBase)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::BaseCompared)
