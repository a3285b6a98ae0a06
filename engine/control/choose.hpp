// Who becomes primary: one pure function over the promises (C2). A promise was synced before it was
// given, so nothing below the fence can be added to any log that takes part.
#pragma once

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
  bool exact = false;               ///< An exact member promised: no answered write is lost (C4).
  std::string wanted_refused;       ///< Why the one that the operator wanted was not taken.
  std::string why;                  ///< For people.
};

/// In the recorded set, with a complete and undamaged base. Only such a one may be chosen.
bool eligible(const VolumeRecord& volume, const Promise& promise);

/// It lost nothing that it had received since its incarnation was recorded: the same incarnation,
/// or the next one after a clean stop. (A clean stop two incarnations later proves nothing about
/// the one between.)
bool exact(const VolumeRecord& volume, const Promise& promise);

/// Greatest (last record's epoch, end); among equals the old primary first, then the lowest
/// ReplicaId. The one that the operator wants where it is as good, or holds all that was answered.
Choice choose(const VolumeRecord& volume, const Promises& promises);

/// The one that the operator wants though it may lack committed records: any with a complete base
/// that promised. As choose(), where that would take it too, or where it cannot be had.
Choice choose_forced(const VolumeRecord& volume, const Promises& promises);

}  // namespace tidemark::engine::control
