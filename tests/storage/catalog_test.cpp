// The catalog and the owner's lock, on a real file system.
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <filesystem>
#include <fstream>
#include <optional>

#include "storage/owner_lock.hpp"
#include "storage/rocks_kv.hpp"

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

using namespace tidemark;
using storage::OwnerLock;
using storage::RocksKv;

namespace {

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("tidemark-catalog-" + std::to_string(::getpid()));
  boost::asio::io_context loop;

  Folder() {
    std::filesystem::remove_all(path);
    std::filesystem::create_directory(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }

  auto open(RocksKv::Mode mode, RocksKv::Exchange exchange = nullptr) {
    return RocksKv::open((path / "db").string(), mode,
                         [this](std::function<void()> f) { boost::asio::post(loop, std::move(f)); },
                         std::move(exchange));
  }
  engine::Status commit(RocksKv& kv, storage::KvBatch batch) {
    std::optional<engine::Status> result;
    auto work = boost::asio::make_work_guard(loop);
    kv.commit(std::move(batch), [&](engine::Status status) { result = std::move(status); });
    loop.restart();
    while (!result) loop.run_one();
    return std::move(*result);
  }
};

engine::Result<storage::KvCheck> check(Folder& folder, RocksKv& kv) {
  std::optional<engine::Result<storage::KvCheck>> result;
  auto work = boost::asio::make_work_guard(folder.loop);
  kv.check([&](engine::Result<storage::KvCheck> found) { result = std::move(found); });
  folder.loop.restart();
  while (!result) folder.loop.run_one();
  return std::move(*result);
}

/// Some bytes in the middle of the largest such file rot.
void rot(const std::filesystem::path& db, const std::string& extension) {
  std::filesystem::path largest;
  for (const auto& entry : std::filesystem::directory_iterator(db)) {
    const auto name = entry.path().filename().string();
    const bool fits = extension == "MANIFEST" ? name.starts_with(extension)
                                              : entry.path().extension() == extension;
    if (fits && (largest.empty() || entry.file_size() > std::filesystem::file_size(largest)))
      largest = entry.path();
  }
  BOOST_REQUIRE(!largest.empty());
  std::fstream file(largest, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(largest) / 3));
  file.write("\x7f\x01\x55", 3);
}

storage::KvBatch put(const std::string& key, const std::string& value) {
  storage::KvBatch batch;
  batch.put(key, value);
  return batch;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(catalog, Folder)

BOOST_AUTO_TEST_CASE(what_was_committed_is_there_after_reopening) {
  {
    auto kv = open(RocksKv::create);
    BOOST_REQUIRE(kv.has_value());
    BOOST_REQUIRE(commit(**kv, put("a/1", "x")).has_value());
    BOOST_REQUIRE(commit(**kv, put("a/2", "y")).has_value());
    storage::KvBatch batch;
    batch.remove("a/1");
    batch.put("b", "z");
    BOOST_REQUIRE(commit(**kv, std::move(batch)).has_value());
  }
  auto kv = open(RocksKv::existing);
  BOOST_REQUIRE(kv.has_value());
  BOOST_TEST(!(*kv)->get("a/1").has_value());
  BOOST_TEST((*kv)->get("b").value() == "z");
  const auto scanned = (*kv)->scan("a/");
  BOOST_REQUIRE(scanned.size() == 1u);
  BOOST_TEST(scanned[0].first == "a/2");
}

BOOST_AUTO_TEST_CASE(a_missing_catalog_is_refused_and_not_made) {
  BOOST_TEST((open(RocksKv::existing).error().code == engine::Errc::not_found));
  BOOST_TEST(!std::filesystem::exists(path / "db"));
}

BOOST_AUTO_TEST_CASE(an_existing_catalog_is_never_made_anew) {
  BOOST_REQUIRE(open(RocksKv::create).has_value());
  BOOST_TEST(!open(RocksKv::create).has_value());
}

BOOST_AUTO_TEST_CASE(a_damaged_catalog_is_refused) {
  {
    auto kv = open(RocksKv::create);
    for (int i = 0; i < 50; ++i)
      BOOST_REQUIRE(commit(**kv, put(std::to_string(i), std::string(500, 'v'))).has_value());
  }
  for (const auto& entry : std::filesystem::directory_iterator(path / "db")) {
    if (entry.path().extension() != ".log" || std::filesystem::file_size(entry.path()) < 5000)
      continue;
    std::fstream log(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    log.seekp(2500);
    log.put('\x7f');
    log.put('\x01');
  }
  BOOST_TEST(!open(RocksKv::existing).has_value());
}

BOOST_AUTO_TEST_CASE(a_whole_catalog_is_checked_and_left_as_it_is) {
  auto kv = open(RocksKv::create);
  BOOST_REQUIRE(commit(**kv, put("a", "x")).has_value());
  const auto found = check(*this, **kv);
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->damage == "");
  BOOST_TEST(found->bytes > 0u);
}

BOOST_AUTO_TEST_CASE(a_catalog_that_rots_while_it_is_open_is_written_anew_from_memory) {
  for (const auto* kind : {".log", ".sst", "MANIFEST"}) {
    {
      auto kv = open(RocksKv::create);
      for (int i = 0; i < 50; ++i)
        BOOST_REQUIRE(commit(**kv, put(std::to_string(i), std::string(500, 'v'))).has_value());
    }
    auto kv = open(RocksKv::existing);  // Writes what its log had as a table.
    for (int i = 50; i < 60; ++i)
      BOOST_REQUIRE(commit(**kv, put(std::to_string(i), std::string(500, 'w'))).has_value());
    rot(path / "db", kind);
    std::filesystem::create_directory(path / "db.new");  // A crash left it.
    const auto found = check(*this, **kv);
    BOOST_REQUIRE(found.has_value());
    BOOST_TEST(found->damage != "", kind);
    BOOST_TEST(check(*this, **kv)->damage == "");
    BOOST_REQUIRE(commit(**kv, put("later", "y")).has_value());
    kv->reset();
    kv = open(RocksKv::existing);
    BOOST_REQUIRE(kv.has_value());
    BOOST_TEST((*kv)->scan("").size() == 61u);
    BOOST_TEST((*kv)->get("59").value() == std::string(500, 'w'));
    kv->reset();
    std::filesystem::remove_all(path / "db");
    BOOST_TEST(!std::filesystem::exists(path / "db.new"));
  }
}

BOOST_AUTO_TEST_CASE(what_is_committed_while_a_rotten_catalog_is_written_anew_is_kept) {
  auto kv = open(RocksKv::create);
  for (int i = 0; i < 50; ++i)
    BOOST_REQUIRE(commit(**kv, put(std::to_string(i), std::string(500, 'v'))).has_value());
  rot(path / "db", ".log");
  int done = 0;
  // Each copy's scrub asks for itself: two at once are one.
  const auto checked = [&](const engine::Result<storage::KvCheck>& found) {
    BOOST_TEST(found.has_value());
    ++done;
  };
  (*kv)->check(checked);
  (*kv)->commit(put("meanwhile", "z"), [&](engine::Status) { ++done; });
  (*kv)->check(checked);
  (*kv)->commit(put("later", "z"), [&](engine::Status) { ++done; });
  auto work = boost::asio::make_work_guard(loop);
  loop.restart();
  while (done < 4) loop.run_one();
  kv->reset();
  kv = open(RocksKv::existing);
  BOOST_REQUIRE(kv.has_value());
  BOOST_TEST((*kv)->get("meanwhile").value() == "z");
  BOOST_TEST((*kv)->get("later").value() == "z");
  BOOST_TEST((*kv)->scan("").size() == 52u);
}

// The names may have been exchanged, and may be exchanged again by a power loss: what is written into
// either of the two may be in the other one's place.
BOOST_AUTO_TEST_CASE(
    a_catalog_that_could_not_be_replaced_takes_no_more_and_is_whole_when_reopened) {
  for (const bool happened : {false, true}) {
    auto kv = open(RocksKv::create, [happened](const std::string& a, const std::string& b) {
      if (happened) {
        const auto aside = a + ".aside";
        std::filesystem::rename(a, aside);
        std::filesystem::rename(b, a);
        std::filesystem::rename(aside, b);
      }
      return engine::Error{engine::Errc::io_failed, "sync of the directory: Input/output error"};
    });
    for (int i = 0; i < 50; ++i)
      BOOST_REQUIRE(commit(**kv, put(std::to_string(i), std::string(500, 'v'))).has_value());
    const auto log_rotted = [&] { rot(path / "db", ".log"); };
    log_rotted();
    const auto found = check(*this, **kv);
    BOOST_REQUIRE(!found);
    BOOST_TEST(found.error().text.find("Input/output error") != std::string::npos);
    const auto refused = commit(**kv, put("later", "y"));
    BOOST_REQUIRE(!refused);
    BOOST_CHECK(refused.error().code == engine::Errc::io_failed);
    BOOST_TEST(!check(*this, **kv).has_value());
    BOOST_TEST((*kv)->get("49").value() == std::string(500, 'v'));
    BOOST_TEST(!(*kv)->get("later").has_value());
    kv->reset();
    if (happened) {
      kv = open(RocksKv::existing);
      BOOST_REQUIRE(kv.has_value());
      BOOST_TEST((*kv)->scan("").size() == 50u);
      kv->reset();
    }
    std::filesystem::remove_all(path / "db");
    std::filesystem::remove_all(path / "db.new");
  }
}

// Nothing was touched yet: it goes on as it was.
BOOST_AUTO_TEST_CASE(a_catalog_beside_which_no_other_can_be_made_goes_on) {
  auto kv = open(RocksKv::create);
  for (int i = 0; i < 50; ++i)
    BOOST_REQUIRE(commit(**kv, put(std::to_string(i), std::string(500, 'v'))).has_value());
  rot(path / "db", ".log");
  const auto other = RocksKv::open((path / "db.new").string(), RocksKv::create, [](auto) {});
  BOOST_REQUIRE(other.has_value());  // Its lock is held.
  BOOST_TEST(!check(*this, **kv).has_value());
  BOOST_TEST(commit(**kv, put("later", "y")).has_value());
}

BOOST_AUTO_TEST_CASE(a_second_owner_is_refused_and_told_who_owns) {
  auto mine = OwnerLock::take(path.string());
  BOOST_REQUIRE(mine.has_value());
  const auto second = OwnerLock::take(path.string());
  BOOST_REQUIRE(!second.has_value());
  BOOST_TEST((second.error().code == engine::Errc::busy));
  BOOST_TEST(second.error().text.find(std::to_string(::getpid())) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_owner_that_ended_leaves_the_directory_free) {
  if (const auto child = ::fork(); child == 0) {
    const bool got = OwnerLock::take(path.string()).has_value();
    ::_exit(got ? 0 : 1);
  } else {
    int status = 1;
    ::waitpid(child, &status, 0);
    BOOST_TEST(status == 0);
  }
  BOOST_TEST(OwnerLock::take(path.string()).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
