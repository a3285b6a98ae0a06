// The judge of FUA and FLUSH: what must be on a disk when they are answered, and what need not be.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/interfaces.hpp"
#include "engine/record/record.hpp"
#include "sim/checkers/synced.hpp"
#include "tests/sim/logs_rig.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Lsn;
using engine::MonoTime;
using logs_rig::Listeners;

namespace {

constexpr std::uint64_t tag = 7;

struct Judge {
  std::string found;
  Synced synced{tag, [this](const std::string& cls, const std::string&) { found += cls; }};
  engine::RecordBuilder builder{engine::VolumeKey(engine::make_uuid(1, 2)), {}, {}};

  /// A message to an actor of a node.
  template <class T>
  void step(std::uint32_t node, caf::actor_id to, caf::actor_id from, T message) {
    const auto life = std::make_shared<Life>();
    life->node = node;
    hears(life, to, from, std::move(message));
  }
  template <class T>
  void hears(const LifePtr& life, caf::actor_id to, caf::actor_id from, T message) {
    const auto said = caf::make_message(std::move(message));
    synced.observe(Step{life, to, from, said.content()});
  }
  static constexpr caf::actor_id volume = 11;
  static constexpr caf::actor_id receiver = 12;

  /// The next record, in both logs: a block of op's, but for the last of its cells.
  void numbered(OpId op, OpId merged) {
    std::vector<OpId> cells(cells_per_block, op);
    cells.back() = merged;
    numbered(cells);
  }
  void numbered(const std::vector<OpId>& cells) {
    const auto append = record(cells);
    step(0, 1, volume, append);
    step(1, 2, receiver, append);
  }
  /// The next record, of whole blocks whose cells these ops wrote; 0: nobody did.
  actors::AppendRecords record(const std::vector<OpId>& cells) {
    auto blocks = engine::Buffer::zeroed(cells.size() * cell_bytes);
    for (std::uint64_t cell = 0; cell < cells.size(); ++cell) {
      const auto bytes = blocks.bytes().subspan(cell * cell_bytes, cell_bytes);
      if (cells[cell] != 0) stamp(bytes, tag, cell, cells[cell]);
    }
    const engine::BlockRange range{engine::BlockIndex(0), cells.size() / cells_per_block};
    return {std::make_shared<const std::vector<engine::RecordPtr>>(std::vector{
                builder.write(engine::Epoch(1), range, std::move(blocks).freeze(), {})}),
            Lsn{}};
  }
  /// Node 0's store tells its volume, or node 1's its receiver.
  void durable(std::uint64_t lsn, caf::actor_id listener = volume) {
    step(listener == volume ? 0 : 1, listener, 0, progressed(lsn));
  }
  static actors::StoreProgressed progressed(std::uint64_t lsn) {
    actors::StoreProgressed progress;
    progress.durable = Lsn(lsn);
    return progress;
  }
  std::string fua(OpId op) {
    synced.answered(op, 0, 1, MonoTime(10), true);
    return std::exchange(found, "");
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(synced)

BOOST_AUTO_TEST_CASE(fua_is_answered_when_the_last_record_of_a_write_is_on_the_primarys_disk) {
  Judge early;
  early.numbered(5, 5);
  early.numbered(5, 5);
  early.durable(1);
  early.synced.answered(5, 0, 1, MonoTime(10), false);
  BOOST_TEST(early.found == "");
  early.synced.answered(5, 0, 1, MonoTime(10), true);
  BOOST_TEST(early.found == "fua_unsynced");

  Judge right;
  right.numbered(5, 5);
  right.numbered(5, 5);
  right.durable(2);
  right.synced.answered(5, 0, 1, MonoTime(10), true);
  BOOST_TEST(right.found == "");
}

BOOST_AUTO_TEST_CASE(what_is_merged_onto_a_block_later_does_not_hold_up_the_write_before) {
  Judge j;
  j.numbered(5, 5);
  j.numbered(6, 5);
  j.durable(1);
  j.synced.answered(5, 0, 1, MonoTime(10), true);
  BOOST_TEST(j.found == "");
  j.synced.answered(6, 0, 1, MonoTime(10), true);
  BOOST_TEST(j.found == "fua_unsynced");
}

BOOST_AUTO_TEST_CASE(halves_of_two_blocks_are_no_whole_block) {
  Judge j;
  j.numbered(5, 5);
  j.numbered({6, 6, 6, 6, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6});
  j.durable(1);
  BOOST_TEST(j.fua(5) == "");
  j.numbered({6, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 5, 5, 5});
  BOOST_TEST(j.fua(5) == "fua_unsynced");
}

BOOST_AUTO_TEST_CASE(who_writes_what_nobody_asked_for_is_not_the_volumes_writer) {
  Judge j;
  j.numbered(5, 5);
  j.durable(1);
  j.step(0, 1, 13, j.record(std::vector<OpId>(cells_per_block, 0)));
  BOOST_TEST(j.fua(5) == "");
}

BOOST_AUTO_TEST_CASE(a_write_of_which_no_record_was_seen_is_not_judged) {
  Judge j;
  j.numbered(5, 5);
  BOOST_TEST(j.fua(6) == "");
}

BOOST_AUTO_TEST_CASE(what_a_twin_or_somebody_of_the_world_is_told_counts_nothing) {
  Judge j;
  j.numbered(5, 5);
  const auto twin = std::make_shared<Life>();
  twin->twin = true;
  j.hears(twin, Judge::volume, 0, Judge::progressed(1));
  j.hears(nullptr, Judge::volume, 0, Judge::progressed(1));
  j.hears(nullptr, 1, 13, j.record(std::vector<OpId>(cells_per_block, 5)));
  BOOST_TEST(j.fua(5) == "fua_unsynced");
}

BOOST_AUTO_TEST_CASE(what_is_told_of_no_store_says_nothing) {
  Judge j;
  j.step(0, Judge::volume, 0, Judge::progressed(1));
  j.step(0, 0, 1, actors::StoreOpened{engine::Error{engine::Errc::io_failed, "no disk"}});
  j.step(0, 1, 0, actors::ReleaseFlush{});
  j.synced.all_count(true);  // Of no set.
  j.numbered(5, 5);
  BOOST_TEST(j.fua(5) == "");
  j.numbered(6, 6);
  BOOST_TEST(j.fua(6) == "fua_unsynced");
}

BOOST_AUTO_TEST_CASE(a_flush_waits_for_the_last_record_whose_write_was_answered_first) {
  Judge j;
  j.numbered(5, 5);
  j.numbered(6, 6);
  j.durable(1);
  j.synced.answered(6, 0, 1, MonoTime(10), false);
  j.synced.answered(5, 0, 1, MonoTime(20), false);
  j.synced.flushed(0, 1, MonoTime(30));
  BOOST_TEST(j.found == "flush_unsynced");
}

BOOST_AUTO_TEST_CASE(a_flush_speaks_of_what_was_answered_before_it_was_asked_in_its_reign) {
  Judge j;
  j.numbered(5, 5);
  j.numbered(6, 6);
  j.synced.answered(5, 0, 1, MonoTime(10), false);
  j.durable(1);
  j.synced.answered(6, 0, 1, MonoTime(20), false);
  j.synced.flushed(0, 1, MonoTime(15));
  j.synced.flushed(0, 2, MonoTime(30));
  BOOST_TEST(j.found == "");
  j.synced.flushed(0, 1, MonoTime(30));
  BOOST_TEST(j.found == "flush_unsynced");
}

BOOST_AUTO_TEST_CASE(another_disk_counts_where_a_quorum_may) {
  Judge alone;
  alone.numbered(5, 5);
  alone.durable(1, Judge::receiver);
  alone.synced.answered(5, 0, 1, MonoTime(10), true);
  BOOST_TEST(alone.found == "fua_unsynced");

  Judge quorum;
  quorum.synced.quorum_may_count();
  quorum.numbered(5, 5);
  quorum.durable(1, Judge::receiver);
  quorum.synced.answered(5, 0, 1, MonoTime(10), true);
  BOOST_TEST(quorum.found == "");
  quorum.numbered(6, 6);
  quorum.synced.answered(6, 0, 1, MonoTime(10), true);
  BOOST_TEST(quorum.found == "fua_unsynced");
}

BOOST_AUTO_TEST_CASE(each_copy_of_the_set_has_it_where_all_count) {
  struct Pair : Judge {
    Pair() {
      for (caf::actor_id store = 1; store <= 2; ++store) {
        actors::StoreFacts facts;
        facts.replica = engine::ReplicaId(store);
        step(static_cast<std::uint32_t>(store) - 1, 0, store, actors::StoreOpened{facts});
      }
      numbered(5, 5);
      durable(1);
      sets({1, 2}, 2);
    }
    void sets(const std::vector<std::uint64_t>& replicas, std::uint64_t version) {
      std::vector<engine::SetMember> members;
      for (const auto replica : replicas)
        members.push_back({engine::ReplicaId(replica), engine::Incarnation(1)});
      synced.set_heard(0, engine::Epoch(1), engine::Version(version), members);
    }
    std::string fua() { return Judge::fua(5); }
    std::string flush() {
      synced.flushed(0, 1, MonoTime(20));
      return std::exchange(found, "");
    }
  };
  Pair j;
  BOOST_TEST(j.fua() == "");  // Nobody said that all count.
  j.synced.all_count(true);
  BOOST_TEST(j.fua() == "fua_unsynced");
  BOOST_TEST(j.flush() == "flush_unsynced");
  j.synced.all_count(false);  // As where a twin may stand for one of them.
  BOOST_TEST(j.fua() == "");
  j.synced.all_count(true);
  j.sets({1}, 1);  // Heard again, and long over.
  BOOST_TEST(j.fua() == "fua_unsynced");
  j.sets({1}, 3);
  BOOST_TEST(j.fua() == "");
  BOOST_TEST(j.flush() == "");
  j.sets({1, 2}, 4);
  j.durable(1, Judge::receiver);
  BOOST_TEST(j.fua() == "");
  BOOST_TEST(j.flush() == "");
  j.sets({1, 9}, 5);  // Of whom nobody has heard.
  BOOST_TEST(j.fua() == "fua_unsynced");
}

BOOST_AUTO_TEST_CASE(a_copy_whose_log_begins_at_its_base_says_so_without_a_record) {
  Judge j;
  Listeners listeners;
  const auto listener = listeners.system.spawn<Listeners::Nobody>();
  j.numbered(5, 5);
  j.durable(1);
  actors::StoreFacts facts;
  facts.replica = engine::ReplicaId(1);
  j.step(0, 0, 1, actors::StoreOpened{facts});
  j.durable(1);
  facts.replica = engine::ReplicaId(4);
  j.step(1, 0, 9, actors::StoreOpened{facts});
  j.synced.all_count(true);
  j.synced.set_heard(0, engine::Epoch(1), engine::Version(1),
                     {{engine::ReplicaId(1), {}}, {engine::ReplicaId(4), {}}});
  j.step(1, 9, 0, actors::SetListener{caf::actor_cast<actors::StoreListener>(listener)});
  j.synced.answered(5, 0, 1, MonoTime(10), true);
  BOOST_TEST(j.found == "fua_unsynced");
  BOOST_TEST(j.synced.held(engine::ReplicaId(1)).value == 1u);
  BOOST_TEST(j.synced.held(engine::ReplicaId(7)).value == 0u);
  actors::StoreProgressed progress;
  progress.durable = Lsn(1);
  j.step(1, listener.id(), 9, progress);
  j.found.clear();
  j.synced.answered(5, 0, 1, MonoTime(10), true);
  BOOST_TEST(j.found == "");
}

BOOST_AUTO_TEST_SUITE_END()
