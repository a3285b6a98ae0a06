// A replica that is filled again: reset, base lane beside the log, and nothing of the base over
// anything newer (C6 to C9).
#include "engine/planted.hpp"
#include "tests/storage/rebuild_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

BOOST_AUTO_TEST_SUITE(rebuild)

BOOST_AUTO_TEST_CASE(both_lanes_make_the_copy_whole) {
  Rebuild r;
  BOOST_REQUIRE(r.begin().has_value());
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
    BOOST_REQUIRE(r.begin().has_value());
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
    BOOST_REQUIRE(
        r.target
            .finish(r.target.store->write_base(piece.range, piece.sums, piece.data, old->flush_lsn))
            .has_value());
    r.base_lane(0, 20);
    r.base_lane(24, 64);
    const auto done = r.target.finish(r.target.store->finish_rebuild(one->lsn()));
    BOOST_REQUIRE(done.has_value());
    BOOST_CHECK_EQUAL(r.difference(one->lsn()).empty(), !bug);
    engine::plant(engine::Bug::none);
  }
}

BOOST_AUTO_TEST_CASE(a_record_flushed_while_the_base_is_written_is_not_overwritten) {
  Rebuild r(256);
  for (std::uint64_t b = 0; b < 256; b += 16) r.source.append_durably({r.source.write(b, 16)});
  r.source.flush_all();
  r.base = r.source.store->checkpoint();
  BOOST_REQUIRE(r.begin().has_value());
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
  r.target.store->run(r.target.store->write_base({BlockIndex(0), 256}, std::move(sums),
                                                 std::move(bytes).freeze(), r.base),
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
      bool done = false;
      auto task = r.target.store->begin_base(
          engine::BaseScope::all, engine::Epoch(1),
          {r.base, r.source.digest_at[r.base.value], {}, r.source.store->facts().history, {}, {}});
      r.target.store->run(std::move(task), [&](const auto& begun) { done = begun.has_value(); });
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
      BOOST_REQUIRE(r.begin().has_value());
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
  BOOST_REQUIRE(r.begin().has_value());
  auto run = r.source.finish(r.source.store->read_base(BlockIndex(0), 2));
  BOOST_REQUIRE(run.has_value());
  auto& piece = run->piece;
  auto moved = piece.range;
  moved.first = moved.first + 1;  // the sum binds the address
  const auto refused =
      r.target.finish(r.target.store->write_base(moved, piece.sums, piece.data, r.base));
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == engine::Errc::corrupt);
}

BOOST_AUTO_TEST_CASE(a_base_write_without_a_rebuild_is_refused) {
  Rebuild r;
  const auto refused =
      r.target.finish(r.target.store->write_base({BlockIndex(0), 4}, {}, {}, Lsn()));
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == engine::Errc::refused);
}

BOOST_AUTO_TEST_CASE(an_end_beyond_what_is_durable_is_refused) {
  Rebuild r;
  BOOST_REQUIRE(r.begin().has_value());
  r.base_lane();
  BOOST_CHECK(!r.target.finish(r.target.store->finish_rebuild(r.base.next())).has_value());
  BOOST_CHECK(r.target.store->facts().base == engine::BaseState::incomplete);
}

// C9: what a crash leaves of a copy is never taken for more than it is.
BOOST_AUTO_TEST_CASE(a_rebuild_that_crashed_anywhere_goes_on_and_makes_the_copy_whole) {
  std::uint64_t kept = 0;
  for (std::uint64_t at = 0; at < 120; ++at) {
    BOOST_TEST_CONTEXT("crash after " << at) {
      Rebuild r;
      BOOST_REQUIRE(r.begin().has_value());
      r.pull(20);
      auto one = r.source.write(9, 3);
      r.source.append_durably({one});
      r.wal_lane({one});
      r.target.store->set_committed(one->lsn());
      // A round of the flusher, which records what is missing, beside more of the base.
      r.target.timers.advance(2 * engine::second);
      for (std::uint64_t i = 0; i < at; ++i) r.target.disk->step();
      if (at % 3 == 0) r.pull(10);
      r.target.crash(at % 2 == 0 ? MemoryDisk::Loss::power : MemoryDisk::Loss::process, at);
      const auto found = r.target.open();
      BOOST_REQUIRE_MESSAGE(found.damage.empty(), found.damage);
      BOOST_REQUIRE(found.base == engine::BaseState::incomplete);
      BOOST_REQUIRE(found.rebuild.has_value());
      kept += StoreWorld::small_volume - found.rebuild->missing_blocks;
      BOOST_REQUIRE(found.end.lsn == one->lsn());
      BOOST_REQUIRE(r.begin(engine::BaseScope::rest).has_value());
      r.source.flush();
      r.target.store->set_committed(one->lsn());
      r.pull();
      BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(one->lsn())).has_value());
      BOOST_CHECK_EQUAL(r.difference(one->lsn()), "");
      r.target.flush();
      r.target.store.reset();
      const auto whole = r.target.open();
      BOOST_CHECK(whole.base == engine::BaseState::complete);
      BOOST_CHECK(!whole.rebuild.has_value());
      BOOST_CHECK_EQUAL(r.difference(one->lsn()), "");
    }
  }
  BOOST_CHECK_GT(kept, 1000u);
}

BOOST_AUTO_TEST_CASE(a_delta_keeps_all_but_what_either_side_touched) {
  for (const bool bug : {false, true}) {
    engine::plant(bug ? engine::Bug::delta_without_own_blocks : engine::Bug::none);
    Rebuild r;
    // The target has the source's log up to `base` in its extents, and one record that is its own.
    BOOST_REQUIRE(r.begin().has_value());
    r.pull();
    BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(r.base)).has_value());
    r.target.builder.emplace(engine::VolumeKey(r.target.spec.id), r.base,
                             r.source.digest_at[r.base.value]);
    r.target.append({r.target.write(50, 2)}, Lsn());
    r.target.disk->settle();
    auto one = r.source.write(7, 4);
    r.source.append_durably({one});
    r.source.flush();
    r.base = one->lsn();

    r.target.store->note_touched(true, {{BlockIndex(7), 4}});
    const auto begun = r.begin(engine::BaseScope::touched);
    BOOST_REQUIRE(begun.has_value());
    BOOST_CHECK_EQUAL(begun->missing_blocks, bug ? 4u : 6u);
    BOOST_CHECK_EQUAL(r.pull(), bug ? 4u : 6u);
    BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(r.base)).has_value());
    BOOST_CHECK_EQUAL(r.difference(r.base), "");
    engine::plant(engine::Bug::none);
  }
}

BOOST_AUTO_TEST_CASE(what_was_noted_for_another_delta_is_forgotten) {
  Rebuild r;
  r.target.store->note_touched(true, {{BlockIndex(1), 9}});
  r.target.store->note_touched(true, {{BlockIndex(2), 1}});
  r.target.store->note_touched(false, {{BlockIndex(4), 1}});
  BOOST_CHECK_EQUAL(r.begin(engine::BaseScope::touched)->missing_blocks, 2u);
  BOOST_CHECK_EQUAL(r.begin(engine::BaseScope::touched)->missing_blocks, 2u);  // Still missing.
}

// A record that can still be cut does not stand for its block: the base must be there under it.
BOOST_AUTO_TEST_CASE(a_block_that_only_an_uncommitted_record_has_is_copied) {
  Rebuild r;
  BOOST_REQUIRE(r.begin().has_value());
  auto one = r.source.write(21, 2);
  r.wal_lane({one});
  r.pull();
  BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(one->lsn())).has_value());
  BOOST_CHECK_EQUAL(r.difference(one->lsn()), "");
  BOOST_REQUIRE(r.target.finish(r.target.store->truncate(r.base)).has_value());
  BOOST_CHECK_EQUAL(r.difference(r.base), "");
}

BOOST_AUTO_TEST_CASE(a_committed_record_stands_for_its_blocks) {
  Rebuild r;
  BOOST_REQUIRE(r.begin().has_value());
  auto one = r.source.write(20, 8);
  r.wal_lane({one});
  r.target.store->set_committed(one->lsn());
  BOOST_CHECK_EQUAL(r.pull(), StoreWorld::small_volume - 8);
  // One that can still be cut comes on top: what was found whole stays whole.
  auto two = r.source.write(22, 1);
  r.wal_lane({two});
  BOOST_REQUIRE(r.target.finish(r.target.store->finish_rebuild(one->lsn())).has_value());
  BOOST_CHECK_EQUAL(r.difference(two->lsn()), "");
  BOOST_REQUIRE(r.target.finish(r.target.store->truncate(one->lsn())).has_value());
  BOOST_CHECK_EQUAL(r.difference(one->lsn()), "");
}

// A base's content is never said to be of records that were cut.
BOOST_AUTO_TEST_CASE(what_a_base_may_hold_ends_where_the_log_was_cut) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 8)});
  w.flush();
  w.append({w.write(8, 8), w.write(16, 8)}, Lsn());
  w.disk->settle();
  w.crash(MemoryDisk::Loss::process, 1);
  w.open();  // What it had flushed, up to the end, is not known.
  BOOST_CHECK_EQUAL(w.finish(w.store->read_base(BlockIndex(0), 8))->flush_lsn.value, 4u);
  BOOST_REQUIRE(w.finish(w.store->truncate(Lsn(3))).has_value());
  BOOST_CHECK_EQUAL(w.finish(w.store->read_base(BlockIndex(0), 8))->flush_lsn.value, 3u);
}

BOOST_AUTO_TEST_CASE(an_end_with_blocks_missing_is_refused) {
  Rebuild r;
  BOOST_REQUIRE(r.begin().has_value());
  r.pull(50);
  const auto refused = r.target.finish(r.target.store->finish_rebuild(r.base));
  BOOST_REQUIRE(!refused.has_value());
  BOOST_CHECK(refused.error().text.ends_with("and blocks are missing"));
}

// Whatever became of the file: less is never taken to be missing.
BOOST_AUTO_TEST_CASE(a_list_of_missing_blocks_that_is_damaged_means_all) {
  for (std::uint64_t at = 0; at < 120; at += 3) {
    Rebuild r;
    BOOST_REQUIRE(r.begin().has_value());
    r.pull(20);
    r.target.crash(MemoryDisk::Loss::power, at);
    StoreWorld::flip(r.target.file_of("missing"), at);
    const auto found = r.target.open();
    if (found.rebuild) {
      BOOST_CHECK_EQUAL(found.rebuild->missing_blocks, StoreWorld::small_volume);
    } else {
      BOOST_CHECK(!r.begin(engine::BaseScope::rest).has_value());
      BOOST_CHECK(!r.begin(engine::BaseScope::touched).has_value());
    }
    BOOST_CHECK(r.begin().has_value());
  }
}

BOOST_AUTO_TEST_SUITE_END()
