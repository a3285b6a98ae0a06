// Who becomes primary: one pure function over the promises (C2). A promise was synced before it was
// given, so nothing below the fence can be added to any log that takes part.
//
// In sync_quorum a choice needs votes: promises of whole copies, so many that one of them is of a
// voter that holds what was committed last (quorum.hpp). A copy that lost what it acknowledged gives
// no vote and stays among the voters (C13).
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "engine/control/records.hpp"
#include "engine/messages.hpp"

namespace tidemark::engine::control {

using Promises = std::map<ReplicaId, Promise>;

struct Choice {
  std::optional<ReplicaId> winner;  ///< Nothing: nobody who promised may be primary.
  bool forced = false;              ///< Committed records may be lost, by an operator's word.
  /// No answered write is lost (C4): an exact member promised; in sync_quorum, fewer voters are
  /// unaccounted for than had received an answered write.
  bool exact = false;
  std::string wanted_refused;  ///< Why the one that the operator wanted was not taken.
  std::string why;             ///< For people.
};

/// In the recorded set, with a complete and undamaged base. Only such a one may be chosen.
bool eligible(const VolumeRecord& volume, const Promise& promise);

/// It lost nothing that it had received since its incarnation was recorded: the same incarnation,
/// or the next one after a clean stop. (A clean stop two incarnations later proves nothing about
/// the one between.) Answers may go on without it from when a primary has met it again: from then on
/// its promises do not say that it stopped cleanly (decision 0008). A disk that was put back to an earlier time calls its
/// process by a number that another one had: choose() believes none that lacks what others know to be committed.
bool exact(const VolumeRecord& volume, const Promise& promise);

/// sync_quorum: what was promised so far.
struct Poll {
  std::size_t voters = 0;
  std::size_t required = 0;  ///< So many hold what is committed.
  std::size_t needed = 0;    ///< Votes that choose.
  std::size_t votes = 0;
  std::size_t accounted = 0;  ///< Voters that promised, whole and exact.
  std::string voteless;       ///< For people: who answered without a vote; empty: nobody.
};
Poll count_votes(const VolumeRecord& volume, const Promises& promises);

/// Greatest (last record's epoch, end); among equals the old primary first, then the lowest
/// ReplicaId. The one that the operator wants where it is as good, or (sync_all) holds all that was
/// answered. Nobody in sync_quorum while votes are missing, whatever an operator wants.
Choice choose(const VolumeRecord& volume, const Promises& promises);

/// The one that the operator wants though it may lack committed records: any with a complete base
/// that promised. As choose(), where that would take it too, or where it cannot be had.
Choice choose_forced(const VolumeRecord& volume, const Promises& promises);

}  // namespace tidemark::engine::control
