// One sender per replica: which are to be added, told of a change, or removed when an assignment
// arrives. A stale assignment is refused whole, before any side effect; the same one twice changes
// nothing, a running session included.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "engine/assignment.hpp"

namespace tidemark::engine {

struct SenderChange {
  enum class Kind : std::uint8_t {
    add,
    update,      ///< Epoch, version or set moved; the endpoint is what it was: sessions go on.
    re_address,  ///< The endpoint moved: it must prove itself again.
    remove,
  };
  Kind kind = Kind::add;
  ReplicaId replica;
  auto operator<=>(const SenderChange&) const = default;
};
std::string_view to_string(SenderChange::Kind kind);

class SenderRegistry {
 public:
  /// What to do so that the senders are those of `arriving`, ordered: removals, then by ReplicaId.
  /// Empty for one that is stale or the same as the one in force.
  std::vector<SenderChange> reconcile(const Assignment& arriving);
  /// The role is over: every sender is to be removed.
  std::vector<SenderChange> dissolve();

  const std::optional<Assignment>& in_force() const { return in_force_; }
  std::vector<ReplicaId> peers() const;

 private:
  std::vector<SenderChange> remove_missing(const Assignment& arriving);

  std::optional<Assignment> in_force_;
  std::map<ReplicaId, Member> senders_;  ///< Every member but ourselves.
};

}  // namespace tidemark::engine
