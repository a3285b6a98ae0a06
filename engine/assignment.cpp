#include "engine/assignment.hpp"

#include <algorithm>
#include <utility>

namespace tidemark::engine {
namespace {

template <class List>
auto find(const List& list, ReplicaId id) -> decltype(list.data()) {
  const auto found = std::find_if(list.begin(), list.end(),
                                  [id](const auto& entry) { return entry.replica == id; });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

const Member* Assignment::member(ReplicaId id) const { return find(members, id); }

const SetMember* Assignment::in_set(ReplicaId id) const { return find(in_sync, id); }

AssignmentOrder order(const std::optional<Assignment>& in_force, const Assignment& arriving) {
  if (!in_force) return AssignmentOrder::newer;
  const auto have = std::pair(in_force->epoch, in_force->version);
  const auto got = std::pair(arriving.epoch, arriving.version);
  if (got == have) return AssignmentOrder::same;
  return got > have ? AssignmentOrder::newer : AssignmentOrder::stale;
}

}  // namespace tidemark::engine
