// Blocks in place: when they are durable, and what stands for a file that is not whole.
#include "storage/extents.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;
using namespace tidemark::storage;

namespace {

/// Four files of 16 blocks, without a store around them.
struct ExtentsWorld {
  ExtentsWorld() {
    MemoryFiles files;
    files["/extents"] = nullptr;
    disk = std::make_unique<MemoryDisk>(std::move(files));
    open();
  }
  void open() {
    extents = std::make_unique<Extents>(*disk, timers, "/extents", key, 64, 16 * block_bytes, 0);
    BOOST_REQUIRE(finish(extents->open({})).has_value());
  }
  template <class T>
  T finish(Task<T> task) {
    std::optional<T> value;
    scope.run(std::move(task), [&value](T v) { value.emplace(std::move(v)); });
    disk->settle();
    BOOST_REQUIRE(value.has_value());
    return std::move(*value);
  }
  void write(std::uint64_t block) { BOOST_REQUIRE(try_write(block).has_value()); }
  engine::Status try_write(std::uint64_t block) {
    const BlockRange range{BlockIndex(block), 1};
    auto content = StoreWorld::content(range, 5);
    const auto sum = engine::block_sum(key, range.first, content.bytes());
    return finish(extents->write({{range, {content}, {sum}}}));
  }
  void sync(std::optional<engine::Status>& done) {
    scope.run(extents->sync(), [&done](engine::Status s) { done.emplace(std::move(s)); });
  }
  bool durable() const {
    for (const auto& [path, file] : disk->files()) {
      if (file && !file->unsynced.empty()) return false;
    }
    return true;
  }

  engine::VolumeKey key{test_uuid(7)};
  ManualTimers timers;
  std::unique_ptr<MemoryDisk> disk;
  std::unique_ptr<Extents> extents;
  Scope scope;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(extents)

BOOST_AUTO_TEST_CASE(a_sync_does_not_return_while_another_still_makes_its_blocks_durable) {
  ExtentsWorld w;
  w.write(1);
  std::optional<engine::Status> first, second;
  w.sync(first);
  w.sync(second);
  while (!second) BOOST_REQUIRE(w.disk->step());
  BOOST_CHECK(second->has_value());
  BOOST_CHECK(w.durable());
  BOOST_CHECK(first && first->has_value());
}

BOOST_AUTO_TEST_CASE(all_files_are_synced_at_once) {
  ExtentsWorld w;
  for (const auto block : {1u, 17u, 33u, 49u}) w.write(block);
  std::optional<engine::Status> done;
  w.sync(done);
  std::size_t most = 0;
  do most = std::max(most, w.disk->in_flight());
  while (w.disk->step());
  BOOST_CHECK(done && done->has_value());
  BOOST_CHECK_EQUAL(most, 8u);
}

// F-D8. Whatever step of its creation found no room, there is nothing in the file, and reading needs no space.
BOOST_AUTO_TEST_CASE(a_file_that_found_no_room_to_come_to_be_reads_as_holes) {
  for (const std::string full : {"create .sum", "sync .sum", "sync /extents", "create .dat"}) {
    ExtentsWorld w;
    const auto fails = [&](const std::string& what, const std::string& path) -> engine::Status {
      if (!full.starts_with(what) || !path.ends_with(full.substr(what.size())))
        return engine::Done{};
      return engine::Error{engine::Errc::no_space, full + ": no space left"};
    };
    w.disk->on_create = [&](const std::string& path) { return fails("create ", path); };
    w.disk->on_sync = [&](const std::string& path) { return fails("sync ", path); };
    BOOST_CHECK(!w.try_write(1).has_value());
    const auto pieces = w.finish(w.extents->read({BlockIndex(0), 2}));
    BOOST_REQUIRE_MESSAGE(pieces.has_value(), full);
    for (const auto& piece : *pieces) BOOST_CHECK(piece.data.empty());
    BOOST_CHECK_MESSAGE(w.finish(w.extents->cut(0)).has_value(), full);
    w.disk->on_create = nullptr;
    w.disk->on_sync = nullptr;
    w.write(1);
    BOOST_CHECK(!w.finish(w.extents->read({BlockIndex(1), 1}))->front().data.empty());
  }
}

BOOST_AUTO_TEST_CASE(what_a_failed_sync_left_is_synced_by_the_next) {
  for (const std::string failing : {".dat", ".sum", "/extents"}) {
    ExtentsWorld w;
    w.write(1);
    w.disk->on_sync = [&](const std::string& path) -> engine::Status {
      if (!path.ends_with(failing)) return engine::Done{};
      return engine::Error{engine::Errc::no_space, "sync: no space left"};
    };
    BOOST_CHECK(!w.finish(w.extents->sync()).has_value());
    w.disk->on_sync = nullptr;
    std::size_t synced = 0;
    w.disk->on_sync = [&](const std::string&) -> engine::Status {
      ++synced;
      return engine::Done{};
    };
    BOOST_CHECK(w.finish(w.extents->sync()).has_value());
    BOOST_CHECK_GE(synced, failing == "/extents" ? 3u : 2u);
    BOOST_CHECK(w.durable());
  }
}

BOOST_AUTO_TEST_SUITE_END()
