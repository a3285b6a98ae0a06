// The judge of logs: what a log may hold and a primary may say, and what an operator's forced reign excuses.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/sim/logs_rig.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using namespace tidemark::sim::logs_rig;

namespace {

/// 1 has five records, all committed; 2 has three of them, and reigns by force from there on.
struct Forced : Judge {
  Log old = Log().reign(1, 4);
  Log next{Lsn(3), old.digest(3)};

  Forced() {
    for (caf::actor_id store = 1; store <= 3; ++store) opens(store);
    appends(1, old.records, 0);
    appends(2, part(old.records, 3), 0);
    hears(1, 5);
    logs.forced(Epoch(2));
    next.reign(2, 2);
    appends(2, next.records, 3);
    hears(2, 6);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(logs)

BOOST_AUTO_TEST_CASE(a_disk_that_was_put_back_may_lack_what_it_said_once) {
  for (const bool told : {true, false}) {
    Judge j;
    const auto life = std::make_shared<Life>();
    life->node = 3;
    const auto opens = [&](caf::actor_id store, Lsn end) {
      actors::StoreFacts facts;
      facts.replica = engine::ReplicaId(7);
      facts.end = end;
      const auto said = caf::make_message(actors::StoreOpened{facts});
      j.logs.observe(Step{life, 0, store, said.content()});
    };
    opens(1, Lsn(40));
    if (told) j.logs.rolled_back(3);
    j.opens(9);  // Of no node.
    opens(2, Lsn(30));
    BOOST_TEST(j.found == (told ? "" : "durable_lost\n"));
    opens(3, Lsn(20));  // Once is enough.
    BOOST_TEST(j.found.ends_with("durable_lost\n"));
  }
}

BOOST_AUTO_TEST_CASE(whose_record_another_one_stands_behind_is_known_where_both_were_seen) {
  Judge j;
  const auto log = Log().reign(1, 1).reign(2, 0);
  j.opens(1);
  j.appends(1, log.records, 0);
  BOOST_TEST((j.logs.epoch_before(log.digest(3)) == Epoch(1)));
  BOOST_TEST((j.logs.epoch_before(log.digest(1)) == std::nullopt));
  BOOST_TEST((j.logs.epoch_before(Log().reign(7, 0).digest(1)) == std::nullopt));
}

BOOST_AUTO_TEST_CASE(a_fork_is_noticed_where_nobody_was_forced) {
  Judge j;
  j.opens(1);
  j.opens(2);
  const auto one = Log().reign(1, 4);
  j.appends(1, one.records, 5);
  auto other = Log(Lsn(3), one.digest(3));
  j.appends(2, part(one.records, 3), 3);
  BOOST_TEST(j.found == "");
  j.appends(2, other.reign(2, 1).records, 5);
  BOOST_TEST(j.found == "committed_fork\n");
}

BOOST_AUTO_TEST_CASE(a_forced_reign_may_leave_what_was_committed) {
  Forced f;
  BOOST_TEST(f.found == "");
  f.hears(1, 4);  // The log that lost is held against nothing.
  BOOST_TEST(f.found == "");
}

BOOST_AUTO_TEST_CASE(what_a_forced_reign_commits_is_committed) {
  Forced f;
  // A later reign lacks a record that the forced one called committed.
  f.appends(3, part(f.old.records, 3), 3);
  f.appends(3, part(f.next.records, 2), 5);
  BOOST_TEST(f.found == "");
  Log fork(Lsn(5), f.next.digest(2));
  f.appends(3, fork.reign(3, 0).records, 6);
  BOOST_TEST(f.found == "committed_fork\n");
}

BOOST_AUTO_TEST_CASE(a_store_that_knows_of_less_may_not_be_on_a_fork_either) {
  Judge j;
  j.opens(1);
  j.opens(2);
  const auto one = Log().reign(1, 4);
  j.appends(1, one.records, 5);
  j.appends(2, part(one.records, 3), 3);
  auto other = Log(Lsn(3), one.digest(3));
  j.appends(2, other.reign(2, 1).records, 3);
  BOOST_TEST(j.found == "");
  j.hears(2, 4);
  BOOST_TEST(j.found == "committed_fork\n");
}

BOOST_AUTO_TEST_CASE(where_committed_records_may_fork_nobody_is_held_to_them) {
  Judge j(false);
  j.opens(1);
  j.opens(2);
  const auto one = Log().reign(1, 4);
  j.appends(1, one.records, 5);
  auto other = Log(Lsn(3), one.digest(3));
  j.appends(2, part(one.records, 3), 3);
  j.appends(2, other.reign(2, 1).records, 5);
  j.listens(2);
  j.progresses(2, 4, other.digest(1), 5);
  BOOST_TEST(j.found == "");
  BOOST_TEST(j.logs.records() == 7U);
}

BOOST_AUTO_TEST_CASE(what_lies_beyond_a_logs_end_is_not_yet_in_it) {
  Judge j;
  j.opens(1);
  j.opens(2);
  const auto one = Log().reign(1, 4);
  j.appends(1, one.records, 0);
  j.appends(2, part(one.records, 3), 5);
  j.hears(1, 5);
  BOOST_TEST(j.found == "");
  BOOST_TEST((j.logs.committed() == Lsn(5)));
}

// A copy that was opened with a log that nobody saw being written.
BOOST_AUTO_TEST_CASE(a_log_that_nobody_saw_is_held_against_nothing) {
  Judge j;
  const auto one = Log().reign(1, 6);
  j.opens(1);
  j.appends(1, part(one.records, 4), 4);
  j.opens(2, Lsn(6), one.digest(6));
  j.hears(2, 2);
  j.hears(2, 5);
  BOOST_TEST((j.logs.committed() == Lsn(4)));
  j.hears(2, 6);
  BOOST_TEST((j.logs.committed() == Lsn(6)));
  j.hears(1, 3);
  BOOST_TEST(j.found == "");
}

BOOST_AUTO_TEST_CASE(a_log_that_is_not_known_behind_a_cut_is_held_against_nothing) {
  Judge j;
  const auto one = Log().reign(1, 5);
  j.opens(1);
  j.appends(1, part(one.records, 2), 2);
  j.opens(2, Lsn(6), one.digest(6));
  j.step(2, 0, actors::TruncateLog{Lsn(4)});
  j.hears(2, 4);
  BOOST_TEST(j.found == "");
  BOOST_TEST((j.logs.committed() == Lsn(2)));
}

BOOST_AUTO_TEST_CASE(
    a_store_that_nobody_saw_being_opened_tells_nothing_of_what_is_before_its_records) {
  Judge j;
  const auto one = Log().reign(1, 6);
  j.opens(1);
  j.appends(1, part(one.records, 4), 4);
  j.appends(2, {one.records[4]}, 0);
  j.appends(1, {one.records.begin() + 4, one.records.end()}, 7);
  BOOST_TEST(j.found == "");
  BOOST_TEST((j.logs.committed() == Lsn(7)));
}

BOOST_AUTO_TEST_CASE(logs_may_begin_with_a_digest_that_is_not_zero) {
  Judge j;
  const Digest genesis{7, 9};
  j.opens(1, Lsn{}, genesis);
  const auto one = Log(Lsn{}, genesis).reign(1, 4);
  j.appends(1, one.records, 3);
  j.hears(1, 5);
  BOOST_TEST(j.found == "");
  BOOST_TEST((j.logs.committed() == Lsn(5)));
}

// --- what stores are given -----------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_gap_is_noticed) {
  Judge j;
  j.opens(1);
  const auto one = Log().reign(1, 4);
  j.appends(1, part(one.records, 2), 0);
  j.appends(1, {one.records[3]}, 0);
  BOOST_TEST(j.found == "gap\n");
}

BOOST_AUTO_TEST_CASE(a_store_goes_on_where_it_was_cut_and_a_cut_behind_its_end_is_none) {
  Judge j;
  j.opens(1);
  const auto one = Log().reign(1, 4);
  j.appends(1, one.records, 0);
  j.step(1, 0, actors::TruncateLog{Lsn(9)});
  auto more = Log(Lsn(5), one.digest(5));
  j.appends(1, more.reign(2, 0).records, 0);
  j.step(1, 0, actors::TruncateLog{Lsn(3)});
  auto other = Log(Lsn(3), one.digest(3));
  j.appends(1, other.reign(3, 1).records, 5);
  BOOST_TEST(j.found == "");
  BOOST_TEST((j.logs.committed() == Lsn(5)));
}

BOOST_AUTO_TEST_CASE(one_epoch_gives_one_number_to_one_record) {
  for (const bool forged : {false, true}) {
    Judge j;
    j.opens(1);
    j.opens(2);
    const auto one = Log().reign(1, 2);
    auto other = Log(Lsn(2), one.digest(2));
    engine::RecordBuilder::Origin later;
    later.raw_time = engine::WallTime(5);
    other.records.push_back(other.builder.chunk_end(Epoch(1), later));
    if (forged) j.logs.forged(other.digest(1));
    j.appends(1, one.records, 0);
    j.appends(2, part(one.records, 2), 0);
    BOOST_TEST(j.found == "");
    j.appends(2, other.records, 0);
    BOOST_TEST(j.found == (forged ? "" : "two_logs\n"));
  }
}

BOOST_AUTO_TEST_CASE(the_time_of_records_never_goes_back) {
  const auto at = [](std::uint64_t time) {
    engine::RecordBuilder::Origin origin;
    origin.mono_time = engine::WallTime(time);
    return origin;
  };
  for (const std::uint64_t next : {4u, 5u, 6u}) {
    Log log;
    log.records.push_back(log.builder.chunk_end(Epoch(1), at(5)));
    log.records.push_back(log.builder.chunk_end(Epoch(1), at(next)));
    const std::string expected = next < 5 ? "time_went_back\n" : "";
    Judge j;
    j.opens(1);
    j.appends(1, log.records, 0);
    BOOST_TEST(j.found == expected);

    Judge later;  // Another process goes on with what its store tells of the log.
    actors::StoreFacts facts;
    facts.end = Lsn(1);
    facts.digest = log.digest(1);
    facts.mono_time = engine::WallTime(5);
    later.step(0, 2, actors::StoreOpened{facts});
    later.appends(2, {log.records.back()}, 0);
    BOOST_TEST(later.found == expected);
  }
}

BOOST_AUTO_TEST_CASE(
    a_rebuilt_log_begins_where_its_base_does_and_the_rest_of_a_base_changes_nothing) {
  for (const auto scope : {engine::BaseScope::all, engine::BaseScope::rest}) {
    Judge j;
    j.opens(1);
    const auto one = Log().reign(1, 4);
    j.appends(1, part(one.records, 2), 0);
    actors::BeginBase base;
    base.scope = scope;
    base.log.base = Lsn(3);
    base.log.digest = one.digest(3);
    j.step(1, 0, base);
    j.appends(1, {one.records[3]}, 0);
    BOOST_TEST(j.found == (scope == engine::BaseScope::all ? "" : "gap\n"));
  }
}

BOOST_AUTO_TEST_CASE(what_is_none_of_a_stores_messages_is_not_looked_at) {
  Judge j;
  j.opens(1);
  const auto one = Log().reign(1, 4);
  j.appends(1, part(one.records, 2), 0);
  j.step(1, 0, std::int32_t{3});
  const auto two = caf::make_message(actors::TruncateLog{Lsn(1)}, std::int32_t{3});
  j.logs.observe(Step{nullptr, 1, 0, two.content()});
  j.step(0, 1, actors::StoreOpened{engine::Error{engine::Errc::io_failed, "no such disk"}});
  j.appends(1, {one.records[2]}, 0);
  BOOST_TEST(j.found == "");
}

// --- what primaries say --------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_reign_that_begins_is_told_to_each_sender) {
  Judge j;
  const auto old = Log().reign(1, 4);
  Log next{Lsn(5), old.digest(5)};
  j.numbers(7, next.reign(2, 1).records, 3);
  j.numbers(7, next.records, 5);
  BOOST_TEST(j.found == "older_reign_committed\n");
}

BOOST_AUTO_TEST_CASE(extents_are_judged_again_in_a_forced_reign) {
  Forced f;
  actors::StoreProgressed progress;
  progress.durable = Lsn(6);
  progress.digest = f.next.digest(3);
  progress.checkpoint = Lsn(6);
  f.step(8, 2, progress);
  BOOST_TEST(f.found == "");
  f.next.records.push_back(f.next.builder.chunk_end(Epoch(2), {}));
  f.appends(2, {f.next.records.back()}, 6);
  progress.durable = progress.checkpoint = Lsn(7);
  progress.digest = f.next.digest(4);
  f.step(8, 2, progress);
  BOOST_TEST(f.found == "extents_uncommitted\n");
}

BOOST_AUTO_TEST_CASE(
    a_primary_may_know_what_was_committed_before_it_and_moves_on_with_its_own_record) {
  Judge j;
  const auto old = Log().reign(1, 4);
  Log next{Lsn(5), old.digest(5)};
  j.numbers(7, next.reign(2, 1).records, 3);
  j.numbers(7, {}, 3);
  j.numbers(7, {}, 6);
  j.numbers(7, {}, 7);
  BOOST_TEST(j.found == "");
}

BOOST_AUTO_TEST_CASE(a_primary_that_commits_what_an_older_reign_left_by_itself_is_noticed) {
  Judge j;
  const auto old = Log().reign(1, 4);
  Log next{Lsn(5), old.digest(5)};
  j.numbers(7, next.reign(2, 1).records, 3);
  j.numbers(7, {}, 5);
  BOOST_TEST(j.found == "older_reign_committed\n");
}

BOOST_AUTO_TEST_SUITE_END()
