#include "engine/planted.hpp"

#ifdef TIDEMARK_PLANTED

#include <array>

namespace tidemark::engine {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Bug::count_)> bug_names = {
    "none",
    "canary",
    "flush_acked_before_local_sync",
    "extents_hold_uncommitted",
    "truncated_tail_returns",
    "base_overwrites_newer_block",
    "delta_without_own_blocks",
    "in_sync_before_tail",
    "primary_resumes_epoch",
    "torn_tail_is_corruption",
    "corruption_is_torn_tail",
    "stale_assignment_removes_sender",
    "commit_counts_old_epoch",
    "candidate_by_committed",
    "ack_of_other_session",
    "read_unanswerable",
    "unaligned_merge_on_stale_base",
    "member_leaves_before_cas",
    "resize_outside_log",
    "shrink_keeps_cut_blocks",
    "lane_keeps_its_place",
    "exactness_ignores_incarnation",
    "one_copy_answers_on_receipt",
    "answers_before_epoch_record",
    "rebuild_forgotten_by_restart",
    "base_serves_memory",
    "base_skips_holes",
    "flush_ignores_durable",
    "committed_beyond_log",
    "joins_without_counting",
    "recovery_ignores_late_writes",
    "truncates_below_committed",
    "first_mode_excuses",
    "higher_promise_ignored",
    "digest_asked_at_its_end",
    "failed_write_counts",
    "delta_forgets_own_past",
    "quorum_counts_voteless",
    "quorum_shrinks_with_absence",
    "base_drops_block",
    "base_never_compared",
    "repair_takes_older_block",
    "most_copies_decide",
    "mode_change_drops_old_rule",
    "mode_change_drops_new_rule",
    "mode_change_counts_all",
    "clean_stop_outlives_link",
    "promise_fences_nobody",
    "voter_leaves_at_once",
    "forgotten_set_is_ignored",
    "absent_copy_is_not_waited_for",
    "alone_is_enough",
    "checkpoint_before_sync",
    "flush_counts_received",
    "read_misses_the_log",
    "failed_sync_is_tried_again",
    "superblock_in_one_place",
    "checksum_not_compared",
    "unreadable_block_is_zeros",
    "candidate_by_length",
    "pins_outlive_sessions",
    "half_made_segment_is_used",
    "directory_not_synced",
    "durable_passes_a_gap",
    "trims_replayed_last",
    "split_fua_is_forgotten",
    "flush_covers_own_connection",
    "record_time_follows_the_clock",
    "gone_client_takes_others_along",
    "other_replica_is_served",
    "sessions_begin_anew",
    "lost_copy_is_made_anew",
    "foreign_copy_is_adopted",
};

Bug current = Bug::none;

}  // namespace

std::string_view to_string(Bug bug) { return bug_names.at(static_cast<std::size_t>(bug)); }

std::optional<Bug> parse_bug(std::string_view text) {
  for (std::size_t i = 0; i < bug_names.size(); ++i) {
    if (bug_names[i] == text) return static_cast<Bug>(i);
  }
  return std::nullopt;
}

bool planted(Bug bug) { return current == bug; }
void plant(Bug bug) { current = bug; }

}  // namespace tidemark::engine

#endif
