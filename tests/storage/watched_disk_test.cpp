// A disk that is stuck is noticed, and only then.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <optional>
#include <string>

#include "storage/watched_disk.hpp"
#include "tests/storage/memory_disk.hpp"

using namespace tidemark;
using engine::millisecond;
using engine::second;

namespace {

struct Watched {
  Watched() {
    tests::MemoryFiles files;
    files["/d"] = nullptr;
    inner.emplace(std::move(files));
    disk.emplace(*inner, timers, storage::StuckLimits{2 * second, 30 * second});
    disk->on_stuck = [this](std::uint64_t) { said += "stuck "; };
    disk->on_recovered = [this] { said += "recovered "; };
    disk->on_ejected = [this](std::uint64_t) { said += "ejected "; };
    disk->open("/d/f", {.create = true}, [this](auto opened) { file = *opened; });
    inner->settle();
  }
  void sync() {
    disk->sync(file, [this](engine::Status) { ++synced; });
  }
  void wait(std::uint64_t nanoseconds) {
    for (std::uint64_t t = 0; t < nanoseconds; t += 100 * millisecond) {
      timers.advance(100 * millisecond);
    }
  }

  tests::ManualTimers timers;
  std::optional<tests::MemoryDisk> inner;
  std::optional<storage::WatchedDisk> disk;
  storage::FilePtr file;
  int synced = 0;
  std::string said;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(watched_disk)

BOOST_AUTO_TEST_CASE(what_completes_in_time_is_never_spoken_of_however_much_there_is) {
  Watched w;
  for (int i = 0; i < 600; ++i) {
    w.sync();
    w.wait(100 * millisecond);
    // One is always under way, none for long.
    if (i > 5) BOOST_REQUIRE(w.inner->step());
  }
  BOOST_TEST(w.said == "");
  BOOST_TEST(w.disk->stuck_for() == 0u);
}

BOOST_AUTO_TEST_CASE(an_operation_that_takes_too_long_is_stuck_until_it_completes) {
  Watched w;
  w.sync();
  w.wait(1900 * millisecond);
  BOOST_TEST(w.said == "");
  w.wait(1200 * millisecond);
  BOOST_TEST(w.said == "stuck ");
  BOOST_TEST(w.disk->stuck_for() >= 2 * second);
  w.inner->settle();
  BOOST_TEST(w.said == "stuck recovered ");
  BOOST_TEST(w.synced == 1);
  BOOST_TEST(w.disk->stuck_for() == 0u);
}

BOOST_AUTO_TEST_CASE(one_stuck_operation_is_seen_among_others_that_complete) {
  Watched w;
  w.inner->later([] {});
  bool done = false;
  w.disk->sync(w.file, [&](engine::Status) { done = true; });
  w.wait(1 * second);
  w.sync();
  w.wait(2 * second);
  BOOST_TEST(w.said == "stuck ");
  w.inner->step();
  w.inner->step();
  BOOST_TEST(done);
  // The younger one is not late yet.
  BOOST_TEST(w.said == "stuck recovered ");
}

BOOST_AUTO_TEST_CASE(what_never_completes_is_given_up_once) {
  Watched w;
  w.sync();
  w.wait(29 * second);
  BOOST_TEST(w.said == "stuck ");
  w.wait(60 * second);
  BOOST_TEST(w.said == "stuck ejected ");
  BOOST_TEST(w.disk->ejected());
}

BOOST_AUTO_TEST_CASE(a_disk_at_rest_wakes_nobody) {
  Watched w;
  w.sync();
  w.inner->settle();
  w.wait(1 * second);
  BOOST_TEST(w.timers.armed() == 0u);
}

BOOST_AUTO_TEST_CASE(what_completes_after_its_store_is_gone_harms_nobody) {
  Watched w;
  w.sync();
  w.wait(3 * second);
  w.disk.reset();
  w.inner->settle();
  BOOST_TEST(w.synced == 1);
}

BOOST_AUTO_TEST_SUITE_END()
