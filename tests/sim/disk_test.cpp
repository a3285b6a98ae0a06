// The simulated disk keeps exactly what a real one promises, and nothing else.
#define BOOST_TEST_DYN_LINK
#include "sim/disk.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <set>

using namespace tidemark;
using namespace tidemark::sim;
using engine::Errc;

namespace {

engine::Slice page(char c, std::size_t pages = 1) {
  engine::Buffer b(pages * page_bytes);
  std::memset(b.data(), c, b.size());
  return std::move(b).freeze();
}

struct Fixture {
  explicit Fixture(std::uint64_t seed = 1) : random(seed), image(Random(seed + 100)) {
    image.format({"/d"});
    boot();
  }
  void boot() {
    life = std::make_shared<Life>();
    disk = std::make_unique<SimDisk>(events, trace, image, life);
  }
  void end() {
    life->alive = false;
    file.reset();
    events.drop(*life);
  }
  void run() {
    while (!events.empty()) events.fire();
  }
  Errc open(const std::string& path, storage::OpenOptions options) {
    Errc code{};
    bool ok = false;
    disk->open(path, options, [&](engine::Result<storage::FilePtr> f) {
      ok = f.has_value();
      if (ok) {
        file = *f;
      } else {
        code = f.error().code;
      }
    });
    run();
    return ok ? Errc::cancelled : code;
  }
  bool write(std::uint64_t at, engine::Slice data) {
    bool ok = false;
    disk->write(file, at, {std::move(data)}, [&](engine::Status s) { ok = s.has_value(); });
    run();
    return ok;
  }
  void submit(std::uint64_t at, engine::Slice data) {
    disk->write(file, at, {std::move(data)}, [](engine::Status) {});
  }
  bool sync() {
    bool ok = false;
    disk->sync(file, [&](engine::Status s) { ok = s.has_value(); });
    run();
    return ok;
  }
  void sync_directory() {
    disk->sync_directory("/d", [](engine::Status) {});
    run();
  }
  /// The first byte of a page: '.' beyond the end, 0 in a hole.
  char at(std::uint64_t offset) {
    char c = '.';
    disk->read(file, offset, page_bytes, [&](engine::Result<engine::Buffer> b) {
      if (b) c = static_cast<char>(b->data()[0]);
    });
    run();
    return c;
  }

  Random random;
  Trace trace;
  Events events{random, trace};
  DiskImage image;
  LifePtr life;
  std::unique_ptr<SimDisk> disk;
  storage::FilePtr file;
};

constexpr storage::OpenOptions create{true, true, false, true};
constexpr storage::OpenOptions create_dsync{true, true, true, true};
constexpr storage::OpenOptions existing{false, true, false, true};

}  // namespace

BOOST_AUTO_TEST_SUITE(disk)

BOOST_AUTO_TEST_CASE(what_was_written_is_read_and_holes_are_zeros) {
  Fixture f;
  f.open("/d/a", create);
  BOOST_TEST(f.write(2 * page_bytes, page('x')));
  BOOST_TEST(f.at(2 * page_bytes) == 'x');
  BOOST_TEST(f.at(0) == '\0');
  BOOST_TEST(f.at(3 * page_bytes) == '.');
}

BOOST_AUTO_TEST_CASE(a_killed_process_leaves_its_completed_writes) {
  Fixture f;
  f.open("/d/a", create);
  f.write(0, page('x'));
  f.end();
  f.disk->process_killed();
  f.boot();
  f.open("/d/a", existing);
  BOOST_TEST(f.at(0) == 'x');
}

BOOST_AUTO_TEST_CASE(a_write_in_flight_lands_late_or_never_and_holds_the_lock_until_then) {
  std::set<char> seen;
  bool was_locked = false;
  for (std::uint64_t seed = 1; seed < 30; ++seed) {
    Fixture f(seed);
    f.open("/d/a", create_dsync);
    f.write(0, page('o'));
    f.submit(0, page('n'));
    f.end();
    f.disk->process_killed();
    f.boot();
    Errc code{};
    f.disk->open("/d/a", existing, [&](engine::Result<storage::FilePtr> r) {
      if (!r) code = r.error().code;
    });
    f.run();
    was_locked = was_locked || code == Errc::busy;
    if (code == Errc::busy) BOOST_TEST((f.open("/d/a", existing) == Errc::cancelled));
    if (f.file) seen.insert(f.at(0));
  }
  BOOST_TEST(was_locked);
  BOOST_TEST(seen == (std::set<char>{'n', 'o'}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(power_takes_what_was_not_synced_in_any_combination) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed < 60; ++seed) {
    Fixture f(seed);
    f.open("/d/a", create);
    f.sync_directory();
    f.write(0, page('a', 2));
    BOOST_TEST(f.sync());
    f.write(0, page('b'));
    f.write(page_bytes, page('c'));
    f.end();
    f.disk->power_lost();
    f.boot();
    f.open("/d/a", existing);
    seen.insert(std::string{f.at(0), f.at(page_bytes)});
  }
  for (const auto* state : {"aa", "ba", "ac", "bc"}) BOOST_TEST(seen.contains(state));
}

BOOST_AUTO_TEST_CASE(power_spares_what_was_synced_or_written_with_dsync) {
  for (std::uint64_t seed = 1; seed < 30; ++seed) {
    Fixture f(seed);
    f.open("/d/a", create_dsync);
    f.sync_directory();
    f.write(0, page('x'));
    f.end();
    f.disk->power_lost();
    f.boot();
    f.open("/d/a", existing);
    BOOST_TEST(f.at(0) == 'x');
  }
}

BOOST_AUTO_TEST_CASE(a_dsync_write_in_flight_may_be_torn_by_sectors) {
  bool torn = false;
  for (std::uint64_t seed = 1; seed < 60; ++seed) {
    Fixture f(seed);
    f.open("/d/a", create_dsync);
    f.sync_directory();
    f.write(0, page('o'));
    f.submit(0, page('n'));
    f.end();
    f.disk->power_lost();
    f.boot();
    f.open("/d/a", existing);
    std::set<char> bytes;
    f.disk->read(f.file, 0, page_bytes, [&](engine::Result<engine::Buffer> b) {
      for (const auto byte : b->bytes()) bytes.insert(static_cast<char>(byte));
    });
    f.run();
    torn = torn || bytes.size() == 2;
  }
  BOOST_TEST(torn);
}

BOOST_AUTO_TEST_CASE(a_name_is_durable_only_when_its_directory_was_synced) {
  bool lost = false;
  for (std::uint64_t seed = 1; seed < 30; ++seed) {
    Fixture f(seed);
    f.open("/d/a", create);
    f.sync();
    f.end();
    f.disk->power_lost();
    lost = lost || !f.image.exists("/d/a");
  }
  BOOST_TEST(lost);
}

BOOST_AUTO_TEST_CASE(a_rename_is_never_seen_halfway) {
  for (std::uint64_t seed = 1; seed < 30; ++seed) {
    Fixture f(seed);
    f.open("/d/a", create);
    f.sync_directory();
    f.disk->rename("/d/a", "/d/b", [](engine::Status) {});
    f.run();
    f.end();
    f.disk->power_lost();
    BOOST_TEST(f.image.exists("/d/a") != f.image.exists("/d/b"));
  }
}

BOOST_AUTO_TEST_CASE(a_failed_sync_is_told_once_and_the_data_is_not_durable) {
  Fixture f;
  f.open("/d/a", create);
  f.sync_directory();
  f.write(0, page('x'));
  f.image.fail_syncs = 1;
  BOOST_TEST(!f.sync());
  BOOST_TEST(f.sync());
  f.end();
  f.disk->power_lost();
  f.boot();
  f.open("/d/a", existing);
  BOOST_TEST(f.at(0) != 'x');
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_new_space_and_takes_overwrites) {
  Fixture f;
  f.open("/d/a", create);
  f.write(0, page('x'));
  f.image.capacity_bytes = f.image.used_bytes();
  BOOST_TEST(!f.write(page_bytes, page('y')));
  BOOST_TEST(f.write(0, page('z')));
  f.image.capacity_bytes = DiskImage::no_quota;
  BOOST_TEST(f.write(page_bytes, page('y')));
}

BOOST_AUTO_TEST_CASE(punched_space_reads_as_zeros_and_is_given_back) {
  Fixture f;
  f.open("/d/a", create);
  f.write(0, page('x', 4));
  const auto before = f.image.used_bytes();
  f.disk->punch(f.file, page_bytes, 2 * page_bytes, [](engine::Status) {});
  f.run();
  BOOST_TEST(f.at(page_bytes) == '\0');
  BOOST_TEST(f.at(3 * page_bytes) == 'x');
  BOOST_TEST(f.image.used_bytes() == before - 2 * page_bytes);
}

BOOST_AUTO_TEST_CASE(rot_changes_one_bit_of_what_was_durable) {
  Fixture f;
  f.open("/d/a", create_dsync);
  f.write(0, page('x'));
  Random random(5);
  BOOST_TEST(f.image.inode("/d/a")->rot(0, page_bytes, random));
  int wrong = 0;
  f.disk->read(f.file, 0, page_bytes, [&](engine::Result<engine::Buffer> b) {
    for (const auto byte : b->bytes()) wrong += byte != std::byte{'x'};
  });
  f.run();
  BOOST_TEST(wrong == 1);
}

BOOST_AUTO_TEST_CASE(a_locked_file_is_not_opened_twice) {
  Fixture f;
  f.open("/d/a", create);
  const auto held = f.file;
  BOOST_TEST((f.open("/d/a", existing) == Errc::busy));
}

BOOST_AUTO_TEST_SUITE_END()
