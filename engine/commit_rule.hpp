// When is a record safe? Pure arithmetic over what the counted copies hold.
//
//   own log      1 2 3 4 5 6 7 8 9        head 9, durable 7
//   replica 2    1 2 3 4 5 6 7 8          received 8, durable 5
//   replica 3    1 2 3 4 5 6              received 6, durable 6
//                        ^ ^
//                        | answerable 6: every copy has it in memory (ack = received)
//                        committed 5: every copy has it on disk
//
// In sync_quorum the `required` greatest of them decide instead of all: with 2 of these 3 committed
// is 6 and answerable 8. Who counts is decided elsewhere (in_sync.hpp); here it is only counted
// (C3, C4, C11).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/types.hpp"

namespace tidemark::engine {

/// A counted copy other than the primary's own.
struct CountedCopy {
  Lsn received;  ///< In its memory, of this reign's log; never below what is proved.
  Lsn durable;   ///< Proved on its disk in this reign; Lsn{} when nothing was proved yet.
  /// It is recorded under the incarnation it runs, before and after any change under way: a
  /// promotion would find it exact, so it is a second copy of an answered write (C4).
  bool exact = false;
  /// It is, or may already be, recorded as exact: nothing is answered on receipt without it.
  bool must_receive = false;
};

/// A voter other than the primary, as one rule counts it.
struct Voter {
  Lsn durable;  ///< As in CountedCopy.
  Lsn counted;  ///< For answers on receipt: received where it is exact, else durable (C4).
};

/// sync_quorum: one set of voters. Two rules stand while the set changes, and both must be met.
struct QuorumRule {
  std::size_t required = 1;   ///< See quorum.hpp.
  std::vector<Voter> others;  ///< Without the primary, which is a voter too.
};

struct CommitInputs {
  Mode mode = Mode::sync_all;
  AckPolicy ack = AckPolicy::received;
  Lsn epoch_record;  ///< The reign's own record.
  Lsn head;          ///< Last numbered; all of it is in the primary's memory.
  Lsn own_durable;
  std::span<const CountedCopy> others;     ///< sync_all.
  std::span<const QuorumRule> rules = {};  ///< sync_quorum; at least one.
};

/// The greatest LSN that `required` voters have on disk; Lsn{} when there are fewer voters.
Lsn quorum_durable(const QuorumRule& rule, Lsn own_durable);
/// The same for answers on receipt. `head`: all of it is in the primary's memory.
Lsn quorum_counted(const QuorumRule& rule, Lsn head);

/// The highest LSN that is durable wherever the mode demands; Lsn{} while that lies below
/// the reign's own record (C3). In sync_quorum it may be beyond the own disk.
Lsn committed(const CommitInputs& in);

/// The highest LSN whose WRITE may be answered, and whose content may be read, given `committed`
/// as it stands (it may be ahead of this turn's committed(in) after a copy joined). Never below
/// `committed`; Lsn{} until the reign's own record is committed. With fewer than two exact copies,
/// with ack = durable and in best_effort it is `committed`.
Lsn answerable(const CommitInputs& in, Lsn committed);

}  // namespace tidemark::engine
