// A store on its good days.
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

BOOST_AUTO_TEST_SUITE(store)

BOOST_AUTO_TEST_CASE(a_new_store_is_empty_and_opens_again) {
  StoreWorld w;
  const auto fresh = w.open(true);
  BOOST_CHECK_EQUAL(fresh.end.lsn.value, 0u);
  BOOST_CHECK_EQUAL(fresh.retained.value, 1u);
  w.store.reset();
  const auto again = w.open();
  BOOST_CHECK_EQUAL(again.end.lsn.value, 0u);
  BOOST_CHECK(again.damage.empty());
}

BOOST_AUTO_TEST_CASE(appended_records_become_durable_and_are_found_again) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(3, 2), w.write(4, 1), w.trim(3, 1)});
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(4)), "");
  w.store.reset();
  const auto again = w.open();
  BOOST_CHECK_EQUAL(again.end.lsn.value, 4u);
  BOOST_CHECK(again.end.digest == w.digest_at[4]);
  BOOST_CHECK_EQUAL(again.history.last()->epoch.value, 1u);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(4)), "");
}

BOOST_AUTO_TEST_CASE(committed_records_reach_the_extents_and_reads_do_not_change) {
  StoreWorld w;
  w.open(true);
  w.append_durably(
      {w.begin_epoch(1), w.write(14, 4), w.write(15, 1), w.trim(17, 1), w.trim(40, 2, true)});
  w.flush();
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 5u);
  BOOST_CHECK_EQUAL(w.store->status().dirty_blocks, 0u);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(5)), "");
  w.store.reset();
  const auto again = w.open();
  BOOST_CHECK_EQUAL(again.checkpoint.lsn.value, 5u);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(5)), "");
}

// C23. What a failed write left in the page cache would be read as if it were on the disk.
BOOST_AUTO_TEST_CASE(a_store_reads_its_disk_and_never_the_page_cache) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(14, 4)});
  w.flush();
  w.append_durably({w.write(3, 2)});
  w.store.reset();
  w.open();
  std::set<std::string> kinds;
  for (const auto& path : w.disk->paths_opened) {
    kinds.insert(path.substr(path.find_last_of("./")));
    BOOST_CHECK(!w.disk->paths_buffered.contains(path));
  }
  for (const auto* kind : {".seg", ".dat", ".sum", "/superblock"})
    BOOST_CHECK(kinds.contains(kind));
}

BOOST_AUTO_TEST_CASE(zeros_that_keep_their_space_count_in_a_round) {
  constexpr std::uint64_t round = storage::flush_round_bytes_max / block_bytes;
  StoreWorld w(2 * round + 10);
  w.limits.extent_file_bytes = round * block_bytes;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  w.flush();
  const auto before = w.store->status().flushes;
  // One of two rounds' size, and two that fill a round: one round each.
  std::vector<engine::RecordPtr> records;
  for (const auto blocks : {2 * round + 10, round, round}) {
    records.push_back(w.builder->zero(w.epoch, engine::RecordKind::write_zeroes,
                                      engine::flag_no_hole, {BlockIndex(0), blocks}, w.origin()));
  }
  w.append_durably(std::move(records));
  w.flush();
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 4u);
  BOOST_CHECK_EQUAL(w.store->status().flushes - before, 3u);
  const auto runs = w.finish(w.store->allocation({BlockIndex(0), 2 * round + 10}));
  BOOST_REQUIRE(runs.has_value());
  BOOST_REQUIRE_EQUAL(runs->size(), 1u);
  BOOST_CHECK(!runs->front().hole);
  BOOST_CHECK(w.finish(w.store->read_blocks({BlockIndex(2 * round), 10})).has_value());
}

BOOST_AUTO_TEST_CASE(the_flusher_stops_at_committed) {
  StoreWorld w;
  w.open(true);
  w.append({w.begin_epoch(1), w.write(1, 1), w.write(2, 1)}, Lsn(2));
  w.disk->settle();
  w.flush();
  BOOST_CHECK_EQUAL(w.store->durable().value, 3u);
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, 2u);
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(3)), "");
}

BOOST_AUTO_TEST_CASE(the_log_rolls_behind_a_chunk_end_and_before_an_epoch) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(1, 1), w.chunk_end(), w.write(2, 1), w.begin_epoch(2),
                    w.write(3, 1)});
  const auto facts = w.store->facts();
  BOOST_CHECK_EQUAL(facts.end.chunk_first.value, 5u);
  BOOST_CHECK_EQUAL(facts.end.chunk_bytes, 3u * block_bytes);
  w.store.reset();
  const auto again = w.open();
  BOOST_CHECK_EQUAL(again.end.chunk_first.value, 5u);
  BOOST_CHECK_EQUAL(again.end.chunk_bytes, 3u * block_bytes);
  BOOST_CHECK_EQUAL(again.end.lsn.value, 6u);
}

BOOST_AUTO_TEST_CASE(the_log_is_read_back_from_memory_and_from_disk) {
  StoreWorld w;
  w.limits.memory_tail_bytes = 0;
  w.open(true);
  std::vector<engine::RecordPtr> records{w.begin_epoch(1)};
  for (std::uint64_t i = 0; i < 9; ++i) records.push_back(w.write(i, 1));
  w.append_durably(records);
  for (std::uint64_t lsn = 1; lsn <= 10;) {
    auto read = w.finish(w.store->read_log(Lsn(lsn), Lsn(10), 3 * block_bytes));
    BOOST_REQUIRE(read.has_value());
    for (const auto& record : *read) {
      BOOST_CHECK_EQUAL(record->lsn().value, lsn);
      BOOST_CHECK(record->header().digest == w.digest_at[lsn]);
      ++lsn;
    }
  }
  BOOST_CHECK(w.finish(w.store->log_digest(Lsn(4))) == w.digest_at[4]);
  BOOST_CHECK(w.finish(w.store->log_digest(Lsn(0))) == engine::Digest());
  BOOST_CHECK(!w.finish(w.store->log_digest(Lsn(11))).has_value());
  BOOST_CHECK_EQUAL(w.difference_at(Lsn(10)), "");
}

BOOST_AUTO_TEST_CASE(a_read_of_what_a_truncation_cuts_finds_it_gone_and_not_damaged) {
  for (int begun = 0; begun < 40; ++begun) {
    StoreWorld w;
    w.limits.memory_tail_bytes = 0;
    w.open(true);
    w.append_durably({w.begin_epoch(1), w.write(1, 1)});
    for (std::uint64_t i = 0; i < 3; ++i) {
      w.append({w.write(10 + i, 8), w.chunk_end()}, Lsn(2));
      w.disk->settle();
    }
    std::optional<engine::Status> cut;
    w.store->run(w.store->truncate(Lsn(2)), [&](engine::Status s) { cut.emplace(std::move(s)); });
    for (int i = 0; i < begun; ++i) w.disk->step();
    std::size_t answered = 0;
    std::optional<engine::Result<std::vector<engine::RecordPtr>>> log;
    w.store->run(w.store->read_log(Lsn(2), Lsn(8), 1u << 30),
                 [&](auto r) { log.emplace(std::move(r)); });
    for (const auto block : {1u, 11u, 19u}) {
      w.store->run(w.store->read_blocks({BlockIndex(block), 1}), [&](auto read) {
        BOOST_CHECK(read.has_value());
        ++answered;
      });
    }
    w.disk->settle();
    BOOST_REQUIRE(cut && cut->has_value());
    BOOST_CHECK_EQUAL(answered, 3u);
    BOOST_REQUIRE(log.has_value());
    BOOST_CHECK(*log || log->error().code == engine::Errc::out_of_window);
    BOOST_CHECK(!w.failure);
  }
}

BOOST_AUTO_TEST_CASE(segments_are_recycled_and_the_retained_log_stays_readable) {
  StoreWorld w;
  w.limits.memory_tail_bytes = 0;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  for (int chunk = 0; chunk < 20; ++chunk) {
    std::vector<engine::RecordPtr> records;
    for (std::uint64_t i = 0; i < 8; ++i)
      records.push_back(w.write((static_cast<std::uint64_t>(chunk) * 5 + i) % 60, 2));
    records.push_back(w.chunk_end());
    w.append_durably(records);
    w.flush();
    BOOST_CHECK_LE(w.disk->files().size(), 20u);
    const auto end = w.builder->end();
    BOOST_CHECK_EQUAL(w.store->checkpoint().value, end.value);
    const auto from = w.store->retained();
    auto read = w.finish(w.store->read_log(from, end, 1u << 30));
    BOOST_REQUIRE(read.has_value());
    BOOST_CHECK_EQUAL(read->front()->lsn().value, from.value);
    BOOST_CHECK(w.finish(w.store->log_digest(from.previous())) == w.digest_at[from.value - 1]);
  }
  BOOST_CHECK_GT(w.store->retained().value, 100u);
  auto gone = w.finish(w.store->read_log(Lsn(1), Lsn(5), 1));
  BOOST_CHECK(gone.error().code == engine::Errc::out_of_window);
  BOOST_CHECK_EQUAL(w.difference_at(w.builder->end()), "");
  const auto end = w.builder->end();
  w.store.reset();
  const auto again = w.open();
  BOOST_CHECK_EQUAL(again.end.lsn.value, end.value);
  BOOST_CHECK(again.damage.empty());
  BOOST_CHECK_EQUAL(w.difference_at(end), "");
}

BOOST_AUTO_TEST_CASE(a_pin_keeps_the_log_until_it_goes) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  w.store->pin(5, Lsn(2));
  const auto chunk = [&] {
    w.append_chunk();
    w.flush();
  };
  for (int i = 0; i < 5; ++i) chunk();
  BOOST_CHECK_LE(w.store->retained().value, 2u);
  w.store->unpin(5);
  for (int i = 0; i < 3; ++i) chunk();
  BOOST_CHECK_GT(w.store->retained().value, 2u);
}

// So that a peer that hangs cannot fill the disk: what it still wants is gone when it asks.
BOOST_AUTO_TEST_CASE(a_pin_keeps_no_more_than_twice_the_retention) {
  StoreWorld w;
  w.limits.memory_tail_bytes = 0;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  w.store->pin(5, Lsn(2));
  const auto chunk = [&] {
    w.append_chunk();
    w.flush();
  };
  const auto read = [&] { return w.finish(w.store->read_log(Lsn(2), Lsn(2), 1)); };
  for (int i = 0; i < 5; ++i) chunk();
  BOOST_CHECK_LE(w.store->retained().value, 2u);
  BOOST_CHECK(read().has_value());
  for (int i = 0; i < 7; ++i) {
    chunk();
    BOOST_CHECK_LE(w.store->status().wal_bytes, 2 * w.limits.wal_retention_bytes);
  }
  BOOST_CHECK_GT(w.store->retained().value, 2u);
  const auto gone = read();
  BOOST_REQUIRE(!gone);
  BOOST_CHECK(gone.error().code == engine::Errc::out_of_window);
}

BOOST_AUTO_TEST_CASE(a_pin_that_moved_on_does_not_move_back) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  const auto chunk = [&] {
    w.append_chunk();
    w.flush();
  };
  for (int i = 0; i < 2; ++i) chunk();
  const auto moved = w.builder->end();
  w.store->pin(5, Lsn(2));
  w.store->pin(5, moved);
  w.store->pin(5, Lsn(2));
  for (int i = 0; i < 4; ++i) chunk();
  BOOST_CHECK_GT(w.store->retained().value, 2u);
  BOOST_CHECK_LE(w.store->retained().value, moved.value);
}

BOOST_AUTO_TEST_CASE(a_log_that_grew_gives_its_files_back) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  w.store->pin(5, Lsn(1));
  const auto chunk = [&] {
    w.append_chunk();
    w.flush();
  };
  for (int i = 0; i < 6; ++i) chunk();
  BOOST_CHECK_GT(w.store->status().wal_bytes, w.limits.wal_retention_bytes);
  w.store->unpin(5);
  for (int i = 0; i < 3; ++i) chunk();
  BOOST_CHECK_EQUAL(w.store->status().wal_bytes, w.limits.wal_retention_bytes);
  const auto names = w.disk->files().size();
  const auto end = w.builder->end();
  w.store.reset();
  BOOST_CHECK_EQUAL(w.open().end.lsn.value, end.value);
  BOOST_CHECK_EQUAL(w.disk->files().size(), names);
}

BOOST_AUTO_TEST_CASE(a_pinned_log_has_a_spare_and_does_not_hurry_the_flusher) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  w.store->pin(5, Lsn(1));
  for (int i = 0; i < 4; ++i) {
    w.append_chunk();
    w.flush();
  }
  const auto checkpoint = w.store->checkpoint();
  w.append_durably({w.write(1, 1)});
  w.disk->settle();
  // Nothing is old or large: it waits for its time.
  BOOST_CHECK_EQUAL(w.store->checkpoint().value, checkpoint.value);
}

BOOST_AUTO_TEST_CASE(a_full_log_gives_up_its_oldest_segments_ahead_of_the_writer_without_a_flush) {
  StoreWorld w;
  w.fill_log();
  const auto flushes = w.store->status().flushes;
  const auto retained = w.store->retained();
  for (int i = 0; i < 8; ++i) w.append_chunk();
  BOOST_CHECK_EQUAL(w.store->status().flushes, flushes);
  BOOST_CHECK_GT(w.store->retained().value, retained.value);
  BOOST_CHECK_EQUAL(w.store->status().wal_bytes, w.limits.wal_retention_bytes);
  // What it gave up stays given up after a crash.
  const auto kept = w.store->retained();
  w.crash(MemoryDisk::Loss::process, 1);
  const auto again = w.open();
  BOOST_CHECK(again.damage.empty());
  BOOST_CHECK_EQUAL(again.end.lsn.value, w.builder->end().value);
  BOOST_CHECK_EQUAL(again.retained.value, kept.value);
  BOOST_CHECK_EQUAL(w.difference_at(w.builder->end()), "");
}

BOOST_AUTO_TEST_CASE(nothing_is_given_up_while_a_comparison_reads_the_log) {
  StoreWorld w;
  w.fill_log();
  const auto retained = w.store->retained();
  BOOST_REQUIRE(w.finish(w.store->hold_flush()).has_value());
  w.append_chunk();
  BOOST_CHECK_EQUAL(w.store->retained().value, retained.value);
  w.store->release_flush();
  w.append_chunk();
  BOOST_CHECK_GT(w.store->retained().value, retained.value);
}

// Who compares may be gone without a word.
BOOST_AUTO_TEST_CASE(a_comparison_ends_where_the_log_would_outgrow_its_bound) {
  StoreWorld w;
  w.fill_log();
  BOOST_REQUIRE(w.finish(w.store->hold_flush()).has_value());
  const auto checkpoint = w.store->checkpoint();
  for (int i = 0; i < 64; ++i) w.append_chunk();
  BOOST_CHECK_LE(w.store->status().wal_bytes,
                 2 * w.limits.wal_retention_bytes + w.limits.segment_bytes);
  BOOST_CHECK_GT(w.store->checkpoint().value, checkpoint.value);
  BOOST_CHECK_EQUAL(w.difference_at(w.builder->end()), "");
}

BOOST_AUTO_TEST_CASE(a_comparison_begins_behind_what_is_being_given_up) {
  StoreWorld w;
  w.fill_log();
  const auto retained = w.store->retained();
  w.append(w.chunk(), Lsn());  // it gives up a segment: the superblock is being written
  std::optional<Lsn> when_answered;
  w.store->run(w.store->hold_flush(), [&](auto held) {
    BOOST_CHECK(held.has_value());
    when_answered = w.store->retained();
  });
  BOOST_CHECK(!when_answered);
  w.disk->settle();
  BOOST_REQUIRE(when_answered.has_value());
  BOOST_CHECK_GT(when_answered->value, retained.value);
  BOOST_CHECK_EQUAL(w.store->retained().value, when_answered->value);
}

BOOST_AUTO_TEST_CASE(a_clean_stop_is_remembered_once) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(1, 1)});
  BOOST_CHECK(w.finish(w.store->stop(true)).has_value());
  w.store.reset();
  const auto again = w.open();
  BOOST_CHECK(again.clean);
  BOOST_CHECK_EQUAL(again.checkpoint.lsn.value, 2u);
  w.crash(MemoryDisk::Loss::process, 1);
  BOOST_CHECK(!w.open().clean);
}

BOOST_AUTO_TEST_CASE(allocation_tells_data_holes_and_kept_zeros) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 4), w.trim(1, 1), w.trim(8, 2, true)});
  const auto check = [&] {
    auto runs = w.finish(w.store->allocation({BlockIndex(0), 12}));
    BOOST_REQUIRE(runs.has_value());
    std::string picture;
    for (const auto& run : *runs)
      picture += std::string(run.length / block_bytes, run.hole ? '.' : 'x');
    BOOST_CHECK_EQUAL(picture, "x.xx....xx..");
  };
  check();
  w.flush();
  check();
}

BOOST_AUTO_TEST_CASE(an_answer_about_allocation_has_a_bound_and_is_a_prefix) {
  for (const bool flushed : {false, true}) {
    StoreWorld w(10000);
    w.limits.extent_file_bytes = 5000 * block_bytes;
    w.open(true);
    w.append_durably({w.begin_epoch(1)});
    for (std::uint64_t b = 0; b < 9999; b += 2) {
      if (b % 16 == 0) w.append_durably({w.chunk_end()});
      w.append_durably({w.write(b, 1)});
      if (flushed && b % 512 == 0) w.flush();
    }
    w.flush();
    if (!flushed) w.append_durably({w.trim(1, 1)});
    const auto runs = w.finish(w.store->allocation({BlockIndex(0), 10000}));
    BOOST_REQUIRE(runs.has_value());
    BOOST_CHECK_EQUAL(runs->size(), 4096u);
    std::uint64_t blocks = 0;
    for (const auto& run : *runs) blocks += run.length / block_bytes;
    BOOST_CHECK_EQUAL(blocks, 4096u);
  }
}

BOOST_AUTO_TEST_CASE(a_store_that_stops_waits_for_whoever_asks_about_allocation) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 4)});
  w.flush();
  w.store.reset();
  w.open();
  bool answered = false;
  std::optional<engine::Status> stopped;
  w.store->run(w.store->allocation({BlockIndex(0), 64}),
               [&](auto runs) { answered = runs.has_value() && runs->size() == 2; });
  w.store->run(w.store->stop(false), [&](engine::Status s) { stopped.emplace(std::move(s)); });
  w.disk->settle();
  BOOST_CHECK(answered);
  BOOST_CHECK(stopped && stopped->has_value());
}

BOOST_AUTO_TEST_CASE(destroying_a_store_leaves_nothing) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(1, 1)});
  w.flush();
  BOOST_CHECK(w.finish(w.store->destroy()).has_value());
  BOOST_CHECK_EQUAL(w.disk->files().size(), 1u);
}

BOOST_AUTO_TEST_CASE(what_a_recovery_would_cost_is_counted_and_nothing_moves) {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1), w.write(0, 4), w.write(20, 2), w.trim(2, 1)});
  w.flush();
  const auto cost = w.store->cost_of({Lsn(), Lsn(4), Lsn(), true});
  BOOST_REQUIRE(cost.has_value());
  BOOST_CHECK_GE(cost->log_bytes, 6 * block_bytes);
  BOOST_CHECK_LE(cost->log_bytes, 7 * block_bytes);
  BOOST_CHECK_EQUAL(cost->touched_blocks, 6u);
  BOOST_CHECK_EQUAL(cost->touched_ranges, 2u);
  BOOST_CHECK_EQUAL(cost->extent_blocks, 5u);  // The trimmed one is a hole.
  BOOST_CHECK(!cost->extents_at_most);
  const auto part = w.store->cost_of({Lsn(2), Lsn(3), {}, false});
  BOOST_CHECK_GT(part->log_bytes, 0u);
  BOOST_CHECK_LT(part->log_bytes, cost->log_bytes);
  BOOST_CHECK_EQUAL(part->touched_blocks + part->extent_blocks, 0u);
  BOOST_CHECK_EQUAL(w.store->cost_of({Lsn(4), Lsn(4), {}, false})->log_bytes, 0u);

  // A walk over what was touched, of a session that runs, does not begin anew.
  BOOST_CHECK(
      (w.store->touched_since(Lsn(), BlockIndex(0), 1)->front() == BlockRange{BlockIndex(0), 4}));
  BOOST_CHECK(w.store->cost_of({Lsn(), Lsn(4), Lsn(), true}).has_value());
  BOOST_CHECK(
      (w.store->touched_since(Lsn(), BlockIndex(4), 1)->front() == BlockRange{BlockIndex(20), 2}));

  w.store.reset();
  w.open();
  const auto unread = w.store->cost_of({Lsn(4), Lsn(4), {}, true});
  BOOST_CHECK_EQUAL(unread->extent_blocks, 32u);  // Two files of 16, not read for a question.
  BOOST_CHECK(unread->extents_at_most);
}

BOOST_AUTO_TEST_SUITE_END()
