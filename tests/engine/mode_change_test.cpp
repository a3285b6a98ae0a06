// Another mode or min_copies as a record of the log: at each crossing both rules stand until the control
// plane has recorded the new one (C12).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"
#include "engine/quorum.hpp"
#include "tests/engine/in_sync_rig.hpp"
#include "tests/engine/mode_change_rig.hpp"

using namespace tidemark::engine;
using namespace tidemark::engine::mode_change;

BOOST_AUTO_TEST_SUITE(mode_change)

// --- sync_all <-> sync_quorum ----------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(until_sync_quorum_is_recorded_a_quorum_is_not_enough) {
  Changing s(in_mode(Mode::sync_all));
  BOOST_TEST(s.wants(Mode::sync_quorum, 2) == "append 2:configure\n");
  BOOST_TEST(s.has({1, 2}) == "");
  BOOST_TEST(s.has({3}) == committed(2) + told + "2\n");
  // The answer is on its way, or lost: a promotion may still be by the old rule.
  s.fua(1);
  BOOST_TEST(!done(s.has({1, 2}), 1));
  BOOST_TEST(done(s.recorded(), 1));
  s.fua(2);
  BOOST_TEST(done(s.has({1, 2}), 2));
}

BOOST_AUTO_TEST_CASE(planted_the_old_rule_is_dropped_with_the_record) {
  plant(Bug::mode_change_drops_old_rule);
  Changing s(in_mode(Mode::sync_all));
  s.wants(Mode::sync_quorum, 2);
  BOOST_TEST(s.has({1, 2}) == committed(2) + told + "2\n");
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(until_sync_all_is_recorded_every_voter_must_have_it_and_a_quorum) {
  Changing s(in_mode(Mode::sync_quorum));
  BOOST_TEST(s.wants(Mode::sync_all, 2) == "append 2:configure\n");
  BOOST_TEST(s.has({1, 2}) == "");
  BOOST_TEST(s.has({3}) == committed(2) + told + "2\n");
  s.fua(1);
  BOOST_TEST(!done(s.has({2, 3}), 1));  // A quorum, but not the primary's disk.
  BOOST_TEST(done(s.has({1}), 1));
  s.recorded();
  s.fua(2);
  BOOST_TEST(!done(s.has({1, 2}), 2));
  BOOST_TEST(done(s.has({3}), 2));
}

BOOST_AUTO_TEST_CASE(planted_the_new_rule_is_not_asked) {
  plant(Bug::mode_change_drops_new_rule);
  Changing s(in_mode(Mode::sync_quorum));
  s.wants(Mode::sync_all, 2);
  BOOST_TEST(s.has({1, 2}) == committed(2) + told + "2\n");
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(sync_all_is_not_numbered_before_every_voter_is_in_line) {
  Changing s(in_mode(Mode::sync_quorum));
  s.closes(3);
  BOOST_TEST(s.wants(Mode::sync_all, 2) == "");
  // It is left out as sync_all would, and the change goes on.
  BOOST_TEST(s.tick(200).starts_with("propose"));
  BOOST_TEST(s.tick(1) == "");
  BOOST_TEST(s.decide(9, {1, 2}) == "append 2:configure\n");
  BOOST_TEST(s.has({1, 2}) == committed(2) + told + "2\n");
}

BOOST_AUTO_TEST_CASE(a_voter_that_dies_amid_the_change_is_left_out_and_the_change_goes_on) {
  Changing s(in_mode(Mode::sync_quorum));
  s.wants(Mode::sync_all, 2);
  s.fua(1);
  s.has({1, 2});
  s.closes(3);
  BOOST_TEST(s.tick(200).starts_with("propose"));
  BOOST_TEST(!done(s.has({1, 2}), 1));  // Until the answer it counts.
  const auto text = s.decide(9, {1, 2});
  BOOST_TEST(text.starts_with(committed(3) + told + "2\n"));
  BOOST_TEST(done(text, 1));
}

// --- best_effort -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_copies_of_sync_all_count_until_best_effort_is_recorded) {
  Changing s(in_mode(Mode::sync_all));
  BOOST_TEST(s.wants(Mode::best_effort, 1) == "append 2:configure\n");
  BOOST_TEST(s.has({1, 2}) == "");
  BOOST_TEST(s.has({3}) == committed(2) + told + "2\n");
  s.fua(1);
  BOOST_TEST(!done(s.has({1}), 1));
  BOOST_TEST(done(s.recorded(), 1));
  s.fua(2);
  BOOST_TEST(done(s.has({1}), 2));
}

// In sync_quorum the primary's own disk may be behind; in best_effort it is all there is.
BOOST_AUTO_TEST_CASE(on_the_way_from_a_quorum_to_best_effort_the_own_disk_must_have_it) {
  Changing s(in_mode(Mode::sync_quorum));
  s.wants(Mode::best_effort, 1);
  BOOST_TEST(s.has({2, 3}) == "");
  BOOST_TEST(s.has({1}) == committed(2) + told + "2\n");
  s.fua(1);
  BOOST_TEST(!done(s.has({1}), 1));
  BOOST_TEST(done(s.has({2}), 1));
}

BOOST_AUTO_TEST_CASE(on_the_way_to_best_effort_nothing_is_answered_on_receipt) {
  Changing s(in_mode(Mode::sync_all));
  s.wants(Mode::best_effort, 1);
  s.has({1, 2, 3});
  s.ask(write_request(1, 0, kib4));
  BOOST_TEST(!done(s.peer(2, 3, 2) + s.peer(3, 3, 2), 1));
  BOOST_TEST(done(s.has({1, 2, 3}), 1));
}

BOOST_AUTO_TEST_CASE(after_best_effort_the_first_set_is_the_primary_alone) {
  for (const auto mode : {Mode::sync_all, Mode::sync_quorum}) {
    Changing s(in_mode(Mode::best_effort, 1, 1));
    s.peer(2, 0, 0);
    s.peer(3, 0, 0);
    s.wants(mode, 1);
    BOOST_TEST(s.has({1}) == committed(2) + told + "2\n");
    s.recorded();
    BOOST_TEST((s.volume.assignment().in_sync.size()) == 1U);
    s.fua(1);
    // The others count when they have come in, and not before.
    BOOST_TEST(done(s.has({1}), 1));
  }
}

BOOST_AUTO_TEST_CASE(best_effort_is_left_once_min_copies_are_in_line) {
  Changing s(in_mode(Mode::best_effort, 1, 1));
  s.closes(2);
  s.closes(3);
  BOOST_TEST(s.wants(Mode::sync_all, 2) == "");
  BOOST_TEST(s.peer(2, 1, 1) == "append 2:configure\n");
}

BOOST_AUTO_TEST_CASE(behind_best_effort_a_quorum_of_two_commits_once_there_are_two) {
  Changing s(in_mode(Mode::best_effort, 1, 1));
  s.wants(Mode::sync_quorum, 2);
  BOOST_TEST(s.has({1}) == committed(2) + told + "2\n");
  s.recorded();
  s.fua(1);
  BOOST_TEST(!done(s.has({1}), 1));
  BOOST_TEST(s.has({2}).starts_with("propose"));
  BOOST_TEST(done(s.decide(10, {1, 2}), 1));
}

// --- min_copies ------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(more_min_copies_are_numbered_once_so_many_are_in_line) {
  Changing s(in_mode(Mode::sync_quorum, 2));
  s.closes(3);
  BOOST_TEST(s.wants(Mode::sync_quorum, 3) == "");
  BOOST_TEST(s.tick(60'000) == "");
  s.fua(1);
  BOOST_TEST(done(s.has({1, 2}), 1));  // Nothing waits for it meanwhile.
  BOOST_TEST(s.peer(3, 2, 2) == "append 3:configure\n");
  BOOST_TEST(s.has({1, 2}) == "");
  BOOST_TEST(s.has({3}) == committed(3) + told + "3\n");
}

BOOST_AUTO_TEST_CASE(fewer_min_copies_need_nobody_that_is_gone) {
  Changing quorum(in_mode(Mode::sync_quorum, 3));
  quorum.closes(3);
  quorum.fua(1);
  BOOST_TEST(!done(quorum.has({1, 2}), 1));
  BOOST_TEST(done(quorum.wants(Mode::sync_quorum, 2), 1));

  Changing all(in_mode(Mode::sync_all, 2, 2));
  all.closes(3);
  all.fua(1);
  all.has({1});
  all.closes(2);
  BOOST_TEST(all.tick(200) == "");  // min_copies forbids it.
  BOOST_TEST(all.wants(Mode::sync_all, 1).find("propose") != std::string::npos);
  BOOST_TEST(done(all.decide(9, {1}), 1));
}

// --- a size beside rules that cannot be had yet -----------------------------------------------------

BOOST_AUTO_TEST_CASE(a_size_does_not_wait_for_rules_that_wait_for_copies) {
  Changing s(in_mode(Mode::sync_all, 2, 2));
  s.closes(3);
  auto next = s.volume.assignment();
  const auto bytes = 2 * next.spec.size_bytes;
  next.version = Version(8);
  next.wanted = Configuration{bytes, Mode::sync_all, 3};
  BOOST_TEST(s.tell(next) == "append 2:configure\n");
  BOOST_TEST(s.volume.configurations().current().min_copies ==
             2u);  // By the rules that are recorded.
  BOOST_TEST(s.has({2}) == "");
  const auto all = s.has({1});
  BOOST_TEST(all == committed(2) + fmt::format("tell that {} bytes are in force since 2\n", bytes));
  BOOST_TEST(s.tick(500) == fmt::format("tell that {} bytes are in force since 2\n", bytes));
  // The control plane has recorded the size, and the rules wait on.
  next.version = Version(9);
  next.spec.size_bytes = bytes;
  BOOST_TEST(s.tell(next) == "");
  BOOST_TEST(s.tick(1'000) == "");
  s.closes(3);
  const auto text = s.has({3});
  BOOST_TEST(text.find("propose") != std::string::npos);
  auto in_line = s.decide(10, {1, 2, 3});
  BOOST_TEST(in_line == "append 3:configure\n");
  BOOST_TEST(s.has({1, 2, 3}).find("in force since 3") != std::string::npos);
}

// --- answers, successors, other wishes ---------------------------------------------------------------

BOOST_AUTO_TEST_CASE(while_no_answer_comes_both_rules_stand_and_it_is_told_again) {
  Changing s(in_mode(Mode::sync_all));
  s.wants(Mode::sync_quorum, 2);
  s.has({1, 2, 3});
  s.fua(1);
  s.has({1, 2});
  BOOST_TEST(s.tick(499) == "");
  BOOST_TEST(s.tick(1) == told + "2\n");
  BOOST_TEST(!done(s.tick(500), 1));
}

BOOST_AUTO_TEST_CASE(a_successor_that_finds_the_record_serves_by_both_rules_from_its_own_on) {
  auto a = in_mode(Mode::sync_quorum);
  a.wanted = Configuration{a.spec.size_bytes, Mode::sync_all, 2};
  auto log = opened_log();
  log.end = Lsn(7);
  log.configurations = ConfigurationHistory(a.spec.configuration());
  log.configurations.begin(Lsn(6), *a.wanted);
  VolumeStory s(a, log);
  BOOST_TEST(s.peer(2, 8, 8) == "");
  BOOST_TEST(s.disk(8) == "");
  BOOST_TEST(s.peer(3, 8, 8) == committed(8) + told + "6\n");
}

BOOST_AUTO_TEST_CASE(a_successor_that_finds_nothing_serves_by_the_old_rule_and_numbers_it) {
  auto a = in_mode(Mode::sync_quorum);
  a.wanted = Configuration{a.spec.size_bytes, Mode::sync_all, 2};
  VolumeStory s(a);
  s.peer(2, 1, 1);
  s.peer(3, 0, 0);
  BOOST_TEST(s.disk(1) == "append 2:configure\ncommitted 1\n");
}

BOOST_AUTO_TEST_CASE(a_successor_says_in_its_epoch_record_what_its_log_says) {
  auto a = in_mode(Mode::sync_quorum);
  a.wanted = Configuration{a.spec.size_bytes, Mode::sync_all, 2};
  auto log = opened_log();
  log.end = Lsn(7);
  log.configurations = ConfigurationHistory(a.spec.configuration());
  log.configurations.begin(Lsn(6), *a.wanted);
  VolumeStory s(a, log);
  BOOST_TEST((s.volume.history().last()->mode == Mode::sync_all));
}

BOOST_AUTO_TEST_CASE(what_was_wanted_before_is_never_told_once_another_is_wanted) {
  Changing s(in_mode(Mode::sync_all));
  s.wants(Mode::sync_quorum, 2);
  BOOST_TEST(s.wants(Mode::best_effort, 1) == "");  // One record at a time.
  BOOST_TEST(s.has({1, 2, 3}) == "append 3:configure\n" + committed(2));
  BOOST_TEST(s.has({1, 2}) == "");
  BOOST_TEST(s.has({3}) == committed(3) + told + "3\n");
}

// Between its record and the second time it is wanted its rule did not stand.
BOOST_AUTO_TEST_CASE(what_is_wanted_again_is_told_once_all_that_was_committed_is_so_by_its_rule) {
  Changing s(in_mode(Mode::sync_quorum));
  s.wants(Mode::sync_all, 2);
  s.wants(Mode::sync_quorum, 2);
  BOOST_TEST(s.has({1, 2}) == "append 3:configure\n" + committed(2));
  s.fua(1);
  BOOST_TEST(done(s.has({1, 2}), 1));
  BOOST_TEST(s.wants(Mode::sync_all, 2) == "append 5:configure\n");
  s.has({1, 2});
  BOOST_TEST(s.has({3}) == committed(5) + told + "5\n");
}

BOOST_AUTO_TEST_CASE(a_volume_that_waits_names_the_rule_it_waits_for) {
  Changing s(in_mode(Mode::sync_quorum));
  s.wants(Mode::sync_all, 2);
  s.fua(1);
  s.has({1, 2});
  s.tick(200);
  BOOST_TEST(s.status().waiting_for.find(
                 "it is to become sync_all: in-sync set {1,2,3}: replica 3") != std::string::npos);
}

// --- the rules against the choice of a primary -------------------------------------------------------

namespace {

/// What the copies have on disk; the first is the primary's.
using Disks = std::vector<std::uint64_t>;

Lsn commits(const std::vector<Mode>& modes, const Disks& disks, std::uint32_t min_copies) {
  std::vector<CountedCopy> copies;
  QuorumRule rule;
  for (std::size_t i = 1; i < disks.size(); ++i) {
    copies.push_back({Lsn(disks[i]), Lsn(disks[i]), true, true});
    rule.others.push_back({Lsn(disks[i]), Lsn(disks[i])});
  }
  rule.required = required_voters(disks.size(), min_copies);
  const std::vector<QuorumRule> rules{rule};
  Lsn least(99);
  for (const auto mode : modes) {
    least = std::min(least, committed(CommitInputs{mode, AckPolicy::durable, Lsn(1), Lsn(9),
                                                   Lsn(disks[0]), copies, rules}));
  }
  return least;
}

/// The shortest log that a promotion by this mode may end with.
Lsn worst_choice(Mode mode, Disks disks, std::uint32_t min_copies) {
  if (mode == Mode::best_effort) return Lsn(disks[0]);
  std::sort(disks.begin(), disks.end());
  if (mode == Mode::sync_all) return Lsn(disks.front());  // Any exact one, by an operator's wish.
  const auto required = required_voters(disks.size(), min_copies);
  return Lsn(disks[votes_needed(disks.size(), required) - 1]);
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_both_rules_commit_no_choice_by_either_of_them_lacks) {
  const std::vector<Mode> all{Mode::sync_all, Mode::sync_quorum, Mode::best_effort};
  std::size_t walked = 0;
  for (std::size_t copies = 1; copies <= 4; ++copies) {
    for (std::uint64_t code = 0; code < 256; ++code) {
      Disks disks;
      for (std::size_t i = 0; i < copies; ++i) disks.push_back(1 + (code >> (2 * i)) % 4);
      for (const auto from : all) {
        for (const auto to : all) {
          for (std::uint32_t least = 1; least <= copies; ++least) {
            const auto both = commits({from, to}, disks, least);
            BOOST_REQUIRE(both <= worst_choice(from, disks, least));
            BOOST_REQUIRE(both <= worst_choice(to, disks, least));
            ++walked;
          }
        }
      }
    }
  }
  BOOST_TEST(walked == 23'040U);
}

BOOST_AUTO_TEST_SUITE_END()
