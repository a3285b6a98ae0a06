// Rare places that a simulation has to reach, or it shows nothing of them: each is named here once and
// stands at one place of the source.
//
//   if (sometimes(header.lsn != next, Mark::record_gap)) return refused(...);
//
// In the plain variant (daemons) a mark is its condition and nothing else: no count, no name in the binary.
#pragma once

#include <cstdint>
#ifdef TIDEMARK_PLANTED
#include <array>
#include <string_view>
#endif

/// Name, and what happened there. A daemon never writes the texts anywhere.
// clang-format off
#define TIDEMARK_MARKS(X) \
  X(stale_link_opened, "a link opened that the sender had given up meanwhile") \
  X(replica_promised_higher, "a replica refused a sender because it promised a newer epoch") \
  X(sender_reassigned, "a sender's replica got another address while its reign went on") \
  X(stale_call_to_sender, "an answer came for a session that was over") \
  X(session_ends_while_repairing, "a session ended while a block was asked for") \
  X(recovery_escalated, "the same way of recovery failed again and again") \
  X(sender_fell_behind, "a replica's credit was used up and records stayed behind") \
  X(base_hole_sent, "a base was copied that has holes") \
  X(ack_out_of_order, "an acknowledgement came that says less than one before it") \
  X(replica_has_no_space, "a replica refused a session because its disk is full") \
  X(pin_moved, "what the log keeps for a replica moved on during its session") \
  X(log_read_out_of_window, "a sender wanted records that its own log had pruned") \
  X(log_begins_behind_replica, "a log no longer reached back to where a replica's ends") \
  X(delta_in_place_of_whole_copy, "what was touched since a replica left was known") \
  X(digest_search_begun, "where two logs part was searched by their digests") \
  X(logs_diverged, "equal histories named other records") \
  X(pin_answered_late, "a pin was answered that had been given back") \
  X(pin_refused, "the own store refused to keep the log for a session") \
  X(digest_search_next_round, "one round of digests did not find where the logs part") \
  X(digest_search_goes_lower, "a replica knew digests further down than the primary had asked") \
  X(loss_excused_by_best_effort, "committed records went because best_effort alone had them") \
  X(loss_excused_by_force, "committed records went because an operator forced a promotion") \
  X(repair_asks_who_is_behind, "a block was wanted of a replica that is not in line") \
  X(repair_waited_too_long, "a replica did not answer for a block in time") \
  X(copy_is_the_same, "another copy had the very bytes that were lost") \
  X(copy_is_older, "another copy offered a block from before the own extents' state") \
  X(copy_is_ahead, "another copy offered a block that the own log may still lose") \
  X(copies_disproved_by_log, "copies differed, and the log said which one is wrong") \
  X(hello_to_failed_store, "a primary connected to a replica whose store had failed") \
  X(hello_of_stale_epoch, "a primary connected whose epoch is over") \
  X(hello_before_assignment, "a primary connected before the replica heard of its reign") \
  X(bulk_link_of_stale_session, "a bulk link came for a session that was over") \
  X(newer_link_took_over, "a primary connected again before its older link was known to be gone") \
  X(reign_changed_under_link, "a replica heard of a new reign while the older primary was connected") \
  X(promise_fenced_primary, "a promise cut off the primary that was connected") \
  X(promise_waits_for_disk, "a promise waited until all that was received is durable") \
  X(store_spoke_of_cut_log, "the store told of progress that a truncation had taken back") \
  X(question_waits_for_store, "a primary's question waited until the log was cut") \
  X(duplicate_record, "a record came twice") \
  X(record_gap, "a record came where another one is next") \
  X(replica_log_full, "a replica had no room for a record") \
  X(said_on_fenced_link, "a message came on a link that was fenced") \
  X(message_of_stale_session, "a message came for a session that was over") \
  X(session_objected_to, "a replica found that a session's plan does not fit it") \
  X(no_room_for_session, "a replica's log had no room to begin a session") \
  X(replica_log_truncated, "a replica's log was cut to what the primary has") \
  X(store_step_failed, "a truncation or the end of a rebuild failed at the store") \
  X(base_not_begun, "a store could not begin a rebuild") \
  X(base_write_failed, "a block of a base could not be written") \
  X(barrier_before_disk, "a rebuild's end waited for the records behind the base") \
  X(base_not_compared, "a rebuild ended without being compared with its source") \
  X(base_unequal, "what was copied was not what its source has") \
  X(repair_helper_has_nothing, "who was asked for a block had no usable copy") \
  X(proposal_repeated, "a proposed set was not answered in time and proposed again") \
  X(set_answer_stale, "an answer about a set came that a newer version had overtaken") \
  X(set_refused, "the control plane refused a proposed set") \
  X(proposal_overtaken, "another set was recorded while one was proposed") \
  X(set_names_no_member, "the recorded set named a replica that is no member") \
  X(joining_copy_stalled, "a copy that began to count stalled before it joined") \
  X(member_leaves_full, "a member left the set for its full disk") \
  X(member_leaves_gone, "a member left the set for its lost connection") \
  X(member_leaves_stalled, "a member left the set that was connected and made no progress") \
  X(min_copies_forbids_leaving, "a member had to stay in the set for min_copies") \
  X(joining_voter_stalled, "a copy that was to become a voter stalled") \
  X(two_quorum_rules_stand, "a set was proposed and the rules of both sets had to be met") \
  X(smaller_quorum_not_yet, "a set could not stand alone before more was on its disks") \
  X(removed_voter_left, "the set was recorded without a voter that an operator removed") \
  X(two_modes_stand, "a change of mode was under way and both modes' rules had to be met") \
  X(mode_waits_for_set, "a change of mode waited for a change of the set") \
  X(mode_waits_for_copies, "a change of mode waited for copies to come in line") \
  X(voter_left_for_sync_all, "a voter was left out so that sync_all could begin") \
  X(quorum_of_one, "one copy was enough for a quorum, and answers waited for the disk") \
  X(answer_waits_for_second_copy, "a sync_all set had no second exact copy, and answers waited for the disks") \
  X(primary_deposed_by_promise, "a primary ended because a replica had promised more") \
  X(primary_lost_its_store, "a primary ended because its store failed") \
  X(assignment_behind_decision, "an assignment came that a decision about the set had overtaken") \
  X(client_gone_with_requests, "a client went whose changes waited for room") \
  X(uncommitted_limit_hit, "a write waited because too much was numbered and not committed") \
  X(waiting_limit_hit, "a write was refused because too many waited already") \
  X(shrank_under_waiting_write, "a write waited until the volume no longer reached to it") \
  X(primary_log_full, "a write was refused because the primary's log has no room") \
  X(full_member_refuses_writes, "a write was refused because a member that has to stay is full") \
  X(write_waits_behind_merge, "a write waited behind one that reads its edges") \
  X(edge_unreadable, "the block around a write's edge could not be read") \
  X(read_held_back, "a read waited until what it shows could be answered") \
  X(read_failed, "a read could not be served by the store") \
  X(writes_fail_below_min, "writes were answered with an error for want of copies") \
  X(request_waits_for_size, "a read waited for a size that a forced reign had lost") \
  X(size_alone_numbered, "a size got a record of its own because the mode beside it had to wait") \
  X(configuration_waits_for_room, "a change of configuration waited for room in the log") \
  X(shrink_cuts_blocks, "a volume was made smaller, and its record cut blocks") \
  X(shrank_under_merging_write, "a volume was made smaller while a write read its edges beyond the end") \
  X(rules_not_met_yet, "new rules were committed by the old ones and not by themselves") \
  X(too_few_votes, "a quorum's voters were too few to choose a primary") \
  X(wished_primary_refused, "an operator's wish for a primary was not granted") \
  X(promotion_forced, "a primary was chosen that lacks what another one has") \
  X(control_plane_outpaced, "a replica had promised more than the control plane knows of") \
  X(reign_ended_by_itself, "a primary told that it cannot go on") \
  X(promise_late, "a promise came that answers an earlier question") \
  X(chosen_without_all, "a primary was chosen though not all of the set had promised") \
  X(nobody_to_choose, "the wait for promises was over and nobody could be chosen") \
  X(reign_lost_a_cache, "a reign began without anybody who surely has all that was answered") \
  X(loss_told_again, "a reign began that tells the loss of one whose record nobody has") \
  X(wiped_node_refused, "a node came back without its data and was not let in") \
  X(cas_lost, "a set was proposed for a version that no longer stands") \
  X(set_proposed_amid_promotion, "a set was proposed while a promotion was under way") \
  X(member_started_again, "a set was proposed with a member that had started again since") \
  X(voter_removed, "an operator removed a voter of a quorum") \
  X(size_recorded_alone, "a size came in force beside a mode that had to wait") \
  X(mode_waits_for_left_voter, "sync_all waited for a voter to leave that was removed") \
  X(assignment_below_promise, "an assignment came below an epoch that was promised") \
  X(stale_assignment, "an assignment came that a newer one had overtaken") \
  X(replaced_copy_gives_way, "a node got a new copy while it still had the older one") \
  X(promise_refused, "a promise was refused because a higher one was given") \
  X(promise_stops_primary, "a primary promised another reign and stopped") \
  X(store_lost, "a store failed under its role") \
  X(vote_withdrawn, "a copy lost its vote because what it proved durable is gone") \
  X(end_of_reign_repeated, "nobody had heard that a reign ended, and it was told again") \
  X(scrub_waits_for_copy, "a scrub waited for a copy that was away") \
  X(base_searched_again, "what was missing was looked for once more, for a cut could bring it back") \
  X(rebuild_slowed_for_clients, "a rebuild went slower because clients suffered") \
  X(torn_tail_found, "an opening found a torn tail, or batches behind a hole") \
  X(log_promise_broken, "an opening found that records which were proved durable are gone") \
  X(segments_behind_hole, "an opening found segments that do not continue the log") \
  X(history_given_up, "the log did not lead to the checkpoint any more and began anew behind it") \
  X(truncation_finished_by_start, "an opening finished a truncation that a crash broke off") \
  X(segment_header_doubtful, "an opening found a segment whose header is neither whole nor empty") \
  X(segment_unfinished, "an opening found a segment that a crash left half created") \
  X(named_batch_not_there, "the batch that the superblock names for the checkpoint was not there") \
  X(batch_payload_torn, "an opening found a batch with a whole head and a torn payload") \
  X(batch_heads_torn, "an opening found a batch whose record heads are torn") \
  X(batch_of_another_past, "an opening found a batch that does not chain to the log") \
  X(cut_batch_read, "an opening read a batch that a truncation had cut") \
  X(tail_erased, "an opening erased what stood behind the log's end") \
  X(unread_history_damaged, "history that was read behind the opening did not lead to the log") \
  X(log_cut_under_reader, "a log was cut while somebody read it") \
  X(segment_header_mended, "a segment's header had rotted and was written again") \
  X(stopped_with_full_log, "a store stopped while its log had no room for what was appended") \
  X(segments_cut_by_truncation, "a truncation gave back whole segments") \
  X(log_starved, "a log had no segment to go on in") \
  X(log_write_failed, "a write to the log failed") \
  X(unissued_records_cut, "a truncation took back records that had not gone to the disk") \
  X(segment_not_created_for_space, "a segment could not be created on a full disk") \
  X(spare_segment_deleted, "a spare segment was given back to the disk") \
  X(segments_stop_at_reserve, "a log did not grow into the space kept in reserve") \
  X(superblock_slot_torn, "one slot of a superblock was not whole at an opening") \
  X(superblock_write_lost, "a scrub found that the newest superblock never reached the disk") \
  X(creation_begun_again, "a copy was created again that a crash left half created") \
  X(reset_finished_by_start, "an opening finished a reset that a crash broke off") \
  X(opened_cleanly_stopped, "a store opened that had been stopped cleanly") \
  X(half_copy_opened, "a store opened whose rebuild had been broken off") \
  X(index_skipped_for_space, "the index of touched blocks was left out on a disk that is nearly full") \
  X(superblock_not_written_for_space, "a superblock could not be written on a full disk") \
  X(extent_file_half_created, "an extent file was finished that a crash left half created") \
  X(hold_ended_by_log, "a comparison was given up because the log had grown to its bound meanwhile") \
  X(extent_file_without_room, "blocks were read of an extent file that there was no room to create") \
  X(extent_file_missing, "an extent file on record was gone") \
  X(extents_full, "extents were not written because the disk is nearly full") \
  X(extents_cut, "blocks beyond a copy's end were given back") \
  X(checksums_rewritten, "a scrub wrote checksums again that had rotted on the disk") \
  X(touched_index_lost, "the index of touched blocks could not be written and was given up") \
  X(touched_index_shortened, "a part of the index of touched blocks was of no use") \
  X(touched_run_beyond_checkpoint, "a crash left a run of touched blocks beyond the recorded checkpoint") \
  X(missing_list_gone, "a rebuild was broken off before it had said what is missing") \
  X(missing_list_not_saved, "the list of missing blocks could not be saved on a full disk") \
  X(reset_on_full_disk, "a copy was begun anew on a disk too full to say so") \
  X(base_block_written_meanwhile, "a base block came for a block that a record had written") \
  X(base_read_half_written, "a source's block was half written by a crash, and the log has it") \
  X(fork_sealed, "committed records of an abandoned past were put aside") \
  X(fork_sealed_before_crash, "a fork was to be sealed that an attempt before a crash had sealed") \
  X(fork_left_unfinished, "a crash left a fork that was being written") \
  X(fork_dropped, "an old fork was dropped for a newer one") \
  X(fork_not_sealed_for_space, "a fork could not be sealed on a full disk") \
  X(flush_paused_for_space, "a flush waited for space on the disk") \
  X(flush_failed, "a flush failed and ended the store") \
  X(damaged_block_flushed_over, "a damaged block was written over while another copy was asked") \
  X(reader_waits_for_repair, "somebody read a damaged block and waited for its repair") \
  X(repair_nobody_could_help, "no copy could help with a damaged block, and all were asked again") \
  X(repair_by_newer_content, "a block was repaired with what another copy has newer") \
  X(block_disproved, "a block fits its checksum and is not what the log says") \
  X(superblock_slot_rewritten, "a scrub wrote a superblock's slot again") \
  X(catalog_rewritten, "a scrub wrote a rotten catalog again") \
  X(scrub_resumed, "a scrub went on that a restart had broken off") \
  X(comparison_spoiled, "a flush went on while a copy was being compared, and it was done again") \
  X(disk_stuck, "a disk completed nothing for a while") \
  X(disk_unstuck, "a disk that was stuck went on by itself") \
  X(store_given_up_stuck, "a store was given up because its disk is stuck") \
  X(control_link_silent, "the control plane gave up a node that it did not hear") \
  X(control_answer_in_vain, "a node did not answer the control plane's question in time") \
  X(control_catalog_failed, "the control plane could not make a decision durable and ended") \
  X(node_catalog_failed, "a node could not make a promise durable") \
  X(control_plane_silent, "a node gave up its link to the control plane") \
  X(primary_found_no_helper, "no replica had a block that the primary lost")
// clang-format on

namespace tidemark::engine {

enum class Mark : std::uint16_t {
#define TIDEMARK_MARK(name, meaning) name,
  TIDEMARK_MARKS(TIDEMARK_MARK)
#undef TIDEMARK_MARK
      count_  ///< Not a mark: how many there are.
};

#ifdef TIDEMARK_PLANTED
/// Counts that the place was reached (test builds only).
void sometimes(Mark mark);
/// The same where `reached` holds; says whether it does.
bool sometimes(bool reached, Mark mark);
std::string_view to_string(Mark mark);
/// What it means that the place was reached.
std::string_view meaning(Mark mark);
/// How often each was reached in this process since the last forget_marks().
const std::array<std::uint64_t, static_cast<std::size_t>(Mark::count_)>& marks_reached();
void forget_marks();
#else
constexpr void sometimes(Mark) {}
constexpr bool sometimes(bool reached, Mark) { return reached; }
#endif

}  // namespace tidemark::engine
