// A replica whose committed records are of an abandoned past gets back what it touched itself as well
// as what the others touched (C6), and says from where on it can name that.
#include "engine/planted.hpp"
#include "storage/disk_tasks.hpp"
#include "storage/fork_files.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;

namespace {

/// Two logs that part at `parts_at`: behind it the target committed and flushed what the source never
/// had, and the source another reign.
struct Parted {
  StoreWorld source;
  StoreWorld target;
  Lsn parts_at;
  Lsn base;
  std::vector<engine::Digest> lost;  ///< Of the target's own log.

  Parted() {
    for (auto* world : {&source, &target}) {
      world->open(true);
      world->append_durably({world->begin_epoch(1), world->write(0, 8), world->write(60, 4)});
      world->flush();
    }
    parts_at = source.store->checkpoint();
    target.append_durably({target.write(40, 6), target.write(2, 1)});
    target.flush();
    target.append_durably({target.write(50, 2)});  // in the log alone
    lost = target.digest_at;
    source.append_durably({source.begin_epoch(2), source.write(20, 10), source.trim(24, 2)});
    source.flush();
    base = source.store->checkpoint();
    BOOST_REQUIRE(source.digest_at[parts_at.value] == target.digest_at[parts_at.value]);
  }

  engine::Result<engine::BaseProgress> begin(std::optional<engine::OwnPast> own_past,
                                             engine::BaseScope scope = engine::BaseScope::touched) {
    auto ranges = source.store->touched_since(parts_at, BlockIndex(), 100);
    BOOST_REQUIRE(ranges.has_value());
    target.store->note_touched(true, *ranges);
    return target.finish(target.store->begin_base(scope, engine::Epoch(2),
                                                  {base,
                                                   source.digest_at[base.value],
                                                   {},
                                                   source.store->facts().history,
                                                   std::nullopt,
                                                   own_past}));
  }
  /// Gets what is missing; how many blocks that was.
  std::uint64_t pull() {
    std::uint64_t copied = 0;
    for (auto next = std::optional(BlockIndex()); next;) {
      const auto found = target.store->missing_runs(*next, 64);
      for (const auto& range : found.ranges) {
        for (auto at = range.first; at < range.end();) {
          const auto most = static_cast<std::uint32_t>(range.end() - at);
          auto run = source.finish(source.store->read_base(at, most));
          BOOST_REQUIRE(run.has_value());
          auto& piece = run->piece;
          piece.range.count = std::min<std::uint64_t>(piece.range.count, most);
          auto written = target.finish(
              target.store->write_base(piece.range, piece.sums, piece.data, run->flush_lsn));
          if (!written) BOOST_FAIL(written.error().text);
          copied += piece.range.count;
          at = piece.range.end();
        }
      }
      next = found.next;
    }
    return copied;
  }
  /// Names of what was sealed, and the LSNs in it.
  std::string forks() {
    const std::string directory = "/node/replica/forks/";
    std::string text;
    for (const auto& [path, file] : target.disk->files()) {
      if (!path.starts_with(directory) || path.ends_with(".new")) continue;
      std::string lsns;
      const auto each = [&](const engine::RecordPtr& record) {
        BOOST_CHECK(record->header().digest == lost.at(record->lsn().value));
        lsns += " " + std::to_string(record->lsn().value);
      };
      const auto head = target.finish(storage::read_fork(*target.disk, path, each));
      text += path.substr(directory.size()) + ":" + (head ? lsns : " " + head.error().text) + "\n";
    }
    return text;
  }
  std::string finish() {
    auto done = target.finish(target.store->finish_rebuild(base));
    if (!done) return done.error().text;
    target.blocks_at = source.blocks_at;
    return target.difference_at(base);
  }
};

storage::Task<engine::Status> directory_made(StoreWorld& w, std::string path) {
  auto done = co_await storage::make_directory(*w.disk, path);
  co_return done;
}
storage::Task<engine::Result<storage::FilePtr>> file_opened(StoreWorld& w, std::string path,
                                                            storage::OpenOptions options) {
  auto file = co_await storage::open_file(*w.disk, path, options);
  co_return file;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(own_past)

BOOST_AUTO_TEST_CASE(a_delta_heals_what_the_abandoned_past_left_in_the_extents) {
  Parted p;
  BOOST_REQUIRE(p.begin(engine::OwnPast{p.parts_at, p.parts_at}).has_value());
  BOOST_CHECK_EQUAL(p.pull(), 10u + 6u + 1u + 2u);  // nothing else
  BOOST_CHECK_EQUAL(p.finish(), "");
}

// C9. H: a delta keeps block 3 as record 73 left it, which both logs have; its source's extents stand at
// 0, so the copy's log begins there. A forced reign takes 73 away before the copy is whole: nothing
// was copied of the abandoned past, but something was kept.
BOOST_AUTO_TEST_CASE(what_a_delta_keeps_counts_like_what_it_copies) {
  Parted p;
  const auto begun = p.begin(engine::OwnPast{p.parts_at, p.parts_at});
  BOOST_REQUIRE(begun.has_value());
  BOOST_CHECK_EQUAL(begun->flush_lsn.value, p.parts_at.value);
  p.target.crash(MemoryDisk::Loss::power, 1);
  BOOST_CHECK_EQUAL(p.target.open().rebuild->flush_lsn.value, p.parts_at.value);
  Parted q;
  const auto kept = q.target.store->checkpoint();
  const auto delta = q.begin({});
  BOOST_REQUIRE(delta.has_value());
  BOOST_CHECK_EQUAL(delta->flush_lsn.value, kept.value);
}

// A copy is broken off and begun anew in one process: blocks that came since the list was written last are in no list
// any more, so they and their checksums are in their places before the new one is written (seed 700232).
BOOST_AUTO_TEST_CASE(what_was_copied_before_another_delta_survives_a_crash_behind_it) {
  for (const auto loss : {MemoryDisk::Loss::process, MemoryDisk::Loss::power}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Parted p;
      BOOST_REQUIRE(p.begin(engine::OwnPast{p.parts_at, p.parts_at}).has_value());
      BOOST_CHECK_EQUAL(p.pull(), 10u + 6u + 1u + 2u);
      // The same again, and now nothing that either touched is missing but what the source did.
      BOOST_REQUIRE(p.begin(engine::OwnPast{p.base, p.base}).has_value());
      p.target.crash(loss, seed);
      p.target.open();
      BOOST_CHECK_EQUAL(p.pull(), 10u);
      BOOST_CHECK_EQUAL(p.finish(), "");
    }
  }
}

BOOST_AUTO_TEST_CASE(a_delta_that_forgets_it_is_told_apart) {
  Parted p;
  engine::plant(engine::Bug::delta_forgets_own_past);
  const auto begun = p.begin(engine::OwnPast{p.parts_at, p.parts_at});
  engine::plant(engine::Bug::none);
  BOOST_REQUIRE(begun.has_value());
  p.pull();
  BOOST_CHECK_NE(p.finish(), "");
}

// Nothing was changed: the log and the vote are as before.
BOOST_AUTO_TEST_CASE(what_the_own_index_cannot_name_is_refused_before_anything_is_touched) {
  Parted p;
  std::erase_if(p.target.kv.pairs,
                [](const auto& pair) { return pair.first.starts_with("touched/"); });
  const auto end = p.target.store->facts().end.lsn;
  const auto begun = p.begin(engine::OwnPast{p.parts_at, p.parts_at});
  BOOST_REQUIRE(!begun.has_value());
  BOOST_CHECK(begun.error().code == engine::Errc::out_of_window);
  BOOST_CHECK_EQUAL(p.target.store->facts().end.lsn.value, end.value);
  BOOST_CHECK(p.target.store->facts().base == engine::BaseState::complete);
  // From now on it says so, and the next handshake asks for all.
  const auto known = p.target.finish(p.target.store->log_digests({p.parts_at}));
  BOOST_CHECK_GT(known.touched_from.value, p.parts_at.value);
}

// H(b) of C6: it has truncated and crashes before it has anything.
BOOST_AUTO_TEST_CASE(a_crash_anywhere_leaves_the_own_past_missing_or_still_there) {
  for (std::uint64_t steps = 0; steps < 60; ++steps) {
    BOOST_TEST_CONTEXT("steps " << steps) {
      Parted p;
      auto ranges = p.source.store->touched_since(p.parts_at, BlockIndex(), 100);
      p.target.store->note_touched(true, *ranges);
      auto task = p.target.store->begin_base(engine::BaseScope::touched, engine::Epoch(2),
                                             {p.base,
                                              p.source.digest_at[p.base.value],
                                              {},
                                              p.source.store->facts().history,
                                              std::nullopt,
                                              engine::OwnPast{p.parts_at, p.parts_at}});
      p.target.store->run(std::move(task), [](auto) {});
      for (std::uint64_t i = 0; i < steps && p.target.disk->step(); ++i) {
      }
      p.target.crash(MemoryDisk::Loss::power, steps);
      const auto opened = p.target.open();
      const bool in_log = opened.end.lsn == Lsn(6) && opened.end.digest == p.lost[6];
      // Never neither: a half written one has another name.
      if (!in_log) BOOST_CHECK_EQUAL(p.forks(), "1-3-6: 4 5 6\n");
      if (opened.base == engine::BaseState::complete) {
        BOOST_CHECK(in_log);
        BOOST_CHECK_EQUAL(p.target.difference_at(opened.end.lsn), "");
        continue;
      }
      BOOST_REQUIRE(opened.rebuild.has_value());
      BOOST_CHECK_GE(opened.rebuild->missing_blocks, 10u + 6u + 1u + 2u);
      p.pull();
      BOOST_CHECK_EQUAL(p.finish(), "");
    }
  }
}

// C18: what was committed and is lost to the volume can still be read.
BOOST_AUTO_TEST_CASE(the_losing_suffix_is_sealed_before_it_goes) {
  for (const auto scope : {engine::BaseScope::touched, engine::BaseScope::all}) {
    Parted p;
    BOOST_REQUIRE(p.begin(engine::OwnPast{p.parts_at, p.parts_at}, scope).has_value());
    BOOST_CHECK_EQUAL(p.forks(), "1-3-6: 4 5 6\n");
    BOOST_CHECK(p.target.events.text.find("fork_sealed") != std::string::npos);
  }
  Parted p;
  BOOST_REQUIRE(p.begin({}).has_value());
  BOOST_CHECK_EQUAL(p.forks(), "");  // Nothing that was committed goes.
}

BOOST_AUTO_TEST_CASE(a_fork_that_rots_is_told_and_not_shown_as_whole) {
  Parted p;
  BOOST_REQUIRE(p.begin(engine::OwnPast{p.parts_at, p.parts_at}).has_value());
  auto& file = p.target.file_of("forks/1-3-6");
  StoreWorld::flip(file, 2 * 4096 + 100);
  BOOST_CHECK(p.forks().find(": 4 5 6") == std::string::npos);
  StoreWorld::flip(file, 2 * 4096 + 100);
  BOOST_CHECK_EQUAL(p.forks(), "1-3-6: 4 5 6\n");
  StoreWorld::flip(file, 10);
  BOOST_CHECK(p.forks().find("checksum") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_head_of_a_fork_is_what_it_was) {
  const storage::ForkHead head{
      test_uuid(1), engine::ReplicaId(3), engine::Epoch(4), Lsn(90), Lsn(110), Lsn(95), Lsn(110),
      {5, 6}};
  const auto block = storage::encode_fork_head(head);
  BOOST_CHECK(*storage::decode_fork_head(block) == head);
  BOOST_CHECK_EQUAL(head.id(), "4-90-110");
  BOOST_CHECK(!head.complete());
  for (std::size_t i = 0; i < 96; ++i) {
    auto bad = block;
    bad[i] ^= std::byte{1};
    BOOST_CHECK(!storage::decode_fork_head(bad).has_value());
  }
  BOOST_CHECK(!storage::decode_fork_head(std::span(block).first(50)).has_value());
}

// They are bounded, and never keep a copy from being brought back.
BOOST_AUTO_TEST_CASE(the_oldest_fork_goes_for_a_new_one) {
  Parted p;
  for (std::uint64_t epoch = 1; epoch <= storage::forks_max; ++epoch) {
    const auto path = "/node/replica/forks/0-" + std::to_string(epoch) + "-9";
    storage::OpenOptions options;
    options.create = true;
    if (epoch == 1)
      BOOST_REQUIRE(p.target.finish(directory_made(p.target, "/node/replica/forks")).has_value());
    BOOST_REQUIRE(p.target.finish(file_opened(p.target, path, options)).has_value());
  }
  BOOST_REQUIRE(p.begin(engine::OwnPast{p.parts_at, p.parts_at}).has_value());
  const auto forks = p.forks();
  BOOST_CHECK(forks.find("0-1-9") == std::string::npos);
  BOOST_CHECK(forks.find("0-2-9") != std::string::npos);
  BOOST_CHECK(forks.find("1-3-6: 4 5 6") != std::string::npos);
  BOOST_CHECK(p.target.events.text.find("fork_dropped") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_file_that_is_no_fork_is_neither_counted_nor_dropped) {
  Parted p;
  BOOST_REQUIRE(p.target.finish(directory_made(p.target, "/node/replica/forks")).has_value());
  storage::OpenOptions options;
  options.create = true;
  const std::array names{"notes", "1-2", "1-2-3-4", "0-1-x", "00-1-9.old"};
  for (const auto* name : names) {
    const auto path = "/node/replica/forks/" + std::string(name);
    BOOST_REQUIRE(p.target.finish(file_opened(p.target, path, options)).has_value());
  }
  BOOST_REQUIRE(p.begin(engine::OwnPast{p.parts_at, p.parts_at}).has_value());
  for (const auto* name : names) BOOST_CHECK(p.forks().find(name) != std::string::npos);
  BOOST_CHECK(p.target.events.text.find("fork_dropped") == std::string::npos);
}

// A crash came between the fork and the superblock.
BOOST_AUTO_TEST_CASE(a_fork_that_an_earlier_attempt_sealed_stands_and_costs_no_other) {
  Parted first;
  BOOST_REQUIRE(first.begin(engine::OwnPast{first.parts_at, first.parts_at}).has_value());
  Parted p;
  BOOST_REQUIRE(p.target.finish(directory_made(p.target, "/node/replica/forks")).has_value());
  storage::OpenOptions options;
  options.create = true;
  for (std::uint64_t epoch = 1; epoch <= storage::forks_max; ++epoch) {
    const auto name = epoch == 1 ? "1-3-6" : "0-" + std::to_string(epoch) + "-9";
    const auto path = "/node/replica/forks/" + name;
    BOOST_REQUIRE(p.target.finish(file_opened(p.target, path, options)).has_value());
  }
  p.target.file_of("forks/1-3-6") = first.target.file_of("forks/1-3-6");
  BOOST_REQUIRE(p.begin(engine::OwnPast{p.parts_at, p.parts_at}).has_value());
  BOOST_CHECK(p.forks().find("1-3-6: 4 5 6") != std::string::npos);
  BOOST_CHECK(p.target.events.text.find("fork_dropped") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_an_earlier_attempt_kept_stays_where_a_full_disk_leaves_no_more) {
  Parted first;
  BOOST_REQUIRE(first.begin(engine::OwnPast{first.parts_at, first.parts_at}).has_value());
  Parted p;
  p.target.limits.reserve_bytes = 1u << 20;
  p.target.crash(MemoryDisk::Loss::process, 1);
  (void)p.target.open();
  BOOST_REQUIRE(p.target.finish(directory_made(p.target, "/node/replica/forks")).has_value());
  storage::OpenOptions options;
  options.create = true;
  const auto path = "/node/replica/forks/1-3-6";
  BOOST_REQUIRE(p.target.finish(file_opened(p.target, path, options)).has_value());
  auto& file = p.target.file_of("forks/1-3-6");
  file = first.target.file_of("forks/1-3-6");
  auto head = storage::decode_fork_head(std::span(file.seen).first(4096));
  BOOST_REQUIRE(head.has_value());
  head->last = Lsn(5);  // Not all: its disk was full as well.
  const auto block = storage::encode_fork_head(*head);
  std::copy(block.begin(), block.end(), file.seen.begin());
  const auto kept = file.seen;
  p.target.disk->capacity_bytes =
      p.target.disk->used_bytes() + p.target.limits.reserve_bytes + 2 * 4096;
  BOOST_REQUIRE(p.begin(engine::OwnPast{p.parts_at, p.parts_at}).has_value());
  BOOST_CHECK(p.target.file_of("forks/1-3-6").seen == kept);
}

// What the superblock and the catalog live on is not a fork's.
BOOST_AUTO_TEST_CASE(a_fork_leaves_the_disks_reserve_alone) {
  Parted p;
  p.target.limits.reserve_bytes = 1u << 20;
  p.target.crash(MemoryDisk::Loss::process, 1);
  (void)p.target.open();
  p.target.disk->capacity_bytes =
      p.target.disk->used_bytes() + p.target.limits.reserve_bytes + 4096;
  BOOST_REQUIRE(p.begin(engine::OwnPast{p.parts_at, p.parts_at}).has_value());
  BOOST_CHECK_EQUAL(p.forks(), "");
  BOOST_CHECK(p.target.events.text.find("fork_not_sealed") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(digests_are_known_from_the_log_and_at_boundaries_of_what_was_pruned) {
  StoreWorld w;
  w.fill_log();
  const auto end = w.store->facts().end.lsn;
  const auto retained = w.store->retained();
  BOOST_REQUIRE_GT(retained.value, 3u);
  const auto known =
      w.finish(w.store->log_digests({Lsn(0), Lsn(2), retained, end, Lsn(end.value + 9)}));
  BOOST_REQUIRE(!known.points.empty());
  for (const auto& point : known.points) BOOST_CHECK(point.digest == w.digest_at[point.lsn.value]);
  BOOST_CHECK(known.points.front().lsn == Lsn(0));
  BOOST_CHECK(known.points.back().lsn == end);  // said once
  const auto in_log = [&](const engine::DigestAt& point) { return point.lsn == retained; };
  BOOST_CHECK(std::any_of(known.points.begin(), known.points.end(), in_log));
}

BOOST_AUTO_TEST_SUITE_END()
