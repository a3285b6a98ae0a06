// Who writes a volume, and what one reign owes to those before it.
//
//   - one epoch has one writer: the same volume's actor of the same process numbers all its records (C1);
//   - a write that a client was told is done is in the log of every later reign that serves, unless that one, or one
//     in between, said that the cache is lost (C2, C4); whoever reigned before and tells it later is no exception;
//   - what a node promised it keeps: neither its promises nor its acknowledgements go back below it, whatever process
//     speaks for it (C2, C13); a process that obeys an assignment obeys none that is older; and a session is begun once
//     in a reign (C15).
//
// Judged where a reign serves, not where it begins: one that cannot commit its own record, as it lacks what others
// have, hurts nobody. Answers to reads are not judged: there are no leases yet (C19, C20).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "actors/interfaces.hpp"
#include "sim/checkers/answers.hpp"
#include "sim/checkers/logs.hpp"
#include "sim/life.hpp"
#include "sim/scheduler.hpp"

namespace tidemark::sim {

class Reigns {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  /// `may_lose_cache`: any reign may begin without what was not flushed (best_effort).
  Reigns(const Logs& logs, bool may_lose_cache, OnFailure fail)
      : logs_(logs), may_lose_cache_(may_lose_cache), fail_(std::move(fail)) {}

  /// One message about to be handled, which `Logs` has seen.
  void observe(const Step& step);
  /// One message that a process sends.
  void sent(const Life& by, const engine::Message& message);
  /// This reign says that it may lack what was answered: cache_lost, or forced.
  void excused(engine::Epoch reign) { excused_.insert(reign); }
  /// A process tells a client that a write is done; its record's place.
  void answered(OpId op, const Answers::Place& place);
  /// The node's copy is gone, and its promises with it.
  void forget(std::uint32_t node);

 private:
  struct Reign {
    engine::Lsn first;  ///< Its own record.
    std::optional<engine::Epoch>
        before;  ///< Whose record that one stands behind, where it is known.
  };
  /// What a node has said.
  struct Said {
    engine::Epoch promised;
    engine::Incarnation incarnation;
  };

  void numbered(caf::actor_id volume, const actors::RecordsNumbered& numbered);
  void begins(const engine::RecordHeader& record);
  void serves(engine::Epoch reign);
  bool excused_between(engine::Epoch from, engine::Epoch to) const;
  bool holds(engine::Epoch reign, const Answers::Place& place) const;
  void promised(const Life& by, engine::Epoch epoch, engine::Incarnation incarnation);
  void obeys(const Life& by, const engine::AssignAck& ack);

  const Logs& logs_;
  bool may_lose_cache_;
  OnFailure fail_;
  std::map<engine::Epoch, caf::actor_id> writers_;
  std::map<engine::Epoch, Reign> reigns_;
  engine::Epoch serving_;  ///< The last one whose own record was committed.
  std::set<engine::Epoch> excused_;
  std::multimap<engine::Lsn, std::pair<engine::Epoch, OpId>> answered_;
  std::map<std::uint32_t, Said> said_;  ///< By node.
  std::set<std::pair<engine::Epoch, engine::SessionId>> sessions_;
  /// By process: the assignment that it said is in force.
  std::map<std::uint32_t, std::pair<engine::Epoch, engine::Version>> in_force_;
};

}  // namespace tidemark::sim
