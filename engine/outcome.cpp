#include "engine/outcome.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine {
namespace {

using Kind = OutcomeKind;
using Row = OutcomeRow;

struct NamedRule {
  RowRule rule;
  std::string_view name;
};

// In the order of OutcomeRow.
constexpr std::array<NamedRule, static_cast<std::size_t>(Row::count_)> rules = {{
    {{Row::promised_higher, Kind::step_down, NotYet::none}, "promised_higher"},
    {{Row::replica_damaged, Kind::refuse, NotYet::none}, "replica_damaged"},
    {{Row::base_unknown, Kind::rebuild_full, NotYet::none}, "base_unknown"},
    {{Row::base_abandoned, Kind::rebuild_full, NotYet::none}, "base_abandoned"},
    {{Row::base_unproved, Kind::rebuild_full, NotYet::none}, "base_unproved"},
    {{Row::base_interrupted, Kind::rebuild_rest, NotYet::none}, "base_interrupted"},
    {{Row::base_left_behind, Kind::rebuild_delta, NotYet::none}, "base_left_behind"},
    {{Row::base_beyond_retention, Kind::rebuild_full, NotYet::none}, "base_beyond_retention"},
    {{Row::facts_impossible, Kind::refuse, NotYet::none}, "facts_impossible"},
    {{Row::wiped, Kind::not_yet, NotYet::readmission}, "wiped"},
    {{Row::forked_touched, Kind::rebuild_delta, NotYet::none}, "forked_touched"},
    {{Row::forked_below_committed, Kind::rebuild_full, NotYet::none}, "forked_below_committed"},
    {{Row::committed_beyond_common_point, Kind::refuse, NotYet::none},
     "committed_beyond_common_point"},
    {{Row::forked_below_checkpoint, Kind::rebuild_full, NotYet::none}, "forked_below_checkpoint"},
    {{Row::checkpoint_beyond_common_point, Kind::refuse, NotYet::none},
     "checkpoint_beyond_common_point"},
    {{Row::set_forgotten, Kind::refuse, NotYet::none}, "set_forgotten"},
    {{Row::acknowledged_records_lost, Kind::rebuild_full, NotYet::none},
     "acknowledged_records_lost"},
    {{Row::digests_unequal_touched, Kind::rebuild_delta, NotYet::none}, "digests_unequal_touched"},
    {{Row::digests_unequal, Kind::rebuild_full, NotYet::none}, "digests_unequal"},
    {{Row::digest_unknown, Kind::rebuild_full, NotYet::none}, "digest_unknown"},
    {{Row::forked_flush_unknown, Kind::rebuild_full, NotYet::none}, "forked_flush_unknown"},
    {{Row::tail_to_cut_touched, Kind::rebuild_delta, NotYet::none}, "tail_to_cut_touched"},
    {{Row::tail_to_cut_beyond_retention, Kind::rebuild_full, NotYet::none},
     "tail_to_cut_beyond_retention"},
    {{Row::no_common_point, Kind::truncate, NotYet::none}, "no_common_point"},
    {{Row::replica_ahead, Kind::truncate, NotYet::none}, "replica_ahead"},
    {{Row::diverged_tail, Kind::truncate, NotYet::none}, "diverged_tail"},
    {{Row::nothing_missing, Kind::zero_gap, NotYet::none}, "nothing_missing"},
    {{Row::empty_log_retained, Kind::catch_up, NotYet::none}, "empty_log_retained"},
    {{Row::log_retained, Kind::catch_up, NotYet::none}, "log_retained"},
    {{Row::empty_log_touched, Kind::rebuild_delta, NotYet::none}, "empty_log_touched"},
    {{Row::empty_log_beyond_retention, Kind::rebuild_full, NotYet::none},
     "empty_log_beyond_retention"},
    {{Row::log_touched, Kind::rebuild_delta, NotYet::none}, "log_touched"},
    {{Row::log_beyond_retention, Kind::rebuild_full, NotYet::none}, "log_beyond_retention"},
}};

const NamedRule& named(Row row) {
  const auto& entry = rules.at(static_cast<std::size_t>(row));
  CHECK(entry.rule.row == row);
  return entry;
}

bool forced(const EpochStart& start) { return (start.marks & EpochBody::forced) != 0; }

/// Whether one of our reigns that began beyond the common point is such a one.
template <class Such>
bool cut_by(const EpochHistory& ours, Lsn common_point, Such such) {
  return std::ranges::any_of(ours.starts(), [&](const EpochStart& start) {
    return start.first > common_point && such(start);
  });
}

/// The reigns that wrote the replica's records in (common point, end], in order.
std::vector<EpochStart> writers(const EpochHistory& theirs, Lsn common_point, Lsn end) {
  const auto& starts = theirs.starts();
  std::vector<EpochStart> found;
  for (std::size_t i = 0; i < starts.size() && starts[i].first <= end; ++i) {
    const bool beyond = i + 1 == starts.size() || starts[i + 1].first > common_point.next();
    if (beyond) found.push_back(starts[i]);
  }
  return found;
}

constexpr Lsn no_end{~0ull};

bool possible(const Facts& r) {
  return r.checkpoint <= r.durable && r.durable <= r.received && r.committed <= r.received;
}

/// Blocks of both sides' records behind one place can be named, where the logs are equal (C6).
bool delta_known(const OutcomeFacts& f) { return f.equal_at && f.both_touched_known; }

Row forked(const OutcomeFacts& f, Row full) { return delta_known(f) ? Row::forked_touched : full; }

// Records beyond cp must go. Their blocks were never flushed where committed is known
// to lie at or below cp.
Row row_of_longer(const OutcomeFacts& f) {
  const bool may_be_flushed = loss_possible(f.history, f.replica.history, f.common_point);
  if (may_be_flushed && !f.replica.clean) return forked(f, Row::forked_flush_unknown);
  if (f.common_point.next() < f.retained) {
    return f.touched_known ? Row::tail_to_cut_touched : Row::tail_to_cut_beyond_retention;
  }
  if (!f.common_point) return Row::no_common_point;
  return f.common_point == f.head ? Row::replica_ahead : Row::diverged_tail;
}

Row row_of_prefix(const OutcomeFacts& f) {
  const bool retained = f.retained <= f.common_point.next();
  if (f.common_point == f.head) return Row::nothing_missing;
  if (!f.replica.received) {
    if (retained) return Row::empty_log_retained;
    return f.touched_known ? Row::empty_log_touched : Row::empty_log_beyond_retention;
  }
  if (retained) return Row::log_retained;
  return f.touched_known ? Row::log_touched : Row::log_beyond_retention;
}

bool digests_equal(const OutcomeFacts& f) {
  return f.our_digest && f.their_digest && *f.our_digest == *f.their_digest;
}

/// Nothing that an incomplete copy was told committed lies behind where the logs part, nor is any
/// flushed. What it knew of that, it may have forgotten in a crash.
bool parts_behind_committed(const OutcomeFacts& f) {
  const auto& r = f.replica;
  const auto cp = f.common_point;
  const bool flush_unknown = r.received > cp && !r.clean && loss_possible(f.history, r.history, cp);
  return cp >= r.committed && cp >= r.checkpoint && !flush_unknown;
}

// It has no vote, so nothing speaks against beginning anew: what is kept must be proved.
Row row_of_incomplete(const OutcomeFacts& f) {
  const auto& r = f.replica;
  const auto cp = f.common_point;
  if (!r.rebuild || !possible(r)) return Row::base_unknown;
  if (!parts_behind_committed(f) || abandoned(f.history, r.rebuild->epoch, r.rebuild->flush_lsn)) {
    return Row::base_abandoned;
  }
  if (!digests_equal(f)) return Row::base_unproved;
  if (f.retained <= cp.next()) return Row::base_interrupted;
  return f.touched_known ? Row::base_left_behind : Row::base_beyond_retention;
}

Row row_of(const OutcomeFacts& f) {
  const auto& r = f.replica;
  const auto cp = f.common_point;
  if (r.promised > f.epoch) return Row::promised_higher;
  if (r.base == BaseState::damaged) return Row::replica_damaged;
  CHECK(cp <= f.head);
  CHECK(cp <= r.received);
  CHECK(f.compared <= cp);
  CHECK(!f.equal_at || *f.equal_at <= cp);
  if (r.base == BaseState::incomplete) return row_of_incomplete(f);
  if (!possible(r)) return Row::facts_impossible;
  if (!r.received && f.witnessed) return Row::wiped;

  const bool excused = loss_excused(f.history, r.history, cp, std::max(r.committed, r.checkpoint));
  if (planted(Bug::truncates_below_committed) && cp < r.committed) return Row::diverged_tail;
  if (cp < r.committed && !excused) return Row::committed_beyond_common_point;
  if (cp < r.checkpoint && !excused) return Row::checkpoint_beyond_common_point;
  if (cuts_forgotten(r.history, cp, r.received, r.forgotten)) return Row::set_forgotten;
  if (cp < r.committed) return forked(f, Row::forked_below_committed);
  if (cp < r.checkpoint) return forked(f, Row::forked_below_checkpoint);
  if (r.durable < f.witnessed) return Row::acknowledged_records_lost;
  if (f.our_digest && f.their_digest && *f.our_digest != *f.their_digest) {
    return delta_known(f) ? Row::digests_unequal_touched : Row::digests_unequal;
  }
  if (!f.our_digest || !f.their_digest) return Row::digest_unknown;
  return r.received > cp ? row_of_longer(f) : row_of_prefix(f);
}

/// No reign is shared, but there may be one that is no longer remembered.
bool parting_forgotten(const OutcomeFacts& f) {
  return !f.common_point && (f.history.shortened() || f.replica.history.shortened());
}

std::string parting(Row row, const OutcomeFacts& f) {
  if (!parting_forgotten(f)) return fmt::format("the logs part at {}", f.common_point);
  return fmt::format(
      "where the logs part is not known: the last {} reigns are remembered, and they share none{}",
      epoch_history_max,
      rule(row).kind == Kind::refuse ? "; `tidemark replica replace` puts a new copy in its place"
                                     : "");
}

std::string reason(Row row, const OutcomeFacts& f) {
  const auto& r = f.replica;
  const auto cp = f.common_point;
  switch (row) {
    case Row::promised_higher:
      return fmt::format("it promised epoch {} and ours is {}", r.promised, f.epoch);
    case Row::replica_damaged:
      return fmt::format("its disk lost what it had proved durable: {}", r.damage);
    case Row::base_unknown:
      return "its extents are no image, and which of its blocks are missing is not known";
    case Row::base_abandoned:
      return r.rebuild ? fmt::format(
                             "a rebuild was broken off that had copied content up to {} of "
                             "epoch {}, which is not in our log",
                             r.rebuild->flush_lsn, r.rebuild->epoch)
                       : "";
    case Row::base_unproved:
      return fmt::format("a rebuild was broken off, and the digests at {} are not known or unequal",
                         f.compared);
    case Row::base_interrupted:
      return fmt::format(
          "a rebuild was broken off with {} blocks missing, and the log begins at {}",
          r.rebuild->missing_blocks, f.retained);
    case Row::base_left_behind:
      return fmt::format(
          "a rebuild was broken off with {} blocks missing, it needs {}, the log "
          "begins at {}, and the blocks touched behind {} are known",
          r.rebuild->missing_blocks, cp.next(), f.retained, f.compared);
    case Row::base_beyond_retention:
      return fmt::format(
          "a rebuild was broken off, it needs {}, the log begins at {}, and the "
          "blocks touched since are not known",
          cp.next(), f.retained);
    case Row::facts_impossible:
      return fmt::format(
          "checkpoint {} <= durable {} <= received {} and committed {} <= received do not hold",
          r.checkpoint, r.durable, r.received, r.committed);
    case Row::wiped:
      return fmt::format("its log is empty but it acknowledged up to {}", f.witnessed);
    case Row::forked_touched:
      return fmt::format(
          "it holds {} committed and {} flushed and {}; the digests at {} are equal, and what both "
          "touched behind it is known",
          r.committed, r.checkpoint, parting(row, f), *f.equal_at);
    case Row::forked_below_committed:
    case Row::committed_beyond_common_point:
      return fmt::format("it knows {} committed and {}", r.committed, parting(row, f));
    case Row::forked_below_checkpoint:
    case Row::checkpoint_beyond_common_point:
      return fmt::format("its extents hold {} and {}", r.checkpoint, parting(row, f));
    case Row::set_forgotten:
      return fmt::format(
          "({},{}] may have been committed by a set that the control plane had forgotten when "
          "epoch {} began; `tidemark promote --force` of the copy that is right decides, or "
          "`tidemark replica replace` of this one",
          cp, r.received, r.forgotten);
    case Row::acknowledged_records_lost:
      return fmt::format("it acknowledged {} and now has {} on disk", f.witnessed, r.durable);
    case Row::digests_unequal_touched:
      return fmt::format(
          "histories agree up to {} and the digests at {} do not; they are equal at {}, and what "
          "both touched behind it is known",
          cp, f.compared, *f.equal_at);
    case Row::digests_unequal:
      return fmt::format("histories agree up to {} and the digests at {} do not", cp, f.compared);
    case Row::digest_unknown:
      return fmt::format("{} no longer knows the digest at {}",
                         f.our_digest ? "the replica" : "the primary", f.compared);
    case Row::forked_flush_unknown:
      return fmt::format("records beyond {} may be in its extents: its last stop was not clean",
                         cp);
    case Row::tail_to_cut_touched:
    case Row::empty_log_touched:
    case Row::log_touched:
      return fmt::format(
          "it needs {}, the log begins at {}, and the blocks touched behind {} are known",
          cp.next(), f.retained, f.compared);
    case Row::tail_to_cut_beyond_retention:
    case Row::empty_log_beyond_retention:
    case Row::log_beyond_retention:
      return fmt::format("it needs {} and the log begins at {}", cp.next(), f.retained);
    case Row::no_common_point:
      return fmt::format("the logs share nothing{} and none of its records was committed",
                         parting_forgotten(f) ? " that is remembered" : "");
    case Row::replica_ahead:
    case Row::diverged_tail:
      return fmt::format("({},{}] is not ours, was never committed and never flushed", cp,
                         r.received);
    case Row::nothing_missing:
      return fmt::format("both logs end at {} with one digest", cp);
    case Row::empty_log_retained:
    case Row::log_retained:
      return fmt::format("({},{}] is missing and the log begins at {}", cp, f.head, f.retained);
    case Row::count_:
      break;
  }
  return "";
}

/// Behind it lies what was committed, or may have been, and goes (C18).
std::optional<Lsn> parts_at(Row row, const OutcomeFacts& f) {
  const bool unequal = f.our_digest && f.their_digest && !digests_equal(f);
  switch (row) {
    case Row::digests_unequal_touched:
    case Row::digests_unequal:
      return f.equal_at.value_or(Lsn{});
    // No image, but its log is one: somebody's data. Where the digests differ, nothing shows what is shared.
    case Row::base_unproved:
    case Row::base_abandoned: {
      const bool kept = parts_behind_committed(f);
      if (unequal && (f.replica.committed || !kept)) return Lsn{};
      return kept ? std::nullopt : std::optional(f.common_point);
    }
    default:
      return parts_from_committed(row) ? std::optional(f.common_point) : std::nullopt;
  }
}

}  // namespace

std::string_view to_string(OutcomeKind kind) {
  switch (kind) {
    case Kind::zero_gap:
      return "zero_gap";
    case Kind::catch_up:
      return "catch_up";
    case Kind::truncate:
      return "truncate";
    case Kind::rebuild_rest:
      return "rebuild_rest";
    case Kind::rebuild_delta:
      return "rebuild_delta";
    case Kind::rebuild_full:
      return "rebuild_full";
    case Kind::refuse:
      return "refuse";
    case Kind::step_down:
      return "step_down";
    case Kind::not_yet:
      return "not_yet";
  }
  return "unknown";
}

std::string_view to_string(NotYet way) {
  switch (way) {
    case NotYet::none:
      return "none";
    case NotYet::readmission:
      return "readmission";
  }
  return "unknown";
}

std::string_view to_string(OutcomeRow row) { return named(row).name; }

RowRule rule(OutcomeRow row) { return named(row).rule; }

bool parts_from_committed(OutcomeRow row) {
  switch (row) {
    case Row::forked_touched:
    case Row::forked_below_committed:
    case Row::forked_below_checkpoint:
    case Row::forked_flush_unknown:
    case Row::digests_unequal_touched:
    case Row::digests_unequal:
      return true;
    default:
      return false;
  }
}

bool wants_search(OutcomeRow row) {
  return parts_from_committed(row) && rule(row).kind == Kind::rebuild_full;
}

bool loss_excused(const EpochHistory& ours, const EpochHistory& theirs, Lsn common_point,
                  Lsn committed) {
  if (planted(Bug::first_mode_excuses)) return loss_possible(ours, theirs, common_point);
  const auto lost = writers(theirs, common_point, committed);
  // What it cut off when it began: a later reign's records are none of that.
  const auto cuts = [&](const EpochStart& start) {
    return forced(start) && (lost.empty() || start.epoch > lost.back().epoch);
  };
  if (sometimes(cut_by(ours, common_point, cuts), Mark::loss_excused_by_force)) return true;
  // A reign of best_effort commits alone, and the next one need not have it. What a reign of another mode has
  // committed is excused by nothing that others did.
  const bool known = theirs.at(common_point.next()).has_value();
  const bool alone = known && !lost.empty() && std::ranges::all_of(lost, [](const auto& reign) {
                       return reign.best_effort_only();
                     });
  return sometimes(alone, Mark::loss_excused_by_best_effort);
}

bool loss_possible(const EpochHistory& ours, const EpochHistory& theirs, Lsn common_point) {
  const auto perhaps = [](const EpochStart& reign) { return reign.best_effort_perhaps(); };
  const auto cuts = [](const EpochStart& reign) {
    return forced(reign) || reign.mode == Mode::best_effort;
  };
  return cut_by(ours, common_point, cuts) ||
         std::ranges::any_of(writers(theirs, common_point, no_end), perhaps);
}

bool cuts_forgotten(const EpochHistory& theirs, Lsn common_point, Lsn end, Epoch forgotten) {
  if (!forgotten || end <= common_point) return false;
  if (!theirs.at(common_point.next())) return true;  // Who wrote it is not known any more.
  return std::ranges::any_of(writers(theirs, common_point, end), [&](const EpochStart& reign) {
    const bool alone =
        planted(Bug::first_mode_excuses) ? reign.best_effort_perhaps() : reign.best_effort_only();
    return reign.epoch < forgotten && !alone;
  });
}

bool abandoned(const EpochHistory& ours, Epoch epoch, Lsn lsn) {
  // A reign in between may have been forgotten.
  if (ours.shortened() && ours.starts().front().epoch > epoch) return true;
  for (const auto& start : ours.starts()) {
    if (start.epoch > epoch && start.first <= lsn) return true;
  }
  return false;
}

Outcome decide(const OutcomeFacts& facts) {
  const auto row = row_of(facts);
  const auto& r = facts.replica;
  Outcome outcome;
  outcome.row = row;
  outcome.kind = rule(row).kind;
  outcome.better = rule(row).better;
  outcome.common_point = facts.common_point;
  outcome.parts_at = parts_at(row, facts);
  outcome.proof = fmt::format("{}: {} (R={} D={} K={} C={} S={} H={} cp={})", to_string(row),
                              reason(row, facts), r.received, r.durable, r.checkpoint, r.committed,
                              facts.retained, facts.head, facts.common_point);
  return outcome;
}

}  // namespace tidemark::engine
