// The judge of logs: what an operator's forced reign excuses, and what it does not.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/record/record.hpp"
#include "sim/checkers/logs.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Digest;
using engine::Epoch;
using engine::Lsn;

namespace {

const engine::VolumeKey key(engine::make_uuid(1, 2));

struct Log {
  engine::RecordBuilder builder;
  std::vector<engine::RecordPtr> records;

  explicit Log(Lsn end = {}, const Digest& digest = {}) : builder(key, end, digest) {}
  /// A reign's first record, then more of it.
  Log& reign(std::uint64_t epoch, int more) {
    engine::EpochBody body;
    body.nonce = epoch;
    records.push_back(builder.epoch(Epoch(epoch), body, {}));
    for (; more > 0; --more) records.push_back(builder.chunk_end(Epoch(epoch), {}));
    return *this;
  }
  Digest digest(std::uint64_t lsn) const { return records.at(lsn - 1)->header().digest; }
};

struct Judge {
  std::string found;
  Logs logs{true, [this](const std::string& cls, const std::string&) { found += cls + "\n"; }};

  template <class T>
  void step(caf::actor_id receiver, caf::actor_id sender, T message) {
    const auto said = caf::make_message(std::move(message));
    logs.observe(Step{nullptr, receiver, sender, said.content()});
  }
  void opens(caf::actor_id store) {
    actors::StoreFacts facts;
    facts.replica = engine::ReplicaId(store);
    step(0, store, actors::StoreOpened{facts});
  }
  void appends(caf::actor_id store, const std::vector<engine::RecordPtr>& records,
               std::uint64_t committed) {
    step(store, 0,
         actors::AppendRecords{std::make_shared<const std::vector<engine::RecordPtr>>(records),
                               Lsn(committed)});
  }
  /// A primary's volume to one of its senders.
  void numbers(caf::actor_id volume, const std::vector<engine::RecordPtr>& records,
               std::uint64_t committed) {
    actors::RecordsNumbered said;
    if (!records.empty())
      said.batch = std::make_shared<const std::vector<engine::RecordPtr>>(records);
    said.committed = Lsn(committed);
    step(0, volume, said);
  }
  void hears(caf::actor_id store, std::uint64_t committed) {
    step(store, 0, actors::CommittedAdvanced{Lsn(committed)});
  }
};

std::vector<engine::RecordPtr> part(const std::vector<engine::RecordPtr>& records, std::size_t n) {
  return {records.begin(), records.begin() + static_cast<std::ptrdiff_t>(n)};
}

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
