// The small parts: who may touch a block, tasks that lose their owner, what is kept in memory.
#include "storage/block_set.hpp"
#include "storage/fan.hpp"
#include "storage/lifetime.hpp"
#include "storage/memory_tail.hpp"
#include "storage/range_guard.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;
using namespace tidemark::storage;

namespace {

/// Something to wait for.
struct Signal {
  std::vector<std::function<void(engine::Done)>> waiting;
  void raise() {
    auto all = std::move(waiting);
    waiting.clear();
    for (auto& wake : all) wake(engine::Done{});
  }
};

Task<engine::Status> hold_until(RangeGuard& guard, BlockRange range, RangeGuard::Use use,
                                Signal& signal, int& holders) {
  const auto held = co_await guard.acquire(range, use);
  ++holders;
  co_await callback<engine::Done>(
      [&signal](auto done) { signal.waiting.push_back(std::move(done)); });
  --holders;
  co_return engine::Done{};
}

Task<engine::Status> fail_or_not(Signal& signal, bool fails, int& ran) {
  co_await callback<engine::Done>(
      [&signal](auto done) { signal.waiting.push_back(std::move(done)); });
  ++ran;
  if (fails) co_return engine::Error{engine::Errc::io_failed, "as told"};
  co_return engine::Done{};
}

const auto ignore = [](engine::Status) {};
constexpr auto reading = RangeGuard::Use::read;
constexpr auto writing = RangeGuard::Use::write;

}  // namespace

BOOST_AUTO_TEST_SUITE(parts)

BOOST_AUTO_TEST_CASE(readers_share_a_block_and_a_writer_is_alone) {
  RangeGuard guard;
  Signal first, second, third;
  int holders = 0;
  Scope scope;
  scope.run(hold_until(guard, {BlockIndex(0), 4}, reading, first, holders), ignore);
  scope.run(hold_until(guard, {BlockIndex(2), 4}, reading, first, holders), ignore);
  BOOST_CHECK_EQUAL(holders, 2);
  scope.run(hold_until(guard, {BlockIndex(3), 1}, writing, second, holders), ignore);
  scope.run(hold_until(guard, {BlockIndex(3), 1}, reading, third, holders), ignore);
  BOOST_CHECK_EQUAL(holders, 2);  // the reader does not pass the writer that came before it
  first.raise();
  BOOST_CHECK_EQUAL(holders, 1);
  second.raise();
  BOOST_CHECK_EQUAL(holders, 1);
  third.raise();
  BOOST_CHECK_EQUAL(holders, 0);
  BOOST_CHECK_EQUAL(guard.size(), 0u);
}

BOOST_AUTO_TEST_CASE(writers_of_other_blocks_do_not_wait) {
  RangeGuard guard;
  Signal signal;
  int holders = 0;
  Scope scope;
  scope.run(hold_until(guard, {BlockIndex(0), 4}, writing, signal, holders), ignore);
  scope.run(hold_until(guard, {BlockIndex(4), 4}, writing, signal, holders), ignore);
  BOOST_CHECK_EQUAL(holders, 2);
  signal.raise();
}

BOOST_AUTO_TEST_CASE(a_fan_runs_at_its_depth_and_stops_at_the_first_error) {
  Signal signal;
  int ran = 0;
  Fan fan(2);
  Scope scope;
  std::vector<Task<engine::Status>> tasks;
  for (int i = 0; i < 6; ++i) tasks.push_back(fail_or_not(signal, i == 2, ran));
  std::optional<engine::Status> done;
  scope.run(fan.all(std::move(tasks)), [&](engine::Status s) { done.emplace(std::move(s)); });
  BOOST_CHECK_EQUAL(signal.waiting.size(), 2u);
  signal.raise();
  BOOST_CHECK_EQUAL(ran, 2);
  signal.raise();
  BOOST_REQUIRE(done.has_value());
  BOOST_CHECK(!done->has_value());
  BOOST_CHECK_EQUAL(ran, 4);  // the one beside the failing one ended, no other began
}

BOOST_AUTO_TEST_CASE(a_completion_that_finds_its_task_destroyed_does_nothing) {
  Signal signal;
  int ran = 0;
  {
    Scope scope;
    scope.run(fail_or_not(signal, false, ran), [&](engine::Status) { ran += 100; });
    BOOST_CHECK(!scope.idle());
  }
  signal.raise();
  BOOST_CHECK_EQUAL(ran, 0);
}

BOOST_AUTO_TEST_CASE(a_block_set_holds_what_was_added_at_any_size) {
  constexpr std::uint64_t blocks = 3 * 32768 + 100;
  const std::vector<BlockRange> ranges{{BlockIndex(5), 1},
                                       {BlockIndex(63), 2},
                                       {BlockIndex(32767), 2},
                                       {BlockIndex(32768 + 10), 65536},
                                       {BlockIndex(blocks - 1), 9}};
  BlockSet set(blocks);
  std::vector<bool> model(blocks);
  for (const auto& range : ranges) {
    set.add(range);
    for (auto b = range.first.value; b < std::min(range.end().value, blocks); ++b) model[b] = true;
  }
  for (std::uint64_t b = 0; b < blocks; ++b) {
    if (set.has(BlockIndex(b)) != model[b]) BOOST_FAIL("block " << b);
  }
}

BOOST_AUTO_TEST_CASE(a_trim_of_a_whole_volume_is_no_work_per_block) {
  constexpr std::uint64_t blocks = (16ull << 40) / block_bytes;
  BlockSet set(blocks);
  for (int again = 0; again < 100; ++again) set.add({BlockIndex(), blocks});
  BOOST_CHECK(set.has(BlockIndex(blocks - 1)));
}

BOOST_AUTO_TEST_CASE(a_guarded_callback_dies_with_its_owner) {
  int called = 0;
  std::function<void(int)> late;
  {
    Lifetime lifetime;
    late = lifetime.guard([&](int n) { called += n; });
    late(1);
  }
  late(10);
  BOOST_CHECK_EQUAL(called, 1);
}

BOOST_AUTO_TEST_CASE(memory_forgets_the_oldest_durable_records_only) {
  StoreWorld w;
  MemoryTail tail(Lsn(), 3 * block_bytes);
  for (std::uint64_t i = 0; i < 5; ++i) tail.append(w.write(i, 1));
  tail.forget(Lsn(1));
  BOOST_CHECK_EQUAL(tail.first().value, 2u);
  tail.forget(Lsn(5));
  BOOST_CHECK_LE(tail.bytes(), 3 * block_bytes);
  BOOST_CHECK_EQUAL(tail.end().value, 5u);
  BOOST_CHECK(!tail.find(Lsn(1)));
  BOOST_CHECK_EQUAL(tail.find(Lsn(5))->lsn().value, 5u);
  tail.truncate(Lsn(4));
  BOOST_CHECK_EQUAL(tail.end().value, 4u);
  tail.truncate(Lsn(2));
  BOOST_CHECK_EQUAL(tail.end().value, 2u);
  BOOST_CHECK_EQUAL(tail.first().value, 3u);
}

BOOST_AUTO_TEST_SUITE_END()
