// Planted bugs: each rule that one mistake would break has a switch that makes the mistake, so that
// the simulator can prove that it would notice. In the plain variant (daemons) planted() is a
// constant false, and neither the mistake nor its name exists in the binary.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tidemark::engine {

enum class Bug : std::uint8_t {
  none,
  canary,                         ///< Always wrong: the simulator must fail every seed.
  flush_acked_before_local_sync,  ///< Own durable LSN is left out of the commit rule.
  extents_hold_uncommitted,       ///< The flusher ignores the committed LSN (C10).
  truncated_tail_returns,         ///< Truncation forgets without erasing (C15).
  base_overwrites_newer_block,    ///< Rebuild's base lane ignores what the WAL lane wrote (C9).
  delta_without_own_blocks,       ///< A delta copies what the source touched only (C6).
  in_sync_before_tail,            ///< A session counts as done when its base is complete (C7).
  primary_resumes_epoch,          ///< A restarted primary goes on in its old epoch (C1).
  torn_tail_is_corruption,  ///< Damage past everything proved durable is called corruption (C14).
  corruption_is_torn_tail,  ///< Damage below what was proved durable is cut as a tail (C14).
  stale_assignment_removes_sender,  ///< A stale assignment is reconciled before it is refused.
  commit_counts_old_epoch,          ///< Committed advances below the epoch's own record (C3).
  candidate_by_committed,           ///< Promotion picks the highest committed (C2).
  ack_of_other_session,             ///< Acks are counted whatever session they name (C15).
  read_unanswerable,                ///< Reads show records the mode could not yet answer (C20).
  unaligned_merge_on_stale_base,    ///< Merges read before earlier writes are numbered (C22).
  member_leaves_before_cas,         ///< The set shrinks before the control plane agreed (C11).
  resize_outside_log,               ///< The size is the assignment's, no record says it (C24).
  shrink_keeps_cut_blocks,          ///< A shrink is logged without the trim of what it cuts (C24).
  lane_keeps_its_place,             ///< A base lane that ended still counts against lanes_max.
  exactness_ignores_incarnation,    ///< A member that lost its memory passes for exact (C4).
  one_copy_answers_on_receipt,      ///< A write that one memory holds is answered (C4).
  answers_before_epoch_record,      ///< A new primary answers reads at once (C3).
  rebuild_forgotten_by_restart,     ///< A restarted replica takes its half copy for whole (C6).
  base_serves_memory,               ///< Base blocks come by the read path, not from extents (C8).
  base_skips_holes,                 ///< Zeros of the base are not written over what is there (C8).
  flush_ignores_durable,            ///< The flusher goes beyond the own durable log (C10).
  committed_beyond_log,          ///< A replica believes committed beyond what its log shares (C10).
  joins_without_counting,        ///< A member counts once the control plane has answered (C11).
  recovery_ignores_late_writes,  ///< Recovery waits for no lock of the process before (C15).
  truncates_below_committed,     ///< A primary's wish beats what was committed (C18).
  first_mode_excuses,            ///< Any best_effort reign on either side excuses any loss (C18).
  higher_promise_ignored,        ///< A primary goes on though a replica promised more (C18).
  digest_asked_at_its_end,  ///< The replica is asked for the digest at its end, not at cp (C21).
  failed_write_counts,      ///< A failed log write is taken for done (C23).
  delta_forgets_own_past,   ///< A delta leaves out what committed own records touched (C6).
  quorum_counts_voteless,   ///< Acks and promises of a copy without a vote count (C13).
  quorum_shrinks_with_absence,  ///< Only connected voters are in the denominator (C13).
  base_drops_block,  ///< One block of a copy gets lost on its way to its place (the sums see it).
  base_never_compared,       ///< The same, and nobody compares what was copied with its source.
  repair_takes_older_block,  ///< Repair accepts a copy behind the own extents (C14, C27).
  most_copies_decide,  ///< Which of copies that differ is right is a matter of how many agree (C27).
  mode_change_drops_old_rule,  ///< From its record on a new mode's rule stands alone (C12).
  mode_change_drops_new_rule,  ///< A new mode is told to be in force by the old one's rule (C12).
  mode_change_counts_all,      ///< A change of mode makes all copies count (C12).
  clean_stop_outlives_link,  ///< A clean stop proves exactness though a primary was here since (C4).
  promise_fences_nobody,     ///< A replica that promised goes on with the primary before (C2).
  voter_leaves_at_once,  ///< A voter that an operator removes is out of the count at once (C12).
  forgotten_set_is_ignored,       ///< A reign out of a backup cuts as any other (C18).
  absent_copy_is_not_waited_for,  ///< What a copy that is away lacks holds up no flush (C11).
  alone_is_enough,                ///< With all others away the primary's own disk decides (C11).
  checkpoint_before_sync,  ///< The checkpoint is recorded before its blocks are synced (C10).
  flush_counts_received,   ///< Committed counts what a copy received, synced or not (C4).
  read_misses_the_log,  ///< What memory has let go of is read from the extents, flushed or not (C22).
  failed_sync_is_tried_again,   ///< A sync that failed and then does not is taken for done (C23).
  superblock_in_one_place,      ///< The superblock is overwritten where it stands (E9).
  checksum_not_compared,        ///< Blocks are written with checksums and read without (C14).
  unreadable_block_is_zeros,    ///< What fails its checksum is answered as zeros (C14).
  candidate_by_length,          ///< Promotion picks the longest log, of whatever epoch (C2).
  pins_outlive_sessions,        ///< A session that ends keeps its pin on the log (R39).
  half_made_segment_is_used,    ///< A segment that found no space is taken for one (C23).
  directory_not_synced,         ///< A new segment's name is not made durable (C23).
  durable_passes_a_gap,         ///< A batch that completes counts for those before it (C23).
  trims_replayed_last,          ///< Recovery replays trims behind the writes that came later (C24).
  split_fua_is_forgotten,       ///< FUA of what becomes several records waits for no disk (C4).
  flush_covers_own_connection,  ///< A FLUSH waits for what its own connection waits for (C4).
  record_time_follows_the_clock,   ///< A record's time is the clock's, whatever was before (C25).
  gone_client_takes_others_along,  ///< Held reads go with any client that goes (C20).
  other_replica_is_served,         ///< A node takes links that mean another replica (C13).
  sessions_begin_anew,             ///< A session has the number of the one before (C15).
  lost_copy_is_made_anew,   ///< A copy whose files are gone comes back empty and whole (C13).
  foreign_copy_is_adopted,  ///< Whose copy a directory holds is not looked at (C13).
  count_,                   ///< Not a bug: how many there are.
};

#ifdef TIDEMARK_PLANTED
std::string_view to_string(Bug bug);
std::optional<Bug> parse_bug(std::string_view text);
/// True when `bug` is switched on for this process (test builds only).
bool planted(Bug bug);
/// Switches one bug on, or none. Process-wide; the simulator sets it before a run.
void plant(Bug bug);
#else
constexpr bool planted(Bug) { return false; }
#endif

}  // namespace tidemark::engine
