// When is a record safe? Pure arithmetic over what the counted copies hold.
//
//   own log      1 2 3 4 5 6 7 8 9        head 9, durable 7
//   replica 2    1 2 3 4 5 6 7 8          received 8, durable 5
//   replica 3    1 2 3 4 5 6              received 6, durable 6
//                        ^ ^
//                        | answerable 6: every copy has it in memory (ack = received)
//                        committed 5: every copy has it on disk
//
// Who counts is decided elsewhere (in_sync.hpp); here it is only counted (C3, C4, C11).
#pragma once

#include <span>

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

struct CommitInputs {
  Mode mode = Mode::sync_all;
  AckPolicy ack = AckPolicy::received;
  Lsn epoch_record;  ///< The reign's own record.
  Lsn head;          ///< Last numbered; all of it is in the primary's memory.
  Lsn own_durable;
  std::span<const CountedCopy> others;
};

/// The highest LSN that is durable wherever the mode demands; Lsn{} while that lies below
/// the reign's own record (C3). sync_quorum is counted as sync_all, which is stricter: a
/// majority rule is planned.
Lsn committed(const CommitInputs& in);

/// The highest LSN whose WRITE may be answered, and whose content may be read, given `committed`
/// as it stands (it may be ahead of this turn's committed(in) after a copy joined). Never below
/// `committed`; Lsn{} until the reign's own record is committed. With fewer than two exact copies,
/// with ack = durable and in best_effort it is `committed`.
Lsn answerable(const CommitInputs& in, Lsn committed);

}  // namespace tidemark::engine
