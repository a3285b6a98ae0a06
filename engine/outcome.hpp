// What is to be done with a replica: one total function from facts to an outcome with its proof.
//
// Nothing else decides. A failure, a timer or an old session never picks the next step;
// the next handshake's facts do. Every corner is a row with a name, also those that this
// build cannot execute.
//
//   log of the replica   1 ........ K ....... C ..... R
//   log of the primary   1 ..... S ........... cp ........ H
//
//   K checkpoint, C committed, R received; S retained from, cp common point, H head
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/epoch_history.hpp"
#include "engine/messages.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// What is done about a replica.
enum class OutcomeKind : std::uint8_t {
  zero_gap,       ///< Nothing is missing.
  catch_up,       ///< Records from the common point on.
  truncate,       ///< Its tail beyond the common point goes first, then records.
  rebuild_rest,   ///< A rebuild goes on where it was broken off.
  rebuild_delta,  ///< Only blocks that were touched beyond the common point, and records.
  rebuild_full,   ///< All base blocks and records, two lanes.
  refuse,         ///< Nothing can be done without an operator.
  step_down,      ///< The replica promised a newer reign: ours is over.
  not_yet,        ///< The design knows what to do, this build cannot.
};
std::string_view to_string(OutcomeKind kind);

/// Why: the first row of the table that fits, in the order in which they stand here.
enum class OutcomeRow : std::uint8_t {
  promised_higher,        ///< step_down: promised > our epoch (C18).
  replica_damaged,        ///< refuse: bytes proved durable are gone (C13).
  base_unknown,           ///< rebuild_full: incomplete, and what is missing is not known (C6).
  base_abandoned,         ///< rebuild_full: incomplete, copied of a past that is not ours (C9).
  base_unproved,          ///< rebuild_full: incomplete, and equality at cp cannot be shown.
  base_interrupted,       ///< rebuild_rest: incomplete, our log has cp + 1.
  base_left_behind,       ///< rebuild_delta: incomplete, our log begins later.
  base_beyond_retention,  ///< rebuild_full: the same, and what was touched is not known.
  facts_impossible,       ///< refuse: K <= durable <= R and C <= R do not hold (C10).
  wiped,                  ///< not_yet: an empty log under an identity that acknowledged records.
  forked_touched,  ///< rebuild_delta: any of the three below, and what both touched is known (C6).
  forked_below_committed,          ///< rebuild_full: cp < C, and that is excused (C18).
  committed_beyond_common_point,   ///< refuse: cp < C (C18).
  forked_below_checkpoint,         ///< rebuild_full: cp < K, excused likewise.
  checkpoint_beyond_common_point,  ///< refuse: cp < K, so its extents hold what our log does not.
  set_forgotten,  ///< refuse: R > cp, and a set may have committed that which our control plane forgot (C18).
  acknowledged_records_lost,  ///< rebuild_full: durable below what it acknowledged to us (C13).
  digests_unequal_touched,    ///< rebuild_delta: equal histories, other content behind a place
                              ///< from which on both know what they touched (C21).
  digests_unequal,            ///< rebuild_full: the same, and that is not known.
  digest_unknown,             ///< rebuild_full: equality at cp cannot be shown.
  forked_flush_unknown,  ///< rebuild_full: R > cp, perhaps flushed; its extents may hold more than C.
  tail_to_cut_touched,           ///< rebuild_delta: R > cp, our log begins behind cp + 1.
  tail_to_cut_beyond_retention,  ///< rebuild_full: the same, and what was touched is not known.
  no_common_point,               ///< truncate: R > 0 and nothing is shared: to the empty log.
  replica_ahead,                 ///< truncate: R > cp == H.
  diverged_tail,                 ///< truncate: R > cp, cp < H.
  nothing_missing,               ///< zero_gap: R == cp == H.
  empty_log_retained,            ///< catch_up: R == 0 and our log is whole.
  log_retained,                  ///< catch_up: R == cp, our log has cp + 1.
  empty_log_touched,             ///< rebuild_delta: R == 0 and our log begins later.
  empty_log_beyond_retention,    ///< rebuild_full: the same, and what was touched is not known.
  log_touched,                   ///< rebuild_delta: R == cp, our log begins later.
  log_beyond_retention,          ///< rebuild_full: the same, and what was touched is not known.
  count_,                        ///< Not a row: how many there are.
};
std::string_view to_string(OutcomeRow row);

/// Better ways that the design names and this build cannot execute;
/// what is done instead is in the kind.
enum class NotYet : std::uint8_t {
  none,
  readmission,  ///< A wiped replica under its old identity; `replica replace` gives a new one.
};
std::string_view to_string(NotYet way);

/// What is fixed for a row: its kind and the way that would be better.
struct RowRule {
  OutcomeRow row;
  OutcomeKind kind;
  NotYet better;
};
/// The rule of each row; the table that tests and docs walk.
RowRule rule(OutcomeRow row);

/// Whether the row depends on where digests are equal: then that is searched for, and decided anew.
bool wants_search(OutcomeRow row);
/// Whether what the replica holds beyond the place where the logs part was committed, and goes.
bool parts_from_committed(OutcomeRow row);

/// Both sides' facts, as read in one handshake.
struct OutcomeFacts {
  Epoch epoch;                       ///< Ours.
  EpochHistory history;              ///< Ours.
  Lsn head;                          ///< H.
  Lsn retained;                      ///< S: lowest LSN we can still read; head.next() if none.
  Lsn common_point;                  ///< cp of both histories and ends.
  Lsn compared;                      ///< Where the digests were asked for: cp, or an LSN below it.
  bool touched_known = false;        ///< Ours can name the blocks touched behind `compared` (C6).
  std::optional<Digest> our_digest;  ///< At `compared`.
  std::optional<Digest> their_digest;  ///< At `compared`.
  std::optional<Lsn> equal_at;      ///< Found by a search: the greatest place with equal digests.
  bool both_touched_known = false;  ///< Both can name what they touched behind `equal_at` (C6).
  Lsn witnessed;  ///< Highest durable LSN the replica proved to us in this reign; Lsn{} if none.
  Facts replica;
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::refuse;
  OutcomeRow row = OutcomeRow::facts_impossible;
  NotYet better = NotYet::none;
  Lsn common_point;
  /// What the replica holds behind it was committed and is not ours: it goes.
  std::optional<Lsn> parts_at;
  std::string proof;  ///< The numbers and the inequality that decided, in words.
};

/// Total: every combination of facts has exactly one row.
/// Source: docs/INVARIANTS.md C6, C10, C13, C18, C21.
Outcome decide(const OutcomeFacts& facts);

/// Whether what the replica has committed beyond `common_point`, up to `committed`, was lost by
/// declared policy: one of our reigns that began there was forced, or all of it was committed by
/// reigns that were best_effort all the time (C18).
bool loss_excused(const EpochHistory& ours, const EpochHistory& theirs, Lsn common_point,
                  Lsn committed);
/// Whether the replica may have committed beyond `common_point`, and flushed it, without knowing
/// of it any more: one of our reigns that began there was forced or best_effort, or one of its own
/// there was best_effort for a while (C6). See decision 0007.
bool loss_possible(const EpochHistory& ours, const EpochHistory& theirs, Lsn common_point);

/// Whether the replica's records behind `common_point`, up to `end`, may have been committed by a set that the reign
/// `forgotten` began without knowing of: some reign before that wrote one of them, and was not best_effort all the
/// time (C18). `forgotten` zero: no.
bool cuts_forgotten(const EpochHistory& theirs, Lsn common_point, Lsn end, Epoch forgotten);

/// Whether `lsn` as the reign of `epoch` had it is not in our log: a later reign of ours began at
/// or before it.
bool abandoned(const EpochHistory& ours, Epoch epoch, Lsn lsn);

}  // namespace tidemark::engine
