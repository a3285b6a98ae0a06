#include "sim/checkers/bystanders.hpp"

#include "actors/interfaces.hpp"

namespace tidemark::sim {

// A store says whose it is when it is opened, before it is given or asked anything.
bool Bystanders::concerned(const Step& step) {
  if (step.life && step.life->twin) return true;
  const auto& content = step.content;
  if (content.size() != 1) return false;
  if (content.match_element<actors::StoreOpened>(0)) {
    const auto& opened = content.get_as<actors::StoreOpened>(0);
    if (opened.facts && opened.facts->spec.name != volume_) strange_.insert(step.sender);
    return strange_.contains(step.sender);
  }
  if (strange_.contains(step.sender)) return true;
  // Who numbers records may be heard of before its store is.
  if (content.match_element<actors::RecordsNumbered>(0) && !ours_.contains(step.sender))
    return true;
  if (content.match_element<actors::SetListener>(0) && !strange_.contains(step.receiver))
    ours_.insert(content.get_as<actors::SetListener>(0).listener.id());
  if (!strange_.contains(step.receiver)) return false;
  if (content.match_element<actors::SetListener>(0))
    strange_.insert(content.get_as<actors::SetListener>(0).listener.id());
  return true;
}

}  // namespace tidemark::sim
