// A replica that is filled again: reset, base lane beside the log, and nothing of the base over
// anything newer (C6 to C9).
#include "engine/planted.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

/// The source: a store with history, flushed up to `base`.
struct Rebuild {
  StoreWorld source;
  StoreWorld target;
  Lsn base;

  explicit Rebuild(std::uint64_t blocks = StoreWorld::small_volume)
      : source(blocks), target(blocks) {
    source.open(true);
    source.append_durably(
        {source.begin_epoch(1), source.write(0, 8), source.write(20, 10), source.trim(24, 2)});
    source.flush();
    base = source.store->checkpoint();
    target.open(true);
    target.append_durably({target.begin_epoch(1), target.write(40, 9)});  // an abandoned past
    target.flush();
  }

  engine::Status reset() {
    auto done = target.finish(
        target.store->reset(base, source.digest_at[base.value], source.store->facts().history));
    target.builder.reset();
    return done;
  }
  /// Records of the source's log that the target takes as its own.
  void wal_lane(std::vector<engine::RecordPtr> records) {
    target.append(std::move(records), Lsn());
    target.disk->settle();
  }
  Lsn base_lane(std::uint64_t from = 0, std::uint64_t to = StoreWorld::small_volume) {
    Lsn reached;
    for (auto at = BlockIndex(from); at < BlockIndex(to);) {
      auto run = source.finish(source.store->read_base(at, 5));
      BOOST_REQUIRE(run.has_value());
      auto& piece = run->piece;
      reached = std::max(reached, run->flush_lsn);
      auto written = target.finish(target.store->write_base(piece.range, piece.sums, piece.data));
      if (!written) BOOST_FAIL(written.error().text);
      at = piece.range.end();
    }
    return reached;
  }
  std::string difference(Lsn lsn) {
    target.blocks_at = source.blocks_at;
    return target.difference_at(lsn);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(rebuild)

BOOST_AUTO_TEST_CASE(both_lanes_make_the_copy_whole) {
  Rebuild r;
  BOOST_REQUIRE(r.reset().has_value());
  BOOST_CHECK(r.target.store->facts().base == engine::BaseState::incomplete);
  BOOST_CHECK(!r.target.finish(r.target.store->read_blocks({BlockIndex(0), 1})).has_value());

  r.base_lane(0, 22);
  auto one = r.source.write(21, 2);
  r.source.append_durably({one});
  r.wal_lane({one});
  r.source.flush();  // the base may hold it from here on
  const auto reached = r.base_lane(22, 64);
  BOOST_CHECK_GE(reached.value, one->lsn().value);
  BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(one->lsn())).has_value());
  BOOST_CHECK_EQUAL(r.difference(one->lsn()), "");
  r.target.store->set_committed(one->lsn());
  r.target.flush();
  BOOST_CHECK_EQUAL(r.difference(one->lsn()), "");
  r.target.store.reset();
  BOOST_CHECK(r.target.open().base == engine::BaseState::complete);
  BOOST_CHECK_EQUAL(r.difference(one->lsn()), "");
}

BOOST_AUTO_TEST_CASE(the_base_never_overwrites_what_the_log_wrote) {
  for (const bool bug : {false, true}) {
    engine::plant(bug ? engine::Bug::base_overwrites_newer_block : engine::Bug::none);
    Rebuild r;
    BOOST_REQUIRE(r.reset().has_value());
    // The target hears of the write and flushes it before the base, read earlier, arrives.
    auto old = r.source.finish(r.source.store->read_base(BlockIndex(20), 5));
    BOOST_REQUIRE(old.has_value());
    auto one = r.source.write(21, 2);
    r.source.append_durably({one});
    r.wal_lane({one});
    r.target.store->set_committed(one->lsn());
    r.target.flush();
    BOOST_REQUIRE_EQUAL(r.target.store->checkpoint().value, one->lsn().value);
    auto& piece = old->piece;
    BOOST_REQUIRE(r.target.finish(r.target.store->write_base(piece.range, piece.sums, piece.data))
                      .has_value());
    r.base_lane(0, 20);
    r.base_lane(25, 64);
    BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(one->lsn())).has_value());
    BOOST_CHECK_EQUAL(r.difference(one->lsn()).empty(), !bug);
    engine::plant(engine::Bug::none);
  }
}

BOOST_AUTO_TEST_CASE(a_record_flushed_while_the_base_is_written_is_not_overwritten) {
  Rebuild r(256);
  for (std::uint64_t b = 0; b < 256; b += 16) r.source.append_durably({r.source.write(b, 16)});
  r.source.flush_all();
  r.base = r.source.store->checkpoint();
  BOOST_REQUIRE(r.reset().has_value());
  // The log has every second block: what is left of the base are more runs than are written at
  // once.
  for (std::uint64_t b = 1; b < 256; b += 2) {
    auto one = r.source.write(b, 1);
    r.source.append_durably({one});
    r.wal_lane({one});
  }
  std::vector<engine::BlockSum> sums;
  engine::Buffer bytes(256 * block_bytes);
  for (auto at = BlockIndex(0); at < BlockIndex(256);) {
    auto part = r.source.finish(r.source.store->read_base(at, 16));
    BOOST_REQUIRE(part.has_value());
    const auto& piece = part->piece;
    std::memcpy(bytes.data() + at.value * block_bytes, piece.data.data(), piece.data.size());
    sums.insert(sums.end(), piece.sums.begin(), piece.sums.end());
    at = piece.range.end();
  }
  std::optional<engine::Status> done;
  r.target.store->run(
      r.target.store->write_base({BlockIndex(0), 256}, std::move(sums), std::move(bytes).freeze()),
      [&](engine::Status s) { done.emplace(std::move(s)); });
  // Durable, committed and its flush begun while most of the base waits for its turn.
  auto late = r.source.write(254, 1);
  r.source.append_durably({late});
  r.target.append({late}, Lsn());
  while (r.target.store->durable() < late->lsn()) BOOST_REQUIRE(r.target.disk->step());
  BOOST_REQUIRE(!done);
  r.target.store->set_committed(late->lsn());
  r.target.flush();
  BOOST_REQUIRE(done && done->has_value());
  BOOST_REQUIRE_EQUAL(r.target.store->checkpoint().value, late->lsn().value);
  BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(late->lsn())).has_value());
  BOOST_CHECK_EQUAL(r.difference(late->lsn()), "");
}

BOOST_AUTO_TEST_CASE(a_crash_in_a_rebuild_leaves_a_replica_without_a_vote) {
  for (std::uint64_t at = 0; at < 60; ++at) {
    BOOST_TEST_CONTEXT("crash after " << at) {
      Rebuild r;
      std::optional<engine::Status> done;
      auto task = r.target.store->reset(r.base, r.source.digest_at[r.base.value],
                                        r.source.store->facts().history);
      r.target.store->run(std::move(task), [&](engine::Status s) { done.emplace(std::move(s)); });
      for (std::uint64_t i = 0; i < at; ++i) r.target.disk->step();
      r.target.crash(MemoryDisk::Loss::power, at);
      const auto found = r.target.open();
      BOOST_REQUIRE_MESSAGE(found.damage.empty(), found.damage);
      const bool before = found.base == engine::BaseState::complete;
      BOOST_REQUIRE(!(before && done));
      if (before) {
        BOOST_CHECK_EQUAL(found.end.lsn.value, 2u);
        BOOST_CHECK_EQUAL(r.target.difference_at(Lsn(2)), "");
      } else {
        BOOST_CHECK(found.end.lsn == r.base);
        BOOST_CHECK(found.end.digest == r.source.digest_at[r.base.value]);
        BOOST_CHECK(r.target.finish(r.target.store->log_digest(r.base)) ==
                    r.source.digest_at[r.base.value]);
      }
      BOOST_REQUIRE(r.reset().has_value());
      auto one = r.source.write(1, 1);
      r.source.append_durably({one});
      r.wal_lane({one});
      r.base_lane();
      BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(one->lsn())).has_value());
      BOOST_CHECK_EQUAL(r.difference(one->lsn()), "");
    }
  }
}

BOOST_AUTO_TEST_CASE(a_base_block_that_does_not_match_its_checksum_is_refused) {
  Rebuild r;
  BOOST_REQUIRE(r.reset().has_value());
  auto run = r.source.finish(r.source.store->read_base(BlockIndex(0), 2));
  BOOST_REQUIRE(run.has_value());
  auto& piece = run->piece;
  auto moved = piece.range;
  moved.first = moved.first + 1;  // the sum binds the address
  const auto refused = r.target.finish(r.target.store->write_base(moved, piece.sums, piece.data));
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == engine::Errc::corrupt);
}

BOOST_AUTO_TEST_CASE(a_base_write_without_a_rebuild_is_refused) {
  Rebuild r;
  const auto refused = r.target.finish(r.target.store->write_base({BlockIndex(0), 4}, {}, {}));
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == engine::Errc::refused);
}

BOOST_AUTO_TEST_CASE(an_end_beyond_what_is_durable_is_refused) {
  Rebuild r;
  BOOST_REQUIRE(r.reset().has_value());
  r.base_lane();
  BOOST_CHECK(!r.target.finish(r.target.store->finish_rebuild(r.base.next())).has_value());
  BOOST_CHECK(r.target.store->facts().base == engine::BaseState::incomplete);
}

BOOST_AUTO_TEST_SUITE_END()
