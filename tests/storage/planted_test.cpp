// Each mistake that storage could make is made on purpose, and noticed.
#include "engine/planted.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;
using engine::Bug;

namespace {

struct Planted {
  explicit Planted(Bug bug) { engine::plant(bug); }
  ~Planted() { engine::plant(Bug::none); }
};

/// Three batches of one record; power goes while the last is half written.
storage::OpenedStore after_a_torn_write() {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  w.append({w.write(1, 4)}, Lsn(1));
  w.append({w.write(9, 4)}, Lsn(1));
  for (std::uint64_t seed = 0;; ++seed) {
    // A power loss after which the first is missing and the second is there.
    Dice dice(seed);
    auto left = w.disk->crash(MemoryDisk::Loss::power, dice);
    StoreWorld after;
    after.disk = std::make_unique<MemoryDisk>(std::move(left));
    const auto found = after.open();
    const auto& names = after.events.names;
    const bool torn = std::find(names.begin(), names.end(), "torn_tail_cut") != names.end();
    if (torn || !found.damage.empty()) return found;
    BOOST_REQUIRE_LT(seed, 1000u);
  }
}

/// Of four batches that were durable one after the other, the second is damaged.
storage::OpenedStore after_rot() {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  for (std::uint64_t i = 0; i < 3; ++i) {
    w.append({w.write(i, 1)}, Lsn(1));
    w.disk->settle();
  }
  w.store.reset();
  for (auto& [path, file] : w.disk->files()) {
    if (!file || !path.ends_with(".seg") || file->seen.size() < 6 * block_bytes) continue;
    file->seen[5 * block_bytes / 2 + block_bytes] ^= std::byte{1};
  }
  return w.open();
}

Lsn end_after_truncation_and_crash() {
  StoreWorld w;
  w.open(true);
  w.append_durably({w.begin_epoch(1)});
  w.append({w.write(1, 1)}, Lsn(1));
  w.disk->settle();
  w.append({w.write(2, 1), w.write(3, 1)}, Lsn(1));
  w.disk->settle();
  BOOST_REQUIRE(w.finish(w.store->truncate(Lsn(2))).has_value());
  w.crash(MemoryDisk::Loss::process, 1);
  return w.open().end.lsn;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(planted)

BOOST_AUTO_TEST_CASE(a_torn_tail_taken_for_corruption) {
  BOOST_CHECK(after_a_torn_write().damage.empty());
  const Planted bug(Bug::torn_tail_is_corruption);
  BOOST_CHECK(!after_a_torn_write().damage.empty());
}

BOOST_AUTO_TEST_CASE(corruption_taken_for_a_torn_tail) {
  const auto right = after_rot();
  BOOST_CHECK(right.base == engine::BaseState::damaged);
  const Planted bug(Bug::corruption_is_torn_tail);
  const auto wrong = after_rot();
  BOOST_CHECK(wrong.damage.empty());
  BOOST_CHECK_LT(wrong.end.lsn.value, 4u);
}

BOOST_AUTO_TEST_CASE(a_truncation_that_erases_nothing) {
  BOOST_CHECK_EQUAL(end_after_truncation_and_crash().value, 2u);
  const Planted bug(Bug::truncated_tail_returns);
  BOOST_CHECK_EQUAL(end_after_truncation_and_crash().value, 4u);
}

BOOST_AUTO_TEST_SUITE_END()
