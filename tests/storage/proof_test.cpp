// A copy that holds something else than its log says, under a checksum that fits: told apart by the
// record, never by what other copies hold (C27).
#include <algorithm>

#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

using engine::BlockCopy;
using engine::CopyState;
using engine::Errc;
using engine::LastWritten;

/// Block 3 was written by lsn 2 and again by lsn 3; the disk says that it wrote both.
struct LostWrite : StoreWorld {
  LostWrite() {
    open(true);
    append_durably({begin_epoch(1), write(0, 8)});
    flush_all();
    const auto data = file_of("extents/00000000.dat");
    const auto sums = file_of("extents/00000000.sum");
    append_durably({write(3, 1)});
    flush_all();
    store.reset();
    put_back("extents/00000000.dat", data);
    put_back("extents/00000000.sum", sums);
    open();
    store->set_committed(Lsn(3));
    BOOST_REQUIRE(finish(store->hold_flush()).has_value());
  }
  void put_back(const std::string& path, const MemoryFile& before) {
    file_of(path).seen = before.seen;
    file_of(path).durable = before.durable;
  }
  engine::BlockSum sum(std::uint64_t lsn) const {
    return engine::block_sum(engine::VolumeKey(spec.id), BlockIndex(3),
                             content({BlockIndex(3), 1}, lsn).bytes());
  }
  LastWritten proof() {
    auto found = finish(store->last_written({BlockIndex(3)}, Lsn(3)));
    BOOST_REQUIRE(found.has_value());
    BOOST_REQUIRE(found->size() == 1u);
    return found->front();
  }
  BlockCopy right() const {
    BlockCopy c;
    c.block = BlockIndex(3);
    c.state = CopyState::data;
    c.checkpoint = c.flush_lsn = Lsn(3);
    c.data = content({c.block, 1}, 3);
    c.sum = sum(3);
    return c;
  }
  bool reads() { return finish(store->read_blocks({BlockIndex(3), 1})).has_value(); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(proof)

BOOST_AUTO_TEST_CASE(the_newest_record_of_a_block_is_found_with_what_it_left) {
  LostWrite w;
  BOOST_CHECK(w.proof() == (LastWritten{BlockIndex(3), Lsn(3), w.sum(3)}));
  auto before = w.finish(w.store->last_written({BlockIndex(3), BlockIndex(60)}, Lsn(2)));
  BOOST_REQUIRE(before.has_value());
  BOOST_REQUIRE(before->size() == 1u);
  BOOST_CHECK(before->front() == (LastWritten{BlockIndex(3), Lsn(2), w.sum(2)}));
}

BOOST_AUTO_TEST_CASE(a_trim_leaves_a_hole_and_zeros_that_keep_their_space_leave_zeros) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 8), w.trim(2, 2), w.trim(5, 1, true)});
  auto found = w.finish(w.store->last_written({BlockIndex(3), BlockIndex(5)}, Lsn(4)));
  BOOST_REQUIRE(found.has_value());
  BOOST_REQUIRE(found->size() == 2u);
  BOOST_TEST(found->front().sum == engine::no_block);
  BOOST_TEST(found->back().sum ==
             engine::zero_block_sum(engine::VolumeKey(w.spec.id), BlockIndex(5)));
}

BOOST_AUTO_TEST_CASE(a_disproved_block_is_read_no_more_also_after_a_restart_until_it_is_repaired) {
  LostWrite w;
  BOOST_TEST(w.reads());  // of an earlier time: its checksum fits
  BOOST_TEST(w.finish(w.store->disproved(w.proof(), Lsn(3))).has_value());
  w.store->release_flush();
  BOOST_TEST(!w.reads());
  w.store.reset();
  w.open();
  w.store->set_committed(Lsn(3));
  BOOST_TEST(!w.reads());
  BOOST_TEST(w.finish(w.store->repair_block(w.right(), Lsn(3))).has_value());
  BOOST_TEST(w.difference_at(Lsn(3)) == "");
}

BOOST_AUTO_TEST_CASE(other_copies_with_the_same_wrong_content_do_not_repair_it) {
  LostWrite w;
  BOOST_TEST(w.finish(w.store->disproved(w.proof(), Lsn(3))).has_value());
  w.store->release_flush();
  auto wrong = w.right();
  wrong.checkpoint = Lsn(2);
  wrong.data = StoreWorld::content({BlockIndex(3), 1}, 2);
  wrong.sum = w.sum(2);
  const auto refused = w.finish(w.store->repair_block(wrong, Lsn(3)));
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == Errc::refused);
}

BOOST_AUTO_TEST_CASE(a_block_that_is_as_the_record_left_it_is_not_disproved) {
  LostWrite w;
  const LastWritten older{BlockIndex(3), Lsn(2), w.sum(2)};
  BOOST_TEST(w.finish(w.store->disproved(older, Lsn(3))).has_value());
  BOOST_TEST(w.reads());
  BOOST_TEST(!w.damaged_block().has_value());
}

BOOST_AUTO_TEST_CASE(content_where_a_hole_should_be_becomes_a_hole) {
  LostWrite w;
  const LastWritten hole{BlockIndex(3), Lsn(3), engine::no_block};
  BOOST_TEST(w.finish(w.store->disproved(hole, Lsn(3))).has_value());
  auto read = w.finish(w.store->read_blocks({BlockIndex(3), 1}));
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST(read->front().zero_bytes == block_bytes);
}

BOOST_AUTO_TEST_CASE(behind_the_held_lsn_a_proof_says_nothing) {
  LostWrite w;
  const auto proof = w.proof();
  const auto early = w.finish(w.store->disproved(proof, Lsn(2)));
  BOOST_REQUIRE(!early);
  BOOST_CHECK(early.error().code == Errc::refused);
  w.store->release_flush();
  const auto late = w.finish(w.store->disproved(proof, Lsn(3)));
  BOOST_REQUIRE(!late);
  BOOST_CHECK(late.error().code == Errc::refused);
  BOOST_TEST(w.reads());
}

BOOST_AUTO_TEST_SUITE_END()
