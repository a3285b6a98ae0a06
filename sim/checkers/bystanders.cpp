#include "sim/checkers/bystanders.hpp"

#include "actors/interfaces.hpp"
#include "sim/checkers/said.hpp"

namespace tidemark::sim {

// A store says whose it is when it is opened, before it is given or asked anything.
bool Bystanders::concerned(const Step& step) {
  if (step.life && step.life->twin) return true;
  if (const auto* opened = said<actors::StoreOpened>(step)) {
    if (opened->facts && opened->facts->spec.name != volume_) strange_.insert(step.sender);
    return strange_.contains(step.sender);
  }
  if (strange_.contains(step.sender)) return true;
  // Who numbers records may be heard of before its store is.
  if (said<actors::RecordsNumbered>(step) != nullptr && !ours_.contains(step.sender)) return true;
  const bool strange = strange_.contains(step.receiver);
  if (const auto* set = said<actors::SetListener>(step))
    (strange ? strange_ : ours_).insert(set->listener.id());
  return strange;
}

}  // namespace tidemark::sim
