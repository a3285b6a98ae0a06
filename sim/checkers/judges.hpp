// Those that watch a whole run and need nothing of each other: what they see is handed to them in one place
// (sim/cluster_judges.cpp). History, Logs and Answers stand beside them.
#pragma once

#include <functional>
#include <string>

#include "engine/front.hpp"
#include "sim/checkers/copied.hpp"
#include "sim/checkers/elections.hpp"
#include "sim/checkers/errors.hpp"
#include "sim/checkers/loads.hpp"
#include "sim/checkers/progress.hpp"
#include "sim/checkers/reigns.hpp"
#include "sim/checkers/states.hpp"
#include "sim/checkers/synced.hpp"
#include "sim/checkers/truth.hpp"

namespace tidemark::sim {

struct Judges {
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  Reigns reigns;
  States states;
  Loads loads;
  Progress progress;
  Errors errors;
  Truth truth;
  Synced synced;
  Elections elections;
  Copied copied;

  Judges(const Logs& logs, const Answers& answers, bool may_lose_cache, const Loads::Caps& caps,
         std::uint64_t volume_tag, const OnFailure& fail)
      : reigns(logs, may_lose_cache, fail),
        states(fail),
        loads(caps, fail),
        progress(fail),
        errors(fail),
        truth(fail),
        synced(volume_tag, fail),
        elections([this](engine::ReplicaId replica) { return synced.held(replica); }, fail),
        copied(answers, volume_tag, fail) {}

  /// A client of a node hears that its write is done.
  void answered(OpId op, std::uint32_t node, Reign reign, engine::MonoTime at, bool fua) {
    told_of_disks(synced.answered(op, node, reign, at, fua));
  }
  /// A client of a node hears that what it asked to have flushed at `began` is.
  void flushed(std::uint32_t node, Reign reign, engine::MonoTime began) {
    told_of_disks(synced.flushed(node, reign, began));
  }
  void told_of_disks(const Synced::At& upto) { elections.flushed(upto.lsn, upto.epoch); }
  /// A client hears that its request failed.
  void refused(engine::FrontOp op, const engine::Error& error, engine::MonoTime now, bool rotten) {
    errors.refused(op, error, {progress.calm(now), errors.may_fail(now), rotten});
  }
};

}  // namespace tidemark::sim
