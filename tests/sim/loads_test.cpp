// The judge of loads: right stories, and those that it must notice.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/checkers/loads.hpp"
#include "tests/sim/judged.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Event;
using engine::Level;
using engine::MonoTime;
using engine::second;

namespace {

struct Loaded : Found {
  Loads::Caps caps{4, 6, 1000, 8192, 1000, 100'000, 1000, 100, 3};
  Loads loads{caps, fail};
  engine::RecordBuilder builder{engine::VolumeKey(engine::make_uuid(1, 2)), {}, {}};

  template <class T>
  void step(caf::actor_id receiver, caf::actor_id sender, T message, std::uint64_t waiting = 1,
            const char* actor = "store") {
    const auto said = caf::make_message(std::move(message));
    loads.observe(
        Step{std::make_shared<Life>(life), receiver, sender, said.content(), actor, waiting});
  }
  std::vector<engine::RecordPtr> writes(int count) {
    std::vector<engine::RecordPtr> records;
    for (; count > 0; --count) {
      engine::Buffer block(engine::block_bytes);
      records.push_back(builder.write(engine::Epoch(1), {engine::BlockIndex(0), 1},
                                      std::move(block).freeze(), {}));
    }
    return records;
  }
  void numbers(std::vector<engine::RecordPtr> records, std::uint64_t committed) {
    actors::RecordsNumbered said;
    said.batch = std::make_shared<const std::vector<engine::RecordPtr>>(std::move(records));
    said.committed = engine::Lsn(committed);
    step(5, 9, said);
    step(6, 9, said);  // The other sender.
  }
  void durable(std::uint64_t lsn) {
    actors::StoreProgressed progress;
    progress.durable = engine::Lsn(lsn);
    step(9, 0, progress);
  }
  engine::RecordPtr epoch(std::uint64_t number) {
    return builder.epoch(engine::Epoch(number), engine::EpochBody{}, {});
  }
  void appends(std::vector<engine::RecordPtr> records) {
    record_head = records.back()->bytes() - records.back()->payload().size();
    actors::AppendRecords said;
    said.batch = std::make_shared<const std::vector<engine::RecordPtr>>(std::move(records));
    step(8, 9, said);
  }
  void store_says(std::uint64_t end, std::uint64_t durable, std::uint64_t memory) {
    engine::StoreStatus status;
    status.end = engine::Lsn(end);
    status.durable = engine::Lsn(durable);
    status.memory_bytes = memory;
    step(1, 8, status);
  }
  void log_of(std::uint64_t bytes, std::uint64_t retained) {
    engine::StoreStatus status;
    status.retained = engine::Lsn(retained);
    status.wal_bytes = bytes;
    step(1, 8, status);
  }
  std::uint64_t record_head = 0;  ///< Of those that were appended.
  /// What a record of one block takes.
  std::uint64_t one() const { return engine::block_bytes + record_head; }
  void sends(std::vector<engine::RecordPtr> records) {
    engine::Records sent;
    sent.session = engine::SessionId(1);
    sent.records = std::move(records);
    loads.sent(life, engine::Purpose::records, sent, 100);
  }
  void misses(std::uint64_t blocks) {
    engine::SessionReady ready;
    ready.session = engine::SessionId(1);
    ready.missing_blocks = blocks;
    loads.sent(life, engine::Purpose::records, ready, 100);
  }
  void copies(std::uint64_t blocks) {
    engine::BaseZeroes sent;
    sent.session = engine::SessionId(1);
    sent.range = {engine::BlockIndex(0), blocks};
    loads.sent(life, engine::Purpose::bulk, sent, 100);
  }
  static Event of_session(int session, std::string name) {
    return Event(Level::info, std::move(name)).with("replica", 2).with("session", session);
  }
  void begins(int session, const std::string& kind) {
    loads.happened(life, of_session(session, "session_started").with("kind", kind));
  }
  void ends(int session, const std::string& cause = "link_silent", int records = 0) {
    loads.happened(
        life, of_session(session, "session_ended").with("cause", cause).with("records", records));
  }
  void catch_up_fails(int session, const std::string& cause = "link_silent", int records = 0) {
    begins(session, "catch_up");
    ends(session, cause, records);
  }
  /// As many as may be before somebody has to be told.
  void catch_ups_fail() {
    for (int session = 0; session < 9; ++session) catch_up_fails(session);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(loads)

BOOST_FIXTURE_TEST_CASE(what_is_within_its_bounds_passes, Loaded) {
  numbers(writes(2), 0);
  durable(2);
  numbers(writes(2), 2);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_mailbox_that_is_too_full_is_noticed, Loaded) {
  step(1, 2, actors::ReleaseFlush{}, 4);
  BOOST_TEST(found == "");
  step(1, 2, actors::ReleaseFlush{}, 6, "receiver");  // What its sender had credit for.
  BOOST_TEST(found == "");
  step(1, 2, actors::ReleaseFlush{}, 5);
  BOOST_TEST(found == "mailbox_full\n");
  step(1, 2, actors::ReleaseFlush{}, 7, "receiver");
  BOOST_TEST(found == "mailbox_full\nmailbox_full\n");
}

BOOST_FIXTURE_TEST_CASE(a_mailbox_of_the_world_is_told_as_the_worlds, Loaded) {
  const auto said = caf::make_message(engine::StoreStatus{});
  loads.observe(Step{nullptr, 1, 2, said.content(), "client", 5});
  BOOST_TEST(words == "client of the world: 5, at most 4");
  step(1, 2, actors::ReleaseFlush{}, 5);
  BOOST_TEST(words == "store of node1/1: 5, at most 4");
}

BOOST_FIXTURE_TEST_CASE(the_greatest_of_everything_is_kept_by_what_it_was, Loaded) {
  for (const std::size_t unsent : {30u, 20u}) {
    loads.sent(life, engine::Purpose::records, engine::Ack{}, unsent + 1);
    loads.sent(life, engine::Purpose::bulk, engine::Ack{}, unsent + 2);
    loads.sent(life, engine::Purpose::control, engine::Ack{}, unsent + 3);
  }
  const std::map<std::string, std::uint64_t> wanted{
      {"unsent records", 31}, {"unsent base", 32}, {"unsent control", 33}};
  BOOST_TEST((loads.highest() == wanted));
}

BOOST_FIXTURE_TEST_CASE(more_that_is_uncommitted_than_may_be_is_noticed, Loaded) {
  numbers(writes(2), 0);
  durable(2);  // On the own disk alone.
  numbers(writes(1), 0);
  BOOST_TEST(found == "uncommitted_too_much\n");
}

BOOST_FIXTURE_TEST_CASE(a_commit_without_records_makes_room_once_the_own_disk_has_them, Loaded) {
  numbers(writes(2), 0);
  durable(2);
  actors::RecordsNumbered commit;
  commit.committed = engine::Lsn(2);
  step(5, 9, commit);
  numbers(writes(2), 2);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(what_a_stuck_disk_has_not_taken_is_in_memory_rightly, Loaded) {
  appends(writes(4));
  store_says(4, 0, 4 * one());
  store_says(4, 2, 2 * one() + 1000);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_store_that_keeps_too_much_is_noticed, Loaded) {
  appends(writes(4));
  store_says(4, 2, 2 * one() + 1001);
  BOOST_TEST(found == "memory_too_much\n");
}

BOOST_FIXTURE_TEST_CASE(what_is_durable_counts_no_more_and_what_was_cut_counts_nothing, Loaded) {
  const auto records = writes(3);
  appends(records);
  appends({records[2]});  // Cut, and once more.
  store_says(3, 2, one() + 1001);
  BOOST_TEST(found == "memory_too_much\n");
}

BOOST_FIXTURE_TEST_CASE(what_was_appended_since_a_store_was_asked_excuses_nothing, Loaded) {
  appends(writes(4));
  store_says(3, 2, one() + 1001);
  BOOST_TEST(found == "memory_too_much\n");
}

BOOST_FIXTURE_TEST_CASE(a_log_that_was_cut_since_it_was_asked_is_not_judged, Loaded) {
  appends(writes(2));
  store_says(4, 0, 4 * one() + 1000);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_listener_that_appends_nothing_hears_of_no_store, Loaded) {
  appends(writes(23));
  actors::StoreProgressed progress;
  progress.durable = engine::Lsn(23);
  step(10, 0, progress);
  appends(writes(2));
  BOOST_TEST(found == "memory_too_much\n");
}

BOOST_FIXTURE_TEST_CASE(more_that_a_disk_has_not_taken_than_sessions_may_bring_is_noticed, Loaded) {
  appends(writes(23));
  BOOST_TEST(found == "");
  actors::StoreProgressed progress;
  progress.durable = engine::Lsn(1);
  step(9, 0, progress);
  appends(writes(1));
  BOOST_TEST(found == "");
  appends(writes(1));
  BOOST_TEST(found == "memory_too_much\n");
}

BOOST_FIXTURE_TEST_CASE(a_log_has_a_segment_more_for_each_reign_that_it_tells_of, Loaded) {
  appends({epoch(2), epoch(3)});
  log_of(1200, 1);
  BOOST_TEST(found == "");
  log_of(1201, 1);
  BOOST_TEST(found == "log_too_long\n");
}

BOOST_FIXTURE_TEST_CASE(writes_make_no_log_longer, Loaded) {
  appends({epoch(2)});
  appends(writes(2));
  log_of(1101, 1);
  BOOST_TEST(found == "log_too_long\n");
}

BOOST_FIXTURE_TEST_CASE(reigns_in_the_log_of_another_node_make_no_log_longer, Loaded) {
  appends({epoch(2)});
  life = {2, 1, "node2/1"};
  log_of(1001, 1);
  BOOST_TEST(found == "log_too_long\n");
}

BOOST_FIXTURE_TEST_CASE(reigns_that_were_pruned_make_no_log_longer, Loaded) {
  appends({epoch(2), epoch(3)});
  log_of(1200, 2);  // What was pruned just now is about to be deleted.
  BOOST_TEST(found == "");
  log_of(1101, 2);
  BOOST_TEST(found == "log_too_long\n");
}

BOOST_FIXTURE_TEST_CASE(a_link_that_holds_too_much_is_noticed, Loaded) {
  loads.sent(life, engine::Purpose::records, engine::Ack{}, 1000);
  BOOST_TEST(found == "");
  loads.sent(life, engine::Purpose::records, engine::Ack{}, 1001);
  BOOST_TEST(found == "link_full\n");
}

BOOST_FIXTURE_TEST_CASE(a_record_that_is_sent_twice_in_a_session_is_noticed, Loaded) {
  const auto records = writes(2);
  sends({records[0]});
  sends({records[1]});
  sends({});  // How far it is committed.
  BOOST_TEST(found == "");
  sends({records[1]});
  BOOST_TEST(found == "sent_again\n");
}

BOOST_FIXTURE_TEST_CASE(more_of_a_base_than_was_missing_is_noticed, Loaded) {
  misses(5);
  copies(3);
  copies(2);
  BOOST_TEST(found == "");
  copies(1);
  BOOST_TEST(found == "base_again\n");
}

BOOST_FIXTURE_TEST_CASE(blocks_count_as_well_as_zeros, Loaded) {
  misses(5);
  copies(3);
  engine::BaseBlocks sent;
  sent.session = engine::SessionId(1);
  sent.range = {engine::BlockIndex(3), 3};
  loads.sent(life, engine::Purpose::bulk, sent, 100);
  BOOST_TEST(found == "base_again\n");
}

BOOST_FIXTURE_TEST_CASE(a_copy_that_has_not_said_what_it_misses_may_miss_it_all, Loaded) {
  copies(5);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(what_a_comparison_found_to_be_wrong_is_copied_again, Loaded) {
  misses(5);
  copies(5);
  loads.happened(life, Event(Level::error, "base_unequal").with("blocks_again", 2));
  copies(2);
  BOOST_TEST(found == "");
  loads.happened(life, Event(Level::info, "base_equal").with("blocks_again", 2));
  copies(1);
  BOOST_TEST(found == "base_again\n");
}

BOOST_FIXTURE_TEST_CASE(who_knocks_too_often_is_noticed, Loaded) {
  for (std::uint64_t t = 0; t < 9; ++t)
    loads.connects(MonoTime(t * second / 3), life, "there", engine::Purpose::records);
  BOOST_TEST(found == "");
  loads.connects(MonoTime(8 * second / 3 + 1), life, "there", engine::Purpose::records);
  BOOST_TEST(found == "knocks_too_often\n");
}

BOOST_FIXTURE_TEST_CASE(failures_that_get_somewhere_go_on, Loaded) {
  for (int i = 0; i < 40; ++i) {
    catch_up_fails(2 * i, "link_down");
    catch_up_fails(2 * i + 1, "link_silent", i % 8 == 0 ? 3 : 0);
  }
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(failures_that_somebody_is_told_of_or_that_end_well_count_anew, Loaded) {
  catch_ups_fail();
  loads.happened(life, Event(Level::error, "recovery_escalated").with("replica", 2));
  catch_ups_fail();
  loads.happened(life, of_session(9, "session_completed"));
  catch_ups_fail();
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(who_was_told_once_is_told_again_only_of_what_got_somewhere_meanwhile, Loaded) {
  catch_ups_fail();
  loads.happened(life, Event(Level::error, "recovery_escalated").with("replica", 2));
  catch_ups_fail();
  catch_ups_fail();
  BOOST_TEST(found == "");
  begins(9, "catch_up");
  ends(9, "bad_answer", 1);
  catch_ups_fail();
  BOOST_TEST(found == "never_escalated\n");
}

BOOST_FIXTURE_TEST_CASE(a_rebuild_between_catch_ups_is_another_way, Loaded) {
  catch_ups_fail();
  for (int session = 20; session < 40; ++session) {
    begins(session, "rebuild");
    ends(session);
  }
  catch_ups_fail();
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_session_that_ends_before_it_has_a_plan_says_nothing, Loaded) {
  for (int session = 20; session < 40; ++session) ends(session);
  catch_ups_fail();
  for (int session = 20; session < 40; ++session) ends(session);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(failures_without_end_that_nobody_is_told_of_are_noticed, Loaded) {
  catch_ups_fail();
  BOOST_TEST(found == "");
  catch_up_fails(9);
  BOOST_TEST(found == "never_escalated\n");
}

BOOST_AUTO_TEST_SUITE_END()
