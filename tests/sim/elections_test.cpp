// The judge of who may reign next: what is flushed is with all that count, or with so many that no choice passes them by.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/checkers/elections.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Lsn;
using engine::Mode;
using engine::ReplicaId;

namespace {

std::vector<engine::SetMember> set_of(const std::vector<std::uint64_t>& replicas) {
  std::vector<engine::SetMember> members;
  for (const auto replica : replicas) members.push_back({ReplicaId(replica), {}});
  return members;
}

struct Judge {
  std::string found;
  std::string why;
  std::map<ReplicaId, std::uint64_t> disks;
  Elections elections{[this](ReplicaId replica) { return Lsn(disks[replica]); },
                      [this](const std::string& cls, const std::string& text) {
                        found += cls;
                        why = text;
                      }};

  void disk(std::uint64_t replica, std::uint64_t lsn) { disks[ReplicaId(replica)] = lsn; }
  static engine::Assignment rules(std::uint64_t epoch, std::uint64_t version, Mode mode,
                                  const std::vector<std::uint64_t>& replicas,
                                  std::uint32_t min_copies = 1) {
    engine::Assignment assignment;
    assignment.epoch = engine::Epoch(epoch);
    assignment.version = engine::Version(version);
    assignment.spec.mode = mode;
    assignment.spec.min_copies = min_copies;
    assignment.in_sync = set_of(replicas);
    return assignment;
  }
  std::string told(std::uint64_t epoch, std::uint64_t version, Mode mode,
                   const std::vector<std::uint64_t>& replicas, std::uint32_t min_copies = 1) {
    return told(rules(epoch, version, mode, replicas, min_copies));
  }
  std::string told(const engine::Assignment& assignment) {
    elections.told(assignment);
    return std::exchange(found, "");
  }
  std::string decided(std::uint64_t epoch, std::uint64_t version,
                      const std::vector<std::uint64_t>& replicas) {
    engine::SetDecided decided;
    decided.epoch = engine::Epoch(epoch);
    decided.version = engine::Version(version);
    decided.in_sync = set_of(replicas);
    elections.told(decided);
    return std::exchange(found, "");
  }
  std::string flushed(std::uint64_t lsn, std::uint64_t epoch = 9) {
    elections.flushed(Lsn(lsn), engine::Epoch(epoch));
    return std::exchange(found, "");
  }
};

const std::string breach = "electable_without";
const std::vector<std::uint64_t> three{1, 2, 3};

}  // namespace

BOOST_AUTO_TEST_SUITE(elections)

BOOST_AUTO_TEST_CASE(of_a_set_that_counts_as_a_whole_every_member_has_what_was_flushed) {
  Judge judge;
  judge.told(1, 1, Mode::sync_all, three);
  for (const auto replica : three) judge.disk(replica, 10);
  BOOST_TEST(judge.flushed(10) == "");
  judge.disk(1, 11);
  judge.disk(2, 11);
  BOOST_TEST(judge.flushed(11) == breach);
  BOOST_TEST(judge.why.find("replica 3 never said that it has more than 10") != std::string::npos,
             judge.why);
  BOOST_TEST(judge.why.find("2 of 3 have it, 3 are needed") != std::string::npos, judge.why);
  BOOST_TEST(judge.why.find("replica 1 ") == std::string::npos, judge.why);
}

BOOST_AUTO_TEST_CASE(what_was_flushed_less_far_later_is_with_them_still) {
  Judge judge;
  judge.told(1, 1, Mode::sync_all, {1});
  judge.disk(1, 10);
  judge.flushed(10);
  judge.flushed(5);
  judge.disk(2, 7);
  BOOST_TEST(judge.told(1, 2, Mode::sync_all, {1, 2}) == breach);
}

BOOST_AUTO_TEST_CASE(a_quorum_is_a_majority_or_as_many_as_the_volume_wants) {
  Judge judge;
  judge.disk(1, 10);
  judge.told(1, 1, Mode::sync_quorum, three);
  BOOST_TEST(judge.flushed(10) == breach);
  judge.disk(2, 10);
  BOOST_TEST(judge.flushed(10) == "");
  BOOST_TEST(judge.told(1, 2, Mode::sync_quorum, three, 3) == breach);
  judge.disk(3, 10);
  BOOST_TEST(judge.told(1, 3, Mode::sync_quorum, three, 3) == "");
  BOOST_TEST(judge.told(1, 4, Mode::sync_quorum, three, 9) == "");
}

BOOST_AUTO_TEST_CASE(a_quorum_of_four_is_three) {
  Judge judge;
  judge.disk(1, 10);
  judge.disk(2, 10);
  judge.told(1, 1, Mode::sync_quorum, {1, 2, 3, 4});
  BOOST_TEST(judge.flushed(10) == breach);
  judge.disk(4, 10);
  BOOST_TEST(judge.flushed(10) == "");
}

BOOST_AUTO_TEST_CASE(a_set_that_changes_is_held_against_what_was_flushed_before) {
  Judge judge;
  judge.told(1, 1, Mode::sync_all, {1});
  judge.disk(1, 10);
  BOOST_TEST(judge.flushed(10) == "");
  BOOST_TEST(judge.decided(1, 2, {1, 2}) == breach);
  judge.disk(2, 10);
  BOOST_TEST(judge.decided(1, 3, {2}) == "");
  BOOST_TEST(judge.decided(1, 4, {3}) == breach);
}

BOOST_AUTO_TEST_CASE(what_is_older_changes_nothing) {
  Judge judge;
  judge.disk(1, 10);
  BOOST_TEST(judge.decided(2, 2, {2}) == "");
  judge.told(2, 2, Mode::sync_all, {1});
  BOOST_TEST(judge.flushed(10) == "");
  BOOST_TEST(judge.told(2, 1, Mode::sync_all, {2}) == "");
  BOOST_TEST(judge.told(1, 9, Mode::sync_all, {2}) == "");
  BOOST_TEST(judge.decided(2, 2, {2}) == "");
  BOOST_TEST(judge.decided(1, 3, {2}) == "");
  BOOST_TEST(judge.decided(3, 3, {2}) == "");
  BOOST_TEST(judge.told(2, 2, Mode::sync_all, {1}) == "");
  BOOST_TEST(judge.decided(2, 1, {2}) == "");
  BOOST_TEST(judge.flushed(11) == breach);
}

// The version in between may have brought another mode.
BOOST_AUTO_TEST_CASE(
    a_set_behind_a_version_that_nobody_heard_of_is_not_judged_before_its_rules_are_known) {
  Judge judge;
  judge.disk(1, 10);
  judge.told(1, 1, Mode::sync_all, {1});
  BOOST_TEST(judge.flushed(10) == "");
  BOOST_TEST(judge.decided(1, 3, {1, 2}) == "");
  BOOST_TEST(judge.decided(1, 4, {1, 3}) == "");
  BOOST_TEST(judge.told(1, 4, Mode::sync_all, {1, 3}) == breach);
}

BOOST_AUTO_TEST_CASE(in_best_effort_nobody_has_to_have_anything) {
  Judge judge;
  judge.told(1, 1, Mode::best_effort, {1});
  BOOST_TEST(judge.flushed(10) == "");
  // What was flushed then was so by the first set of another mode.
  BOOST_TEST(judge.told(1, 2, Mode::sync_all, {1}) == breach);
}

BOOST_AUTO_TEST_CASE(a_reign_of_best_effort_goes_on_with_what_it_has) {
  Judge judge;
  judge.told(1, 1, Mode::best_effort, {1});
  judge.flushed(10);
  judge.told(2, 2, Mode::best_effort, {2});
  BOOST_TEST(judge.told(2, 3, Mode::sync_all, {2}) == "");
}

BOOST_AUTO_TEST_CASE(a_later_reign_of_the_other_modes_has_what_was_flushed_before) {
  Judge judge;
  judge.disk(1, 10);
  judge.told(1, 1, Mode::sync_all, {1});
  judge.flushed(10);
  BOOST_TEST(judge.told(2, 2, Mode::sync_all, {2}) == breach);
}

BOOST_AUTO_TEST_CASE(a_forced_reign_begins_anew_and_once) {
  Judge judge;
  judge.disk(1, 10);
  judge.told(1, 1, Mode::sync_all, {1});
  judge.flushed(10);
  auto forced = Judge::rules(2, 2, Mode::sync_all, {2});
  forced.marks = engine::EpochBody::forced;
  BOOST_TEST(judge.told(forced) == "");
  judge.disk(2, 12);
  BOOST_TEST(judge.flushed(12) == "");
  forced.version = engine::Version(3);
  forced.in_sync = set_of({1, 2});
  BOOST_TEST(judge.told(forced) == breach);
}

// There are no leases: who has not heard of it goes on.
BOOST_AUTO_TEST_CASE(what_an_older_reign_flushes_beside_a_forced_one_is_lost) {
  for (const bool is_forced : {true, false}) {
    Judge judge;
    judge.disk(1, 10);
    judge.told(1, 1, Mode::sync_all, {1});
    judge.flushed(10, 1);
    auto anew = Judge::rules(2, 2, is_forced ? Mode::sync_all : Mode::best_effort, {2});
    if (is_forced) anew.marks = engine::EpochBody::forced;
    BOOST_TEST(judge.told(anew) == "");
    BOOST_TEST(judge.flushed(10, 1) == "");
    BOOST_TEST(judge.told(2, 3, Mode::sync_all, {2}) == "");
    BOOST_TEST(judge.flushed(10, 2) == breach);
  }
}

BOOST_AUTO_TEST_CASE(other_marks_excuse_nothing) {
  Judge judge;
  judge.disk(1, 10);
  judge.told(1, 1, Mode::sync_all, {1});
  judge.flushed(10);
  auto lost = Judge::rules(2, 2, Mode::sync_all, {2});
  lost.marks = engine::EpochBody::cache_lost;
  BOOST_TEST(judge.told(lost) == breach);
}

BOOST_AUTO_TEST_CASE(a_record_out_of_a_backup_forgets_what_was_flushed_behind_it) {
  Judge judge;
  judge.disk(1, 10);
  judge.told(3, 7, Mode::sync_all, {1});
  judge.flushed(10);
  judge.elections.forgotten();
  BOOST_TEST(judge.flushed(0) == "");
  BOOST_TEST(judge.told(2, 3, Mode::sync_all, {2}) == "");
  BOOST_TEST(judge.flushed(1) == breach);
}

BOOST_AUTO_TEST_CASE(with_a_copy_that_nobody_watches_nothing_is_judged) {
  Judge judge;
  judge.told(1, 1, Mode::sync_all, {1});
  judge.elections.no_witness();
  BOOST_TEST(judge.flushed(10) == "");
}

BOOST_AUTO_TEST_CASE(before_anybody_is_told_of_a_record_nothing_is_judged) {
  Judge judge;
  BOOST_TEST(judge.flushed(10) == "");
}

BOOST_AUTO_TEST_SUITE_END()
