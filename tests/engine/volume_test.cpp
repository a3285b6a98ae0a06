#include "engine/volume.hpp"

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"
#include "tests/engine/volume_support.hpp"
#include "tests/support/print_strong.hpp"

namespace tidemark::engine {

constexpr std::uint64_t kib4 = block_bytes;

BOOST_AUTO_TEST_SUITE(volume)

BOOST_AUTO_TEST_CASE(transitions_are_those_of_the_table) {
  using S = VolumeState;
  BOOST_TEST(allowed(S::opening, S::serving));
  BOOST_TEST(allowed(S::opening, S::ended));
  BOOST_TEST(allowed(S::serving, S::ended));
  BOOST_TEST(!allowed(S::opening, S::opening));
  BOOST_TEST(!allowed(S::serving, S::opening));
  BOOST_TEST(!allowed(S::serving, S::serving));
  BOOST_TEST(!allowed(S::ended, S::opening));
  BOOST_TEST(!allowed(S::ended, S::serving));
  BOOST_TEST(!allowed(S::ended, S::ended));
}

// --- the reign's own record (C3) -----------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_reign_begins_with_its_own_record_and_a_sender_for_each_other_member) {
  VolumeStory s;
  BOOST_TEST(quiet(s.opened) == "append 1:epoch\nadd sender 2\nadd sender 3\n");
  const auto& record = *std::get<Append>(s.opened[0]).batch->front();
  const auto body = decode_epoch(record.inline_body());
  BOOST_REQUIRE(body.has_value());
  BOOST_TEST(body->nonce == 77U);
  BOOST_TEST(body->incarnation == Incarnation(10));
  BOOST_TEST(body->members.size() == 3U);
  BOOST_TEST(s.volume.history().last()->first == Lsn(1));
}

BOOST_AUTO_TEST_CASE(nothing_is_answered_before_the_epoch_record_is_committed_reads_included) {
  VolumeStory s;
  BOOST_TEST(s.ask(write_request(1, 0, kib4)) == "append 2:write[0,1)\n");
  BOOST_TEST(s.ask(request(2, FrontOp::read, 0, kib4)) == "read #1 [0,1)\n");
  BOOST_TEST(s.ask(request(3, FrontOp::flush)) == "");
  BOOST_TEST(s.arrives(1, 'w') == "");
  BOOST_TEST(s.peer(2, 2, 2) == "");
  BOOST_TEST(s.disk(2) == "");
  BOOST_TEST(!s.status().serving);
  BOOST_TEST(s.status().waiting_for ==
             "the record of epoch 5 (LSN 1) is not committed yet: in-sync set {1,2,3}: replica 3 "
             "(node3) is away");
  BOOST_TEST(s.peer(3, 2, 2) ==
             "committed 2\nreply client 1 cookie 1\nreply client 1 cookie 3\n"
             "reply client 1 cookie 2 4096 bytes\n");
  BOOST_TEST(s.status().serving);
  BOOST_TEST(s.status().waiting_for == "");
}

BOOST_AUTO_TEST_CASE(a_reign_continues_the_log_it_found_and_commits_it_with_its_own_record) {
  auto log = opened_log();
  log.end = Lsn(41);
  log.committed = Lsn(30);
  VolumeStory s(volume_assignment(), log);
  BOOST_TEST(quiet(s.opened).starts_with("append 42:epoch\n"));
  s.peer(2, 41, 41);
  s.peer(3, 42, 42);
  BOOST_TEST(s.disk(42) == "");
  BOOST_TEST(s.volume.committed() == Lsn(30));
  BOOST_TEST(s.peer(2, 42, 42) == "committed 42\n");
}

// --- answers -------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_write_is_answered_when_every_exact_copy_has_it_in_memory) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(write_request(7, 0, kib4)) == "append 2:write[0,1)\n");
  BOOST_TEST(s.peer(2, 2, 1) == "");
  BOOST_TEST(s.peer(3, 2, 1) == "reply client 1 cookie 7\n");
  BOOST_TEST(s.volume.committed() == Lsn(1));
}

BOOST_AUTO_TEST_CASE(fua_and_flush_wait_for_every_disk) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 0, kib4, 'w', true));
  s.ask(write_request(2, kib4, kib4));
  s.ask(request(3, FrontOp::flush));
  s.peer(2, 3, 3);
  BOOST_TEST(s.peer(3, 3, 2) == "reply client 1 cookie 2\n");
  BOOST_TEST(s.disk(3) == "committed 2\nreply client 1 cookie 1\n");
  BOOST_TEST(s.peer(3, 3, 3) == "committed 3\nreply client 1 cookie 3\n");
}

BOOST_AUTO_TEST_CASE(the_own_disk_is_waited_for_like_any_other) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 0, kib4, 'w', true));
  s.peer(2, 2, 2);
  BOOST_TEST(s.peer(3, 2, 2) == "");
  BOOST_TEST(s.disk(2) == "committed 2\nreply client 1 cookie 1\n");
}

BOOST_AUTO_TEST_CASE(planted_flush_is_answered_before_the_own_disk_has_it) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 0, kib4, 'w', true));
  plant(Bug::flush_acked_before_local_sync);
  s.peer(2, 2, 2);
  BOOST_TEST(s.peer(3, 2, 2) == "committed 2\nreply client 1 cookie 1\n");
  plant(Bug::none);
  BOOST_TEST(s.disk(2) == "");
}

BOOST_AUTO_TEST_CASE(a_flush_covers_the_head_at_its_arrival_on_any_connection) {
  VolumeStory s;
  s.serve();
  s.ask(write_request(1, 0, kib4), 1);
  s.ask(request(2, FrontOp::flush), 2);
  s.ask(write_request(3, 0, kib4), 1);
  s.peer(2, 2, 2);
  s.peer(3, 2, 2);
  BOOST_TEST(s.disk(2) == "committed 2\nreply client 2 cookie 2\n");
}

BOOST_AUTO_TEST_CASE(a_flush_with_nothing_to_wait_for_is_answered_at_once) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(request(9, FrontOp::flush)) == "reply client 1 cookie 9\n");
}

BOOST_AUTO_TEST_CASE(ack_durable_answers_no_write_before_it_is_committed) {
  auto a = volume_assignment();
  a.spec.ack = AckPolicy::durable;
  VolumeStory s(a);
  s.serve();
  s.ask(write_request(1, 0, kib4));
  s.disk(2);
  s.peer(2, 2, 2);
  BOOST_TEST(s.peer(3, 2, 1) == "");
  BOOST_TEST(s.peer(3, 2, 2) == "committed 2\nreply client 1 cookie 1\n");
}

BOOST_AUTO_TEST_CASE(best_effort_answers_what_the_own_disk_has) {
  auto a = volume_assignment();
  a.spec.mode = Mode::best_effort;
  a.spec.min_copies = 1;
  a.in_sync.resize(1);
  VolumeStory s(a);
  BOOST_TEST(s.disk(1) == "committed 1\n");
  s.ask(write_request(1, 0, kib4));
  BOOST_TEST(s.peer(2, 2, 2) == "");
  BOOST_TEST(s.disk(2) == "committed 2\nreply client 1 cookie 1\n");
}

BOOST_AUTO_TEST_CASE(requests_of_one_turn_leave_as_one_batch) {
  VolumeStory s;
  s.serve();
  std::vector<FrontRequest> requests;
  for (std::uint64_t i = 0; i < 3; ++i) requests.push_back(write_request(i, i * kib4, kib4));
  requests.push_back(request(9, FrontOp::read, 0, kib4));
  BOOST_TEST(quiet(s.volume.on(Requested{ClientKey(1), std::move(requests), s.at})) ==
             "append 2:write[0,1) 3:write[1,2) 4:write[2,3)\nread #1 [0,1)\n");
}

BOOST_AUTO_TEST_CASE(a_large_write_becomes_several_records_and_one_answer) {
  auto a = volume_assignment();
  a.spec.size_bytes = 1024 * block_bytes;
  VolumeStory s(a);
  s.serve();
  BOOST_TEST(s.ask(write_request(1, 8 * kib4, 600 * kib4)) ==
             "append 2:write[8,264) 3:write[264,520) 4:write[520,608)\n");
  s.peer(2, 4, 1);
  BOOST_TEST(s.peer(3, 3, 1) == "");
  BOOST_TEST(s.peer(3, 4, 1) == "reply client 1 cookie 1\n");
}

BOOST_AUTO_TEST_CASE(a_chunk_ends_before_the_record_that_would_not_fit) {
  auto a = volume_assignment();
  a.spec.size_bytes = 1024 * block_bytes;
  VolumeStory s(a);
  s.serve();
  // 4 MiB segments: two of the largest records fit behind the epoch record, the third does not.
  s.ask(write_request(1, 0, 256 * kib4));
  s.ask(write_request(2, 0, 256 * kib4));
  s.ask(write_request(3, 0, 256 * kib4));
  BOOST_TEST(s.ask(write_request(4, 0, 256 * kib4)) == "append 5:chunk_end 6:write[0,256)\n");
}

BOOST_AUTO_TEST_CASE(record_time_rises_even_when_the_clock_steps_back) {
  VolumeStory s;
  s.serve();
  const auto first = s.volume.on(Requested{ClientKey(1), {}, s.at});
  s.at.wall = WallTime(1);
  std::vector<FrontRequest> requests;
  requests.push_back(write_request(1, 0, kib4));
  const auto effects = s.volume.on(Requested{ClientKey(1), std::move(requests), s.at});
  const auto& epoch = std::get<Append>(s.opened[0]).batch->front()->header();
  const auto& write = std::get<Append>(effects[0]).batch->front()->header();
  BOOST_TEST(write.raw_time == WallTime(1));
  BOOST_TEST(write.mono_time == epoch.mono_time.next());
}

BOOST_AUTO_TEST_CASE(each_change_has_its_own_sequence_in_the_front_ends_session) {
  VolumeStory s;
  s.serve();
  std::vector<FrontRequest> requests;
  requests.push_back(write_request(1, 0, kib4));
  requests.push_back(write_request(2, 0, kib4));
  const auto effects = s.volume.on(Requested{ClientKey(1), std::move(requests), s.at});
  const auto& batch = *std::get<Append>(effects[0]).batch;
  BOOST_TEST(batch[0]->header().session.node_key == 42U);
  BOOST_TEST(batch[0]->header().sequence == 1U);
  BOOST_TEST(batch[1]->header().sequence == 2U);
}

// --- trim and zeroes -----------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_trim_is_one_record_of_the_whole_blocks_within) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(request(1, FrontOp::trim, 100, 10 * kib4)) == "append 2:trim[1,10)\n");
  BOOST_TEST(s.ask(request(2, FrontOp::trim, 100, 200)) == "reply client 1 cookie 2\n");
}

BOOST_AUTO_TEST_CASE(zeroes_over_part_of_a_block_keep_the_rest_of_it) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(request(1, FrontOp::write_zeroes, kib4 + 100, 2 * kib4)) ==
             "read #1 [1,2)\nread #2 [3,4)\n");
  BOOST_TEST(s.arrives(2, 'z') == "");
  const auto effects =
      s.volume.on(BlocksArrived{ReadId(1), std::vector<FrontReply::Piece>{piece_of('a')}, s.at});
  BOOST_TEST(quiet(effects) == "append 2:write[1,2) 3:write[3,4) 4:write_zeroes[2,3)\n");
  const auto& batch = *std::get<Append>(effects[0]).batch;
  const auto* head = reinterpret_cast<const char*>(batch[0]->payload().data());
  BOOST_TEST(head[99] == 'a');
  BOOST_TEST(head[100] == 0);
  BOOST_TEST(head[4095] == 0);
  const auto* tail = reinterpret_cast<const char*>(batch[1]->payload().data());
  BOOST_TEST(tail[99] == 0);
  BOOST_TEST(tail[100] == 'z');
}

BOOST_AUTO_TEST_CASE(zeroes_within_one_block_read_it_once) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(request(1, FrontOp::write_zeroes, 100, 200)) == "read #1 [0,1)\n");
  BOOST_TEST(s.arrives(1, 'a') == "append 2:write[0,1)\n");
}

BOOST_AUTO_TEST_CASE(zeroes_may_ask_to_keep_their_space) {
  VolumeStory s;
  s.serve();
  auto r = request(1, FrontOp::write_zeroes, 0, kib4);
  r.no_hole = true;
  std::vector<FrontRequest> requests;
  requests.push_back(std::move(r));
  const auto effects = s.volume.on(Requested{ClientKey(1), std::move(requests), s.at});
  BOOST_TEST(std::get<Append>(effects[0]).batch->front()->header().flags == flag_no_hole);
}

// --- refusals ------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_request_beyond_the_end_is_refused_and_changes_nothing) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(write_request(1, (test_blocks - 1) * kib4, 2 * kib4)) ==
             "reply client 1 cookie 1 no_space\n");
  BOOST_TEST(s.ask(request(2, FrontOp::read, ~0ull, 2)) == "reply client 1 cookie 2 invalid\n");
  BOOST_TEST(s.volume.head() == Lsn(1));
}

BOOST_AUTO_TEST_CASE(data_that_is_not_the_blocks_of_its_range_is_invalid) {
  VolumeStory s;
  s.serve();
  auto r = write_request(1, 0, kib4);
  r.length = 2 * kib4;
  BOOST_TEST(s.ask(std::move(r)) == "reply client 1 cookie 1 invalid\n");
}

BOOST_AUTO_TEST_CASE(requests_of_no_bytes_and_cache_succeed_at_once) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(s.ask(request(1, FrontOp::write)) == "reply client 1 cookie 1\n");
  BOOST_TEST(s.ask(request(2, FrontOp::cache, 0, kib4)) == "reply client 1 cookie 2\n");
}

BOOST_AUTO_TEST_CASE(log_space_is_reserved_before_numbering_and_a_full_log_goes_on_reading) {
  VolumeStory s;
  s.serve();
  s.disk(1, 3u << 20);
  // Beside the largest record that a chunk end may waste there is room for one more of them.
  const auto text = s.ask(write_request(1, 0, 64 * kib4));
  BOOST_TEST(text == "append 2:write[0,64)\n");
  for (std::uint64_t i = 0; i < 6; ++i) s.ask(write_request(2 + i, 0, 64 * kib4));
  BOOST_TEST(s.ask(write_request(20, 0, 64 * kib4)) == "reply client 1 cookie 20 no_space\n");
  BOOST_TEST(s.ask(request(21, FrontOp::read, 0, kib4)) == "read #1 [0,1)\n");
  // What became durable and was pruned makes room again.
  s.disk(8, 64u << 20);
  BOOST_TEST(s.ask(write_request(22, 0, kib4)) == "append 9:write[0,1)\n");
}

BOOST_AUTO_TEST_CASE(a_full_member_that_the_set_cannot_spare_means_no_space) {
  auto a = volume_assignment();
  a.spec.min_copies = 3;
  VolumeStory s(a);
  s.serve();
  PeerSeen seen;
  seen.replica = ReplicaId(2);
  seen.incarnation = Incarnation(20);
  seen.state = PeerState::streaming;
  seen.proved = true;
  seen.received = seen.durable = Lsn(1);
  s.volume.on(PeerReported{seen, s.at});
  BOOST_TEST(s.ask(write_request(1, 0, kib4)) == "reply client 1 cookie 1 no_space\n");
  s.peer(2, 1, 1);
  BOOST_TEST(s.ask(write_request(2, 0, kib4)) == "append 2:write[0,1)\n");
}

BOOST_AUTO_TEST_CASE(beyond_the_uncommitted_cap_writes_wait_in_order_and_flushes_do_not) {
  VolumeLimits limits;
  limits.uncommitted_bytes_max = 3 * kib4;
  limits.waiting_requests_max = 2;
  VolumeStory s(volume_assignment(), opened_log(), limits);
  s.serve();
  BOOST_TEST(s.ask(write_request(1, 0, 2 * kib4)) == "append 2:write[0,2)\n");
  BOOST_TEST(s.ask(write_request(2, 0, kib4)) == "");
  BOOST_TEST(s.ask(write_request(3, 0, 1)) == "");
  BOOST_TEST(s.ask(write_request(4, 0, kib4)) == "reply client 1 cookie 4 unavailable\n");
  BOOST_TEST(s.status().waiting_requests == 3U);
  s.peer(2, 2, 2);
  s.peer(3, 2, 2);
  BOOST_TEST(s.disk(2) == "append 3:write[0,1)\ncommitted 2\nread #1 [0,1)\n");
}

BOOST_AUTO_TEST_CASE(one_write_larger_than_the_cap_still_passes) {
  VolumeLimits limits;
  limits.uncommitted_bytes_max = kib4;
  VolumeStory s(volume_assignment(), opened_log(), limits);
  s.serve();
  BOOST_TEST(s.ask(write_request(1, 0, 8 * kib4)) == "append 2:write[0,8)\n");
}

// --- members that go -----------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_dead_replica_delays_answers_by_100_ms_and_the_set_change_frees_them) {
  VolumeStory s;
  s.serve();
  s.closes(3);
  BOOST_TEST(s.volume.unsettled());
  s.ask(write_request(1, 0, kib4));
  s.disk(2);
  BOOST_TEST(s.peer(2, 2, 2) == "");
  BOOST_TEST(s.tick(99) == "");
  BOOST_TEST(s.tick(1) ==
             "propose {1,2} on version 7: replica 3 (node3) leaves: its connection closed 100 ms "
             "ago\n");
  BOOST_TEST(s.decide(8, {1, 2}) == "committed 2\nreply client 1 cookie 1\n");
  BOOST_TEST(s.status().stall_milliseconds_max == 100U);
  BOOST_TEST(s.status().assignment.version == Version(8));
}

BOOST_AUTO_TEST_CASE(at_min_copies_writes_wait_and_the_status_says_why) {
  VolumeStory s;
  s.serve();
  s.closes(3);
  s.tick(100);
  s.decide(8, {1, 2});
  s.closes(2);
  s.ask(write_request(1, 0, kib4));
  s.disk(2);
  BOOST_TEST(s.tick(5'000) == "");
  BOOST_TEST(
      s.status().waiting_for ==
      "in-sync set {1,2}: replica 2 (node2) is away and min_copies 2 forbids leaving it out");
  BOOST_TEST(s.status().stall_milliseconds_max == 5'000U);
  BOOST_TEST(s.peer(2, 2, 2) == "committed 2\nreply client 1 cookie 1\n");
  BOOST_TEST(s.status().waiting_for == "");
}

BOOST_AUTO_TEST_CASE(with_one_counted_copy_a_write_waits_for_the_own_disk) {
  auto a = volume_assignment();
  a.spec.min_copies = 1;
  a.in_sync.resize(1);
  VolumeStory s(a);
  s.disk(1);
  BOOST_TEST(s.ask(write_request(1, 0, kib4)) == "append 2:write[0,1)\n");
  BOOST_TEST(s.disk(2) == "committed 2\nreply client 1 cookie 1\n");
}

BOOST_AUTO_TEST_CASE(a_replica_that_promised_a_higher_epoch_ends_the_reign) {
  VolumeStory s;
  s.serve();
  PeerSeen seen;
  seen.replica = ReplicaId(2);
  seen.state = PeerState::refused;
  seen.promised = Epoch(6);
  const std::string why = "replica 2 has promised epoch 6, above ours (5)";
  BOOST_TEST(quiet(s.volume.on(PeerReported{seen, s.at})) ==
             "cut clients: " + why + "\nremove sender 2\nremove sender 3\nend role: " + why + "\n");
  BOOST_TEST(s.ask(write_request(1, 0, kib4)) == "");
  BOOST_TEST(s.status().waiting_for == "not served here: " + why);
}

BOOST_AUTO_TEST_CASE(a_failed_store_ends_the_reign) {
  VolumeStory s;
  s.serve();
  const auto text =
      quiet(s.volume.on(StoreEnded{Error{Errc::io_failed, "append at lsn 9: EIO"}, s.at}));
  BOOST_TEST(text.starts_with("cut clients: the store failed: append at lsn 9: EIO\n"));
  BOOST_TEST(text.ends_with("end role: the store failed: append at lsn 9: EIO\n"));
}

BOOST_AUTO_TEST_CASE(a_stopped_role_cuts_clients_and_numbers_nothing_more) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(quiet(s.volume.on(RoleStopRequested{"fenced for epoch 6", s.at})) ==
             "cut clients: fenced for epoch 6\nremove sender 2\nremove sender 3\n");
  BOOST_TEST(s.ask(write_request(1, 0, kib4)) == "");
  BOOST_TEST(s.tick(20) == "");
  BOOST_TEST(quiet(s.volume.on(RoleStopRequested{"again", s.at})) == "");
}

// --- assignments ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_stale_assignment_is_refused_whole) {
  VolumeStory s;
  s.serve();
  auto stale = volume_assignment();
  stale.version = Version(6);
  stale.members.pop_back();
  BOOST_TEST(quiet(s.volume.on(AssignmentArrived{stale, s.at})) == "");
  BOOST_TEST(s.volume.assignment().members.size() == 3U);
}

BOOST_AUTO_TEST_CASE(planted_a_stale_assignment_removes_a_sender) {
  VolumeStory s;
  s.serve();
  auto stale = volume_assignment();
  stale.version = Version(6);
  stale.members.pop_back();
  plant(Bug::stale_assignment_removes_sender);
  BOOST_TEST(quiet(s.volume.on(AssignmentArrived{stale, s.at})) == "remove sender 3\n");
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(an_assignment_of_another_epoch_or_role_is_refused) {
  VolumeStory s;
  s.serve();
  auto other = volume_assignment();
  other.epoch = Epoch(6);
  BOOST_TEST(quiet(s.volume.on(AssignmentArrived{other, s.at})) == "");
  other = volume_assignment();
  other.version = Version(8);
  other.role = Role::replica;
  BOOST_TEST(quiet(s.volume.on(AssignmentArrived{other, s.at})) == "");
  BOOST_TEST(s.volume.assignment().version == Version(7));
}

BOOST_AUTO_TEST_CASE(a_newer_version_brings_a_new_member_a_sender) {
  VolumeStory s;
  s.serve();
  auto newer = volume_assignment();
  newer.version = Version(8);
  newer.members[2].replica = ReplicaId(4);
  newer.in_sync.resize(2);
  BOOST_TEST(quiet(s.volume.on(AssignmentArrived{newer, s.at})) ==
             "remove sender 3\nupdate sender 2\nadd sender 4\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
