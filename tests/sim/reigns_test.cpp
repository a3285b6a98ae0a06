// The judge of reigns: one writer an epoch, answers that outlive their reign, promises that are kept.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/record/record.hpp"
#include "sim/checkers/reigns.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Epoch;
using engine::Incarnation;
using engine::Lsn;

namespace {

using Records = std::vector<engine::RecordPtr>;

/// The log of a volume as one reign after the other writes it.
struct Writer {
  engine::RecordBuilder builder;

  explicit Writer(Lsn end = {}, const engine::Digest& digest = {})
      : builder(engine::VolumeKey(engine::make_uuid(1, 2)), end, digest) {}
  Records reign(std::uint64_t epoch, int more) {
    engine::EpochBody body;
    body.nonce = epoch;
    Records records{builder.epoch(Epoch(epoch), body, {})};
    for (; more > 0; --more) records.push_back(builder.chunk_end(Epoch(epoch), {}));
    return records;
  }
};

struct Judge {
  explicit Judge(bool lossy = false) : may_lose_cache(lossy) {}

  std::string found;
  bool may_lose_cache;
  Logs logs{true, [this](const std::string& cls, const std::string&) { found += cls + "\n"; }};
  Reigns reigns{logs, may_lose_cache,
                [this](const std::string& cls, const std::string&) { found += cls + "\n"; }};
  Life one{1, 0, "node1/1"};
  Life again{2, 0, "node1/2"};

  template <class T>
  void step(caf::actor_id receiver, caf::actor_id sender, T message) {
    const auto said = caf::make_message(std::move(message));
    const Step step{nullptr, receiver, sender, said.content()};
    logs.observe(step);
    reigns.observe(step);
  }
  /// A volume numbers records; its store, which has the volume's number plus 100, gets them as well.
  void numbers(caf::actor_id volume, const Records& records, std::uint64_t committed) {
    const auto batch = std::make_shared<const Records>(records);
    actors::RecordsNumbered said;
    said.batch = batch;
    said.committed = Lsn(committed);
    step(0, volume, said);
    step(volume + 100, volume, actors::AppendRecords{batch, Lsn{}});
  }
  void commits(caf::actor_id volume, std::uint64_t committed) {
    actors::RecordsNumbered said;
    said.committed = Lsn(committed);
    step(0, volume, said);
  }
  void opens(caf::actor_id volume, const Records& log = {}) { opens_at(volume, Lsn{}, {}, log); }
  /// Its log begins behind what a base has brought.
  void opens_at(caf::actor_id volume, Lsn end, const engine::Digest& digest, const Records& log) {
    actors::StoreFacts facts;
    facts.replica = engine::ReplicaId(volume);
    facts.end = end;
    facts.digest = digest;
    step(0, volume + 100, actors::StoreOpened{facts});
    if (!log.empty())
      step(volume + 100, 0, actors::AppendRecords{std::make_shared<const Records>(log), Lsn{}});
  }
  void promises(const Life& by, std::uint64_t epoch, std::uint64_t incarnation = 1) {
    engine::Promise promise;
    promise.accepted = true;
    promise.epoch = Epoch(epoch);
    promise.incarnation = Incarnation(incarnation);
    reigns.sent(by, promise);
  }
  void acknowledges(const Life& by, std::uint64_t epoch) {
    engine::Ack ack;
    ack.epoch = Epoch(epoch);
    reigns.sent(by, ack);
  }
  void obeys(const Life& by, std::uint64_t epoch, std::uint64_t version) {
    engine::AssignAck ack;
    ack.epoch = Epoch(epoch);
    ack.version = engine::Version(version);
    reigns.sent(by, ack);
  }
  void begins_session(std::uint64_t epoch, std::uint64_t session) {
    engine::StartSession start;
    start.epoch = Epoch(epoch);
    start.session = engine::SessionId(session);
    reigns.sent(one, start);
  }
};

/// Volume 1 has five records in epoch 1; volume 2 has three of them and reigns behind them in epoch 2.
struct TwoReigns : Judge {
  Writer writer;
  Records first = writer.reign(1, 4);
  Writer next{Lsn(3), first[2]->header().digest};

  explicit TwoReigns(bool lossy = false) : Judge(lossy) {
    opens(1);
    opens(2, {first.begin(), first.begin() + 3});
    numbers(1, first, 0);
    commits(1, 1);
  }
  void second_begins() { numbers(2, next.reign(2, 1), 3); }
  /// What volume 1 has of the first reign, up to there.
  Records first_up_to(int lsn) const { return {first.begin(), first.begin() + lsn}; }
};

struct BestEffort : TwoReigns {
  BestEffort() : TwoReigns(true) {}
};

Records joined(Records log, const Records& more) {
  log.insert(log.end(), more.begin(), more.end());
  return log;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reigns)

BOOST_FIXTURE_TEST_CASE(what_the_next_reign_has_may_be_answered_at_any_time, TwoReigns) {
  reigns.answered(7, {Epoch(1), Lsn(2)});
  second_begins();
  commits(2, 4);
  reigns.answered(8, {Epoch(1), Lsn(3)});
  reigns.answered(9, {Epoch(2), Lsn(5)});
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(an_answered_write_that_the_next_reign_lacks_is_noticed_once_it_serves,
                        TwoReigns) {
  reigns.answered(7, {Epoch(1), Lsn(4)});
  second_begins();
  BOOST_TEST(found == "");  // It may never get that far.
  commits(2, 4);
  BOOST_TEST(found == "answer_lost\n");
}

BOOST_FIXTURE_TEST_CASE(an_answer_of_the_reign_before_is_noticed_where_the_next_one_lacks_it,
                        TwoReigns) {
  second_begins();
  commits(2, 4);
  reigns.answered(7, {Epoch(1), Lsn(4)});
  BOOST_TEST(found == "answered_when_fenced\n");
}

BOOST_FIXTURE_TEST_CASE(a_reign_that_says_so_may_lack_what_was_answered, TwoReigns) {
  reigns.answered(7, {Epoch(1), Lsn(4)});
  reigns.excused(Epoch(2));
  second_begins();
  commits(2, 4);
  reigns.answered(8, {Epoch(1), Lsn(5)});
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_later_reign_that_says_so_excuses_none_before_it, TwoReigns) {
  reigns.answered(7, {Epoch(1), Lsn(4)});
  reigns.excused(Epoch(3));
  second_begins();
  commits(2, 4);
  BOOST_TEST(found == "answer_lost\n");
}

BOOST_FIXTURE_TEST_CASE(where_the_cache_may_be_lost_any_reign_may_lack_it, BestEffort) {
  reigns.answered(7, {Epoch(1), Lsn(4)});
  second_begins();
  commits(2, 4);
  reigns.answered(8, {Epoch(1), Lsn(5)});
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_reign_serves_when_its_own_volume_has_committed_its_record, TwoReigns) {
  reigns.answered(7, {Epoch(1), Lsn(5)});
  // In the log of a replica, whoever writes there.
  opens(3, joined(first_up_to(3), Writer(Lsn(3), first[2]->header().digest).reign(2, 0)));
  commits(1, 3);
  second_begins();
  commits(2, 3);
  commits(1, 4);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_write_of_a_reign_that_is_not_yet_seen_to_serve_is_not_lost, TwoReigns) {
  second_begins();
  reigns.answered(7, {Epoch(2), Lsn(5)});
  commits(2, 4);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_log_that_begins_amid_a_reign_does_not_show_where_that_one_began,
                        TwoReigns) {
  const auto second = next.reign(2, 2);
  opens_at(3, Lsn(4), second[0]->header().digest, {second[1]});
  reigns.answered(7, {Epoch(1), Lsn(4)});
  numbers(2, second, 3);
  commits(2, 4);
  BOOST_TEST(found == "answer_lost\n");
}

BOOST_FIXTURE_TEST_CASE(what_a_reign_has_of_each_before_it_was_not_lost, TwoReigns) {
  const auto second = next.reign(2, 2);
  numbers(2, second, 3);
  opens(3, joined(first_up_to(3), {second[0], second[1]}));
  numbers(3, Writer(Lsn(5), second[1]->header().digest).reign(3, 0), 3);
  commits(3, 6);
  reigns.answered(7, {Epoch(2), Lsn(5)});
  reigns.answered(8, {Epoch(1), Lsn(3)});
  BOOST_TEST(found == "");
  reigns.answered(9, {Epoch(1), Lsn(4)});
  BOOST_TEST(found == "answered_when_fenced\n");
  reigns.answered(10, {Epoch(2), Lsn(6)});
  BOOST_TEST(found == "answered_when_fenced\nanswered_when_fenced\n");
}

BOOST_FIXTURE_TEST_CASE(a_reign_has_nothing_of_one_that_it_does_not_stand_behind, TwoReigns) {
  second_begins();
  opens(3, first_up_to(4));
  numbers(3, Writer(Lsn(4), first[3]->header().digest).reign(3, 0), 3);
  commits(3, 5);
  reigns.answered(7, {Epoch(1), Lsn(4)});
  BOOST_TEST(found == "");
  reigns.answered(8, {Epoch(2), Lsn(4)});
  BOOST_TEST(found == "answered_when_fenced\n");
}

BOOST_FIXTURE_TEST_CASE(what_a_reign_stands_behind_may_be_unknown, Judge) {
  const engine::Digest nobodys = Writer().reign(1, 0)[0]->header().digest;
  opens_at(1, Lsn(3), nobodys, {});
  numbers(1, Writer(Lsn(3), nobodys).reign(2, 0), 3);
  commits(1, 4);
  reigns.answered(7, {Epoch(1), Lsn(5)});
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(where_a_reign_in_between_began_may_be_unknown, Judge) {
  Writer writer(Lsn(3), Writer().reign(1, 0)[0]->header().digest);
  const auto second = writer.reign(2, 1);
  opens_at(1, Lsn(4), second[0]->header().digest, {second[1]});
  numbers(1, writer.reign(3, 0), 3);
  commits(1, 6);
  reigns.answered(7, {Epoch(1), Lsn(4)});
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(two_writers_of_one_epoch_are_noticed, TwoReigns) {
  numbers(2, Writer(Lsn(3), first[2]->header().digest).reign(1, 0), 0);
  BOOST_TEST(found.find("two_writers\n") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(promises_rise_and_acknowledgements_stay_behind_none, Judge) {
  promises(one, 2);
  acknowledges(one, 2);
  promises(again, 3, 2);
  acknowledges(again, 3);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_process_that_forgets_what_the_one_before_promised_is_noticed, Judge) {
  promises(one, 3);
  promises(again, 2, 2);
  BOOST_TEST(found == "promise_broken\n");
}

BOOST_FIXTURE_TEST_CASE(facts_tell_of_a_promise_as_well, Judge) {
  engine::Facts facts;
  facts.promised = Epoch(3);
  reigns.sent(one, facts);
  BOOST_TEST(found == "");
  promises(one, 2);
  BOOST_TEST(found == "promise_broken\n");
}

BOOST_FIXTURE_TEST_CASE(what_was_refused_was_not_promised, Judge) {
  engine::Promise refused;
  refused.epoch = Epoch(3);
  reigns.sent(one, refused);
  promises(one, 2);
  acknowledges(one, 2);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(other_messages_promise_nothing, Judge) {
  reigns.sent(one, engine::Records{});
  step(0, 1, actors::CommittedAdvanced{Lsn(1)});
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_new_disk_has_promised_nothing, Judge) {
  promises(one, 3);
  reigns.forget(0);
  promises(again, 2);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(an_acknowledgement_below_a_promise_is_noticed, Judge) {
  promises(one, 3);
  acknowledges(one, 2);
  BOOST_TEST(found == "ack_after_promise\n");
}

BOOST_FIXTURE_TEST_CASE(an_incarnation_that_goes_back_is_noticed, Judge) {
  promises(again, 3, 2);
  promises(one, 3, 1);
  BOOST_TEST(found == "incarnation_went_back\n");
}

BOOST_FIXTURE_TEST_CASE(a_process_that_obeys_an_older_assignment_is_noticed, Judge) {
  obeys(one, 1, 9);
  obeys(one, 2, 1);
  obeys(one, 2, 1);
  obeys(again, 1, 9);  // It has heard of none.
  BOOST_TEST(found == "");
  obeys(one, 1, 10);
  BOOST_TEST(found == "assignment_went_back\n");
}

BOOST_FIXTURE_TEST_CASE(a_session_is_begun_once_in_a_reign, Judge) {
  begins_session(1, 7);
  begins_session(1, 8);
  begins_session(2, 7);
  BOOST_TEST(found == "");
  begins_session(1, 8);
  BOOST_TEST(found == "session_again\n");
}

BOOST_AUTO_TEST_SUITE_END()
