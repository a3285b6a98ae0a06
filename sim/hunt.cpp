#include "sim/hunt.hpp"

#include <algorithm>
#include <array>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

using engine::Bug;

struct Ruled {
  Bug bug;
  std::string_view rule;
};
constexpr std::array rules{
    Ruled{Bug::canary, "none"},
    Ruled{Bug::flush_acked_before_local_sync, "T1"},
    Ruled{Bug::extents_hold_uncommitted, "C10"},
    Ruled{Bug::truncated_tail_returns, "C15"},
    Ruled{Bug::base_overwrites_newer_block, "C9"},
    Ruled{Bug::delta_without_own_blocks, "C6"},
    Ruled{Bug::in_sync_before_tail, "C7"},
    Ruled{Bug::primary_resumes_epoch, "C1"},
    Ruled{Bug::torn_tail_is_corruption, "C14"},
    Ruled{Bug::corruption_is_torn_tail, "C14"},
    Ruled{Bug::stale_assignment_removes_sender, "D1"},
    Ruled{Bug::commit_counts_old_epoch, "C3"},
    Ruled{Bug::candidate_by_committed, "C2"},
    Ruled{Bug::ack_of_other_session, "C15"},
    Ruled{Bug::read_unanswerable, "C20"},
    Ruled{Bug::unaligned_merge_on_stale_base, "C22"},
    Ruled{Bug::member_leaves_before_cas, "C11"},
    Ruled{Bug::resize_outside_log, "C24"},
    Ruled{Bug::shrink_keeps_cut_blocks, "C24"},
    Ruled{Bug::lane_keeps_its_place, "R38"},
    Ruled{Bug::exactness_ignores_incarnation, "C4"},
    Ruled{Bug::one_copy_answers_on_receipt, "C4"},
    Ruled{Bug::answers_before_epoch_record, "C3"},
    Ruled{Bug::rebuild_forgotten_by_restart, "C6"},
    Ruled{Bug::base_serves_memory, "C8"},
    Ruled{Bug::base_skips_holes, "C8"},
    Ruled{Bug::flush_ignores_durable, "C10"},
    Ruled{Bug::committed_beyond_log, "C10"},
    Ruled{Bug::joins_without_counting, "C11"},
    Ruled{Bug::recovery_ignores_late_writes, "C15"},
    Ruled{Bug::truncates_below_committed, "C18"},
    Ruled{Bug::first_mode_excuses, "C18"},
    Ruled{Bug::higher_promise_ignored, "C18"},
    Ruled{Bug::digest_asked_at_its_end, "C21"},
    Ruled{Bug::failed_write_counts, "C23"},
    Ruled{Bug::delta_forgets_own_past, "C6"},
    Ruled{Bug::quorum_counts_voteless, "C13"},
    Ruled{Bug::quorum_shrinks_with_absence, "C13"},
    Ruled{Bug::base_drops_block, "C9"},
    Ruled{Bug::base_never_compared, "C9"},
    Ruled{Bug::repair_takes_older_block, "C14"},
    Ruled{Bug::most_copies_decide, "C27"},
    Ruled{Bug::mode_change_drops_old_rule, "C12"},
    Ruled{Bug::mode_change_drops_new_rule, "C12"},
    Ruled{Bug::mode_change_counts_all, "C12"},
    Ruled{Bug::clean_stop_outlives_link, "C4"},
    Ruled{Bug::promise_fences_nobody, "C2"},
    Ruled{Bug::voter_leaves_at_once, "C12"},
    Ruled{Bug::forgotten_set_is_ignored, "C18"},
    Ruled{Bug::absent_copy_is_not_waited_for, "C11"},
    Ruled{Bug::alone_is_enough, "C11"},
    Ruled{Bug::checkpoint_before_sync, "C10"},
    Ruled{Bug::flush_counts_received, "C4"},
    Ruled{Bug::read_misses_the_log, "C22"},
    Ruled{Bug::failed_sync_is_tried_again, "C23"},
    Ruled{Bug::superblock_in_one_place, "E9"},
    Ruled{Bug::checksum_not_compared, "C14"},
    Ruled{Bug::unreadable_block_is_zeros, "C14"},
    Ruled{Bug::candidate_by_length, "C2"},
    Ruled{Bug::pins_outlive_sessions, "R39"},
    Ruled{Bug::half_made_segment_is_used, "C23"},
    Ruled{Bug::directory_not_synced, "C23"},
    Ruled{Bug::durable_passes_a_gap, "C23"},
    Ruled{Bug::trims_replayed_last, "C24"},
    Ruled{Bug::split_fua_is_forgotten, "C4"},
    Ruled{Bug::flush_covers_own_connection, "C4"},
    Ruled{Bug::record_time_follows_the_clock, "C25"},
    Ruled{Bug::gone_client_takes_others_along, "C20"},
    Ruled{Bug::other_replica_is_served, "C13"},
    Ruled{Bug::sessions_begin_anew, "C15"},
    Ruled{Bug::lost_copy_is_made_anew, "C13"},
    Ruled{Bug::foreign_copy_is_adopted, "C13"},
};
static_assert(rules.size() + 1 == static_cast<std::size_t>(Bug::count_), "each bug has its rule");

bool fails_without(std::uint64_t seed) {
  BatchOptions clean;
  clean.first = seed;
  clean.count = 1;
  clean.quiet = true;
  return !run_batch(clean).failures.empty();
}

}  // namespace

std::string_view rule_of(Bug bug) {
  const auto found =
      std::find_if(rules.begin(), rules.end(), [&](const Ruled& each) { return each.bug == bug; });
  CHECK(found != rules.end());
  return found->rule;
}

Hunted hunt(const HuntOptions& options) {
  Hunted hunted;
  BatchOptions batch;
  batch.bug = options.bug;
  batch.jobs = options.jobs;
  batch.stop_at_failure = true;
  batch.quiet = true;
  batch.over = options.over;
  batch.first = options.first;
  const auto end = options.first + options.seeds_max;
  while (batch.first < end) {
    batch.count = end - batch.first;
    const auto result = run_batch(batch);
    hunted.seeds += result.done;
    hunted.interrupted = result.interrupted;
    if (result.failures.empty()) break;
    hunted.failure = result.failures.front();
    if (!fails_without(hunted.failure.seed)) {
      hunted.found = true;
      break;
    }
    if (options.on_false_find) options.on_false_find(hunted.failure);
    batch.first = hunted.failure.seed + 1;
  }
  return hunted;
}

}  // namespace tidemark::sim
