#include "engine/control/choose.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

#include "engine/planted.hpp"
#include "engine/quorum.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::control {
namespace {

std::string name_of(const VolumeRecord& volume, ReplicaId replica) {
  const auto* member = volume.member(replica);
  return member != nullptr ? member->node.name : fmt::format("replica {}", replica);
}

/// What makes one log the better one to go on with. Committed is never a criterion: a member may
/// hold flushed records whose commit it has not heard of (C2).
auto merit(const Promise& promise) {
  if (planted(Bug::candidate_by_committed)) return std::pair(Epoch(), promise.committed);
  if (planted(Bug::candidate_by_length)) return std::pair(Epoch(), promise.end);
  return std::pair(promise.last_epoch, promise.end);
}

/// Prefers the old primary among equals: clients and caches are there.
auto rank(const VolumeRecord& volume, const Promise& promise) {
  return std::tuple(merit(promise), promise.replica == volume.primary, ~promise.replica.value);
}

std::string numbers(const VolumeRecord& volume, const Promise& promise) {
  return fmt::format("{} ends at ({}, {})", name_of(volume, promise.replica), promise.last_epoch,
                     promise.end);
}

std::string refusal(const VolumeRecord& volume, const Promises& promises, const Promise& best) {
  const auto name = name_of(volume, volume.wanted);
  const auto found = promises.find(volume.wanted);
  if (found == promises.end()) return fmt::format("{} gave no promise in time", name);
  const auto& promise = found->second;
  if (!promise.accepted) return fmt::format("{} refused to promise: {}", name, promise.problem);
  if (volume.in_set(volume.wanted) == nullptr) {
    return fmt::format("{} is not in the in-sync set", name);
  }
  if (!eligible(volume, promise)) {
    return fmt::format("the copy on {} is {}", name, to_string(promise.base));
  }
  return fmt::format("{}, but {} (epoch of the last record, LSN)", numbers(volume, promise),
                     numbers(volume, best));
}

}  // namespace

bool eligible(const VolumeRecord& volume, const Promise& promise) {
  return promise.accepted && promise.base == BaseState::complete &&
         volume.in_set(promise.replica) != nullptr;
}

bool exact(const VolumeRecord& volume, const Promise& promise) {
  const auto* recorded = volume.in_set(promise.replica);
  if (recorded == nullptr) return false;
  if (planted(Bug::exactness_ignores_incarnation)) return true;
  if (recorded->incarnation == promise.incarnation) return true;
  return promise.clean && recorded->incarnation.value + 1 == promise.incarnation.value;
}

namespace {

/// An exact member of a sync_all set has on its disk what any copy knows to be committed. One that has not was put back
/// to what its disk was once, with its catalog: the incarnation that it tells was that of another process.
bool lost_what_it_had(const VolumeRecord& volume, const Promises& promises,
                      const Promise& promise) {
  // Both mistakes make copies that lack something pass for exact, which this would see.
  if (planted(Bug::exactness_ignores_incarnation) || planted(Bug::mode_change_drops_new_rule))
    return false;
  if (volume.spec.mode != Mode::sync_all) return false;
  return std::any_of(promises.begin(), promises.end(), [&](const auto& other) {
    return eligible(volume, other.second) && other.second.committed > promise.end;
  });
}

/// An exact member of a sync_all set holds every record that was answered or committed: what a longer log has beyond it
/// was told to nobody (decision 0008). An operator's promotion of a busy volume would else nearly always fail.
bool holds_all_answered(const VolumeRecord& volume, const Promises& promises,
                        const Promise& promise) {
  return volume.spec.mode == Mode::sync_all && exact(volume, promise) &&
         !lost_what_it_had(volume, promises, promise);
}

}  // namespace

Poll count_votes(const VolumeRecord& volume, const Promises& promises) {
  Poll poll;
  poll.voters = volume.in_sync.size();
  poll.required = required_voters(poll.voters, volume.spec.min_copies);
  poll.needed = votes_needed(poll.voters, poll.required);
  for (const auto& [replica, promise] : promises) {
    if (volume.in_set(replica) == nullptr) continue;
    const bool voteless = promise.accepted && planted(Bug::quorum_counts_voteless);
    if (eligible(volume, promise)) {
      ++poll.votes;
      if (exact(volume, promise)) ++poll.accounted;
    } else {
      if (voteless) ++poll.votes;
      poll.voteless +=
          fmt::format("; {} has no vote: {}", name_of(volume, replica),
                      promise.accepted ? fmt::format("its copy is {}", to_string(promise.base))
                                       : promise.problem);
    }
  }
  return poll;
}

Choice choose(const VolumeRecord& volume, const Promises& promises) {
  Choice choice;
  const Promise* best = nullptr;
  for (const auto& [replica, promise] : promises) {
    if (!eligible(volume, promise)) continue;
    choice.exact =
        choice.exact || (exact(volume, promise) && !lost_what_it_had(volume, promises, promise));
    if (best == nullptr || rank(volume, *best) < rank(volume, promise)) best = &promise;
  }
  if (best == nullptr) return choice;
  if (volume.spec.mode == Mode::sync_quorum) {
    const auto poll = count_votes(volume, promises);
    if (sometimes(poll.votes < poll.needed, Mark::too_few_votes)) return {};
    choice.exact = poll.voters - poll.accounted < poll.required;
  }
  choice.winner = best->replica;
  choice.why = numbers(volume, *best);
  if (!volume.wanted) return choice;
  const auto wanted = promises.find(volume.wanted);
  const bool may = wanted != promises.end() && eligible(volume, wanted->second) &&
                   (merit(wanted->second) == merit(*best) ||
                    holds_all_answered(volume, promises, wanted->second));
  if (may) {
    choice.winner = volume.wanted;
    choice.why = numbers(volume, wanted->second);
  } else {
    sometimes(Mark::wished_primary_refused);
    choice.wanted_refused = refusal(volume, promises, *best);
  }
  return choice;
}

Choice choose_forced(const VolumeRecord& volume, const Promises& promises) {
  auto choice = choose(volume, promises);
  if (choice.winner == volume.wanted) return choice;
  const auto wanted = promises.find(volume.wanted);
  const bool can = wanted != promises.end() && wanted->second.accepted &&
                   wanted->second.base == BaseState::complete;
  if (!can) return choice;
  choice.winner = volume.wanted;
  sometimes(Mark::promotion_forced);
  choice.forced = true;
  choice.exact = false;
  choice.why = numbers(volume, wanted->second) + ", forced by an operator";
  choice.wanted_refused.clear();
  return choice;
}

}  // namespace tidemark::engine::control
