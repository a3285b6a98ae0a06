// What the simulated disk does when it is told to be a bad one.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cstring>

#include "sim/disk.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Errc;

namespace {

struct Bad {
  Bad() {
    image.format({"/d"});
    boot();
    open("/d/a", {true, true, false, true});
  }
  void boot() {
    life = std::make_shared<Life>();
    disk = std::make_unique<SimDisk>(events, trace, image, life);
  }
  void lose_power() {
    life->alive = false;
    file.reset();
    events.drop(*life);
    disk->power_lost();
    boot();
    open("/d/a", {false, true, false, true});
  }
  std::optional<Errc> run(const std::function<void(storage::Disk::OnStatus)>& operation) {
    std::optional<Errc> failed;
    operation([&](engine::Status s) {
      if (!s) failed = s.error().code;
    });
    while (!events.empty()) events.fire();
    return failed;
  }
  std::optional<Errc> open(const std::string& path, storage::OpenOptions options) {
    return run([&](auto done) {
      disk->open(path, options, [this, done](engine::Result<storage::FilePtr> f) {
        if (f) file = *f;
        done(f ? engine::Status(engine::Done{}) : engine::Status(f.error()));
      });
    });
  }
  std::optional<Errc> write(std::uint64_t at, char c) {
    engine::Buffer b(page_bytes);
    std::memset(b.data(), c, b.size());
    auto page = std::move(b).freeze();
    return run([&](auto done) { disk->write(file, at, {page}, done); });
  }
  std::optional<Errc> sync() {
    return run([&](auto done) { disk->sync(file, done); });
  }
  void sync_names() {
    run([&](auto done) { disk->sync_directory("/d", done); });
  }
  /// The first byte of a page; '!' where it cannot be read.
  char at(std::uint64_t offset) {
    char c = '!';
    disk->read(file, offset, page_bytes, [&](engine::Result<engine::Buffer> b) {
      if (b) c = static_cast<char>(b->data()[0]);
    });
    while (!events.empty()) events.fire();
    return c;
  }

  Random random{1};
  Trace trace;
  Events events{random, trace};
  DiskImage image{Random(7)};
  LifePtr life;
  std::unique_ptr<SimDisk> disk;
  storage::FilePtr file;
};

constexpr std::uint64_t page(std::uint64_t i) { return i * page_bytes; }

}  // namespace

BOOST_AUTO_TEST_SUITE(disk_faults)

BOOST_AUTO_TEST_CASE(a_sector_cannot_be_read_until_it_is_written_again) {
  Bad d;
  for (std::uint64_t i = 0; i < 3; ++i) d.write(page(i), 'x');
  d.image.inode("/d/a")->spoil(1);
  BOOST_TEST(d.at(page(0)) == 'x');
  BOOST_TEST(d.at(page(1)) == '!');
  BOOST_TEST(d.at(page(1)) == '!');
  BOOST_TEST(d.at(page(2)) == 'x');
  d.write(page(2), 'y');
  BOOST_TEST(d.at(page(1)) == '!');
  d.write(page(1), 'z');
  BOOST_TEST(d.at(page(1)) == 'z');
}

BOOST_AUTO_TEST_CASE(a_sector_that_is_given_back_can_be_read) {
  Bad d;
  d.write(page(0), 'x');
  d.write(page(1), 'x');
  d.image.inode("/d/a")->spoil(0);
  d.image.inode("/d/a")->spoil(1);
  d.run([&](auto done) { d.disk->punch(d.file, 0, page_bytes, done); });
  BOOST_TEST(d.at(page(0)) == '\0');
  d.run([&](auto done) { d.disk->resize(d.file, page_bytes, done); });
  d.run([&](auto done) { d.disk->resize(d.file, page(2), done); });
  BOOST_TEST(d.at(page(1)) == '\0');
}

BOOST_AUTO_TEST_CASE(an_operation_that_is_said_to_fail_has_done_nothing) {
  Bad d;
  d.write(page(0), 'x');
  d.sync();
  d.image.fails = [](DiskOp op, const std::string&) {
    return op == DiskOp::read ? std::nullopt : std::optional(Errc::io_failed);
  };
  BOOST_TEST((d.write(page(0), 'y') == Errc::io_failed));
  BOOST_TEST((d.sync() == Errc::io_failed));
  BOOST_TEST((d.open("/d/b", {true, true, false, true}) == Errc::io_failed));
  BOOST_TEST((d.run([&](auto done) { d.disk->remove("/d/a", done); }) == Errc::io_failed));
  BOOST_TEST((d.run([&](auto done) { d.disk->rename("/d/a", "/d/b", done); }) == Errc::io_failed));
  BOOST_TEST(
      (d.run([&](auto done) { d.disk->punch(d.file, 0, page_bytes, done); }) == Errc::io_failed));
  d.image.fails = nullptr;
  BOOST_TEST(d.at(page(0)) == 'x');
  BOOST_TEST(d.image.exists("/d/a"));
  BOOST_TEST(!d.image.exists("/d/b"));
}

BOOST_AUTO_TEST_CASE(a_misdirected_write_is_there_and_not_here) {
  Bad d;
  d.write(page(0), 'a');
  d.write(page(1), 'b');
  d.image.misdirects = [](const std::string&, std::uint64_t offset, std::uint64_t) {
    return offset == 0 ? std::optional<std::uint64_t>(page(1)) : std::nullopt;
  };
  BOOST_TEST(!d.write(page(0), 'n'));
  BOOST_TEST(d.at(page(0)) == 'a');
  BOOST_TEST(d.at(page(1)) == 'n');
}

BOOST_AUTO_TEST_CASE(what_went_astray_does_not_rot_until_somebody_writes_there) {
  Bad d;
  d.write(page(0), 'a');
  d.image.misdirects = [](const std::string&, std::uint64_t, std::uint64_t) {
    return std::optional<std::uint64_t>(page(1));
  };
  d.write(page(0), 'n');
  d.image.misdirects = nullptr;
  d.sync();
  auto& inode = *d.image.inode("/d/a");
  BOOST_TEST(!inode.rot(page(1), page_bytes, d.random));
  BOOST_TEST(inode.rot(page(0), page_bytes, d.random));
  d.write(page(1), 'b');
  d.sync();
  BOOST_TEST(inode.rot(page(1), page_bytes, d.random));
  BOOST_TEST(inode.rotten_pages().size() == 2u);
}

// A second flip of the same bit would make it good, and nobody could find it any more.
BOOST_AUTO_TEST_CASE(what_rotted_does_not_rot_again_until_it_is_mended) {
  Bad d;
  d.write(page(0), 'a');
  d.sync();
  auto& inode = *d.image.inode("/d/a");
  BOOST_TEST(inode.rot(0, page_bytes, d.random));
  BOOST_TEST(!inode.rot(0, page_bytes, d.random));
  BOOST_TEST(inode.rotten_pages().size() == 1u);
  d.write(page(0), 'a');
  d.sync();
  BOOST_TEST(inode.rotten_pages().empty());
  BOOST_TEST(inode.rot(0, page_bytes, d.random));
}

BOOST_AUTO_TEST_CASE(what_a_cache_shows_behind_a_failed_sync_and_what_the_next_one_saves) {
  struct Expected {
    FailedSync kind;
    char shown;
    char saved;
  };
  for (const auto& e :
       {Expected{FailedSync::reverts, 'o', 'o'}, Expected{FailedSync::looks_clean, 'n', 'o'},
        Expected{FailedSync::stays_dirty, 'n', 'n'}}) {
    Bad d;
    d.sync_names();
    d.write(page(0), 'o');
    BOOST_TEST(!d.sync());
    d.write(page(0), 'n');
    d.image.failed_sync = e.kind;
    d.image.fail_syncs = 1;
    BOOST_TEST((d.sync() == Errc::io_failed));
    BOOST_TEST(d.at(page(0)) == e.shown);
    BOOST_TEST(!d.sync());
    d.lose_power();
    BOOST_TEST(d.at(page(0)) == e.saved);
  }
}

BOOST_AUTO_TEST_CASE(a_disk_that_is_full_to_the_last_byte_has_no_names_either) {
  Bad d;
  d.write(page(0), 'x');
  d.image.capacity_bytes = d.image.used_bytes();
  BOOST_TEST((d.open("/d/b", {true, true, false, true}) == Errc::no_space));
  BOOST_TEST((d.run([&](auto done) { d.disk->make_directory("/d/e", done); }) == Errc::no_space));
  BOOST_TEST(!d.write(page(0), 'y'));
  d.image.capacity_bytes -= page_bytes;  // Somebody else took more than there was.
  BOOST_TEST(!d.write(page(0), 'z'));
  BOOST_TEST((d.write(page(1), 'z') == Errc::no_space));
  BOOST_TEST(!d.run([&](auto done) { d.disk->rename("/d/a", "/d/b", done); }));
}

BOOST_AUTO_TEST_CASE(an_operation_takes_longer_by_what_is_said) {
  Bad d;
  d.write(page(0), 'x');
  const auto before = d.events.now();
  d.image.delays = [](DiskOp op, const std::string&) {
    return op == DiskOp::read ? 2 * engine::second : 0;
  };
  d.write(page(0), 'y');
  BOOST_TEST((d.events.now() - before < 1 * engine::second));
  BOOST_TEST(d.at(page(0)) == 'y');
  BOOST_TEST((d.events.now() - before >= 2 * engine::second));
}

BOOST_AUTO_TEST_CASE(an_image_is_what_the_disk_was_and_neither_changes_the_other) {
  Bad d;
  d.sync_names();
  d.write(page(0), 'o');
  d.sync();
  auto image = d.image.copy_of_content();
  image.power_loss();
  d.write(page(0), 'n');
  d.sync();
  BOOST_TEST(d.at(page(0)) == 'n');
  d.life->alive = false;
  d.file.reset();
  d.events.drop(*d.life);
  d.image.put_content(image);
  d.boot();
  d.open("/d/a", {false, true, false, true});
  BOOST_TEST(d.at(page(0)) == 'o');
  d.write(page(0), 'x');
  BOOST_TEST(static_cast<char>(image.inode("/d/a")->read(0, 1).data()[0]) == 'o');
}

BOOST_AUTO_TEST_SUITE_END()
